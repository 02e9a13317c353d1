/* gort_blocking: panics, exits, forks and deadlocks in and around a call.
 * ctest-cflags: -rdynamic -fexceptions
 */
#include "t_trail.h"

#include <sys/time.h>

#define NOINLINE __attribute__((noinline))

/* ---- panics ---- */

static void step_on_cleanup(struct trail **trail) { t_step(*trail, "u"); }

static NOINLINE void *raises(void *arg) {
    struct trail *trail __attribute__((cleanup(step_on_cleanup))) = arg;
    t_step(trail, "f");
    gort_panic("from the call");
    return NULL;
}

static void recover_it(void *arg) {
    const char *text = gort_recover();
    CHECK(text && strcmp(text, "from the call") == 0);
    CHECK(gort_in_goroutine() == (((struct trail *)arg)->done != NULL));
    t_step(arg, "r");
}

static NOINLINE void call_what_raises(void *arg) {
    struct trail *trail __attribute__((cleanup(step_on_cleanup))) = arg;
    CHECK_EQ(gort_defer(recover_it, trail), GORT_OK);
    gort_blocking(raises, trail);
    t_step(trail, "never");
}

static void try_what_raises(void *arg) {
    struct trail trail = {.done = arg};
    for (int i = 0; i < 20; i++) {
        trail.len = 0;
        CHECK_EQ(gort_try(call_what_raises, &trail), GORT_EPANIC);
        CHECK_TRAIL(&trail, "fuur");
        CHECK(gort_in_goroutine() == (arg != NULL));
        if (i % 4 == 0)
            gort_yield();
    }
}

static void a_panic_in_a_call_goes_on_in_the_caller(void) {
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 8; i++)
        t_go(&done, try_what_raises, &done);
    gort_waitgroup_wait(&done);
    if (!gort_in_goroutine())
        try_what_raises(NULL);
}

static void recover_within(void *arg) {
    const char *text = gort_recover();
    CHECK(text && strcmp(text, "within") == 0);
    t_step(arg, "r");
}

static void raise_within(void *arg) {
    CHECK_EQ(gort_defer(recover_within, arg), GORT_OK);
    gort_panic("within");
}

static void *recovers(void *arg) {
    CHECK_EQ(gort_try(raise_within, arg), GORT_EPANIC);
    CHECK(gort_recover() == NULL);
    return arg;
}

static void call_what_recovers(void *arg) {
    struct trail trail = {0};
    CHECK(gort_blocking(recovers, &trail) == &trail);
    CHECK_TRAIL(&trail, "r");
    (void)arg;
}

static void a_panic_may_be_recovered_in_the_call(void) {
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 8; i++)
        t_go(&done, call_what_recovers, NULL);
    gort_waitgroup_wait(&done);
    call_what_recovers(NULL);
}

__attribute__((noinline)) void *raises_at_the_bottom(void *arg) {
    (void)arg;
    gort_panic("nobody recovers");
    return NULL;
}

__attribute__((noinline)) void calls_what_raises(void *arg) {
    gort_blocking(raises_at_the_bottom, arg);
    gort_yield();
}

__attribute__((noinline)) void is_the_goroutine(void *arg) {
    calls_what_raises(arg);
    gort_yield();
}

