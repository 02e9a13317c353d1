/* A goroutine that keeps its worker for long, computing or blocked in the kernel, holds up nobody else: others take its
 * worker's place. Most tests run with one processor, where nobody else would ever come to run. */
#include "t.h"

#include <sched.h>

static int procs_before;

static void with_procs(int n) { procs_before = gort_max_procs(n); }

static void procs_as_before(void) { gort_max_procs(procs_before); }

/* ---- hogs ---- */

enum { MANY = 8 };

struct scene {
    atomic_int hogs;  /* that have begun */
    atomic_int stop;  /* they may end */
    atomic_int ran;
    int pipes[MANY][2];
    gort_chan_t *ch;
};

static void spins(void *arg) {
    struct scene *s = arg;
    atomic_fetch_add(&s->hogs, 1);
    while (!atomic_load(&s->stop)) {
    }
}

static void naps(void *arg) {
    struct scene *s = arg;
    atomic_fetch_add(&s->hogs, 1);
    while (!atomic_load(&s->stop)) {
        struct timespec nap = {0, 5000000};
        nanosleep(&nap, NULL);
    }
}

static void reads(void *arg) {
    struct scene *s = arg;
    char byte;
    CHECK_EQ(read(s->pipes[atomic_fetch_add(&s->hogs, 1)][0], &byte, 1), 1);
    atomic_fetch_add(&s->ran, 1);
}

static void writes_when_all_read(void *arg) {
    struct scene *s = arg;
    EVENTUALLY(atomic_load(&s->hogs) == MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(write(s->pipes[i][1], "", 1), 1);
}

/* Most often on a thread that stands in for a hog's, which is a worker like any other. */
static void counts_itself(void *arg) {
    sigset_t blocked;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    CHECK(sigismember(&blocked, SIGTERM) && !sigismember(&blocked, SIGSEGV));
    atomic_fetch_add(&((struct scene *)arg)->ran, 1);
}

static void sleeps_and_counts_itself(void *arg) {
    gort_sleep(T_MS);
    counts_itself(arg);
}

/* `n` of `hog` run at once on one processor, and others besides. */
static void hogs(gort_fn_t hog, int n) {
    struct scene s = {0};
    gort_waitgroup_t done = {0};
    with_procs(1);
    for (int i = 0; i < n; i++)
        t_go(&done, hog, &s);
    EVENTUALLY(atomic_load(&s.hogs) == n);
    t_go(&done, counts_itself, &s);
    t_go(&done, sleeps_and_counts_itself, &s);
    EVENTUALLY(atomic_load(&s.ran) == 2);
    atomic_store(&s.stop, 1);
    gort_waitgroup_wait(&done);
    procs_as_before();
}

static void one_that_computes_holds_up_nobody(void) { hogs(spins, 1); }

static void three_that_compute_hold_up_nobody(void) { hogs(spins, 3); }

static void eight_in_nanosleep_hold_up_nobody(void) { hogs(naps, MANY); }

static void whoever_writes_comes_to_run_behind_eight_that_read(void) {
    struct scene s = {0};
    gort_waitgroup_t done = {0};
    with_procs(1);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(pipe(s.pipes[i]), 0);
    for (int i = 0; i < MANY; i++)
        t_go(&done, reads, &s);
    t_go(&done, writes_when_all_read, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&s.ran), MANY);
    for (int i = 0; i < MANY; i++) {
        close(s.pipes[i][0]);
        close(s.pipes[i][1]);
    }
    procs_as_before();
}

/* ---- what is on the hog's own processor ---- */

static void receives_and_counts_itself(void *arg) {
    struct scene *s = arg;
    CHECK_EQ(gort_chan_recv(s->ch, NULL), GORT_OK);
    counts_itself(s);
}

static void keeps_yielding(void *arg) {
    struct scene *s = arg;
    atomic_fetch_add(&s->hogs, 1);
    while (!atomic_load(&s->stop))
        gort_yield();
}

