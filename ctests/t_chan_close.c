/* Closing: it wakes all who wait, loses nothing that was sent, and is final. */
#include "t.h"

enum { WAITERS = 40 };

struct parked {
    gort_chan_t *ch;
    atomic_int woken;
};

static void receive_closed(void *arg) {
    struct parked *p = arg;
    long got = 0x5555;
    CHECK_EQ(gort_chan_recv(p->ch, &got), GORT_ECLOSED);
    CHECK_EQ(got, 0);
    atomic_fetch_add(&p->woken, 1);
}

static void receive_closed_until(void *arg) {
    struct parked *p = arg;
    long got = 0x5555;
    CHECK_EQ(gort_chan_recv_until(p->ch, &got, gort_now() + 2 * T_PATIENCE), GORT_ECLOSED);
    CHECK_EQ(got, 0);
    atomic_fetch_add(&p->woken, 1);
}

static void select_closed(void *arg) {
    struct parked *p = arg;
    long got = 0x5555;
    gort_case_t cases[] = {{.chan = NULL, .op = GORT_RECV}, {.chan = p->ch, .elem = &got, .op = GORT_RECV, .status = 1}};
    CHECK_EQ(gort_select(cases, 2), 1);
    CHECK_EQ(cases[1].status, GORT_ECLOSED);
    CHECK_EQ(got, 0);
    atomic_fetch_add(&p->woken, 1);
}

static void send_closed(void *arg) {
    struct parked *p = arg;
    long value = 99;
    CHECK_EQ(gort_chan_send(p->ch, &value), GORT_ECLOSED);
    CHECK_EQ(value, 99);
    atomic_fetch_add(&p->woken, 1);
}

static void send_closed_until(void *arg) {
    struct parked *p = arg;
    long value = 99;
    CHECK_EQ(gort_chan_send_until(p->ch, &value, gort_now() + 2 * T_PATIENCE), GORT_ECLOSED);
    atomic_fetch_add(&p->woken, 1);
}

static void select_send_closed(void *arg) {
    struct parked *p = arg;
    long value = 99;
    gort_case_t cases[] = {{.chan = p->ch, .elem = &value, .op = GORT_SEND, .status = 1}, {.chan = NULL, .op = GORT_SEND}};
    CHECK_EQ(gort_select(cases, 2), 0);
    CHECK_EQ(cases[0].status, GORT_ECLOSED);
    atomic_fetch_add(&p->woken, 1);
}

static void park_three_kinds(gort_waitgroup_t *done, struct parked *p, gort_fn_t a, gort_fn_t b, gort_fn_t c) {
    gort_fn_t kinds[] = {a, b, c};
    for (int i = 0; i < WAITERS; i++) {
        if (i % 8 < 3)
            t_go_thread(done, kinds[i % 3], p);
        else
            t_go(done, kinds[i % 3], p);
    }
    t_quiet();
    CHECK_EQ(atomic_load(&p->woken), 0);
}

static void close_wakes_every_parked_receiver(void) {
    for (size_t capacity = 0; capacity < 2; capacity++) {
        struct parked p = {gort_chan_new(sizeof(long), capacity), 0};
        gort_waitgroup_t done = {0};
        park_three_kinds(&done, &p, receive_closed, receive_closed_until, select_closed);
        CHECK_EQ(gort_chan_close(p.ch), GORT_OK);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&p.woken), WAITERS);
        gort_chan_release(p.ch);
    }
}

static void close_wakes_every_parked_sender_and_takes_nothing_from_it(void) {
    for (long capacity = 0; capacity < 5; capacity += 2) {
        struct parked p = {gort_chan_new(sizeof(long), (size_t)capacity), 0};
        gort_waitgroup_t done = {0};
        for (long i = 0; i < capacity; i++)
            CHECK_EQ(gort_chan_send(p.ch, &i), GORT_OK);
        park_three_kinds(&done, &p, send_closed, send_closed_until, select_send_closed);
        CHECK_EQ(gort_chan_close(p.ch), GORT_OK);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&p.woken), WAITERS);
        for (long i = 0; i < capacity; i++) {
            long got = -1;
            CHECK_EQ(gort_chan_recv(p.ch, &got), GORT_OK);
            CHECK_EQ(got, i);
        }
        CHECK_EQ(gort_chan_try_recv(p.ch, NULL), GORT_ECLOSED);
        gort_chan_release(p.ch);
    }
}

