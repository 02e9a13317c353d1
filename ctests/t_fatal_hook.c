/* gort_set_fatal_hook, and what follows the text of a fatal error. */
#include "t.h"

#define HOOKED "hooked: "

static void say(const char *text) {
    ssize_t n = write(2, text, strlen(text));
    (void)n;
}

static void hook(const char *message, void *arg) {
    say("\n" HOOKED);
    say(message);
    say(arg);
}

static __attribute__((noinline)) void unlock_the_unlocked(void) {
    static gort_mutex_t mutex;
    gort_mutex_unlock(&mutex);
    __asm__ volatile("" ::: "memory");
}

static int fails(void *arg) {
    (void)arg;
    unlock_the_unlocked();
    return 0;
}

static void in_a_goroutine(void) {
    gort_set_fatal_hook(hook, "|");
    gort_main(fails, NULL);
}

static void on_a_thread(void) {
    gort_set_fatal_hook(hook, "|");
    unlock_the_unlocked();
}

static int times(const char *text, const char *what) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void the_hook_is_called_once_with_the_message_when_all_is_said(void) {
    static const char *const parts[] = {"in_a_goroutine", "on_a_thread"};
    for (size_t i = 0; i < T_LEN(parts); i++) {
        const struct t_outcome *o = t_spawn_child(parts[i]);
        t_check_exit(parts[i], o, 2);
        t_check_says(parts[i], o, "\n" HOOKED "fatal error: sync: unlock of unlocked mutex|");
        CHECK_EQ(times(o->err, HOOKED), 1);
        CHECK_EQ(strncmp(o->err, "fatal error: ", 13), 0);
        /* Last of all. */
        CHECK(strlen(strstr(o->err, HOOKED)) == strlen(HOOKED "fatal error: sync: unlock of unlocked mutex|"));
    }
}

static void a_backtrace_follows_a_fatal_error(void) {
    const struct t_outcome *o = t_spawn_child("in_a_goroutine");
    t_check_says("in_a_goroutine", o, "fatal error: sync: unlock of unlocked mutex\n\ngoroutine ");
    t_check_says("in_a_goroutine", o, " [running]:\n");
    t_check_says("in_a_goroutine", o, "\nunlock_the_unlocked(...)\n");
    t_check_says("in_a_goroutine", o, "t_fatal_hook.c:");
    o = t_spawn_child("on_a_thread");
    t_check_says("on_a_thread", o, "\n\ngoroutine 0 [thread]:\n");
    t_check_says("on_a_thread", o, "\nunlock_the_unlocked(...)\n");
}

/* ---- hooks that come and go ---- */

static void replaced(void) {
    gort_set_fatal_hook(hook, " first");
    gort_set_fatal_hook(hook, " second");
    unlock_the_unlocked();
}

static void removed(void) {
    gort_set_fatal_hook(hook, " first");
    gort_set_fatal_hook(NULL, NULL);
    unlock_the_unlocked();
}

static void the_last_hook_counts(void) {
    const struct t_outcome *o = t_spawn_child("replaced");
    t_check_exit("replaced", o, 2);
    t_check_says("replaced", o, " second");
    CHECK_EQ(times(o->err, " first"), 0);
    o = t_spawn_child("removed");
    t_check_exit("removed", o, 2);
    CHECK_EQ(times(o->err, HOOKED), 0);
}

/* ---- hooks that fail ---- */

static void failing_hook(const char *message, void *arg) {
    hook(message, arg);
    unlock_the_unlocked();
}

static void hook_that_fails(void) {
    gort_set_fatal_hook(failing_hook, "\n");
    unlock_the_unlocked();
}

static void a_hook_that_fails_is_not_called_again(void) {
    const struct t_outcome *o = t_spawn_child("hook_that_fails");
    t_check_exit("hook_that_fails", o, 2);
    CHECK_EQ(times(o->err, HOOKED), 1);
    CHECK(times(o->err, "fatal error: ") >= 2);
}

static void slow_hook(const char *message, void *arg) {
    usleep(200000);
    hook(message, arg);
}

static void fails_too(void *arg) {
    (void)arg;
    unlock_the_unlocked();
}

static void many_fail_at_once(void) {
    gort_set_fatal_hook(slow_hook, "\n");
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 4; i++)
        t_go_thread(&done, fails_too, NULL);
    gort_waitgroup_wait(&done);
}

static void of_many_that_fail_at_once_one_ends_the_process(void) {
    const struct t_outcome *o = t_spawn_child("many_fail_at_once");
    t_check_exit("many_fail_at_once", o, 2);
    CHECK_EQ(times(o->err, HOOKED), 1);
    CHECK_EQ(times(o->err, "fatal error: "), 2);
}

/* ---- other ends ---- */

static void negative(void) {
    gort_set_fatal_hook(hook, "|");
    gort_waitgroup_t group = {0};
    gort_waitgroup_done(&group);
}

static volatile char sink;

static __attribute__((noinline)) int endless(int n) {
    volatile char frame[4096];
    frame[n % 4096] = (char)n;
    sink = frame[0];
    return n < 0 ? 0 : endless(n + 1) + frame[1];
}

static void overflows(void *arg) {
    (void)arg;
    sink = (char)endless(0);
}

static void overflow(void) {
    gort_set_fatal_hook(hook, "|");
    gort_spawn(overflows, NULL);
    for (;;)
        pause();
}

static int quits(void *arg) {
    (void)arg;
    kill(getpid(), SIGQUIT);
    gort_sleep(GORT_FOREVER);
    return 0;
}

static void quit(void) {
    signal(SIGQUIT, SIG_DFL);
    gort_set_fatal_hook(hook, "|");
    gort_main(quits, NULL);
}

static void every_end_is_told(void) {
    CHILD_DIES(negative, HOOKED "panic: sync: negative WaitGroup counter|");
    CHILD_DIES(overflow, HOOKED "fatal error: stack overflow");
    CHILD_DIES(quit, HOOKED "SIGQUIT: quit|");
}

static int returns(void *arg) {
    (void)arg;
    return 0;
}

static void ends_by_itself(void) {
    gort_set_fatal_hook(hook, "|");
    CHECK_EQ(gort_main(returns, NULL), 0);
}

static void an_ordinary_exit_is_not(void) {
    const struct t_outcome *o = t_spawn_child("ends_by_itself");
    t_check_exit("ends_by_itself", o, 0);
    CHECK_EQ(times(o->err, HOOKED), 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(in_a_goroutine);
    T_CHILD(on_a_thread);
    T_CHILD(replaced);
    T_CHILD(removed);
    T_CHILD(hook_that_fails);
    T_CHILD(many_fail_at_once);
    T_CHILD(negative);
    T_CHILD(overflow);
    T_CHILD(quit);
    T_CHILD(ends_by_itself);
    RUN(the_hook_is_called_once_with_the_message_when_all_is_said);
    RUN(a_backtrace_follows_a_fatal_error);
    RUN(the_last_hook_counts);
    RUN(a_hook_that_fails_is_not_called_again);
    RUN(of_many_that_fail_at_once_one_ends_the_process);
    RUN(every_end_is_told);
    RUN(an_ordinary_exit_is_not);
    return t_end();
}
