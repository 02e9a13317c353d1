/*
 * What the workloads share: repetitions, the median, and the line that bench/run reads:
 *
 *     name workers value unit
 */
#ifndef BENCH_H
#define BENCH_H

#include <gort.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BENCH_REPETITIONS = 5 };

/* A status that is an error ends the program: a workload that did not run has no time. */
static inline void bench_must(int status, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", what, gort_strerror(status));
        exit(1);
    }
}

static inline gort_chan_t *bench_chan(size_t elem_size, size_t capacity)
{
    gort_chan_t *ch = gort_chan_new(elem_size, capacity);
    bench_must(ch == NULL ? GORT_ENOMEM : GORT_OK, "gort_chan_new");
    return ch;
}

static inline void bench_report(const char *name, double value, const char *unit)
{
    printf("%s %d %.2f %s\n", name, gort_max_procs(0), value, unit);
    fflush(stdout);
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/*
 * Runs `round` once to warm up, then BENCH_REPETITIONS times, and reports the median of what one of its
 * `operations` took, in units of `nanoseconds`.
 */
static inline void bench_run(const char *name, void (*round)(void *), void *arg, int64_t operations,
                             double nanoseconds, const char *unit)
{
    double times[BENCH_REPETITIONS];
    round(arg);
    for (int i = 0; i < BENCH_REPETITIONS; i++) {
        int64_t start = gort_now();
        round(arg);
        times[i] = (double)(gort_now() - start) / (double)operations / nanoseconds;
    }
    qsort(times, BENCH_REPETITIONS, sizeof times[0], bench_compare);
    bench_report(name, times[BENCH_REPETITIONS / 2], unit);
}

#endif
