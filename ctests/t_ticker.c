/* Tickers: on their grid, never early, one pending tick for a slow receiver, stopped and reset at any time. */
#include "t.h"

static int64_t get(gort_chan_t *ch) {
    int64_t tick = -1;
    CHECK_EQ(gort_chan_recv(ch, &tick), GORT_OK);
    CHECK(tick <= gort_now());
    return tick;
}

static void a_period_that_is_not_positive_is_refused(void) {
    CHECK(gort_ticker_new(0) == NULL);
    CHECK(gort_ticker_new(-1) == NULL);
    CHECK(gort_ticker_new(INT64_MIN) == NULL);
    gort_timer_t *t = gort_ticker_new(T_MS / 2);
    CHECK(!gort_timer_reset(t, 0));
    CHECK(!gort_timer_reset(t, -5));
    get(gort_timer_chan(t)); /* it goes on */
    get(gort_timer_chan(t));
    gort_timer_release(t);
}

static void receive_on_the_grid(void *arg) {
    int64_t period = *(int64_t *)arg, start = gort_now();
    gort_timer_t *t = gort_ticker_new(period);
    int64_t latest = gort_now(), first = get(gort_timer_chan(t)), last = first;
    /* The first is due a period after the ticker was made, unless it was so late that it lay there. */
    CHECK(first >= start + period && first <= latest + period);
    for (int i = 0; i < 30; i++) {
        int64_t tick = get(gort_timer_chan(t));
        CHECK_EQ((tick - first) % period, 0);
        CHECK(tick > last);
        last = tick;
        if (i % 10 == 5)
            gort_sleep(3 * period / 2); /* late once: the grid stays */
    }
    gort_timer_release(t);
}

static void a_ticker_stays_on_its_grid(void) {
    static int64_t periods[] = {1000, 70000, 300000, 1000000, 1234567, 2000000};
    gort_waitgroup_t done = {0};
    for (size_t i = 0; i < T_LEN(periods); i++) {
        t_go(&done, receive_on_the_grid, &periods[i]);
        t_go_thread(&done, receive_on_the_grid, &periods[i]);
    }
    gort_waitgroup_wait(&done);
}

static void a_slow_receiver_has_one_pending_tick(void) {
    int64_t period = T_MS;
    gort_timer_t *t = gort_ticker_new(period);
    gort_chan_t *ch = gort_timer_chan(t);
    int64_t first = get(ch);
    for (int i = 0; i < 3; i++) {
        gort_sleep(10 * period);
        CHECK_EQ(gort_chan_len(ch), 0); /* as in Go */
        int64_t before = gort_now(), pending = get(ch);
        CHECK_EQ((pending - first) % period, 0);
        CHECK(pending < before); /* it lay there, and none lies behind it: on a busy machine the next may be sent
                                  * late, but it is a later one, on the grid */
        int64_t next = get(ch);
        CHECK(next > pending);
        CHECK_EQ((next - first) % period, 0);
    }
    gort_timer_release(t);
}

static void after_stop_no_tick_comes_until_it_is_reset(void) {
    gort_timer_t *t = gort_ticker_new(2000);
    gort_chan_t *ch = gort_timer_chan(t);
    uint64_t random = t_seed(0);
    int64_t until = 0;
    for (long i = 0; t_again(i, t_n(20000, 500), &until); i++) {
        for (volatile uint64_t k = t_random(&random) % 5000; k > 0; k--)
            ;
        CHECK(gort_timer_stop(t)); /* a ticker that was not stopped is active */
        CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_EAGAIN);
        if (i % 64 == 0) {
            gort_sleep(T_MS / 5);
            CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_EAGAIN);
        }
        CHECK(!gort_timer_stop(t));
        CHECK(!gort_timer_reset(t, 2000));
        if (i % 16 == 0)
            get(ch);
    }
    gort_timer_release(t);
}

static void reset_changes_the_period_and_begins_a_new_grid(void) {
    gort_timer_t *t = gort_ticker_new(60 * GORT_MINUTE);
    gort_chan_t *ch = gort_timer_chan(t);
    for (int i = 1; i <= 10; i++) {
        int64_t period = i * T_MS / 4, start = gort_now();
        CHECK(gort_timer_reset(t, period));
        int64_t end = gort_now(), first = get(ch);
        CHECK(first >= start + period && first <= end + period);
        CHECK_EQ((get(ch) - first) % period, 0);
    }
    CHECK(gort_timer_reset(t, 60 * GORT_MINUTE));
    CHECK_EQ(gort_chan_recv_until(ch, NULL, gort_now() + 5 * T_MS), GORT_ETIMEDOUT);
    CHECK(gort_timer_reset(t, GORT_FOREVER));
    CHECK(gort_timer_stop(t));
    gort_timer_release(t);
}

static void a_released_ticker_ticks_for_who_has_its_channel(void) {
    gort_timer_t *t = gort_ticker_new(T_MS / 4);
    gort_chan_t *ch = gort_chan_retain(gort_timer_chan(t));
    gort_timer_release(t);
    int64_t last = 0;
    for (int i = 0; i < 5; i++) {
        int64_t tick = get(ch);
        CHECK(tick > last);
        last = tick;
    }
    gort_chan_release(ch);
}


static void tick_until_told(void *arg) {
    gort_chan_t *quit = arg;
    gort_timer_t *t = gort_ticker_new(T_MS / 10);
    int64_t tick = 0, last = 0;
    for (long ticks = 0; quit || ticks < 3;) {
        gort_case_t cases[] = {{gort_timer_chan(t), &tick, GORT_RECV, 0}, {quit, NULL, GORT_RECV, 0}};
        int chosen = gort_select(cases, 2);
        CHECK_EQ(cases[chosen].status, chosen == 0 ? GORT_OK : GORT_ECLOSED);
        if (chosen == 1) {
            quit = NULL;
        } else {
            CHECK(tick > last);
            last = tick;
            ticks++;
        }
    }
    gort_timer_release(t);
}

static void many_tickers_are_selected_on_and_told_to_stop(void) {
    gort_waitgroup_t done = {0};
    gort_chan_t *quit = gort_chan_new(0, 0);
    for (int i = 0; i < 30; i++)
        (i % 10 ? t_go : t_go_thread)(&done, tick_until_told, quit);
    gort_sleep(10 * T_MS);
    gort_chan_close(quit);
    gort_waitgroup_wait(&done);
    gort_chan_release(quit);
}

/* Nobody else runs, and nothing but the timer can wake the process. */
static void an_idle_process_is_woken_by_its_ticker(void) {
    gort_timer_t *t = gort_ticker_new(5 * T_MS);
    for (int i = 0; i < 10; i++)
        get(gort_timer_chan(t));
    gort_timer_release(t);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(a_period_that_is_not_positive_is_refused);
    RUN_BOTH(a_ticker_stays_on_its_grid);
    RUN_BOTH(a_slow_receiver_has_one_pending_tick);
    RUN_BOTH(after_stop_no_tick_comes_until_it_is_reset);
    RUN_BOTH(reset_changes_the_period_and_begins_a_new_grid);
    RUN_BOTH(a_released_ticker_ticks_for_who_has_its_channel);
    RUN_BOTH(many_tickers_are_selected_on_and_told_to_stop);
    RUN_BOTH(an_idle_process_is_woken_by_its_ticker);
    return t_end();
}
