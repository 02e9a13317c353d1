/*
 * Timers: one made, stopped and given up, far from due; and how late a single sleeper wakes on an otherwise idle
 * runtime, median and 99th percentile, for three lengths of sleep. One that wakes early ends the program.
 */
#include "bench.h"

static const long timers = 1000000;

static void new_and_stop(void *arg)
{
    (void)arg;
    for (long i = 0; i < timers; i++) {
        gort_timer_t *t = gort_timer_new(INT64_C(3600000000000));
        bench_must(t == NULL ? GORT_ENOMEM : GORT_OK, "gort_timer_new");
        gort_timer_stop(t);
        gort_timer_release(t);
    }
}

static void sleep_precision(const char *length, int64_t ns, int sleeps)
{
    double late[1000];
    char name[64];
    for (int i = 0; i < sleeps; i++) {
        int64_t start = gort_now();
        gort_sleep(ns);
        late[i] = (double)(gort_now() - start - ns) / 1e3;
        if (late[i] < 0) {
            fprintf(stderr, "timer: woken %.1f us early\n", -late[i]);
            exit(1);
        }
    }
    qsort(late, (size_t)sleeps, sizeof late[0], bench_compare);
    snprintf(name, sizeof name, "sleep_%s_late_median", length);
    bench_report(name, late[sleeps / 2], "us");
    snprintf(name, sizeof name, "sleep_%s_late_p99", length);
    bench_report(name, late[sleeps - 1 - sleeps / 100], "us");
}

static int run(void *arg)
{
    (void)arg;
    bench_run("timer_new_stop", new_and_stop, NULL, timers, 1, "ns");
    sleep_precision("100us", 100000, 1000);
    sleep_precision("1ms", 1000000, 1000);
    sleep_precision("10ms", 10000000, 200);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
