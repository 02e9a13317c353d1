/* gort_ctx_after_func: started once and in a goroutine of its own when the context is done, or stopped. */
#include "t.h"

static char key;

struct call {
    atomic_int calls;
    gort_ctx_t *ctx;
    int err;
    bool in_goroutine;
    uint64_t id;
};

static void note(void *arg) {
    struct call *call = arg;
    call->in_goroutine = gort_in_goroutine();
    if (call->ctx)
        call->err = gort_ctx_err(call->ctx);
    atomic_fetch_add(&call->calls, 1);
}

static void count(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

static void it_runs_once_the_context_is_done(void) {
    gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *child = gort_ctx_with_cancel(ctx);
    gort_ctx_t *value = gort_ctx_with_value(child, &key, NULL);
    struct call calls[3] = {{.ctx = ctx}, {.ctx = child}, {.ctx = value}};
    for (int i = 0; i < 3; i++)
        CHECK_EQ(gort_ctx_after_func(calls[i].ctx, note, &calls[i], &calls[i].id), GORT_OK);
    CHECK(calls[0].id != calls[1].id && calls[1].id != calls[2].id && calls[0].id != 0);
    gort_sleep(2 * T_MS);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(atomic_load(&calls[i].calls), 0);
    gort_ctx_cancel(ctx);
    for (int i = 0; i < 3; i++) {
        EVENTUALLY(atomic_load(&calls[i].calls) == 1);
        CHECK(calls[i].in_goroutine);
        CHECK_EQ(calls[i].err, GORT_ECANCELED);
        CHECK(!gort_ctx_after_func_stop(calls[i].ctx, calls[i].id));
    }
    gort_ctx_cancel(ctx);
    gort_sleep(T_MS);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(atomic_load(&calls[i].calls), 1);
        gort_ctx_release(calls[i].ctx);
    }
}

static void of_a_done_context_it_runs_at_once(void) {
    gort_ctx_t *ctx = gort_ctx_with_timeout(gort_ctx_background(), 0);
    struct call call = {.ctx = ctx};
    CHECK_EQ(gort_ctx_after_func(ctx, note, &call, &call.id), GORT_OK);
    CHECK(call.id != 0);
    EVENTUALLY(atomic_load(&call.calls) == 1);
    CHECK_EQ(call.err, GORT_ETIMEDOUT);
    CHECK(!gort_ctx_after_func_stop(ctx, call.id));
    gort_ctx_release(ctx);
}

static void a_deadline_starts_it(void) {
    gort_ctx_t *ctx = gort_ctx_with_timeout(gort_ctx_background(), 2 * T_MS);
    struct call call = {.ctx = ctx};
    CHECK_EQ(gort_ctx_after_func(ctx, note, &call, NULL), GORT_OK);
    EVENTUALLY(atomic_load(&call.calls) == 1);
    CHECK(gort_now() >= gort_ctx_deadline(ctx));
    CHECK_EQ(call.err, GORT_ETIMEDOUT);
    gort_ctx_release(ctx);
}

static void stopped_it_does_not_run(void) {
    enum { N = 100 };
    atomic_int calls = 0;
    uint64_t ids[N];
    gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *other = gort_ctx_with_cancel(gort_ctx_background());
    for (int i = 0; i < N; i++)
        CHECK_EQ(gort_ctx_after_func(ctx, count, &calls, &ids[i]), GORT_OK);
    for (int i = 0; i < N; i += 2) {
        int at = i * 37 % N; /* even, in no order */
        CHECK(!gort_ctx_after_func_stop(other, ids[at]));
        CHECK(gort_ctx_after_func_stop(ctx, ids[at]));
        CHECK(!gort_ctx_after_func_stop(ctx, ids[at]));
    }
    CHECK(!gort_ctx_after_func_stop(ctx, 0));
    CHECK(!gort_ctx_after_func_stop(ctx, UINT64_MAX));
    gort_ctx_cancel(ctx);
    EVENTUALLY(atomic_load(&calls) == N / 2);
    gort_sleep(T_MS);
    CHECK_EQ(atomic_load(&calls), N / 2);
    for (int i = 0; i < N; i++)
        CHECK(!gort_ctx_after_func_stop(ctx, ids[i]));
    gort_ctx_release(ctx);
    gort_ctx_release(other);
}

static void never_done_it_never_runs(void) {
    atomic_int calls = 0;
    gort_ctx_t *root = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *value = gort_ctx_with_value(gort_ctx_background(), &key, NULL);
    gort_ctx_t *shield = gort_ctx_without_cancel(root);
    gort_ctx_t *of[] = {gort_ctx_background(), value, shield};
    for (size_t i = 0; i < T_LEN(of); i++) {
        uint64_t id = 0;
        CHECK_EQ(gort_ctx_after_func(of[i], count, &calls, &id), GORT_OK);
        CHECK(id != 0);
        CHECK(!gort_ctx_after_func_stop(of[i], 1));
        CHECK(gort_ctx_after_func_stop(of[i], id));
    }
    gort_ctx_cancel(root);
    gort_sleep(T_MS);
    CHECK_EQ(atomic_load(&calls), 0);
    gort_ctx_release(value);
    gort_ctx_release(shield);
    gort_ctx_release(root);
}

