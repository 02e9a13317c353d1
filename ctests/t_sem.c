/* Semaphores: never more taken than there are; first come, first served, by weight; deadlines; let go in time. */
#include "t.h"

_Static_assert(sizeof(gort_sem_t) == 16, "a semaphore is 16 bytes");
_Static_assert(_Alignof(gort_sem_t) == 8, "aligned to 8");

#define MOST ((INT64_C(1) << 62) - 1)

struct shared {
    gort_sem_t sem;
    int64_t permits;
    long rounds;
    atomic_long taken, most_taken, got, timeouts, waiting;
};

/* So many are free, and nobody waits: all are taken, and no more can be. */
static void check_free(gort_sem_t *sem, int64_t permits) {
    if (permits)
        CHECK_EQ(gort_sem_try_acquire(sem, permits), GORT_OK);
    CHECK_EQ(gort_sem_try_acquire(sem, 1), GORT_EAGAIN);
    for (size_t i = 0; i < sizeof *sem; i++)
        CHECK_EQ(((unsigned char *)sem)[i], 0);
    if (permits)
        gort_sem_release(sem, permits);
}

static void take_some(void *arg) {
    struct shared *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < s->rounds; i++) {
        int64_t n = 1 + (int64_t)(t_random(&random) % (uint64_t)s->permits);
        int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 60000);
        int status;
        switch (t_random(&random) % 3) {
        case 0: status = gort_sem_try_acquire(&s->sem, n); break;
        case 1: status = gort_sem_acquire_until(&s->sem, n, deadline); break;
        default: status = gort_sem_acquire(&s->sem, n); break;
        }
        if (status == GORT_OK) {
            CHECK(atomic_fetch_add(&s->taken, n) + n <= s->permits);
            if (i % 4 == 0)
                gort_yield();
            atomic_fetch_sub(&s->taken, n);
            gort_sem_release(&s->sem, n);
        } else if (status == GORT_ETIMEDOUT) {
            CHECK(gort_now() >= deadline);
            atomic_fetch_add(&s->timeouts, 1);
        } else {
            CHECK_EQ(status, GORT_EAGAIN);
            gort_yield();
        }
    }
}

static void no_more_are_taken_than_there_are_among_goroutines_and_threads(void) {
    for (int64_t permits = 1; permits <= 9; permits += 4) {
        struct shared s = {.permits = permits, .rounds = t_n(1500, 200)};
        gort_waitgroup_t done = {0};
        gort_sem_init(&s.sem, permits);
        for (int i = 0; i < 12; i++)
            (i % 4 ? t_go : t_go_thread)(&done, take_some, &s);
        gort_waitgroup_wait(&done);
        check_free(&s.sem, permits);
    }
}

static void threads_alone_share_it_too(void) {
    struct shared s = {.permits = 3, .rounds = t_n(1500, 200)};
    gort_waitgroup_t done = {0};
    gort_sem_init(&s.sem, s.permits);
    for (int i = 0; i < 4; i++)
        t_go_thread(&done, take_some, &s);
    gort_waitgroup_wait(&done);
    check_free(&s.sem, s.permits);
}

static void zeroed_it_has_no_permits_and_release_may_exceed_the_start(void) {
    gort_sem_t sem = {0};
    check_free(&sem, 0);
    gort_sem_release(&sem, 5);
    check_free(&sem, 5);
    memset(&sem, 0xEE, sizeof sem); /* init wants nothing of the memory */
    gort_sem_init(&sem, 2);
    check_free(&sem, 2);
    gort_sem_release(&sem, 40);
    check_free(&sem, 42);
    gort_sem_init(&sem, 0);
    check_free(&sem, 0);
    gort_sem_init(&sem, MOST);
    CHECK_EQ(gort_sem_try_acquire(&sem, INT64_MAX), GORT_EAGAIN);
    check_free(&sem, MOST);
}