static void a_closed_channel_is_drained_before_it_says_closed(void) {
    for (long count = 0; count <= 5; count++) {
        gort_chan_t *ch = gort_chan_new(sizeof(long), 5);
        long got;
        for (long i = 0; i < count; i++) {
            long value = i + 100;
            CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
        }
        CHECK_EQ(gort_chan_close(ch), GORT_OK);
        CHECK_EQ(gort_chan_len(ch), count);
        CHECK_EQ(gort_chan_cap(ch), 5);
        for (long i = 0; i < count; i++) {
            got = -1;
            int status = i % 3 == 0   ? gort_chan_recv(ch, &got)
                         : i % 3 == 1 ? gort_chan_try_recv(ch, &got)
                                      : gort_chan_recv_until(ch, &got, 0);
            CHECK_EQ(status, GORT_OK);
            CHECK_EQ(got, i + 100);
        }
        for (int again = 0; again < 3; again++) {
            got = -1;
            CHECK_EQ(gort_chan_recv(ch, &got), GORT_ECLOSED);
            CHECK_EQ(got, 0);
            got = -1;
            CHECK_EQ(gort_chan_try_recv(ch, &got), GORT_ECLOSED);
            CHECK_EQ(got, 0);
            got = -1;
            CHECK_EQ(gort_chan_recv_until(ch, &got, GORT_FOREVER), GORT_ECLOSED);
            CHECK_EQ(got, 0);
            CHECK_EQ(gort_chan_recv(ch, NULL), GORT_ECLOSED);
        }
        gort_chan_release(ch);
    }
}

static void a_closed_channel_takes_nothing_more(void) {
    for (size_t capacity = 0; capacity < 3; capacity++) {
        gort_chan_t *ch = gort_chan_new(sizeof(long), capacity);
        long value = 5;
        gort_case_t c = {.chan = ch, .elem = &value, .op = GORT_SEND, .status = 1};
        CHECK_EQ(gort_chan_close(ch), GORT_OK);
        CHECK_EQ(gort_chan_close(ch), GORT_ECLOSED);
        CHECK_EQ(gort_chan_close(ch), GORT_ECLOSED);
        CHECK_EQ(gort_chan_send(ch, &value), GORT_ECLOSED);
        CHECK_EQ(gort_chan_try_send(ch, &value), GORT_ECLOSED);
        CHECK_EQ(gort_chan_send_until(ch, &value, 0), GORT_ECLOSED);
        CHECK_EQ(gort_chan_send_until(ch, &value, GORT_FOREVER), GORT_ECLOSED);
        CHECK_EQ(gort_try_select(&c, 1), 0);
        CHECK_EQ(c.status, GORT_ECLOSED);
        CHECK_EQ(gort_chan_len(ch), 0);
        CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_ECLOSED);
        gort_chan_release(ch);
    }
}

/* ---- races ---- */

struct race {
    gort_chan_t *ch;
    atomic_long sent, received, sum_sent, sum_received, closes;
};

static void send_until_closed(void *arg) {
    struct race *r = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (;;) {
        long value = (long)(t_random(&random) >> 40);
        int status = gort_chan_send(r->ch, &value);
        if (status == GORT_ECLOSED)
            return;
        CHECK_EQ(status, GORT_OK);
        atomic_fetch_add(&r->sent, 1);
        atomic_fetch_add(&r->sum_sent, value);
    }
}

static void receive_until_closed(void *arg) {
    struct race *r = arg;
    for (;;) {
        long value = -1;
        int status = gort_chan_recv(r->ch, &value);
        if (status == GORT_ECLOSED) {
            CHECK_EQ(value, 0);
            return;
        }
        CHECK_EQ(status, GORT_OK);
        atomic_fetch_add(&r->received, 1);
        atomic_fetch_add(&r->sum_received, value);
    }
}

static void close_once(void *arg) {
    struct race *r = arg;
    int status = gort_chan_close(r->ch);
    CHECK(status == GORT_OK || status == GORT_ECLOSED);
    atomic_fetch_add(&r->closes, status == GORT_OK);
}

static void a_close_in_full_flow_neither_loses_nor_doubles_a_value(void) {
    for (long round = 0; round < t_n(150, 30); round++) {
        struct race r = {.ch = gort_chan_new(sizeof(long), (size_t)(round % 4))};
        gort_waitgroup_t done = {0};
        for (int i = 0; i < 4; i++) {
            t_go(&done, send_until_closed, &r);
            t_go(&done, receive_until_closed, &r);
        }
        if (round % 8 == 0) {
            t_go_thread(&done, send_until_closed, &r);
            t_go_thread(&done, receive_until_closed, &r);
        }
        gort_sleep((round % 10) * (T_MS / 10));
        for (int i = 0; i < 3; i++)
            t_go(&done, close_once, &r);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&r.closes), 1);
        CHECK_EQ(gort_chan_len(r.ch), 0);
        CHECK_EQ(atomic_load(&r.received), atomic_load(&r.sent));
        CHECK_EQ(atomic_load(&r.sum_received), atomic_load(&r.sum_sent));
        gort_chan_release(r.ch);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(close_wakes_every_parked_receiver);
    RUN(close_wakes_every_parked_sender_and_takes_nothing_from_it);
    RUN_BOTH(a_closed_channel_is_drained_before_it_says_closed);
    RUN_BOTH(a_closed_channel_takes_nothing_more);
    RUN_BOTH(a_close_in_full_flow_neither_loses_nor_doubles_a_value);
    return t_end();
}
