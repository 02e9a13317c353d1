/*
 * A million goroutines asleep at once (or as many as the argument says), whose times to wake lie evenly spread over
 * two seconds: seconds until all are asleep; bytes for each, resident memory and page tables together; how late
 * they wake, median and 99th percentile. Memory that was once used is used again, so there is one round in each
 * process. One that wakes early ends the program. If it took too long until all were asleep, the rest is left out.
 */
#include "bench.h"
#include <stdatomic.h>
#include <string.h>

static const int64_t spread = INT64_C(2000000000);

struct sleeper {
    struct crowd *crowd;
    int64_t at;
    double late; /* us */
};

struct crowd {
    gort_waitgroup_t all;
    atomic_long arrived;
    struct sleeper *sleepers;
};

static void sleep_until(void *arg)
{
    struct sleeper *sleeper = arg;
    atomic_fetch_add_explicit(&sleeper->crowd->arrived, 1, memory_order_relaxed);
    gort_sleep(sleeper->at - gort_now());
    sleeper->late = (double)(gort_now() - sleeper->at) / 1e3;
    gort_waitgroup_done(&sleeper->crowd->all);
}

/* VmRSS and VmPTE of this process, in bytes. */
static double memory_used(void)
{
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL) {
        fputs("sleepers: no /proc/self/status here\n", stderr);
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
    long n = *(const long *)arg;
    struct crowd crowd = { .arrived = 0 };
    double *late = malloc((size_t)n * sizeof *late);
    crowd.sleepers = malloc((size_t)n * sizeof *crowd.sleepers);
    bench_must(late == NULL || crowd.sleepers == NULL ? GORT_ENOMEM : GORT_OK, "sleepers");
    /* Resident before the measuring begins. */
    memset(late, 1, (size_t)n * sizeof *late);
    memset(crowd.sleepers, 1, (size_t)n * sizeof *crowd.sleepers);
    double before = memory_used();

    /* The first is to wake when all are asleep: they have 10 us each, several times what is needed. */
    int64_t start = gort_now(), first = start + n * 10000;
    gort_waitgroup_add(&crowd.all, n);
    for (long i = 0; i < n; i++) {
        /* Not in the order of their times: a stride that has no common divisor with n visits all. */
        int64_t place = (int64_t)((uint64_t)i * UINT64_C(1000003) % (uint64_t)n);
        crowd.sleepers[i] = (struct sleeper){ &crowd, first + spread / n * place, 0 };
        bench_must(gort_spawn(sleep_until, &crowd.sleepers[i]), "gort_spawn");
    }
    while (atomic_load_explicit(&crowd.arrived, memory_order_relaxed) < n)
        gort_sleep(1000000);
    double create = (double)(gort_now() - start) / 1e9;
    gort_sleep(100000000);
    bool all_asleep = gort_now() < first;
    double bytes = (memory_used() - before) / (double)n;
    gort_waitgroup_wait(&crowd.all);

    for (long i = 0; i < n; i++)
        late[i] = crowd.sleepers[i].late;
    qsort(late, (size_t)n, sizeof *late, bench_compare);
    if (late[0] < 0) {
        fprintf(stderr, "sleepers: woken %.1f us early\n", -late[0]);
        return 1;
    }
    bench_report("sleepers_create", create, "s");
    if (!all_asleep) {
        fputs("sleepers: the machine is too busy, some woke before all were asleep\n", stderr);
        return 0;
    }
    bench_report("sleepers_bytes", bytes, "B");
    bench_report("sleepers_late_median", late[n / 2], "us");
    bench_report("sleepers_late_p99", late[n - 1 - n / 100], "us");
    free(late);
    free(crowd.sleepers);
    return 0;
}

int main(int argc, char **argv)
{
    long goroutines = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    if (goroutines < 1) {
        fputs("usage: sleepers [GOROUTINES]\n", stderr);
        return 2;
    }
    return gort_main(run, &goroutines);
}
