/* A million goroutines spawned at once, and waited for by a wait group: wall time for each. */
#include "bench.h"

enum { GOROUTINES = 1000000 };

static void finish(void *arg)
{
    gort_waitgroup_done(arg);
}

static void round_of(void *arg)
{
    (void)arg;
    gort_waitgroup_t all = {0};
    gort_waitgroup_add(&all, GOROUTINES);
    for (int i = 0; i < GOROUTINES; i++)
        bench_must(gort_spawn(finish, &all), "gort_spawn");
    gort_waitgroup_wait(&all);
}

static int run(void *arg)
{
    (void)arg;
    bench_run("spawn", round_of, NULL, GOROUTINES, 1, "ns");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
