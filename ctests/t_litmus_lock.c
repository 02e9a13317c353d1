/* Mutex and read-write mutex: what is done under a lock, or before an unlock, is seen by who locks it next. */
/* ctest-timeout: 300 */
/* ctest-alone: it needs both CPUs to itself */
#include "litmus.h"

/* ---- mutex ---- */

static void x_and_y_locked(struct run *run) {
    gort_mutex_lock(&run->mutex);
    run->x.v = 1;
    run->left.read = run->y.v;
    gort_mutex_unlock(&run->mutex);
}

static void y_and_x_locked(struct run *run) {
    gort_mutex_lock(&run->mutex);
    run->y.v = 1;
    run->right.read = run->x.v;
    gort_mutex_unlock(&run->mutex);
}

/* One of the two comes first, and the other sees its store. */
static void critical_sections_are_in_one_order(void) {
    static const struct litmus litmus = {
        .left = x_and_y_locked, .right = y_and_x_locked, .forbidden = litmus_neither};
    litmus_test(&litmus);
}

static void x_lock_y(struct run *run) {
    run->x.v = 1;
    gort_mutex_lock(&run->mutex);
    gort_mutex_unlock(&run->mutex);
    run->left.read = run->y.v;
}

static void y_lock_x(struct run *run) {
    run->y.v = 1;
    gort_mutex_lock(&run->mutex);
    gort_mutex_unlock(&run->mutex);
    run->right.read = run->x.v;
}

static void an_unlock_comes_before_the_next_lock(void) {
    static const struct litmus litmus = {.left = x_lock_y, .right = y_lock_x, .forbidden = litmus_neither};
    litmus_variant(&litmus);
}

static void hold_mutex(struct run *run) { gort_mutex_lock(&run->mutex); }

static void write_and_unlock(struct run *run) {
    litmus_write_both(run);
    gort_mutex_unlock(&run->mutex);
}

static void try_lock_and_read(struct run *run) {
    LITMUS_UNTIL(GORT_OK, gort_mutex_try_lock(&run->mutex));
    litmus_read_both(run);
    gort_mutex_unlock(&run->mutex);
}

static void an_unlock_comes_before_a_try_lock_that_succeeds(void) {
    static const struct litmus litmus = {
        .prepare = hold_mutex, .left = write_and_unlock, .right = try_lock_and_read, .forbidden = litmus_not_both};
    litmus_test(&litmus);
}

static void lock_until_and_read(struct run *run) {
    static long count;
    if (litmus_now_and_then(&count))
        CHECK_EQ(gort_mutex_lock_until(&run->mutex, gort_now() + T_PATIENCE), GORT_OK);
    else
        LITMUS_UNTIL(GORT_OK, gort_mutex_lock_until(&run->mutex, 0));
    litmus_read_both(run);
    gort_mutex_unlock(&run->mutex);
}

static void an_unlock_comes_before_a_lock_until_that_succeeds(void) {
    static const struct litmus litmus = {
        .prepare = hold_mutex, .left = write_and_unlock, .right = lock_until_and_read, .forbidden = litmus_not_both};
    litmus_variant(&litmus);
}

/* The waiter stands in the queue: the mutex is handed to it, or it is woken and takes it. */
static void lock_and_leave_locked(struct run *run) { gort_mutex_lock(&run->mutex); }
static void unlock(struct run *run) { gort_mutex_unlock(&run->mutex); }

static void hold_mutex_at_first(struct run *run) {
    if (atomic_load(&run->ready) == 0)
        gort_mutex_lock(&run->mutex);
}

static void an_unlock_comes_before_the_lock_that_it_unblocks(void) {
    static const struct litmus litmus = {
        .prepare = hold_mutex_at_first, .left = unlock, .right = lock_and_leave_locked};
    litmus_flood_variant(&litmus);
}

/* ---- read-write mutex ---- */

