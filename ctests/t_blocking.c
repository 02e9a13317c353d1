/* gort_blocking: a function on a thread's own stack, where it may block while other goroutines go on. */
#include "t.h"

#include <errno.h>

#define NOINLINE __attribute__((noinline))

static void *add_one(void *arg) {
    CHECK(!gort_in_goroutine());
    return (char *)arg + 1;
}

static void call_with_values(void *arg) {
    bool goroutine = gort_in_goroutine();
    char bytes[2];
    (void)arg;
    CHECK(gort_blocking(NULL, bytes) == NULL);
    CHECK(gort_blocking(add_one, bytes) == bytes + 1);
    CHECK_EQ(gort_in_goroutine(), goroutine);
}

static void the_result_comes_back(void) {
    gort_waitgroup_t done = {0};
    call_with_values(NULL); /* by a plain thread, or the main goroutine */
    t_go(&done, call_with_values, NULL);
    gort_waitgroup_wait(&done);
}

static void *tid_of_call(void *arg) {
    *(long *)arg = t_tid();
    return NULL;
}

static void a_plain_thread_makes_the_call_itself(void) {
    long tid = 0;
    gort_blocking(tid_of_call, &tid);
    CHECK_EQ(tid, t_tid());
}

static NOINLINE void *fill_four_mebibytes(void *arg) {
    volatile char room[4 << 20];
    for (size_t i = 0; i < sizeof room; i += 4096)
        room[i] = (char)i;
    return (void *)(uintptr_t)(room[4096 * 3] == 0 && arg == NULL);
}

static void fill_a_stack(void *arg) {
    (void)arg;
    CHECK(gort_blocking(fill_four_mebibytes, NULL) == (void *)1);
}

static void the_stack_is_that_of_a_thread(void) {
    gort_waitgroup_t done = {0};
    t_go(&done, fill_a_stack, NULL);
    gort_waitgroup_wait(&done);
}

/* ---- others go on ---- */

struct pipes {
    int ends[8][2];
    atomic_int in;
};

struct reader {
    struct pipes *pipes;
    int i;
};

static void *read_a_byte(void *arg) {
    struct reader *r = arg;
    char byte;
    atomic_fetch_add(&r->pipes->in, 1);
    CHECK_EQ(read(r->pipes->ends[r->i][0], &byte, 1), 1);
    return (void *)(uintptr_t)(unsigned char)byte;
}

static void read_in_a_call(void *arg) {
    struct reader *r = arg;
    CHECK_EQ((uintptr_t)gort_blocking(read_a_byte, r), 'a' + r->i);
}

static void write_when_all_are_in(void *arg) {
    struct pipes *p = arg;
    while (atomic_load(&p->in) < 8)
        gort_yield();
    for (int i = 0; i < 8; i++) {
        char byte = (char)('a' + i);
        CHECK_EQ(write(p->ends[i][1], &byte, 1), 1);
    }
}

/* Whoever ends the calls is a goroutine too, which comes last. */
static void others_go_on_while_all_are_in_calls(void) {
    struct pipes p = {0};
    struct reader readers[8];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(pipe(p.ends[i]), 0);
        readers[i] = (struct reader){&p, i};
        t_go(&done, read_in_a_call, &readers[i]);
    }
    t_go(&done, write_when_all_are_in, &p);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < 8; i++) {
        close(p.ends[i][0]);
        close(p.ends[i][1]);
    }
}

/* Nobody takes a processor away here, so it must have been given. */
static void with_strict_processors(void) {
    gort_options_t opts = GORT_OPTIONS_INIT;
    opts.flags = GORT_STRICT_PROCS;
    opts.max_procs = 1;
    CHECK_EQ(gort_init(&opts), GORT_OK);
    for (int i = 0; i < 20; i++)
        others_go_on_while_all_are_in_calls();
}

static void the_processor_is_given_away_at_once(void) { CHILD_EXITS(with_strict_processors, 0); }

