/* One context at a time: cancel, cause, timeout, deadline, value, the done channel, references. */
#include "t.h"

static char key_a, key_b;

static void the_background_is_never_done(void) {
    gort_ctx_t *bg = gort_ctx_background();
    CHECK(bg != NULL && bg == gort_ctx_background());
    CHECK(gort_ctx_done(bg) == NULL);
    CHECK_EQ(gort_ctx_err(bg), GORT_OK);
    CHECK_EQ(gort_ctx_cause(bg), GORT_OK);
    CHECK_EQ(gort_ctx_deadline(bg), GORT_FOREVER);
    CHECK(gort_ctx_value(bg, &key_a) == NULL);
    for (int i = 0; i < 10; i++)
        gort_ctx_release(bg);
    CHECK(gort_ctx_retain(bg) == bg);
    gort_ctx_cancel(bg);
    gort_ctx_cancel_cause(bg, 5);
    CHECK_EQ(gort_ctx_err(bg), GORT_OK);
    CHECK_EQ(gort_ctx_err(gort_ctx_background()), GORT_OK);
}

static void cancel_sets_err_and_cause_and_closes_done(void) {
    for (int ask_first = 0; ask_first < 2; ask_first++) {
        gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
        gort_chan_t *done = ask_first ? gort_ctx_done(ctx) : NULL;
        CHECK_EQ(gort_ctx_err(ctx), GORT_OK);
        CHECK_EQ(gort_ctx_cause(ctx), GORT_OK);
        if (done) {
            CHECK_EQ(gort_chan_try_recv(done, NULL), GORT_EAGAIN);
            CHECK_EQ(gort_ctx_err(ctx), GORT_OK);
        }
        gort_ctx_cancel(ctx);
        CHECK_EQ(gort_ctx_err(ctx), GORT_ECANCELED);
        CHECK_EQ(gort_ctx_cause(ctx), GORT_ECANCELED);
        if (ask_first)
            CHECK(gort_ctx_done(ctx) == done);
        done = gort_ctx_done(ctx);
        CHECK_EQ(gort_chan_recv(done, NULL), GORT_ECLOSED);
        CHECK_EQ(gort_chan_try_recv(done, NULL), GORT_ECLOSED);
        CHECK_EQ(gort_chan_elem_size(done), 0);
        gort_ctx_release(ctx);
    }
}

static void the_first_cancel_decides(void) {
    static const struct { int first, second, cause; } cases[] = {
        {0, 7, GORT_ECANCELED}, {7, 0, 7}, {-1, 7, -1}, {GORT_EPANIC, 1, GORT_EPANIC}, {INT32_MIN, 2, INT32_MIN},
    };
    for (size_t i = 0; i < T_LEN(cases); i++) {
        gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
        gort_ctx_cancel_cause(ctx, cases[i].first);
        gort_ctx_cancel_cause(ctx, cases[i].second);
        gort_ctx_cancel(ctx);
        CHECK_EQ(gort_ctx_err(ctx), GORT_ECANCELED);
        CHECK_EQ(gort_ctx_cause(ctx), cases[i].cause);
        gort_ctx_release(ctx);
    }
}

static void a_timeout_ends_it_and_never_early(void) {
    for (int which = 0; which < 2; which++) {
        int64_t deadline = gort_now() + 3 * T_MS;
        gort_ctx_t *ctx = which ? gort_ctx_with_timeout(gort_ctx_background(), 3 * T_MS)
                                : gort_ctx_with_deadline(gort_ctx_background(), deadline);
        CHECK(gort_ctx_deadline(ctx) >= deadline);
        if (!which)
            CHECK_EQ(gort_ctx_deadline(ctx), deadline);
        CHECK_EQ(gort_chan_recv(gort_ctx_done(ctx), NULL), GORT_ECLOSED);
        CHECK(gort_now() >= gort_ctx_deadline(ctx));
        CHECK_EQ(gort_ctx_err(ctx), GORT_ETIMEDOUT);
        CHECK_EQ(gort_ctx_cause(ctx), GORT_ETIMEDOUT);
        gort_ctx_cancel_cause(ctx, 9);
        CHECK_EQ(gort_ctx_err(ctx), GORT_ETIMEDOUT);
        CHECK_EQ(gort_ctx_cause(ctx), GORT_ETIMEDOUT);
        gort_ctx_release(ctx);
    }
}

