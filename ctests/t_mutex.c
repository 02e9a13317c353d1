/* Mutexes: one holder at a time, among goroutines and threads; nobody starves; let go in time. */
#include "t.h"

_Static_assert(sizeof(gort_mutex_t) == 16, "a mutex is 16 bytes");
_Static_assert(_Alignof(gort_mutex_t) == 8, "aligned to 8");

struct shared {
    gort_mutex_t mutex;
    atomic_int inside;
    long counter; /* plain: the mutex is all that guards it */
    long rounds;
    gort_chan_t *ch;
    atomic_long timeouts;
};

static void critical_section(struct shared *s) {
    CHECK_EQ(atomic_fetch_add(&s->inside, 1), 0);
    s->counter++;
    CHECK_EQ(atomic_fetch_sub(&s->inside, 1), 1);
}

static void lock_add_unlock(void *arg) {
    struct shared *s = arg;
    for (long i = 0; i < s->rounds; i++) {
        gort_mutex_lock(&s->mutex);
        critical_section(s);
        gort_mutex_unlock(&s->mutex);
    }
}

static void try_until_locked(void *arg) {
    struct shared *s = arg;
    for (long i = 0; i < s->rounds; i++) {
        int status;
        while ((status = gort_mutex_try_lock(&s->mutex)) != GORT_OK) {
            CHECK_EQ(status, GORT_EAGAIN);
            gort_yield();
        }
        critical_section(s);
        gort_mutex_unlock(&s->mutex);
    }
}

static void lock_with_deadlines(void *arg) {
    struct shared *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < s->rounds; i++) {
        for (;;) {
            int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 60000);
            int status = gort_mutex_lock_until(&s->mutex, deadline);
            if (status == GORT_OK)
                break;
            CHECK_EQ(status, GORT_ETIMEDOUT);
            CHECK(gort_now() >= deadline);
            atomic_fetch_add(&s->timeouts, 1);
        }
        critical_section(s);
        gort_mutex_unlock(&s->mutex);
    }
}

static void one_holder_at_a_time_among_goroutines_and_threads(void) {
    struct shared s = {.rounds = t_n(3000, 400)};
    gort_fn_t ways[] = {lock_add_unlock, try_until_locked, lock_with_deadlines};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 9; i++)
        t_go(&done, ways[i % 3], &s);
    for (int i = 0; i < 3; i++)
        t_go_thread(&done, ways[i % 3], &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.counter, 12 * s.rounds);
    CHECK_EQ(gort_mutex_try_lock(&s.mutex), GORT_OK);
    gort_mutex_unlock(&s.mutex);
}

static void threads_alone_exclude_each_other(void) {
    struct shared s = {.rounds = t_n(3000, 400)};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 4; i++)
        t_go_thread(&done, lock_add_unlock, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.counter, 4 * s.rounds);
}

static void lock_park_unlock(void *arg) {
    struct shared *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < s->rounds; i++) {
        gort_mutex_lock(&s->mutex);
        CHECK_EQ(atomic_fetch_add(&s->inside, 1), 0);
        long seen = s->counter;
        switch (t_random(&random) % 3) {
        case 0: gort_yield(); break;
        case 1: gort_sleep(10000); break;
        default: /* a channel in the middle; someone at the other end takes it */
            CHECK_EQ(gort_chan_send(s->ch, NULL), GORT_OK);
            break;
        }
        s->counter = seen + 1;
        CHECK_EQ(atomic_fetch_sub(&s->inside, 1), 1);
        gort_mutex_unlock(&s->mutex);
    }
}

static void drain(void *arg) {
    while (gort_chan_recv(arg, NULL) == GORT_OK) {
    }
}

static void it_stays_locked_while_its_holder_parks(void) {
    struct shared s = {.rounds = t_n(150, 30), .ch = gort_chan_new(0, 0)};
    gort_waitgroup_t done = {0}, drained = {0};
    t_go(&drained, drain, s.ch);
    for (int i = 0; i < 10; i++)
        (i < 2 ? t_go_thread : t_go)(&done, lock_park_unlock, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.counter, 10 * s.rounds);
    CHECK_EQ(gort_chan_close(s.ch), GORT_OK);
    gort_waitgroup_wait(&drained);
    gort_chan_release(s.ch);
}

