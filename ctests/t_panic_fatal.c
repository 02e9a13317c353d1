/* A panic that nobody recovers: the text, and status 2.
 * ctest-cflags: -rdynamic
 */
#include "t_trail.h"

static void run_in_a_goroutine(gort_fn_t fn) {
    gort_waitgroup_t done = {0};
    t_go(&done, fn, NULL);
    gort_waitgroup_wait(&done);
}

/* Parts: each a panic in a goroutine. */
#define PART(name, fn)                                                                                       \
    static void name(void) { run_in_a_goroutine(fn); }

static void say(void *text) {
    ssize_t written = write(2, text, strlen(text));
    (void)written;
}

__attribute__((noinline)) void a_function_with_a_name(void *arg);
void a_function_with_a_name(void *arg) {
    (void)arg;
    gort_panic("boom");
    say("not reached");
}

PART(in_a_goroutine, a_function_with_a_name)

static int main_panics(void *arg) {
    a_function_with_a_name(arg);
    return 0;
}

static void in_main(void) { gort_main(main_panics, NULL); }
static void on_a_thread(void) { a_function_with_a_name(NULL); }
static void on_a_thread_in_try(void) { gort_try(a_function_with_a_name, NULL); }

static void a_panic_that_nobody_recovers_ends_the_process(void) {
    CHILD_DIES(in_a_goroutine, "panic: boom\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(in_main, "panic: boom\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(on_a_thread, "panic: boom\n\ngoroutine 0 [thread]:\n");
    CHILD_DIES(on_a_thread_in_try, "panic: boom\n\ngoroutine 0 [thread]:\n");
    CHECK(strncmp(t_spawn_child("in_a_goroutine")->err, "panic: boom\n", 12) == 0);
    CHECK(strstr(t_spawn_child("in_a_goroutine")->err, "not reached") == NULL);
}

static void the_report_shows_where_it_was_raised(void) {
    CHILD_DIES(in_a_goroutine, "a_function_with_a_name+0x");
    CHILD_DIES(on_a_thread_in_try, "a_function_with_a_name+0x");
}

static void defers_and_panics(void *arg) {
    (void)arg;
    T_DEFER(say, "[one]");
    T_DEFER(say, "[two]");
    gort_panic("x");
}

static void tries_it(void *arg) {
    T_DEFER(say, "[outer]");
    gort_try(defers_and_panics, arg);
}

PART(deferred_first, tries_it)

static void deferred_calls_run_before_the_report(void) {
    CHILD_DIES(deferred_first, "[two][one][outer]panic: x\n\ngoroutine ");
}

static void two_lines(void *arg) {
    (void)arg;
    gort_panic("first line\nsecond line\n\nfourth");
}

PART(with_line_breaks, two_lines)

static void long_one(void *arg) {
    (void)arg;
    static char message[5000];
    memset(message, 'm', sizeof message - 1);
    memcpy(message + sizeof message - 5, "end", 4);
    gort_panic(message);
}

PART(with_a_long_message, long_one)

static void empty(void *arg) {
    (void)arg;
    gort_panic("");
}

PART(with_an_empty_message, empty)

static void any_message_is_printed_whole(void) {
    CHILD_DIES(with_line_breaks, "panic: first line\n\tsecond line\n\t\n\tfourth\n\ngoroutine ");
    CHILD_DIES(with_a_long_message, "mmmmend\n\ngoroutine ");
    CHILD_DIES(with_an_empty_message, "panic: \n\ngoroutine ");
}

static void panic_with(void *message) { gort_panic(message); }
static void recover(void *arg) {
    (void)arg;
    CHECK(gort_recover() != NULL);
}

static void recover_and_panic_with(void *message) {
    recover(NULL);
    gort_panic(message);
}

static void two(void *arg) {
    (void)arg;
    T_DEFER(panic_with, "second");
    gort_panic("first");
}

static void three(void *arg) {
    T_DEFER(panic_with, "third");
    two(arg);
}

static void anew(void *arg) {
    (void)arg;
    T_DEFER(recover_and_panic_with, "y");
    gort_panic("x");
}

static void the_same_again(void *arg) {
    (void)arg;
    T_DEFER(recover_and_panic_with, "x");
    gort_panic("x");
}

static void middle(void *arg) {
    (void)arg;
    T_DEFER(panic_with, "outer");
    T_DEFER(recover_and_panic_with, "middle");
    T_DEFER(recover_and_panic_with, "middle");
    gort_panic("inner");
}

/* Replaced within a deferred call, in which a try of its own had recovered another. */
static void recovers_inside(void *arg) {
    T_DEFER(recover, arg);
    gort_panic("forgotten");
}

static void panics_after_another(void *arg) {
    gort_try(recovers_inside, arg);
    gort_panic("second");
}

static void forgotten(void *arg) {
    T_DEFER(panics_after_another, arg);
    gort_panic("first");
}

static void across_tries(void *arg) {
    T_DEFER(panic_with, "outer");
    gort_try(two, arg);
}

PART(replaced, two)
PART(replaced_twice, three)
PART(recovered_and_another, anew)
PART(recovered_and_the_same, the_same_again)
PART(repanicked_in_the_middle, middle)
PART(with_a_recovered_one_between, forgotten)
PART(replaced_across_tries, across_tries)

static void what_it_replaced_is_printed_too(void) {
    CHILD_DIES(replaced, "panic: first\n\tpanic: second\n\ngoroutine ");
    CHILD_DIES(replaced_twice, "panic: first\n\tpanic: second\n\tpanic: third\n\ngoroutine ");
    CHILD_DIES(recovered_and_another, "panic: x [recovered]\n\tpanic: y\n\ngoroutine ");
    CHILD_DIES(recovered_and_the_same, "panic: x [recovered, repanicked]\n\ngoroutine ");
    CHILD_DIES(repanicked_in_the_middle,
               "panic: inner [recovered]\n\tpanic: middle [recovered, repanicked]\n\tpanic: outer\n\ngoroutine ");
    CHILD_DIES(with_a_recovered_one_between, "panic: first\n\tpanic: second\n\ngoroutine ");
    CHILD_DIES(replaced_across_tries, "panic: first\n\tpanic: second\n\tpanic: outer\n\ngoroutine ");
}

static void exit_now(void *arg) {
    (void)arg;
    gort_exit();
}

static void panics_in_exit(void *arg) {
    (void)arg;
    T_DEFER(panic_with, "while exiting");
    gort_exit();
}

static void panics_after_an_aborted_one(void *arg) {
    T_DEFER(panic_with, "last");
    T_DEFER(exit_now, arg);
    gort_panic("aborted");
}

PART(during_exit, panics_in_exit)
PART(after_an_exit_that_aborted_one, panics_after_an_aborted_one)

static void a_panic_while_exiting_ends_the_process(void) {
    CHILD_DIES(during_exit, "panic: while exiting\n\ngoroutine ");
    CHILD_DIES(after_an_exit_that_aborted_one, "panic: aborted\n\tpanic: last\n\ngoroutine ");
}

static void panics_in_once(void *arg) {
    (void)arg;
    gort_once_t once = {0};
    gort_once_do(&once, panic_with, "in once");
}

PART(through_a_once, panics_in_once)

static void negative(void *arg) {
    (void)arg;
    gort_waitgroup_t group = {0};
    T_DEFER(say, "[deferred]");
    gort_waitgroup_done(&group);
}

PART(negative_wait_group, negative)

static void one_less(void *group) { gort_waitgroup_done(group); }

/* The goroutine's own "done", after its deferred calls, is one too many. */
static void one_too_many(void) {
    static gort_waitgroup_t group;
    CHECK_EQ(gort_waitgroup_go(&group, one_less, &group), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

static void the_librarys_own_panics_read_the_same(void) {
    CHILD_DIES(through_a_once, "panic: in once\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(negative_wait_group, "[deferred]panic: sync: negative WaitGroup counter\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(one_too_many, "panic: sync: negative WaitGroup counter\n\ngoroutine 1 [running]:\n");
}

static void many_at_once(void) {
    for (int i = 0; i < 200; i++)
        CHECK_EQ(gort_spawn(a_function_with_a_name, NULL), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

static void of_many_one_reports(void) {
    const struct t_outcome *outcome = t_spawn_child("many_at_once");
    t_check_exit("many_at_once", outcome, 2);
    const char *first = strstr(outcome->err, "panic: boom\n\ngoroutine ");
    CHECK(first == outcome->err);
    CHECK(strstr(first + 1, "panic: ") == NULL);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(in_a_goroutine);
    T_CHILD(in_main);
    T_CHILD(on_a_thread);
    T_CHILD(on_a_thread_in_try);
    T_CHILD(deferred_first);
    T_CHILD(with_line_breaks);
    T_CHILD(with_a_long_message);
    T_CHILD(with_an_empty_message);
    T_CHILD(replaced);
    T_CHILD(replaced_twice);
    T_CHILD(recovered_and_another);
    T_CHILD(recovered_and_the_same);
    T_CHILD(repanicked_in_the_middle);
    T_CHILD(with_a_recovered_one_between);
    T_CHILD(replaced_across_tries);
    T_CHILD(during_exit);
    T_CHILD(after_an_exit_that_aborted_one);
    T_CHILD(through_a_once);
    T_CHILD(negative_wait_group);
    T_CHILD(one_too_many);
    T_CHILD(many_at_once);
    RUN(a_panic_that_nobody_recovers_ends_the_process);
    RUN(the_report_shows_where_it_was_raised);
    RUN(deferred_calls_run_before_the_report);
    RUN(any_message_is_printed_whole);
    RUN(what_it_replaced_is_printed_too);
    RUN(a_panic_while_exiting_ends_the_process);
    RUN(the_librarys_own_panics_read_the_same);
    RUN(of_many_one_reports);
    return t_end();
}
