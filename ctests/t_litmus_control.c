/* The litmus harness sees what it is there to see: without synchronisation the forbidden results come up. */
/* ctest-timeout: 300 */
/* ctest-alone: it needs both CPUs to itself */
#include "litmus.h"

static void store_x_load_y(struct run *run) {
    run->x.v = 1;
    run->left.read = run->y.v;
}

static void store_y_load_x(struct run *run) {
    run->y.v = 1;
    run->right.read = run->x.v;
}

static const struct litmus store_buffering = {
    .left = store_x_load_y, .right = store_y_load_x, .forbidden = litmus_neither, .control = true};

static const struct litmus no_message = {
    .left = litmus_write_both, .right = litmus_read_both, .forbidden = litmus_not_both, .control = true};

static void control(const struct litmus *litmus) {
    if (!litmus_parallel())
        return; /* on one CPU, or with one worker, there is nothing to see */
    for (int threads = 0; threads < 4; threads++)
        litmus_pair(litmus, litmus_runs(20000), threads & 1, threads & 2);
}

/* Each side's store is still in its store buffer when it loads: no order of the four explains that. */
static void plain_stores_are_seen_late(void) { control(&store_buffering); }

/* Nothing tells the reader when. */
static void plain_messages_are_read_too_early(void) { control(&no_message); }

/* The same ring of runs, with the wake-up before the data instead of behind it. */
static void no_permits_at_first(struct run *run) {
    if (atomic_load(&run->ready) == 0)
        gort_sem_init(&run->sem, 0);
}

static void wake(struct run *run) { gort_sem_release(&run->sem, 1); }
static void nothing(struct run *run) { (void)run; }
static void be_woken(struct run *run) { CHECK_EQ(gort_sem_acquire(&run->sem, 1), GORT_OK); }

static void data_written_after_the_wake_up_is_missed(void) {
    static const struct litmus litmus = {
        .prepare = no_permits_at_first, .before = wake, .left = nothing, .right = be_woken, .control = true};
    if (!litmus_parallel())
        return;
    litmus_flood(&litmus, litmus_runs(20000), false, false);
    litmus_flood(&litmus, litmus_runs(20000), true, false);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(plain_stores_are_seen_late);
    RUN(plain_messages_are_read_too_early);
    RUN(data_written_after_the_wake_up_is_missed);
    return t_end();
}