static void less_than_one_is_invalid(void) {
    gort_sem_t sem;
    gort_sem_init(&sem, 3);
    int64_t bad[] = {0, -1, INT64_MIN};
    for (size_t i = 0; i < T_LEN(bad); i++) {
        CHECK_EQ(gort_sem_acquire(&sem, bad[i]), GORT_EINVAL);
        CHECK_EQ(gort_sem_try_acquire(&sem, bad[i]), GORT_EINVAL);
        CHECK_EQ(gort_sem_acquire_until(&sem, bad[i], 0), GORT_EINVAL);
    }
    CHECK_EQ(gort_sem_acquire(NULL, 1), GORT_EINVAL);
    CHECK_EQ(gort_sem_try_acquire(NULL, 1), GORT_EINVAL);
    CHECK_EQ(gort_sem_acquire_until(NULL, 1, 0), GORT_EINVAL);
    check_free(&sem, 3);
}

/* ---- whose turn it is ---- */

struct waiter {
    struct shared *s;
    int64_t weight;
    long number;
};

static void wait_in_line(void *arg) {
    struct waiter *w = arg;
    if (w->number % 2)
        CHECK_EQ(gort_sem_acquire(&w->s->sem, w->weight), GORT_OK);
    else
        CHECK_EQ(gort_sem_acquire_until(&w->s->sem, w->weight, gort_now() + T_PATIENCE), GORT_OK);
    CHECK_EQ(atomic_fetch_add(&w->s->got, 1), w->number);
}

/* Each comes when the one before waits; permits come one by one, so that each is woken alone. */
static void first_come_first_served_whatever_the_weight(void) {
    struct shared s = {0};
    struct waiter line[12];
    gort_waitgroup_t done = {0};
    for (long i = 0; i < (long)T_LEN(line); i++) {
        line[i] = (struct waiter){&s, 1 + (i * 7) % 4, i};
        (i % 3 ? t_go : t_go_thread)(&done, wait_in_line, &line[i]);
        t_quiet();
    }
    for (long i = 0; i < (long)T_LEN(line); i++) {
        for (int64_t k = 0; k < line[i].weight; k++) {
            CHECK_EQ(atomic_load(&s.got), i);
            CHECK_EQ(gort_sem_try_acquire(&s.sem, 1), GORT_EAGAIN);
            gort_sem_release(&s.sem, 1);
        }
        EVENTUALLY(atomic_load(&s.got) == i + 1);
    }
    gort_waitgroup_wait(&done);
    check_free(&s.sem, 0);
}

static void acquire_two(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(gort_sem_acquire(&s->sem, 2), GORT_OK);
    atomic_fetch_add(&s->got, 1);
}

static void acquire_one(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(gort_sem_acquire(&s->sem, 1), GORT_OK);
    atomic_fetch_add(&s->got, 1);
}

static void try_fails_behind_waiters(void) {
    for (int thread = 0; thread < 2; thread++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        gort_sem_init(&s.sem, 1);
        (thread ? t_go_thread : t_go)(&done, acquire_two, &s);
        t_quiet();
        CHECK_EQ(gort_sem_try_acquire(&s.sem, 1), GORT_EAGAIN);
        CHECK_EQ(gort_sem_acquire_until(&s.sem, 1, gort_now() + T_MS), GORT_ETIMEDOUT);
        gort_sem_release(&s.sem, 1);
        gort_waitgroup_wait(&done);
        check_free(&s.sem, 0);
    }
}

static void one_release_serves_as_many_as_it_can(void) {
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 10; i++)
        (i % 4 ? t_go : t_go_thread)(&done, acquire_two, &s);
    t_quiet();
    gort_sem_release(&s.sem, 7); /* three, and one over */
    t_quiet();
    CHECK_EQ(atomic_load(&s.got), 3);
    gort_sem_release(&s.sem, 1);
    t_quiet();
    CHECK_EQ(atomic_load(&s.got), 4);
    gort_sem_release(&s.sem, 13);
    gort_waitgroup_wait(&done);
    check_free(&s.sem, 1);
}

