/* Lock and unlock of one mutex: by a single goroutine, and by eight at once. */
#include "bench.h"

enum { LOCKS = 4000000, CONTENDERS = 8 };

struct guarded {
    gort_mutex_t lock;
    int64_t value;
    int contenders;
};

static void lock_often(void *arg)
{
    struct guarded *guarded = arg;
    for (int i = 0; i < LOCKS / guarded->contenders; i++) {
        gort_mutex_lock(&guarded->lock);
        guarded->value++;
        gort_mutex_unlock(&guarded->lock);
    }
}

static void round_of(void *arg)
{
    struct guarded *guarded = arg;
    gort_waitgroup_t all = {0};
    guarded->value = 0;
    for (int i = 0; i < guarded->contenders; i++)
        bench_must(gort_waitgroup_go(&all, lock_often, guarded), "gort_waitgroup_go");
    gort_waitgroup_wait(&all);
    if (guarded->value != LOCKS) {
        fprintf(stderr, "mutex: %" PRId64 " increments instead of %d\n", guarded->value, LOCKS);
        exit(1);
    }
}

static int run(void *arg)
{
    (void)arg;
    struct guarded alone = { .contenders = 1 }, together = { .contenders = CONTENDERS };
    bench_run("mutex_1", round_of, &alone, LOCKS, 1, "ns");
    bench_run("mutex_8", round_of, &together, LOCKS, 1, "ns");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
