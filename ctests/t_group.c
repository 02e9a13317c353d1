/* Groups: the first failure counts and cancels; wait, limit, ends of any kind, references. */
#include "t.h"

struct work {
    atomic_int calls;
    int result;
    int64_t sleep;
    gort_ctx_t *seen;
};

static int work(gort_ctx_t *ctx, void *arg) {
    struct work *w = arg;
    CHECK(gort_in_goroutine());
    w->seen = ctx;
    if (w->sleep)
        gort_sleep(w->sleep);
    atomic_fetch_add(&w->calls, 1);
    return w->result;
}

static int count(gort_ctx_t *ctx, void *arg) {
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return GORT_OK;
}

/* Fails when its context is done, with a number that nobody may see. */
static int wait_for_done(gort_ctx_t *ctx, void *arg) {
    CHECK_EQ(gort_chan_recv(gort_ctx_done(ctx), NULL), GORT_ECLOSED);
    atomic_fetch_add((atomic_int *)arg, 1);
    return 1000;
}

static void wait_is_for_all(void) {
    enum { N = 500 };
    atomic_int calls = 0;
    gort_group_t *g = gort_group_new(NULL);
    CHECK(g != NULL);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    for (int i = 0; i < N; i++)
        CHECK_EQ(gort_group_go(g, count, &calls), GORT_OK);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    CHECK_EQ(atomic_load(&calls), N);
    gort_group_release(g);
}

static void wait_cancels_the_context(void) {
    gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
    gort_group_t *g = gort_group_new(parent);
    struct work w = {0};
    gort_ctx_t *ctx = gort_group_ctx(g);
    CHECK_EQ(gort_group_go(g, work, &w), GORT_OK);
    EVENTUALLY(atomic_load(&w.calls) == 1);
    CHECK(w.seen == ctx);
    CHECK_EQ(gort_ctx_err(ctx), GORT_OK);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    CHECK_EQ(gort_ctx_err(ctx), GORT_ECANCELED);
    CHECK_EQ(gort_ctx_cause(ctx), GORT_ECANCELED);
    CHECK_EQ(gort_ctx_err(parent), GORT_OK);
    gort_group_release(g);
    gort_ctx_release(parent);
}

static void the_first_failure_counts_and_cancels(void) {
    static const int results[] = {7, -1, GORT_EPANIC, INT32_MIN};
    for (size_t i = 0; i < T_LEN(results); i++) {
        atomic_int cancelled = 0;
        struct work bad = {.result = results[i], .sleep = T_MS}, good = {0};
        gort_group_t *g = gort_group_new(gort_ctx_background());
        gort_ctx_t *ctx = gort_ctx_retain(gort_group_ctx(g));
        for (int j = 0; j < 20; j++)
            CHECK_EQ(gort_group_go(g, wait_for_done, &cancelled), GORT_OK);
        CHECK_EQ(gort_group_go(g, work, &good), GORT_OK);
        CHECK_EQ(gort_group_go(g, work, &bad), GORT_OK);
        CHECK_EQ(gort_group_wait(g), results[i]);
        CHECK_EQ(atomic_load(&cancelled), 20);
        CHECK_EQ(gort_ctx_err(ctx), GORT_ECANCELED);
        CHECK_EQ(gort_ctx_cause(ctx), results[i]);
        CHECK_EQ(gort_group_wait(g), results[i]);
        /* As in Go it may go on, with a context that is done. */
        CHECK_EQ(gort_group_go(g, work, &good), GORT_OK);
        CHECK_EQ(gort_group_wait(g), results[i]);
        CHECK_EQ(atomic_load(&good.calls), 2);
        gort_group_release(g);
        CHECK_EQ(gort_ctx_cause(ctx), results[i]);
        gort_ctx_release(ctx);
    }
}

static void a_parent_that_is_done_is_no_failure(void) {
    atomic_int cancelled = 0;
    gort_ctx_t *parent = gort_ctx_with_timeout(gort_ctx_background(), 2 * T_MS);
    gort_group_t *g = gort_group_new(parent);
    gort_ctx_t *ctx = gort_group_ctx(g);
    CHECK_EQ(gort_ctx_deadline(ctx), gort_ctx_deadline(parent));
    gort_ctx_release(parent);
    struct work w = {0};
    CHECK_EQ(gort_group_go(g, work, &w), GORT_OK);
    CHECK_EQ(gort_chan_recv(gort_ctx_done(ctx), NULL), GORT_ECLOSED);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    CHECK_EQ(gort_ctx_cause(ctx), GORT_ETIMEDOUT);
    CHECK_EQ(gort_group_go(g, wait_for_done, &cancelled), GORT_OK);
    CHECK_EQ(gort_group_wait(g), 1000);
    gort_group_release(g);
}

struct limited {
    atomic_int now, most, calls;
};

