/*
 * A prime checker: numbers go in on one channel, verdicts come out on another, and a pool of goroutines
 * stands between. Verdicts come in any order, so each carries its number.
 */
#include <gort.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { POOL = 4 };

static const long long candidates[] = {
    1, 2, 9, 97, 561, 7919, 1000003, 1000005, 2147483647, 2147483649, 999999000001, 999998000001,
};
enum { CANDIDATES = sizeof candidates / sizeof candidates[0] };

struct question {
    int index;
    long long number;
};

struct verdict {
    int index;
    bool prime;
};

struct channels {
    gort_chan_t *questions;
    gort_chan_t *verdicts;
};

static bool is_prime(long long n)
{
    if (n < 2)
        return false;
    for (long long d = 2; d <= n / d; d++) {
        if (n % d == 0)
            return false;
    }
    return true;
}

static void checker(void *arg)
{
    const struct channels *channels = arg;
    struct question question;
    while (gort_chan_recv(channels->questions, &question) == GORT_OK) {
        struct verdict verdict = { question.index, is_prime(question.number) };
        gort_chan_send(channels->verdicts, &verdict);
    }
}

static void ask(void *arg)
{
    gort_chan_t *questions = arg;
    for (int i = 0; i < CANDIDATES; i++) {
        struct question question = { i, candidates[i] };
        gort_chan_send(questions, &question);
    }
    gort_chan_close(questions);
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t goroutines = {0};
    struct channels channels = {
        .questions = gort_chan_new(sizeof(struct question), 0),
        .verdicts = gort_chan_new(sizeof(struct verdict), 0),
    };
    int status = gort_waitgroup_go(&goroutines, ask, channels.questions);
    for (int i = 0; i < POOL && status == GORT_OK; i++)
        status = gort_waitgroup_go(&goroutines, checker, &channels);
    if (status != GORT_OK) {
        fprintf(stderr, "primes: %s\n", gort_strerror(status));
        exit(1);
    }

    bool prime[CANDIDATES];
    for (int i = 0; i < CANDIDATES; i++) {
        struct verdict verdict;
        gort_chan_recv(channels.verdicts, &verdict);
        prime[verdict.index] = verdict.prime;
    }
    for (int i = 0; i < CANDIDATES; i++)
        printf("%lld is %s\n", candidates[i], prime[i] ? "prime" : "not prime");

    gort_waitgroup_wait(&goroutines);
    gort_chan_release(channels.questions);
    gort_chan_release(channels.verdicts);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