/* ---- on which thread ---- */

static _Thread_local int mine;

static void *set_mine(void *arg) {
    mine = (int)(uintptr_t)arg;
    return (void *)(uintptr_t)t_tid();
}

static void call_on_my_thread(void *arg) {
    long tid = t_tid();
    for (int i = 1; i <= (int)t_n(50, 10); i++) {
        CHECK_EQ((uintptr_t)gort_blocking(set_mine, (void *)(uintptr_t)i), tid);
        CHECK_EQ(t_tid(), tid);
        if (arg) /* alone on it */
            CHECK_EQ(mine, i);
        gort_yield();
    }
}

static void call_locked(void *arg) {
    (void)arg;
    gort_lock_thread();
    call_on_my_thread(&mine);
    gort_unlock_thread();
    CHECK(gort_blocking(add_one, NULL) != NULL);
    gort_lock_thread();
    call_on_my_thread(&mine); /* and takes the thread with it */
}

static void call_pinned(void *arg) {
    (void)arg;
    gort_pin_thread();
    call_on_my_thread(NULL);
    gort_unpin_thread();
    CHECK(gort_blocking(add_one, NULL) != NULL);
}

static void who_keeps_a_thread_calls_on_it(void) {
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.flags = GORT_SPAWN_PINNED;
    gort_waitgroup_t done = {0};
    size_t before = gort_num_goroutines();
    for (int i = 0; i < 4; i++) {
        t_go(&done, call_locked, NULL);
        t_go(&done, call_pinned, NULL);
        CHECK_EQ(gort_spawn_with(&opts, call_on_my_thread, NULL), GORT_OK);
    }
    gort_waitgroup_wait(&done);
    EVENTUALLY(gort_num_goroutines() == before);
}

struct shared {
    atomic_long tid; /* of the goroutine that calls */
    atomic_int turns, live;
};

static void take_turns_on_its_thread(void *arg) {
    struct shared *s = arg;
    gort_pin_thread();
    while (t_tid() == atomic_load(&s->tid) && atomic_fetch_add(&s->turns, 1) < 100)
        gort_yield();
    gort_unpin_thread();
    atomic_fetch_sub(&s->live, 1);
}

static void call_until_the_other_has_had_its_turns(void *arg) {
    struct shared *s = arg;
    gort_pin_thread();
    atomic_store(&s->tid, t_tid());
    while (atomic_load(&s->turns) < 100) {
        if (atomic_load(&s->live) == 0) { /* it was not on this thread, or there was none yet */
            atomic_store(&s->live, 1);
            CHECK_EQ(gort_spawn(take_turns_on_its_thread, s), GORT_OK);
            gort_yield();
        }
        gort_blocking(add_one, NULL);
    }
    gort_unpin_thread();
    EVENTUALLY(atomic_load(&s->live) == 0);
}

static void who_shares_the_thread_of_calls_has_its_turn(void) {
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    t_go(&done, call_until_the_other_has_had_its_turns, &s);
    gort_waitgroup_wait(&done);
}

/* ---- all of gort may be called there ---- */

struct meeting {
    gort_chan_t *to, *from;
    gort_mutex_t mutex;
    gort_cond_t cond;
    gort_waitgroup_t others;
    long sum;
    bool ready;
};

static void echo(void *arg) {
    struct meeting *m = arg;
    int value;
    while (gort_chan_recv(m->to, &value) == GORT_OK)
        CHECK_EQ(gort_chan_send(m->from, &value), GORT_OK);
}

static void add_in_turn(void *arg) {
    struct meeting *m = arg;
    for (int i = 0; i < 100; i++) {
        gort_mutex_lock(&m->mutex);
        m->sum++;
        if (i % 10 == 0)
            gort_yield();
        gort_mutex_unlock(&m->mutex);
    }
}

