/* gort_stats: what each number counts, and how much of the struct is filled in. */
#include "t.h"

static gort_stats_t stats(void) {
    gort_stats_t now = GORT_STATS_INIT;
    CHECK_EQ(gort_stats(&now), GORT_OK);
    CHECK_EQ(now.size, sizeof now);
    return now;
}

static void nothing(void *arg) { (void)arg; }

static gort_chan_t *gate;
static gort_waitgroup_t gone;

static void waits(void *arg) {
    (void)arg;
    gort_chan_recv(gate, NULL);
}

static void spawned_and_living_goroutines_are_counted(void) {
    enum { N = 300 };
    gort_stats_t before = stats();
    gate = gort_chan_new(0, 0);
    for (int i = 0; i < N; i++)
        t_go(&gone, waits, NULL);
    CHECK(stats().goroutines >= N);
    CHECK_EQ(stats().goroutines, gort_num_goroutines());
    gort_chan_close(gate);
    gort_waitgroup_wait(&gone);
    gort_chan_release(gate);
    gort_stats_t after = stats();
    CHECK_EQ(after.spawned - before.spawned, N);
    EVENTUALLY(stats().goroutines <= before.goroutines);
}

static void ping(void *arg) {
    gort_chan_t **ends = arg;
    for (int i = 0; i < 1000; i++) {
        gort_chan_send(ends[0], NULL);
        gort_chan_recv(ends[1], NULL);
    }
}

static void pong(void *arg) {
    gort_chan_t **ends = arg;
    for (int i = 0; i < 1000; i++) {
        gort_chan_recv(ends[0], NULL);
        gort_chan_send(ends[1], NULL);
    }
}

static void parks_and_wakeups_are_counted(void) {
    gort_chan_t *ends[] = {gort_chan_new(0, 0), gort_chan_new(0, 0)};
    gort_stats_t before = stats();
    t_go(&gone, ping, ends);
    t_go(&gone, pong, ends);
    gort_waitgroup_wait(&gone);
    gort_stats_t after = stats();
    /* Of the two in each of 2000 meetings at least one came first and waited. */
    CHECK(after.parks - before.parks >= 2000);
    CHECK(after.wakeups - before.wakeups >= 2000);
    gort_chan_release(ends[0]);
    gort_chan_release(ends[1]);
}

static void sleeps_and_waits_until_a_deadline_count_too(void) {
    gort_stats_t before = stats();
    for (int i = 0; i < 20; i++)
        gort_sleep(1000);
    gort_stats_t after = stats();
    CHECK(after.parks - before.parks >= 20);
    CHECK(after.wakeups - before.wakeups >= 20);
}

static void yields(void *arg) {
    (void)arg;
    for (int i = 0; i < 5000; i++)
        gort_yield();
}

static void a_yield_is_no_park(void) {
    gort_stats_t before = stats();
    t_go(&gone, yields, NULL);
    gort_waitgroup_wait(&gone);
    CHECK(stats().parks - before.parks < 1000);
}

static _Atomic int done;

static void spins_until_stolen(void *arg) {
    (void)arg;
    atomic_fetch_add(&done, 1);
}

/* The caller keeps its worker, so what it spawned can only run if another takes it. */
static void taking_from_anothers_queue_is_a_steal(void) {
    if (gort_max_procs(0) == 1)
        return;
    gort_stats_t before = stats();
    atomic_store(&done, 0);
    t_go(&gone, spins_until_stolen, NULL);
    t_go(&gone, spins_until_stolen, NULL);
    int64_t give_up = gort_now() + T_PATIENCE;
    while (atomic_load(&done) == 0)
        CHECK(gort_now() < give_up);
    gort_waitgroup_wait(&gone);
    CHECK(stats().steals > before.steals);
}

static void threads_are_workers_and_helpers(void) {
    t_go(&gone, nothing, NULL);
    gort_waitgroup_wait(&gone);
    gort_stats_t now = stats();
    CHECK(now.workers >= 1);
    CHECK(now.threads >= now.workers && now.threads <= now.workers + 2);
}

static void stack_bytes_are_what_is_reserved_for_stacks_made_so_far(void) {
    gort_stats_t before = stats();
    gort_spawn_options_t options = GORT_SPAWN_OPTIONS_INIT;
    options.stack_size = 64 << 20;
    gate = gort_chan_new(0, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(gort_spawn_with(&options, waits, NULL), GORT_OK);
    EVENTUALLY(stats().stack_bytes >= before.stack_bytes + 3 * (UINT64_C(64) << 20));
    gort_chan_close(gate);
    EVENTUALLY(stats().goroutines <= before.goroutines);
    CHECK(stats().stack_bytes >= before.stack_bytes + 3 * (UINT64_C(64) << 20));
    gort_chan_release(gate);
}

static void a_struct_of_another_version_is_filled_in_as_far_as_it_goes(void) {
    struct {
        gort_stats_t known;
        uint64_t later[4];
    } longer;
    memset(&longer, 0xff, sizeof longer);
    longer.known.size = sizeof longer;
    CHECK_EQ(gort_stats(&longer.known), GORT_OK);
    CHECK_EQ(longer.known.size, sizeof longer);
    for (size_t i = 0; i < T_LEN(longer.later); i++)
        CHECK_EQ(longer.later[i], 0);
    gort_stats_t shorter = {0};
    shorter.size = offsetof(gort_stats_t, workers);
    shorter.workers = 4711;
    CHECK_EQ(gort_stats(&shorter), GORT_OK);
    CHECK_EQ(shorter.workers, 4711);
    CHECK(shorter.spawned >= shorter.goroutines);
}

static void bad_arguments_are_refused(void) {
    CHECK_EQ(gort_stats(NULL), GORT_EINVAL);
    gort_stats_t bad = {0};
    CHECK_EQ(gort_stats(&bad), GORT_EINVAL);
    bad.size = sizeof(size_t) - 1;
    CHECK_EQ(gort_stats(&bad), GORT_EINVAL);
    CHECK_EQ(bad.spawned, 0);
}

static void before_the_start(void) {
    gort_stats_t now = stats();
    CHECK(!now.goroutines && !now.spawned && !now.workers && !now.threads && !now.parks && !now.steals &&
          !now.wakeups);
    CHECK_EQ(gort_init(NULL), GORT_OK);
}

static void asking_does_not_start_the_runtime(void) { CHILD_EXITS(before_the_start, 0); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(before_the_start);
    RUN(asking_does_not_start_the_runtime);
    RUN_BOTH(spawned_and_living_goroutines_are_counted);
    RUN_BOTH(parks_and_wakeups_are_counted);
    RUN_AS_MAIN(sleeps_and_waits_until_a_deadline_count_too);
    RUN(a_yield_is_no_park);
    RUN_AS_MAIN(taking_from_anothers_queue_is_a_steal);
    RUN(threads_are_workers_and_helpers);
    RUN(stack_bytes_are_what_is_reserved_for_stacks_made_so_far);
    RUN(a_struct_of_another_version_is_filled_in_as_far_as_it_goes);
    RUN(bad_arguments_are_refused);
    return t_end();
}
