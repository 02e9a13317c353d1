/* Goroutines of a lane that keep their thread: because the hook says so, locked, pinned, or in a blocking call. And those
 * that keep a slot for long: another thread takes it. */
#include "t_lane.h"

struct visit {
    gort_chan_t *ch;
    gort_mutex_t mutex;
    long n;
};

static void stay_on_my_thread(void *arg) {
    struct visit *v = arg;
    long tid = t_tid();
    for (long i = 0; i < v->n; i++) {
        switch (i % 4) {
        case 0: gort_yield(); break;
        case 1: gort_sleep(T_MS / 50); break;
        case 2: CHECK_EQ(gort_chan_send(v->ch, NULL), GORT_OK); break;
        default:
            gort_mutex_lock(&v->mutex);
            gort_yield();
            gort_mutex_unlock(&v->mutex);
        }
        CHECK_EQ(t_tid(), tid);
    }
}

static void move_about(void *arg) {
    struct visit *v = arg;
    for (long i = 0; i < v->n; i++) {
        if (i % 4 == 2)
            CHECK_EQ(gort_chan_recv(v->ch, NULL), GORT_OK);
        else
            gort_yield();
    }
}

/* Eight goroutines that keep their thread, in the way that is asked for, among others that do not. */
static void keepers(unsigned limit, bool strict, bool keeps, uint32_t flags) {
    struct t_lane l;
    struct visit v = {.ch = gort_chan_new(0, 0), .n = t_n(80, 24)};
    gort_waitgroup_t done = {0};
    t_lane_open(&l, limit, strict);
    for (int i = 0; i < 8; i++) {
        t_lane_go_with(&l, &done, stay_on_my_thread, &v, keeps, flags);
        if (i % 2)
            t_lane_go(&l, &done, move_about, &v);
        else
            t_go(&done, move_about, &v);
    }
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
    gort_chan_release(v.ch);
}

static void whoever_keeps_its_thread_never_moves(void) {
    for (unsigned limit = 1; limit <= 3; limit += 2) {
        keepers(limit, true, true, 0);
        keepers(limit, false, true, 0);
    }
}

static void whoever_is_pinned_never_moves(void) {
    keepers(1, true, false, GORT_SPAWN_PINNED);
    keepers(2, false, false, GORT_SPAWN_PINNED);
}

static void lock_and_stay(void *arg) {
    gort_lock_thread();
    stay_on_my_thread(arg);
    gort_pin_thread();
    gort_unlock_thread();
    stay_on_my_thread(arg);
    gort_unpin_thread();
    gort_yield();
}

static void whoever_locks_its_thread_never_moves(void) {
    struct t_lane l;
    struct visit v = {.ch = gort_chan_new(0, 1000), .n = 20};
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, true);
    for (int i = 0; i < 8; i++)
        t_lane_go(&l, &done, lock_and_stay, &v);
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
    gort_chan_release(v.ch);
}

static void end_locked(void *arg) {
    *(long *)arg = t_tid();
    gort_lock_thread();
    gort_yield();
}

static void read_tid(void *arg) { *(long *)arg = t_tid(); }

static void whoever_ends_locked_takes_the_thread_with_it(void) {
    struct t_lane l;
    long first = 0, second = 0;
    t_lane_open(&l, 1, true);
    gort_waitgroup_t done = {0};
    t_lane_go(&l, &done, end_locked, &first);
    gort_waitgroup_wait(&done);
    EVENTUALLY(atomic_load(&l.threads) == 0);
    t_lane_go(&l, &done, read_tid, &second);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&l.started), 2);
    t_lane_close(&l);
}

/* ---- blocking calls ---- */

struct call {
    struct t_lane *lane;
    int ends[2];
    atomic_int *in;
};

static void *read_a_byte(void *arg) {
    struct call *c = arg;
    char byte = 0;
    CHECK(!gort_in_goroutine());
    CHECK(t_lane_mine == c->lane && t_lane_state == T_IDLE);
    atomic_fetch_add(c->in, 1);
    CHECK_EQ(read(c->ends[0], &byte, 1), 1);
    return (void *)(uintptr_t)(unsigned char)byte;
}

static void read_in_a_call(void *arg) {
    long tid = t_tid();
    CHECK_EQ((uintptr_t)gort_blocking(read_a_byte, arg), 'x');
    CHECK_EQ(t_tid(), tid);
    gort_yield();
}

static void others_run_while_all_are_in_calls(void) {
    enum { CALLS = 16 };
    struct t_lane l;
    struct call calls[CALLS];
    atomic_int in = 0;
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, true);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (struct call){.lane = &l, .in = &in};
        CHECK_EQ(pipe(calls[i].ends), 0);
        t_lane_go(&l, &done, read_in_a_call, &calls[i]);
    }
    EVENTUALLY(atomic_load(&in) == CALLS);
    for (int i = 0; i < CALLS; i++)
        CHECK_EQ(write(calls[i].ends[1], "x", 1), 1);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&l.most_runs), 1);
    t_lane_close(&l);
    for (int i = 0; i < CALLS; i++) {
        close(calls[i].ends[0]);
        close(calls[i].ends[1]);
    }
}

