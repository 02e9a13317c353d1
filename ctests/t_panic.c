/* Panics: what they run on their way, how far they go.
 * ctest-cflags: -fexceptions
 */
#include "t_trail.h"

T_STEPS(a, "a")
T_STEPS(b, "b")

static void recover_r(void *trail) {
    const char *message = gort_recover();
    t_step(trail, message ? "R(" : "r");
    if (message) {
        t_step(trail, message);
        t_step(trail, ")");
    }
}

static void clean(struct trail **trail) { t_step(*trail, "c"); }

static __attribute__((noinline)) void deep(struct trail *trail, int depth) {
    struct trail *cleaned __attribute__((cleanup(clean))) = trail;
    volatile char frame[100];
    frame[0] = (char)depth;
    if (depth == 0)
        gort_panic("x");
    else
        deep(trail, depth - 1);
    t_step(cleaned, frame[0] ? "!" : "?");
}

static void panics_deep(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(a, trail);
    deep(trail, 3);
}

static void frames_are_cleaned_up_first_then_deferred_calls_run(void) {
    t_try_trail(panics_deep, false, GORT_EPANIC, "ccccaR(x)");
    t_go_trail(panics_deep, false, "ccccaR(x)");
    t_go_trail(panics_deep, true, "ccccaR(x)");
}

static void panics_only(void *trail) {
    T_DEFER(b, trail);
    gort_panic("y");
}

static void tries_without_recovering(void *trail) {
    struct trail *cleaned __attribute__((cleanup(clean))) = trail;
    T_DEFER(recover_r, trail);
    T_DEFER(a, trail);
    gort_try(panics_only, cleaned);
    FAIL("a try that recovered nothing returned");
}

static void a_panic_passes_every_try_that_does_not_recover(void) {
    t_try_trail(tries_without_recovering, false, GORT_EPANIC, "bcaR(y)");
    t_go_trail(tries_without_recovering, true, "bcaR(y)");
}

static void panics_z(void *trail) {
    t_step(trail, "z");
    gort_panic("z");
}

static void panics_in_a_deferred_call(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(a, trail);
    T_DEFER(panics_z, trail);
    T_DEFER(a, trail);
    gort_panic("first");
}

static void returns_and_panics_in_a_deferred_call(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(panics_z, trail);
    T_DEFER(recover_r, trail);
}

static void a_panic_in_a_deferred_call_replaces_the_first(void) {
    t_try_trail(panics_in_a_deferred_call, false, GORT_EPANIC, "azaR(z)");
    t_go_trail(panics_in_a_deferred_call, true, "azaR(z)");
}

static void a_deferred_call_may_panic_after_a_return(void) {
    t_try_trail(returns_and_panics_in_a_deferred_call, false, GORT_EPANIC, "rzR(z)");
    t_go_trail(returns_and_panics_in_a_deferred_call, true, "rzR(z)");
}

static void recovers_its_own(void *trail) {
    T_DEFER(recover_r, trail);
    panics_z(trail);
}

static void the_deferred_call_recovers_its_own(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(recovers_its_own, trail);
    gort_panic("first");
}

static void a_panic_that_a_deferred_call_recovers_from_is_its_own(void) {
    t_try_trail(the_deferred_call_recovers_its_own, false, GORT_EPANIC, "zR(z)R(first)");
    t_go_trail(the_deferred_call_recovers_its_own, true, "zR(z)R(first)");
}

static void recover_and_panic_anew(void *trail) {
    recover_r(trail);
    gort_panic("anew");
}

static void repanics(void *trail) {
    T_DEFER(recover_r, trail);
    T_DEFER(recover_and_panic_anew, trail);
    gort_panic("old");
}

static void a_panic_after_recover_goes_on_to_the_next_deferred_call(void) {
    t_try_trail(repanics, false, GORT_EPANIC, "R(old)R(anew)");
    t_go_trail(repanics, true, "R(old)R(anew)");
}

/* A cleanup that panics itself takes the place of the panic that it is run for. */
static void panic_instead(struct trail **trail) {
    t_step(*trail, "p");
    gort_panic("instead");
}

