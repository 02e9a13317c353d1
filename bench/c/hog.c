/*
 * Goroutines that keep their worker for 100 ms, computing or blocked in the kernel, and 1000 short ones queued behind
 * them: how long the one that waits longest waits. The worst of five rounds, each from rest.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SHORT = 1000, MOST = 8 };

static const int64_t length = INT64_C(100000000);

static struct {
    gort_waitgroup_t done;
    int64_t start;
    int64_t waited[SHORT];
    int pipes[MOST][2];
} all;

static void spins(void *arg)
{
    (void)arg;
    for (int64_t until = all.start + length; gort_now() < until;) {
    }
}

static void naps(void *arg)
{
    (void)arg;
    struct timespec nap = {0, length};
    nanosleep(&nap, NULL);
}

static void reads(void *arg)
{
    int *ends = arg;
    char byte;
    if (read(ends[0], &byte, 1) != 1)
        exit(1);
}

static void says_how_long(void *arg)
{
    *(int64_t *)arg = gort_now() - all.start;
}

/* What those who read wait for comes from a goroutine behind them. */
static void writes(void *arg)
{
    int *count = arg;
    says_how_long(&all.waited[0]);
    for (int i = 0; i < *count; i++) {
        if (write(all.pipes[i][1], "", 1) != 1)
            exit(1);
    }
}

static double worst(gort_fn_t hog, int count)
{
    memset(all.waited, 0, sizeof all.waited);
    all.start = gort_now();
    /* The newest goes first, then the oldest: what is started last is a hog. */
    bench_must(gort_waitgroup_go(&all.done, writes, &count), "gort_waitgroup_go");
    for (int i = 1; i < SHORT; i++)
        bench_must(gort_waitgroup_go(&all.done, says_how_long, &all.waited[i]), "gort_waitgroup_go");
    for (int i = 0; i < count; i++)
        bench_must(gort_waitgroup_go(&all.done, hog, all.pipes[i]), "gort_waitgroup_go");
    gort_waitgroup_wait(&all.done);
    if (hog != reads) {
        char bytes[MOST];
        for (int i = 0; i < count; i++) {
            if (read(all.pipes[i][0], bytes, 1) != 1)
                exit(1);
        }
    }
    int64_t most = 0;
    for (int i = 0; i < SHORT; i++)
        most = all.waited[i] > most ? all.waited[i] : most;
    return (double)most / 1e6;
}

static void measure(const char *name, gort_fn_t hog, int count)
{
    double most = 0;
    for (int i = 0; i < BENCH_REPETITIONS; i++) {
        gort_sleep(length / 2);
        double waited = worst(hog, count);
        most = waited > most ? waited : most;
    }
    bench_report(name, most, "ms");
}

static int run(void *arg)
{
    (void)arg;
    for (int i = 0; i < MOST; i++) {
        if (pipe(all.pipes[i]) != 0) {
            perror("pipe");
            exit(1);
        }
    }
    measure("hog_spin_1", spins, 1);
    measure("hog_spin_3", spins, 3);
    measure("hog_nanosleep_8", naps, 8);
    measure("hog_read_8", reads, 8);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
