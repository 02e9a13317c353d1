/* Once, wait group, semaphore, condition variable, and C's own atomics. */
/* ctest-timeout: 300 */
/* ctest-alone: it needs both CPUs to itself */
#include "litmus.h"

/* ---- once ---- */

static void write_in_once(void *arg) { litmus_write_both(arg); }

static void once_left(struct run *run) {
    gort_once_do(&run->once, write_in_once, run);
    run->left.read = run->x.v + run->y.v;
}

static void once_right(struct run *run) {
    gort_once_do(&run->once, write_in_once, run);
    run->right.read = run->x.v + run->y.v;
}

static bool not_all_seen(const struct run *run) { return run->left.read != 2 || run->right.read != 2; }

static void the_end_of_a_once_comes_before_any_return(void) {
    static const struct litmus litmus = {.left = once_left, .right = once_right, .forbidden = not_all_seen};
    litmus_test(&litmus);
}

static void nothing(void *arg) { (void)arg; }

static void x_once_y(struct run *run) {
    run->x.v = 1;
    gort_once_do(&run->once, nothing, NULL);
    run->left.read = run->y.v;
}

static void y_once_x(struct run *run) {
    run->y.v = 1;
    gort_once_do(&run->once, nothing, NULL);
    run->right.read = run->x.v;
}

/* Whose function runs, wrote before it; the other sees that. */
static void one_of_two_callers_of_a_once_sees_the_other(void) {
    static const struct litmus litmus = {.left = x_once_y, .right = y_once_x, .forbidden = litmus_neither};
    litmus_variant(&litmus);
}

/* ---- wait group ---- */

static void add_one(struct run *run) { gort_waitgroup_add(&run->waitgroup, 1); }

static void write_and_done(struct run *run) {
    litmus_write_both(run);
    gort_waitgroup_done(&run->waitgroup);
}

static void wait_and_read(struct run *run) {
    static long count;
    if (litmus_now_and_then(&count))
        gort_waitgroup_wait(&run->waitgroup);
    else
        LITMUS_UNTIL(GORT_OK, gort_waitgroup_wait_until(&run->waitgroup, 0));
    litmus_read_both(run);
}

static void done_comes_before_the_wait_that_it_unblocks(void) {
    static const struct litmus litmus = {
        .prepare = add_one, .left = write_and_done, .right = wait_and_read, .forbidden = litmus_not_both};
    litmus_test(&litmus);
}

static void add_two(struct run *run) { gort_waitgroup_add(&run->waitgroup, 2); }

static void x_done_wait_y(struct run *run) {
    run->x.v = 1;
    gort_waitgroup_done(&run->waitgroup);
    LITMUS_UNTIL(GORT_OK, gort_waitgroup_wait_until(&run->waitgroup, 0));
    run->left.read = run->y.v;
}

static void y_done_wait_x(struct run *run) {
    run->y.v = 1;
    gort_waitgroup_done(&run->waitgroup);
    LITMUS_UNTIL(GORT_OK, gort_waitgroup_wait_until(&run->waitgroup, 0));
    run->right.read = run->x.v;
}

static void all_dones_come_before_every_wait(void) {
    static const struct litmus litmus = {
        .prepare = add_two, .left = x_done_wait_y, .right = y_done_wait_x, .forbidden = litmus_not_both};
    litmus_variant(&litmus);
}

static void new_group_of_one(struct run *run) {
    run->waitgroup = (gort_waitgroup_t){0};
    gort_waitgroup_add(&run->waitgroup, 1);
}

static void done(struct run *run) { gort_waitgroup_done(&run->waitgroup); }
static void wait_for_group(struct run *run) { gort_waitgroup_wait(&run->waitgroup); }

static void done_comes_before_the_wait_that_is_parked(void) {
    static const struct litmus litmus = {.prepare = new_group_of_one, .left = done, .right = wait_for_group};
    litmus_flood_variant(&litmus);
}

/* ---- semaphore ---- */

static void no_permits(struct run *run) { gort_sem_init(&run->sem, 0); }

static void write_and_release(struct run *run) {
    litmus_write_both(run);
    gort_sem_release(&run->sem, 2);
}

static void acquire_and_read(struct run *run) {
    static long count;
    if (litmus_now_and_then(&count))
        CHECK_EQ(gort_sem_acquire(&run->sem, 2), GORT_OK);
    else
        LITMUS_UNTIL(GORT_OK, gort_sem_try_acquire(&run->sem, 2));
    litmus_read_both(run);
}

static void a_release_comes_before_the_acquire_that_it_satisfies(void) {
    static const struct litmus litmus = {
        .prepare = no_permits, .left = write_and_release, .right = acquire_and_read, .forbidden = litmus_not_both};
    litmus_test(&litmus);
}

static void no_permits_at_first(struct run *run) {
    if (atomic_load(&run->ready) == 0)
        gort_sem_init(&run->sem, 0);
}

