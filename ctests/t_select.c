/* What one select does: which case it may take, what it writes, and what it must leave alone. */
#include "t.h"

static void no_cases_never_get_ready(void) {
    gort_case_t none = {.op = GORT_RECV};
    CHECK_EQ(gort_try_select(NULL, 0), GORT_EAGAIN);
    CHECK_EQ(gort_try_select(&none, 0), GORT_EAGAIN);
    CHECK_EQ(gort_select_until(NULL, 0, 0), GORT_ETIMEDOUT);
    int64_t deadline = gort_now() + T_MS;
    CHECK_EQ(gort_select_until(NULL, 0, deadline), GORT_ETIMEDOUT);
    CHECK(gort_now() >= deadline);
}

static void a_null_channel_is_never_ready(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 1);
    int value = 4, got = 0;
    gort_case_t nulls[] = {{.chan = NULL, .elem = &value, .op = GORT_SEND, .status = 99},
                           {.chan = NULL, .elem = &got, .op = GORT_RECV, .status = 99},
                           {.chan = NULL, .elem = NULL, .op = GORT_SEND, .status = 99}};
    CHECK_EQ(gort_try_select(nulls, 3), GORT_EAGAIN);
    CHECK_EQ(gort_select_until(nulls, 3, gort_now() + T_MS), GORT_ETIMEDOUT);
    gort_case_t mixed[] = {nulls[0], nulls[1], {.chan = ch, .elem = &value, .op = GORT_SEND, .status = 99}, nulls[1]};
    CHECK_EQ(gort_select(mixed, 4), 2);
    CHECK_EQ(mixed[2].status, GORT_OK);
    CHECK_EQ(gort_try_select(mixed, 4), GORT_EAGAIN);
    CHECK_EQ(gort_chan_recv(ch, &got), GORT_OK);
    CHECK_EQ(got, 4);
    gort_chan_release(ch);
}

static void a_closed_channel_is_always_ready(void) {
    gort_chan_t *open = gort_chan_new(sizeof(int), 0), *closed = gort_chan_new(sizeof(int), 1);
    int value = 4, got = 7;
    CHECK_EQ(gort_chan_send(closed, &value), GORT_OK);
    CHECK_EQ(gort_chan_close(closed), GORT_OK);
    gort_case_t receive[] = {{.chan = open, .elem = &value, .op = GORT_RECV},
                             {.chan = closed, .elem = &got, .op = GORT_RECV, .status = 99}};
    CHECK_EQ(gort_select(receive, 2), 1);
    CHECK_EQ(receive[1].status, GORT_OK);
    CHECK_EQ(got, 4);
    for (int how = 0; how < 3; how++) {
        got = 7;
        receive[1].status = 99;
        CHECK_EQ(how == 0   ? gort_select(receive, 2)
                 : how == 1 ? gort_try_select(receive, 2)
                            : gort_select_until(receive, 2, GORT_FOREVER),
                 1);
        CHECK_EQ(receive[1].status, GORT_ECLOSED);
        CHECK_EQ(got, 0);
    }
    gort_case_t send[] = {{.chan = closed, .elem = &value, .op = GORT_SEND, .status = 99},
                          {.chan = open, .elem = &value, .op = GORT_SEND}};
    CHECK_EQ(gort_select(send, 2), 0);
    CHECK_EQ(send[0].status, GORT_ECLOSED);
    CHECK_EQ(value, 4);
    gort_chan_release(open);
    gort_chan_release(closed);
}

static void the_losers_memory_is_untouched(void) {
    enum { CASES = 6 };
    gort_chan_t *ready[2] = {gort_chan_new(sizeof(long), 1), gort_chan_new(sizeof(long), 1)};
    gort_chan_t *room = gort_chan_new(sizeof(long), 1), *quiet = gort_chan_new(sizeof(long), 0);
    for (int round = 0; round < 2000; round++) {
        long elems[CASES], value = round;
        gort_case_t cases[CASES] = {
            {ready[0], &elems[0], GORT_RECV, 1000}, {ready[1], &elems[1], GORT_RECV, 1001},
            {room, &elems[2], GORT_SEND, 1002},     {quiet, &elems[3], GORT_RECV, 1003},
            {quiet, &elems[4], GORT_SEND, 1004},    {NULL, &elems[5], GORT_RECV, 1005},
        };
        gort_case_t before[CASES];
        for (int i = 0; i < CASES; i++)
            elems[i] = 500 + i;
        memcpy(before, cases, sizeof cases);
        gort_chan_try_send(ready[0], &value);
        gort_chan_try_send(ready[1], &value);
        gort_chan_try_recv(room, NULL);
        int won = round % 2 ? gort_select(cases, CASES) : gort_try_select(cases, CASES);
        CHECK(won >= 0 && won <= 2);
        for (int i = 0; i < CASES; i++) {
            CHECK(cases[i].chan == before[i].chan);
            CHECK(cases[i].elem == before[i].elem);
            CHECK_EQ(cases[i].op, before[i].op);
            CHECK_EQ(cases[i].status, i == won ? GORT_OK : 1000 + i);
            if (i != won || won == 2)
                CHECK_EQ(elems[i], 500 + i);
        }
        /* Exactly one committed. */
        CHECK_EQ(gort_chan_len(ready[0]), won != 0);
        CHECK_EQ(gort_chan_len(ready[1]), won != 1);
        CHECK_EQ(gort_chan_len(room), won == 2);
        CHECK_EQ(gort_chan_try_send(quiet, &value), GORT_EAGAIN);
        CHECK_EQ(gort_chan_try_recv(quiet, NULL), GORT_EAGAIN);
        gort_chan_try_recv(ready[0], NULL);
        gort_chan_try_recv(ready[1], NULL);
    }
    gort_chan_release(ready[0]);
    gort_chan_release(ready[1]);
    gort_chan_release(room);
    gort_chan_release(quiet);
}