static void a_thousand_contenders_all_get_theirs(void) {
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    int n = (int)t_n(1000, 300);
    for (int i = 0; i < n; i++)
        (i % 100 ? t_go : t_go_thread)(&done, i % 2 ? acquire_one : acquire_two, &s);
    t_quiet(); /* all of them wait */
    CHECK_EQ(atomic_load(&s.got), 0);
    for (int i = 0; i < n / 2; i++)
        gort_sem_release(&s.sem, i % 2 ? 1 : 5);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&s.got), n);
    check_free(&s.sem, 0);
}

/* ---- deadlines ---- */

static void until_is_never_early_and_tries_first(void) {
    gort_sem_t sem = {0};
    CHECK_EQ(gort_sem_acquire_until(&sem, 1, 0), GORT_ETIMEDOUT);
    CHECK_EQ(gort_sem_acquire_until(&sem, 1, INT64_MIN), GORT_ETIMEDOUT);
    gort_sem_release(&sem, 1);
    for (int64_t ns = 1; ns < 15 * T_MS; ns *= 3) {
        int64_t deadline = gort_now() + ns;
        CHECK_EQ(gort_sem_acquire_until(&sem, 2, deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    CHECK_EQ(gort_sem_acquire_until(&sem, 1, INT64_MIN), GORT_OK);
    gort_sem_release(&sem, 1);
    CHECK_EQ(gort_sem_acquire_until(&sem, 1, GORT_FOREVER), GORT_OK);
    check_free(&sem, 0);
}

static void want_many_soon(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(gort_sem_acquire_until(&s->sem, 100, gort_now() + 2 * T_MS), GORT_ETIMEDOUT);
    atomic_fetch_add(&s->timeouts, 1);
}

/* Nothing but the deadlines of those who want too much lets the others go. */
static void who_gives_up_at_the_head_lets_those_behind_it_go(void) {
    int64_t until;
    for (long i = 0; t_again(i, t_n(50, 8), &until); i++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        gort_sem_init(&s.sem, 6);
        for (int k = 0; k < 3; k++)
            (k ? t_go : t_go_thread)(&done, want_many_soon, &s);
        for (long k = 0; k < i % 4; k++)
            gort_sleep(T_MS / 2);
        for (int k = 0; k < 4; k++)
            ((k + i) % 3 ? t_go : t_go_thread)(&done, k % 2 ? acquire_one : acquire_two, &s);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&s.timeouts), 3);
        CHECK_EQ(atomic_load(&s.got), 4);
        check_free(&s.sem, 0);
    }
}

static void acquire_about_now(void *arg) {
    struct shared *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < s->rounds; i++) {
        int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 40000);
        int64_t n = 1 + (int64_t)(t_random(&random) % 3);
        int status = gort_sem_acquire_until(&s->sem, n, deadline);
        if (status == GORT_OK) {
            CHECK(atomic_fetch_add(&s->taken, n) + n <= s->permits);
            gort_sleep((int64_t)(t_random(&random) % 40000));
            atomic_fetch_sub(&s->taken, n);
            gort_sem_release(&s->sem, n);
        } else {
            CHECK_EQ(status, GORT_ETIMEDOUT);
            CHECK(gort_now() >= deadline);
        }
    }
}

static void deadlines_that_race_releases_lose_no_permit(void) {
    struct shared s = {.permits = 3, .rounds = t_n(400, 60)};
    gort_waitgroup_t done = {0};
    gort_sem_init(&s.sem, s.permits);
    for (int i = 0; i < 10; i++)
        (i % 5 ? t_go : t_go_thread)(&done, acquire_about_now, &s);
    gort_waitgroup_wait(&done);
    check_free(&s.sem, 3);
}

/* ---- lifetime, misuse ---- */

struct mortal {
    gort_sem_t sem;
    atomic_int left;
    unsigned char after;
};

static void release_one(void *arg) { gort_sem_release(&((struct mortal *)arg)->sem, 1); }

