/* Once: one function runs, the others wait for its end; however it ends. */
#include "t_trail.h"

_Static_assert(sizeof(gort_once_t) == 16, "a once is 16 bytes");
_Static_assert(_Alignof(gort_once_t) == 8, "aligned to 8");

struct shared {
    gort_once_t once;
    long value; /* plain: written by the function, read by all whose call has returned */
    atomic_int runs, begun, gate;
    atomic_long returned;
};

static void count_run(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(atomic_fetch_add(&s->runs, 1), 0);
    s->value = 42;
}

static void park_then_write(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(atomic_fetch_add(&s->runs, 1), 0);
    atomic_store(&s->begun, 1);
    gort_yield();
    gort_sleep(20000);
    s->value = 42;
}

static void write_when_the_gate_opens(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(atomic_fetch_add(&s->runs, 1), 0);
    atomic_store(&s->begun, 1);
    while (!atomic_load(&s->gate))
        gort_sleep(T_MS / 10);
    s->value = 42;
}

static void do_and_read(struct shared *s, gort_fn_t fn) {
    gort_once_do(&s->once, fn, s);
    CHECK_EQ(s->value, 42);
    atomic_fetch_add(&s->returned, 1);
}

static void call_quick(void *arg) { do_and_read(arg, count_run); }
static void call_parking(void *arg) { do_and_read(arg, park_then_write); }
static void call_gated(void *arg) { do_and_read(arg, write_when_the_gate_opens); }

static void never(void *arg) {
    (void)arg;
    FAIL("it ran again");
}

static void only_the_first_function_runs(void) {
    struct shared s = {0};
    gort_once_do(&s.once, count_run, &s);
    CHECK_EQ(s.value, 42);
    for (int i = 0; i < 1000; i++)
        gort_once_do(&s.once, never, NULL);
    CHECK_EQ(atomic_load(&s.runs), 1);
}

static void every_caller_sees_what_the_function_did(void) {
    int64_t until;
    for (long i = 0; t_again(i, t_n(3000, 300), &until); i++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        for (int k = 0; k < 8; k++)
            ((i + k) % 9 ? t_go : t_go_thread)(&done, i % 2 ? call_parking : call_quick, &s);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&s.runs), 1);
        CHECK_EQ(atomic_load(&s.returned), 8);
    }
}

static void threads_alone_wait_for_each_other(void) {
    int64_t until;
    for (long i = 0; t_again(i, t_n(300, 50), &until); i++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        for (int k = 0; k < 4; k++)
            t_go_thread(&done, i % 2 ? call_parking : call_quick, &s);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&s.runs), 1);
    }
}

static void a_thousand_callers_wait_for_the_end_of_the_first(void) {
    for (int thread = 0; thread < 2; thread++) {
        struct shared s = {0};
        gort_waitgroup_t done = {0};
        int n = (int)t_n(1000, 300);
        (thread ? t_go_thread : t_go)(&done, call_gated, &s);
        EVENTUALLY(atomic_load(&s.begun) == 1);
        for (int i = 1; i < n; i++)
            (i % 100 ? t_go : t_go_thread)(&done, call_quick, &s);
        gort_sleep(5 * T_MS);
        CHECK_EQ(atomic_load(&s.returned), 0);
        atomic_store(&s.gate, 1);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&s.returned), n);
        CHECK_EQ(atomic_load(&s.runs), 1);
    }
}

/* ---- nesting ---- */

struct chain {
    gort_once_t once[5];
    int depth, order[5];
    atomic_int ended;
};

static void nest(void *arg) {
    struct chain *c = arg;
    int depth = c->depth++;
    if (c->depth < 5)
        gort_once_do(&c->once[c->depth], nest, c);
    c->order[atomic_fetch_add(&c->ended, 1)] = depth;
}

static void functions_may_call_other_onces(void) {
    struct chain c = {0};
    gort_once_do(&c.once[0], nest, &c);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(c.order[i], 4 - i);
        gort_once_do(&c.once[i], never, NULL);
    }
}

static void call_itself(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(atomic_fetch_add(&s->runs, 1), 0);
    atomic_store(&s->begun, 1);
    gort_once_do(&s->once, call_itself, s);
    FAIL("it did not wait for itself");
}

