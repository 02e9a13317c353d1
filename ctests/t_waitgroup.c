/* Wait groups: they wait for all, wake all who wait, are ready again at once, and are let go in time. */
#include "t_trail.h"

_Static_assert(sizeof(gort_waitgroup_t) == 16, "a wait group is 16 bytes");
_Static_assert(_Alignof(gort_waitgroup_t) == 8, "aligned to 8");

struct job {
    gort_waitgroup_t *wg;
    atomic_long *count;
};

static void count_then_done(void *arg) {
    struct job *j = arg;
    atomic_fetch_add(j->count, 1);
    gort_waitgroup_done(j->wg);
}

static void sleep_count_then_done(void *arg) {
    gort_sleep(T_MS / 2);
    count_then_done(arg);
}

static void yield_count_then_done(void *arg) {
    gort_yield();
    count_then_done(arg);
}

static void wait_returns_when_all_are_done_and_not_before(void) {
    gort_fn_t ways[] = {count_then_done, sleep_count_then_done, yield_count_then_done};
    for (long round = 0; round < t_n(300, 50); round++) {
        atomic_long count = 0;
        gort_waitgroup_t wg = {0};
        struct job j = {&wg, &count};
        long n = round % 40;
        if (round % 2)
            gort_waitgroup_add(&wg, n);
        for (long i = 0; i < n; i++) {
            if (round % 2 == 0)
                gort_waitgroup_add(&wg, 1);
            CHECK_EQ(gort_spawn(ways[(i + round) % 3], &j), GORT_OK);
        }
        gort_waitgroup_wait(&wg);
        CHECK_EQ(atomic_load(&count), n);
    }
}

static void add_takes_any_delta(void) {
    gort_waitgroup_t wg = {0};
    gort_waitgroup_add(&wg, 0);
    gort_waitgroup_wait(&wg);
    gort_waitgroup_add(&wg, 1000000);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, 0), GORT_ETIMEDOUT);
    gort_waitgroup_add(&wg, -999999);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, 0), GORT_ETIMEDOUT);
    gort_waitgroup_add(&wg, 0);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, 0), GORT_ETIMEDOUT);
    gort_waitgroup_add(&wg, -1);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, 0), GORT_OK);
    gort_waitgroup_add(&wg, 2);
    gort_waitgroup_add(&wg, -2);
    gort_waitgroup_wait(&wg);
}

/* ---- many waiters ---- */

struct crowd {
    gort_waitgroup_t wg, waiters;
    atomic_int waiting, woken;
    atomic_int opened;
};

static void wait_in_crowd(void *arg) {
    struct crowd *c = arg;
    atomic_fetch_add(&c->waiting, 1);
    gort_waitgroup_wait(&c->wg);
    CHECK(atomic_load(&c->opened));
    atomic_fetch_add(&c->woken, 1);
}

static void wait_in_crowd_until(void *arg) {
    struct crowd *c = arg;
    CHECK_EQ(gort_waitgroup_wait_until(&c->wg, gort_now() + 2 * T_PATIENCE), GORT_OK);
    CHECK(atomic_load(&c->opened));
    atomic_fetch_add(&c->woken, 1);
}

static void all_who_wait_are_woken_goroutines_and_threads(void) {
    for (int round = 0; round < 5; round++) {
        struct crowd c = {0};
        gort_waitgroup_add(&c.wg, 3);
        for (int i = 0; i < 60; i++) {
            gort_fn_t wait = i % 2 ? wait_in_crowd : wait_in_crowd_until;
            (i % 6 ? t_go : t_go_thread)(&c.waiters, wait, &c);
        }
        t_quiet();
        CHECK_EQ(atomic_load(&c.woken), 0);
        gort_waitgroup_done(&c.wg);
        gort_waitgroup_done(&c.wg);
        t_quiet();
        CHECK_EQ(atomic_load(&c.woken), 0);
        atomic_store(&c.opened, 1);
        gort_waitgroup_done(&c.wg);
        gort_waitgroup_wait(&c.waiters);
        CHECK_EQ(atomic_load(&c.woken), 60);
    }
}

/* ---- reuse ---- */

struct barrier {
    gort_waitgroup_t wg[3];
    atomic_long steps;
    long rounds, parties;
};

