/* Lanes: where their goroutines run, how many at once, and what is called when. */
#include "t_lane.h"

static void yield_a_while(void *arg) {
    long n = (long)(intptr_t)arg;
    for (long i = 0; i < n; i++)
        gort_yield();
}

static void yield_ordinarily(void *arg) {
    long n = (long)(intptr_t)arg;
    for (long i = 0; i < n; i++) {
        t_lane_check_ordinary();
        gort_yield();
    }
}

static void hooks_come_in_order_and_balanced(void) {
    for (unsigned limit = 1; limit <= 3; limit++) {
        struct t_lane l;
        gort_waitgroup_t done = {0};
        t_lane_open(&l, limit, true);
        for (int i = 0; i < 50; i++) {
            t_lane_go(&l, &done, yield_a_while, (void *)20);
            t_go(&done, yield_ordinarily, (void *)20);
        }
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&l.goroutines), 0);
        CHECK(atomic_load(&l.most_runs) <= (int)limit);
        t_lane_close(&l);
    }
}

struct naps {
    atomic_int in, most;
};

static void sleep_a_little(void *arg) {
    struct naps *naps = arg;
    t_lane_most(&naps->most, atomic_fetch_add(&naps->in, 1) + 1);
    for (int i = 0; i < 5; i++)
        gort_sleep(T_MS / 10 * i);
    atomic_fetch_sub(&naps->in, 1);
}

static void sleepers_do_not_hold_a_slot(void) {
    struct t_lane l;
    struct naps naps = {0};
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, true);
    for (int i = 0; i < 100; i++)
        t_lane_go(&l, &done, sleep_a_little, &naps);
    gort_waitgroup_wait(&done);
    CHECK(atomic_load(&naps.most) > 1);
    CHECK_EQ(atomic_load(&l.most_runs), 1);
    t_lane_close(&l);
}

static void tell_numbers(void *arg) {
    uint64_t *id = arg;
    void *low, *high, *here = &low;
    *id = gort_id();
    CHECK(*id != 0);
    CHECK_EQ(gort_stack_bounds(&low, &high), GORT_OK);
    CHECK((char *)low < (char *)here && (char *)here < (char *)high);
    CHECK((size_t)((char *)high - (char *)low) > 100 << 10);
    CHECK_EQ(gort_stack_bounds(NULL, &high), GORT_EINVAL);
    gort_yield();
    CHECK_EQ(gort_id(), *id);
}

static void a_goroutine_can_tell_its_number_and_stack(void) {
    struct t_lane l;
    uint64_t ids[2] = {0, 0};
    void *low = &l, *high = &l;
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, false);
    t_lane_go(&l, &done, tell_numbers, &ids[0]);
    t_go(&done, tell_numbers, &ids[1]);
    gort_waitgroup_wait(&done);
    CHECK(ids[0] != ids[1]);
    CHECK_EQ(gort_id(), 0);
    CHECK_EQ(gort_stack_bounds(&low, &high), GORT_EINVAL);
    CHECK(low == &l && high == &l);
    CHECK(gort_lane_current() == NULL);
    t_lane_close(&l);
}

static void end_by_exit(void *arg) {
    (void)arg;
    gort_yield();
    gort_exit();
}

static void the_end_is_told_of_one_that_exits_too(void) {
    struct t_lane l;
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, true);
    for (int i = 0; i < 10; i++)
        t_lane_go(&l, &done, end_by_exit, NULL);
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
}

static void spawn_one_of_each(void *arg) {
    struct t_lane *l = t_lane_mine;
    gort_waitgroup_t *done = arg;
    for (int i = 0; i < 20; i++) {
        t_lane_go(l, done, yield_a_while, (void *)3);
        t_go(done, yield_ordinarily, (void *)3);
        gort_yield();
    }
}

static void a_goroutine_of_a_lane_spawns_ordinary_ones(void) {
    struct t_lane l;
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 2, true);
    for (int i = 0; i < 5; i++)
        t_lane_go(&l, &done, spawn_one_of_each, &done);
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
}

static void bad_options_change_nothing(void) {
    size_t goroutines = gort_num_goroutines();
    gort_lane_options_t opts = GORT_LANE_OPTIONS_INIT;
    opts.flags = 2;
    CHECK(gort_lane_new(&opts) == NULL);
    opts = (gort_lane_options_t)GORT_LANE_OPTIONS_INIT;
    opts.size = 3;
    CHECK(gort_lane_new(&opts) == NULL);
    opts = (gort_lane_options_t)GORT_LANE_OPTIONS_INIT;
    opts.stack_size = (size_t)2 << 30;
    CHECK(gort_lane_new(&opts) == NULL);
    opts = (gort_lane_options_t)GORT_LANE_OPTIONS_INIT;
    gort_lane_hooks_t hooks = GORT_LANE_HOOKS_INIT;
    hooks.size = 1;
    opts.hooks = &hooks;
    CHECK(gort_lane_new(&opts) == NULL);
    struct {
        gort_lane_options_t known;
        char more;
    } longer = {GORT_LANE_OPTIONS_INIT, 1};
    longer.known.size = sizeof longer;
    CHECK(gort_lane_new(&longer.known) == NULL);
    CHECK(gort_lane_retain(NULL) == NULL);
    gort_lane_release(NULL);
    CHECK_EQ(gort_lane_close(NULL, 0), GORT_EINVAL);
    CHECK_EQ(gort_num_goroutines(), goroutines);
}

static void set_flag(void *arg) { gort_waitgroup_done(arg); }

static void defaults_will_do(void) {
    gort_waitgroup_t done = {0};
    gort_lane_t *lane = gort_lane_new(NULL);
    CHECK(lane != NULL);
    gort_waitgroup_add(&done, 1);
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.lane = lane;
    CHECK_EQ(gort_spawn_with(&opts, set_flag, &done), GORT_OK);
    CHECK(gort_lane_retain(lane) == lane);
    gort_lane_release(lane);
    gort_lane_release(lane); /* the goroutine may not have run yet */
    gort_waitgroup_wait(&done);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(hooks_come_in_order_and_balanced);
    RUN_BOTH(sleepers_do_not_hold_a_slot);
    RUN(a_goroutine_can_tell_its_number_and_stack);
    RUN_BOTH(the_end_is_told_of_one_that_exits_too);
    RUN_BOTH(a_goroutine_of_a_lane_spawns_ordinary_ones);
    RUN(bad_options_change_nothing);
    RUN_BOTH(defaults_will_do);
    return t_end();
}
