/* What the tests of lanes share: a lane whose hooks check that they come in order and balanced.
 *
 * The one thing to know: every thread of a lane says so in a thread-local, and every hook checks what came before it on its
 * thread and, for goroutines, what came before it for its goroutine. */
#ifndef GORT_CTESTS_T_LANE_H
#define GORT_CTESTS_T_LANE_H

#include "t.h"

enum { T_OFF, T_IDLE, T_BUSY, T_RUNS };

struct t_lane {
    gort_lane_t *lane;
    unsigned limit;
    bool strict;
    atomic_int threads; /* that have started and not ended */
    atomic_int started; /* ever */
    atomic_int busy, most_busy;
    atomic_int runs, most_runs;
    atomic_int goroutines; /* that have started and not ended */
};

/* A goroutine of such a lane is spawned with a pointer to this, or to what begins with it. */
struct t_lane_go {
    struct t_lane *lane;
    bool keeps;       /* what keeps_thread says */
    atomic_int state; /* 0: has not begun, 1: on a thread, 2: away, 3: ended */
    atomic_long tid;  /* of its last turn */
    atomic_int moves; /* how often it has changed its thread */
    atomic_int turns;
    gort_fn_t fn;
    void *arg;
    gort_waitgroup_t *done;
};

static _Thread_local struct t_lane *t_lane_mine;
static _Thread_local int t_lane_state;

static inline void t_lane_most(atomic_int *most, int now) {
    int seen = atomic_load(most);
    while (seen < now && !atomic_compare_exchange_weak(most, &seen, now))
        ;
}

static inline void t_lane_thread_start(void *data) {
    struct t_lane *l = data;
    CHECK(!gort_in_goroutine());
    CHECK(t_lane_mine == NULL && t_lane_state == T_OFF);
    t_lane_mine = l;
    t_lane_state = T_IDLE;
    atomic_fetch_add(&l->threads, 1);
    atomic_fetch_add(&l->started, 1);
}

static inline void t_lane_thread_busy(void *data) {
    struct t_lane *l = data;
    CHECK(t_lane_mine == l && t_lane_state == T_IDLE);
    t_lane_state = T_BUSY;
    int busy = atomic_fetch_add(&l->busy, 1) + 1;
    t_lane_most(&l->most_busy, busy);
    if (l->strict)
        CHECK(busy <= (int)l->limit);
}

static inline void t_lane_thread_idle(void *data) {
    struct t_lane *l = data;
    CHECK(t_lane_mine == l && t_lane_state == T_BUSY);
    t_lane_state = T_IDLE;
    atomic_fetch_sub(&l->busy, 1);
}

static inline void t_lane_thread_end(void *data) {
    struct t_lane *l = data;
    CHECK(t_lane_mine == l && t_lane_state == T_IDLE);
    t_lane_state = T_OFF;
    t_lane_mine = NULL;
    atomic_fetch_sub(&l->threads, 1);
}

static inline void t_lane_turn(struct t_lane *l, struct t_lane_go *g, int from) {
    CHECK(!gort_in_goroutine());
    CHECK(gort_id() == 0 && gort_lane_current() == NULL);
    CHECK(g->lane == l && t_lane_mine == l && t_lane_state == T_BUSY);
    t_lane_state = T_RUNS;
    int was = atomic_exchange(&g->state, 1);
    CHECK_EQ(was, from);
    long tid = t_tid();
    if (from == 2 && atomic_load(&g->tid) != tid)
        atomic_fetch_add(&g->moves, 1);
    atomic_store(&g->tid, tid);
    atomic_fetch_add(&g->turns, 1);
    int runs = atomic_fetch_add(&l->runs, 1) + 1;
    t_lane_most(&l->most_runs, runs);
    if (l->strict)
        CHECK(runs <= (int)l->limit);
}

static inline void t_lane_away(struct t_lane *l, struct t_lane_go *g, int to) {
    CHECK(!gort_in_goroutine());
    CHECK(g->lane == l && t_lane_mine == l && t_lane_state == T_RUNS);
    CHECK_EQ(atomic_load(&g->tid), t_tid());
    t_lane_state = T_BUSY;
    atomic_fetch_sub(&l->runs, 1);
    int was = atomic_exchange(&g->state, to);
    CHECK_EQ(was, 1);
}