/* It queues goroutines, and then keeps its worker until they have run. */
static void queues_and_spins(void *arg) {
    struct scene *s = arg;
    gort_waitgroup_t done = {0};
    for (int round = 0; round < 3; round++) {
        int ran = atomic_load(&s->ran);
        t_go(&done, counts_itself, s);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(gort_chan_send(s->ch, NULL), GORT_OK);
        while (atomic_load(&s->ran) < ran + 4) {
        }
        t_go(&done, receives_and_counts_itself, s);
        t_go(&done, receives_and_counts_itself, s);
        t_go(&done, receives_and_counts_itself, s);
        /* They wait, or are about to: */
        gort_yield();
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(gort_chan_send(s->ch, NULL), GORT_OK);
    gort_waitgroup_wait(&done);
}

static void what_a_hog_readies_and_spawns_runs_though_the_others_are_never_idle(void) {
    for (int procs = 1; procs <= 2; procs++) {
        struct scene s = {0};
        gort_waitgroup_t done = {0}, yielders = {0};
        with_procs(procs);
        s.ch = gort_chan_new(0, 0);
        for (int i = 0; i < 3; i++)
            t_go(&done, receives_and_counts_itself, &s);
        for (int i = 0; i < procs; i++)
            t_go(&yielders, keeps_yielding, &s);
        t_go(&done, queues_and_spins, &s);
        gort_waitgroup_wait(&done);
        atomic_store(&s.stop, 1);
        gort_waitgroup_wait(&yielders);
        gort_chan_release(s.ch);
        procs_as_before();
    }
}

/* The sleepers' timers are on the processor on which they went to sleep, which is the hog's then. */
static void begins_sleepers_and_spins(void *arg) {
    struct scene *s = arg;
    gort_waitgroup_t done = {0};
    gort_timer_t *timer = gort_timer_new(2 * T_MS), *ticker = gort_ticker_new(T_MS);
    CHECK(timer && ticker);
    for (int i = 0; i < 10; i++)
        t_go(&done, sleeps_and_counts_itself, s);
    gort_yield();
    atomic_fetch_add(&s->hogs, 1);
    while (atomic_load(&s->ran) < 10) {
    }
    CHECK_EQ(gort_chan_recv(gort_timer_chan(timer), NULL), GORT_OK);
    CHECK_EQ(gort_chan_recv(gort_timer_chan(ticker), NULL), GORT_OK);
    gort_timer_release(timer);
    gort_timer_release(ticker);
    gort_waitgroup_wait(&done);
}

static void timers_on_the_processor_of_a_hog_fire_though_the_others_are_never_idle(void) {
    for (int yielding = 0; yielding < 2; yielding++) {
        struct scene s = {0};
        gort_waitgroup_t done = {0}, yielder = {0};
        with_procs(1);
        if (yielding)
            t_go(&yielder, keeps_yielding, &s);
        t_go(&done, begins_sleepers_and_spins, &s);
        gort_waitgroup_wait(&done);
        atomic_store(&s.stop, 1);
        gort_waitgroup_wait(&yielder);
        procs_as_before();
    }
}

/* ---- those that never leave the processor idle, and never keep it long ---- */

static void serves(void *arg) {
    gort_chan_t **ends = arg;
    while (gort_chan_recv(ends[0], NULL) == GORT_OK)
        gort_chan_send(ends[1], NULL);
}

static void returns(void *arg) {
    struct scene *s = ((void **)arg)[2];
    gort_chan_t **ends = arg;
    while (!atomic_load(&s->stop)) {
        CHECK_EQ(gort_chan_send(ends[0], NULL), GORT_OK);
        CHECK_EQ(gort_chan_recv(ends[1], NULL), GORT_OK);
    }
    gort_chan_close(ends[0]);
}

static void a_thread_waits_until_a_deadline(struct scene *s) {
    gort_chan_t *never = gort_chan_new(0, 0);
    gort_waitgroup_t done = {0};
    /* A goroutine's deadline and a thread's. */
    t_go(&done, sleeps_and_counts_itself, s);
    CHECK_EQ(gort_chan_recv_until(never, NULL, gort_now() + T_MS), GORT_ETIMEDOUT);
    gort_waitgroup_wait(&done);
    gort_chan_release(never);
}

static void a_pair_that_plays_ping_pong_or_one_that_yields_starves_nobody(void) {
    struct scene s = {0};
    void *pair[] = {gort_chan_new(0, 0), gort_chan_new(0, 0), &s};
    gort_waitgroup_t done = {0};
    with_procs(1);
    t_go(&done, serves, pair);
    t_go(&done, returns, pair);
    for (int i = 0; i < 2; i++) {
        a_thread_waits_until_a_deadline(&s);
        t_go(&done, counts_itself, &s);
        EVENTUALLY(atomic_load(&s.ran) == 2 * (i + 1));
        t_go(&done, keeps_yielding, &s);
        EVENTUALLY(atomic_load(&s.hogs) == i + 1);
    }
    atomic_store(&s.stop, 1);
    gort_waitgroup_wait(&done);
    gort_chan_release(pair[0]);
    gort_chan_release(pair[1]);
    procs_as_before();
}

/* ---- max_procs meanwhile ---- */

static void works_and_keeps_its_worker_now_and_then(void *arg) {
    struct scene *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = t_n(60, 20); i > 0; i--) {
        if (t_random(&random) % 16 == 0) {
            int64_t until = gort_now() + 12 * T_MS;
            while (gort_now() < until) {
            }
        } else if (t_random(&random) % 16 == 0) {
            struct timespec nap = {0, 3000000};
            nanosleep(&nap, NULL);
        } else {
            gort_sleep((int64_t)(t_random(&random) % 100000));
        }
        gort_yield();
    }
    atomic_fetch_add(&s->ran, 1);
}

static void changes_max_procs(void *arg) {
    struct scene *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    while (!atomic_load(&s->stop)) {
        int previous = gort_max_procs(1 + (int)(t_random(&random) % 6));
        CHECK(previous >= 1 && previous <= 16);
        gort_sleep((int64_t)(t_random(&random) % (uint64_t)(4 * T_MS)));
    }
}

