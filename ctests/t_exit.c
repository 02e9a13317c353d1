/* gort_exit: it ends this goroutine from any depth, and whoever waits for the goroutine sees it ended.
 * ctest-cflags: -fexceptions
 */
#include "t_trail.h"

struct trace {
    atomic_int entered, passed;
    gort_waitgroup_t *done;
};

static __attribute__((noinline)) void dive(struct trace *t, int depth) {
    volatile char frame[64];
    frame[0] = (char)depth;
    if (depth == 0) {
        atomic_fetch_add(&t->entered, 1);
        gort_exit();
    } else {
        dive(t, depth - 1);
    }
    frame[1] = frame[0];
    atomic_fetch_add(&t->passed, 1);
}

static void exit_from_depth(void *arg) {
    dive(arg, 200);
    atomic_fetch_add(&((struct trace *)arg)->passed, 1);
}

static void exit_at_once(void *arg) {
    dive(arg, 0);
}

static void exit_after_parks(void *arg) {
    struct trace *t = arg;
    gort_yield();
    gort_sleep(T_MS / 10);
    dive(t, 3);
}

static void exit_never_returns_and_counts_as_done(void) {
    gort_fn_t ways[] = {exit_from_depth, exit_at_once, exit_after_parks};
    gort_waitgroup_t done = {0};
    struct trace t = {.done = &done};
    int n = (int)t_n(3000, 300);
    for (int i = 0; i < n; i++)
        t_go(&done, ways[i % 3], &t);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&t.entered), n);
    CHECK_EQ(atomic_load(&t.passed), 0);
}

static void done_then_exit(void *arg) {
    struct trace *t = arg;
    gort_waitgroup_done(t->done);
    gort_exit();
}

static void every_way_to_start_a_goroutine_can_end_by_exit(void) {
    gort_waitgroup_t done = {0};
    struct trace t = {.done = &done}, *copied = &t;
    gort_spawn_options_t pinned = GORT_SPAWN_OPTIONS_INIT, big = GORT_SPAWN_OPTIONS_INIT;
    pinned.flags = GORT_SPAWN_PINNED;
    big.stack_size = 4 << 20;
    big.name = "big";
    t_quiet();
    size_t before = gort_num_goroutines();
    for (int i = 0; i < 200; i++) {
        gort_waitgroup_add(&done, 1);
        int status = i % 4 == 0   ? gort_spawn(done_then_exit, copied)
                     : i % 4 == 1 ? gort_spawn_with(&big, done_then_exit, copied)
                     : i % 20 > 3 ? gort_spawn(done_then_exit, copied)
                                  : gort_spawn_with(&pinned, done_then_exit, copied);
        CHECK_EQ(status, GORT_OK);
    }
    gort_waitgroup_wait(&done);
    EVENTUALLY(gort_num_goroutines() == before);
}

static void exit_with_copied_arguments(void *arg) {
    atomic_int *count;
    memcpy(&count, arg, sizeof count);
    atomic_fetch_add(count, 1);
    gort_exit();
}

static void copied_arguments_go_with_the_goroutine(void) {
    struct {
        atomic_int *count;
        char rest[5000];
    } args = {NULL, {0}};
    atomic_int count = 0;
    args.count = &count;
    for (int i = 0; i < 300; i++)
        CHECK_EQ(gort_spawn_copy(exit_with_copied_arguments, &args, sizeof args), GORT_OK);
    EVENTUALLY(atomic_load(&count) == 300);
}

static void locked_exit(void *arg) {
    gort_lock_thread();
    dive(arg, 5);
}

static void a_locked_goroutine_may_exit(void) {
    gort_waitgroup_t done = {0};
    struct trace t = {.done = &done};
    for (int i = 0; i < 30; i++)
        t_go(&done, locked_exit, &t);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&t.entered), 30);
    CHECK_EQ(atomic_load(&t.passed), 0);
    /* and gort goes on */
    for (int i = 0; i < 30; i++)
        t_go(&done, exit_at_once, &t);
    gort_waitgroup_wait(&done);
}

/* ---- deferred calls, tries, panics ---- */

T_STEPS(a, "a")
T_STEPS(b, "b")