/* ---- one channel in several cases ---- */

struct parked {
    gort_chan_t *ch;
    long got[5];
    int won, status;
};

static void select_five_times_the_same(void *arg) {
    struct parked *p = arg;
    gort_case_t cases[5];
    for (int i = 0; i < 5; i++)
        cases[i] = (gort_case_t){p->ch, &p->got[i], GORT_RECV, 1000 + i};
    p->won = gort_select(cases, 5);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(cases[i].status, i == p->won ? GORT_OK : 1000 + i);
}

static void duplicates_of_a_channel_commit_once(void) {
    for (long round = 0; round < t_n(60, 20); round++) {
        gort_waitgroup_t done = {0};
        struct parked p = {.ch = gort_chan_new(sizeof(long), (size_t)(round % 2)), .got = {-1, -1, -1, -1, -1}};
        (round % 4 == 3 ? t_go_thread : t_go)(&done, select_five_times_the_same, &p);
        if (round % 3)
            t_quiet();
        CHECK_EQ(gort_chan_send(p.ch, &round), GORT_OK);
        gort_waitgroup_wait(&done);
        CHECK(p.won >= 0 && p.won < 5);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(p.got[i], i == p.won ? round : -1);
        /* Its other four places in the queue are gone. */
        CHECK_EQ(gort_chan_len(p.ch), 0);
        if (round % 2 == 0)
            CHECK_EQ(gort_chan_try_send(p.ch, &round), GORT_EAGAIN);
        gort_chan_release(p.ch);
    }
}

static void a_select_does_not_pair_with_itself(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
    int out = 1, in = -1;
    gort_case_t cases[] = {{ch, &out, GORT_SEND, 9}, {ch, &in, GORT_RECV, 9},
                           {ch, &out, GORT_SEND, 9}, {ch, &in, GORT_RECV, 9}};
    for (int i = 0; i < 100; i++)
        CHECK_EQ(gort_try_select(cases, 4), GORT_EAGAIN);
    CHECK_EQ(gort_select_until(cases, 4, gort_now() + 5 * T_MS), GORT_ETIMEDOUT);
    CHECK_EQ(in, -1);
    gort_chan_release(ch);
}

static void select_both_directions(void *arg) {
    struct parked *p = arg;
    long out = 70;
    gort_case_t cases[] = {{p->ch, &out, GORT_SEND, 9}, {p->ch, &p->got[0], GORT_RECV, 9}};
    p->won = gort_select(cases, 2);
    p->status = cases[p->won].status;
}

static void both_directions_on_one_channel_meet_either_partner(void) {
    for (long round = 0; round < t_n(60, 20); round++) {
        gort_waitgroup_t done = {0};
        struct parked p = {.ch = gort_chan_new(sizeof(long), 0), .got = {-1}};
        long value = 33;
        (round % 4 == 3 ? t_go_thread : t_go)(&done, select_both_directions, &p);
        t_quiet();
        if (round % 2) {
            CHECK_EQ(gort_chan_try_send(p.ch, &value), GORT_OK);
            CHECK_EQ(gort_chan_try_recv(p.ch, &value), GORT_EAGAIN);
        } else {
            CHECK_EQ(gort_chan_try_recv(p.ch, &value), GORT_OK);
            CHECK_EQ(value, 70);
            CHECK_EQ(gort_chan_try_send(p.ch, &value), GORT_EAGAIN);
        }
        gort_waitgroup_wait(&done);
        CHECK_EQ(p.won, round % 2);
        CHECK_EQ(p.status, GORT_OK);
        CHECK_EQ(p.got[0], round % 2 ? 33 : -1);
        gort_chan_release(p.ch);
    }
}

static void two_selects_in_both_directions_meet_each_other(void) {
    for (long round = 0; round < t_n(500, 100); round++) {
        gort_waitgroup_t done = {0};
        gort_chan_t *ch = gort_chan_new(sizeof(long), 0);
        struct parked a = {.ch = ch, .got = {-1}}, b = {.ch = ch, .got = {-1}};
        t_go(&done, select_both_directions, &a);
        (round % 8 == 7 ? t_go_thread : t_go)(&done, select_both_directions, &b);
        gort_waitgroup_wait(&done);
        CHECK_EQ(a.won + b.won, 1);
        CHECK_EQ(a.got[0], a.won ? 70 : -1);
        CHECK_EQ(b.got[0], b.won ? 70 : -1);
        gort_chan_release(ch);
    }
}

