/* What starts something comes before it: goroutines, timers. And what waits for its end. */
/* ctest-timeout: 300 */
/* ctest-alone: it needs both CPUs to itself */
#include "litmus.h"

/* ---- the statement that starts a goroutine ---- */

static void spawn(struct run *run) { CHECK_EQ(gort_spawn(litmus_started, run), GORT_OK); }

static void a_spawn_comes_before_the_start_of_its_goroutine(void) {
    static const struct litmus litmus = {.left = spawn, .starts = true};
    litmus_flood_test(&litmus);
}

static void copied(void *arg) { litmus_started(*(struct run **)arg); }
static void spawn_copy(struct run *run) { CHECK_EQ(gort_spawn_copy(copied, &run, sizeof run), GORT_OK); }

static void spawn_with(struct run *run) {
    gort_spawn_options_t options = GORT_SPAWN_OPTIONS_INIT;
    options.name = "litmus";
    CHECK_EQ(gort_spawn_with(&options, litmus_started, run), GORT_OK);
}

static void so_it_does_with_copied_arguments_and_with_options(void) {
    static const struct litmus copy = {.left = spawn_copy, .starts = true};
    static const struct litmus with = {.left = spawn_with, .starts = true};
    litmus_flood_variant(&copy);
    litmus_flood_variant(&with);
}

static void go(struct run *run) {
    run->waitgroup = (gort_waitgroup_t){0};
    CHECK_EQ(gort_waitgroup_go(&run->waitgroup, litmus_started, run), GORT_OK);
}

static void end_of_go(struct run *run) {
    if (atomic_load(&run->ready) > 1)
        gort_waitgroup_wait(&run->waitgroup);
}

static void a_waitgroup_go_comes_before_the_start_of_its_goroutine(void) {
    static const struct litmus litmus = {.before = end_of_go, .left = go, .starts = true};
    litmus_flood_variant(&litmus);
}

/* ---- the end of a goroutine, for who waits for it ---- */

/* Many are under way at once, and the one who waits looks at each without stepping aside. */
struct brood {
    struct run *runs;
    long goal;
};

static void be_born_and_write(void *arg) {
    struct run *run = arg;
    run->right.thread = litmus_here();
    run->x.v = run->number;
    run->y.v = run->number;
}

static void be_born_write_and_exit(void *arg) {
    be_born_and_write(arg);
    gort_exit();
}

static void raise_brood(void *arg) {
    const struct brood *brood = arg;
    int64_t began = gort_now();
    long number = 0, counted = 0, turns = 0;
    do {
        number++;
        for (int i = 0; i < LITMUS_SLOTS; i++) {
            struct run *run = &brood->runs[i];
            run->number = number;
            run->waitgroup = (gort_waitgroup_t){0};
            CHECK_EQ(gort_waitgroup_go(&run->waitgroup, i % 2 ? be_born_and_write : be_born_write_and_exit, run),
                     GORT_OK);
        }
        for (int i = 0; i < LITMUS_SLOTS; i++) {
            struct run *run = &brood->runs[i];
            if (litmus_now_and_then(&turns))
                gort_waitgroup_wait(&run->waitgroup);
            else
                LITMUS_UNTIL(GORT_OK, gort_waitgroup_wait_until(&run->waitgroup, 0));
            long y = run->y.v, x = run->x.v;
            if (x != number || y != number)
                FAIL("run %ld: forbidden result: x %ld, y %ld", number, x, y);
            counted += run->right.thread != litmus_here();
        }
    } while (!litmus_enough(number * LITMUS_SLOTS, counted, brood->goal, began));
    litmus_show(number * LITMUS_SLOTS, counted, 0, began);
}

static void the_end_of_waitgroup_gos_goroutine_comes_before_the_wait(void) {
    size_t size = sizeof(struct run) * LITMUS_SLOTS;
    struct brood brood = {aligned_alloc(LITMUS_LINE, size), litmus_runs(1000000)};
    gort_waitgroup_t done = {0};
    CHECK(brood.runs != NULL);
    memset(brood.runs, 0, size);
    t_go(&done, raise_brood, &brood);
    gort_waitgroup_wait(&done);
    brood.goal = litmus_runs(20000);
    t_go_thread(&done, raise_brood, &brood);
    gort_waitgroup_wait(&done);
    free(brood.runs);
}

/* ---- timers ---- */

static void start_timer(struct run *run) {
    gort_timer_t *timer = gort_timer_func(0, litmus_started, run);
    CHECK(timer != NULL);
    gort_timer_release(timer);
}

static void a_timer_func_comes_before_the_start_of_its_function(void) {
    static const struct litmus litmus = {.left = start_timer, .starts = true};
    litmus_flood_test(&litmus);
}

static void stopped_timer(struct run *run) {
    if (!run->handle)
        run->handle = gort_timer_new(GORT_FOREVER);
    CHECK(run->handle != NULL);
}

static void release_timer(struct run *run) { gort_timer_release(run->handle); }
static void set_timer(struct run *run) { gort_timer_reset(run->handle, 0); }
static void wait_for_tick(struct run *run) { CHECK_EQ(gort_chan_recv(gort_timer_chan(run->handle), NULL), GORT_OK); }

static void setting_a_timer_comes_before_the_receive_of_its_tick(void) {
    static const struct litmus litmus = {
        .prepare = stopped_timer, .left = set_timer, .right = wait_for_tick, .discard = release_timer};
    litmus_flood_test(&litmus);
}

/* ---- the main goroutine ---- */

static int write_as_main(void *arg) {
    struct run *run = arg;
    CHECK_EQ(run->number, run->left.read);
    run->x.v = run->number;
    run->y.v = run->number;
    return 0;
}

/* It always runs on another thread than the one that waits for it, and each run takes two of the kernel's
 * wake-ups: fewer runs. */
static void main_comes_after_its_call_and_before_its_return(void) {
    struct run run;
    memset(&run, 0, sizeof run);
    for (long number = 1; number <= (litmus_parallel() ? t_n(20000, 1000) : 500); number++) {
        run.number = number;
        run.left.read = number;
        CHECK_EQ(gort_main(write_as_main, &run), 0);
        CHECK_EQ(run.y.v, number);
        CHECK_EQ(run.x.v, number);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(a_spawn_comes_before_the_start_of_its_goroutine);
    RUN(so_it_does_with_copied_arguments_and_with_options);
    RUN(a_waitgroup_go_comes_before_the_start_of_its_goroutine);
    RUN(the_end_of_waitgroup_gos_goroutine_comes_before_the_wait);
    RUN(a_timer_func_comes_before_the_start_of_its_function);
    RUN(setting_a_timer_comes_before_the_receive_of_its_tick);
    RUN(main_comes_after_its_call_and_before_its_return);
    return t_end();
}
