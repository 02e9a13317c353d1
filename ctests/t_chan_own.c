/* Channels whose elements own something: each element is received once or dropped once, never both. */
#include "t.h"

/* What an element owns: one of these is left with the receiver or with `drop`. */
static atomic_long dropped, dropped_sum;
static int the_data;

static void count_drop(void *elem, void *data) {
    CHECK(data == &the_data);
    long value;
    memcpy(&value, elem, sizeof value);
    atomic_fetch_add(&dropped_sum, value);
    atomic_fetch_add(&dropped, 1);
}

static gort_chan_t *owning(size_t size, size_t cap) {
    gort_chan_options_t opts = GORT_CHAN_OPTIONS_INIT;
    opts.drop = count_drop;
    opts.data = &the_data;
    gort_chan_t *ch = gort_chan_new_with(size, cap, &opts);
    CHECK(ch != NULL);
    atomic_store(&dropped, 0);
    atomic_store(&dropped_sum, 0);
    return ch;
}

static void send(gort_chan_t *ch, long value) { CHECK_EQ(gort_chan_send(ch, &value), GORT_OK); }

#define DROPPED(n, sum) (CHECK_EQ(atomic_load(&dropped), (n)), CHECK_EQ(atomic_load(&dropped_sum), (sum)))

static void what_is_received_is_the_receivers(void) {
    gort_chan_t *ch = owning(sizeof(long), 3);
    for (long i = 1; i <= 3; i++)
        send(ch, i);
    for (long i = 1, got; i <= 3; i++) {
        CHECK_EQ(gort_chan_recv(ch, &got), GORT_OK);
        CHECK_EQ(got, i);
    }
    gort_chan_release(ch);
    DROPPED(0, 0);
}

static void what_is_left_when_the_last_reference_goes_is_dropped(void) {
    for (int closed = 0; closed < 2; closed++) {
        gort_chan_t *ch = owning(sizeof(long), 5);
        long got;
        for (long i = 1; i <= 5; i++)
            send(ch, i);
        /* So that the ring wraps. */
        CHECK_EQ(gort_chan_recv(ch, &got), GORT_OK);
        CHECK_EQ(gort_chan_recv(ch, &got), GORT_OK);
        send(ch, 6);
        if (closed)
            CHECK_EQ(gort_chan_close(ch), GORT_OK);
        gort_chan_retain(ch);
        CHECK_EQ(gort_chan_refs(ch), 2);
        gort_chan_release(ch);
        DROPPED(0, 0);
        gort_chan_release(ch);
        DROPPED(4, 3 + 4 + 5 + 6);
    }
}

static void what_is_received_into_nothing_is_dropped(void) {
    gort_chan_t *ch = owning(sizeof(long), 4);
    for (long i = 1; i <= 4; i++)
        send(ch, i);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
    DROPPED(1, 1);
    CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_OK);
    DROPPED(2, 3);
    CHECK_EQ(gort_chan_recv_until(ch, NULL, 0), GORT_OK);
    DROPPED(3, 6);
    gort_case_t one = {ch, NULL, GORT_RECV, 1};
    CHECK_EQ(gort_select(&one, 1), 0);
    CHECK_EQ(one.status, GORT_OK);
    DROPPED(4, 10);
    CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_EAGAIN);
    CHECK_EQ(gort_chan_recv_until(ch, NULL, 0), GORT_ETIMEDOUT);
    CHECK_EQ(gort_try_select(&one, 1), GORT_EAGAIN);
    CHECK_EQ(gort_select_until(&one, 1, gort_now() + T_MS), GORT_ETIMEDOUT);
    CHECK_EQ(gort_chan_close(ch), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_ECLOSED);
    CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_ECLOSED);
    CHECK_EQ(gort_select(&one, 1), 0);
    CHECK_EQ(one.status, GORT_ECLOSED);
    DROPPED(4, 10);
    gort_chan_release(ch);
    DROPPED(4, 10);
}