static void tries_in_a_cleanup(struct trail **trail) {
    t_try_trail(panics_deep, false, GORT_EPANIC, "ccccaR(x)");
    t_step(*trail, "t");
}

static void its_cleanups_panic(void *arg) {
    struct trail *first __attribute__((cleanup(tries_in_a_cleanup))) = arg;
    struct trail *second __attribute__((cleanup(panic_instead))) = arg;
    T_DEFER(recover_r, first);
    T_DEFER(a, second);
    gort_panic("x");
}

static void cleanups_may_try_and_panic(void) {
    t_try_trail(its_cleanups_panic, false, GORT_EPANIC, "ptaR(instead)");
    t_go_trail(its_cleanups_panic, true, "ptaR(instead)");
}

struct held {
    gort_mutex_t mutex;
    long count;
    gort_waitgroup_t done;
};

static void unlock(gort_mutex_t **m) { gort_mutex_unlock(*m); }

static void lock_again(struct held **held) {
    gort_mutex_lock(&(*held)->mutex);
    (*held)->count++;
    gort_yield();
    gort_mutex_unlock(&(*held)->mutex);
}

static void panics_with_the_mutex(void *arg) {
    struct held *held = arg;
    struct held *late __attribute__((cleanup(lock_again))) = held;
    gort_mutex_lock(&held->mutex);
    gort_mutex_t *locked __attribute__((cleanup(unlock))) = &held->mutex;
    held->count++;
    gort_yield();
    gort_panic(late && locked ? "with the mutex" : "?");
}

static void recover_it(void *arg) {
    (void)arg;
    const char *message = gort_recover();
    gort_yield();
    CHECK(message && strcmp(message, "with the mutex") == 0);
}

static void panics_and_recovers(void *arg) {
    T_DEFER(recover_it, NULL);
    panics_with_the_mutex(arg);
}

static void panics_often(void *arg) {
    for (int i = 0; i < 20; i++)
        CHECK_EQ(gort_try(panics_and_recovers, arg), GORT_EPANIC);
    T_DEFER(recover_it, NULL);
    panics_with_the_mutex(arg);
}

static void cleanups_may_park_and_go_on_elsewhere(void) {
    struct held held = {0};
    int n = (int)t_n(100, 20);
    for (int i = 0; i < n; i++)
        t_go(&held.done, panics_often, &held);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(gort_try(panics_and_recovers, &held), GORT_EPANIC);
    gort_waitgroup_wait(&held.done);
    CHECK_EQ(held.count, 2 * (21 * n + 20));
}

static void panics_from_far_below(void *trail) {
    T_DEFER(recover_r, trail);
    struct trail none = {0};
    if (trail)
        deep(&none, 200);
}

static void it_goes_up_any_number_of_frames(void) { t_try_trail(panics_from_far_below, false, GORT_EPANIC, "R(x)"); }

#ifdef __x86_64__
/* A frame that no unwinder can pass. */
void call_without_tables(void (*fn)(void *), void *arg);
__asm__(".pushsection .text\n"
        ".globl call_without_tables\n"
        ".type call_without_tables, @function\n"
        "call_without_tables:\n"
        "    push %rbx\n"
        "    mov %rdi, %rax\n"
        "    mov %rsi, %rdi\n"
        "    call *%rax\n"
        "    pop %rbx\n"
        "    ret\n"
        ".size call_without_tables, . - call_without_tables\n"
        ".popsection\n");

static void panics_below_it(void *arg) {
    struct trail *cleaned __attribute__((cleanup(clean))) = arg;
    gort_panic(cleaned ? "x" : "?");
}

static void calls_without_tables(void *arg) {
    struct trail *skipped __attribute__((cleanup(clean))) = arg;
    T_DEFER(recover_r, skipped);
    T_DEFER(a, skipped);
    call_without_tables(panics_below_it, arg);
}

