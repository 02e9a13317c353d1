/* Goroutines and their OS threads: pinned ones, and those that lock theirs for a while. */
#include "t.h"

struct common {
    gort_chan_t *ch;
    gort_mutex_t mutex;
    atomic_long locked_tid; /* the thread that belongs to the locked goroutine now, or 0 */
    atomic_int stop;
    atomic_long visits;
};

static void park_in_every_way(struct common *c, uint64_t *random) {
    switch (t_random(random) % 5) {
    case 0: gort_yield(); break;
    case 1: gort_sleep((int64_t)(t_random(random) % 300000)); break;
    case 2: gort_chan_recv_until(c->ch, NULL, gort_now() + 200000); break;
    case 3: gort_chan_send_until(c->ch, NULL, gort_now() + 200000); break;
    default:
        gort_mutex_lock(&c->mutex);
        gort_yield();
        gort_mutex_unlock(&c->mutex);
        break;
    }
}

static void stay_on_one_thread(void *arg) {
    struct common *c = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    long tid = t_tid();
    for (long i = 0; i < t_n(150, 30); i++) {
        park_in_every_way(c, &random);
        CHECK_EQ(t_tid(), tid);
    }
}

static void stay_on_one_thread_and_exit(void *arg) {
    stay_on_one_thread(arg);
    gort_exit();
}

static void roam(void *arg) {
    struct common *c = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    while (!atomic_load(&c->stop))
        park_in_every_way(c, &random);
}

static void a_pinned_goroutine_never_changes_its_thread(void) {
    struct common c = {.ch = gort_chan_new(0, 0)};
    gort_waitgroup_t roamers = {0};
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.flags = GORT_SPAWN_PINNED;
    opts.name = "pinned";
    t_quiet();
    size_t before = gort_num_goroutines();
    for (int i = 0; i < 4; i++)
        t_go(&roamers, roam, &c);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(gort_spawn_with(&opts, i % 2 ? stay_on_one_thread : stay_on_one_thread_and_exit, &c), GORT_OK);
    EVENTUALLY(gort_num_goroutines() == before + 4);
    atomic_store(&c.stop, 1);
    gort_waitgroup_wait(&roamers);
    gort_chan_release(c.ch);
}

/* ---- gort_lock_thread ---- */

static void lock_and_stay(void *arg) {
    struct common *c = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (int round = 0; round < 5; round++) {
        int depth = 1 + round % 3;
        gort_yield();
        for (int i = 0; i < depth; i++)
            gort_lock_thread();
        long tid = t_tid();
        for (int i = 0; i < depth; i++) { /* it holds until the last unlock */
            for (long k = 0; k < t_n(30, 10); k++) {
                park_in_every_way(c, &random);
                CHECK_EQ(t_tid(), tid);
            }
            gort_unlock_thread();
        }
        gort_yield();
    }
}

static void a_locked_goroutine_stays_on_its_thread_until_the_last_unlock(void) {
    struct common c = {.ch = gort_chan_new(0, 0)};
    gort_waitgroup_t done = {0}, roamers = {0};
    for (int i = 0; i < 4; i++)
        t_go(&roamers, roam, &c);
    for (int i = 0; i < 10; i++)
        t_go(&done, lock_and_stay, &c);
    gort_waitgroup_wait(&done);
    atomic_store(&c.stop, 1);
    gort_waitgroup_wait(&roamers);
    gort_chan_release(c.ch);
}

static void own_a_thread(void *arg) {
    struct common *c = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long round = 0; round < t_n(20, 5); round++) {
        gort_lock_thread();
        atomic_store(&c->locked_tid, t_tid());
        for (int i = 0; i < 20; i++)
            park_in_every_way(c, &random);
        atomic_store(&c->locked_tid, 0);
        gort_unlock_thread();
        park_in_every_way(c, &random);
    }
}

static void keep_off_the_locked_thread(void *arg) {
    struct common *c = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    while (!atomic_load(&c->stop)) {
        /* While this runs on thread T, nobody can lock T: the tid read first is still this one's. */
        long tid = t_tid();
        CHECK(atomic_load(&c->locked_tid) != tid);
        atomic_fetch_add(&c->visits, 1);
        park_in_every_way(c, &random);
    }
}

