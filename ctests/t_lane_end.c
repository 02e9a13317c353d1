/* The end of lanes: closing them, releasing them, exit, fork; and deadlocks with them. */
#include "t_lane.h"

#define ASLEEP "fatal error: all goroutines are asleep - deadlock!\n\n"

static void yield_for_ever(void *arg) {
    (void)arg;
    for (;;)
        gort_yield();
}

static void sleep_for_ever(void *arg) {
    (void)arg;
    for (;;)
        gort_sleep(T_MS / 10);
}

static void receive_for_ever(void *arg) {
    gort_chan_recv(arg, NULL);
    FAIL("it went on");
}

static void set_flag(void *arg) { atomic_store((atomic_bool *)arg, true); }

/* What never ends is not counted in any wait group. */
static void start(struct t_lane *l, gort_fn_t fn, void *arg, bool keeps, int expected) {
    static gort_waitgroup_t never;
    struct t_lane_go *g = calloc(1, sizeof *g);
    CHECK(g != NULL);
    *g = (struct t_lane_go){.lane = l, .keeps = keeps, .fn = fn, .arg = arg, .done = &never};
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.lane = l->lane;
    CHECK_EQ(gort_spawn_with(&opts, t_lane_body, g), expected);
}

static void a_closed_lane_runs_nothing_more(void) {
    for (unsigned limit = 1; limit <= 2; limit++)
        for (int keeps = 0; keeps < 2; keeps++) {
            struct t_lane l;
            gort_chan_t *ch = gort_chan_new(0, 0);
            t_lane_open(&l, limit, false);
            for (int i = 0; i < 5; i++) {
                start(&l, yield_for_ever, NULL, keeps, GORT_OK);
                start(&l, sleep_for_ever, NULL, keeps, GORT_OK);
                start(&l, receive_for_ever, ch, keeps, GORT_OK);
            }
            EVENTUALLY(atomic_load(&l.goroutines) >= 5);
            CHECK_EQ(gort_lane_close(l.lane, GORT_FOREVER), GORT_OK);
            CHECK_EQ(atomic_load(&l.threads), 0);
            CHECK_EQ(atomic_load(&l.runs), 0);
            start(&l, yield_for_ever, NULL, keeps, GORT_ECLOSED);
            CHECK_EQ(gort_lane_close(l.lane, 0), GORT_OK);
            CHECK_EQ(gort_chan_close(ch), GORT_OK); /* readies those that wait there: in vain */
            gort_sleep(2 * T_MS);
            CHECK_EQ(atomic_load(&l.threads), 0);
            gort_lane_release(l.lane);
            gort_chan_release(ch);
        }
}

struct block {
    atomic_bool in, go;
};

static void block_the_thread(void *arg) {
    struct block *b = arg;
    struct timespec nap = {0, 200000};
    atomic_store(&b->in, true);
    while (!atomic_load(&b->go))
        nanosleep(&nap, NULL);
    gort_yield();
    FAIL("it went on");
}

static void what_has_not_begun_is_gone(void) {
    struct t_lane l;
    struct block b = {0};
    atomic_bool ran = false;
    t_lane_open(&l, 1, true);
    start(&l, block_the_thread, &b, false, GORT_OK);
    EVENTUALLY(atomic_load(&b.in));
    size_t before = gort_num_goroutines();
    for (int i = 0; i < 10; i++)
        start(&l, set_flag, &ran, false, GORT_OK);
    CHECK_EQ(gort_lane_close(l.lane, 0), GORT_ETIMEDOUT);
    EVENTUALLY(gort_num_goroutines() <= before);
    atomic_store(&b.go, true);
    CHECK_EQ(gort_lane_close(l.lane, GORT_FOREVER), GORT_OK);
    CHECK(!atomic_load(&ran));
    gort_lane_release(l.lane);
}

static void close_in_time(void *arg) {
    struct t_lane *l = arg;
    CHECK_EQ(gort_lane_close(l->lane, gort_now() + T_MS), GORT_ETIMEDOUT);
    CHECK_EQ(gort_lane_close(l->lane, 0), GORT_ETIMEDOUT);
}

static void close_for_good(void *arg) {
    struct t_lane *l = arg;
    CHECK_EQ(gort_lane_close(l->lane, GORT_FOREVER), GORT_OK);
    CHECK_EQ(atomic_load(&l->threads), 0);
}