static void without_a_channel_a_timeout_ends_it_too(void) {
    gort_ctx_t *ctx = gort_ctx_with_timeout(gort_ctx_background(), T_MS);
    EVENTUALLY(gort_ctx_err(ctx) == GORT_ETIMEDOUT);
    CHECK(gort_now() >= gort_ctx_deadline(ctx));
    CHECK_EQ(gort_chan_try_recv(gort_ctx_done(ctx), NULL), GORT_ECLOSED);
    gort_ctx_release(ctx);
}

static void a_deadline_in_the_past_ends_it_at_once(void) {
    static const int64_t ns[] = {0, -1, INT64_MIN, -T_MS};
    for (size_t i = 0; i < T_LEN(ns); i++) {
        gort_ctx_t *timeout = gort_ctx_with_timeout(gort_ctx_background(), ns[i]);
        gort_ctx_t *deadline = gort_ctx_with_deadline(gort_ctx_background(), ns[i]);
        CHECK_EQ(gort_ctx_err(timeout), GORT_ETIMEDOUT);
        CHECK_EQ(gort_ctx_err(deadline), GORT_ETIMEDOUT);
        CHECK_EQ(gort_ctx_cause(deadline), GORT_ETIMEDOUT);
        CHECK_EQ(gort_ctx_deadline(deadline), ns[i]);
        CHECK(gort_ctx_deadline(timeout) <= gort_now());
        CHECK_EQ(gort_chan_try_recv(gort_ctx_done(timeout), NULL), GORT_ECLOSED);
        gort_ctx_release(timeout);
        gort_ctx_release(deadline);
    }
    gort_ctx_t *just_now = gort_ctx_with_deadline(gort_ctx_background(), gort_now());
    CHECK_EQ(gort_ctx_err(just_now), GORT_ETIMEDOUT);
    gort_ctx_release(just_now);
}

static void forever_is_no_deadline(void) {
    gort_ctx_t *a = gort_ctx_with_timeout(gort_ctx_background(), GORT_FOREVER);
    gort_ctx_t *b = gort_ctx_with_deadline(gort_ctx_background(), GORT_FOREVER);
    gort_ctx_t *c = gort_ctx_with_timeout(gort_ctx_background(), GORT_FOREVER - 1); /* saturates */
    CHECK_EQ(gort_ctx_deadline(a), GORT_FOREVER);
    CHECK_EQ(gort_ctx_deadline(b), GORT_FOREVER);
    CHECK_EQ(gort_ctx_deadline(c), GORT_FOREVER);
    CHECK_EQ(gort_ctx_err(a), GORT_OK);
    gort_ctx_cancel(a);
    CHECK_EQ(gort_ctx_err(a), GORT_ECANCELED);
    gort_ctx_release(a);
    gort_ctx_release(b);
    gort_ctx_release(c);
}

static void cancel_comes_before_the_deadline(void) {
    gort_ctx_t *ctx = gort_ctx_with_timeout(gort_ctx_background(), 2 * T_MS);
    gort_ctx_cancel_cause(ctx, 3);
    gort_sleep(5 * T_MS);
    if (gort_ctx_err(ctx) == GORT_ECANCELED)
        CHECK_EQ(gort_ctx_cause(ctx), 3);
    else /* the machine was busy for 2 ms */
        CHECK_EQ(gort_ctx_cause(ctx), GORT_ETIMEDOUT);
    gort_ctx_release(ctx);
    ctx = gort_ctx_with_timeout(gort_ctx_background(), T_PATIENCE);
    gort_ctx_cancel_cause(ctx, 3);
    CHECK_EQ(gort_ctx_err(ctx), GORT_ECANCELED);
    CHECK_EQ(gort_ctx_cause(ctx), 3);
    gort_ctx_release(ctx);
}