static void step_together(void *arg) {
    struct barrier *b = arg;
    for (long i = 0; i < b->rounds; i++) {
        atomic_fetch_add(&b->steps, 1);
        /* Only when all have left round i does anybody come back to this one of the three. */
        gort_waitgroup_t *wg = &b->wg[i % 3];
        gort_waitgroup_add(&b->wg[(i + 1) % 3], 1);
        gort_waitgroup_done(wg);
        gort_waitgroup_wait(wg);
        CHECK(atomic_load(&b->steps) >= (i + 1) * b->parties);
    }
}

static void it_is_ready_for_the_next_round_at_once(void) {
    gort_waitgroup_t done = {0}, again = {0};
    struct barrier b = {.rounds = t_n(500, 100), .parties = 8};
    gort_waitgroup_add(&b.wg[0], b.parties);
    for (long i = 0; i < b.parties; i++)
        (i == 0 ? t_go_thread : t_go)(&done, step_together, &b);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&b.steps), b.rounds * b.parties);
    for (long i = 0; i < t_n(2000, 300); i++) {
        atomic_long count = 0;
        struct job j = {&again, &count};
        gort_waitgroup_add(&again, 2);
        CHECK_EQ(gort_spawn(count_then_done, &j), GORT_OK);
        CHECK_EQ(gort_spawn(count_then_done, &j), GORT_OK);
        gort_waitgroup_wait(&again);
        CHECK_EQ(atomic_load(&count), 2);
    }
}

/* ---- lifetime ---- */

struct mortal {
    gort_waitgroup_t wg;
    unsigned char canary[16];
};

static void only_done(void *arg) { gort_waitgroup_done(&((struct mortal *)arg)->wg); }

/* The waiter overwrites the memory as soon as wait returns. All of it is looked at again once every call of
 * done has returned: nobody may have written to it since. */
static void the_memory_is_the_waiters_own_when_wait_returns(void) {
    enum { BATCH = 64, DONERS = 3 };
    static struct mortal mortals[BATCH];
    int64_t until;
    for (long round = 0; t_again(round, t_n(150, 15), &until); round++) {
        /* Whatever a late touch does to a bit, one of these shows it. */
        unsigned char fill = "\x00\xFF\x99"[round % 3];
        gort_waitgroup_t callers = {0};
        memset(mortals, 0, sizeof mortals);
        for (int i = 0; i < BATCH; i++) {
            struct mortal *m = &mortals[i];
            gort_waitgroup_add(&m->wg, DONERS);
            for (int k = 0; k < DONERS; k++)
                (i % 16 == 0 && k == 0 ? t_go_thread : t_go)(&callers, only_done, m);
            if (i % 2)
                gort_yield();
            if (i % 3)
                gort_waitgroup_wait(&m->wg);
            else
                while (gort_waitgroup_wait_until(&m->wg, gort_now() + 20000) != GORT_OK) {
                }
            memset(m, fill, sizeof *m);
        }
        gort_waitgroup_wait(&callers);
        for (int i = 0; i < BATCH; i++)
            for (size_t k = 0; k < sizeof mortals[i]; k++)
                CHECK_EQ(((unsigned char *)&mortals[i])[k], fill);
    }
}

static void it_may_be_freed_as_soon_as_wait_returns(void) {
    gort_waitgroup_t callers = {0};
    int64_t until;
    for (long i = 0; t_again(i, t_n(10000, 1000), &until); i++) {
        struct mortal *m = calloc(1, sizeof *m);
        CHECK(m != NULL);
        gort_waitgroup_add(&m->wg, 2);
        t_go(&callers, only_done, m);
        t_go(&callers, only_done, m);
        gort_waitgroup_wait(&m->wg);
        free(m);
    }
    gort_waitgroup_wait(&callers);
}

/* ---- deadlines ---- */

