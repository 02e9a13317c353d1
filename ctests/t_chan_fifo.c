/* Order: values come out as they went in, and waiters are served first come, first served. */
#include "t.h"

struct stream {
    gort_chan_t *ch;
    long count;
};

static void produce(void *arg) {
    struct stream *s = arg;
    for (long i = 0; i < s->count; i++)
        CHECK_EQ(gort_chan_send(s->ch, &i), GORT_OK);
}

static void consume(void *arg) {
    struct stream *s = arg;
    for (long i = 0; i < s->count; i++) {
        long got = -1;
        CHECK_EQ(gort_chan_recv(s->ch, &got), GORT_OK);
        CHECK_EQ(got, i);
    }
}

static void one_producer_and_one_consumer_are_fifo_at_every_capacity(void) {
    long step = t_n(1, 13);
    for (long capacity = 0; capacity <= 200; capacity += step) {
        gort_waitgroup_t done = {0};
        struct stream s = {gort_chan_new(sizeof(long), (size_t)capacity), 500};
        CHECK(s.ch != NULL);
        CHECK_EQ(gort_chan_cap(s.ch), capacity);
        t_go(&done, produce, &s);
        t_go(&done, consume, &s);
        gort_waitgroup_wait(&done);
        CHECK_EQ(gort_chan_len(s.ch), 0);
        gort_chan_release(s.ch);
    }
}

static void a_plain_thread_and_a_goroutine_are_fifo_in_both_directions(void) {
    static const size_t capacities[] = {0, 1, 2, 7, 64};
    for (size_t i = 0; i < T_LEN(capacities); i++) {
        for (int direction = 0; direction < 2; direction++) {
            gort_waitgroup_t done = {0};
            struct stream s = {gort_chan_new(sizeof(long), capacities[i]), t_n(2000, 300)};
            t_go_thread(&done, direction ? produce : consume, &s);
            t_go(&done, direction ? consume : produce, &s);
            gort_waitgroup_wait(&done);
            gort_chan_release(s.ch);
        }
    }
}

/* ---- parked in a known order ---- */

struct waiter {
    gort_chan_t *ch;
    long place;
};

static void receive_own_place(void *arg) {
    struct waiter *w = arg;
    long got = -1;
    CHECK_EQ(gort_chan_recv(w->ch, &got), GORT_OK);
    CHECK_EQ(got, w->place);
}

static void send_own_place(void *arg) {
    struct waiter *w = arg;
    CHECK_EQ(gort_chan_send(w->ch, &w->place), GORT_OK);
}

/* Park them one after the other; every fourth is a plain thread. */
static void park_in_order(gort_waitgroup_t *done, struct waiter *waiters, int n, gort_chan_t *ch, long first,
                          gort_fn_t fn) {
    for (int i = 0; i < n; i++) {
        waiters[i] = (struct waiter){ch, first + i};
        if (i % 4 == 3)
            t_go_thread(done, fn, &waiters[i]);
        else
            t_go(done, fn, &waiters[i]);
        t_quiet();
    }
}

static void parked_receivers_are_served_first_come_first_served(void) {
    for (size_t capacity = 0; capacity < 4; capacity += 3) {
        struct waiter waiters[24];
        int n = (int)t_n(T_LEN(waiters), 8);
        gort_waitgroup_t done = {0};
        gort_chan_t *ch = gort_chan_new(sizeof(long), capacity);
        park_in_order(&done, waiters, n, ch, 0, receive_own_place);
        for (long i = 0; i < n; i++) {
            /* Somebody waits, so none of these has to. */
            CHECK_EQ(gort_chan_try_send(ch, &i), GORT_OK);
            CHECK_EQ(gort_chan_len(ch), 0);
        }
        gort_waitgroup_wait(&done);
        gort_chan_release(ch);
    }
}