static void acquire_all_and_overwrite(void *arg) {
    struct mortal *m = arg;
    CHECK_EQ(gort_sem_acquire(&m->sem, atomic_load(&m->left)), GORT_OK);
    memset(&m->sem, m->after, sizeof m->sem);
}

static void acquire_all_until_and_overwrite(void *arg) {
    struct mortal *m = arg;
    while (gort_sem_acquire_until(&m->sem, atomic_load(&m->left), gort_now() + 50000) != GORT_OK) {
    }
    memset(&m->sem, m->after, sizeof m->sem);
}

/* Who has got the last permit fills it; the releases may still be on their way out. */
static void the_memory_is_the_last_takers_own(void) {
    struct mortal m;
    int64_t until;
    for (long i = 0; t_again(i, t_n(5000, 500), &until); i++) {
        gort_waitgroup_t done = {0};
        memset(&m, 0, sizeof m);
        int n = 1 + (int)(i % 3);
        m.left = n;
        m.after = (unsigned char)"\x00\xFF\x99"[i % 3];
        (i % 5 ? t_go : t_go_thread)(&done, i % 2 ? acquire_all_and_overwrite : acquire_all_until_and_overwrite,
                                     &m);
        for (long k = 0; k < i % 4; k++)
            gort_yield();
        for (int k = 0; k < n; k++)
            ((i + k) % 6 ? t_go : t_go_thread)(&done, release_one, &m);
        gort_waitgroup_wait(&done);
        for (size_t k = 0; k < sizeof m.sem; k++)
            CHECK_EQ(((unsigned char *)&m.sem)[k], m.after);
    }
}

static void init_null(void) { gort_sem_init(NULL, 1); }

static void init_negative(void) {
    gort_sem_t sem;
    gort_sem_init(&sem, -1);
}

static void init_too_many(void) {
    gort_sem_t sem;
    gort_sem_init(&sem, MOST + 1);
}

static void release_null(void) { gort_sem_release(NULL, 1); }

static void release_none(void) {
    gort_sem_t sem = {0};
    gort_sem_release(&sem, 0);
}

static void release_fewer(void) {
    gort_sem_t sem = {0};
    gort_sem_release(&sem, INT64_MIN);
}

static void release_too_many(void) {
    gort_sem_t sem;
    gort_sem_init(&sem, MOST);
    gort_sem_release(&sem, 1);
}

static void misuse_is_a_fatal_error(void) {
    CHILD_DIES(init_null, "fatal error: gort_sem_init: ");
    CHILD_DIES(init_negative, "fatal error: gort_sem_init: ");
    CHILD_DIES(init_too_many, "fatal error: gort_sem_init: ");
    CHILD_DIES(release_null, "fatal error: gort_sem_release: ");
    CHILD_DIES(release_none, "fatal error: gort_sem_release: ");
    CHILD_DIES(release_fewer, "fatal error: gort_sem_release: ");
    CHILD_DIES(release_too_many, "fatal error: sync: too many permits in a semaphore");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(init_null);
    T_CHILD(init_negative);
    T_CHILD(init_too_many);
    T_CHILD(release_null);
    T_CHILD(release_none);
    T_CHILD(release_fewer);
    T_CHILD(release_too_many);
    RUN_BOTH(no_more_are_taken_than_there_are_among_goroutines_and_threads);
    RUN(threads_alone_share_it_too);
    RUN_BOTH(zeroed_it_has_no_permits_and_release_may_exceed_the_start);
    RUN_BOTH(less_than_one_is_invalid);
    RUN(first_come_first_served_whatever_the_weight);
    RUN(try_fails_behind_waiters);
    RUN(one_release_serves_as_many_as_it_can);
    RUN(a_thousand_contenders_all_get_theirs);
    RUN_BOTH(until_is_never_early_and_tries_first);
    RUN_BOTH(who_gives_up_at_the_head_lets_those_behind_it_go);
    RUN_BOTH(deadlines_that_race_releases_lose_no_permit);
    RUN_BOTH(the_memory_is_the_last_takers_own);
    RUN(misuse_is_a_fatal_error);
    return t_end();
}
