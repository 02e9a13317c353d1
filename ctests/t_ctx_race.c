/* Cancel against release, against deadlines, against new children, from goroutines and threads. Every context is
 * seen done, for one reason, by all who look; memory is checked by whoever runs this under valgrind. */
#include "t.h"

static char key;

enum { MOST = 64 };

/* A tree that is built, cancelled and released by several at once. */
struct world {
    gort_mutex_t lock;
    gort_ctx_t *live[MOST]; /* a handle each, or NULL */
    gort_ctx_t *root;
    atomic_int stop, waiting, called, registered;
    long steps;
};

/* A handle to one of the live ones, or to the root. The caller releases it. */
static gort_ctx_t *pick(struct world *w, uint64_t *seed) {
    gort_mutex_lock(&w->lock);
    gort_ctx_t *ctx = w->live[t_random(seed) % MOST];
    ctx = gort_ctx_retain(ctx ? ctx : w->root);
    gort_mutex_unlock(&w->lock);
    return ctx;
}

static void put(struct world *w, uint64_t *seed, gort_ctx_t *ctx) {
    gort_mutex_lock(&w->lock);
    size_t at = t_random(seed) % MOST;
    gort_ctx_t *before = w->live[at];
    w->live[at] = ctx;
    gort_mutex_unlock(&w->lock);
    gort_ctx_release(before);
}

static void check_done(gort_ctx_t *ctx) {
    int err = gort_ctx_err(ctx), cause = gort_ctx_cause(ctx);
    CHECK(err == GORT_ECANCELED || err == GORT_ETIMEDOUT);
    CHECK(err == GORT_ETIMEDOUT ? cause == GORT_ETIMEDOUT : cause >= 1 && cause <= 9);
    CHECK_EQ(gort_chan_try_recv(gort_ctx_done(ctx), NULL), GORT_ECLOSED);
}

static void called(void *arg) { atomic_fetch_add(&((struct world *)arg)->called, 1); }

struct waiter {
    struct world *w;
    gort_chan_t *done;
};

/* Holds only the channel. */
static void wait_for_done(void *arg) {
    struct waiter *waiter = arg;
    CHECK_EQ(gort_chan_recv(waiter->done, NULL), GORT_ECLOSED);
    gort_chan_release(waiter->done);
    atomic_fetch_sub(&waiter->w->waiting, 1);
}

static void actor(void *arg) {
    struct world *w = arg;
    uint64_t seed = t_seed((uintptr_t)&seed);
    for (long i = 0; i < w->steps; i++) {
        gort_ctx_t *ctx = pick(w, &seed), *child = NULL;
        switch (t_random(&seed) % 12) {
        case 0: case 1: case 2:
            child = gort_ctx_with_cancel(ctx);
            break;
        case 3:
            child = gort_ctx_with_timeout(ctx, (int64_t)(t_random(&seed) % 300000));
            break;
        case 4:
            child = gort_ctx_with_timeout(ctx, T_PATIENCE);
            break;
        case 5:
            child = gort_ctx_with_value(ctx, &key, &key);
            CHECK(gort_ctx_value(child, &key) == &key);
            break;
        case 6: case 7:
            if (ctx != w->root) {
                gort_ctx_cancel_cause(ctx, (int)(t_random(&seed) % 9) + 1);
                if (gort_ctx_value(ctx, &key) == NULL)
                    check_done(ctx); /* it is no value, so it has been cancelled now, by whomever */
            }
            break;
        case 8: {
            struct waiter waiter = {w, gort_chan_retain(gort_ctx_done(ctx))};
            atomic_fetch_add(&w->waiting, 1);
            CHECK_EQ(gort_spawn_copy(wait_for_done, &waiter, sizeof waiter), GORT_OK);
            break;
        }
        case 9: {
            uint64_t id;
            atomic_fetch_add(&w->registered, 1);
            CHECK_EQ(gort_ctx_after_func(ctx, called, w, &id), GORT_OK);
            if (t_random(&seed) % 2 && gort_ctx_after_func_stop(ctx, id))
                atomic_fetch_sub(&w->registered, 1);
            break;
        }
        case 10: {
            /* Asked before: one that is done has only children that are; but if it becomes so now, they follow. */
            bool done = gort_ctx_err(ctx) != 0;
            gort_ctx_t *below = gort_ctx_with_cancel(ctx);
            if (done)
                check_done(below);
            gort_ctx_cancel_cause(below, 1);
            check_done(below);
            gort_ctx_release(below);
            break;
        }
        default:
            if (gort_ctx_err(ctx))
                check_done(ctx);
            break;
        }
        if (child)
            put(w, &seed, child);
        gort_ctx_release(ctx);
        if (t_random(&seed) % 8 == 0)
            gort_yield();
    }
}