/* The context was released: its deadline, or its parent, still starts the functions. */
static void a_released_context_still_starts_it(void) {
    atomic_int calls = 0;
    gort_ctx_t *root = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *child = gort_ctx_with_cancel(root);
    gort_ctx_t *timed = gort_ctx_with_timeout(gort_ctx_background(), 3 * T_MS);
    CHECK_EQ(gort_ctx_after_func(child, count, &calls, NULL), GORT_OK);
    CHECK_EQ(gort_ctx_after_func(timed, count, &calls, NULL), GORT_OK);
    gort_ctx_release(child);
    gort_ctx_release(timed);
    EVENTUALLY(atomic_load(&calls) == 1);
    gort_ctx_cancel(root);
    EVENTUALLY(atomic_load(&calls) == 2);
    gort_ctx_release(root);
}

struct release {
    gort_ctx_t *ctx;
    uint64_t other;
    atomic_int done;
};

static void use_and_release(void *arg) {
    struct release *r = arg;
    gort_ctx_after_func_stop(r->ctx, r->other); /* true or false, as it comes */
    gort_ctx_cancel(r->ctx);
    CHECK_EQ(gort_ctx_err(r->ctx), GORT_ECANCELED);
    gort_ctx_release(r->ctx);
    atomic_store(&r->done, 1);
}

static void it_may_use_and_release_its_context(void) {
    for (int i = 0; i < 200; i++) {
        struct release r = {.ctx = gort_ctx_with_cancel(gort_ctx_background())};
        atomic_int calls = 0;
        gort_ctx_t *handle = gort_ctx_retain(r.ctx);
        CHECK_EQ(gort_ctx_after_func(r.ctx, count, &calls, &r.other), GORT_OK);
        CHECK_EQ(gort_ctx_after_func(r.ctx, use_and_release, &r, NULL), GORT_OK);
        gort_ctx_cancel(handle);
        gort_ctx_release(handle);
        EVENTUALLY(atomic_load(&r.done) == 1 && atomic_load(&calls) == 1);
    }
}

struct race {
    gort_ctx_t *ctx;
    atomic_int calls, stopped, failed;
    long funcs;
};

static void stop_some(void *arg) {
    struct race *race = arg;
    uint64_t seed = t_seed((uintptr_t)&seed);
    for (long i = 0; i < race->funcs; i++) {
        uint64_t id;
        CHECK_EQ(gort_ctx_after_func(race->ctx, count, &race->calls, &id), GORT_OK);
        if (t_random(&seed) % 4 == 0)
            gort_yield();
        if (t_random(&seed) % 2 == 0 && gort_ctx_after_func_stop(race->ctx, id))
            atomic_fetch_add(&race->stopped, 1);
    }
}

/* Each function is started or stopped, and not both. */
static void each_is_started_or_stopped(void) {
    enum { ADDERS = 6 };
    int64_t until = 0;
    for (long round = 0; t_again(round, 300, &until); round++) {
        struct race race = {.ctx = gort_ctx_with_cancel(gort_ctx_background()), .funcs = 40};
        gort_waitgroup_t all = {0};
        for (int i = 0; i < ADDERS; i++)
            if (i < 2)
                t_go_thread(&all, stop_some, &race);
            else
                t_go(&all, stop_some, &race);
        for (long i = round % 50; i > 0; i--)
            gort_yield();
        gort_ctx_cancel(race.ctx);
        gort_waitgroup_wait(&all);
        long expected = ADDERS * race.funcs - atomic_load(&race.stopped);
        EVENTUALLY(atomic_load(&race.calls) >= expected);
        CHECK_EQ(atomic_load(&race.calls), expected);
        gort_ctx_release(race.ctx);
    }
}

static void many_are_stopped_in_any_order(void) {
    enum { N = 100000 };
    static uint64_t ids[N];
    atomic_int calls = 0;
    uint64_t seed = t_seed(1);
    long n = t_n(N, 10000);
    gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_ctx_after_func(ctx, count, &calls, &ids[i]), GORT_OK);
    for (long i = n - 1; i > 0; i--) {
        long j = (long)(t_random(&seed) % (uint64_t)(i + 1));
        uint64_t id = ids[i];
        ids[i] = ids[j];
        ids[j] = id;
    }
    for (long i = 0; i < n - 5; i++)
        CHECK(gort_ctx_after_func_stop(ctx, ids[i]));
    gort_ctx_cancel(ctx);
    EVENTUALLY(atomic_load(&calls) == 5);
    gort_ctx_release(ctx);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(it_runs_once_the_context_is_done);
    RUN_BOTH(of_a_done_context_it_runs_at_once);
    RUN_BOTH(a_deadline_starts_it);
    RUN_BOTH(stopped_it_does_not_run);
    RUN_BOTH(never_done_it_never_runs);
    RUN_BOTH(a_released_context_still_starts_it);
    RUN_BOTH(it_may_use_and_release_its_context);
    RUN_BOTH(each_is_started_or_stopped);
    RUN_BOTH(many_are_stopped_in_any_order);
    return t_end();
}