static void unrecovered(void) {
    CHECK_EQ(gort_spawn(is_the_goroutine, NULL), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

static void panic_again(void *arg) {
    (void)arg;
    gort_panic("second");
}

static void panic_once(void *arg) {
    CHECK_EQ(gort_defer(panic_again, arg), GORT_OK);
    gort_panic("first");
}

static void *panics_twice(void *arg) {
    gort_try(panic_once, arg);
    return arg;
}

static void panic_thrice(void *arg) {
    (void)arg;
    gort_panic("third");
}

static void call_what_panics_twice(void *arg) {
    CHECK_EQ(gort_defer(panic_thrice, arg), GORT_OK);
    gort_blocking(panics_twice, arg);
}

static void chain(void) {
    CHECK_EQ(gort_spawn(call_what_panics_twice, NULL), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

static void on_a_thread(void) { gort_blocking(raises_at_the_bottom, NULL); }

static void one_that_nobody_recovers_is_reported_as_the_goroutines(void) {
    const struct t_outcome *o = t_spawn_child("unrecovered");
    t_check_exit("unrecovered", o, 2);
    t_check_says("unrecovered", o, "panic: nobody recovers\n\ngoroutine 1 [running]:\n");
    /* The frames of the call, and then those of the goroutine. */
    const char *at = o->err;
    static const char *const frames[] = {"\nraises_at_the_bottom(...)\n", "\ncalls_what_raises(...)\n",
                                         "\nis_the_goroutine(...)\n"};
    for (int i = 0; i < 3; i++) {
        at = strstr(at, frames[i]);
        if (!at)
            FAIL("the backtrace lacks \"%s\", or has it in the wrong place:\n%s", frames[i], o->err);
    }
    CHILD_DIES(chain, "panic: first\n\tpanic: second\n\tpanic: third\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(on_a_thread, "panic: nobody recovers\n\ngoroutine 0 [thread]:\nraises_at_the_bottom(...)\n");
}

/* ---- gort_exit ---- */

static void *calls_exit(void *arg) {
    (void)arg;
    gort_exit();
    return NULL;
}

static void call_what_exits(void *arg) { gort_blocking(calls_exit, arg); }

static void exits(void) {
    CHECK_EQ(gort_spawn(call_what_exits, NULL), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

static void gort_exit_there_is_fatal(void) {
    CHILD_DIES(exits, "fatal error: gort_exit: called outside a goroutine");
}

/* ---- the process exits ---- */

static atomic_int calling;

static void *pauses(void *arg) {
    (void)arg;
    atomic_fetch_add(&calling, 1);
    for (;;)
        pause();
    return NULL;
}

static void call_pause(void *arg) { gort_blocking(pauses, arg); }

static void lock_and_call_pause(void *arg) {
    gort_lock_thread();
    gort_blocking(pauses, arg);
}

static void exit_meanwhile(void) {
    for (int i = 0; i < 20; i++)
        CHECK_EQ(gort_spawn(i % 2 ? call_pause : lock_and_call_pause, NULL), GORT_OK);
    EVENTUALLY(atomic_load(&calling) == 20);
    exit(43);
}

static void *exits_the_process(void *arg) {
    (void)arg;
    exit(43);
}

static void call_what_exits_the_process(void *arg) { gort_blocking(exits_the_process, arg); }

static void exit_in_a_call(void) {
    for (int i = 0; i < 8; i++)
        CHECK_EQ(gort_spawn(call_pause, NULL), GORT_OK);
    EVENTUALLY(atomic_load(&calling) == 8);
    CHECK_EQ(gort_spawn(call_what_exits_the_process, NULL), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

static void *short_call(void *arg) {
    atomic_fetch_add(&calling, 1);
    return arg;
}

static void call_for_ever(void *arg) {
    for (;;)
        gort_blocking(short_call, arg);
}

static void exit_while_calls_come_and_go(void) {
    for (int i = 0; i < 8; i++)
        CHECK_EQ(gort_spawn(call_for_ever, NULL), GORT_OK);
    EVENTUALLY(atomic_load(&calling) > 1000);
    exit(43);
}

static void the_process_may_exit_while_calls_run(void) {
    CHILD_EXITS(exit_meanwhile, 43);
    CHILD_EXITS(exit_in_a_call, 43);
    for (int i = 0; i < (int)t_n(20, 5); i++)
        CHILD_EXITS(exit_while_calls_come_and_go, 43);
}

/* ---- fork ---- */

static void *forks_and_returns(void *arg) {
    if (fork() == 0)
        alarm(T_HANG_SECONDS);
    return arg;
}

static void call_what_forks(void *arg) {
    long parent = *(long *)arg;
    CHECK_EQ(gort_defer(panic_once, NULL), GORT_OK); /* not in the child, and recovered nowhere in it */
    gort_blocking(forks_and_returns, NULL);
    CHECK_EQ(getpid(), parent);
    int status;
    CHECK(wait(&status) > 0);
    exit(WIFEXITED(status) ? 50 + WEXITSTATUS(status) : 1);
}

static void fork_and_return(void) {
    long pid = getpid();
    CHECK_EQ(gort_spawn(call_what_forks, &pid), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

static void add_to(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

static int main_of_child(void *arg) {
    gort_waitgroup_t done = {0};
    atomic_int n = 0;
    for (int i = 0; i < 20; i++)
        t_go(&done, add_to, &n);
    gort_waitgroup_wait(&done);
    call_what_recovers(arg);
    return atomic_load(&n);
}

static void *works_in_the_child(void *arg) {
    pid_t pid = fork();
    if (pid == 0) {
        alarm(T_HANG_SECONDS);
        CHECK(!gort_in_goroutine());
        CHECK_EQ(gort_num_goroutines(), 0);
        int n = gort_main(main_of_child, NULL);
        sigset_t blocked;
        CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
        _exit(n == 20 && !sigismember(&blocked, SIGTERM) ? 43 : 1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 43);
    return arg;
}

static void call_what_works_in_the_child(void *arg) { gort_blocking(works_in_the_child, arg); }

static void *forks_and_raises(void *arg) {
    pid_t pid = fork();
    if (pid == 0) {
        close(2);
        gort_panic("in the child");
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    return arg;
}

static void call_what_forks_and_raises(void *arg) { gort_blocking(forks_and_raises, arg); }

static void a_child_of_a_call_is_a_plain_thread_and_ends_with_it(void) {
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 4; i++) {
        t_go(&done, call_what_works_in_the_child, NULL);
        t_go(&done, call_what_forks_and_raises, NULL);
    }
    gort_waitgroup_wait(&done);
    CHILD_EXITS(fork_and_return, 50);
}

/* ---- deadlocks ---- */

static void *sends_later(void *arg) {
    struct timespec t = {0, 20 * T_MS};
    nanosleep(&t, NULL);
    CHECK_EQ(gort_chan_send(arg, NULL), GORT_OK);
    return NULL;
}

static void *receives(void *arg) {
    CHECK_EQ(gort_chan_recv(arg, NULL), GORT_OK);
    return NULL;
}

static void call_what_sends(void *arg) { gort_blocking(sends_later, arg); }
static void call_what_receives(void *arg) { gort_blocking(receives, arg); }

static int wait_for_calls(void *arg) {
    gort_chan_t *ch = arg, *other = gort_chan_new(0, 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(gort_spawn(call_what_sends, ch), GORT_OK);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
    /* In gort in turn: whoever is in a call that waits is no deadlock, nor when it is the thread that ends it. */
    CHECK_EQ(gort_spawn(call_what_receives, other), GORT_OK);
    call_what_sends(other);
    return 43;
}

static void no_deadlock(void) { exit(gort_main(wait_for_calls, gort_chan_new(0, 0))); }

static void *returns(void *arg) { return arg; }

static void call_and_wait(void *arg) {
    for (int i = 0; i < 100; i++)
        gort_blocking(returns, NULL);
    gort_chan_recv(arg, NULL);
}

static int all_wait(void *arg) {
    for (int i = 0; i < 10; i++)
        CHECK_EQ(gort_spawn(call_and_wait, arg), GORT_OK);
    call_and_wait(arg);
    return 0;
}

static void deadlock(void) { gort_main(all_wait, gort_chan_new(0, 0)); }

static void leave(int signo) {
    (void)signo;
    _exit(43);
}

static int call_and_wait_both(void *arg) {
    CHECK_EQ(gort_spawn(call_what_receives, arg), GORT_OK);
    gort_chan_recv(arg, NULL);
    return 1;
}

/* Even a call that waits in gort is one, as far as gort can know. */
static void waits_in_gort(void) {
    struct itimerval soon = {.it_value = {0, 100000}};
    signal(SIGALRM, leave);
    CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
    gort_main(call_and_wait_both, gort_chan_new(0, 0));
}

static void a_call_is_no_deadlock_and_hides_none_when_it_is_over(void) {
    CHILD_EXITS(no_deadlock, 43);
    CHILD_EXITS(waits_in_gort, 43);
    for (int i = 0; i < (int)t_n(10, 3); i++)
        CHILD_DIES(deadlock, "fatal error: all goroutines are asleep - deadlock!\n");
}

/* ---- too many threads ---- */

static void too_many(void) {
    gort_options_t opts = GORT_OPTIONS_INIT;
    opts.max_threads = 6;
    CHECK_EQ(gort_init(&opts), GORT_OK);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(gort_spawn(call_pause, NULL), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

static void calls_count_against_the_limit_of_threads(void) {
    CHILD_DIES(too_many, "fatal error: thread exhaustion\n");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(unrecovered);
    T_CHILD(chain);
    T_CHILD(on_a_thread);
    T_CHILD(exits);
    T_CHILD(exit_meanwhile);
    T_CHILD(exit_in_a_call);
    T_CHILD(exit_while_calls_come_and_go);
    T_CHILD(fork_and_return);
    T_CHILD(no_deadlock);
    T_CHILD(waits_in_gort);
    T_CHILD(deadlock);
    T_CHILD(too_many);
    RUN_BOTH(a_panic_in_a_call_goes_on_in_the_caller);
    RUN_BOTH(a_panic_may_be_recovered_in_the_call);
    RUN(one_that_nobody_recovers_is_reported_as_the_goroutines);
    RUN(gort_exit_there_is_fatal);
    RUN(the_process_may_exit_while_calls_run);
    RUN(a_child_of_a_call_is_a_plain_thread_and_ends_with_it);
    RUN(a_call_is_no_deadlock_and_hides_none_when_it_is_over);
    RUN(calls_count_against_the_limit_of_threads);
    return t_end();
}