static void do_call_itself(void *arg) { gort_once_do(&((struct shared *)arg)->once, call_itself, arg); }

static void a_function_that_calls_its_own_once_waits_for_ever(void) {
    for (int thread = 0; thread < 2; thread++) {
        static struct shared s[2];
        static gort_waitgroup_t never_done;
        (thread ? t_go_thread : t_go)(&never_done, do_call_itself, &s[thread]);
        EVENTUALLY(atomic_load(&s[thread].begun) == 1);
        t_quiet();
        CHECK_EQ(atomic_load(&s[thread].runs), 1);
    }
}

/* ---- gort_exit ---- */

static void exit_after_writing(void *arg) {
    struct shared *s = arg;
    CHECK_EQ(atomic_fetch_add(&s->runs, 1), 0);
    atomic_store(&s->begun, 1);
    gort_yield();
    while (!atomic_load(&s->gate))
        gort_sleep(T_MS / 10);
    s->value = 42;
    gort_exit();
}

static void do_exit(void *arg) {
    gort_once_do(&((struct shared *)arg)->once, exit_after_writing, arg);
    FAIL("gort_exit came back");
}

static void a_function_that_exits_has_ended(void) {
    int64_t until;
    for (long i = 0; t_again(i, t_n(500, 50), &until); i++) {
        struct shared s = {.gate = i % 2};
        gort_waitgroup_t exited = {0}, done = {0};
        t_go(&exited, do_exit, &s);
        while (!atomic_load(&s.begun))
            gort_yield();
        for (int k = 0; k < 6; k++)
            ((i + k) % 9 ? t_go : t_go_thread)(&done, call_quick, &s);
        for (long k = 0; k < i % 5; k++)
            gort_yield();
        atomic_store(&s.gate, 1);
        gort_waitgroup_wait(&done);
        gort_waitgroup_wait(&exited);
        CHECK_EQ(atomic_load(&s.returned), 6);
        CHECK_EQ(atomic_load(&s.runs), 1);
    }
}

static void exit_deep_down(void *arg) {
    struct chain *c = arg;
    if (++c->depth == 5)
        gort_exit();
    gort_once_do(&c->once[c->depth], exit_deep_down, c);
    FAIL("gort_exit came back");
}

static void do_exit_deep_down(void *arg) {
    gort_once_do(&((struct chain *)arg)->once[0], exit_deep_down, arg);
    FAIL("gort_exit came back");
}

static void an_exit_ends_every_function_it_leaves(void) {
    for (long i = 0; i < t_n(300, 50); i++) {
        struct chain c = {0};
        gort_waitgroup_t exited = {0};
        t_go(&exited, do_exit_deep_down, &c);
        for (int k = 0; k < 3; k++)
            gort_yield();
        gort_waitgroup_wait(&exited);
        for (int k = 0; k < 5; k++)
            gort_once_do(&c.once[k], never, NULL);
    }
}

static void once_then_exit(void *arg) {
    struct shared *s = arg;
    gort_once_do(&s->once, count_run, s);
    s->once = (gort_once_t){0}; /* over and done with: an exit after it leaves it alone */
    gort_exit();
}

static void an_exit_after_it_does_not_touch_it(void) {
    struct shared s = {0};
    gort_waitgroup_t exited = {0};
    t_go(&exited, once_then_exit, &s);
    gort_waitgroup_wait(&exited);
    for (size_t i = 0; i < sizeof s.once; i++)
        CHECK_EQ(((unsigned char *)&s.once)[i], 0);
}

/* ---- lifetime, misuse ---- */

struct mortal {
    gort_once_t once;
    atomic_int begun, left;
    unsigned char after;
};

static void begin(void *arg) {
    struct mortal *m = arg;
    atomic_store(&m->begun, 1);
    for (int i = 0; i < 3; i++)
        gort_yield();
}

static void run_it(void *arg) { gort_once_do(&((struct mortal *)arg)->once, begin, arg); }

static void wait_and_overwrite(void *arg) {
    struct mortal *m = arg;
    gort_once_do(&m->once, never, NULL);
    if (atomic_fetch_sub(&m->left, 1) == 1)
        memset(&m->once, m->after, sizeof m->once);
}