static void nobody_else_runs_on_a_locked_thread(void) {
    struct common c = {.ch = gort_chan_new(0, 0)};
    gort_waitgroup_t done = {0}, others = {0};
    for (int i = 0; i < 12; i++)
        t_go(&others, keep_off_the_locked_thread, &c);
    t_go(&done, own_a_thread, &c);
    gort_waitgroup_wait(&done);
    /* Nor do they stand still because of it. */
    long seen = atomic_load(&c.visits);
    EVENTUALLY(atomic_load(&c.visits) > seen);
    atomic_store(&c.stop, 1);
    gort_waitgroup_wait(&others);
    gort_chan_release(c.ch);
}

struct gate {
    gort_chan_t *ch;
    atomic_int locked;
    atomic_int ran;
};

static void lock_and_wait(void *arg) {
    struct gate *g = arg;
    gort_lock_thread();
    long tid = t_tid();
    atomic_fetch_add(&g->locked, 1);
    CHECK_EQ(gort_chan_recv(g->ch, NULL), GORT_ECLOSED);
    CHECK_EQ(t_tid(), tid);
    /* Ends without unlocking: the thread goes with it. */
}

static void run_beside(void *arg) { atomic_fetch_add(&((struct gate *)arg)->ran, 1); }

static void more_locked_goroutines_than_workers_do_not_stop_the_rest(void) {
    struct gate g = {.ch = gort_chan_new(0, 0)};
    gort_waitgroup_t locked = {0}, others = {0};
    int n = (int)t_n(40, 20);
    for (int i = 0; i < n; i++)
        t_go(&locked, lock_and_wait, &g);
    EVENTUALLY(atomic_load(&g.locked) == n);
    for (int i = 0; i < 100; i++)
        t_go(&others, run_beside, &g);
    gort_waitgroup_wait(&others);
    CHECK_EQ(atomic_load(&g.ran), 100);
    CHECK_EQ(gort_chan_close(g.ch), GORT_OK);
    gort_waitgroup_wait(&locked);
    for (int i = 0; i < 100; i++)
        t_go(&others, run_beside, &g);
    gort_waitgroup_wait(&others);
    gort_chan_release(g.ch);
}

static void lock_without_need(void *arg) {
    gort_unlock_thread(); /* as in Go: nothing to unlock */
    gort_lock_thread();
    gort_unlock_thread();
    gort_unlock_thread();
    for (int i = 0; i < 1000; i++)
        gort_lock_thread();
    gort_yield();
    for (int i = 0; i < 1000; i++)
        gort_unlock_thread();
    gort_yield();
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void locking_nests_and_a_spare_unlock_does_nothing(void) {
    gort_waitgroup_t done = {0};
    atomic_int ran = 0;
    lock_without_need(&ran); /* on a plain thread, which is its own */
    t_go(&done, lock_without_need, &ran);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&ran), 2);
}

/* ---- woken from elsewhere ---- */

static void hand_over(void *arg) {
    struct gate *g = arg;
    long tid = 0;
    gort_lock_thread();
    tid = t_tid();
    for (long i = 0; i < t_n(500, 100); i++) {
        CHECK_EQ(gort_chan_recv(g->ch, NULL), GORT_OK);
        CHECK_EQ(t_tid(), tid);
    }
    gort_unlock_thread();
}

static void a_locked_goroutine_is_woken_on_its_own_thread(void) {
    struct gate g = {.ch = gort_chan_new(0, 0)};
    gort_waitgroup_t done = {0};
    t_go(&done, hand_over, &g);
    t_go(&done, hand_over, &g);
    for (long i = 0; i < 2 * t_n(500, 100); i++)
        CHECK_EQ(gort_chan_send(g.ch, NULL), GORT_OK);
    gort_waitgroup_wait(&done);
    gort_chan_release(g.ch);
}

/* ---- all kinds at once ---- */

static void yield_and_sleep(void *arg) {
    (void)arg;
    uint64_t random = t_seed((uintptr_t)&random);
    long tid = t_tid();
    for (int i = 0; i < 40; i++) {
        gort_yield();
        if (t_random(&random) % 8 == 0)
            gort_sleep(T_MS);
        CHECK_EQ(t_tid(), tid);
    }
}