static void a_select_drops_for_the_case_it_chose_alone(void) {
    gort_chan_t *ch = owning(sizeof(long), 1), *plain = gort_chan_new(sizeof(long), 1);
    gort_chan_t *large = owning(1000, 1);
    long got = 77, elem[125] = {5};
    gort_case_t cases[] = {
        {ch, NULL, GORT_RECV, 9}, {plain, &got, GORT_RECV, 9}, {NULL, NULL, GORT_RECV, 9}, {large, NULL, GORT_RECV, 9}};
    CHECK_EQ(gort_try_select(cases, 4), GORT_EAGAIN);
    send(plain, 8);
    CHECK_EQ(gort_select(cases, 4), 1);
    CHECK_EQ(got, 8);
    DROPPED(0, 0);
    CHECK_EQ(gort_chan_send(large, elem), GORT_OK);
    CHECK_EQ(gort_select_until(cases, 4, GORT_FOREVER), 3);
    DROPPED(1, 5);
    send(ch, 6);
    CHECK_EQ(gort_try_select(cases, 4), 0);
    DROPPED(2, 11);
    CHECK(cases[0].elem == NULL && cases[3].elem == NULL);
    gort_chan_release(ch);
    gort_chan_release(plain);
    gort_chan_release(large);
    DROPPED(2, 11);
}

struct parked {
    gort_chan_t *ch;
    int how;
    int status;
    gort_waitgroup_t done;
};

static void recv_nothing(void *arg) {
    struct parked *p = arg;
    gort_case_t cases[] = {{p->ch, NULL, GORT_RECV, 9}, {NULL, NULL, GORT_RECV, 9}};
    switch (p->how) {
    case 0: p->status = gort_chan_recv(p->ch, NULL); break;
    case 1: p->status = gort_chan_recv_until(p->ch, NULL, gort_now() + T_PATIENCE); break;
    default:
        CHECK_EQ(gort_select(cases, 2), 0);
        p->status = cases[0].status;
    }
}

static void a_receiver_that_waits_for_nothing_drops_what_it_is_given(void) {
    for (int how = 0; how < 3; how++)
        for (int thread = 0; thread < 2; thread++)
            for (int close = 0; close < 2; close++) {
                struct parked p = {.ch = owning(sizeof(long), (size_t)how), .how = how, .status = 9};
                if (thread)
                    t_go_thread(&p.done, recv_nothing, &p);
                else
                    t_go(&p.done, recv_nothing, &p);
                EVENTUALLY(gort_chan_waiters(p.ch) == 1);
                if (close)
                    CHECK_EQ(gort_chan_close(p.ch), GORT_OK);
                else
                    send(p.ch, 3);
                gort_waitgroup_wait(&p.done);
                CHECK_EQ(p.status, close ? GORT_ECLOSED : GORT_OK);
                DROPPED(!close, close ? 0 : 3);
                gort_chan_release(p.ch);
                DROPPED(!close, close ? 0 : 3);
            }
}

static void send_and_say(void *arg) {
    struct parked *p = arg;
    long value = 100;
    p->status = gort_chan_send(p->ch, &value);
}

static void what_is_not_sent_stays_the_senders(void) {
    struct parked p = {.ch = owning(sizeof(long), 1), .how = 0, .status = 9};
    send(p.ch, 1);
    t_go(&p.done, send_and_say, &p);
    EVENTUALLY(gort_chan_waiters(p.ch) == 1);
    long value = 50;
    CHECK_EQ(gort_chan_try_send(p.ch, &value), GORT_EAGAIN);
    CHECK_EQ(gort_chan_send_until(p.ch, &value, gort_now() + T_MS), GORT_ETIMEDOUT);
    CHECK_EQ(gort_chan_close(p.ch), GORT_OK);
    gort_waitgroup_wait(&p.done);
    CHECK_EQ(p.status, GORT_ECLOSED);
    CHECK_EQ(gort_chan_send(p.ch, &value), GORT_ECLOSED);
    DROPPED(0, 0);
    gort_chan_release(p.ch);
    DROPPED(1, 1);
}

static int visit_sum(void *elem, void *arg) {
    long value;
    memcpy(&value, elem, sizeof value);
    *(long *)arg = *(long *)arg * 10 + value;
    return value == 9 ? 42 : 0;
}

