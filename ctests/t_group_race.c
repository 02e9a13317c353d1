/* Groups under contention: many failures at once, limits, waits and releases, from goroutines and threads. */
#include "t.h"

struct job {
    struct world *w;
    int result;
    unsigned yields;
    bool exits;
};

struct world {
    gort_group_t *g;
    atomic_int now, most, ended, started, failed;
    size_t limit;
};

static int run(gort_ctx_t *ctx, void *arg) {
    struct job job = *(struct job *)arg;
    struct world *w = job.w;
    free(arg);
    int now = atomic_fetch_add(&w->now, 1) + 1;
    if (w->limit)
        CHECK((size_t)now <= w->limit);
    while (job.yields--)
        gort_yield();
    if (gort_ctx_err(ctx)) {
        int cause = gort_ctx_cause(ctx);
        CHECK_EQ(gort_ctx_err(ctx), GORT_ECANCELED);
        CHECK(cause >= 1 && cause <= 100);
    }
    atomic_fetch_sub(&w->now, 1);
    atomic_fetch_add(&w->ended, 1);
    if (job.exits)
        gort_exit();
    if (job.result)
        atomic_fetch_add(&w->failed, 1);
    return job.result;
}

static void add(void *arg) {
    struct world *w = arg;
    uint64_t seed = t_seed((uintptr_t)&seed);
    for (int i = 0; i < 60; i++) {
        struct job *job = malloc(sizeof *job);
        CHECK(job != NULL);
        *job = (struct job){w, 0, (unsigned)(t_random(&seed) % 4), t_random(&seed) % 16 == 0};
        if (t_random(&seed) % 20 == 0)
            job->result = (int)(t_random(&seed) % 100) + 1;
        if (job->exits)
            job->result = 0;
        int status = t_random(&seed) % 3 ? gort_group_go(w->g, run, job) : gort_group_try_go(w->g, run, job);
        if (status == GORT_EAGAIN) {
            CHECK(w->limit != 0);
            free(job);
        } else {
            CHECK_EQ(status, GORT_OK);
            atomic_fetch_add(&w->started, 1);
        }
    }
}

static void no_slot_is_lost_and_the_first_failure_is_the_cause(void) {
    int64_t until = 0;
    for (long round = 0; t_again(round, 150, &until); round++) {
        struct world w = {.g = gort_group_new(NULL), .limit = (size_t)round % 4};
        gort_waitgroup_t all = {0};
        if (w.limit)
            gort_group_set_limit(w.g, w.limit);
        for (int i = 0; i < 5; i++)
            if (i == 0)
                t_go_thread(&all, add, &w);
            else
                t_go(&all, add, &w);
        gort_waitgroup_wait(&all);
        int result = gort_group_wait(w.g);
        CHECK_EQ(atomic_load(&w.ended), atomic_load(&w.started));
        CHECK_EQ(result != 0, atomic_load(&w.failed) != 0);
        CHECK_EQ(gort_ctx_cause(gort_group_ctx(w.g)), result ? result : GORT_ECANCELED);
        /* Nobody is active any more when wait has returned. */
        gort_group_set_limit(w.g, 1);
        gort_group_release(w.g);
    }
}

static int fail_soon(gort_ctx_t *ctx, void *arg) {
    (void)ctx;
    return (int)(intptr_t)arg;
}

struct waiter {
    gort_group_t *g;
    int result;
};

static void wait_too(void *arg) {
    struct waiter *waiter = arg;
    waiter->result = gort_group_wait(waiter->g);
    CHECK_EQ(gort_ctx_err(gort_group_ctx(waiter->g)), GORT_ECANCELED);
}

static void all_waits_agree(void) {
    int64_t until = 0;
    for (long round = 0; t_again(round, 1500, &until); round++) {
        gort_group_t *g = gort_group_new(NULL);
        gort_waitgroup_t all = {0};
        struct waiter waiters[3] = {{g, 0}, {g, 0}, {g, 0}};
        for (intptr_t i = 1; i <= 4; i++)
            CHECK_EQ(gort_group_go(g, fail_soon, (void *)i), GORT_OK);
        for (int i = 0; i < 3; i++)
            if (i == 0 && round % 4 == 0)
                t_go_thread(&all, wait_too, &waiters[i]);
            else
                t_go(&all, wait_too, &waiters[i]);
        int result = gort_group_wait(g);
        CHECK(result >= 1 && result <= 4);
        CHECK_EQ(gort_ctx_cause(gort_group_ctx(g)), result);
        gort_waitgroup_wait(&all);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(waiters[i].result, result);
        gort_group_release(g);
    }
}

/* The group and its context are released at once behind the wait, while the last goroutine is on its way out. */
static void released_right_behind_the_wait(void) {
    int64_t until = 0;
    for (long round = 0; t_again(round, 5000, &until); round++) {
        gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
        gort_group_t *g = gort_group_new(parent);
        for (intptr_t i = 0; i < 3; i++)
            CHECK_EQ(gort_group_go(g, fail_soon, (void *)(round % 2 ? i : 0)), GORT_OK);
        if (round % 3 == 0)
            gort_ctx_cancel(parent);
        if (round % 5)
            gort_group_wait(g);
        gort_group_release(g);
        gort_ctx_release(parent);
    }
}

static int nothing(gort_ctx_t *ctx, void *arg) {
    (void)ctx, (void)arg;
    return 0;
}

static void groups_leave_nothing_behind(void) {
    long n = t_n(30000, 2000);
    size_t before = 0;
    gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
    for (long i = 0; i < n + 2000; i++) {
        if (i == 2000)
            before = t_memory();
        gort_group_t *g = gort_group_new(parent);
        for (int j = 0; j < 4; j++)
            CHECK_EQ(gort_group_go(g, nothing, NULL), GORT_OK);
        if (i % 8)
            CHECK_EQ(gort_group_wait(g), GORT_OK);
        gort_group_release(g);
    }
    /* One job of each kept would be some 4 MB. */
    t_check_growth("groups that came and went", before, t_memory(), 2 << 20);
    gort_ctx_release(parent);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(no_slot_is_lost_and_the_first_failure_is_the_cause);
    RUN_BOTH(all_waits_agree);
    RUN_BOTH(released_right_behind_the_wait);
    RUN(groups_leave_nothing_behind);
    return t_end();
}