static int be_counted(gort_ctx_t *ctx, void *arg) {
    struct limited *l = arg;
    (void)ctx;
    int now = atomic_fetch_add(&l->now, 1) + 1, most = atomic_load(&l->most);
    while (now > most && !atomic_compare_exchange_weak(&l->most, &most, now)) {
    }
    gort_yield();
    if (atomic_fetch_add(&l->calls, 1) % 10 == 0)
        gort_sleep(T_MS / 10);
    atomic_fetch_sub(&l->now, 1);
    return 0;
}

static void no_more_run_than_the_limit(void) {
    for (size_t limit = 1; limit <= 4; limit++) {
        struct limited l = {0};
        gort_group_t *g = gort_group_new(NULL);
        gort_group_set_limit(g, limit);
        for (int i = 0; i < 300; i++)
            CHECK_EQ(gort_group_go(g, be_counted, &l), GORT_OK);
        CHECK_EQ(gort_group_wait(g), GORT_OK);
        CHECK_EQ(atomic_load(&l.calls), 300);
        CHECK((size_t)atomic_load(&l.most) <= limit);
        gort_group_release(g);
    }
}

static int recv(gort_ctx_t *ctx, void *arg) {
    (void)ctx;
    CHECK_EQ(gort_chan_recv(arg, NULL), GORT_OK);
    return 0;
}

struct go_one {
    gort_group_t *g;
    gort_chan_t *gate;
    atomic_int admitted, *order;
    int number, at;
};

static void go_one(void *arg) {
    struct go_one *one = arg;
    CHECK_EQ(gort_group_go(one->g, recv, one->gate), GORT_OK);
    one->at = atomic_fetch_add(one->order, 1);
    atomic_store(&one->admitted, 1);
}

static void try_go_does_not_wait_and_go_waits_its_turn(void) {
    enum { N = 5 };
    struct go_one ones[N];
    atomic_int order = 0;
    gort_waitgroup_t all = {0};
    gort_chan_t *gate = gort_chan_new(0, 0);
    gort_group_t *g = gort_group_new(NULL);
    gort_group_set_limit(g, 2);
    CHECK_EQ(gort_group_try_go(g, recv, gate), GORT_OK);
    CHECK_EQ(gort_group_try_go(g, recv, gate), GORT_OK);
    CHECK_EQ(gort_group_try_go(g, recv, gate), GORT_EAGAIN);
    for (int i = 0; i < N; i++) {
        ones[i] = (struct go_one){.g = g, .gate = gate, .order = &order, .number = i};
        if (i % 2)
            t_go_thread(&all, go_one, &ones[i]);
        else
            t_go(&all, go_one, &ones[i]);
        gort_sleep(2 * T_MS);
    }
    CHECK_EQ(atomic_load(&order), 0);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(gort_chan_send(gate, NULL), GORT_OK);
        EVENTUALLY(atomic_load(&order) == i + 1);
        /* Others wait: nobody passes them. */
        CHECK_EQ(gort_group_try_go(g, recv, gate), GORT_EAGAIN);
    }
    gort_waitgroup_wait(&all);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(gort_chan_send(gate, NULL), GORT_OK);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    CHECK_EQ(gort_group_try_go(g, recv, gate), GORT_OK);
    CHECK_EQ(gort_chan_send(gate, NULL), GORT_OK);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    gort_group_release(g);
    gort_chan_release(gate);
}

static void a_limit_of_0_admits_none(void) {
    atomic_int calls = 0, order = 0;
    gort_waitgroup_t all = {0};
    gort_chan_t *gate = gort_chan_new(0, 1);
    gort_group_t *g = gort_group_new(NULL);
    gort_group_set_limit(g, 0);
    CHECK_EQ(gort_group_try_go(g, count, &calls), GORT_EAGAIN);
    struct go_one one = {.g = g, .gate = gate, .order = &order};
    t_go(&all, go_one, &one);
    gort_sleep(3 * T_MS);
    CHECK_EQ(atomic_load(&order), 0);
    CHECK_EQ(gort_group_wait(g), GORT_OK); /* who waits for its turn has not begun */
    gort_group_set_limit(g, 1);
    gort_waitgroup_wait(&all);
    CHECK_EQ(gort_chan_send(gate, NULL), GORT_OK);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    gort_group_set_limit(g, SIZE_MAX);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(gort_group_try_go(g, count, &calls), GORT_OK);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    CHECK_EQ(atomic_load(&calls), 100);
    gort_group_release(g);
    gort_chan_release(gate);
}

static int leave(gort_ctx_t *ctx, void *arg) {
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    gort_exit();
    return 5;
}