static void wait_until_is_never_early_and_tries_first(void) {
    gort_waitgroup_t wg = {0};
    CHECK_EQ(gort_waitgroup_wait_until(&wg, 0), GORT_OK);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, INT64_MIN), GORT_OK);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, GORT_FOREVER), GORT_OK);
    gort_waitgroup_add(&wg, 1);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, 0), GORT_ETIMEDOUT);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, INT64_MIN), GORT_ETIMEDOUT);
    for (int64_t ns = 1; ns < 15 * T_MS; ns *= 3) {
        int64_t deadline = gort_now() + ns;
        CHECK_EQ(gort_waitgroup_wait_until(&wg, deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    gort_waitgroup_done(&wg);
    gort_waitgroup_wait(&wg);
}

struct late {
    gort_waitgroup_t wg;
    atomic_int done;
};

static void done_about_now(void *arg) {
    struct late *l = arg;
    uint64_t random = t_seed((uintptr_t)l);
    gort_sleep((int64_t)(t_random(&random) % 200000));
    atomic_store(&l->done, 1);
    gort_waitgroup_done(&l->wg);
}

static void wait_about_as_long(void *arg) {
    struct late *l = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 200000);
    int status = gort_waitgroup_wait_until(&l->wg, deadline);
    if (status == GORT_OK) {
        CHECK(atomic_load(&l->done));
    } else {
        CHECK_EQ(status, GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
        gort_waitgroup_wait(&l->wg);
    }
}

static void a_timeout_that_races_with_done_is_one_or_the_other(void) {
    for (long round = 0; round < t_n(400, 60); round++) {
        struct late l = {0};
        gort_waitgroup_t all = {0};
        gort_waitgroup_add(&l.wg, 1);
        for (int i = 0; i < 4; i++)
            t_go(&all, wait_about_as_long, &l);
        if (round % 8 == 0)
            t_go_thread(&all, wait_about_as_long, &l);
        t_go(&all, done_about_now, &l);
        gort_waitgroup_wait(&all);
    }
}

/* ---- gort_waitgroup_go, and misuse ---- */

static void go_more(void *arg) {
    struct job *j = arg;
    if (atomic_fetch_add(j->count, 1) < 200) {
        t_go(j->wg, go_more, j);
        t_go(j->wg, go_more, j);
    }
}

static void go_may_be_called_from_inside_the_group(void) {
    atomic_long count = 0;
    gort_waitgroup_t wg = {0};
    struct job j = {&wg, &count};
    t_go(&wg, go_more, &j);
    gort_waitgroup_wait(&wg);
    CHECK_EQ(atomic_load(&count), 401);
}

static void negative_on_a_thread(void) {
    gort_waitgroup_t wg = {0};
    gort_waitgroup_add(&wg, 3);
    gort_waitgroup_add(&wg, -4);
}

static void one_done_too_many(void *arg) {
    gort_waitgroup_done(arg);
    gort_waitgroup_done(arg);
}

static void negative_in_a_goroutine(void) {
    static gort_waitgroup_t wg;
    gort_waitgroup_add(&wg, 1);
    CHECK_EQ(gort_spawn(one_done_too_many, &wg), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static void a_negative_counter_is_a_panic(void) {
    CHILD_DIES(negative_on_a_thread, "panic: sync: negative WaitGroup counter");
    CHILD_DIES(negative_in_a_goroutine, "panic: sync: negative WaitGroup counter");
}

static void recover_it(void *count) {
    CHECK(strcmp(gort_recover(), "in the goroutine") == 0);
    gort_yield();
    atomic_fetch_add((atomic_int *)count, 1);
}

static void panic_in_the_goroutine(void *count) {
    T_DEFER(recover_it, count);
    gort_panic("in the goroutine");
}

static void exit_in_the_goroutine(void *count) {
    gort_yield();
    atomic_fetch_add((atomic_int *)count, 1);
    gort_exit();
}

static void try_to_exit(void *count) { gort_try(exit_in_the_goroutine, count); }

static void go_counts_down_after_the_deferred_calls_however_it_ends(void) {
    gort_fn_t ways[] = {panic_in_the_goroutine, exit_in_the_goroutine, try_to_exit};
    gort_waitgroup_t group = {0};
    atomic_int count = 0;
    int n = (int)t_n(3000, 300);
    for (int i = 0; i < n; i++)
        CHECK_EQ(gort_waitgroup_go(&group, ways[i % 3], &count), GORT_OK);
    gort_waitgroup_wait(&group);
    CHECK_EQ(atomic_load(&count), n);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(negative_on_a_thread);
    T_CHILD(negative_in_a_goroutine);
    RUN_BOTH(wait_returns_when_all_are_done_and_not_before);
    RUN_BOTH(add_takes_any_delta);
    RUN(all_who_wait_are_woken_goroutines_and_threads);
    RUN_BOTH(it_is_ready_for_the_next_round_at_once);
    RUN_BOTH(the_memory_is_the_waiters_own_when_wait_returns);
    RUN_BOTH(it_may_be_freed_as_soon_as_wait_returns);
    RUN_BOTH(wait_until_is_never_early_and_tries_first);
    RUN_BOTH(a_timeout_that_races_with_done_is_one_or_the_other);
    RUN_BOTH(go_may_be_called_from_inside_the_group);
    RUN_BOTH(go_counts_down_after_the_deferred_calls_however_it_ends);
    RUN(a_negative_counter_is_a_panic);
    return t_end();
}