static void recover_r(void *trail) { t_step(trail, gort_recover() ? "R" : "r"); }
static void clean(struct trail **trail) { t_step(*trail, "c"); }

static void exits(void *trail) {
    struct trail *cleaned __attribute__((cleanup(clean))) = trail;
    T_DEFER(recover_r, cleaned);
    T_DEFER(b, trail);
    gort_exit();
    t_step(trail, "!");
}

static void tries_what_exits(void *trail) {
    struct trail *cleaned __attribute__((cleanup(clean))) = trail;
    T_DEFER(recover_r, cleaned);
    T_DEFER(a, trail);
    gort_try(exits, trail);
    t_step(trail, "!");
}

static void exit_runs_deferred_calls_and_passes_every_try(void) {
    t_go_trail(exits, false, "cbr");
    t_go_trail(tries_what_exits, false, "cbrcar");
    t_go_trail(tries_what_exits, true, "cbrcar");
}

static void exit_now(void *trail) {
    t_step(trail, "x");
    gort_exit();
}

static void exits_in_a_deferred_call(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(exit_now, trail);
    T_DEFER(a, trail);
    gort_panic("aborted");
}

static void exits_in_a_deferred_call_of_a_try(void *trail) {
    T_DEFER(recover_r, trail);
    gort_try(exits_in_a_deferred_call, trail);
    t_step(trail, "!");
}

static void exit_in_a_deferred_call_aborts_the_panic(void) {
    t_go_trail(exits_in_a_deferred_call, false, "axr");
    t_go_trail(exits_in_a_deferred_call_of_a_try, true, "axrr");
}

static void returns_and_exits_in_a_deferred_call(void *trail) {
    T_DEFER(a, trail);
    T_DEFER(exit_now, trail);
    T_DEFER(exit_now, trail);
    T_DEFER(b, trail);
}

static void a_deferred_call_may_exit(void) {
    t_go_trail(returns_and_exits_in_a_deferred_call, false, "bxxa");
}

static void panic_now(void *trail) {
    t_step(trail, "p");
    gort_panic("on the way out");
}

static void panics_while_exiting(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(a, trail);
    T_DEFER(recover_r, trail);
    T_DEFER(panic_now, trail);
    gort_exit();
}

/* The panic leaves the try in which the exit began; it is recovered outside. */
static void panics_while_exiting_a_try(void *trail) {
    T_DEFER(panic_now, trail);
    gort_exit();
}

static void recovers_outside(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(recover_r, trail);
    gort_try(panics_while_exiting_a_try, trail);
    t_step(trail, "!");
}

static void tries_the_whole(void *trail) {
    T_DEFER(a, trail);
    gort_try(recovers_outside, trail);
    t_step(trail, "!");
}

static void an_exit_goes_on_when_a_panic_on_its_way_is_recovered(void) {
    t_go_trail(panics_while_exiting, false, "pRar");
    t_go_trail(tries_the_whole, true, "pRra");
}

static void tries_and_recovers(void *trail) {
    t_step(trail, "(");
    CHECK_EQ(gort_try(recover_r, trail), GORT_OK);
    t_step(trail, ")");
}

static void tries_while_exiting(void *trail) {
    T_DEFER(tries_and_recovers, trail);
    gort_exit();
}

static void a_try_in_a_deferred_call_is_not_touched_by_the_exit(void) {
    t_go_trail(tries_while_exiting, true, "(r)");
}

static void exit_in_many(void *arg) {
    struct trace *t = arg;
    gort_yield();
    atomic_fetch_add(&t->entered, 1);
    gort_exit();
}

static void try_exit_in_many(void *arg) { gort_try(exit_in_many, arg); }

static void many_exit_at_once(void) {
    gort_waitgroup_t done = {0};
    struct trace t = {.done = &done};
    int n = (int)t_n(2000, 200);
    for (int i = 0; i < n; i++)
        t_go(&done, i % 2 ? exit_in_many : try_exit_in_many, &t);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&t.entered), n);
}

/* ---- children ---- */

static void exit_on_a_plain_thread(void) {
    gort_exit();
    exit(9);
}

static void exit_at_all(void *arg) {
    (void)arg;
    gort_exit();
}