static void a_visit_sees_what_is_in_the_buffer_in_order(void) {
    gort_chan_t *ch = owning(sizeof(long), 4);
    long seen = 0, got;
    CHECK_EQ(gort_chan_visit(ch, visit_sum, &seen), 0);
    CHECK_EQ(seen, 0);
    for (long i = 1; i <= 4; i++)
        send(ch, i);
    CHECK_EQ(gort_chan_recv(ch, &got), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, &got), GORT_OK);
    send(ch, 9);
    send(ch, 5);
    CHECK_EQ(gort_chan_visit(ch, visit_sum, &seen), 42);
    CHECK_EQ(seen, 349);
    CHECK_EQ(gort_chan_len(ch), 4);
    DROPPED(0, 0);
    CHECK_EQ(gort_chan_clear(ch), 4);
    DROPPED(4, 3 + 4 + 9 + 5);
    seen = 0;
    CHECK_EQ(gort_chan_visit(ch, visit_sum, &seen), 0);
    CHECK_EQ(seen, 0);
    CHECK_EQ(gort_chan_clear(ch), 0);
    gort_chan_release(ch);
    DROPPED(4, 21);

    gort_timer_t *timer = gort_timer_new(0);
    gort_case_t tick = {gort_timer_chan(timer), NULL, GORT_RECV, 0};
    EVENTUALLY(gort_chan_visit(tick.chan, visit_sum, &seen) == 0 && gort_chan_clear(tick.chan) == 0);
    CHECK_EQ(gort_select(&tick, 1), 0);
    gort_timer_release(timer);
    ch = gort_chan_new(sizeof(long), 2);
    send(ch, 1);
    CHECK_EQ(gort_chan_clear(ch), 1);
    CHECK_EQ(gort_chan_clear(NULL), GORT_EINVAL);
    CHECK_EQ(gort_chan_visit(NULL, visit_sum, NULL), GORT_EINVAL);
    CHECK_EQ(gort_chan_visit(ch, NULL, NULL), GORT_EINVAL);
    CHECK_EQ(gort_chan_waiters(NULL), 0);
    CHECK_EQ(gort_chan_refs(NULL), 0);
    gort_chan_release(ch);
}

static void who_waits_to_send_takes_the_places_that_a_clear_makes(void) {
    struct parked p = {.ch = owning(sizeof(long), 2), .how = 0, .status = 9};
    send(p.ch, 1);
    send(p.ch, 2);
    t_go(&p.done, send_and_say, &p);
    EVENTUALLY(gort_chan_waiters(p.ch) == 1);
    CHECK_EQ(gort_chan_clear(p.ch), 2);
    DROPPED(2, 3);
    gort_waitgroup_wait(&p.done);
    CHECK_EQ(p.status, GORT_OK);
    CHECK_EQ(gort_chan_len(p.ch), 1);
    gort_chan_release(p.ch);
    DROPPED(3, 103);
}

/* ---- drop may call gort ---- */

static void drop_chan(void *elem, void *data) {
    gort_chan_t *inner;
    memcpy(&inner, elem, sizeof inner);
    (void)data;
    gort_chan_release(inner);
    atomic_fetch_add(&dropped, 1);
}

static void a_drop_may_release_other_channels(void) {
    gort_chan_options_t opts = {sizeof opts, drop_chan, NULL};
    gort_chan_t *outer = NULL;
    atomic_store(&dropped, 0);
    for (int i = 0; i < 100; i++) {
        gort_chan_t *next = gort_chan_new_with(sizeof outer, 1, &opts);
        if (outer)
            CHECK_EQ(gort_chan_send(next, &outer), GORT_OK);
        outer = next;
    }
    gort_chan_release(outer);
    CHECK_EQ(atomic_load(&dropped), 99);
}

static void count_only(void *elem, void *data) {
    (void)elem, (void)data;
    atomic_fetch_add(&dropped, 1);
}

