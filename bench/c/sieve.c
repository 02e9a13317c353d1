/* The prime sieve as a chain of goroutines, one for each of the first 2000 primes. */
#include "bench.h"

enum { PRIMES = 2000, LAST_PRIME = 17389 };

struct filter {
    int prime;
    gort_chan_t *in;
    gort_chan_t *out;
};

static void generate(void *arg)
{
    gort_chan_t *out = *(gort_chan_t **)arg;
    for (int n = 2; n <= LAST_PRIME; n++)
        gort_chan_send(out, &n);
    gort_chan_close(out);
    gort_chan_release(out);
}

static void sift(void *arg)
{
    const struct filter *filter = arg;
    int n;
    while (gort_chan_recv(filter->in, &n) == GORT_OK) {
        if (n % filter->prime != 0)
            gort_chan_send(filter->out, &n);
    }
    gort_chan_close(filter->out);
    gort_chan_release(filter->out);
    gort_chan_release(filter->in);
}

static void round_of(void *arg)
{
    (void)arg;
    int primes = 0, prime;
    gort_chan_t *end = gort_chan_retain(bench_chan(sizeof(int), 0));
    bench_must(gort_spawn_copy(generate, &end, sizeof end), "gort_spawn_copy");
    while (gort_chan_recv(end, &prime) == GORT_OK) {
        primes++;
        struct filter filter = { prime, end, bench_chan(sizeof(int), 0) };
        end = gort_chan_retain(filter.out);
        bench_must(gort_spawn_copy(sift, &filter, sizeof filter), "gort_spawn_copy");
    }
    gort_chan_release(end);
    if (primes != PRIMES) {
        fprintf(stderr, "sieve: %d primes instead of %d\n", primes, PRIMES);
        exit(1);
    }
}

static int run(void *arg)
{
    (void)arg;
    bench_run("sieve", round_of, NULL, 1, 1e6, "ms");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