static void exit_on_a_plain_thread_in_try(void) {
    gort_try(exit_at_all, NULL);
    exit(9);
}

static void say_so(void *arg) {
    (void)arg;
    ssize_t written = write(2, "deferred ", 9);
    (void)written;
}

static int main_that_defers_and_exits(void *arg) {
    T_DEFER(say_so, arg);
    gort_try(exit_at_all, arg);
    exit(9);
}

static void main_defers_and_exits(void) { gort_main(main_that_defers_and_exits, NULL); }

static void end_the_process(void *arg) {
    (void)arg;
    gort_sleep(20 * T_MS);
    exit(7);
}

static int main_that_exits(void *arg) {
    (void)arg;
    CHECK_EQ(gort_spawn(end_the_process, NULL), GORT_OK);
    gort_exit();
    exit(9);
}

static void main_exits_and_others_go_on(void) {
    gort_main(main_that_exits, NULL);
    exit(8);
}

static void exit_outside_a_goroutine_is_a_fatal_error(void) {
    CHILD_DIES(exit_on_a_plain_thread, "fatal error: ");
    CHILD_DIES(exit_on_a_plain_thread, "gort_exit");
    CHILD_DIES(exit_on_a_plain_thread_in_try, "fatal error: gort_exit: called outside a goroutine");
}

static void when_main_exits_the_others_go_on(void) { CHILD_EXITS(main_exits_and_others_go_on, 7); }

static void when_main_was_the_last_that_is_a_deadlock(void) {
    CHILD_DIES(main_defers_and_exits, "deferred fatal error: no goroutines (main called gort_exit) - deadlock!");
}

static void yield_at_exit(void) {
    gort_mutex_t mutex = {0};
    gort_yield();
    gort_sleep(T_MS);
    gort_mutex_lock(&mutex);
    CHECK_EQ(gort_mutex_lock_until(&mutex, gort_now() + T_MS), GORT_ETIMEDOUT);
    gort_mutex_unlock(&mutex);
    ssize_t written = write(2, "handler done", 12);
    (void)written;
}

static void end_the_process_at_once(void *arg) {
    (void)arg;
    exit(6);
}

static void goroutine_calls_exit(void) {
    alarm(T_HANG_SECONDS);
    /* Before gort starts, so it runs when gort has stopped its workers. */
    atexit(yield_at_exit);
    gort_mutex_t mutex = {0};
    gort_mutex_lock(&mutex);
    CHECK_EQ(gort_spawn(end_the_process_at_once, NULL), GORT_OK);
    gort_mutex_lock(&mutex);
}

static void exit_handlers_of_a_goroutine_may_still_wait(void) {
    const struct t_outcome *outcome = t_spawn_child("goroutine_calls_exit");
    t_check_exit("goroutine_calls_exit", outcome, 6);
    t_check_says("goroutine_calls_exit", outcome, "handler done");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(exit_on_a_plain_thread);
    T_CHILD(exit_on_a_plain_thread_in_try);
    T_CHILD(main_exits_and_others_go_on);
    T_CHILD(main_defers_and_exits);
    T_CHILD(goroutine_calls_exit);
    RUN_BOTH(exit_never_returns_and_counts_as_done);
    RUN(every_way_to_start_a_goroutine_can_end_by_exit);
    RUN_BOTH(copied_arguments_go_with_the_goroutine);
    RUN_BOTH(a_locked_goroutine_may_exit);
    RUN_BOTH(exit_runs_deferred_calls_and_passes_every_try);
    RUN_BOTH(exit_in_a_deferred_call_aborts_the_panic);
    RUN_BOTH(a_deferred_call_may_exit);
    RUN_BOTH(an_exit_goes_on_when_a_panic_on_its_way_is_recovered);
    RUN_BOTH(a_try_in_a_deferred_call_is_not_touched_by_the_exit);
    RUN_BOTH(many_exit_at_once);
    RUN(exit_outside_a_goroutine_is_a_fatal_error);
    RUN(when_main_was_the_last_that_is_a_deadlock);
    RUN(when_main_exits_the_others_go_on);
    RUN(exit_handlers_of_a_goroutine_may_still_wait);
    return t_end();
}