static void elements_without_bytes_and_large_ones_are_dropped_too(void) {
    size_t sizes[] = {0, 1, 64, 65, 100000};
    static char elem[100000];
    for (size_t i = 0; i < T_LEN(sizes); i++) {
        gort_chan_options_t opts = {sizeof opts, count_only, NULL};
        gort_chan_t *ch = gort_chan_new_with(sizes[i], 5, &opts);
        atomic_store(&dropped, 0);
        for (int k = 0; k < 5; k++)
            CHECK_EQ(gort_chan_send(ch, elem), GORT_OK);
        CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
        CHECK_EQ(atomic_load(&dropped), 1);
        CHECK_EQ(gort_chan_recv(ch, elem), GORT_OK);
        gort_chan_release(ch);
        CHECK_EQ(atomic_load(&dropped), 4);
    }
}

static void bad_options_are_refused(void) {
    struct {
        gort_chan_options_t opts;
        char more[8];
    } longer = {{sizeof longer, NULL, NULL}, {0}};
    gort_chan_t *ch = gort_chan_new_with(8, 1, &longer.opts);
    CHECK(ch != NULL);
    gort_chan_release(ch);
    longer.more[3] = 1;
    CHECK(gort_chan_new_with(8, 1, &longer.opts) == NULL);
    longer.opts.size = 3;
    CHECK(gort_chan_new_with(8, 1, &longer.opts) == NULL);
    gort_chan_options_t opts = {sizeof opts, count_only, NULL};
    CHECK(gort_chan_new_with(SIZE_MAX, 2, &opts) == NULL);
    CHECK(gort_chan_new_with(1, SIZE_MAX - 100, &opts) == NULL);
    ch = gort_chan_new_with(8, 1, NULL);
    CHECK(ch != NULL);
    gort_chan_release(ch);
}

/* ---- everything at once ---- */

static struct {
    gort_chan_t *ch;
    atomic_long sent, sent_sum, received, received_sum;
} all;

static void many_send(void *arg) {
    (void)arg;
    uint64_t random = t_seed((uint64_t)(uintptr_t)&random);
    for (long i = 0, n = t_n(3000, 300); i < n; i++) {
        long value = (long)(t_random(&random) >> 40);
        int status = i % 3   ? gort_chan_send(all.ch, &value)
                     : i % 2 ? gort_chan_try_send(all.ch, &value)
                             : gort_chan_send_until(all.ch, &value, gort_now() + 1000);
        if (status == GORT_OK) {
            atomic_fetch_add(&all.sent, 1);
            atomic_fetch_add(&all.sent_sum, value);
        }
    }
}

static void many_receive(void *arg) {
    uint64_t random = t_seed((uint64_t)(uintptr_t)arg);
    for (;;) {
        long value;
        gort_case_t cases[] = {{all.ch, NULL, GORT_RECV, 9}, {all.ch, &value, GORT_RECV, 9}};
        int status, kept = 0;
        switch (t_random(&random) >> 61) {
        case 0: status = gort_chan_recv(all.ch, NULL); break;
        case 1: status = gort_chan_recv_until(all.ch, NULL, gort_now() + 1000); break;
        case 2: status = gort_chan_try_recv(all.ch, NULL); break;
        case 3: gort_chan_clear(all.ch); continue;
        case 4:
        case 5:
            kept = gort_select(cases, 2);
            status = cases[kept].status;
            break;
        default: status = gort_chan_recv(all.ch, &value), kept = 1;
        }
        if (status == GORT_ECLOSED)
            break;
        if (status == GORT_OK && kept) {
            atomic_fetch_add(&all.received, 1);
            atomic_fetch_add(&all.received_sum, value);
        }
    }
}

