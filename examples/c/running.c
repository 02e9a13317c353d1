/*
 * How many goroutines are there? gort_num_goroutines says, main included: a quick check that a program leaves
 * none behind. One that has told its wait group that it is done may still be counted for a moment, so who
 * compares, waits.
 */
#include <gort.h>
#include <stdio.h>

enum { GOROUTINES = 100 };

static void wait_for_close(void *arg)
{
    gort_chan_recv(arg, NULL);
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t all = {0};
    gort_chan_t *gate = gort_chan_new(0, 0);
    printf("at first: %zu\n", gort_num_goroutines());
    for (int i = 0; i < GOROUTINES; i++) {
        int status = gort_waitgroup_go(&all, wait_for_close, gate);
        if (status != GORT_OK)
            fprintf(stderr, "running: %s\n", gort_strerror(status));
    }
    printf("with %d who wait: %zu\n", GOROUTINES, gort_num_goroutines());

    gort_chan_close(gate);
    gort_waitgroup_wait(&all);
    while (gort_num_goroutines() > 1)
        gort_yield();
    printf("when they are gone: %zu\n", gort_num_goroutines());
    gort_chan_release(gate);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
