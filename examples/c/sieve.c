/*
 * The prime sieve: a chain of goroutines, one for each prime found, through which all numbers pass. The
 * first number that reaches the end of the chain is the next prime, and a filter for it joins the chain.
 */
#include <gort.h>
#include <stdio.h>

enum { LIMIT = 230 };

struct filter {
    int prime;
    gort_chan_t *in;
    gort_chan_t *out;
};

/* Sends 2, 3, 4 ... and closes its channel. */
static void generate(void *arg)
{
    gort_chan_t *out = *(gort_chan_t **)arg;
    for (int n = 2; n < LIMIT; n++)
        gort_chan_send(out, &n);
    gort_chan_close(out);
    gort_chan_release(out);
}

/* Passes on what its prime does not divide. */
static void sift(void *arg)
{
    struct filter *filter = arg;
    int n;
    while (gort_chan_recv(filter->in, &n) == GORT_OK) {
        if (n % filter->prime != 0)
            gort_chan_send(filter->out, &n);
    }
    gort_chan_close(filter->out);
    gort_chan_release(filter->out);
    gort_chan_release(filter->in);
}

static int run(void *arg)
{
    (void)arg;
    int primes = 0, prime;
    gort_chan_t *end = gort_chan_new(sizeof(int), 0);
    gort_chan_retain(end);      /* one reference for its sender, one for its receiver */
    int status = gort_spawn_copy(generate, &end, sizeof end);
    while (status == GORT_OK && gort_chan_recv(end, &prime) == GORT_OK) {
        printf("%d%s", prime, ++primes % 10 == 0 ? "\n" : " ");
        struct filter filter = { prime, end, gort_chan_new(sizeof(int), 0) };
        end = gort_chan_retain(filter.out);
        status = gort_spawn_copy(sift, &filter, sizeof filter);
    }
    if (status != GORT_OK) {
        fprintf(stderr, "sieve: %s\n", gort_strerror(status));
        return 1;
    }
    printf("%s%d primes below %d\n", primes % 10 == 0 ? "" : "\n", primes, LIMIT);
    gort_chan_release(end);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