static void a_full_buffer_with_parked_senders_keeps_order(void) {
    for (long capacity = 0; capacity < 6; capacity += 3) {
        struct waiter waiters[16];
        int n = (int)t_n(T_LEN(waiters), 8);
        gort_waitgroup_t done = {0};
        gort_chan_t *ch = gort_chan_new(sizeof(long), (size_t)capacity);
        for (long i = 0; i < capacity; i++)
            CHECK_EQ(gort_chan_try_send(ch, &i), GORT_OK);
        CHECK_EQ(gort_chan_try_send(ch, &capacity), GORT_EAGAIN);
        park_in_order(&done, waiters, n, ch, capacity, send_own_place);
        for (long i = 0; i < capacity + n; i++) {
            long got = -1;
            /* While senders wait, the buffer stays full: the first of them takes the place that is freed. */
            CHECK_EQ(gort_chan_len(ch), i < n ? capacity : capacity + n - i);
            CHECK_EQ(gort_chan_try_recv(ch, &got), GORT_OK);
            CHECK_EQ(got, i);
        }
        gort_waitgroup_wait(&done);
        CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_EAGAIN);
        gort_chan_release(ch);
    }
}

static void a_value_handed_to_a_waiting_receiver_cannot_be_taken_by_another(void) {
    for (long i = 0; i < t_n(100, 20); i++) {
        gort_waitgroup_t done = {0};
        gort_chan_t *ch = gort_chan_new(sizeof(long), (size_t)(i % 2));
        struct waiter w = {ch, i};
        long thief = -1;
        t_go(&done, receive_own_place, &w);
        t_quiet();
        CHECK_EQ(gort_chan_try_send(ch, &i), GORT_OK);
        CHECK_EQ(gort_chan_try_recv(ch, &thief), GORT_EAGAIN);
        CHECK_EQ(thief, -1);
        gort_waitgroup_wait(&done);
        gort_chan_release(ch);
    }
}

/* ---- while others send as well ---- */

struct sender {
    gort_chan_t *ch;
    uint32_t who, count;
};

static void send_numbered(void *arg) {
    struct sender *s = arg;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t value = (uint64_t)s->who << 32 | i;
        CHECK_EQ(gort_chan_send(s->ch, &value), GORT_OK);
    }
}

static void each_sender_of_many_is_fifo_for_the_one_receiver(void) {
    enum { SENDERS = 8 };
    for (size_t capacity = 0; capacity < 20; capacity += 6) {
        struct sender senders[SENDERS];
        uint32_t next[SENDERS] = {0}, count = (uint32_t)t_n(2000, 300);
        gort_waitgroup_t done = {0};
        gort_chan_t *ch = gort_chan_new(sizeof(uint64_t), capacity);
        for (uint32_t i = 0; i < SENDERS; i++) {
            senders[i] = (struct sender){ch, i, count};
            if (i == 0)
                t_go_thread(&done, send_numbered, &senders[i]);
            else
                t_go(&done, send_numbered, &senders[i]);
        }
        for (uint32_t i = 0; i < SENDERS * count; i++) {
            uint64_t value = UINT64_MAX;
            CHECK_EQ(gort_chan_recv(ch, &value), GORT_OK);
            CHECK(value >> 32 < SENDERS);
            CHECK_EQ(value & UINT32_MAX, next[value >> 32]);
            next[value >> 32]++;
        }
        gort_waitgroup_wait(&done);
        gort_chan_release(ch);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(one_producer_and_one_consumer_are_fifo_at_every_capacity);
    RUN_BOTH(a_plain_thread_and_a_goroutine_are_fifo_in_both_directions);
    RUN(parked_receivers_are_served_first_come_first_served);
    RUN(a_full_buffer_with_parked_senders_keeps_order);
    RUN(a_value_handed_to_a_waiting_receiver_cannot_be_taken_by_another);
    RUN_BOTH(each_sender_of_many_is_fifo_for_the_one_receiver);
    return t_end();
}
