/* A goroutine that blocks in a select over 2, 4 and 8 channels; another sends to them in turn. */
#include "bench.h"

enum { MESSAGES = 400000, MOST = 8 };

struct fan {
    int channels;
    gort_chan_t *ch[MOST];
};

static void send_in_turn(void *arg)
{
    const struct fan *fan = arg;
    for (int64_t i = 0; i < MESSAGES; i++)
        gort_chan_send(fan->ch[i % fan->channels], &i);
}

static void round_of(void *arg)
{
    struct fan *fan = arg;
    gort_waitgroup_t sender = {0};
    gort_case_t cases[MOST];
    int64_t value;
    for (int i = 0; i < fan->channels; i++) {
        fan->ch[i] = bench_chan(sizeof(int64_t), 0);
        cases[i] = (gort_case_t){ .chan = fan->ch[i], .elem = &value, .op = GORT_RECV };
    }
    bench_must(gort_waitgroup_go(&sender, send_in_turn, fan), "gort_waitgroup_go");
    for (int64_t i = 0; i < MESSAGES; i++)
        bench_must(gort_select(cases, (size_t)fan->channels), "gort_select");
    gort_waitgroup_wait(&sender);
    for (int i = 0; i < fan->channels; i++)
        gort_chan_release(fan->ch[i]);
}

static int run(void *arg)
{
    (void)arg;
    for (int channels = 2; channels <= MOST; channels *= 2) {
        struct fan fan = { .channels = channels };
        char name[32];
        snprintf(name, sizeof name, "select_%d", channels);
        bench_run(name, round_of, &fan, MESSAGES, 1, "ns");
    }
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