static void close_waits_for_who_runs(void) {
    struct t_lane l;
    struct block b = {0};
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, false);
    start(&l, block_the_thread, &b, false, GORT_OK);
    EVENTUALLY(atomic_load(&b.in));
    close_in_time(&l);
    for (int i = 0; i < 3; i++) {
        t_go(&done, close_in_time, &l);
        t_go_thread(&done, close_in_time, &l);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < 3; i++) {
        t_go(&done, close_for_good, &l);
        t_go_thread(&done, close_for_good, &l);
    }
    gort_sleep(T_MS);
    atomic_store(&b.go, true);
    gort_waitgroup_wait(&done);
    close_for_good(&l);
    gort_lane_release(l.lane);
}

static void close_from_within(void *arg) {
    CHECK_EQ(gort_lane_close(((struct t_lane *)arg)->lane, GORT_FOREVER), GORT_EDEADLK);
}

static void a_lane_cannot_be_closed_from_within(void) {
    struct t_lane l;
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 1, false);
    t_lane_go(&l, &done, close_from_within, &l);
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
}

static void sleep_shortly(void *arg) {
    (void)arg;
    gort_sleep(T_MS / 2);
}

static void a_released_lane_ends_with_its_last_goroutine(void) {
    for (int i = 0; i < (int)t_n(20, 5); i++) {
        struct t_lane l;
        gort_waitgroup_t done = {0};
        t_lane_open(&l, 2, false);
        for (int j = 0; j < 4; j++)
            t_lane_go(&l, &done, sleep_shortly, NULL);
        if (i % 2)
            gort_waitgroup_wait(&done);
        gort_lane_release(l.lane);
        gort_waitgroup_wait(&done);
        EVENTUALLY(atomic_load(&l.threads) == 0);
    }
}

static void memory_of_lanes_comes_back(void) {
    size_t before = 0;
    for (int i = 0; i < 300; i++) {
        if (i == 100)
            before = t_memory();
        struct t_lane l;
        gort_waitgroup_t done = {0};
        t_lane_open(&l, 1, true);
        for (int j = 0; j < 70; j++)
            t_lane_go(&l, &done, sleep_shortly, NULL);
        gort_waitgroup_wait(&done);
        t_lane_close(&l);
    }
    t_check_growth("lanes", before, t_memory(), 2 << 20);
}

/* ---- fork ---- */

static void check_child(pid_t pid, int expected) {
    int status;
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        FAIL("the forked child: status %#x, expected exit status %d", status, expected);
}

static void use_what_is_there(struct t_lane *old) {
    alarm(T_HANG_SECONDS);
    CHECK(!gort_in_goroutine() && gort_lane_current() == NULL);
    start(old, sleep_shortly, NULL, false, GORT_ECLOSED);
    CHECK_EQ(gort_lane_close(old->lane, GORT_FOREVER), GORT_OK);
    CHECK(gort_lane_retain(old->lane) == old->lane);
    gort_lane_release(old->lane);
    gort_lane_release(old->lane);
    t_lane_mine = NULL;
    struct t_lane l;
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 2, false);
    for (int i = 0; i < 10; i++)
        t_lane_go(&l, &done, sleep_shortly, NULL);
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
    _exit(43);
}

static void fork_in_the_lane(void *arg) {
    struct t_lane *l = arg;
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        if (pid == 0)
            use_what_is_there(l);
        check_child(pid, 43);
        gort_yield();
    }
}

static void spawn_and_yield(void *arg) {
    struct t_lane *l = arg;
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 20; i++) {
        t_lane_go(l, &done, sleep_shortly, NULL);
        gort_yield();
    }
    gort_waitgroup_wait(&done);
}

static void a_forked_child_has_new_lanes_only(void) {
    struct t_lane l;
    gort_waitgroup_t done = {0};
    t_lane_open(&l, 2, false);
    for (int i = 0; i < 3; i++)
        t_lane_go(&l, &done, spawn_and_yield, &l);
    t_lane_go(&l, &done, fork_in_the_lane, &l);
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        if (pid == 0)
            use_what_is_there(&l);
        check_child(pid, 43);
    }
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
}

/* ---- exit ---- */

static struct t_lane exiting;

static void handler(void) {
    /* What runs stops when it next reaches gort, and nothing goes on. */
    EVENTUALLY(atomic_load(&exiting.busy) == 0);
    struct timespec nap = {0, 5000000};
    nanosleep(&nap, NULL);
    CHECK_EQ(atomic_load(&exiting.busy), 0);
    CHECK_EQ(atomic_load(&exiting.runs), 0);
}

static void exit_while_they_run(void) {
    atexit(handler);
    t_lane_open(&exiting, 2, true);
    for (int i = 0; i < 4; i++) {
        start(&exiting, yield_for_ever, NULL, i % 2, GORT_OK);
        start(&exiting, sleep_for_ever, NULL, i % 2, GORT_OK);
    }
    EVENTUALLY(atomic_load(&exiting.goroutines) == 8);
}