static void values_are_found_by_the_address_of_their_key(void) {
    int one = 1, two = 2;
    gort_ctx_t *a = gort_ctx_with_value(gort_ctx_background(), &key_a, &one);
    CHECK(gort_ctx_value(a, &key_a) == &one);
    CHECK(gort_ctx_value(a, &key_b) == NULL);
    CHECK(gort_ctx_value(a, NULL) == NULL);
    gort_ctx_t *b = gort_ctx_with_value(a, &key_b, &two);
    gort_ctx_t *shadow = gort_ctx_with_value(b, &key_a, &two);
    gort_ctx_t *hidden = gort_ctx_with_value(shadow, &key_a, NULL);
    CHECK(gort_ctx_value(b, &key_a) == &one && gort_ctx_value(b, &key_b) == &two);
    CHECK(gort_ctx_value(shadow, &key_a) == &two && gort_ctx_value(shadow, &key_b) == &two);
    CHECK(gort_ctx_value(hidden, &key_a) == NULL);
    CHECK(gort_ctx_value(a, &key_a) == &one);
    CHECK(gort_ctx_with_value(a, NULL, &one) == NULL);
    gort_ctx_cancel(a); /* has no cancel of its own */
    CHECK_EQ(gort_ctx_err(a), GORT_OK);
    CHECK(gort_ctx_done(shadow) == NULL);
    gort_ctx_release(a);
    gort_ctx_release(b);
    gort_ctx_release(shadow);
    CHECK(gort_ctx_value(hidden, &key_b) == &two);
    gort_ctx_release(hidden);
}

struct observer {
    gort_ctx_t *ctx;
    int err, cause;
};

static void observe(void *arg) {
    struct observer *o = arg;
    CHECK_EQ(gort_chan_recv(gort_ctx_done(o->ctx), NULL), GORT_ECLOSED);
    o->err = gort_ctx_err(o->ctx);
    o->cause = gort_ctx_cause(o->ctx);
    gort_ctx_release(o->ctx);
}

static void who_sees_done_sees_err_and_cause(void) {
    enum { N = 50 };
    int64_t until = 0;
    for (long round = 0; t_again(round, 200, &until); round++) {
        struct observer observers[N];
        gort_waitgroup_t all = {0};
        gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
        for (int i = 0; i < N; i++) {
            observers[i].ctx = gort_ctx_retain(ctx);
            if (i < 2)
                t_go_thread(&all, observe, &observers[i]);
            else
                t_go(&all, observe, &observers[i]);
        }
        if (round % 2)
            gort_yield();
        gort_ctx_cancel_cause(ctx, (int)round + 1);
        gort_ctx_release(ctx);
        gort_waitgroup_wait(&all);
        for (int i = 0; i < N; i++) {
            CHECK_EQ(observers[i].err, GORT_ECANCELED);
            CHECK_EQ(observers[i].cause, round + 1);
        }
    }
}

/* Done is one moment: whoever gets an error finds the channel closed, and the other way round. */
static void look(void *arg) {
    gort_ctx_t *ctx = arg;
    gort_chan_t *done = gort_ctx_done(ctx);
    for (;;) {
        if (gort_ctx_err(ctx) != GORT_OK) {
            CHECK_EQ(gort_chan_try_recv(done, NULL), GORT_ECLOSED);
            return;
        }
        if (gort_chan_try_recv(done, NULL) == GORT_ECLOSED) {
            CHECK_EQ(gort_ctx_err(ctx), GORT_ECANCELED);
            return;
        }
        gort_yield();
    }
}

static void err_and_the_channel_agree(void) {
    int64_t until = 0;
    for (long round = 0; t_again(round, 2000, &until); round++) {
        gort_waitgroup_t all = {0};
        gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
        t_go(&all, look, ctx);
        t_go(&all, look, ctx);
        for (long i = round % 7; i > 0; i--)
            gort_yield();
        gort_ctx_cancel(ctx);
        gort_waitgroup_wait(&all);
        gort_ctx_release(ctx);
    }
}

static void wait_for_done(void *arg) {
    CHECK_EQ(gort_chan_recv(arg, NULL), GORT_ECLOSED);
    gort_chan_release(arg);
}

