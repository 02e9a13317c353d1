/* gort_main, gort_init and the end of the process. */
#include "t.h"

static int give_back(void *arg) {
    CHECK(gort_in_goroutine());
    gort_yield();
    gort_sleep(T_MS / 10);
    return *(int *)arg;
}

static void main_returns_what_its_function_returns_and_may_be_called_again(void) {
    static int values[] = {0, 1, -1, 42, INT32_MAX, INT32_MIN, GORT_EINVAL};
    for (size_t i = 0; i < T_LEN(values); i++) {
        CHECK(!gort_in_goroutine());
        CHECK_EQ(gort_main(give_back, &values[i]), values[i]);
        CHECK(!gort_in_goroutine());
    }
}

static void *main_on_this_thread(void *arg) {
    int value = 17;
    CHECK_EQ(gort_main(give_back, &value), 17);
    return arg;
}

static void any_plain_thread_may_call_main_one_after_the_other(void) {
    for (int i = 0; i < 5; i++)
        CHECK_EQ(pthread_join(t_thread(main_on_this_thread, NULL), NULL), 0);
}

/* ---- a deep stack ---- */

static __attribute__((noinline)) long recurse(long kib) {
    volatile char frame[1024];
    for (size_t i = 0; i < sizeof frame; i += 64)
        frame[i] = (char)kib;
    long below = kib > 0 ? recurse(kib - 1) : 0;
    for (size_t i = 0; i < sizeof frame; i += 64)
        CHECK_EQ(frame[i], (char)kib);
    return below + 1;
}

static int use_six_mib(void *arg) {
    (void)arg;
    return (int)recurse(6 * 1024 * 100 / 112); /* a frame is its array and what the compiler adds */
}

static void the_main_goroutine_has_a_stack_of_eight_mib(void) {
    CHECK_EQ(gort_main(use_six_mib, NULL), 6 * 1024 * 100 / 112 + 1);
}

/* ---- after main ---- */

static gort_chan_t *later;

static void go_on(void *arg) {
    (void)arg;
    int value;
    CHECK_EQ(gort_chan_recv(later, &value), GORT_OK);
    gort_sleep(T_MS);
    value *= 2;
    CHECK_EQ(gort_chan_send(later, &value), GORT_OK);
}

static int start_and_leave(void *arg) {
    CHECK_EQ(gort_spawn(go_on, arg), GORT_OK);
    return 3;
}

static void others_go_on_when_main_has_returned(void) {
    int value = 21;
    later = gort_chan_new(sizeof(int), 0);
    CHECK_EQ(gort_main(start_and_leave, NULL), 3);
    CHECK_EQ(gort_chan_send(later, &value), GORT_OK);
    CHECK_EQ(gort_chan_recv(later, &value), GORT_OK);
    CHECK_EQ(value, 42);
    gort_chan_release(later);
}

/* ---- children: misuse, init, the end of the process ---- */

static int main_in_main(void *arg) {
    int value = 1;
    (void)arg;
    gort_main(give_back, &value);
    return 0;
}

static void main_from_the_main_goroutine(void) { gort_main(main_in_main, NULL); }

static void call_main(void *arg) { main_in_main(arg); }