static void signal_ready(void *arg) {
    struct meeting *m = arg;
    gort_mutex_lock(&m->mutex);
    m->ready = true;
    gort_cond_broadcast(&m->cond);
    gort_mutex_unlock(&m->mutex);
}

static void panic_and_recover(void *arg) {
    (void)arg;
    gort_panic("in between");
}

static void *nested_call(void *arg) {
    long *tid = arg;
    CHECK_EQ(t_tid(), *tid);
    return arg;
}

static void *use_all_of_gort(void *arg) {
    struct meeting *m = arg;
    long tid = t_tid();
    CHECK_EQ(gort_defer(panic_and_recover, NULL), GORT_EPERM);
    t_go(&m->others, echo, m);
    for (int i = 0; i < 50; i++) {
        int back = -1;
        CHECK_EQ(gort_chan_send(m->to, &i), GORT_OK);
        gort_case_t cases[] = {{.chan = m->from, .elem = &back, .op = GORT_RECV}};
        CHECK_EQ(gort_select(cases, 1), 0);
        CHECK_EQ(back, i);
    }
    CHECK_EQ(gort_chan_close(m->to), GORT_OK);
    for (int i = 0; i < 3; i++)
        t_go(&m->others, add_in_turn, m);
    add_in_turn(m);
    t_go(&m->others, signal_ready, m);
    gort_mutex_lock(&m->mutex);
    while (!m->ready)
        gort_cond_wait(&m->cond, &m->mutex);
    gort_mutex_unlock(&m->mutex);
    gort_waitgroup_wait(&m->others);
    CHECK_EQ(m->sum, 400);
    int64_t start = gort_now();
    gort_sleep(2 * T_MS);
    gort_chan_t *after = gort_after(T_MS);
    CHECK_EQ(gort_chan_recv(after, NULL), GORT_OK);
    gort_chan_release(after);
    CHECK(gort_now() - start >= 3 * T_MS);
    CHECK_EQ(gort_chan_recv_until(m->from, NULL, gort_now() + T_MS), GORT_ETIMEDOUT);
    gort_yield();
    gort_lock_thread();
    gort_unlock_thread();
    gort_pin_thread();
    gort_unpin_thread();
    CHECK_EQ(t_tid(), tid);
    CHECK(gort_blocking(nested_call, &tid) == &tid);
    CHECK(!gort_in_goroutine());
    return m;
}

static void use_all_in_a_call(void *arg) {
    (void)arg;
    struct meeting m = {.to = gort_chan_new(sizeof(int), 0), .from = gort_chan_new(sizeof(int), 0)};
    CHECK(gort_blocking(use_all_of_gort, &m) == &m);
    gort_chan_release(m.to);
    gort_chan_release(m.from);
}

static void all_of_gort_may_be_called_in_a_call(void) {
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 4; i++)
        t_go(&done, use_all_in_a_call, NULL);
    use_all_in_a_call(NULL);
    gort_waitgroup_wait(&done);
}

/* ---- errno ---- */

static void *set_errno(void *arg) {
    errno = ERANGE;
    return arg;
}

static NOINLINE int errno_now(void) { return errno; }
static NOINLINE void set_errno_now(int value) { errno = value; }

static void keep_errno(void *arg) {
    (void)arg;
    set_errno_now(EDOM);
    gort_blocking(set_errno, NULL);
    CHECK_EQ(errno_now(), EDOM);
}

static void errno_is_the_callers(void) {
    gort_waitgroup_t done = {0};
    t_go(&done, keep_errno, NULL);
    gort_waitgroup_wait(&done);
}

/* ---- many, short and long, while processors come and go ---- */

static void *nap(void *arg) {
    struct timespec t = {0, (long)(uintptr_t)arg};
    if (t.tv_nsec)
        nanosleep(&t, NULL);
    return arg;
}