static inline void t_lane_goroutine_start(void *data, void *arg) {
    atomic_fetch_add(&((struct t_lane *)data)->goroutines, 1);
    t_lane_turn(data, arg, 0);
}

static inline void t_lane_goroutine_resume(void *data, void *arg) { t_lane_turn(data, arg, 2); }

static inline void t_lane_goroutine_leave(void *data, void *arg) { t_lane_away(data, arg, 2); }

static inline void t_lane_goroutine_end(void *data, void *arg) {
    struct t_lane_go *g = arg;
    gort_waitgroup_t *done = g->done;
    t_lane_away(data, g, 3);
    atomic_fetch_sub(&((struct t_lane *)data)->goroutines, 1);
    free(g);
    gort_waitgroup_done(done);
}

static inline bool t_lane_keeps_thread(void *data, void *arg) {
    struct t_lane_go *g = arg;
    CHECK(g->lane == data && t_lane_mine == data && t_lane_state == T_RUNS);
    return g->keeps;
}

static inline void t_lane_open(struct t_lane *l, unsigned limit, bool strict) {
    *l = (struct t_lane){.limit = limit, .strict = strict};
    gort_lane_hooks_t hooks = GORT_LANE_HOOKS_INIT;
    hooks.thread_start = t_lane_thread_start;
    hooks.thread_busy = t_lane_thread_busy;
    hooks.thread_idle = t_lane_thread_idle;
    hooks.thread_end = t_lane_thread_end;
    hooks.goroutine_start = t_lane_goroutine_start;
    hooks.goroutine_resume = t_lane_goroutine_resume;
    hooks.goroutine_leave = t_lane_goroutine_leave;
    hooks.goroutine_end = t_lane_goroutine_end;
    hooks.keeps_thread = t_lane_keeps_thread;
    gort_lane_options_t opts = GORT_LANE_OPTIONS_INIT;
    opts.limit = limit;
    opts.flags = strict ? GORT_LANE_STRICT : 0;
    opts.hooks = &hooks;
    opts.data = l;
    opts.name = "t-lane";
    l->lane = gort_lane_new(&opts);
    CHECK(l->lane != NULL);
}

static inline void t_lane_body(void *arg) {
    struct t_lane_go *g = arg;
    CHECK(gort_in_goroutine());
    CHECK(gort_lane_current() == g->lane->lane);
    CHECK(t_lane_mine == g->lane && t_lane_state == T_RUNS);
    g->fn(g->arg);
    CHECK(t_lane_mine == g->lane && t_lane_state == T_RUNS);
}

/* Start fn(arg) in a lane; `done` is told when it has ended. */
static inline void t_lane_go_with(struct t_lane *l, gort_waitgroup_t *done, gort_fn_t fn, void *arg, bool keeps,
                                  uint32_t flags) {
    struct t_lane_go *g = calloc(1, sizeof *g);
    CHECK(g != NULL);
    g->lane = l;
    g->keeps = keeps;
    g->fn = fn;
    g->arg = arg;
    g->done = done;
    gort_waitgroup_add(done, 1);
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.lane = l->lane;
    opts.flags = flags;
    CHECK_EQ(gort_spawn_with(&opts, t_lane_body, g), GORT_OK);
}

static inline void t_lane_go(struct t_lane *l, gort_waitgroup_t *done, gort_fn_t fn, void *arg) {
    t_lane_go_with(l, done, fn, arg, false, 0);
}

/* Close it; all hooks are balanced then. */
static inline void t_lane_close(struct t_lane *l) {
    CHECK_EQ(gort_lane_close(l->lane, gort_now() + T_PATIENCE), GORT_OK);
    CHECK_EQ(atomic_load(&l->threads), 0);
    CHECK_EQ(atomic_load(&l->busy), 0);
    CHECK_EQ(atomic_load(&l->runs), 0);
    gort_lane_release(l->lane);
}

/* For a goroutine: it is on no thread of a lane's. */
static inline void t_lane_check_ordinary(void) {
    CHECK(t_lane_mine == NULL);
    CHECK(gort_lane_current() == NULL);
}

#endif
