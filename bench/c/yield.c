/* gort_yield among 2 and among 1000 goroutines: wall time for each yield of any of them. */
#include "bench.h"

enum { YIELDS = 2000000 };

struct crowd {
    int goroutines;
};

static void yield_often(void *arg)
{
    const struct crowd *crowd = arg;
    for (int i = 0; i < YIELDS / crowd->goroutines; i++)
        gort_yield();
}

static void round_of(void *arg)
{
    struct crowd *crowd = arg;
    gort_waitgroup_t all = {0};
    for (int i = 0; i < crowd->goroutines; i++)
        bench_must(gort_waitgroup_go(&all, yield_often, crowd), "gort_waitgroup_go");
    gort_waitgroup_wait(&all);
}

static int run(void *arg)
{
    (void)arg;
    struct crowd two = { 2 }, thousand = { 1000 };
    bench_run("yield_2", round_of, &two, YIELDS, 1, "ns");
    bench_run("yield_1000", round_of, &thousand, YIELDS, 1, "ns");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