static void main_from_a_goroutine(void) {
    CHECK_EQ(gort_spawn(call_main, NULL), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static int wait_in_main(void *arg) {
    gort_chan_recv(arg, NULL);
    return 0;
}

static void *second_main(void *arg) {
    gort_main(give_back, arg);
    return NULL;
}

static int main_beside(void *arg) {
    t_thread(second_main, arg);
    return wait_in_main(gort_chan_new(0, 0));
}

static void main_while_another_is_running(void) { gort_main(main_beside, &(int){1}); }

static void a_main_within_or_beside_a_main_is_a_fatal_error(void) {
    CHILD_DIES(main_from_the_main_goroutine, "fatal error: ");
    CHILD_DIES(main_from_a_goroutine, "fatal error: ");
    CHILD_DIES(main_while_another_is_running, "fatal error: ");
}

static int main_null_child(void *arg) {
    (void)arg;
    return 0;
}

static void init_in_all_forms(void) {
    gort_options_t opts = GORT_OPTIONS_INIT;
    struct {
        gort_options_t known;
        uint64_t of_the_future[3];
    } newer = {GORT_OPTIONS_INIT, {0}};
    CHECK_EQ(opts.size, sizeof opts);
    CHECK(opts.max_procs == 0 && opts.max_threads == 0 && opts.stack_size == 0 && opts.flags == 0);
    /* What is refused starts nothing. */
    newer.known.size = sizeof newer;
    newer.of_the_future[2] = 1;
    CHECK_EQ(gort_init(&newer.known), GORT_EINVAL);
    opts.flags = 1u << 31;
    CHECK_EQ(gort_init(&opts), GORT_EINVAL);
    opts.flags = 0;
    opts.stack_size = ((size_t)1 << 30) + 1;
    CHECK_EQ(gort_init(&opts), GORT_EINVAL);
    newer.of_the_future[2] = 0;
    newer.known.max_procs = 3;
    newer.known.stack_size = 1 << 20;
    CHECK_EQ(gort_init(&newer.known), GORT_OK);
    CHECK_EQ(gort_max_procs(0), 3);
    CHECK_EQ(gort_main(main_null_child, NULL), 0);
    opts.stack_size = 0;
    CHECK_EQ(gort_init(&opts), GORT_EBUSY);
    CHECK_EQ(gort_init(&newer.known), GORT_EBUSY);
    CHECK_EQ(gort_max_procs(0), 3);
}

static void use_700_kib(void *arg) { CHECK_EQ(gort_chan_send(arg, &(long){recurse(600)}), GORT_OK); }

static void init_sets_the_default_stack(void) {
    gort_options_t opts = GORT_OPTIONS_INIT;
    long got = 0;
    opts.stack_size = 1 << 20;
    CHECK_EQ(gort_init(&opts), GORT_OK);
    gort_chan_t *ch = gort_chan_new(sizeof(long), 0);
    CHECK_EQ(gort_spawn(use_700_kib, ch), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, &got), GORT_OK);
    CHECK_EQ(got, 601);
}

static void init_of_an_older_caller(void) {
    gort_options_t opts = GORT_OPTIONS_INIT;
    opts.size = offsetof(gort_options_t, max_threads);
    opts.max_procs = 2;
    opts.max_threads = 1; /* past `size`: not read */
    opts.stack_size = SIZE_MAX;
    opts.flags = UINT32_MAX;
    CHECK_EQ(gort_init(&opts), GORT_OK);
    CHECK_EQ(gort_max_procs(0), 2);
    CHECK_EQ(gort_main(main_null_child, NULL), 0);
}

static void nothing(void *arg) { (void)arg; }

static void init_after_a_spawn(void) {
    gort_options_t opts = GORT_OPTIONS_INIT;
    CHECK_EQ(gort_spawn(nothing, NULL), GORT_OK);
    CHECK_EQ(gort_init(&opts), GORT_EBUSY);
}

static void lock_for_ever(void *arg) {
    gort_lock_thread();
    gort_chan_recv(arg, NULL);
}

static void too_many_threads(void) {
    gort_options_t opts = GORT_OPTIONS_INIT;
    opts.max_procs = 1;
    opts.max_threads = 20;
    CHECK_EQ(gort_init(&opts), GORT_OK);
    gort_chan_t *ch = gort_chan_new(0, 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(gort_spawn(lock_for_ever, ch), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static void init_is_optional_first_and_once(void) {
    CHILD_EXITS(init_in_all_forms, 0);
    CHILD_EXITS(init_sets_the_default_stack, 0);
    CHILD_EXITS(init_of_an_older_caller, 0);
    CHILD_EXITS(init_after_a_spawn, 0);
}

static void more_threads_than_max_threads_are_a_fatal_error(void) {
    CHILD_DIES(too_many_threads, "fatal error: thread exhaustion");
}

static void churn(void *arg) {
    for (;;) {
        gort_chan_send(arg, NULL);
        gort_yield();
        gort_chan_recv_until(arg, NULL, gort_now() + 10000);
    }
}

static void start_churning(void) {
    gort_chan_t *ch = gort_chan_new(0, 1);
    for (int i = 0; i < 30; i++)
        CHECK_EQ(gort_spawn(churn, ch), GORT_OK);
    gort_sleep(2 * T_MS);
}

static void exit_while_goroutines_run(void) {
    start_churning();
    exit(5);
}

static void exit_here(void *arg) {
    (void)arg;
    exit(6);
}

static void exit_from_a_goroutine(void) {
    start_churning();
    CHECK_EQ(gort_spawn(exit_here, NULL), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static int churn_and_return(void *arg) {
    (void)arg;
    start_churning();
    return 7;
}

static void exit_with_mains_value(void) { exit(gort_main(churn_and_return, NULL)); }

static void the_process_ends_cleanly_while_goroutines_run(void) {
    for (long i = 0; i < t_n(8, 2); i++) {
        CHILD_EXITS(exit_while_goroutines_run, 5);
        CHILD_EXITS(exit_from_a_goroutine, 6);
        CHILD_EXITS(exit_with_mains_value, 7);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(main_from_the_main_goroutine);
    T_CHILD(main_from_a_goroutine);
    T_CHILD(main_while_another_is_running);
    T_CHILD(init_in_all_forms);
    T_CHILD(init_sets_the_default_stack);
    T_CHILD(init_of_an_older_caller);
    T_CHILD(init_after_a_spawn);
    T_CHILD(too_many_threads);
    T_CHILD(exit_while_goroutines_run);
    T_CHILD(exit_from_a_goroutine);
    T_CHILD(exit_with_mains_value);
    RUN(main_returns_what_its_function_returns_and_may_be_called_again);
    RUN(any_plain_thread_may_call_main_one_after_the_other);
    RUN(the_main_goroutine_has_a_stack_of_eight_mib);
    RUN(others_go_on_when_main_has_returned);
    RUN(a_main_within_or_beside_a_main_is_a_fatal_error);
    RUN(init_is_optional_first_and_once);
    RUN(more_threads_than_max_threads_are_a_fatal_error);
    RUN(the_process_ends_cleanly_while_goroutines_run);
    return t_end();
}
