/* Condition variables: who is woken, by what, in which order; deadlines; let go in time. */
#include "t.h"

_Static_assert(sizeof(gort_cond_t) == 16, "a condition variable is 16 bytes");
_Static_assert(_Alignof(gort_cond_t) == 8, "aligned to 8");

struct shared {
    gort_mutex_t mutex;
    gort_cond_t cond;
    long waiting, next, tokens; /* guarded by the mutex */
    atomic_long woken, timeouts;
    int64_t patience;
};

static long get(struct shared *s, long *what) {
    gort_mutex_lock(&s->mutex);
    long value = *what;
    gort_mutex_unlock(&s->mutex);
    return value;
}

static void wait_once(void *arg) {
    struct shared *s = arg;
    gort_mutex_lock(&s->mutex);
    s->waiting++;
    gort_cond_wait(&s->cond, &s->mutex);
    CHECK_EQ(gort_mutex_try_lock(&s->mutex), GORT_EAGAIN);
    atomic_fetch_add(&s->woken, 1);
    gort_mutex_unlock(&s->mutex);
}

static void wait_once_with_a_far_deadline(void *arg) {
    struct shared *s = arg;
    gort_mutex_lock(&s->mutex);
    s->waiting++;
    CHECK_EQ(gort_cond_wait_until(&s->cond, &s->mutex, gort_now() + T_PATIENCE), GORT_OK);
    CHECK_EQ(gort_mutex_try_lock(&s->mutex), GORT_EAGAIN);
    atomic_fetch_add(&s->woken, 1);
    gort_mutex_unlock(&s->mutex);
}

/* ---- who is woken ---- */

struct numbered {
    struct shared *s;
    long number;
};

static void wait_in_line(void *arg) {
    struct numbered *n = arg;
    struct shared *s = n->s;
    gort_mutex_lock(&s->mutex);
    s->waiting++;
    if (n->number % 2)
        gort_cond_wait(&s->cond, &s->mutex);
    else
        CHECK_EQ(gort_cond_wait_until(&s->cond, &s->mutex, gort_now() + T_PATIENCE), GORT_OK);
    CHECK_EQ(s->next++, n->number);
    gort_mutex_unlock(&s->mutex);
}

static void signals_wake_one_each_in_the_order_of_the_waits(void) {
    enum { N = 24 };
    for (int locked = 0; locked < 2; locked++) {
        struct shared s = {0};
        struct numbered line[N];
        gort_waitgroup_t done = {0};
        for (long i = 0; i < N; i++) {
            line[i] = (struct numbered){&s, i};
            (i % 4 ? t_go : t_go_thread)(&done, wait_in_line, &line[i]);
            EVENTUALLY(get(&s, &s.waiting) == i + 1);
        }
        for (long i = 0; i < N; i++) {
            if (locked) {
                gort_mutex_lock(&s.mutex);
                CHECK_EQ(s.next, i);
                gort_cond_signal(&s.cond);
                gort_mutex_unlock(&s.mutex);
            } else {
                gort_cond_signal(&s.cond);
            }
            EVENTUALLY(get(&s, &s.next) == i + 1);
        }
        gort_waitgroup_wait(&done);
    }
}

static void nobody_is_woken_but_by_a_signal(void) {
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    gort_cond_signal(&s.cond); /* nobody waits: it is not kept */
    gort_cond_broadcast(&s.cond);
    for (int i = 0; i < 20; i++)
        (i % 5 ? t_go : t_go_thread)(&done, i % 2 ? wait_once : wait_once_with_a_far_deadline, &s);
    EVENTUALLY(get(&s, &s.waiting) == 20);
    t_quiet();
    CHECK_EQ(atomic_load(&s.woken), 0);
    for (int i = 1; i <= 3; i++) {
        gort_cond_signal(&s.cond);
        t_quiet();
        CHECK_EQ(atomic_load(&s.woken), i);
    }
    gort_cond_broadcast(&s.cond);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&s.woken), 20);
}

static void a_broadcast_wakes_all_that_queued_before_it(void) {
    int64_t until;
    for (long round = 0; t_again(round, t_n(200, 20), &until); round++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        int n = 1 + (int)(round % 30);
        for (int i = 0; i < n; i++)
            (i % 10 ? t_go : t_go_thread)(&done, i % 2 ? wait_once : wait_once_with_a_far_deadline, &s);
        EVENTUALLY(get(&s, &s.waiting) == n);
        if (round % 2) {
            gort_mutex_lock(&s.mutex);
            gort_cond_broadcast(&s.cond);
            gort_mutex_unlock(&s.mutex);
        } else {
            gort_cond_broadcast(&s.cond);
        }
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&s.woken), n);
    }
}

