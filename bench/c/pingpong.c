/* A value there and back over two channels without a buffer: wall time for a round trip. */
#include "bench.h"

enum { TRIPS = 500000 };

struct table {
    gort_chan_t *there;
    gort_chan_t *back;
};

static void echo(void *arg)
{
    const struct table *table = arg;
    int64_t value;
    while (gort_chan_recv(table->there, &value) == GORT_OK)
        gort_chan_send(table->back, &value);
}

static void round_of(void *arg)
{
    (void)arg;
    gort_waitgroup_t player = {0};
    struct table table = { bench_chan(sizeof(int64_t), 0), bench_chan(sizeof(int64_t), 0) };
    bench_must(gort_waitgroup_go(&player, echo, &table), "gort_waitgroup_go");
    for (int64_t i = 0; i < TRIPS; i++) {
        int64_t value;
        bench_must(gort_chan_send(table.there, &i), "gort_chan_send");
        bench_must(gort_chan_recv(table.back, &value), "gort_chan_recv");
    }
    gort_chan_close(table.there);
    gort_waitgroup_wait(&player);
    gort_chan_release(table.there);
    gort_chan_release(table.back);
}

static int run(void *arg)
{
    (void)arg;
    bench_run("pingpong", round_of, NULL, TRIPS, 1, "ns");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