static void one_that_exits_gives_its_slot_back_and_has_not_failed(void) {
    atomic_int calls = 0;
    gort_group_t *g = gort_group_new(NULL);
    gort_group_set_limit(g, 2);
    for (int i = 0; i < 200; i++)
        CHECK_EQ(gort_group_go(g, leave, &calls), GORT_OK);
    CHECK_EQ(gort_group_wait(g), GORT_OK);
    CHECK_EQ(atomic_load(&calls), 200);
    CHECK_EQ(gort_ctx_cause(gort_group_ctx(g)), GORT_ECANCELED);
    gort_group_release(g);
}

static void a_released_group_lives_until_its_goroutines_have_ended(void) {
    gort_group_t *g = gort_group_new(NULL);
    gort_ctx_t *ctx = gort_ctx_retain(gort_group_ctx(g));
    struct work good = {.sleep = 2 * T_MS}, bad = {.sleep = 3 * T_MS, .result = 6};
    CHECK_EQ(gort_group_go(g, work, &good), GORT_OK);
    CHECK_EQ(gort_group_go(g, work, &bad), GORT_OK);
    gort_group_release(g);
    CHECK_EQ(gort_ctx_err(ctx), GORT_OK);
    CHECK_EQ(gort_chan_recv(gort_ctx_done(ctx), NULL), GORT_ECLOSED);
    CHECK_EQ(gort_ctx_cause(ctx), 6);
    EVENTUALLY(atomic_load(&good.calls) == 1);
    gort_ctx_release(ctx);
}

struct result {
    gort_group_t *g;
    atomic_int got;
};

static void wait_for_group(void *arg) {
    struct result *r = arg;
    atomic_store(&r->got, gort_group_wait(r->g));
}

static void several_may_wait(void) {
    enum { N = 8 };
    struct result results[N];
    gort_waitgroup_t all = {0};
    gort_group_t *g = gort_group_new(NULL);
    struct work bad = {.sleep = 3 * T_MS, .result = 9};
    CHECK_EQ(gort_group_go(g, work, &bad), GORT_OK);
    for (int i = 0; i < N; i++) {
        results[i].g = g;
        atomic_store(&results[i].got, 0);
        if (i % 2)
            t_go_thread(&all, wait_for_group, &results[i]);
        else
            t_go(&all, wait_for_group, &results[i]);
    }
    gort_waitgroup_wait(&all);
    for (int i = 0; i < N; i++)
        CHECK_EQ(atomic_load(&results[i].got), 9);
    gort_group_release(g);
}

struct tree {
    gort_group_t *g;
    atomic_int left;
};

static int grow(gort_ctx_t *ctx, void *arg) {
    struct tree *t = arg;
    (void)ctx;
    for (int i = 0; i < 2 && atomic_fetch_sub(&t->left, 1) > 0; i++)
        CHECK_EQ(gort_group_go(t->g, grow, t), GORT_OK);
    return 0;
}

static void a_goroutine_of_the_group_may_add_to_it(void) {
    struct tree t = {.g = gort_group_new(NULL), .left = 1000};
    CHECK_EQ(gort_group_go(t.g, grow, &t), GORT_OK);
    CHECK_EQ(gort_group_wait(t.g), GORT_OK);
    CHECK(atomic_load(&t.left) <= 0);
    gort_group_release(t.g);
}

static int sleep_long(gort_ctx_t *ctx, void *arg) {
    (void)ctx, (void)arg;
    gort_sleep(T_PATIENCE);
    return 0;
}

static void limit_while_three_run(void) {
    gort_group_t *g = gort_group_new(NULL);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(gort_group_go(g, sleep_long, NULL), GORT_OK);
    gort_group_set_limit(g, 5);
}

static void limit_of_null(void) { gort_group_set_limit(NULL, 1); }

static void a_limit_set_while_goroutines_run_is_a_panic(void) {
    CHILD_DIES(limit_while_three_run,
               "panic: errgroup: modify limit while 3 goroutines in the group are still active\n\n");
    CHILD_DIES(limit_of_null, "fatal error: gort_group_set_limit: group is NULL");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(limit_while_three_run);
    T_CHILD(limit_of_null);
    RUN_BOTH(wait_is_for_all);
    RUN_BOTH(wait_cancels_the_context);
    RUN_BOTH(the_first_failure_counts_and_cancels);
    RUN_BOTH(a_parent_that_is_done_is_no_failure);
    RUN_BOTH(no_more_run_than_the_limit);
    RUN_BOTH(try_go_does_not_wait_and_go_waits_its_turn);
    RUN_BOTH(a_limit_of_0_admits_none);
    RUN_BOTH(one_that_exits_gives_its_slot_back_and_has_not_failed);
    RUN_BOTH(a_released_group_lives_until_its_goroutines_have_ended);
    RUN_BOTH(several_may_wait);
    RUN_BOTH(a_goroutine_of_the_group_may_add_to_it);
    RUN(a_limit_set_while_goroutines_run_is_a_panic);
    return t_end();
}
