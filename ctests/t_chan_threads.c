/* Goroutines and plain OS threads on the same channels; and the lifetime rule of a channel. */
#include "t.h"

struct exchange {
    gort_chan_t *ch;
    uint32_t per_sender;
    uint32_t senders;
    atomic_uint next_sender;
    _Atomic unsigned char *seen; /* how often each value has arrived */
};

static void send_share(void *arg) {
    struct exchange *x = arg;
    uint32_t first = atomic_fetch_add(&x->next_sender, 1) * x->per_sender;
    for (uint32_t i = 0; i < x->per_sender; i++) {
        uint32_t value = first + i;
        CHECK_EQ(gort_chan_send(x->ch, &value), GORT_OK);
    }
}

static void receive_all(void *arg) {
    struct exchange *x = arg;
    uint32_t value = UINT32_MAX;
    while (gort_chan_recv(x->ch, &value) == GORT_OK) {
        CHECK(value < x->senders * x->per_sender);
        CHECK_EQ(atomic_fetch_add(&x->seen[value], 1), 0);
        value = UINT32_MAX;
    }
    CHECK_EQ(value, 0);
}

static void exchange(size_t capacity, uint32_t goroutines, uint32_t threads, uint32_t per_sender) {
    gort_waitgroup_t sent = {0}, received = {0};
    struct exchange x = {.ch = gort_chan_new(sizeof(uint32_t), capacity),
                         .per_sender = per_sender,
                         .senders = goroutines + threads};
    x.seen = calloc(x.senders * per_sender, 1);
    CHECK(x.ch && x.seen);
    for (uint32_t i = 0; i < goroutines; i++) {
        t_go(&sent, send_share, &x);
        t_go(&received, receive_all, &x);
    }
    for (uint32_t i = 0; i < threads; i++) {
        t_go_thread(&sent, send_share, &x);
        t_go_thread(&received, receive_all, &x);
    }
    gort_waitgroup_wait(&sent);
    CHECK_EQ(gort_chan_close(x.ch), GORT_OK);
    gort_waitgroup_wait(&received);
    for (uint32_t i = 0; i < x.senders * per_sender; i++)
        CHECK_EQ(atomic_load(&x.seen[i]), 1);
    gort_chan_release(x.ch);
    free((void *)x.seen);
}

static void four_producers_and_consumers_and_two_threads_deliver_the_exact_multiset(void) {
    static const size_t capacities[] = {0, 1, 2, 10, 128};
    for (size_t i = 0; i < T_LEN(capacities); i++)
        exchange(capacities[i], 4, 1, (uint32_t)t_n(8000, 800));
}

static void threads_alone_deliver_the_exact_multiset(void) {
    exchange(0, 0, 3, (uint32_t)t_n(4000, 500));
    exchange(5, 0, 3, (uint32_t)t_n(4000, 500));
}

static void hundreds_of_producers_and_consumers_deliver_the_exact_multiset(void) {
    exchange(0, 300, 2, (uint32_t)t_n(100, 10));
    exchange(50, 300, 2, (uint32_t)t_n(100, 10));
}

/* ---- ping-pong: one value, many parks ---- */

struct pair {
    gort_chan_t *there, *back;
    long rounds;
};

static void echo(void *arg) {
    struct pair *p = arg;
    for (long i = 0; i < p->rounds; i++) {
        long value = -1;
        CHECK_EQ(gort_chan_recv(p->there, &value), GORT_OK);
        CHECK_EQ(value, i);
        CHECK_EQ(gort_chan_send(p->back, &value), GORT_OK);
    }
}

