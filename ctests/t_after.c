/* gort_after: one tick, never early, as a time limit in select, released early or late. */
#include "t.h"

#define HOUR (60 * GORT_MINUTE)

static void it_yields_one_tick_and_not_early(void) {
    static const int64_t times[] = {INT64_MIN, -1, 0, 1, 1000, 50000, 3000000};
    for (size_t i = 0; i < T_LEN(times); i++) {
        int64_t start = gort_now(), tick = -1;
        gort_chan_t *ch = gort_after(times[i]);
        CHECK_EQ(gort_chan_elem_size(ch), sizeof tick);
        CHECK_EQ(gort_chan_recv(ch, &tick), GORT_OK);
        CHECK(tick >= start + (times[i] > 0 ? times[i] : 0) && tick <= gort_now());
        CHECK_EQ(gort_chan_try_recv(ch, &tick), GORT_EAGAIN);
        gort_chan_release(ch);
    }
}

static void it_never_comes_for_ever(void) {
    gort_chan_t *ch = gort_after(GORT_FOREVER), *late = gort_after(GORT_FOREVER - 1);
    CHECK_EQ(gort_chan_recv_until(ch, NULL, gort_now() + 2 * T_MS), GORT_ETIMEDOUT);
    CHECK_EQ(gort_chan_recv_until(late, NULL, gort_now() + 2 * T_MS), GORT_ETIMEDOUT);
    gort_chan_release(ch);
    gort_chan_release(late);
}

/* A select as in Go: a value, or the time is up. */
static int receive_within(gort_chan_t *ch, int64_t ns, int *value) {
    int64_t start = gort_now(), tick = 0;
    gort_chan_t *limit = gort_after(ns);
    gort_case_t cases[] = {{ch, value, GORT_RECV, 0}, {limit, &tick, GORT_RECV, 0}};
    int chosen = gort_select(cases, 2);
    CHECK_EQ(cases[chosen].status, GORT_OK);
    if (chosen == 1)
        CHECK(tick >= start + ns && gort_now() >= tick);
    gort_chan_release(limit);
    return chosen;
}

static void a_select_times_out_and_does_not_if_a_value_comes(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 1);
    for (int i = 0; i < 100; i++) {
        int value = -1;
        CHECK_EQ(receive_within(ch, i * 1000, &value), 1);
        CHECK_EQ(gort_chan_send(ch, &i), GORT_OK);
        CHECK_EQ(receive_within(ch, HOUR, &value), 0);
        CHECK_EQ(value, i);
    }
    gort_chan_release(ch);
}

static void send_some(void *arg) {
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(gort_chan_send(arg, &i), GORT_OK);
        if (i % 50 == 0)
            gort_sleep(T_MS / 10);
    }
    gort_chan_close(arg);
}

/* What comes is in order and complete, however often the time is up in between. */
static void a_select_with_a_time_limit_loses_nothing(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
    gort_waitgroup_t done = {0};
    t_go(&done, send_some, ch);
    for (int next = 0;;) {
        int value = -1;
        gort_chan_t *limit = gort_after(30000);
        gort_case_t cases[] = {{limit, NULL, GORT_RECV, 0}, {ch, &value, GORT_RECV, 0}};
        int chosen = gort_select(cases, 2);
        gort_chan_release(limit);
        if (chosen == 1 && cases[1].status == GORT_ECLOSED) {
            CHECK_EQ(next, 1000);
            break;
        }
        if (chosen == 1)
            CHECK_EQ(value, next++);
    }
    gort_waitgroup_wait(&done);
    gort_chan_release(ch);
}

static void wait_with_limit(void *arg) {
    uint64_t random = *(uint64_t *)arg;
    int64_t until = 0;
    for (long i = 0; t_again(i, t_n(5000, 300), &until); i++) {
        int64_t ns = (int64_t)(t_random(&random) % 50000), start = gort_now(), tick = 0;
        gort_chan_t *ch = gort_after(ns);
        int status = gort_chan_recv_until(ch, &tick, start + (int64_t)(t_random(&random) % 50000));
        CHECK(status == GORT_ETIMEDOUT || (status == GORT_OK && tick >= start + ns));
        gort_chan_release(ch);
    }
}

static void it_may_be_released_at_any_moment_by_goroutines_and_threads(void) {
    gort_waitgroup_t done = {0};
    uint64_t seeds[9];
    for (size_t i = 0; i < T_LEN(seeds); i++) {
        seeds[i] = t_seed(i);
        (i % 3 ? t_go : t_go_thread)(&done, wait_with_limit, &seeds[i]);
    }
    gort_waitgroup_wait(&done);
}

static void the_shorter_one_comes_first(void) {
    int64_t start = gort_now();
    gort_chan_t *longer = gort_after(200 * T_MS), *shorter = gort_after(T_MS);
    gort_case_t cases[] = {{longer, NULL, GORT_RECV, 0}, {shorter, NULL, GORT_RECV, 0}};
    int first = gort_select(cases, 2);
    /* On a machine that stood still for 200 ms either may come first. */
    CHECK(first == 1 || gort_now() - start > 150 * T_MS);
    CHECK_EQ(gort_chan_recv(first ? longer : shorter, NULL), GORT_OK);
    gort_chan_release(longer);
    gort_chan_release(shorter);
}

static void limits_that_were_not_needed(gort_chan_t *ch, long turns) {
    int value = 5;
    for (long i = 0; i < turns; i++) {
        CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
        CHECK_EQ(receive_within(ch, HOUR, &value), 0);
    }
}

static void a_million_time_limits_that_were_not_needed_leave_nothing_behind(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 1);
    limits_that_were_not_needed(ch, 1000);
    size_t before = t_memory();
    limits_that_were_not_needed(ch, t_n(1000000, 30000));
    t_check_growth("time limits", before, t_memory(), 1600000);
    gort_chan_release(ch);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(it_yields_one_tick_and_not_early);
    RUN_BOTH(it_never_comes_for_ever);
    RUN_BOTH(a_select_times_out_and_does_not_if_a_value_comes);
    RUN_BOTH(a_select_with_a_time_limit_loses_nothing);
    RUN_BOTH(it_may_be_released_at_any_moment_by_goroutines_and_threads);
    RUN_BOTH(the_shorter_one_comes_first);
    RUN_BOTH(a_million_time_limits_that_were_not_needed_leave_nothing_behind);
    return t_end();
}
