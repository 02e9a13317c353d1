/* Goroutines spawned and waited for one by one. */
#include "bench.h"

enum { GOROUTINES = 300000 };

static void finish(void *arg)
{
    gort_waitgroup_done(arg);
}

static void round_of(void *arg)
{
    (void)arg;
    gort_waitgroup_t one = {0};
    for (int i = 0; i < GOROUTINES; i++) {
        gort_waitgroup_add(&one, 1);
        bench_must(gort_spawn(finish, &one), "gort_spawn");
        gort_waitgroup_wait(&one);
    }
}

static int run(void *arg)
{
    (void)arg;
    bench_run("spawn_join", round_of, NULL, GOROUTINES, 1, "ns");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
