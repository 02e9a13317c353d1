/*
 * Stages of work in a row: numbers flow through multiply, add and multiply, each a goroutine that runs do_work
 * with another function. The source never ends; main takes what it needs and closes `done`, on which every
 * stage waits besides, so none is left behind, blocked on a send that nobody receives.
 */
#include <gort.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct stage {
    gort_chan_t *done;              /* closed: stop */
    gort_chan_t *in, *out;          /* long; the first stage has no input */
    long (*work)(long value, long operand);
    long operand;
};

static long multiply(long value, long operand) { return value * operand; }
static long add(long value, long operand) { return value + operand; }

static bool receive(const struct stage *stage, long *value)
{
    gort_case_t cases[] = {
        { .chan = stage->in, .elem = value, .op = GORT_RECV },
        { .chan = stage->done, .elem = NULL, .op = GORT_RECV },
    };
    return gort_select(cases, 2) == 0 && cases[0].status == GORT_OK;
}

static bool send(const struct stage *stage, long value)
{
    gort_case_t cases[] = {
        { .chan = stage->out, .elem = &value, .op = GORT_SEND },
        { .chan = stage->done, .elem = NULL, .op = GORT_RECV },
    };
    return gort_select(cases, 2) == 0;
}

static void generate(void *arg)
{
    const struct stage *stage = arg;
    for (long value = 1; send(stage, value); value++)
        ;
}

static void do_work(void *arg)
{
    const struct stage *stage = arg;
    long value;
    while (receive(stage, &value) && send(stage, stage->work(value, stage->operand)))
        ;
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t stages = {0};
    gort_chan_t *done = gort_chan_new(0, 0), *links[4];
    for (int i = 0; i < 4; i++)
        links[i] = gort_chan_new(sizeof(long), 0);
    struct stage row[] = {
        { done, NULL, links[0], NULL, 0 },
        { done, links[0], links[1], multiply, 2 },
        { done, links[1], links[2], add, 1 },
        { done, links[2], links[3], multiply, 2 },
    };
    for (int i = 0; i < 4; i++) {
        int status = gort_waitgroup_go(&stages, i == 0 ? generate : do_work, &row[i]);
        if (status != GORT_OK) {
            fprintf(stderr, "multiply: %s\n", gort_strerror(status));
            exit(1);
        }
    }

    for (int i = 1; i <= 5; i++) {
        long value;
        gort_chan_recv(links[3], &value);
        printf("(%d * 2 + 1) * 2 = %ld\n", i, value);
    }
    gort_chan_close(done);
    gort_waitgroup_wait(&stages);
    printf("all stages have stopped\n");

    for (int i = 0; i < 4; i++)
        gort_chan_release(links[i]);
    gort_chan_release(done);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
