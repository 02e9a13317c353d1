/* Lanes seen from inside: dumps, counts, leaks; and lanes that are short of stacks. */
#include "t_leaks.h"
#include "t_lane.h"

#include <malloc.h>

static gort_lane_t *plain_lane(unsigned limit, size_t stack_size) {
    gort_lane_options_t opts = GORT_LANE_OPTIONS_INIT;
    opts.limit = limit;
    opts.stack_size = stack_size;
    gort_lane_t *lane = gort_lane_new(&opts);
    CHECK(lane != NULL);
    return lane;
}

static NOINLINE void spawn_in(gort_lane_t *lane, const char *name, gort_fn_t fn, void *arg) {
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.name = name;
    opts.lane = lane;
    CHECK_EQ(gort_spawn_with(&opts, fn, arg), GORT_OK);
}

/* ---- dumps and counts ---- */

static gort_chan_t *gate;
static gort_waitgroup_t passed;

static void wait_at_the_gate(void *arg) {
    (void)arg;
    gort_chan_recv(gate, NULL);
    gort_waitgroup_done(&passed);
}

static gort_stats_t stats(void) {
    gort_stats_t now = GORT_STATS_INIT;
    CHECK_EQ(gort_stats(&now), GORT_OK);
    return now;
}

static char *dump_text(void) {
    static char text[1 << 20];
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(gort_dump(fd), GORT_OK);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static void they_are_dumped_and_counted(void) {
    enum { N = 5 };
    gort_lane_t *lane = plain_lane(1, 0);
    gort_stats_t before = stats();
    gate = gort_chan_new(0, 0);
    gort_waitgroup_add(&passed, N);
    for (int i = 0; i < N; i++)
        spawn_in(lane, "at the gate", wait_at_the_gate, NULL);
    CHECK_EQ(stats().spawned - before.spawned, N);
    CHECK_EQ(stats().goroutines - before.goroutines, N);
    EVENTUALLY(stats().parks - before.parks >= N);
    const char *text = dump_text();
    CHECK(strstr(text, "\"at the gate\" [chan receive]:\n"));
    CHECK(strstr(text, "created by spawn_in"));
    CHECK(stats().threads > before.threads);
    gort_chan_close(gate);
    gort_waitgroup_wait(&passed);
    EVENTUALLY(stats().goroutines == before.goroutines);
    CHECK(stats().wakeups - before.wakeups >= N);
    CHECK_EQ(gort_lane_close(lane, GORT_FOREVER), GORT_OK);
    gort_lane_release(lane);
    gort_chan_release(gate);
}

/* ---- leaks ---- */

static NOINLINE void plant_in(gort_lane_t *lane, const char *name, gort_chan_t **place) {
    struct waiter *waiter = malloc(sizeof *waiter);
    gort_chan_t *ch = gort_chan_new(0, 0);
    waiter->number = 1;
    waiter->ch = gort_chan_retain(ch);
    spawn_in(lane, name, receive, waiter);
    memcpy(place, &ch, sizeof ch);
}

static NOINLINE void lose_many(gort_lane_t *lane) {
    for (int i = 0; i < MANY; i++) {
        gort_chan_t *ch;
        plant_in(lane, "lost in a lane", &ch);
        gort_chan_release(ch);
        memset(&ch, 0, sizeof ch);
    }
}

static void whoever_leaks_in_a_lane_is_found(void) {
    lose_many(plain_lane(1, 0));
    SOME_ARE_FOUND("lost in a lane", MANY);
}

static bool always(void *data, void *arg) {
    (void)data;
    (void)arg;
    return true;
}

static void whoever_leaks_and_keeps_its_thread_is_found(void) {
    gort_lane_hooks_t hooks = GORT_LANE_HOOKS_INIT;
    hooks.keeps_thread = always;
    gort_lane_options_t opts = GORT_LANE_OPTIONS_INIT;
    opts.hooks = &hooks;
    lose_many(gort_lane_new(&opts));
    SOME_ARE_FOUND("lost in a lane", MANY);
}

static gort_chan_t *kept[MANY];

static void whoever_can_be_woken_is_not_named(void) {
    gort_lane_t *lane = plain_lane(2, 0);
    for (int i = 0; i < MANY; i++)
        plant_in(lane, "held in a lane", &kept[i]);
    all_wait();
    NEVER_NAMED("held in a lane");
    for (int i = 0; i < MANY; i++) {
        gort_chan_close(kept[i]);
        gort_chan_release(kept[i]);
    }
    EVENTUALLY(atomic_load(&woken) == MANY);
    CHECK_EQ(gort_lane_close(lane, GORT_FOREVER), GORT_OK);
    gort_lane_release(lane);
}

/* ---- few stacks ---- */

static atomic_int turns;

static void park_a_while(void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++)
        gort_sleep(T_MS / 5);
    atomic_fetch_add(&turns, 1);
    gort_waitgroup_done(&passed);
}

static void run_with_few_stacks(void) {
    enum { N = 100 };
    size_t size = (size_t)1 << 30;
    /* What is left over is for threads: an arena of malloc's for each would take it all. */
    mallopt(M_ARENA_MAX, 1);
    gort_lane_t *lanes[] = {plain_lane(1, size), plain_lane(2, size)};
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    rlim_t room = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)20 << 30) + ((rlim_t)600 << 20);
    struct rlimit limit = {room, room};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    gort_waitgroup_add(&passed, 3 * N);
    gort_spawn_options_t ordinary = GORT_SPAWN_OPTIONS_INIT;
    ordinary.stack_size = size;
    for (int i = 0; i < N; i++) {
        spawn_in(lanes[0], NULL, park_a_while, NULL);
        spawn_in(lanes[1], NULL, park_a_while, NULL);
        CHECK_EQ(gort_spawn_with(&ordinary, park_a_while, NULL), GORT_OK);
    }
    gort_waitgroup_wait(&passed);
    CHECK_EQ(atomic_load(&turns), 3 * N);
}

static void whoever_finds_no_stack_gets_one_later(void) { CHILD_EXITS(run_with_few_stacks, 0); }

int main(int argc, char **argv) {
    LEAKS_BEGIN(argc, argv);
    T_CHILD(run_with_few_stacks);
    ALONE(whoever_leaks_in_a_lane_is_found);
    ALONE(whoever_leaks_and_keeps_its_thread_is_found);
    RUN_BOTH(they_are_dumped_and_counted);
    RUN(whoever_can_be_woken_is_not_named);
    RUN(whoever_finds_no_stack_gets_one_later);
    return t_end();
}
