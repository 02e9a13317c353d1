/* Among ready cases each is chosen with equal odds.
 *
 * The measure is chi-square over the counts. The bound lies where a fair coin fails less than once in 10^12
 * runs, so a failure means a loaded coin. */
#include "t.h"

/* For up to 9 degrees of freedom: P(chi-square > 80) < 2e-13. */
static const double BOUND = 80.0;
enum { MOST = 10 };

static void check_even(const char *what, const long *counts, int n, long draws) {
    double chi = 0, expected = (double)draws / n;
    for (int i = 0; i < n; i++)
        chi += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    if (chi > BOUND)
        FAIL("%s: chi-square %.1f over %d cases and %ld draws (counts begin %ld %ld)", what, chi, n, draws,
             counts[0], counts[1]);
}

static int any_select(int how, gort_case_t *cases, size_t n) {
    return how == 0   ? gort_select(cases, n)
           : how == 1 ? gort_try_select(cases, n)
                      : gort_select_until(cases, n, how == 2 ? 0 : GORT_FOREVER);
}

static void ready_cases_have_equal_odds_in_every_form_of_select(void) {
    for (int n = 2; n <= MOST; n += 2) {
        gort_chan_t *chans[MOST];
        gort_case_t cases[MOST];
        for (int i = 0; i < n; i++) {
            chans[i] = gort_chan_new(sizeof(int), 0);
            gort_chan_close(chans[i]); /* closed: ready for ever */
            cases[i] = (gort_case_t){chans[i], NULL, GORT_RECV, 0};
        }
        for (int how = 0; how < 4; how++) {
            long counts[MOST] = {0}, draws = t_n(20000, 4000);
            for (long i = 0; i < draws; i++) {
                int won = any_select(how, cases, (size_t)n);
                CHECK(won >= 0 && won < n);
                counts[won]++;
            }
            check_even("closed channels", counts, n, draws);
        }
        for (int i = 0; i < n; i++)
            gort_chan_release(chans[i]);
    }
}

static void those_that_are_not_ready_take_no_share_of_the_odds(void) {
    enum { CASES = 12, READY = 4 };
    static const int ready_at[READY] = {0, 1, 2, 9};
    gort_chan_t *closed = gort_chan_new(sizeof(int), 0), *quiet = gort_chan_new(sizeof(int), 0);
    gort_case_t cases[CASES];
    long counts[READY] = {0}, draws = t_n(40000, 8000);
    gort_chan_close(closed);
    for (int i = 0; i < CASES; i++)
        cases[i] = (gort_case_t){i % 3 == 0 ? NULL : quiet, NULL, GORT_RECV, 0};
    for (int i = 0; i < READY; i++)
        cases[ready_at[i]].chan = closed;
    for (long i = 0; i < draws; i++) {
        int won = any_select((int)(i % 4), cases, CASES), at = 0;
        while (at < READY && ready_at[at] != won)
            at++;
        CHECK(at < READY);
        counts[at]++;
    }
    check_even("four of twelve", counts, READY, draws);
    gort_chan_release(closed);
    gort_chan_release(quiet);
}

static void senders_and_receivers_have_equal_odds(void) {
    gort_chan_t *values = gort_chan_new(sizeof(int), 1), *room = gort_chan_new(sizeof(int), 1);
    int value = 1;
    long counts[4] = {0}, draws = t_n(40000, 8000);
    CHECK_EQ(gort_chan_send(values, &value), GORT_OK);
    for (long i = 0; i < draws; i++) {
        int got = 0;
        gort_case_t cases[] = {{values, &got, GORT_RECV, 0},
                               {room, &value, GORT_SEND, 0},
                               {values, &got, GORT_RECV, 0}, /* a duplicate has odds of its own */
                               {room, &value, GORT_SEND, 0}};
        int won = any_select((int)(i % 4), cases, 4);
        CHECK(won >= 0 && won < 4);
        counts[won]++;
        CHECK_EQ(won % 2 == 0 ? gort_chan_send(values, &value) : gort_chan_recv(room, &got), GORT_OK);
    }
    check_even("senders and receivers", counts, 4, draws);
    gort_chan_release(values);
    gort_chan_release(room);
}

static void the_choice_does_not_follow_from_the_one_before(void) {
    gort_chan_t *closed = gort_chan_new(sizeof(int), 0);
    gort_case_t cases[3];
    long counts[9] = {0}, draws = t_n(45000, 9000);
    int last = 0;
    gort_chan_close(closed);
    for (int i = 0; i < 3; i++)
        cases[i] = (gort_case_t){closed, NULL, GORT_RECV, 0};
    for (long i = 0; i < draws; i++) {
        int won = gort_select(cases, 3);
        CHECK(won >= 0 && won < 3);
        counts[last * 3 + won]++;
        last = won;
    }
    check_even("pairs of choices", counts, 9, draws);
    gort_chan_release(closed);
}

/* ---- and so no case is starved ---- */

struct flood {
    gort_chan_t *ch;
    atomic_int *stop;
};

static void send_until_stopped(void *arg) {
    struct flood *f = arg;
    int value = 1;
    while (!atomic_load(f->stop))
        if (gort_chan_send_until(f->ch, &value, gort_now() + 20 * T_MS) == GORT_ECLOSED)
            return;
}

static void no_channel_in_full_flow_is_starved_by_the_others(void) {
    enum { FLOWS = 4 };
    gort_waitgroup_t done = {0};
    atomic_int stop = 0;
    struct flood floods[FLOWS];
    gort_case_t cases[FLOWS];
    for (int i = 0; i < FLOWS; i++) {
        floods[i] = (struct flood){gort_chan_new(sizeof(int), i < 2 ? 0 : 100), &stop};
        cases[i] = (gort_case_t){floods[i].ch, NULL, GORT_RECV, 0};
        t_go(&done, send_until_stopped, &floods[i]);
        t_go(&done, send_until_stopped, &floods[i]);
    }
    for (long served[FLOWS] = {0}, least = 0; least < t_n(1000, 100);) {
        served[gort_select(cases, FLOWS)]++;
        least = served[0];
        for (int i = 1; i < FLOWS; i++)
            least = served[i] < least ? served[i] : least;
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < FLOWS; i++)
        CHECK_EQ(gort_chan_close(floods[i].ch), GORT_OK);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < FLOWS; i++)
        gort_chan_release(floods[i].ch);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(ready_cases_have_equal_odds_in_every_form_of_select);
    RUN_BOTH(those_that_are_not_ready_take_no_share_of_the_odds);
    RUN_BOTH(senders_and_receivers_have_equal_odds);
    RUN_BOTH(the_choice_does_not_follow_from_the_one_before);
    RUN_BOTH(no_channel_in_full_flow_is_starved_by_the_others);
    return t_end();
}