static void call_and_yield(void *arg) {
    uint64_t random = t_seed((uintptr_t)&random);
    atomic_long *calls = arg;
    for (long i = 0; i < t_n(60, 20); i++) {
        uint64_t r = t_random(&random);
        uintptr_t ns = r % 4 == 0 ? r % 50000 : 0;
        CHECK_EQ((uintptr_t)gort_blocking(nap, (void *)ns), ns);
        atomic_fetch_add(calls, 1);
        switch (r >> 60) {
        case 0: gort_sleep((int64_t)(r % 50000)); break;
        case 1: gort_lock_thread(); break;
        case 2: case 3: gort_unlock_thread(); break;
        case 4: gort_pin_thread(); break;
        case 5: case 6: gort_unpin_thread(); break;
        default: gort_yield();
        }
    }
}

static void calls_of_all_kinds_while_the_number_of_processors_changes(void) {
    int procs = gort_max_procs(0);
    uint64_t random = t_seed(7);
    int64_t until = 0;
    for (long round = 0; t_again(round, 50, &until); round++) {
        gort_waitgroup_t done = {0};
        atomic_long calls = 0;
        for (int i = 0; i < 30; i++)
            t_go(&done, call_and_yield, &calls);
        gort_max_procs(1 + (int)(t_random(&random) % 8));
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&calls), 30 * t_n(60, 20));
    }
    gort_max_procs(procs);
}

/* ---- what it costs ---- */

static void call_often(void *arg) {
    for (int i = 0; i < 2000; i++)
        gort_blocking(add_one, arg);
}

static void one_by_one(void) {
    gort_waitgroup_t done = {0};
    gort_stats_t stats = GORT_STATS_INIT;
    gort_max_procs(4);
    t_go(&done, call_often, NULL);
    gort_waitgroup_wait(&done);
    CHECK_EQ(gort_stats(&stats), GORT_OK);
    /* One that calls, one that was woken for what there was to run meanwhile, one that keeps watch. */
    CHECK(stats.threads <= 8);
}

static void calls_one_by_one_take_no_threads(void) { CHILD_EXITS(one_by_one, 0); }

static void *wait_for_the_end(void *arg) {
    struct pipes *p = arg;
    char byte;
    atomic_fetch_add(&p->in, 1);
    CHECK_EQ(read(p->ends[0][0], &byte, 1), 0);
    return NULL;
}

static void call_until_the_end(void *arg) { gort_blocking(wait_for_the_end, arg); }

static void a_hundred_threads(void) {
    struct pipes p = {0};
    gort_waitgroup_t done = {0};
    CHECK_EQ(pipe(p.ends[0]), 0);
    size_t before = t_memory();
    for (int i = 0; i < 100; i++)
        t_go(&done, call_until_the_end, &p);
    EVENTUALLY(atomic_load(&p.in) == 100);
    t_check_growth("100 calls at once", before, t_memory(), (size_t)100 * 96 << 10);
    close(p.ends[0][1]);
    gort_waitgroup_wait(&done);
}

static void threads_of_calls_take_the_memory_that_they_touch(void) { CHILD_EXITS(a_hundred_threads, 0); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(with_strict_processors);
    T_CHILD(one_by_one);
    T_CHILD(a_hundred_threads);
    RUN_BOTH(the_result_comes_back);
    RUN(a_plain_thread_makes_the_call_itself);
    RUN_BOTH(the_stack_is_that_of_a_thread);
    RUN_BOTH(others_go_on_while_all_are_in_calls);
    RUN(the_processor_is_given_away_at_once);
    RUN_BOTH(who_keeps_a_thread_calls_on_it);
    RUN(who_shares_the_thread_of_calls_has_its_turn);
    RUN_BOTH(all_of_gort_may_be_called_in_a_call);
    RUN(errno_is_the_callers);
    RUN_BOTH(calls_of_all_kinds_while_the_number_of_processors_changes);
    RUN(calls_one_by_one_take_no_threads);
    RUN(threads_of_calls_take_the_memory_that_they_touch);
    return t_end();
}
