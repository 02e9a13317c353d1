/* What is over costs no memory: selects that found nothing, channels released, goroutines ended, timeouts. */
#include "t.h"

/* Allocators keep a little of everything for each thread; a leak of 16 bytes a turn would be seen. */
enum { TURNS = 100000, BOUND = 1600000 };

static void select_and_time_out(gort_chan_t *a, gort_chan_t *b, long turns) {
    int value = 0;
    gort_case_t cases[] = {{a, &value, GORT_RECV, 0}, {b, &value, GORT_SEND, 0}, {NULL, &value, GORT_RECV, 0}};
    for (long i = 0; i < turns; i++) {
        if (i % 8 == 0)
            CHECK_EQ(gort_select_until(cases, 3, gort_now() + 1000), GORT_ETIMEDOUT);
        else
            CHECK_EQ(gort_try_select(cases, 3), GORT_EAGAIN);
    }
}

static void a_hundred_thousand_selects_on_a_quiet_channel_leave_nothing_behind(void) {
    gort_chan_t *a = gort_chan_new(sizeof(int), 0), *b = gort_chan_new(sizeof(int), 0);
    select_and_time_out(a, b, 1000);
    size_t before = t_memory();
    select_and_time_out(a, b, t_n(TURNS, TURNS / 10));
    t_check_growth("selects", before, t_memory(), BOUND);
    gort_chan_release(a);
    gort_chan_release(b);
}

/* Both wait on the quiet channel in every turn, parked, and are woken through another one. */
struct busy_and_quiet {
    gort_chan_t *quiet, *busy;
    long turns;
};

static void park_on_both(void *arg) {
    struct busy_and_quiet *c = arg;
    for (long i = 0; i < c->turns; i++) {
        gort_case_t cases[] = {{c->quiet, NULL, GORT_RECV, 0}, {c->busy, NULL, GORT_RECV, 0}};
        CHECK_EQ(gort_select_until(cases, 2, gort_now() + 100 * T_PATIENCE), 1);
    }
}

static void parked_selects_leave_nothing_behind_in_the_quiet_channel_or_the_timers(void) {
    struct busy_and_quiet c = {gort_chan_new(sizeof(int), 0), gort_chan_new(sizeof(int), 0), 0};
    size_t before = 0;
    int value = 1;
    for (int phase = 0; phase < 2; phase++) {
        gort_waitgroup_t done = {0};
        c.turns = phase ? t_n(TURNS, TURNS / 10) : 1000;
        before = t_memory();
        t_go(&done, park_on_both, &c);
        for (long i = 0; i < c.turns; i++)
            CHECK_EQ(gort_chan_send(c.busy, &value), GORT_OK);
        gort_waitgroup_wait(&done);
    }
    t_check_growth("parked selects", before, t_memory(), BOUND);
    gort_chan_release(c.quiet);
    gort_chan_release(c.busy);
}

static void create_and_release_channels(void *arg) {
    for (long i = 0, turns = *(long *)arg; i < turns; i++) {
        gort_chan_t *ch = gort_chan_new((size_t)(i % 100), (size_t)(i % 7));
        char elem[100] = {0};
        CHECK(ch != NULL);
        if (i % 3 == 0 && i % 7 > 0)
            CHECK_EQ(gort_chan_try_send(ch, elem), GORT_OK);
        if (i % 11 == 0)
            CHECK_EQ(gort_chan_close(ch), GORT_OK);
        gort_chan_release(gort_chan_retain(ch));
        gort_chan_release(ch);
    }
}

static void a_million_channels_created_and_released_leave_nothing_behind(void) {
    long turns = 10000;
    create_and_release_channels(&turns);
    size_t before = t_memory();
    turns = t_n(500000, 20000);
    gort_waitgroup_t done = {0};
    t_go(&done, create_and_release_channels, &turns);
    create_and_release_channels(&turns);
    gort_waitgroup_wait(&done);
    t_check_growth("channels", before, t_memory(), 2 * BOUND);
}

static void end_at_once(void *arg) { atomic_fetch_add((atomic_long *)arg, 1); }

static void exit_at_once(void *arg) {
    atomic_fetch_add((atomic_long *)arg, 1);
    gort_exit();
}

static void end_with_arguments(void *arg) {
    atomic_long *count;
    memcpy(&count, arg, sizeof count);
    atomic_fetch_add(count, 1);
}

static void run_batches(long goroutines, atomic_long *count) {
    struct {
        atomic_long *count;
        char rest[500];
    } arguments = {count, {0}};
    gort_spawn_options_t named = GORT_SPAWN_OPTIONS_INIT;
    named.name = "a goroutine with a name that has to be kept somewhere";
    named.stack_size = 128 * 1024;
    for (long i = 0; i < goroutines;) {
        gort_waitgroup_t done = {0};
        for (int k = 0; k < 100; k++, i++) {
            switch (k % 4) {
            case 0: t_go(&done, exit_at_once, count); break;
            case 1: CHECK_EQ(gort_spawn_copy(end_with_arguments, &arguments, sizeof arguments), GORT_OK); break;
            case 2: CHECK_EQ(gort_spawn_with(&named, exit_at_once, count), GORT_OK); break;
            default: t_go(&done, end_at_once, count); break;
            }
        }
        gort_waitgroup_wait(&done);
        EVENTUALLY(atomic_load(count) >= i);
    }
}

static void goroutines_that_have_ended_leave_nothing_behind(void) {
    atomic_long count = 0;
    run_batches(20000, &count);
    size_t before = t_memory();
    atomic_store(&count, 0);
    run_batches(t_n(200000, 10000), &count);
    t_check_growth("goroutines", before, t_memory(), 2 * BOUND);
}

static void call_from_thread(void *arg) {
    gort_chan_t *ch = arg;
    int value = 1;
    CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
    CHECK_EQ(gort_chan_recv_until(ch, NULL, gort_now() + 1000), GORT_ETIMEDOUT);
}

static void threads_that_have_ended_leave_nothing_behind(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
    size_t before = 0;
    for (int phase = 0; phase < 2; phase++) {
        before = t_memory();
        for (int i = 0; i < (phase ? t_n(3000, 300) : 300); i++) {
            gort_waitgroup_t done = {0};
            t_go_thread(&done, call_from_thread, ch);
            CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
            gort_waitgroup_wait(&done);
        }
    }
    t_check_growth("threads", before, t_memory(), 2 * BOUND);
    gort_chan_release(ch);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(a_hundred_thousand_selects_on_a_quiet_channel_leave_nothing_behind);
    RUN_BOTH(parked_selects_leave_nothing_behind_in_the_quiet_channel_or_the_timers);
    RUN(a_million_channels_created_and_released_leave_nothing_behind);
    RUN(goroutines_that_have_ended_leave_nothing_behind);
    RUN(threads_that_have_ended_leave_nothing_behind);
    return t_end();
}
