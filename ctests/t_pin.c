/* gort_pin_thread: a goroutine that keeps its OS thread for a while and shares it. */
#include "t.h"

static void pin_in_vain(void) {
    gort_unpin_thread();
    gort_pin_thread();
    gort_unpin_thread();
    gort_unpin_thread();
}

static void park_somehow(uint64_t *random) {
    switch (t_random(random) % 3) {
    case 0: gort_yield(); break;
    case 1: gort_sleep((int64_t)(t_random(random) % 200000)); break;
    default:
        for (int i = 0; i < 20; i++)
            gort_yield();
    }
}

struct common {
    atomic_int stop;
    atomic_int shared;      /* goroutines that met the pinned one on its thread */
    atomic_long pinned_tid; /* its thread */
    gort_chan_t *go_on;
};

static void pin_nested(void *arg) {
    (void)arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long round = 0; round < t_n(20, 5); round++) {
        int depth = round == 0 ? 1000 : 1 + (int)(t_random(&random) % 3);
        for (int i = 0; i < depth; i++)
            gort_pin_thread();
        long tid = t_tid();
        for (int i = 0; i < depth; i++) { /* it holds until the last one is undone */
            if (i < 3 || i > depth - 3)
                park_somehow(&random);
            CHECK_EQ(t_tid(), tid);
            gort_unpin_thread();
        }
        pin_in_vain();
        park_somehow(&random);
    }
}

static void roam(void *arg) {
    struct common *c = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    while (!atomic_load(&c->stop))
        park_somehow(&random);
}

static void a_goroutine_keeps_its_thread_until_the_last_unpin(void) {
    struct common c = {0};
    gort_waitgroup_t done = {0}, roamers = {0};
    for (int i = 0; i < 4; i++)
        t_go(&roamers, roam, &c);
    for (int i = 0; i < 10; i++)
        t_go(&done, pin_nested, NULL);
    gort_waitgroup_wait(&done);
    atomic_store(&c.stop, 1);
    gort_waitgroup_wait(&roamers);
    pin_in_vain();
}

/* ---- it shares the thread ---- */

static void look_for_the_pinned_one(void *arg) {
    struct common *c = arg;
    if (t_tid() == atomic_load(&c->pinned_tid))
        atomic_fetch_add(&c->shared, 1);
}

static void stay_until_met(void *arg) {
    struct common *c = arg;
    gort_waitgroup_t others = {0};
    gort_pin_thread();
    atomic_store(&c->pinned_tid, t_tid());
    while (!atomic_load(&c->shared)) {
        t_go(&others, look_for_the_pinned_one, c); /* it mostly runs here, when this one leaves */
        gort_waitgroup_wait(&others);
        CHECK_EQ(t_tid(), atomic_load(&c->pinned_tid));
    }
    gort_unpin_thread();
}

static void others_run_on_the_thread_of_a_pinned_goroutine(void) {
    struct common c = {0};
    gort_waitgroup_t done = {0};
    t_go(&done, stay_until_met, &c);
    gort_waitgroup_wait(&done);
}

/* ---- what is left behind ---- */

static void pin_and_wait(void *arg) {
    struct common *c = arg;
    gort_pin_thread();
    long tid = t_tid();
    atomic_fetch_add(&c->shared, 1);
    CHECK_EQ(gort_chan_recv(c->go_on, NULL), GORT_ECLOSED);
    CHECK_EQ(t_tid(), tid);
    gort_unpin_thread();
}

static void end_pinned(void *arg) {
    (void)arg;
    gort_pin_thread();
    gort_pin_thread();
    gort_yield();
}

static void exit_pinned_and_locked(void *arg) {
    (void)arg;
    gort_pin_thread();
    gort_lock_thread();
    gort_yield();
    gort_exit();
}

static void end_locked_and_pinned(void *arg) {
    (void)arg;
    gort_lock_thread();
    gort_pin_thread();
    gort_yield();
}

static void who_ends_pinned_takes_no_thread_from_others(void) {
    struct common c = {.go_on = gort_chan_new(0, 0)};
    gort_waitgroup_t waiting = {0}, done = {0};
    for (int i = 0; i < 16; i++)
        t_go(&waiting, pin_and_wait, &c);
    EVENTUALLY(atomic_load(&c.shared) == 16);
    for (int i = 0; i < 16; i++) {
        t_go(&done, end_pinned, NULL);
        t_go(&done, exit_pinned_and_locked, NULL);
        t_go(&done, end_locked_and_pinned, NULL);
    }
    gort_waitgroup_wait(&done);
    CHECK_EQ(gort_chan_close(c.go_on), GORT_OK);
    gort_waitgroup_wait(&waiting);
    gort_chan_release(c.go_on);
}

/* A worker with pinned goroutines cannot be locked in place: gort_lock_thread moves the caller to another. So where
 * the caller finds itself tells whether anybody counts as pinned to its thread. */
static bool lock_moves(void) {
    long tid = t_tid();
    gort_lock_thread();
    bool moved = t_tid() != tid;
    gort_unlock_thread();
    return moved;
}

