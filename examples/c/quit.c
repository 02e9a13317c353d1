/*
 * Stopping goroutines by closing a channel: three generators offer numbers for ever, each in a select
 * that also watches `quit`. Closing `quit` once is seen by all of them, however many there are.
 */
#include <gort.h>
#include <stdio.h>
#include <stdlib.h>

enum { GENERATORS = 3 };

struct generator {
    gort_chan_t *out;
    gort_chan_t *quit;
    long step;
};

static void generate(void *arg)
{
    const struct generator *g = arg;
    for (long value = g->step;; value += g->step) {
        gort_case_t cases[] = {
            { .chan = g->out, .elem = &value, .op = GORT_SEND },
            { .chan = g->quit, .elem = NULL, .op = GORT_RECV },
        };
        if (gort_select(cases, 2) != 0)
            return;     /* quit is closed */
    }
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t running = {0};
    gort_chan_t *quit = gort_chan_new(0, 0);
    struct generator generators[GENERATORS];
    for (int i = 0; i < GENERATORS; i++) {
        generators[i] = (struct generator){ gort_chan_new(sizeof(long), 0), quit, i + 1 };
        int status = gort_waitgroup_go(&running, generate, &generators[i]);
        if (status != GORT_OK) {
            fprintf(stderr, "quit: %s\n", gort_strerror(status));
            exit(1);
        }
    }
    for (int i = 0; i < GENERATORS; i++) {
        printf("steps of %d:", i + 1);
        for (int k = 0; k < 5; k++) {
            long value;
            gort_chan_recv(generators[i].out, &value);
            printf(" %ld", value);
        }
        printf("\n");
    }

    gort_chan_close(quit);
    gort_waitgroup_wait(&running);
    printf("all generators have stopped\n");

    for (int i = 0; i < GENERATORS; i++)
        gort_chan_release(generators[i].out);
    gort_chan_release(quit);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