static void lock_once(void *arg) {
    struct shared *s = arg;
    gort_mutex_lock(&s->mutex);
    critical_section(s);
    gort_mutex_unlock(&s->mutex);
}

static void a_thousand_contenders_all_get_it(void) {
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    int n = (int)t_n(1000, 300);
    gort_mutex_lock(&s.mutex);
    for (int i = 0; i < n; i++)
        (i % 100 ? t_go : t_go_thread)(&done, lock_once, &s);
    t_quiet(); /* all of them wait */
    CHECK_EQ(s.counter, 0);
    gort_mutex_unlock(&s.mutex);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.counter, n);
}

/* ---- starvation ---- */

struct hog {
    gort_mutex_t mutex;
    atomic_int stop;
};

static void hold_nearly_always(void *arg) {
    struct hog *h = arg;
    while (!atomic_load(&h->stop)) {
        gort_mutex_lock(&h->mutex);
        gort_sleep(100000);
        gort_mutex_unlock(&h->mutex);
    }
}

/* Go's TestMutexFairness: without a hand-over to those who have waited long the hog gets it back every time. */
static void a_holder_that_always_comes_back_starves_nobody(void) {
    for (int thread = 0; thread < 2; thread++) {
        struct hog h = {0};
        gort_waitgroup_t done = {0};
        (thread ? t_go_thread : t_go)(&done, hold_nearly_always, &h);
        for (int i = 0; i < 10; i++) {
            gort_sleep(100000);
            gort_mutex_lock(&h.mutex);
            gort_mutex_unlock(&h.mutex);
        }
        atomic_store(&h.stop, 1);
        gort_waitgroup_wait(&done);
    }
}

/* ---- deadlines ---- */