static void a_thousand_waiters_are_all_woken(void) {
    int n = (int)t_n(1000, 300);
    for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        for (int i = 0; i < n; i++)
            (i % 100 ? t_go : t_go_thread)(&done, wait_once, &s);
        EVENTUALLY(get(&s, &s.waiting) == n);
        CHECK_EQ(atomic_load(&s.woken), 0);
        if (one_by_one)
            for (int i = 0; i < n; i++)
                gort_cond_signal(&s.cond);
        else
            gort_cond_broadcast(&s.cond);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&s.woken), n);
    }
}

/* ---- no signal is lost ---- */

struct buffer {
    gort_mutex_t mutex;
    gort_cond_t full, free;
    long items, capacity, rounds; /* items is guarded */
    atomic_long seed, timeouts;
};

static void wait_for(struct buffer *b, gort_cond_t *cond, uint64_t *random) {
    if (t_random(random) % 2) {
        gort_cond_wait(cond, &b->mutex);
        return;
    }
    int64_t deadline = gort_now() + (int64_t)(t_random(random) % 50000);
    int status = gort_cond_wait_until(cond, &b->mutex, deadline);
    if (status == GORT_OK)
        return;
    CHECK_EQ(status, GORT_ETIMEDOUT);
    CHECK(gort_now() >= deadline);
    atomic_fetch_add(&b->timeouts, 1);
}

static void move_items(struct buffer *b, bool put) {
    uint64_t random = t_seed((uint64_t)atomic_fetch_add(&b->seed, 1));
    for (long i = 0; i < b->rounds; i++) {
        bool inside = t_random(&random) % 2;
        gort_cond_t *theirs = put ? &b->full : &b->free;
        gort_mutex_lock(&b->mutex);
        while (b->items == (put ? b->capacity : 0))
            wait_for(b, put ? &b->free : &b->full, &random);
        b->items += put ? 1 : -1;
        CHECK(b->items >= 0 && b->items <= b->capacity);
        if (inside)
            gort_cond_signal(theirs);
        gort_mutex_unlock(&b->mutex);
        if (!inside)
            gort_cond_signal(theirs);
    }
}

static void put_items(void *arg) { move_items(arg, true); }
static void get_items(void *arg) { move_items(arg, false); }

static void no_signal_is_lost_among_goroutines_and_threads(void) {
    for (long capacity = 1; capacity <= 3; capacity += 2) {
        struct buffer b = {.capacity = capacity, .rounds = t_n(2000, 300)};
        gort_waitgroup_t done = {0};
        for (int i = 0; i < 10; i++)
            (i < 4 ? t_go_thread : t_go)(&done, i % 2 ? put_items : get_items, &b);
        gort_waitgroup_wait(&done);
        CHECK_EQ(b.items, 0);
    }
}

static void threads_alone_lose_none_either(void) {
    struct buffer b = {.capacity = 1, .rounds = t_n(1000, 200)};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 4; i++)
        t_go_thread(&done, i % 2 ? put_items : get_items, &b);
    gort_waitgroup_wait(&done);
    CHECK_EQ(b.items, 0);
}

/* ---- deadlines ---- */