static void release_three(struct run *run) { gort_sem_release(&run->sem, 3); }
static void acquire_three(struct run *run) { CHECK_EQ(gort_sem_acquire(&run->sem, 3), GORT_OK); }

static void a_release_comes_before_the_acquire_that_is_parked(void) {
    static const struct litmus litmus = {
        .prepare = no_permits_at_first, .left = release_three, .right = acquire_three};
    litmus_flood_variant(&litmus);
}

static void one_permit(struct run *run) { gort_sem_init(&run->sem, 1); }

static void x_permit_y(struct run *run) {
    run->x.v = 1;
    CHECK_EQ(gort_sem_acquire(&run->sem, 1), GORT_OK);
    gort_sem_release(&run->sem, 1);
    run->left.read = run->y.v;
}

static void y_permit_x(struct run *run) {
    run->y.v = 1;
    CHECK_EQ(gort_sem_acquire(&run->sem, 1), GORT_OK);
    gort_sem_release(&run->sem, 1);
    run->right.read = run->x.v;
}

static void holders_of_one_permit_are_in_one_order(void) {
    static const struct litmus litmus = {
        .prepare = one_permit, .left = x_permit_y, .right = y_permit_x, .forbidden = litmus_neither};
    litmus_variant(&litmus);
}

/* ---- condition variable ---- */

/* `right.read` under the mutex: the run in which the waiter waits. The data is written after the mutex was given
 * up, so that it is the signal alone that brings it over. */
static void until_it_waits(struct run *run) {
    for (long waits = 0, spins = 0; waits < run->number; litmus_relax(&spins)) {
        gort_mutex_lock(&run->mutex);
        waits = run->right.read;
        gort_mutex_unlock(&run->mutex);
    }
}

static void wait_for_signal(struct run *run) {
    gort_mutex_lock(&run->mutex);
    run->right.read++;
    gort_cond_wait(&run->cond, &run->mutex);
    gort_mutex_unlock(&run->mutex);
}

static void wait_for_signal_until(struct run *run) {
    gort_mutex_lock(&run->mutex);
    run->right.read++;
    CHECK_EQ(gort_cond_wait_until(&run->cond, &run->mutex, gort_now() + 2 * T_PATIENCE), GORT_OK);
    gort_mutex_unlock(&run->mutex);
}

static void signal_it(struct run *run) { gort_cond_signal(&run->cond); }
static void broadcast(struct run *run) { gort_cond_broadcast(&run->cond); }

static void a_signal_comes_before_the_wait_that_it_ends(void) {
    static const struct litmus litmus = {.before = until_it_waits, .left = signal_it, .right = wait_for_signal};
    litmus_flood_test(&litmus);
}

static void a_broadcast_comes_before_the_waits_that_it_ends(void) {
    static const struct litmus litmus = {.before = until_it_waits, .left = broadcast, .right = wait_for_signal_until};
    litmus_flood_variant(&litmus);
}

/* ---- C's atomics ---- */

static void x_atomic_y(struct run *run) {
    __atomic_store_n(&run->x.v, 1, __ATOMIC_SEQ_CST);
    run->left.read = __atomic_load_n(&run->y.v, __ATOMIC_SEQ_CST);
}

static void y_atomic_x(struct run *run) {
    __atomic_store_n(&run->y.v, 1, __ATOMIC_SEQ_CST);
    run->right.read = __atomic_load_n(&run->x.v, __ATOMIC_SEQ_CST);
}

static void atomics_are_in_one_order(void) {
    static const struct litmus litmus = {.left = x_atomic_y, .right = y_atomic_x, .forbidden = litmus_neither};
    litmus_test(&litmus);
}

static void write_and_raise(struct run *run) {
    litmus_write_both(run);
    atomic_store(&run->flag, 1);
}

static void see_it_raised_and_read(struct run *run) {
    LITMUS_UNTIL(1, atomic_load(&run->flag));
    litmus_read_both(run);
}

static void an_atomic_store_comes_before_the_load_that_sees_it(void) {
    static const struct litmus litmus = {
        .left = write_and_raise, .right = see_it_raised_and_read, .forbidden = litmus_not_both};
    litmus_test(&litmus);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(the_end_of_a_once_comes_before_any_return);
    RUN(one_of_two_callers_of_a_once_sees_the_other);
    RUN(done_comes_before_the_wait_that_it_unblocks);
    RUN(all_dones_come_before_every_wait);
    RUN(done_comes_before_the_wait_that_is_parked);
    RUN(a_release_comes_before_the_acquire_that_it_satisfies);
    RUN(a_release_comes_before_the_acquire_that_is_parked);
    RUN(holders_of_one_permit_are_in_one_order);
    RUN(a_signal_comes_before_the_wait_that_it_ends);
    RUN(a_broadcast_comes_before_the_waits_that_it_ends);
    RUN(atomics_are_in_one_order);
    RUN(an_atomic_store_comes_before_the_load_that_sees_it);
    return t_end();
}