static void each_element_is_received_or_dropped_once(void) {
    for (size_t cap = 0; cap < 8; cap = cap * 2 + 1) {
        gort_waitgroup_t senders = {0}, receivers = {0};
        all.ch = owning(sizeof(long), cap);
        atomic_store(&all.sent, 0), atomic_store(&all.sent_sum, 0);
        atomic_store(&all.received, 0), atomic_store(&all.received_sum, 0);
        for (int i = 0; i < 4; i++) {
            (i ? t_go : t_go_thread)(&senders, many_send, NULL);
            (i ? t_go : t_go_thread)(&receivers, many_receive, (void *)(uintptr_t)(i + 1));
        }
        gort_waitgroup_wait(&senders);
        /* What is left at the end is dropped by receivers or with the channel. */
        for (long i = 0; i < (long)cap; i++) {
            if (gort_chan_try_send(all.ch, &i) == GORT_OK) {
                atomic_fetch_add(&all.sent, 1);
                atomic_fetch_add(&all.sent_sum, i);
            }
        }
        CHECK_EQ(gort_chan_close(all.ch), GORT_OK);
        gort_waitgroup_wait(&receivers);
        gort_chan_release(all.ch);
        CHECK_EQ(atomic_load(&dropped) + atomic_load(&all.received), atomic_load(&all.sent));
        CHECK_EQ(atomic_load(&dropped_sum) + atomic_load(&all.received_sum), atomic_load(&all.sent_sum));
    }
}

/* ---- a context's value ---- */

static atomic_int destroyed;
static int value;
static const int key;

static void destroy(void *arg) {
    CHECK(arg == &value);
    atomic_fetch_add(&destroyed, 1);
}

static void the_value_of_a_context_is_destroyed_with_it(void) {
    static int plain;
    atomic_store(&destroyed, 0);
    gort_ctx_t *ctx = gort_ctx_with_value_owned(gort_ctx_background(), &key, &value, destroy);
    gort_ctx_t *below = gort_ctx_with_value(ctx, &plain, &plain), *end = gort_ctx_with_cancel(below);
    CHECK(gort_ctx_value(ctx, &key) == &value && gort_ctx_value(end, &key) == &value);
    CHECK(gort_ctx_value(end, &plain) == &plain && gort_ctx_value(ctx, &plain) == NULL);
    gort_ctx_retain(ctx);
    gort_ctx_release(ctx);
    gort_ctx_release(ctx);
    gort_ctx_release(below);
    gort_ctx_cancel(end);
    CHECK_EQ(atomic_load(&destroyed), 0);
    CHECK(gort_ctx_value(end, &key) == &value);
    gort_ctx_release(end);
    CHECK_EQ(atomic_load(&destroyed), 1);

    /* A done channel that outlives its context keeps the chain above. */
    ctx = gort_ctx_with_value_owned(gort_ctx_background(), &key, &value, destroy);
    end = gort_ctx_with_timeout(ctx, GORT_MINUTE);
    gort_chan_t *done = gort_chan_retain(gort_ctx_done(end));
    gort_ctx_release(end);
    gort_ctx_release(ctx);
    CHECK_EQ(atomic_load(&destroyed), 1);
    gort_chan_release(done);
    CHECK_EQ(atomic_load(&destroyed), 2);

    ctx = gort_ctx_with_value_owned(gort_ctx_background(), &key, &value, NULL);
    CHECK(gort_ctx_value(ctx, &key) == &value);
    gort_ctx_release(ctx);
    CHECK(gort_ctx_with_value_owned(NULL, &key, &value, destroy) == NULL);
    CHECK(gort_ctx_with_value_owned(gort_ctx_background(), NULL, &value, destroy) == NULL);
    CHECK_EQ(atomic_load(&destroyed), 2);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(what_is_received_is_the_receivers);
    RUN_BOTH(what_is_left_when_the_last_reference_goes_is_dropped);
    RUN_BOTH(what_is_received_into_nothing_is_dropped);
    RUN_BOTH(a_select_drops_for_the_case_it_chose_alone);
    RUN_BOTH(a_receiver_that_waits_for_nothing_drops_what_it_is_given);
    RUN_BOTH(what_is_not_sent_stays_the_senders);
    RUN_BOTH(a_visit_sees_what_is_in_the_buffer_in_order);
    RUN_BOTH(who_waits_to_send_takes_the_places_that_a_clear_makes);
    RUN_BOTH(a_drop_may_release_other_channels);
    RUN_BOTH(elements_without_bytes_and_large_ones_are_dropped_too);
    RUN(bad_options_are_refused);
    RUN_BOTH(each_element_is_received_or_dropped_once);
    RUN_BOTH(the_value_of_a_context_is_destroyed_with_it);
    return t_end();
}