static void a_tree_is_built_cancelled_and_released_by_many(void) {
    int64_t until = 0;
    for (long round = 0; t_again(round, 60, &until); round++) {
        struct world w = {.root = gort_ctx_with_cancel(gort_ctx_background()), .steps = 300};
        gort_waitgroup_t all = {0};
        for (int i = 0; i < 6; i++)
            if (i < 2)
                t_go_thread(&all, actor, &w);
            else
                t_go(&all, actor, &w);
        if (round % 2) { /* in the middle of it */
            gort_sleep(T_MS / 4);
            gort_ctx_cancel_cause(w.root, 9);
        }
        gort_waitgroup_wait(&all);
        gort_ctx_cancel_cause(w.root, 9);
        for (int i = 0; i < MOST; i++)
            if (w.live[i]) {
                check_done(w.live[i]);
                gort_ctx_release(w.live[i]);
            }
        gort_ctx_release(w.root);
        EVENTUALLY(atomic_load(&w.waiting) == 0);
        EVENTUALLY(atomic_load(&w.called) == atomic_load(&w.registered));
    }
}

/* One family, a few moves each, all at the same moment. */
struct family {
    gort_ctx_t *parent, *child, *grandchild;
    gort_chan_t *done;
    gort_waitgroup_t start;
};

static void cancel_the_parent(void *arg) {
    struct family *f = arg;
    gort_waitgroup_wait(&f->start);
    gort_ctx_cancel_cause(f->parent, 1);
    check_done(f->grandchild);
    gort_ctx_release(f->parent);
}

static void cancel_the_child(void *arg) {
    struct family *f = arg;
    gort_waitgroup_wait(&f->start);
    gort_ctx_cancel_cause(f->child, 2);
    check_done(f->grandchild);
    gort_ctx_release(f->child);
}

static void let_the_channel_go(void *arg) {
    struct family *f = arg;
    gort_waitgroup_wait(&f->start);
    gort_chan_release(f->done);
}

static void be_born(void *arg) {
    struct family *f = arg;
    gort_waitgroup_wait(&f->start);
    gort_ctx_t *born = gort_ctx_with_timeout(f->grandchild, 50000);
    CHECK_EQ(gort_chan_recv(gort_ctx_done(born), NULL), GORT_ECLOSED);
    check_done(born);
    gort_ctx_release(born);
}

static void cancel_above_and_below_at_the_same_moment(void) {
    static void (*const moves[])(void *) = {cancel_the_parent, cancel_the_child, let_the_channel_go, be_born};
    int64_t until = 0;
    for (long round = 0; t_again(round, 3000, &until); round++) {
        struct family f = {.parent = gort_ctx_with_cancel(gort_ctx_background())};
        gort_waitgroup_t all = {0};
        f.child = gort_ctx_with_timeout(f.parent, round % 3 ? T_PATIENCE : 20000);
        f.grandchild = gort_ctx_with_cancel(f.child);
        gort_ctx_t *brother = gort_ctx_with_cancel(f.parent);
        f.done = gort_chan_retain(gort_ctx_done(brother));
        gort_waitgroup_add(&f.start, 1);
        for (size_t i = 0; i < T_LEN(moves); i++)
            if ((round + (long)i) % 4 == 0)
                t_go_thread(&all, moves[i], &f);
            else
                t_go(&all, moves[i], &f);
        gort_waitgroup_done(&f.start);
        gort_ctx_release(brother);
        gort_waitgroup_wait(&all);
        gort_ctx_release(f.grandchild);
    }
}

/* Whoever sees that it is done releases the last reference, while the cancel is on its way out. */
static void release_when_done(void *arg) {
    gort_ctx_t *ctx = arg;
    while (gort_ctx_err(ctx) == GORT_OK)
        gort_yield();
    gort_ctx_release(ctx);
}

static void cancel_it(void *arg) { gort_ctx_cancel(arg); }

static void the_observer_releases_the_last_reference(void) {
    int64_t until = 0;
    for (long round = 0; t_again(round, 5000, &until); round++) {
        gort_waitgroup_t all = {0};
        gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
        if (round % 3 == 0)
            gort_ctx_done(ctx);
        t_go(&all, release_when_done, ctx);
        if (round % 2)
            t_go(&all, cancel_it, ctx);
        else
            gort_ctx_cancel(ctx);
        gort_waitgroup_wait(&all);
    }
}

/* Deadlines that pass just when the context is released, or cancelled. */
static void deadlines_pass_while_they_are_released(void) {
    int64_t until = 0;
    uint64_t seed = t_seed(3);
    gort_ctx_t *root = gort_ctx_with_cancel(gort_ctx_background());
    for (long round = 0; t_again(round, 20000, &until); round++) {
        gort_ctx_t *ctx = gort_ctx_with_timeout(root, (int64_t)(t_random(&seed) % 20000));
        gort_ctx_t *child = gort_ctx_with_cancel(ctx);
        if (round % 4 == 0)
            gort_ctx_done(child);
        gort_ctx_release(ctx);
        if (t_random(&seed) % 2)
            gort_yield();
        for (uint64_t spin = t_random(&seed) % 3000; spin > 0; spin--)
            atomic_signal_fence(memory_order_seq_cst);
        if (round % 2)
            gort_ctx_cancel_cause(child, 1);
        gort_ctx_release(child);
    }
    gort_ctx_release(root);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(a_tree_is_built_cancelled_and_released_by_many);
    RUN_BOTH(cancel_above_and_below_at_the_same_moment);
    RUN_BOTH(the_observer_releases_the_last_reference);
    RUN_BOTH(deadlines_pass_while_they_are_released);
    return t_end();
}