static void frames_without_tables_are_skipped(void) {
    t_try_trail(calls_without_tables, false, GORT_EPANIC, "caR(x)");
    t_go_trail(calls_without_tables, true, "caR(x)");
}
#endif

static void long_message(void *arg) {
    char *message = malloc(100001);
    CHECK(message != NULL);
    memset(message, 'm', 100000);
    message[100000] = '\0';
    gort_try((gort_fn_t)gort_panic, message);
    free(arg);
}

static void check_the_length(void *arg) {
    (void)arg;
    const char *message = gort_recover();
    CHECK_EQ(strlen(message), 100000);
}

static void panics_with_much_to_say(void *arg) {
    T_DEFER(check_the_length, arg);
    long_message(arg);
}

static void messages_may_be_long_and_are_copied(void) {
    CHECK_EQ(gort_try(panics_with_much_to_say, NULL), GORT_EPANIC);
}

static void nothing_to_say(void *trail) {
    T_DEFER(recover_r, trail);
    gort_panic(NULL);
}

static void no_message_is_an_empty_one(void) { t_try_trail(nothing_to_say, false, GORT_EPANIC, "R()"); }

static void once_in_a_while(void *trail) {
    T_DEFER(recover_r, trail);
    gort_panic("m");
}

static void they_leave_no_memory_behind(void) {
    size_t before = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < t_n(20000, 2000); i++) {
            struct trail trail = {0};
            CHECK_EQ(gort_try(once_in_a_while, &trail), GORT_EPANIC);
            trail.len = 0;
            CHECK_EQ(gort_try(panics_in_a_deferred_call, &trail), GORT_EPANIC);
        }
        if (round == 0)
            before = t_rss();
    }
    t_check_growth("panics", before, t_rss(), 2 << 20);
}

static void go_below_zero(void *arg) {
    gort_waitgroup_t group = {0};
    T_DEFER(recover_r, arg);
    gort_waitgroup_done(&group);
}

static void go_too_high(void *arg) {
    gort_waitgroup_t group = {0};
    T_DEFER(recover_r, arg);
    gort_waitgroup_add(&group, INT32_MAX);
    gort_waitgroup_add(&group, 1);
}

static void a_panic_of_the_library_can_be_recovered(void) {
    t_try_trail(go_below_zero, false, GORT_EPANIC, "R(sync: negative WaitGroup counter)");
    t_go_trail(go_below_zero, true, "R(sync: negative WaitGroup counter)");
    t_try_trail(go_too_high, false, GORT_EPANIC, "R(sync: WaitGroup counter overflow)");
}

static int main_that_recovers(void *trail) {
    T_DEFER(recover_r, trail);
    gort_panic("main");
    return 7;
}

static void a_main_goroutine_that_recovers_has_returned_0(void) {
    struct trail trail = {0};
    CHECK_EQ(gort_main(main_that_recovers, &trail), 0);
    CHECK_TRAIL(&trail, "R(main)");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(frames_are_cleaned_up_first_then_deferred_calls_run);
    RUN_BOTH(a_panic_passes_every_try_that_does_not_recover);
    RUN_BOTH(a_panic_in_a_deferred_call_replaces_the_first);
    RUN_BOTH(a_deferred_call_may_panic_after_a_return);
    RUN_BOTH(a_panic_that_a_deferred_call_recovers_from_is_its_own);
    RUN_BOTH(a_panic_after_recover_goes_on_to_the_next_deferred_call);
    RUN_BOTH(cleanups_may_try_and_panic);
    RUN_BOTH(cleanups_may_park_and_go_on_elsewhere);
    RUN_BOTH(it_goes_up_any_number_of_frames);
#ifdef __x86_64__
    RUN_BOTH(frames_without_tables_are_skipped);
#endif
    RUN_BOTH(messages_may_be_long_and_are_copied);
    RUN_BOTH(no_message_is_an_empty_one);
    RUN_BOTH(they_leave_no_memory_behind);
    RUN_BOTH(a_panic_of_the_library_can_be_recovered);
    RUN(a_main_goroutine_that_recovers_has_returned_0);
    return t_end();
}
