/*
 * A million goroutines parked at once on a channel (or as many as the argument says): bytes for each, resident
 * memory and page tables together; seconds until all are parked, and until all have been woken and are done.
 * Memory that was once used is used again, so there is one round in each process.
 */
#include "bench.h"
#include <stdatomic.h>
#include <string.h>

struct crowd {
    gort_chan_t *gate;
    gort_waitgroup_t all;
    atomic_long arrived;
};

static void wait_at_gate(void *arg)
{
    struct crowd *crowd = arg;
    atomic_fetch_add_explicit(&crowd->arrived, 1, memory_order_relaxed);
    gort_chan_recv(crowd->gate, NULL);
    gort_waitgroup_done(&crowd->all);
}

/* VmRSS and VmPTE of this process, in bytes. */
static double memory_used(void)
{
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL) {
        fputs("parked: no /proc/self/status here\n", stderr);
        exit(1);
    }
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmPTE:", 6) == 0)
            kib += strtod(line + 6, NULL);
    }
    fclose(status);
    return kib * 1024;
}

static int run(void *arg)
{
    const long *goroutines = arg;
    struct crowd crowd = { .gate = bench_chan(0, 0) };
    double before = memory_used();

    int64_t start = gort_now();
    gort_waitgroup_add(&crowd.all, *goroutines);
    for (long i = 0; i < *goroutines; i++)
        bench_must(gort_spawn(wait_at_gate, &crowd), "gort_spawn");
    while (atomic_load_explicit(&crowd.arrived, memory_order_relaxed) < *goroutines)
        gort_sleep(1000000);
    double create = (double)(gort_now() - start) / 1e9;

    gort_sleep(INT64_C(100000000));     /* the last to arrive are parked by now */
    double bytes = (memory_used() - before) / (double)*goroutines;

    start = gort_now();
    gort_chan_close(crowd.gate);
    gort_waitgroup_wait(&crowd.all);
    double wake = (double)(gort_now() - start) / 1e9;
    gort_chan_release(crowd.gate);

    bench_report("parked_bytes", bytes, "B");
    bench_report("parked_create", create, "s");
    bench_report("parked_wake", wake, "s");
    return 0;
}

int main(int argc, char **argv)
{
    long goroutines = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    if (goroutines < 1) {
        fputs("usage: parked [GOROUTINES]\n", stderr);
        return 2;
    }
    return gort_main(run, &goroutines);
}