/* Releasing cancels nothing, but what would have ended the context still does. */
static void a_retained_done_channel_is_closed_after_the_release(void) {
    gort_waitgroup_t all = {0};
    gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *timed = gort_ctx_with_timeout(gort_ctx_background(), 5 * T_MS);
    gort_ctx_t *child = gort_ctx_with_cancel(parent);
    gort_ctx_t *grandchild = gort_ctx_with_value(child, &key_a, NULL);
    gort_ctx_t *of[] = {timed, child, grandchild};
    for (size_t i = 0; i < T_LEN(of); i++)
        t_go(&all, wait_for_done, gort_chan_retain(gort_ctx_done(of[i])));
    for (size_t i = 0; i < T_LEN(of); i++)
        gort_ctx_release(of[i]);
    gort_sleep(T_MS);
    gort_ctx_cancel(parent);
    gort_ctx_release(parent);
    gort_waitgroup_wait(&all);
}

static void a_done_channel_outlives_its_context(void) {
    for (int cancel = 0; cancel < 2; cancel++) {
        gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
        gort_chan_t *done = gort_chan_retain(gort_ctx_done(ctx));
        if (cancel)
            gort_ctx_cancel(ctx);
        gort_ctx_release(ctx);
        CHECK_EQ(gort_chan_try_recv(done, NULL), cancel ? GORT_ECLOSED : GORT_EAGAIN);
        gort_chan_release(done);
    }
}

static void a_child_holds_its_parent(void) {
    int one = 1;
    gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *value = gort_ctx_with_value(parent, &key_a, &one);
    gort_ctx_t *child = gort_ctx_with_cancel(value);
    gort_ctx_t *handle = gort_ctx_retain(parent);
    gort_ctx_release(parent);
    gort_ctx_release(value);
    CHECK(gort_ctx_value(child, &key_a) == &one);
    CHECK_EQ(gort_ctx_err(child), GORT_OK);
    gort_ctx_cancel_cause(handle, 4);
    gort_ctx_release(handle);
    CHECK_EQ(gort_ctx_cause(child), 4);
    gort_ctx_release(child);
}

static void select_on_done_and_on_another(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 1);
    gort_ctx_t *ctx = gort_ctx_with_timeout(gort_ctx_background(), 2 * T_MS);
    int n = 0;
    gort_case_t cases[] = {
        {gort_ctx_done(ctx), NULL, GORT_RECV, 0},
        {ch, &n, GORT_RECV, 0},
        {gort_ctx_done(gort_ctx_background()), NULL, GORT_RECV, 0}, /* never */
    };
    CHECK_EQ(gort_select(cases, 3), 0);
    CHECK_EQ(cases[0].status, GORT_ECLOSED);
    CHECK_EQ(gort_ctx_err(ctx), GORT_ETIMEDOUT);
    gort_ctx_release(ctx);
    gort_chan_release(ch);
}

static void cancel_of_null(void) { gort_ctx_cancel(NULL); }
static void cancel_cause_of_null(void) { gort_ctx_cancel_cause(NULL, 1); }

static void null_to_a_void_function_is_fatal(void) {
    CHILD_DIES(cancel_of_null, "fatal error: gort_ctx_cancel: context is NULL");
    CHILD_DIES(cancel_cause_of_null, "fatal error: gort_ctx_cancel_cause: context is NULL");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(cancel_of_null);
    T_CHILD(cancel_cause_of_null);
    RUN_BOTH(the_background_is_never_done);
    RUN_BOTH(cancel_sets_err_and_cause_and_closes_done);
    RUN_BOTH(the_first_cancel_decides);
    RUN_BOTH(a_timeout_ends_it_and_never_early);
    RUN_BOTH(without_a_channel_a_timeout_ends_it_too);
    RUN_BOTH(a_deadline_in_the_past_ends_it_at_once);
    RUN_BOTH(forever_is_no_deadline);
    RUN_BOTH(cancel_comes_before_the_deadline);
    RUN_BOTH(values_are_found_by_the_address_of_their_key);
    RUN_BOTH(who_sees_done_sees_err_and_cause);
    RUN_BOTH(err_and_the_channel_agree);
    RUN_BOTH(a_retained_done_channel_is_closed_after_the_release);
    RUN_BOTH(a_done_channel_outlives_its_context);
    RUN_BOTH(a_child_holds_its_parent);
    RUN_BOTH(select_on_done_and_on_another);
    RUN(null_to_a_void_function_is_fatal);
    return t_end();
}