static void lock_and_end(void *arg) {
    (void)arg;
    gort_lock_thread();
    yield_and_sleep(NULL);
    if (t_tid() % 2)
        gort_unlock_thread();
}

static void pinned_and_locked_goroutines_do_not_keep_each_other_from_running(void) {
    gort_spawn_options_t pinned = GORT_SPAWN_OPTIONS_INIT;
    pinned.flags = GORT_SPAWN_PINNED;
    int64_t until = 0;
    t_quiet();
    size_t before = gort_num_goroutines();
    for (long round = 0; t_again(round, 1000, &until); round++) {
        for (int i = 0; i < 2; i++)
            CHECK_EQ(gort_spawn(lock_and_end, NULL), GORT_OK);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(gort_spawn_with(&pinned, yield_and_sleep, NULL), GORT_OK);
        EVENTUALLY(gort_num_goroutines() == before);
    }
}

static void live_in_some_way(void *arg) {
    uint64_t random = (uintptr_t)arg * UINT64_C(0x9E3779B97F4A7C15) + 1;
    switch ((uintptr_t)arg % 8) {
    case 0: gort_yield(); break;
    case 1: gort_sleep((int64_t)(t_random(&random) % 50000)); break;
    case 2:
        gort_lock_thread();
        gort_yield();
        break;
    case 3:
        gort_lock_thread();
        gort_sleep(T_MS / 2);
        gort_lock_thread();
        gort_unlock_thread();
        gort_unlock_thread();
        gort_yield();
        break;
    case 4:
        for (int64_t end = gort_now() + 20000; gort_now() < end;)
            continue;
        break;
    case 5:
        gort_lock_thread();
        gort_yield();
        gort_yield();
        break;
    case 6:
        for (int i = 0; i < 20; i++)
            gort_yield();
        break;
    default: gort_sleep(1000); gort_exit();
    }
}

static void start_some(void *arg) {
    uint64_t random = (uintptr_t)arg;
    gort_spawn_options_t pinned = GORT_SPAWN_OPTIONS_INIT;
    pinned.flags = GORT_SPAWN_PINNED;
    for (int i = 0; i < 20; i++) {
        void *how = (void *)(uintptr_t)(t_random(&random) >> 8);
        if (t_random(&random) % 16 == 0)
            CHECK_EQ(gort_spawn_with(&pinned, live_in_some_way, how), GORT_OK);
        else
            CHECK_EQ(gort_spawn(live_in_some_way, how), GORT_OK);
        if (t_random(&random) % 16 == 0)
            gort_yield();
    }
}

static void every_kind_of_goroutine_ends_while_the_number_of_processors_changes(void) {
    int procs = gort_max_procs(0);
    uint64_t random = t_seed(3);
    int64_t until = 0;
    t_quiet();
    size_t before = gort_num_goroutines();
    for (long round = 0; t_again(round, 1000, &until); round++) {
        for (int i = 0; i < 10; i++)
            CHECK_EQ(gort_spawn(start_some, (void *)(uintptr_t)(t_random(&random) | 1)), GORT_OK);
        int64_t give_up = gort_now() + T_PATIENCE;
        while (gort_num_goroutines() != before) {
            CHECK(gort_now() < give_up);
            gort_max_procs(1 + (int)(t_random(&random) % 8));
            gort_sleep((int64_t)(t_random(&random) % 300000));
        }
    }
    gort_max_procs(procs);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(a_pinned_goroutine_never_changes_its_thread);
    RUN_BOTH(a_locked_goroutine_stays_on_its_thread_until_the_last_unlock);
    RUN_BOTH(nobody_else_runs_on_a_locked_thread);
    RUN_BOTH(more_locked_goroutines_than_workers_do_not_stop_the_rest);
    RUN_BOTH(locking_nests_and_a_spare_unlock_does_nothing);
    RUN_BOTH(a_locked_goroutine_is_woken_on_its_own_thread);
    RUN(pinned_and_locked_goroutines_do_not_keep_each_other_from_running);
    RUN(every_kind_of_goroutine_ends_while_the_number_of_processors_changes);
    return t_end();
}