static void leave_nothing_pinned(void *arg) {
    (void)arg;
    CHECK(!lock_moves());
    gort_pin_thread();
    CHECK(!lock_moves()); /* it must stay, pinned as it is */
    gort_unpin_thread();
    CHECK(!lock_moves());

    gort_lock_thread();
    gort_pin_thread();
    long tid = t_tid();
    gort_unlock_thread(); /* pinned from here on, no longer locked */
    gort_yield();
    CHECK_EQ(t_tid(), tid);
    gort_unpin_thread();
    CHECK(!lock_moves());

    gort_pin_thread();
    gort_lock_thread();
    tid = t_tid();
    gort_unpin_thread(); /* held by the lock alone */
    gort_yield();
    CHECK_EQ(t_tid(), tid);
    gort_unlock_thread();
    CHECK(!lock_moves());

    gort_lock_thread();
    gort_pin_thread();
    tid = t_tid();
    gort_unpin_thread(); /* locked as before */
    gort_yield();
    CHECK_EQ(t_tid(), tid);
    gort_unlock_thread();
    CHECK(!lock_moves());
}

static void pinning_and_locking_undo_each_other_in_any_order(void) {
    for (int i = 0; i < 3; i++) {
        gort_waitgroup_t done = {0};
        t_go(&done, end_pinned, NULL);
        gort_waitgroup_wait(&done);
        t_go(&done, leave_nothing_pinned, NULL);
        gort_waitgroup_wait(&done);
        t_go(&done, exit_pinned_and_locked, NULL);
        gort_waitgroup_wait(&done);
    }
}

static void lock_beside_a_pinned_one(void *arg) {
    struct common *c = arg;
    bool same = t_tid() == atomic_load(&c->pinned_tid);
    CHECK_EQ(lock_moves(), same);
    if (same)
        atomic_store(&c->shared, 1);
}

static void pin_and_be_locked_beside(void *arg) {
    struct common *c = arg;
    gort_waitgroup_t done = {0};
    gort_pin_thread();
    atomic_store(&c->pinned_tid, t_tid());
    while (!atomic_load(&c->shared)) {
        t_go(&done, lock_beside_a_pinned_one, c); /* it mostly runs here, when this one leaves */
        gort_waitgroup_wait(&done);
        CHECK_EQ(t_tid(), atomic_load(&c->pinned_tid));
    }
    gort_unpin_thread();
}

static void a_thread_with_a_pinned_goroutine_is_not_locked_by_another(void) {
    struct common c = {0};
    gort_waitgroup_t done = {0};
    t_go(&done, pin_and_be_locked_beside, &c);
    gort_waitgroup_wait(&done);
}

/* ---- one that is pinned for life ---- */

static void pin_again(void *arg) {
    (void)arg;
    long tid = t_tid();
    for (int i = 0; i < 100; i++) {
        pin_in_vain();
        gort_lock_thread();
        gort_pin_thread();
        gort_yield();
        gort_unlock_thread();
        gort_yield();
        gort_unpin_thread();
        gort_sleep(T_MS / 50);
        CHECK_EQ(t_tid(), tid);
    }
}

static void one_that_was_spawned_pinned_stays_so(void) {
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.flags = GORT_SPAWN_PINNED;
    struct common c = {0};
    gort_waitgroup_t roamers = {0};
    t_quiet();
    size_t before = gort_num_goroutines();
    for (int i = 0; i < 4; i++)
        t_go(&roamers, roam, &c);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(gort_spawn_with(&opts, pin_again, NULL), GORT_OK);
    EVENTUALLY(gort_num_goroutines() == before + 4);
    atomic_store(&c.stop, 1);
    gort_waitgroup_wait(&roamers);
}

/* ---- all of it at random ---- */

static void hold_and_let_go(void *arg) {
    uint64_t random = t_seed((uintptr_t)&random);
    int locked = 0, pinned = 0;
    long tid = 0;
    (void)arg;
    for (int i = 0; i < 60; i++) {
        bool held = locked || pinned;
        switch (t_random(&random) % 8) {
        case 0: gort_lock_thread(); locked++; break;
        case 1: gort_pin_thread(); pinned++; break;
        case 2: case 3: gort_unlock_thread(); locked -= locked > 0; break;
        case 4: case 5: gort_unpin_thread(); pinned -= pinned > 0; break;
        default: park_somehow(&random);
        }
        if (held) /* nothing of this moves one that keeps its thread */
            CHECK_EQ(t_tid(), tid);
        tid = t_tid();
    }
}

static void pins_and_locks_at_random_while_the_number_of_processors_changes(void) {
    int procs = gort_max_procs(0);
    uint64_t random = t_seed(5);
    int64_t until = 0;
    for (long round = 0; t_again(round, 100, &until); round++) {
        gort_waitgroup_t done = {0};
        for (int i = 0; i < 20; i++)
            t_go(&done, hold_and_let_go, NULL);
        gort_max_procs(1 + (int)(t_random(&random) % 8));
        gort_waitgroup_wait(&done);
    }
    gort_max_procs(procs);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(a_goroutine_keeps_its_thread_until_the_last_unpin);
    RUN_BOTH(others_run_on_the_thread_of_a_pinned_goroutine);
    RUN_BOTH(who_ends_pinned_takes_no_thread_from_others);
    RUN(pinning_and_locking_undo_each_other_in_any_order);
    RUN(a_thread_with_a_pinned_goroutine_is_not_locked_by_another);
    RUN(one_that_was_spawned_pinned_stays_so);
    RUN_BOTH(pins_and_locks_at_random_while_the_number_of_processors_changes);
    return t_end();
}
