/* Deadlines on channels: never early, tried first, and a wait that times out is gone from the queue. */
#include "t.h"

static void try_never_waits(void) {
    gort_chan_t *empty = gort_chan_new(sizeof(int), 0), *full = gort_chan_new(sizeof(int), 1);
    int value = 5;
    CHECK_EQ(gort_chan_try_send(full, &value), GORT_OK);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(gort_chan_try_send(empty, &value), GORT_EAGAIN);
        CHECK_EQ(gort_chan_try_recv(empty, &value), GORT_EAGAIN);
        CHECK_EQ(gort_chan_try_send(full, &value), GORT_EAGAIN);
    }
    CHECK_EQ(gort_chan_len(full), 1);
    CHECK_EQ(value, 5);
    gort_chan_release(empty);
    gort_chan_release(full);
}

static void wait_out(gort_chan_t *empty, gort_chan_t *full, int64_t ns) {
    int value = 5;
    gort_case_t cases[] = {{.chan = empty, .elem = &value, .op = GORT_RECV},
                           {.chan = full, .elem = &value, .op = GORT_SEND}};
    for (int how = 0; how < 4; how++) {
        int64_t deadline = gort_now() + ns;
        int status = how == 0   ? gort_chan_recv_until(empty, &value, deadline)
                     : how == 1 ? gort_chan_send_until(empty, &value, deadline)
                     : how == 2 ? gort_chan_send_until(full, &value, deadline)
                                : gort_select_until(cases, 2, deadline);
        int64_t now = gort_now();
        CHECK_EQ(status, GORT_ETIMEDOUT);
        if (now < deadline)
            FAIL("call %d came back %lld ns before its deadline", how, (long long)(deadline - now));
        CHECK_EQ(value, 5);
    }
}

struct waits {
    gort_chan_t *empty, *full;
    uint64_t seed;
};

static void wait_out_random_times(void *arg) {
    struct waits *w = arg;
    uint64_t random = w->seed;
    wait_out(w->empty, w->full, 0);
    wait_out(w->empty, w->full, 1);
    for (int i = 0; i < 12; i++)
        wait_out(w->empty, w->full, (int64_t)(t_random(&random) % (uint64_t)(6 * T_MS)));
}

static void until_waits_at_least_as_long_as_it_was_told(void) {
    gort_waitgroup_t done = {0};
    gort_chan_t *empty = gort_chan_new(sizeof(int), 0), *full = gort_chan_new(sizeof(int), 1);
    struct waits waits[20];
    int value = 1;
    CHECK_EQ(gort_chan_send(full, &value), GORT_OK);
    for (size_t i = 0; i < T_LEN(waits); i++) {
        /* A channel of its own for each, or one waiter's receive would be served by another's send. */
        waits[i] = (struct waits){gort_chan_new(sizeof(int), 0), full, t_seed(i)};
        (i % 5 ? t_go : t_go_thread)(&done, wait_out_random_times, &waits[i]);
    }
    wait_out(empty, full, 3 * T_MS);
    gort_waitgroup_wait(&done);
    for (size_t i = 0; i < T_LEN(waits); i++)
        gort_chan_release(waits[i].empty);
    gort_chan_release(empty);
    gort_chan_release(full);
}

static void a_past_deadline_tries_first_and_never_says_eagain(void) {
    static const int64_t past[] = {0, 1, -1, INT64_MIN, -5 * T_MS};
    gort_chan_t *ch = gort_chan_new(sizeof(int), 1);
    int value = 5, got;
    for (size_t i = 0; i < T_LEN(past); i++) {
        gort_case_t receive = {.chan = ch, .elem = &got, .op = GORT_RECV, .status = 1};
        gort_case_t send = {.chan = ch, .elem = &value, .op = GORT_SEND, .status = 1};
        CHECK_EQ(gort_chan_recv_until(ch, &got, past[i]), GORT_ETIMEDOUT);
        CHECK_EQ(gort_select_until(&receive, 1, past[i]), GORT_ETIMEDOUT);
        CHECK_EQ(gort_chan_send_until(ch, &value, past[i]), GORT_OK);
        CHECK_EQ(gort_chan_send_until(ch, &value, past[i]), GORT_ETIMEDOUT);
        CHECK_EQ(gort_select_until(&send, 1, past[i]), GORT_ETIMEDOUT);
        got = 0;
        CHECK_EQ(gort_chan_recv_until(ch, &got, past[i]), GORT_OK);
        CHECK_EQ(got, 5);
        CHECK_EQ(gort_select_until(&send, 1, past[i]), 0);
        CHECK_EQ(send.status, GORT_OK);
        got = 0;
        CHECK_EQ(gort_select_until(&receive, 1, past[i]), 0);
        CHECK_EQ(receive.status, GORT_OK);
        CHECK_EQ(got, 5);
    }
    gort_chan_release(ch);
}

static void receive_forever(void *arg) {
    int got = 0;
    CHECK_EQ(gort_chan_recv_until(arg, &got, GORT_FOREVER), GORT_OK);
    CHECK_EQ(got, 11);
}

static void receive_far_deadline(void *arg) {
    int got = 0;
    CHECK_EQ(gort_chan_recv_until(arg, &got, GORT_FOREVER - 1), GORT_OK);
    CHECK_EQ(got, 11);
}