static void call_exit(void *arg) {
    (void)arg;
    exit(7);
}

static void exit_from_within(void) {
    static struct t_lane l;
    t_lane_open(&l, 2, false);
    for (int i = 0; i < 4; i++)
        start(&l, yield_for_ever, NULL, false, GORT_OK);
    start(&l, call_exit, NULL, false, GORT_OK);
    for (;;)
        pause();
}

static void the_process_exits_while_they_run(void) {
    for (int i = 0; i < 5; i++) {
        CHILD_EXITS(exit_while_they_run, 0);
        CHILD_EXITS(exit_from_within, 7);
    }
}

/* ---- deadlocks ---- */

static struct t_lane dead;
static gort_chan_t *silent;

static void wait_in_the_lane(void *arg) {
    (void)arg;
    gort_sleep(T_MS);
    gort_chan_recv(silent, NULL);
}

static int wait_for_the_lane(void *arg) {
    gort_waitgroup_t done = {0};
    silent = gort_chan_new(0, 0);
    t_lane_open(&dead, 1, false);
    for (int i = 0; i < 3; i++)
        t_lane_go_with(&dead, &done, wait_in_the_lane, NULL, arg != NULL && i == 1, 0);
    gort_waitgroup_wait(&done);
    return 0;
}

static void all_asleep(void) { gort_main(wait_for_the_lane, NULL); }

static void all_asleep_and_one_keeps_its_thread(void) { gort_main(wait_for_the_lane, ""); }

static void a_deadlock_with_lanes_is_found(void) {
    for (int i = 0; i < 5; i++) {
        CHILD_DIES(all_asleep, ASLEEP);
        const struct t_outcome *said = t_spawn_child("all_asleep_and_one_keeps_its_thread");
        t_check_exit("all_asleep_and_one_keeps_its_thread", said, 2);
        t_check_says("all_asleep_and_one_keeps_its_thread", said, ASLEEP);
        t_check_says("all_asleep_and_one_keeps_its_thread", said, "[chan receive]");
        t_check_says("all_asleep_and_one_keeps_its_thread", said, "[sync.WaitGroup.Wait]");
    }
}

static void work_a_little(void *arg) {
    gort_chan_t *ch = arg;
    for (int i = 0; i < 20; i++) {
        struct timespec nap = {0, 300000};
        if (i % 3 == 0)
            nanosleep(&nap, NULL); /* nobody else runs meanwhile */
        gort_sleep(i % 2 ? T_MS / 20 : 0);
        CHECK_EQ(gort_chan_send(ch, NULL), GORT_OK);
    }
}

static void *nap_in_a_call(void *arg) {
    struct timespec nap = {0, 3000000};
    nanosleep(&nap, NULL);
    return arg;
}

static void call_and_send(void *arg) {
    for (int i = 0; i < 5; i++) {
        gort_blocking(nap_in_a_call, NULL);
        CHECK_EQ(gort_chan_send(arg, NULL), GORT_OK);
    }
}

static int receive_from_the_lane(void *arg) {
    struct t_lane l;
    gort_waitgroup_t done = {0};
    gort_chan_t *ch = gort_chan_new(0, 0);
    t_lane_open(&l, 1, false);
    for (int i = 0; i < 3; i++) {
        t_lane_go_with(&l, &done, work_a_little, ch, i == 1, 0);
        t_lane_go_with(&l, &done, call_and_send, ch, i == 1, 0);
    }
    for (int i = 0; i < 75; i++)
        CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
    gort_waitgroup_wait(&done);
    t_lane_close(&l);
    gort_chan_release(ch);
    (void)arg;
    return 0;
}

static void all_is_well(void) {
    for (int i = 0; i < 5; i++)
        CHECK_EQ(gort_main(receive_from_the_lane, NULL), 0);
}

static void no_deadlock_is_found_while_a_lane_works(void) { CHILD_EXITS(all_is_well, 0); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(exit_while_they_run);
    T_CHILD(exit_from_within);
    T_CHILD(all_asleep);
    T_CHILD(all_asleep_and_one_keeps_its_thread);
    T_CHILD(all_is_well);
    RUN_BOTH(a_closed_lane_runs_nothing_more);
    RUN(what_has_not_begun_is_gone);
    RUN_BOTH(close_waits_for_who_runs);
    RUN(a_lane_cannot_be_closed_from_within);
    RUN_BOTH(a_released_lane_ends_with_its_last_goroutine);
    RUN(memory_of_lanes_comes_back);
    RUN(a_forked_child_has_new_lanes_only);
    RUN(the_process_exits_while_they_run);
    RUN(a_deadlock_with_lanes_is_found);
    RUN(no_deadlock_is_found_while_a_lane_works);
    return t_end();
}
