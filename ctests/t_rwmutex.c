/* Read-write mutexes: one writer or many readers, among goroutines and threads; whose turn it is; deadlines;
 * let go in time. */
#include "t.h"

_Static_assert(sizeof(gort_rwmutex_t) == 16, "a read-write mutex is 16 bytes");
_Static_assert(_Alignof(gort_rwmutex_t) == 8, "aligned to 8");

struct shared {
    gort_rwmutex_t rw;
    atomic_int readers, writers; /* inside */
    atomic_int most_readers;
    long counter; /* plain: the mutex is all that guards it */
    long rounds;
    atomic_int gate; /* readers stay inside until it is open */
    atomic_long timeouts, reads, writes;
};

static void write_inside(struct shared *s) {
    CHECK_EQ(atomic_fetch_add(&s->writers, 1), 0);
    CHECK_EQ(atomic_load(&s->readers), 0);
    s->counter++;
    CHECK_EQ(atomic_fetch_sub(&s->writers, 1), 1);
    atomic_fetch_add(&s->writes, 1);
}

static void read_inside(struct shared *s) {
    atomic_fetch_add(&s->readers, 1);
    CHECK_EQ(atomic_load(&s->writers), 0);
    long seen = *(volatile long *)&s->counter;
    if (seen % 4 == 0)
        gort_yield();
    CHECK_EQ(*(volatile long *)&s->counter, seen);
    atomic_fetch_sub(&s->readers, 1);
    atomic_fetch_add(&s->reads, 1);
}

static void mix(void *arg) {
    struct shared *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < s->rounds; i++) {
        int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 60000);
        int status = GORT_OK;
        switch (t_random(&random) % 8) {
        case 0: gort_rwmutex_lock(&s->rw); goto written;
        case 1: status = gort_rwmutex_try_lock(&s->rw); goto written;
        case 2:
            status = gort_rwmutex_lock_until(&s->rw, deadline);
        written:
            if (status == GORT_OK) {
                write_inside(s);
                gort_rwmutex_unlock(&s->rw);
            }
            break;
        case 3: status = gort_rwmutex_try_rlock(&s->rw); goto read;
        case 4:
        case 5: status = gort_rwmutex_rlock_until(&s->rw, deadline); goto read;
        default:
            gort_rwmutex_rlock(&s->rw);
        read:
            if (status == GORT_OK) {
                read_inside(s);
                gort_rwmutex_runlock(&s->rw);
            }
            break;
        }
        if (status == GORT_ETIMEDOUT) {
            CHECK(gort_now() >= deadline);
            atomic_fetch_add(&s->timeouts, 1);
        } else if (status != GORT_OK) {
            CHECK_EQ(status, GORT_EAGAIN);
            gort_yield();
        }
    }
}

static void check_free(struct shared *s) {
    CHECK_EQ(gort_rwmutex_try_lock(&s->rw), GORT_OK);
    gort_rwmutex_unlock(&s->rw);
    for (size_t i = 0; i < sizeof s->rw; i++)
        CHECK_EQ(((unsigned char *)&s->rw)[i], 0);
}

static void one_writer_or_many_readers_among_goroutines_and_threads(void) {
    struct shared s = {.rounds = t_n(3000, 400)};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 9; i++)
        t_go(&done, mix, &s);
    for (int i = 0; i < 3; i++)
        t_go_thread(&done, mix, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.counter, atomic_load(&s.writes));
    check_free(&s);
}

static void threads_alone_exclude_each_other(void) {
    struct shared s = {.rounds = t_n(2000, 300)};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 4; i++)
        t_go_thread(&done, mix, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.counter, atomic_load(&s.writes));
    check_free(&s);
}

/* ---- who gets in ---- */