static void *exit_by_panic(void *arg) {
    gort_panic(arg);
    return NULL;
}

static void recover_it(void *arg) {
    const char *said = gort_recover();
    if (said)
        *(const char **)arg = "recovered";
}

static void panic_in_a_call(void *arg) {
    gort_defer(recover_it, arg);
    gort_blocking(exit_by_panic, (void *)"in a call");
}

static void a_panic_in_a_call_goes_on_in_the_goroutine(void) {
    struct t_lane l;
    const char *said = NULL;
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, true);
    t_lane_go(&l, &done, panic_in_a_call, &said);
    gort_waitgroup_wait(&done);
    CHECK(said && strcmp(said, "recovered") == 0);
    t_lane_close(&l);
}

/* ---- those that keep a slot ---- */

struct block {
    atomic_int in;
    atomic_bool go;
};

static void block_the_thread(void *arg) {
    struct block *b = arg;
    struct timespec nap = {0, 200000};
    atomic_fetch_add(&b->in, 1);
    while (!atomic_load(&b->go))
        nanosleep(&nap, NULL);
}

/* Each blocks until all have begun: so each must be replaced. */
static void blockers(unsigned limit, int n) {
    struct t_lane l;
    struct block b = {0};
    gort_waitgroup_t done = {0};
    t_lane_open(&l, limit, false);
    for (int i = 0; i < n; i++)
        t_lane_go(&l, &done, block_the_thread, &b);
    EVENTUALLY(atomic_load(&b.in) == n);
    atomic_store(&b.go, true);
    gort_waitgroup_wait(&done);
    /* They are ordinary goroutines of the lane again: it goes on as before. */
    for (int i = 0; i < 10; i++)
        t_lane_go(&l, &done, move_about, &(struct visit){.n = 2});
    gort_waitgroup_wait(&done);
    CHECK(atomic_load(&l.started) >= n);
    t_lane_close(&l);
}

static void a_goroutine_that_is_stuck_is_replaced(void) { blockers(1, 2); }

static void sixty_four_that_block_one_after_the_other_are_replaced(void) {
    blockers(1, 64);
    blockers(4, 64);
}

static void compute(void *arg) {
    struct block *b = arg;
    while (!atomic_load(&b->go))
        ;
}

static void let_it_go(void *arg) { atomic_store(&((struct block *)arg)->go, true); }

static void one_that_computes_is_replaced_too(void) {
    struct t_lane l;
    struct block b = {0};
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, false);
    t_lane_go(&l, &done, compute, &b);
    t_lane_go(&l, &done, let_it_go, &b);
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
}

static void threads_that_are_too_many_end(void) {
    struct t_lane l;
    struct block b = {0};
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 2, false);
    for (int i = 0; i < 8; i++)
        t_lane_go(&l, &done, block_the_thread, &b);
    EVENTUALLY(atomic_load(&b.in) == 8);
    atomic_store(&b.go, true);
    gort_waitgroup_wait(&done);
    EVENTUALLY(atomic_load(&l.threads) == 2);
    t_lane_go(&l, &done, let_it_go, &b);
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
}

static void hog_for_a_while(void *arg) {
    (void)arg;
    int64_t until = gort_now() + 15 * T_MS;
    while (gort_now() < until)
        ;
}

static void a_strict_lane_never_exceeds_its_limit(void) {
    for (unsigned limit = 1; limit <= 2; limit++) {
        struct t_lane l;
        gort_waitgroup_t done = {0};
        t_lane_open(&l, limit, true); /* its hooks check */
        for (int i = 0; i < 6; i++)
            t_lane_go(&l, &done, hog_for_a_while, NULL);
        gort_waitgroup_wait(&done);
        CHECK(atomic_load(&l.most_runs) <= (int)limit);
        CHECK(atomic_load(&l.started) <= (int)limit);
        t_lane_close(&l);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(whoever_keeps_its_thread_never_moves);
    RUN(whoever_is_pinned_never_moves);
    RUN(whoever_locks_its_thread_never_moves);
    RUN(whoever_ends_locked_takes_the_thread_with_it);
    RUN_BOTH(others_run_while_all_are_in_calls);
    RUN(a_panic_in_a_call_goes_on_in_the_goroutine);
    RUN_BOTH(a_goroutine_that_is_stuck_is_replaced);
    RUN_BOTH(sixty_four_that_block_one_after_the_other_are_replaced);
    RUN_BOTH(one_that_computes_is_replaced_too);
    RUN(threads_that_are_too_many_end);
    RUN(a_strict_lane_never_exceeds_its_limit);
    return t_end();
}