/* ---- many cases ---- */

struct crowd {
    gort_case_t *cases;
    size_t n;
    int won;
};

static void select_crowd(void *arg) {
    struct crowd *c = arg;
    c->won = gort_select(c->cases, c->n);
}

static void sixty_five_thousand_five_hundred_and_thirty_six_cases_are_taken_and_one_more_is_not(void) {
    enum { MOST = 65536, CHANNELS = 64 };
    static gort_case_t cases[MOST + 1];
    gort_chan_t *chans[CHANNELS], *ready = gort_chan_new(sizeof(int), 1);
    int value = 8, got = 0;
    for (int i = 0; i < CHANNELS; i++)
        chans[i] = gort_chan_new(sizeof(int), 0);
    for (int i = 0; i <= MOST; i++)
        cases[i] = (gort_case_t){chans[i % CHANNELS], &got, GORT_RECV, 1};
    CHECK_EQ(gort_chan_send(ready, &value), GORT_OK);
    cases[MOST - 1].chan = ready;
    /* Too many: refused, and nothing happens, though a case is ready. */
    CHECK_EQ(gort_select(cases, MOST + 1), GORT_EINVAL);
    CHECK_EQ(gort_try_select(cases, MOST + 1), GORT_EINVAL);
    CHECK_EQ(gort_select_until(cases, MOST + 1, 0), GORT_EINVAL);
    CHECK_EQ(gort_select(cases, SIZE_MAX), GORT_EINVAL);
    CHECK_EQ(gort_chan_len(ready), 1);
    CHECK_EQ(gort_select(cases, MOST), MOST - 1);
    CHECK_EQ(cases[MOST - 1].status, GORT_OK);
    CHECK_EQ(got, 8);
    CHECK_EQ(gort_try_select(cases, MOST), GORT_EAGAIN);
    CHECK_EQ(gort_select_until(cases, MOST, gort_now() + T_MS), GORT_ETIMEDOUT);
    /* Parked on all of them, served by the last. */
    gort_waitgroup_t done = {0};
    struct crowd c = {cases, MOST, -1};
    t_go(&done, select_crowd, &c);
    t_quiet();
    CHECK_EQ(gort_chan_try_send(ready, &value), GORT_OK);
    gort_waitgroup_wait(&done);
    CHECK_EQ(c.won, MOST - 1);
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_EQ(gort_chan_try_send(chans[i], &value), GORT_EAGAIN);
        gort_chan_release(chans[i]);
    }
    gort_chan_release(ready);
}

static void a_received_value_may_be_discarded_in_a_select(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 1);
    int value = 8;
    gort_case_t c = {ch, NULL, GORT_RECV, 9};
    CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
    CHECK_EQ(gort_select(&c, 1), 0);
    CHECK_EQ(c.status, GORT_OK);
    CHECK_EQ(gort_chan_len(ch), 0);
    CHECK_EQ(gort_chan_close(ch), GORT_OK);
    CHECK_EQ(gort_select(&c, 1), 0);
    CHECK_EQ(c.status, GORT_ECLOSED);
    gort_chan_release(ch);
}

static void select_until_waits_at_least_as_long_as_it_was_told(void) {
    gort_chan_t *a = gort_chan_new(sizeof(int), 0), *b = gort_chan_new(sizeof(int), 0);
    int value = 8;
    gort_case_t cases[] = {{a, &value, GORT_RECV, 9}, {b, &value, GORT_SEND, 9}};
    for (int64_t ns = 1; ns < 20 * T_MS; ns = ns * 3) {
        int64_t deadline = gort_now() + ns;
        CHECK_EQ(gort_select_until(cases, 2, deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    CHECK_EQ(cases[0].status, 9);
    CHECK_EQ(cases[1].status, 9);
    gort_chan_release(a);
    gort_chan_release(b);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(no_cases_never_get_ready);
    RUN_BOTH(a_null_channel_is_never_ready);
    RUN_BOTH(a_closed_channel_is_always_ready);
    RUN_BOTH(the_losers_memory_is_untouched);
    RUN(duplicates_of_a_channel_commit_once);
    RUN_BOTH(a_select_does_not_pair_with_itself);
    RUN(both_directions_on_one_channel_meet_either_partner);
    RUN_BOTH(two_selects_in_both_directions_meet_each_other);
    RUN(sixty_five_thousand_five_hundred_and_thirty_six_cases_are_taken_and_one_more_is_not);
    RUN_BOTH(a_received_value_may_be_discarded_in_a_select);
    RUN_BOTH(select_until_waits_at_least_as_long_as_it_was_told);
    return t_end();
}