static void max_procs_goes_up_and_down_among_hogs(void) {
    struct scene s = {0};
    gort_waitgroup_t done = {0}, changer = {0};
    with_procs(2);
    t_go_thread(&changer, changes_max_procs, &s);
    for (int i = 0; i < MANY; i++)
        t_go(&done, works_and_keeps_its_worker_now_and_then, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&s.ran), MANY);
    atomic_store(&s.stop, 1);
    gort_waitgroup_wait(&changer);
    gort_max_procs(procs_before);
    CHECK_EQ(gort_max_procs(0), procs_before);
    t_quiet(); /* and nobody ticks */
}

/* ---- the threads that stood in ---- */

static uint64_t workers(void) {
    gort_stats_t now = GORT_STATS_INIT;
    CHECK_EQ(gort_stats(&now), GORT_OK);
    return now.workers;
}

static void threads_that_stood_in_for_hogs_end(void) {
    hogs(naps, 3 * MANY);
    /* One for each processor, and perhaps one that keeps the watch besides. */
    with_procs(1);
    EVENTUALLY(workers() <= 2);
    procs_as_before();
    /* Those who are left do their work. */
    hogs(spins, 2);
}

/* ---- children: what ends a process, or is set before the runtime starts ---- */

static int as_main(void *fn) {
    ((void (*)(void))fn)();
    return 0;
}

static struct scene the;

static void spins_for_a_while(void *arg) {
    t_go(arg, counts_itself, &the);
    int64_t until = gort_now() + 50 * T_MS;
    while (gort_now() < until)
        CHECK_EQ(atomic_load(&the.ran), 0);
    atomic_store(&the.stop, 1);
}

static void strict(void) {
    gort_waitgroup_t done = {0};
    t_go(&done, spins_for_a_while, &done);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&the.stop), 1);
    CHECK_EQ(atomic_load(&the.ran), 1);
}

static void strict_procs(void) {
    gort_options_t opts = {.size = sizeof opts, .max_procs = 1, .flags = GORT_STRICT_PROCS};
    CHECK_EQ(gort_init(&opts), GORT_OK);
    CHECK_EQ(gort_main(as_main, (void *)strict), 0);
}

static void strict_procs_are_never_replaced(void) { CHILD_EXITS(strict_procs, 0); }

static void too_many_threads(void) {
    gort_options_t opts = {.size = sizeof opts, .max_procs = 1, .max_threads = 4};
    CHECK_EQ(gort_init(&opts), GORT_OK);
    gort_waitgroup_t done = {0};
    for (int i = 0; i < MANY; i++)
        t_go(&done, naps, &the);
    gort_waitgroup_wait(&done);
}

static void threads_in_place_of_hogs_count_as_threads(void) { CHILD_DIES(too_many_threads, "fatal error: thread exhaustion"); }

static void return_past_hogs(void) {
    gort_max_procs(1);
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 3; i++)
        t_go(&done, i % 2 ? naps : spins, &the);
    EVENTUALLY(atomic_load(&the.hogs) == 3);
}

static void exit_among_hogs(void) { CHECK_EQ(gort_main(as_main, (void *)return_past_hogs), 0); }

static void the_process_exits_though_hogs_run(void) { CHILD_EXITS(exit_among_hogs, 0); }

static void spins_until_others_run_and_parks(void *arg) {
    while (!atomic_load(&the.ran)) {
    }
    gort_chan_recv(arg, NULL);
}

static void deadlock_behind_a_hog(void) {
    gort_max_procs(1);
    gort_chan_t *never = gort_chan_new(0, 0);
    gort_waitgroup_t done = {0};
    t_go(&done, spins_until_others_run_and_parks, never);
    t_go(&done, spins_until_others_run_and_parks, never);
    gort_yield();
    atomic_store(&the.ran, 1);
    gort_waitgroup_wait(&done);
}

static void deadlock_of_hogs(void) { gort_main(as_main, (void *)deadlock_behind_a_hog); }

static void a_deadlock_is_found_when_the_last_hog_parks(void) {
    CHILD_DIES(deadlock_of_hogs, "fatal error: all goroutines are asleep - deadlock!");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(strict_procs);
    T_CHILD(too_many_threads);
    T_CHILD(exit_among_hogs);
    T_CHILD(deadlock_of_hogs);
    RUN_BOTH(one_that_computes_holds_up_nobody);
    RUN_BOTH(three_that_compute_hold_up_nobody);
    RUN_BOTH(eight_in_nanosleep_hold_up_nobody);
    RUN_BOTH(whoever_writes_comes_to_run_behind_eight_that_read);
    RUN_BOTH(what_a_hog_readies_and_spawns_runs_though_the_others_are_never_idle);
    RUN_BOTH(timers_on_the_processor_of_a_hog_fire_though_the_others_are_never_idle);
    RUN(a_pair_that_plays_ping_pong_or_one_that_yields_starves_nobody);
    RUN(max_procs_goes_up_and_down_among_hogs);
    RUN(threads_that_stood_in_for_hogs_end);
    RUN(strict_procs_are_never_replaced);
    RUN(threads_in_place_of_hogs_count_as_threads);
    RUN(the_process_exits_though_hogs_run);
    RUN(a_deadlock_is_found_when_the_last_hog_parks);
    return t_end();
}
