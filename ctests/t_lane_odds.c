/* Lanes at odd moments: closing one while nobody else runs, hooks that take long, exit. */
#include "t_lane.h"

static void nothing(void *arg) { (void)arg; }

/* ---- whoever waits for the end of a lane's threads is in no deadlock ---- */

static int close_lanes(void *arg) {
    for (int i = 0; i < (int)t_n(300, 60); i++) {
        struct t_lane l;
        gort_waitgroup_t done = {0};
        t_lane_open(&l, 2, i % 2);
        t_lane_go(&l, &done, nothing, NULL);
        t_lane_go_with(&l, &done, nothing, NULL, true, 0);
        gort_waitgroup_wait(&done);
        if (i % 4 == 3)
            EVENTUALLY(atomic_load(&l.busy) == 0); /* its threads sleep, or are about to */
        CHECK_EQ(gort_lane_close(l.lane, GORT_FOREVER), GORT_OK);
        CHECK_EQ(atomic_load(&l.threads), 0);
        gort_lane_release(l.lane);
    }
    (void)arg;
    return 0;
}

static void close_and_nothing_else(void) { CHECK_EQ(gort_main(close_lanes, NULL), 0); }

static void waiting_for_the_end_of_a_lane_is_no_deadlock(void) { CHILD_EXITS(close_and_nothing_else, 0); }

/* ---- all free slots are given to what waits behind a goroutine that keeps its thread ---- */

static struct {
    struct t_lane l;
    gort_chan_t *ch;
    atomic_int idle, met, left;
    atomic_bool hold, let;
} m;

static void slow_idle(void *data) {
    t_lane_thread_idle(data);
    if (atomic_load(&m.hold)) {
        atomic_fetch_add(&m.idle, 1);
        struct timespec nap = {0, 100000};
        while (!atomic_load(&m.let))
            nanosleep(&nap, NULL);
    }
}

static void meet(void *arg) {
    struct timespec nap = {0, 100000};
    atomic_fetch_add(&m.met, 1);
    /* All four at once: each on a slot of its own. */
    while (atomic_load(&m.met) < 4)
        nanosleep(&nap, NULL);
    (void)arg;
}

static void receive_and_meet(void *arg) {
    CHECK_EQ(gort_chan_recv(m.ch, NULL), GORT_OK);
    meet(arg);
}

static void behind_one_that_keeps_its_thread(void) {
    gort_waitgroup_t done = {0};
    atomic_store(&m.met, 0);
    atomic_store(&m.idle, 0);
    atomic_store(&m.hold, true);
    atomic_store(&m.let, false);
    m.l = (struct t_lane){.limit = 4, .strict = true};
    m.ch = gort_chan_new(0, 0);
    gort_lane_hooks_t hooks = GORT_LANE_HOOKS_INIT;
    hooks.thread_start = t_lane_thread_start;
    hooks.thread_busy = t_lane_thread_busy;
    hooks.thread_idle = slow_idle;
    hooks.thread_end = t_lane_thread_end;
    hooks.goroutine_start = t_lane_goroutine_start;
    hooks.goroutine_resume = t_lane_goroutine_resume;
    hooks.goroutine_leave = t_lane_goroutine_leave;
    hooks.goroutine_end = t_lane_goroutine_end;
    hooks.keeps_thread = t_lane_keeps_thread;
    gort_lane_options_t opts = GORT_LANE_OPTIONS_INIT;
    opts.limit = 4;
    opts.flags = GORT_LANE_STRICT;
    opts.hooks = &hooks;
    opts.data = &m.l;
    CHECK((m.l.lane = gort_lane_new(&opts)) != NULL);
    t_lane_go_with(&m.l, &done, receive_and_meet, NULL, true, 0);
    /* It has parked, and its thread is about to give its slot up. */
    EVENTUALLY(atomic_load(&m.idle) == 1);
    CHECK_EQ(gort_chan_send(m.ch, NULL), GORT_OK);
    for (int i = 0; i < 3; i++)
        t_lane_go(&m.l, &done, meet, NULL);
    atomic_store(&m.hold, false);
    atomic_store(&m.let, true);
    gort_waitgroup_wait(&done);
    t_lane_close(&m.l);
    gort_chan_release(m.ch);
}

static void what_waits_behind_a_kept_thread_gets_every_free_slot(void) {
    for (int i = 0; i < (int)t_n(50, 10); i++)
        behind_one_that_keeps_its_thread();
}

/* ---- exit ---- */

static struct t_lane late;

static void close_late(void) {
    /* Its threads have stopped for good. */
    CHECK_EQ(gort_lane_close(late.lane, GORT_FOREVER), GORT_ETIMEDOUT);
    CHECK_EQ(gort_lane_close(late.lane, gort_now() + T_PATIENCE), GORT_ETIMEDOUT);
    gort_lane_release(late.lane);
    _exit(9);
}

static void yield_for_ever(void *arg) {
    (void)arg;
    for (;;)
        gort_yield();
}

static void never(void *arg) {
    struct t_lane *l = arg;
    gort_waitgroup_t *done = calloc(1, sizeof *done);
    t_lane_go(l, done, yield_for_ever, NULL);
}

static void exit_and_close(void) {
    atexit(close_late); /* before the runtime starts: so called after it was stopped */
    t_lane_open(&late, 2, false);
    never(&late);
    EVENTUALLY(atomic_load(&late.goroutines) == 1);
    exit(3);
}

static void call_exit(void *arg) {
    (void)arg;
    exit(3);
}

static void exit_within_and_close(void) {
    atexit(close_late);
    t_lane_open(&late, 2, false);
    gort_waitgroup_t *done = calloc(1, sizeof *done);
    never(&late);
    t_lane_go(&late, done, call_exit, NULL);
    for (;;)
        pause();
}

static void a_lane_can_be_closed_when_the_process_exits(void) {
    for (int i = 0; i < 3; i++) {
        CHILD_EXITS(exit_and_close, 9);
        CHILD_EXITS(exit_within_and_close, 9);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(close_and_nothing_else);
    T_CHILD(exit_and_close);
    T_CHILD(exit_within_and_close);
    RUN(waiting_for_the_end_of_a_lane_is_no_deadlock);
    RUN(what_waits_behind_a_kept_thread_gets_every_free_slot);
    RUN(a_lane_can_be_closed_when_the_process_exits);
    return t_end();
}