static void wait_until_is_never_early_and_returns_locked(void) {
    struct shared s = {0};
    gort_mutex_lock(&s.mutex);
    for (int64_t ns = 1; ns < 15 * T_MS; ns *= 3) {
        int64_t deadline = gort_now() + ns;
        CHECK_EQ(gort_cond_wait_until(&s.cond, &s.mutex, deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
        CHECK_EQ(gort_mutex_try_lock(&s.mutex), GORT_EAGAIN);
    }
    for (int i = 0; i < 3; i++) {
        int64_t past[] = {0, INT64_MIN, -1};
        CHECK_EQ(gort_cond_wait_until(&s.cond, &s.mutex, past[i]), GORT_ETIMEDOUT);
        CHECK_EQ(gort_mutex_try_lock(&s.mutex), GORT_EAGAIN);
    }
    gort_mutex_unlock(&s.mutex);
    for (size_t i = 0; i < sizeof s.cond; i++)
        CHECK_EQ(((unsigned char *)&s.cond)[i], 0);
}

static void hold_until_told(void *arg) {
    struct shared *s = arg;
    gort_mutex_lock(&s->mutex); /* the waiter has given it up */
    atomic_store(&s->timeouts, 1);
    int64_t until = gort_now() + s->patience;
    while (gort_now() < until)
        gort_sleep(T_MS);
    atomic_store(&s->timeouts, 2);
    gort_mutex_unlock(&s->mutex);
}

static void it_returns_with_the_mutex_however_late(void) {
    for (int thread = 0; thread < 2; thread++) {
        struct shared s = {.patience = 10 * T_MS};
        gort_waitgroup_t done = {0};
        gort_mutex_lock(&s.mutex);
        (thread ? t_go_thread : t_go)(&done, hold_until_told, &s);
        while (atomic_load(&s.timeouts) == 0)
            CHECK_EQ(gort_cond_wait_until(&s.cond, &s.mutex, gort_now() + T_MS), GORT_ETIMEDOUT);
        CHECK_EQ(atomic_load(&s.timeouts), 2);
        CHECK_EQ(gort_mutex_try_lock(&s.mutex), GORT_EAGAIN);
        gort_mutex_unlock(&s.mutex);
        gort_waitgroup_wait(&done);
    }
}

struct race {
    struct shared s;
    atomic_long claimed; /* waits that returned GORT_OK */
};

static void wait_about_now(void *arg) {
    struct race *r = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    gort_mutex_lock(&r->s.mutex);
    r->s.waiting++;
    int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 100000);
    int status = gort_cond_wait_until(&r->s.cond, &r->s.mutex, deadline);
    if (status == GORT_OK) {
        atomic_fetch_add(&r->claimed, 1);
    } else {
        CHECK_EQ(status, GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    gort_mutex_unlock(&r->s.mutex);
}

/* One waits without a deadline, behind some whose deadlines race as many signals as there are of those, and one
 * more: each signal is consumed by at most one, and none goes to one that says it was not signalled. */
static void a_signal_that_races_a_deadline_goes_to_one_who_says_so(void) {
    enum { TIMED = 3 };
    int64_t until;
    for (long round = 0; t_again(round, t_n(3000, 200), &until); round++) {
        struct race r = {0};
        gort_waitgroup_t done = {0};
        for (int i = 0; i < TIMED; i++)
            ((round + i) % 8 ? t_go : t_go_thread)(&done, wait_about_now, &r);
        while (get(&r.s, &r.s.waiting) < TIMED)
            gort_yield();
        (round % 4 ? t_go : t_go_thread)(&done, wait_once, &r.s);
        while (get(&r.s, &r.s.waiting) <= TIMED)
            gort_yield();
        gort_sleep((int64_t)(t_seed((uint64_t)round) % 100000));
        for (int i = 0; i <= TIMED; i++)
            gort_cond_signal(&r.s.cond);
        gort_waitgroup_wait(&done); /* the one without a deadline was certain to get one of them */
        CHECK_EQ(atomic_load(&r.s.woken), 1);
        CHECK(atomic_load(&r.claimed) <= TIMED);
    }
}

/* One token and one signal at a time, for some who wait without a deadline and some who come and go: while one of the
 * former is left, each token is taken before the next is given. Were a signal lost to a waiter that then says that
 * it timed out, its token would lie there for ever. */
static void take_token(void *arg) {
    struct shared *s = arg;
    gort_mutex_lock(&s->mutex);
    while (s->tokens == 0)
        gort_cond_wait(&s->cond, &s->mutex);
    s->tokens--;
    atomic_fetch_add(&s->woken, 1);
    gort_mutex_unlock(&s->mutex);
}

static void take_token_soon(void *arg) {
    struct shared *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (int i = 0; i < 10; i++) {
        gort_mutex_lock(&s->mutex);
        int status = GORT_OK;
        while (s->tokens == 0 && status == GORT_OK)
            status = gort_cond_wait_until(&s->cond, &s->mutex, gort_now() + (int64_t)(t_random(&random) % 50000));
        if (status == GORT_OK)
            s->tokens--;
        else
            atomic_fetch_add(&s->timeouts, 1); /* leaves without a token, and without a signal */
        gort_mutex_unlock(&s->mutex);
    }
}

static void who_has_timed_out_takes_no_signal_with_it(void) {
    int64_t until;
    for (long round = 0; t_again(round, t_n(1000, 100), &until); round++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        for (int i = 0; i < 6; i++)
            ((round + i) % 9 ? t_go : t_go_thread)(&done, i % 2 ? take_token : take_token_soon, &s);
        while (atomic_load(&s.woken) < 3) {
            gort_mutex_lock(&s.mutex);
            s.tokens++;
            gort_mutex_unlock(&s.mutex);
            gort_cond_signal(&s.cond);
            EVENTUALLY(get(&s, &s.tokens) == 0 || atomic_load(&s.woken) == 3);
        }
        gort_waitgroup_wait(&done);
    }
}

/* ---- lifetime, misuse ---- */

struct mortal {
    gort_cond_t cond;
    gort_mutex_t mutex;
    int waiting, left;
    unsigned char after;
};

static void wait_and_overwrite(void *arg) {
    struct mortal *m = arg;
    gort_mutex_lock(&m->mutex);
    m->waiting++;
    gort_cond_wait(&m->cond, &m->mutex);
    if (--m->left == 0)
        memset(&m->cond, m->after, sizeof m->cond);
    gort_mutex_unlock(&m->mutex);
}

static void broadcast_it(void *arg) { gort_cond_broadcast(&((struct mortal *)arg)->cond); }

/* The last waiter to return fills it; the broadcast may still be on its way out. */
static void the_memory_is_the_waiters_own_when_all_have_returned(void) {
    struct mortal m;
    int64_t until;
    for (long i = 0; t_again(i, t_n(4000, 400), &until); i++) {
        gort_waitgroup_t done = {0};
        memset(&m, 0, sizeof m);
        m.left = 1 + (int)(i % 3);
        m.after = (unsigned char)"\x00\xFF\x99"[i % 3];
        int n = m.left;
        for (int k = 0; k < n; k++)
            ((i + k) % 6 ? t_go : t_go_thread)(&done, wait_and_overwrite, &m);
        for (int waiting = 0; waiting < n;) {
            gort_yield();
            gort_mutex_lock(&m.mutex);
            waiting = m.waiting;
            gort_mutex_unlock(&m.mutex);
        }
        (i % 5 ? t_go : t_go_thread)(&done, broadcast_it, &m);
        gort_waitgroup_wait(&done);
        for (size_t k = 0; k < sizeof m.cond; k++)
            CHECK_EQ(((unsigned char *)&m.cond)[k], m.after);
    }
}

static void wait_unlocked(void) {
    struct shared s = {0};
    gort_cond_wait(&s.cond, &s.mutex);
}

static void wait_unlocked_goroutine(void *arg) {
    (void)arg;
    wait_unlocked();
}

static void wait_unlocked_in_a_goroutine(void) {
    CHECK_EQ(gort_spawn(wait_unlocked_goroutine, NULL), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static void wait_null(void) {
    gort_mutex_t m = {0};
    gort_cond_wait(NULL, &m);
}

static void wait_without_mutex(void) {
    gort_cond_t c = {0};
    gort_cond_wait(&c, NULL);
}

static void signal_null(void) { gort_cond_signal(NULL); }
static void broadcast_null(void) { gort_cond_broadcast(NULL); }

static void misuse_is_a_fatal_error_and_null_is_told(void) {
    CHILD_DIES(wait_unlocked, "fatal error: sync: unlock of unlocked mutex");
    CHILD_DIES(wait_unlocked_in_a_goroutine, "fatal error: sync: unlock of unlocked mutex");
    CHILD_DIES(wait_null, "fatal error: gort_cond_wait: ");
    CHILD_DIES(wait_without_mutex, "fatal error: gort_cond_wait: ");
    CHILD_DIES(signal_null, "fatal error: gort_cond_signal: ");
    CHILD_DIES(broadcast_null, "fatal error: gort_cond_broadcast: ");
    gort_cond_t c = {0};
    gort_mutex_t m = {0};
    CHECK_EQ(gort_cond_wait_until(NULL, &m, 0), GORT_EINVAL);
    CHECK_EQ(gort_cond_wait_until(&c, NULL, 0), GORT_EINVAL);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(wait_unlocked);
    T_CHILD(wait_unlocked_in_a_goroutine);
    T_CHILD(wait_null);
    T_CHILD(wait_without_mutex);
    T_CHILD(signal_null);
    T_CHILD(broadcast_null);
    RUN_BOTH(signals_wake_one_each_in_the_order_of_the_waits);
    RUN(nobody_is_woken_but_by_a_signal);
    RUN_BOTH(a_broadcast_wakes_all_that_queued_before_it);
    RUN_BOTH(a_thousand_waiters_are_all_woken);
    RUN_BOTH(no_signal_is_lost_among_goroutines_and_threads);
    RUN(threads_alone_lose_none_either);
    RUN_BOTH(wait_until_is_never_early_and_returns_locked);
    RUN_BOTH(it_returns_with_the_mutex_however_late);
    RUN_BOTH(a_signal_that_races_a_deadline_goes_to_one_who_says_so);
    RUN_BOTH(who_has_timed_out_takes_no_signal_with_it);
    RUN_BOTH(the_memory_is_the_waiters_own_when_all_have_returned);
    RUN(misuse_is_a_fatal_error_and_null_is_told);
    return t_end();
}