static void ping_pong(bool thread) {
    gort_waitgroup_t done = {0};
    struct pair p = {gort_chan_new(sizeof(long), 0), gort_chan_new(sizeof(long), 0), t_n(3000, 500)};
    (thread ? t_go_thread : t_go)(&done, echo, &p);
    for (long i = 0; i < p.rounds; i++) {
        long value = -1;
        CHECK_EQ(gort_chan_send(p.there, &i), GORT_OK);
        CHECK_EQ(gort_chan_recv(p.back, &value), GORT_OK);
        CHECK_EQ(value, i);
    }
    gort_waitgroup_wait(&done);
    gort_chan_release(p.there);
    gort_chan_release(p.back);
}

static void a_value_goes_there_and_back(void) {
    ping_pong(false);
    ping_pong(true);
}

/* ---- lifetime: who has seen the effect may release the last reference ---- */

struct single {
    gort_chan_t *ch;
    int close;
};

static void send_one(void *arg) {
    struct single s = *(struct single *)arg;
    long value = 7;
    free(arg);
    if (s.close)
        CHECK_EQ(gort_chan_close(s.ch), GORT_OK);
    else
        CHECK_EQ(gort_chan_send(s.ch, &value), GORT_OK);
    /* s.ch may be gone */
}

static void a_receiver_may_release_the_channel_while_the_sender_is_still_in_its_call(void) {
    gort_waitgroup_t done = {0};
    uint64_t random = t_seed(1);
    int64_t until;
    for (long i = 0; t_again(i, t_n(20000, 2000), &until); i++) {
        gort_chan_t *ch = gort_chan_new(sizeof(long), (size_t)(i % 3 == 2));
        struct single *s = malloc(sizeof *s);
        *s = (struct single){ch, i % 5 == 4};
        int expected = s->close ? GORT_ECLOSED : GORT_OK;
        if (i % 32 == 0)
            t_go_thread(&done, send_one, s);
        else
            t_go(&done, send_one, s);
        if (i % 2)
            gort_yield();
        if (i % 7 == 0)
            while (gort_chan_try_recv(ch, NULL) != expected)
                gort_yield();
        else
            CHECK_EQ(gort_chan_recv(ch, NULL), expected);
        gort_chan_release(ch);
        /* Reuse the memory at once: a late touch would hit something else. */
        void *other = malloc(16 + t_random(&random) % 256);
        memset(other, 0xEE, 16);
        free(other);
    }
    gort_waitgroup_wait(&done);
}

static void receive_one(void *arg) {
    CHECK_EQ(gort_chan_recv(arg, NULL), GORT_OK);
    gort_chan_release(arg);
}

static void the_reference_of_each_holder_keeps_the_channel_alive(void) {
    for (long i = 0; i < t_n(2000, 200); i++) {
        gort_waitgroup_t done = {0};
        gort_chan_t *ch = gort_chan_new(sizeof(long), (size_t)(i % 2));
        for (int k = 0; k < 3; k++) {
            CHECK(gort_chan_retain(ch) == ch);
            t_go(&done, receive_one, ch);
        }
        for (long k = 0; k < 3; k++)
            CHECK_EQ(gort_chan_send(ch, &k), GORT_OK);
        gort_chan_release(ch);
        gort_waitgroup_wait(&done);
    }
}

static void released_with_values_inside_it_is_simply_gone(void) {
    for (int i = 0; i < 1000; i++) {
        gort_chan_t *ch = gort_chan_new(sizeof(int), 4);
        for (int k = 0; k < i % 5; k++)
            CHECK_EQ(gort_chan_send(ch, &k), GORT_OK);
        gort_chan_release(ch);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(four_producers_and_consumers_and_two_threads_deliver_the_exact_multiset);
    RUN(threads_alone_deliver_the_exact_multiset);
    RUN_BOTH(hundreds_of_producers_and_consumers_deliver_the_exact_multiset);
    RUN_BOTH(a_value_goes_there_and_back);
    RUN_BOTH(a_receiver_may_release_the_channel_while_the_sender_is_still_in_its_call);
    RUN_BOTH(the_reference_of_each_holder_keeps_the_channel_alive);
    RUN(released_with_values_inside_it_is_simply_gone);
    return t_end();
}