/* The last of those who waited fills it; the first call may still be on its way out. */
static void the_memory_is_the_waiters_own_when_all_have_returned(void) {
    struct mortal m;
    int64_t until;
    for (long i = 0; t_again(i, t_n(4000, 400), &until); i++) {
        gort_waitgroup_t done = {0};
        memset(&m, 0, sizeof m);
        int n = m.left = 1 + (int)(i % 3);
        m.after = (unsigned char)"\x00\xFF\x99"[i % 3];
        (i % 7 ? t_go : t_go_thread)(&done, run_it, &m);
        while (!atomic_load(&m.begun))
            gort_yield();
        for (int k = 0; k < n; k++)
            ((i + k) % 6 ? t_go : t_go_thread)(&done, wait_and_overwrite, &m);
        gort_waitgroup_wait(&done);
        for (size_t k = 0; k < sizeof m.once; k++)
            CHECK_EQ(((unsigned char *)&m.once)[k], m.after);
    }
}

static void once_null(void) { gort_once_do(NULL, never, NULL); }

static void fn_null(void) {
    gort_once_t once = {0};
    gort_once_do(&once, NULL, NULL);
}

static void null_is_a_fatal_error(void) {
    CHILD_DIES(once_null, "fatal error: gort_once_do: ");
    CHILD_DIES(fn_null, "fatal error: gort_once_do: ");
}

static void recover_quietly(void *arg) {
    (void)arg;
    CHECK(strcmp(gort_recover(), "in the function") == 0);
}

static void park_then_panic(void *arg) {
    struct shared *s = arg;
    park_then_write(s);
    gort_panic("in the function");
}

static void call_panicking(void *arg) {
    struct shared *s = arg;
    gort_once_do(&s->once, park_then_panic, s);
    CHECK_EQ(s->value, 42);
    atomic_fetch_add(&s->returned, 1);
}

static void try_panicking(void *arg) {
    T_DEFER(recover_quietly, NULL);
    call_panicking(arg);
}

struct trying {
    struct shared *shared;
    atomic_int panicked;
    gort_waitgroup_t done;
};

static void return_and_recover(void *arg) {
    struct trying *t = arg;
    if (gort_recover())
        atomic_fetch_add(&t->panicked, 1);
}

static void call_with_others(void *arg) {
    struct trying *t = arg;
    T_DEFER(return_and_recover, t);
    call_panicking(t->shared);
}

static void a_panic_goes_on_to_the_first_caller_and_counts_as_done(void) {
    struct shared s = {0};
    CHECK_EQ(gort_try(try_panicking, &s), GORT_EPANIC);
    call_panicking(&s);
    CHECK_EQ(atomic_load(&s.returned), 1);
    for (int round = 0; round < t_n(200, 20); round++) {
        struct shared shared = {0};
        struct trying t = {&shared, 0, {{0}}};
        for (int i = 0; i < 8; i++)
            t_go(&t.done, call_with_others, &t);
        gort_waitgroup_wait(&t.done);
        CHECK_EQ(atomic_load(&t.panicked), 1);
        CHECK_EQ(atomic_load(&shared.returned), 7);
        CHECK_EQ(atomic_load(&shared.runs), 1);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(once_null);
    T_CHILD(fn_null);
    RUN_BOTH(only_the_first_function_runs);
    RUN_BOTH(every_caller_sees_what_the_function_did);
    RUN(threads_alone_wait_for_each_other);
    RUN_BOTH(a_thousand_callers_wait_for_the_end_of_the_first);
    RUN_BOTH(functions_may_call_other_onces);
    RUN_BOTH(a_function_that_exits_has_ended);
    RUN_BOTH(a_panic_goes_on_to_the_first_caller_and_counts_as_done);
    RUN_BOTH(an_exit_ends_every_function_it_leaves);
    RUN_BOTH(an_exit_after_it_does_not_touch_it);
    RUN_BOTH(the_memory_is_the_waiters_own_when_all_have_returned);
    RUN(null_is_a_fatal_error);
    RUN(a_function_that_calls_its_own_once_waits_for_ever); /* last: leaves two that wait */
    return t_end();
}