static void read_until_the_gate_opens(void *arg) {
    struct shared *s = arg;
    gort_rwmutex_rlock(&s->rw);
    int inside = atomic_fetch_add(&s->readers, 1) + 1, most = atomic_load(&s->most_readers);
    while (inside > most && !atomic_compare_exchange_weak(&s->most_readers, &most, inside)) {
    }
    CHECK_EQ(atomic_load(&s->writers), 0);
    while (!atomic_load(&s->gate))
        gort_sleep(T_MS / 10);
    atomic_fetch_sub(&s->readers, 1);
    gort_rwmutex_runlock(&s->rw);
    atomic_fetch_add(&s->reads, 1);
}

static void write_once(void *arg) {
    struct shared *s = arg;
    gort_rwmutex_lock(&s->rw);
    write_inside(s);
    gort_rwmutex_unlock(&s->rw);
}

static void read_once(void *arg) {
    struct shared *s = arg;
    gort_rwmutex_rlock(&s->rw);
    read_inside(s);
    gort_rwmutex_runlock(&s->rw);
}

static void readers_are_inside_together(void) {
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 20; i++)
        (i % 5 ? t_go : t_go_thread)(&done, read_until_the_gate_opens, &s);
    EVENTUALLY(atomic_load(&s.most_readers) == 20);
    CHECK_EQ(gort_rwmutex_try_lock(&s.rw), GORT_EAGAIN);
    CHECK_EQ(gort_rwmutex_try_rlock(&s.rw), GORT_OK);
    gort_rwmutex_runlock(&s.rw);
    atomic_store(&s.gate, 1);
    gort_waitgroup_wait(&done);
    check_free(&s);
}

static void a_waiting_writer_holds_off_new_readers(void) {
    for (int thread = 0; thread < 2; thread++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        gort_rwmutex_rlock(&s.rw);
        (thread ? t_go_thread : t_go)(&done, write_once, &s);
        t_quiet();
        CHECK_EQ(gort_rwmutex_try_rlock(&s.rw), GORT_EAGAIN);
        CHECK_EQ(gort_rwmutex_rlock_until(&s.rw, gort_now() + T_MS), GORT_ETIMEDOUT);
        for (int i = 0; i < 8; i++)
            (i % 4 ? t_go : t_go_thread)(&done, read_once, &s);
        t_quiet();
        CHECK_EQ(atomic_load(&s.reads), 0);
        CHECK_EQ(atomic_load(&s.writes), 0);
        gort_rwmutex_runlock(&s.rw);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&s.reads), 8);
        CHECK_EQ(atomic_load(&s.writes), 1);
        check_free(&s);
    }
}

static void unlock_lets_all_queued_readers_in_before_the_next_writer(void) {
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    gort_rwmutex_lock(&s.rw);
    for (int i = 0; i < 30; i++) {
        (i % 7 ? t_go : t_go_thread)(&done, i % 3 ? read_until_the_gate_opens : write_once, &s);
        if (i % 10 == 0)
            t_quiet(); /* so that they queue in about this order: writers before readers too */
    }
    t_quiet();
    CHECK_EQ(atomic_load(&s.readers), 0);
    gort_rwmutex_unlock(&s.rw);
    EVENTUALLY(atomic_load(&s.readers) == 20);
    CHECK_EQ(atomic_load(&s.writes), 0);
    CHECK_EQ(gort_rwmutex_try_rlock(&s.rw), GORT_EAGAIN); /* ten writers wait */
    atomic_store(&s.gate, 1);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&s.writes), 10);
    check_free(&s);
}

struct hogs {
    struct shared s;
    atomic_int stop;
};

static void read_nearly_always(void *arg) {
    struct hogs *h = arg;
    while (!atomic_load(&h->stop)) {
        gort_rwmutex_rlock(&h->s.rw);
        gort_sleep(100000);
        gort_rwmutex_runlock(&h->s.rw);
    }
}

static void write_nearly_always(void *arg) {
    struct hogs *h = arg;
    while (!atomic_load(&h->stop)) {
        gort_rwmutex_lock(&h->s.rw);
        gort_sleep(100000);
        gort_rwmutex_unlock(&h->s.rw);
    }
}

