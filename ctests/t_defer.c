/* Deferred calls: whose they are, and when they run.
 * ctest-cflags: -fexceptions
 */
#include "t_trail.h"

T_STEPS(a, "a")
T_STEPS(b, "b")
T_STEPS(c, "c")

static void defers_three(void *trail) {
    T_DEFER(a, trail);
    T_DEFER(b, trail);
    T_DEFER(c, trail);
    t_step(trail, "f");
}

static void the_last_deferred_runs_first(void) {
    t_try_trail(defers_three, false, GORT_OK, "fcba");
    t_go_trail(defers_three, false, "fcba");
    t_go_trail(defers_three, true, "fcba");
}

static void tries_one_that_defers(void *trail) {
    T_DEFER(a, trail);
    CHECK_EQ(gort_try(defers_three, trail), GORT_OK);
    t_step(trail, "|");
    T_DEFER(b, trail);
}

static void they_belong_to_the_innermost_try(void) {
    t_try_trail(tries_one_that_defers, false, GORT_OK, "fcba|ba");
    t_go_trail(tries_one_that_defers, true, "fcba|ba");
}

static void defers_when_deferred(void *trail) {
    t_step(trail, "(");
    T_DEFER(c, trail);
    T_DEFER(b, trail);
    t_step(trail, ")");
}

static void defers_one_that_defers(void *trail) {
    T_DEFER(a, trail);
    T_DEFER(defers_when_deferred, trail);
    T_DEFER(a, trail);
}

static void what_a_deferred_call_defers_runs_at_its_own_end(void) {
    t_try_trail(defers_one_that_defers, false, GORT_OK, "a()bca");
    t_go_trail(defers_one_that_defers, true, "a()bca");
}

static void defers_without_a_try(void *trail) {
    defers_three(trail);
    t_step(trail, "g");
}

static void a_function_that_is_just_called_is_no_scope(void) {
    t_try_trail(defers_without_a_try, false, GORT_OK, "fgcba");
}

struct many {
    long n, next;
};

static void count_down(void *arg) {
    struct many *many = arg;
    many->next--;
}

static void defers_many(void *arg) {
    struct many *many = arg;
    for (; many->next < many->n; many->next++)
        T_DEFER(count_down, many);
}

static void there_may_be_any_number(void) {
    for (long n = 0; n < 40; n++) {
        struct many many = {n, 0};
        CHECK_EQ(gort_try(defers_many, &many), GORT_OK);
        CHECK_EQ(many.next, 0);
    }
    struct many many = {t_n(300000, 30000), 0};
    CHECK_EQ(gort_try(defers_many, &many), GORT_OK);
    CHECK_EQ(many.next, 0);
    gort_waitgroup_t done = {0};
    t_go(&done, defers_many, &many);
    gort_waitgroup_wait(&done);
    CHECK_EQ(many.next, 0);
}

struct talk {
    gort_chan_t *ch;
    gort_waitgroup_t done;
};

static void receive_one(void *arg) {
    struct talk *talk = arg;
    int got = 0;
    CHECK_EQ(gort_chan_recv(talk->ch, &got), GORT_OK);
    CHECK_EQ(got, 7);
}

static void send_one(void *arg) {
    struct talk *talk = arg;
    int seven = 7;
    CHECK_EQ(gort_chan_send(talk->ch, &seven), GORT_OK);
}

static void spawns_and_receives(void *arg) {
    struct talk *talk = arg;
    t_go(&talk->done, send_one, talk);
    receive_one(talk);
}

static void defers_talk(void *arg) {
    for (int i = 0; i < 20; i++)
        T_DEFER(spawns_and_receives, arg);
}

static void a_deferred_call_may_park_and_spawn(void) {
    struct talk talk = {gort_chan_new(sizeof(int), 0), {{0}}};
    for (int i = 0; i < 20; i++)
        t_go(&talk.done, defers_talk, &talk);
    CHECK_EQ(gort_try(defers_talk, &talk), GORT_OK);
    gort_waitgroup_wait(&talk.done);
    gort_chan_release(talk.ch);
}

struct copied {
    struct trail *trail;
    char rest[3000];
};

static void look_at_the_copy(void *arg) {
    struct copied *copied = arg;
    gort_yield();
    for (size_t i = 0; i < sizeof copied->rest; i++)
        CHECK_EQ(copied->rest[i], 'x');
    t_step(copied->trail, "copy");
    gort_waitgroup_done(copied->trail->done);
}

static void defers_with_its_copy(void *arg) { T_DEFER(look_at_the_copy, arg); }

static void the_copy_of_spawn_copy_is_there_for_them(void) {
    gort_waitgroup_t done = {0};
    struct trail trail = {.done = &done};
    struct copied copied = {.trail = &trail};
    memset(copied.rest, 'x', sizeof copied.rest);
    gort_waitgroup_add(&done, 1);
    CHECK_EQ(gort_spawn_copy(defers_with_its_copy, &copied, sizeof copied), GORT_OK);
    memset(copied.rest, 'y', sizeof copied.rest);
    gort_waitgroup_wait(&done);
    CHECK_TRAIL(&trail, "copy");
}

static void clean(struct trail **trail) { t_step(*trail, "c"); }

static void has_cleanups(void *arg) {
    struct trail *first __attribute__((cleanup(clean))) = arg;
    T_DEFER(a, arg);
    struct trail *second __attribute__((cleanup(clean))) = arg;
    T_DEFER(b, arg);
    t_step(arg, "f");
    (void)first, (void)second;
}

static void cleanups_of_the_function_run_before_its_deferred_calls(void) {
    t_try_trail(has_cleanups, false, GORT_OK, "fccba");
    t_go_trail(has_cleanups, true, "fccba");
}

static int main_that_defers(void *trail) {
    defers_three(trail);
    return 5;
}

static void those_of_the_main_goroutine_run_before_gort_main_returns(void) {
    struct trail trail = {.parks = true};
    CHECK_EQ(gort_main(main_that_defers, &trail), 5);
    CHECK_TRAIL(&trail, "fcba");
}

static void *defers_on_a_thread(void *arg) {
    (void)arg;
    struct trail trail = {0};
    CHECK_EQ(gort_defer(a, &trail), GORT_EPERM);
    CHECK_EQ(gort_try(tries_one_that_defers, &trail), GORT_OK);
    CHECK_EQ(gort_defer(a, &trail), GORT_EPERM);
    CHECK_TRAIL(&trail, "fcba|ba");
    return NULL;
}

static void a_plain_thread_defers_in_try_only(void) {
    defers_on_a_thread(NULL);
    CHECK_EQ(pthread_join(t_thread(defers_on_a_thread, NULL), NULL), 0);
}

static void null_is_refused(void) {
    CHECK_EQ(gort_defer(NULL, NULL), GORT_EINVAL);
    CHECK_EQ(gort_try(NULL, NULL), GORT_EINVAL);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(the_last_deferred_runs_first);
    RUN_BOTH(they_belong_to_the_innermost_try);
    RUN_BOTH(what_a_deferred_call_defers_runs_at_its_own_end);
    RUN_BOTH(a_function_that_is_just_called_is_no_scope);
    RUN_BOTH(there_may_be_any_number);
    RUN_BOTH(a_deferred_call_may_park_and_spawn);
    RUN_BOTH(the_copy_of_spawn_copy_is_there_for_them);
    RUN_BOTH(cleanups_of_the_function_run_before_its_deferred_calls);
    RUN(those_of_the_main_goroutine_run_before_gort_main_returns);
    RUN(a_plain_thread_defers_in_try_only);
    RUN_BOTH(null_is_refused);
    return t_end();
}