static void a_deadline_of_forever_waits_until_served(void) {
    gort_fn_t receivers[] = {receive_forever, receive_far_deadline};
    for (int i = 0; i < 4; i++) {
        gort_waitgroup_t done = {0};
        gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
        int value = 11;
        (i < 2 ? t_go : t_go_thread)(&done, receivers[i % 2], ch);
        gort_sleep(5 * T_MS);
        CHECK_EQ(gort_chan_send_until(ch, &value, GORT_FOREVER), GORT_OK);
        gort_waitgroup_wait(&done);
        gort_chan_release(ch);
    }
}

static void time_out(void *arg) { CHECK_EQ(gort_chan_recv_until(arg, NULL, gort_now() + T_MS), GORT_ETIMEDOUT); }

static void time_out_sending(void *arg) {
    int value = 666;
    CHECK_EQ(gort_chan_send_until(arg, &value, gort_now() + T_MS), GORT_ETIMEDOUT);
}

static void who_has_timed_out_stands_in_no_queue(void) {
    gort_waitgroup_t done = {0};
    gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
    int value = 1;
    for (int i = 0; i < 100; i++)
        (i % 10 ? t_go : t_go_thread)(&done, time_out, ch);
    gort_waitgroup_wait(&done);
    CHECK_EQ(gort_chan_try_send(ch, &value), GORT_EAGAIN);
    for (int i = 0; i < 100; i++)
        (i % 10 ? t_go : t_go_thread)(&done, time_out_sending, ch);
    gort_waitgroup_wait(&done);
    CHECK_EQ(gort_chan_try_recv(ch, &value), GORT_EAGAIN);
    CHECK_EQ(value, 1);
    gort_chan_release(ch);
}

static void who_has_timed_out_does_not_hold_up_those_behind_it(void) {
    for (int round = 0; round < t_n(50, 10); round++) {
        gort_waitgroup_t first = {0}, second = {0};
        gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
        int value = 11;
        for (int i = 0; i < 4; i++)
            t_go(&first, time_out, ch);
        t_go(&second, receive_forever, ch);
        for (int i = 0; i < 4; i++)
            t_go(&first, time_out, ch);
        gort_waitgroup_wait(&first);
        CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
        gort_waitgroup_wait(&second);
        gort_chan_release(ch);
    }
}

/* ---- timeouts against wake-ups ---- */

struct storm {
    gort_chan_t *ch;
    atomic_long sent, received, sum_sent, sum_received, timeouts;
    atomic_int stop_receiving;
    long attempts;
};

static void send_with_deadlines(void *arg) {
    struct storm *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < s->attempts; i++) {
        long value = (long)(t_random(&random) >> 40);
        int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 120000);
        int status = gort_chan_send_until(s->ch, &value, deadline);
        if (status == GORT_OK) {
            atomic_fetch_add(&s->sent, 1);
            atomic_fetch_add(&s->sum_sent, value);
        } else {
            CHECK_EQ(status, GORT_ETIMEDOUT);
            CHECK(gort_now() >= deadline);
            atomic_fetch_add(&s->timeouts, 1);
        }
        if (t_random(&random) % 4 == 0)
            gort_sleep((int64_t)(t_random(&random) % 100000));
    }
}

static void receive_with_deadlines(void *arg) {
    struct storm *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    while (!atomic_load(&s->stop_receiving)) {
        long value = -1;
        int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 120000);
        int status = gort_chan_recv_until(s->ch, &value, deadline);
        if (status == GORT_OK) {
            CHECK(value >= 0);
            atomic_fetch_add(&s->received, 1);
            atomic_fetch_add(&s->sum_received, value);
        } else {
            CHECK_EQ(status, GORT_ETIMEDOUT);
            CHECK_EQ(value, -1);
            CHECK(gort_now() >= deadline);
            atomic_fetch_add(&s->timeouts, 1);
        }
        if (t_random(&random) % 4 == 0)
            gort_sleep((int64_t)(t_random(&random) % 100000));
    }
}

static void a_timeout_that_races_with_a_wake_up_neither_loses_nor_doubles_a_value(void) {
    for (size_t capacity = 0; capacity < 3; capacity++) {
        struct storm s = {.ch = gort_chan_new(sizeof(long), capacity), .attempts = t_n(3000, 400)};
        gort_waitgroup_t senders = {0}, receivers = {0};
        for (int i = 0; i < 4; i++) {
            t_go(&senders, send_with_deadlines, &s);
            t_go(&receivers, receive_with_deadlines, &s);
        }
        t_go_thread(&senders, send_with_deadlines, &s);
        t_go_thread(&receivers, receive_with_deadlines, &s);
        gort_waitgroup_wait(&senders);
        atomic_store(&s.stop_receiving, 1);
        gort_waitgroup_wait(&receivers);
        for (long value; gort_chan_try_recv(s.ch, &value) == GORT_OK;) {
            atomic_fetch_add(&s.received, 1);
            atomic_fetch_add(&s.sum_received, value);
        }
        CHECK_EQ(atomic_load(&s.received), atomic_load(&s.sent));
        CHECK_EQ(atomic_load(&s.sum_received), atomic_load(&s.sum_sent));
        gort_chan_release(s.ch);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(try_never_waits);
    RUN_BOTH(until_waits_at_least_as_long_as_it_was_told);
    RUN_BOTH(a_past_deadline_tries_first_and_never_says_eagain);
    RUN_BOTH(a_deadline_of_forever_waits_until_served);
    RUN_BOTH(who_has_timed_out_stands_in_no_queue);
    RUN_BOTH(who_has_timed_out_does_not_hold_up_those_behind_it);
    RUN_BOTH(a_timeout_that_races_with_a_wake_up_neither_loses_nor_doubles_a_value);
    return t_end();
}