static void lock_until_is_never_early_and_tries_first(void) {
    gort_mutex_t m = {0};
    CHECK_EQ(gort_mutex_lock_until(&m, 0), GORT_OK);
    CHECK_EQ(gort_mutex_try_lock(&m), GORT_EAGAIN);
    CHECK_EQ(gort_mutex_lock_until(&m, 0), GORT_ETIMEDOUT);
    CHECK_EQ(gort_mutex_lock_until(&m, INT64_MIN), GORT_ETIMEDOUT);
    for (int64_t ns = 1; ns < 15 * T_MS; ns *= 3) {
        int64_t deadline = gort_now() + ns;
        CHECK_EQ(gort_mutex_lock_until(&m, deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    gort_mutex_unlock(&m);
    CHECK_EQ(gort_mutex_lock_until(&m, GORT_FOREVER), GORT_OK);
    gort_mutex_unlock(&m);
    CHECK_EQ(gort_mutex_lock_until(&m, INT64_MIN), GORT_OK);
    gort_mutex_unlock(&m);
}

static void lock_until_soon(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(gort_mutex_lock_until(&s->mutex, gort_now() + T_MS), GORT_ETIMEDOUT);
    atomic_fetch_add(&s->timeouts, 1);
}

static void who_has_timed_out_neither_gets_the_mutex_nor_holds_it_up(void) {
    struct shared s = {0};
    gort_waitgroup_t timed = {0}, patient = {0};
    gort_mutex_lock(&s.mutex);
    for (int i = 0; i < 40; i++)
        (i % 10 ? t_go : t_go_thread)(&timed, lock_until_soon, &s);
    t_go(&patient, lock_once, &s);
    t_go_thread(&patient, lock_once, &s);
    gort_waitgroup_wait(&timed);
    CHECK_EQ(atomic_load(&s.timeouts), 40);
    CHECK_EQ(s.counter, 0);
    gort_mutex_unlock(&s.mutex);
    gort_waitgroup_wait(&patient);
    CHECK_EQ(s.counter, 2);
    CHECK_EQ(gort_mutex_try_lock(&s.mutex), GORT_OK);
    gort_mutex_unlock(&s.mutex);
}

/* ---- lifetime, ownership, misuse ---- */

enum { MOST_PEERS = 4 };

struct mortal {
    gort_mutex_t mutex;
    int left; /* guarded by it */
};

static void unlock_or_overwrite(struct mortal *m) {
    if (--m->left > 0)
        gort_mutex_unlock(&m->mutex);
    else
        memset(&m->mutex, 0x99, sizeof m->mutex);
}

static void lock_and_leave(void *arg) {
    struct mortal *m = arg;
    gort_mutex_lock(&m->mutex);
    unlock_or_overwrite(m);
}

static void try_and_leave(void *arg) {
    struct mortal *m = arg;
    while (gort_mutex_try_lock(&m->mutex) != GORT_OK)
        gort_yield();
    unlock_or_overwrite(m);
}

static void lock_until_and_leave(void *arg) {
    struct mortal *m = arg;
    while (gort_mutex_lock_until(&m->mutex, gort_now() + 50000) != GORT_OK) {
    }
    unlock_or_overwrite(m);
}

/* The last to hold the mutex overwrites it. When every call has returned, nobody may have written to it since:
 * not the unlocks of those before, which may still have been on their way. */
static void the_memory_is_the_last_holders_own_once_it_holds_the_mutex(void) {
    gort_fn_t ways[] = {lock_and_leave, lock_and_leave, try_and_leave, lock_until_and_leave};
    struct mortal m;
    int64_t until;
    for (long i = 0; t_again(i, t_n(5000, 500), &until); i++) {
        gort_waitgroup_t done = {0};
        memset(&m, 0, sizeof m);
        m.left = 1 + (int)(i % MOST_PEERS) + 1;
        gort_mutex_lock(&m.mutex);
        for (int k = 0, peers = m.left - 1; k < peers; k++)
            (i % 16 || k ? t_go : t_go_thread)(&done, ways[(i / MOST_PEERS + k) % (long)T_LEN(ways)], &m);
        for (long k = 0; k < i % 3; k++)
            gort_yield();
        unlock_or_overwrite(&m);
        gort_waitgroup_wait(&done);
        for (size_t k = 0; k < sizeof m.mutex; k++)
            CHECK_EQ(((unsigned char *)&m.mutex)[k], 0x99);
    }
}

static void unlock_it(void *arg) { gort_mutex_unlock(arg); }

static void another_may_unlock_it_as_in_go(void) {
    gort_mutex_t m = {0};
    gort_waitgroup_t done = {0};
    gort_mutex_lock(&m);
    t_go(&done, unlock_it, &m);
    gort_mutex_lock(&m);
    t_go_thread(&done, unlock_it, &m);
    gort_mutex_lock(&m);
    gort_mutex_unlock(&m);
    gort_waitgroup_wait(&done);
}

static void unlock_unlocked(void) {
    gort_mutex_t m = {0};
    gort_mutex_unlock(&m);
}

static void unlock_twice(void *arg) {
    gort_mutex_lock(arg);
    gort_mutex_unlock(arg);
    gort_mutex_unlock(arg);
}

static void unlock_twice_in_a_goroutine(void) {
    static gort_mutex_t m;
    CHECK_EQ(gort_spawn(unlock_twice, &m), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static void unlock_of_an_unlocked_mutex_is_a_fatal_error(void) {
    CHILD_DIES(unlock_unlocked, "fatal error: sync: unlock of unlocked mutex");
    CHILD_DIES(unlock_twice_in_a_goroutine, "fatal error: sync: unlock of unlocked mutex");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(unlock_unlocked);
    T_CHILD(unlock_twice_in_a_goroutine);
    RUN_BOTH(one_holder_at_a_time_among_goroutines_and_threads);
    RUN(threads_alone_exclude_each_other);
    RUN_BOTH(it_stays_locked_while_its_holder_parks);
    RUN(a_thousand_contenders_all_get_it);
    RUN_BOTH(a_holder_that_always_comes_back_starves_nobody);
    RUN_BOTH(lock_until_is_never_early_and_tries_first);
    RUN_BOTH(who_has_timed_out_neither_gets_the_mutex_nor_holds_it_up);
    RUN_BOTH(the_memory_is_the_last_holders_own_once_it_holds_the_mutex);
    RUN_BOTH(another_may_unlock_it_as_in_go);
    RUN(unlock_of_an_unlocked_mutex_is_a_fatal_error);
    return t_end();
}