static void x_read_lock_y(struct run *run) {
    run->x.v = 1;
    gort_rwmutex_rlock(&run->rwmutex);
    gort_rwmutex_runlock(&run->rwmutex);
    run->left.read = run->y.v;
}

static void y_write_lock_x(struct run *run) {
    run->y.v = 1;
    gort_rwmutex_lock(&run->rwmutex);
    gort_rwmutex_unlock(&run->rwmutex);
    run->right.read = run->x.v;
}

/* Reader first: runlock before lock. Writer first: unlock before rlock. */
static void readers_and_writers_are_in_one_order(void) {
    static const struct litmus litmus = {
        .left = x_read_lock_y, .right = y_write_lock_x, .forbidden = litmus_neither};
    litmus_test(&litmus);
}

static void x_and_y_write_locked(struct run *run) {
    gort_rwmutex_lock(&run->rwmutex);
    run->x.v = 1;
    run->left.read = run->y.v;
    gort_rwmutex_unlock(&run->rwmutex);
}

static void y_and_x_write_locked(struct run *run) {
    gort_rwmutex_lock(&run->rwmutex);
    run->y.v = 1;
    run->right.read = run->x.v;
    gort_rwmutex_unlock(&run->rwmutex);
}

static void writers_are_in_one_order(void) {
    static const struct litmus litmus = {
        .left = x_and_y_write_locked, .right = y_and_x_write_locked, .forbidden = litmus_neither};
    litmus_variant(&litmus);
}

static void hold_for_writing(struct run *run) { gort_rwmutex_lock(&run->rwmutex); }
static void hold_for_reading(struct run *run) { gort_rwmutex_rlock(&run->rwmutex); }

static void write_and_unlock_rw(struct run *run) {
    litmus_write_both(run);
    gort_rwmutex_unlock(&run->rwmutex);
}

static void write_and_runlock(struct run *run) {
    litmus_write_both(run);
    gort_rwmutex_runlock(&run->rwmutex);
}

static void read_locked_for_reading(struct run *run) {
    static long count;
    if (litmus_now_and_then(&count))
        gort_rwmutex_rlock(&run->rwmutex);
    else
        LITMUS_UNTIL(GORT_OK, gort_rwmutex_try_rlock(&run->rwmutex));
    litmus_read_both(run);
    gort_rwmutex_runlock(&run->rwmutex);
}

static void read_locked_for_writing(struct run *run) {
    static long count;
    if (litmus_now_and_then(&count))
        gort_rwmutex_lock(&run->rwmutex);
    else
        LITMUS_UNTIL(GORT_OK, gort_rwmutex_try_lock(&run->rwmutex));
    litmus_read_both(run);
    gort_rwmutex_unlock(&run->rwmutex);
}

static void a_writers_unlock_comes_before_the_next_rlock(void) {
    static const struct litmus litmus = {.prepare = hold_for_writing,
                                         .left = write_and_unlock_rw,
                                         .right = read_locked_for_reading,
                                         .forbidden = litmus_not_both};
    litmus_test(&litmus);
}

static void a_readers_runlock_comes_before_the_next_lock(void) {
    static const struct litmus litmus = {.prepare = hold_for_reading,
                                         .left = write_and_runlock,
                                         .right = read_locked_for_writing,
                                         .forbidden = litmus_not_both};
    litmus_test(&litmus);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(critical_sections_are_in_one_order);
    RUN(an_unlock_comes_before_the_next_lock);
    RUN(an_unlock_comes_before_a_try_lock_that_succeeds);
    RUN(an_unlock_comes_before_a_lock_until_that_succeeds);
    RUN(an_unlock_comes_before_the_lock_that_it_unblocks);
    RUN(readers_and_writers_are_in_one_order);
    RUN(writers_are_in_one_order);
    RUN(a_writers_unlock_comes_before_the_next_rlock);
    RUN(a_readers_runlock_comes_before_the_next_lock);
    return t_end();
}