static void neither_readers_nor_writers_starve(void) {
    for (int writers = 0; writers < 2; writers++) {
        struct hogs h = {0};
        gort_waitgroup_t done = {0};
        for (int i = 0; i < 4; i++)
            (i ? t_go : t_go_thread)(&done, writers ? write_nearly_always : read_nearly_always, &h);
        for (int i = 0; i < 10; i++) {
            write_once(&h.s);
            read_once(&h.s);
            gort_sleep(100000);
        }
        atomic_store(&h.stop, 1);
        gort_waitgroup_wait(&done);
        check_free(&h.s);
    }
}

static void a_thousand_contenders_all_get_it(void) {
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    int n = (int)t_n(1000, 300);
    gort_rwmutex_lock(&s.rw);
    for (int i = 0; i < n; i++)
        (i % 100 ? t_go : t_go_thread)(&done, i % 2 ? read_once : write_once, &s);
    t_quiet(); /* all of them wait */
    CHECK_EQ(s.counter, 0);
    gort_rwmutex_unlock(&s.rw);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.counter, n / 2);
    CHECK_EQ(atomic_load(&s.reads), n / 2);
    check_free(&s);
}

/* ---- deadlines ---- */

static void until_is_never_early_and_tries_first(void) {
    gort_rwmutex_t rw = {0};
    CHECK_EQ(gort_rwmutex_lock_until(&rw, 0), GORT_OK);
    CHECK_EQ(gort_rwmutex_lock_until(&rw, 0), GORT_ETIMEDOUT);
    CHECK_EQ(gort_rwmutex_rlock_until(&rw, INT64_MIN), GORT_ETIMEDOUT);
    CHECK_EQ(gort_rwmutex_try_lock(&rw), GORT_EAGAIN);
    CHECK_EQ(gort_rwmutex_try_rlock(&rw), GORT_EAGAIN);
    for (int64_t ns = 1; ns < 15 * T_MS; ns *= 5) {
        int64_t deadline = gort_now() + ns;
        CHECK_EQ(gort_rwmutex_lock_until(&rw, deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
        deadline = gort_now() + ns;
        CHECK_EQ(gort_rwmutex_rlock_until(&rw, deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    gort_rwmutex_unlock(&rw);
    CHECK_EQ(gort_rwmutex_rlock_until(&rw, INT64_MIN), GORT_OK);
    CHECK_EQ(gort_rwmutex_rlock_until(&rw, GORT_FOREVER), GORT_OK);
    CHECK_EQ(gort_rwmutex_lock_until(&rw, gort_now() + T_MS), GORT_ETIMEDOUT);
    gort_rwmutex_runlock(&rw);
    gort_rwmutex_runlock(&rw);
    CHECK_EQ(gort_rwmutex_lock_until(&rw, GORT_FOREVER), GORT_OK);
    gort_rwmutex_unlock(&rw);
}

static void write_soon(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(gort_rwmutex_lock_until(&s->rw, gort_now() + 2 * T_MS), GORT_ETIMEDOUT);
    atomic_fetch_add(&s->timeouts, 1);
}

/* The test holds it for reading until the readers have got in: nothing but the writers' deadlines lets them. */
static void a_writer_whose_deadline_passes_lets_in_the_readers_it_held_off(void) {
    int64_t until;
    for (long i = 0; t_again(i, t_n(30, 5), &until); i++) {
        struct shared s = {.gate = 1};
        gort_waitgroup_t writers = {0}, readers = {0};
        gort_rwmutex_rlock(&s.rw);
        for (int k = 0; k < 3; k++)
            (k ? t_go : t_go_thread)(&writers, write_soon, &s);
        for (long k = 0; k < i % 4; k++)
            gort_sleep(T_MS / 2);
        for (int k = 0; k < 6; k++)
            (k % 3 ? t_go : t_go_thread)(&readers, read_until_the_gate_opens, &s);
        gort_waitgroup_wait(&readers);
        gort_waitgroup_wait(&writers);
        CHECK_EQ(atomic_load(&s.timeouts), 3);
        CHECK_EQ(gort_rwmutex_try_rlock(&s.rw), GORT_OK);
        gort_rwmutex_runlock(&s.rw);
        gort_rwmutex_runlock(&s.rw);
        check_free(&s);
    }
}

static void lock_until_about_now(void *arg) {
    struct shared *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < s->rounds; i++) {
        int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 40000);
        bool write = t_random(&random) % 2;
        int status = (write ? gort_rwmutex_lock_until : gort_rwmutex_rlock_until)(&s->rw, deadline);
        if (status == GORT_OK) {
            write ? write_inside(s) : read_inside(s);
            gort_sleep((int64_t)(t_random(&random) % 40000));
            (write ? gort_rwmutex_unlock : gort_rwmutex_runlock)(&s->rw);
        } else {
            CHECK_EQ(status, GORT_ETIMEDOUT);
            CHECK(gort_now() >= deadline);
        }
    }
}

static void deadlines_that_race_unlocks_lose_nothing(void) {
    struct shared s = {.rounds = t_n(400, 60)};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 10; i++)
        (i % 5 ? t_go : t_go_thread)(&done, lock_until_about_now, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.counter, atomic_load(&s.writes));
    check_free(&s);
}

/* ---- lifetime, ownership, misuse ---- */

struct mortal {
    gort_rwmutex_t rw;
    atomic_int left;
    unsigned char after; /* what the last holder fills it with */
};

static void read_write_and_leave(void *arg) {
    struct mortal *m = arg;
    gort_rwmutex_rlock(&m->rw);
    gort_rwmutex_runlock(&m->rw);
    gort_rwmutex_lock(&m->rw);
    if (atomic_fetch_sub(&m->left, 1) > 1)
        gort_rwmutex_unlock(&m->rw);
    else
        memset(&m->rw, m->after, sizeof m->rw);
}

static void write_and_leave(void *arg) {
    struct mortal *m = arg;
    while (gort_rwmutex_lock_until(&m->rw, gort_now() + 50000) != GORT_OK) {
    }
    if (atomic_fetch_sub(&m->left, 1) > 1)
        gort_rwmutex_unlock(&m->rw);
    else
        memset(&m->rw, m->after, sizeof m->rw);
}

/* When every call has returned, nobody may have written to the memory since the last writer filled it. */
static void the_memory_is_the_last_writers_own(void) {
    struct mortal m;
    int64_t until;
    for (long i = 0; t_again(i, t_n(5000, 500), &until); i++) {
        gort_waitgroup_t done = {0};
        memset(&m, 0, sizeof m);
        m.left = 2 + (int)(i % 3);
        m.after = (unsigned char)"\x00\xFF\x99"[i % 3];
        gort_rwmutex_rlock(&m.rw);
        for (int k = 0, peers = m.left; k < peers; k++)
            (i % 5 || k % 2 ? t_go : t_go_thread)(&done, (i + k) % 3 ? read_write_and_leave : write_and_leave, &m);
        for (long k = 0; k < i % 3; k++)
            gort_yield();
        gort_rwmutex_runlock(&m.rw);
        gort_waitgroup_wait(&done);
        for (size_t k = 0; k < sizeof m.rw; k++)
            CHECK_EQ(((unsigned char *)&m.rw)[k], m.after);
    }
}

static void unlock_it(void *arg) { gort_rwmutex_unlock(arg); }

static void runlock_it(void *arg) { gort_rwmutex_runlock(arg); }

static void another_may_unlock_it_as_in_go(void) {
    gort_rwmutex_t rw = {0};
    gort_waitgroup_t done = {0};
    gort_rwmutex_lock(&rw);
    t_go(&done, unlock_it, &rw);
    gort_rwmutex_rlock(&rw);
    t_go_thread(&done, runlock_it, &rw);
    gort_rwmutex_lock(&rw);
    gort_rwmutex_unlock(&rw);
    gort_waitgroup_wait(&done);
}

static void unlock_unlocked(void) {
    gort_rwmutex_t rw = {0};
    gort_rwmutex_unlock(&rw);
}

static void unlock_read_locked(void) {
    gort_rwmutex_t rw = {0};
    gort_rwmutex_rlock(&rw);
    gort_rwmutex_unlock(&rw);
}

static void runlock_unlocked(void) {
    gort_rwmutex_t rw = {0};
    gort_rwmutex_rlock(&rw);
    gort_rwmutex_runlock(&rw);
    gort_rwmutex_runlock(&rw);
}

static void runlock_write_locked(void) {
    gort_rwmutex_t rw = {0};
    gort_rwmutex_lock(&rw);
    gort_rwmutex_runlock(&rw);
}

static void lock_null(void) { gort_rwmutex_lock(NULL); }
static void unlock_null(void) { gort_rwmutex_unlock(NULL); }
static void rlock_null(void) { gort_rwmutex_rlock(NULL); }
static void runlock_null(void) { gort_rwmutex_runlock(NULL); }

static void misuse_is_a_fatal_error_and_null_is_told(void) {
    CHILD_DIES(unlock_unlocked, "fatal error: sync: Unlock of unlocked RWMutex");
    CHILD_DIES(unlock_read_locked, "fatal error: sync: Unlock of unlocked RWMutex");
    CHILD_DIES(runlock_unlocked, "fatal error: sync: RUnlock of unlocked RWMutex");
    CHILD_DIES(runlock_write_locked, "fatal error: sync: RUnlock of unlocked RWMutex");
    CHILD_DIES(lock_null, "fatal error: gort_rwmutex_lock: ");
    CHILD_DIES(unlock_null, "fatal error: gort_rwmutex_unlock: ");
    CHILD_DIES(rlock_null, "fatal error: gort_rwmutex_rlock: ");
    CHILD_DIES(runlock_null, "fatal error: gort_rwmutex_runlock: ");
    CHECK_EQ(gort_rwmutex_try_lock(NULL), GORT_EINVAL);
    CHECK_EQ(gort_rwmutex_try_rlock(NULL), GORT_EINVAL);
    CHECK_EQ(gort_rwmutex_lock_until(NULL, 0), GORT_EINVAL);
    CHECK_EQ(gort_rwmutex_rlock_until(NULL, 0), GORT_EINVAL);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(unlock_unlocked);
    T_CHILD(unlock_read_locked);
    T_CHILD(runlock_unlocked);
    T_CHILD(runlock_write_locked);
    T_CHILD(lock_null);
    T_CHILD(unlock_null);
    T_CHILD(rlock_null);
    T_CHILD(runlock_null);
    RUN_BOTH(one_writer_or_many_readers_among_goroutines_and_threads);
    RUN(threads_alone_exclude_each_other);
    RUN_BOTH(readers_are_inside_together);
    RUN(a_waiting_writer_holds_off_new_readers);
    RUN(unlock_lets_all_queued_readers_in_before_the_next_writer);
    RUN_BOTH(neither_readers_nor_writers_starve);
    RUN(a_thousand_contenders_all_get_it);
    RUN_BOTH(until_is_never_early_and_tries_first);
    RUN_BOTH(a_writer_whose_deadline_passes_lets_in_the_readers_it_held_off);
    RUN_BOTH(deadlines_that_race_unlocks_lose_nothing);
    RUN_BOTH(the_memory_is_the_last_writers_own);
    RUN_BOTH(another_may_unlock_it_as_in_go);
    RUN(misuse_is_a_fatal_error_and_null_is_told);
    return t_end();
}
