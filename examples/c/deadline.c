/*
 * A search with a deadline: two goroutines try numbers until one has the hash that is asked for. The first
 * that finds it cancels the context, and the other stops; if nobody finds it in time, the context's deadline
 * stops both. A goroutine is never stopped from outside: it looks at its context now and then.
 */
#include <gort.h>
#include <inttypes.h>
#include <stdio.h>

enum { SEARCHERS = 2, FOUND = 1 };

struct search {
    gort_ctx_t *ctx;
    uint64_t wanted;
    gort_chan_t *found;     /* of uint64_t, one place: the first answer */
};

struct searcher {
    struct search *search;
    uint64_t first;
};

/* No two numbers have the same hash. */
static uint64_t hash(uint64_t n)
{
    n = (n ^ n >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    return n ^ n >> 29;
}

static void look(void *arg)
{
    const struct searcher *s = arg;
    struct search *search = s->search;
    for (uint64_t n = s->first;; n += SEARCHERS) {
        if (hash(n) == search->wanted) {
            gort_chan_try_send(search->found, &n);
            gort_ctx_cancel_cause(search->ctx, FOUND);
            return;
        }
        if (n % 4096 < SEARCHERS) {
            if (gort_ctx_err(search->ctx) != GORT_OK)
                return;
            gort_yield();
        }
    }
}

/* GORT_OK, or why there is no answer. */
static int find(gort_ctx_t *parent, uint64_t wanted, int64_t within, uint64_t *n)
{
    int status = GORT_ENOMEM;
    gort_waitgroup_t all = {0};
    struct searcher searchers[SEARCHERS];
    struct search search = {
        .ctx = gort_ctx_with_timeout(parent, within),
        .wanted = wanted,
        .found = gort_chan_new(sizeof(uint64_t), 1),
    };
    if (search.ctx && search.found) {
        for (uint64_t i = 0; i < SEARCHERS; i++) {
            searchers[i] = (struct searcher){ &search, i };
            status = gort_waitgroup_go(&all, look, &searchers[i]);
            if (status != GORT_OK)
                gort_ctx_cancel_cause(search.ctx, status);
        }
        gort_chan_recv(gort_ctx_done(search.ctx), NULL);
        gort_waitgroup_wait(&all);
        status = gort_ctx_cause(search.ctx);
        if (status == FOUND)
            status = gort_chan_recv(search.found, n);
    }
    gort_chan_release(search.found);
    gort_ctx_release(search.ctx);
    return status;
}

static void report(const char *what, int status, uint64_t n)
{
    if (status == GORT_OK)
        printf("%s: %" PRIu64 "\n", what, n);
    else
        printf("%s: %s\n", what, gort_strerror(status));
}

static int run(void *arg)
{
    (void)arg;
    uint64_t n = 0;
    gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
    if (!ctx)
        return 1;

    int status = find(ctx, hash(271828), GORT_MINUTE, &n);
    report("the number with the hash of 271828", status, n);

    status = find(ctx, hash(UINT64_C(1) << 60), 20 * GORT_MILLISECOND, &n);
    report("one that is far away, in 20 ms", status, n);

    gort_ctx_cancel(ctx);
    status = find(ctx, hash(1), GORT_MINUTE, &n);
    report("one after everything was cancelled", status, n);

    gort_ctx_release(ctx);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
