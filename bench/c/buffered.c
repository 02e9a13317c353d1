/* Messages through one channel of capacity 100, one sender and receiver, and four of each. */
#include "bench.h"

enum { MESSAGES = 2000000, CAPACITY = 100 };

struct traffic {
    int pairs;
    gort_chan_t *ch;
};

static void produce(void *arg)
{
    const struct traffic *traffic = arg;
    for (int64_t i = 0; i < MESSAGES / traffic->pairs; i++)
        gort_chan_send(traffic->ch, &i);
}

static void consume(void *arg)
{
    const struct traffic *traffic = arg;
    int64_t value;
    while (gort_chan_recv(traffic->ch, &value) == GORT_OK)
        continue;
}

static void round_of(void *arg)
{
    struct traffic *traffic = arg;
    gort_waitgroup_t producers = {0}, consumers = {0};
    traffic->ch = bench_chan(sizeof(int64_t), CAPACITY);
    for (int i = 0; i < traffic->pairs; i++) {
        bench_must(gort_waitgroup_go(&producers, produce, traffic), "gort_waitgroup_go");
        bench_must(gort_waitgroup_go(&consumers, consume, traffic), "gort_waitgroup_go");
    }
    gort_waitgroup_wait(&producers);
    gort_chan_close(traffic->ch);
    gort_waitgroup_wait(&consumers);
    gort_chan_release(traffic->ch);
}

static int run(void *arg)
{
    (void)arg;
    struct traffic one = { 1, NULL }, four = { 4, NULL };
    bench_run("buffered_1x1", round_of, &one, MESSAGES, 1, "ns");
    bench_run("buffered_4x4", round_of, &four, MESSAGES, 1, "ns");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
