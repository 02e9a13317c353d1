/* Recover: where it stops a panic, and where it says NULL. */
#include "t_trail.h"

T_STEPS(a, "a")

static void recover_r(void *trail) {
    const char *message = gort_recover();
    t_step(trail, message ? "R" : "r");
}

static void tries_to_recover(void *trail) {
    T_DEFER(recover_r, trail);
    recover_r(trail);
}

static void there_is_nothing_to_recover_without_a_panic(void) {
    CHECK(gort_recover() == NULL);
    t_try_trail(tries_to_recover, false, GORT_OK, "rr");
    t_go_trail(tries_to_recover, true, "rr");
}

static void recover_twice(void *trail) {
    recover_r(trail);
    recover_r(trail);
}

static void recovered_twice(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(a, trail);
    T_DEFER(recover_twice, trail);
    gort_panic("x");
}

static void once_stopped_it_is_gone_and_the_rest_runs(void) {
    t_try_trail(recovered_twice, false, GORT_EPANIC, "Rrar");
    t_go_trail(recovered_twice, true, "Rrar");
}

static __attribute__((noinline)) void down(void *trail, int depth) {
    volatile char frame[64];
    frame[0] = 1;
    if (depth)
        down(trail, depth - 1);
    else
        recover_r(trail);
    frame[1] = frame[0];
}

static void recover_deep(void *trail) { down(trail, 20); }

static void recovered_deep(void *trail) {
    T_DEFER(recover_deep, trail);
    gort_panic("x");
}

static void any_function_that_a_deferred_call_calls_may(void) {
    t_try_trail(recovered_deep, false, GORT_EPANIC, "R");
    t_go_trail(recovered_deep, true, "R");
}

static void try_recover(void *trail) { CHECK_EQ(gort_try(recover_r, trail), GORT_OK); }

static void recovered_in_a_try(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(try_recover, trail);
    gort_panic("x");
}

static void a_try_in_the_deferred_call_may_not(void) {
    t_try_trail(recovered_in_a_try, false, GORT_EPANIC, "rR");
    t_go_trail(recovered_in_a_try, true, "rR");
}

static void defer_recover(void *trail) { T_DEFER(recover_r, trail); }

static void recovered_by_what_it_defers(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(defer_recover, trail);
    gort_panic("x");
}

static void what_the_deferred_call_defers_may_not(void) {
    t_try_trail(recovered_by_what_it_defers, false, GORT_EPANIC, "rR");
    t_go_trail(recovered_by_what_it_defers, true, "rR");
}

static void recover_in_a_once(void *trail) {
    gort_once_t once = {0};
    gort_once_do(&once, recover_r, trail);
}

static void recovered_in_a_once(void *trail) {
    T_DEFER(recover_in_a_once, trail);
    gort_panic("x");
}

static void a_once_is_a_plain_call(void) {
    t_try_trail(recovered_in_a_once, false, GORT_EPANIC, "R");
    t_go_trail(recovered_in_a_once, true, "R");
}

static void recovers_inside(void *trail) {
    T_DEFER(recover_r, trail);
    gort_panic("inner");
}

static void panics_within(void *trail) {
    t_step(trail, "(");
    CHECK_EQ(gort_try(recovers_inside, trail), GORT_EPANIC);
    t_step(trail, ")");
    recover_r(trail);
}

static void panics_outside(void *trail) {
    T_DEFER(panics_within, trail);
    gort_panic("outer");
}

static void a_panic_within_leaves_the_one_outside_alone(void) {
    t_try_trail(panics_outside, false, GORT_EPANIC, "(R)R");
    t_go_trail(panics_outside, true, "(R)R");
}

/* The message is there while the deferred call runs, whatever else panics meanwhile. */
static void recovers_another(void *arg) {
    (void)arg;
    CHECK(strcmp(gort_recover(), "another message") == 0);
}

static void panics_another(void *arg) {
    T_DEFER(recovers_another, arg);
    gort_panic("another message");
}

static void keep_the_message(void *arg) {
    const char *message = gort_recover();
    CHECK(message != NULL);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(gort_try(panics_another, arg), GORT_EPANIC);
        gort_yield();
        CHECK(strcmp(message, "the first message") == 0);
    }
}

static void panics_with_a_copy(void *arg) {
    T_DEFER(keep_the_message, arg);
    char message[32];
    strcpy(message, "the first message");
    gort_panic(message);
}

static void the_message_stays_until_the_deferred_call_returns(void) {
    gort_waitgroup_t done = {0};
    CHECK_EQ(gort_try(panics_with_a_copy, NULL), GORT_EPANIC);
    for (int i = 0; i < 50; i++)
        t_go(&done, panics_with_a_copy, NULL);
    gort_waitgroup_wait(&done);
}

static void recovers_deepest(void *trail) {
    T_DEFER(recover_r, trail);
    gort_panic("deepest");
}

static void recover_then_try(void *trail) {
    recover_r(trail);
    CHECK_EQ(gort_try(recovers_deepest, trail), GORT_EPANIC);
    recover_r(trail);
}

static void recovers_then_tries(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(recover_then_try, trail);
    gort_panic("x");
}

static void what_was_recovered_stays_so(void) {
    t_try_trail(recovers_then_tries, false, GORT_EPANIC, "RRrr");
    t_go_trail(recovers_then_tries, true, "RRrr");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(there_is_nothing_to_recover_without_a_panic);
    RUN_BOTH(once_stopped_it_is_gone_and_the_rest_runs);
    RUN_BOTH(any_function_that_a_deferred_call_calls_may);
    RUN_BOTH(a_try_in_the_deferred_call_may_not);
    RUN_BOTH(what_the_deferred_call_defers_may_not);
    RUN_BOTH(a_once_is_a_plain_call);
    RUN_BOTH(a_panic_within_leaves_the_one_outside_alone);
    RUN_BOTH(the_message_stays_until_the_deferred_call_returns);
    RUN_BOTH(what_was_recovered_stays_so);
    return t_end();
}
