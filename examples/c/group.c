/*
 * A group: pages are fetched by several goroutines, at most three at a time, and their words are summed up. The
 * first that fails cancels the group's context; the others see that and give up, and the wait returns why.
 * (Fetching is pretended: a page is there after a while.)
 */
#include <gort.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct page {
    const char *name;
    int words;              /* 0: there is no such page */
    int64_t takes;
};

struct job {
    const struct page *page;
    atomic_int *total;
};

/* Waits for the page, but no longer than until `ctx` is done. Returns its words, or a negative status. */
static int fetch(gort_ctx_t *ctx, const struct page *page)
{
    gort_chan_t *arrived = gort_after(page->takes);
    if (!arrived)
        return GORT_ENOMEM;
    gort_case_t cases[] = {
        { .chan = arrived, .elem = NULL, .op = GORT_RECV },
        { .chan = gort_ctx_done(ctx), .elem = NULL, .op = GORT_RECV },
    };
    int chosen = gort_select(cases, 2);
    gort_chan_release(arrived);
    if (chosen == 1)
        return gort_ctx_err(ctx);
    return page->words ? page->words : GORT_ENOENT;
}

static int count(gort_ctx_t *ctx, void *arg)
{
    struct job *job = arg;
    int words = fetch(ctx, job->page);
    if (words < 0)
        return words;
    atomic_fetch_add(job->total, words);
    return GORT_OK;
}

static int sum(const struct page *pages, size_t n, int *total)
{
    struct job jobs[16];
    atomic_int words = 0;
    gort_group_t *group = gort_group_new(NULL);
    if (!group)
        return GORT_ENOMEM;
    gort_group_set_limit(group, 3);
    int status = GORT_OK;
    for (size_t i = 0; i < n && status == GORT_OK; i++) {
        jobs[i] = (struct job){ &pages[i], &words };
        status = gort_group_go(group, count, &jobs[i]);
    }
    int failed = gort_group_wait(group);
    gort_group_release(group);
    *total = words;
    return status != GORT_OK ? status : failed;
}

static void report(const char *what, const struct page *pages, size_t n)
{
    int total = 0;
    int status = sum(pages, n, &total);
    if (status == GORT_OK)
        printf("%s: %d words\n", what, total);
    else
        printf("%s: %s\n", what, gort_strerror(status));
}

static int run(void *arg)
{
    (void)arg;
    static const struct page good[] = {
        { "home", 120, 2 * GORT_MILLISECOND },     { "news", 800, 1 * GORT_MILLISECOND },
        { "about", 75, 3 * GORT_MILLISECOND },     { "help", 450, 2 * GORT_MILLISECOND },
        { "contact", 30, 1 * GORT_MILLISECOND },
    };
    static const struct page bad[] = {
        { "home", 120, 1 * GORT_MILLISECOND },     { "archive", 90000, 10 * GORT_MINUTE },
        { "lost", 0, 2 * GORT_MILLISECOND },       { "mirror", 90000, 10 * GORT_MINUTE },
    };
    report("five pages", good, sizeof good / sizeof good[0]);
    report("four pages, two of them slow and one lost", bad, sizeof bad / sizeof bad[0]);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
