/* Selects against selects, against plain operations and against deadlines: every value goes to exactly one. */
#include "t.h"

/* ---- in both orders ---- */

enum { OPS_CASES = 2 };

struct player {
    gort_chan_t *chans[OPS_CASES];
    int ops[OPS_CASES];
    long rounds;
    long sum_sent, sum_received, count_sent, count_received;
};

static void play(void *arg) {
    struct player *p = arg;
    uint64_t random = t_seed((uintptr_t)p);
    for (long i = 0; i < p->rounds; i++) {
        long elems[OPS_CASES];
        gort_case_t cases[OPS_CASES];
        for (int k = 0; k < OPS_CASES; k++) {
            elems[k] = p->ops[k] == GORT_SEND ? (long)(t_random(&random) >> 40) : -1;
            cases[k] = (gort_case_t){p->chans[k], &elems[k], p->ops[k], 99};
        }
        int won = gort_select(cases, OPS_CASES);
        CHECK(won >= 0 && won < OPS_CASES);
        CHECK_EQ(cases[won].status, GORT_OK);
        for (int k = 0; k < OPS_CASES; k++) {
            if (p->ops[k] == GORT_RECV)
                CHECK(k == won ? elems[k] >= 0 : elems[k] == -1);
        }
        *(p->ops[won] == GORT_SEND ? &p->sum_sent : &p->sum_received) += elems[won];
        *(p->ops[won] == GORT_SEND ? &p->count_sent : &p->count_received) += 1;
    }
}

/* Both players of a pair do the same number of rounds, and each commit of the one is a commit of the other. */
static void play_pair(struct player one, struct player other, bool thread) {
    gort_waitgroup_t done = {0};
    t_go(&done, play, &one);
    (thread ? t_go_thread : t_go)(&done, play, &other);
    gort_waitgroup_wait(&done);
    CHECK_EQ(one.count_sent, other.count_received);
    CHECK_EQ(one.count_received, other.count_sent);
    CHECK_EQ(one.sum_sent, other.sum_received);
    CHECK_EQ(one.sum_received, other.sum_sent);
}

static void selects_meet_selects_whatever_order_they_name_the_channels_in(void) {
    gort_chan_t *a = gort_chan_new(sizeof(long), 0), *b = gort_chan_new(sizeof(long), 0);
    for (int thread = 0; thread < 2; thread++) {
        long rounds = thread ? t_n(2000, 300) : t_n(10000, 1000);
        const int S = GORT_SEND, R = GORT_RECV;
        /* the same order, the other order; senders against receivers, and each with both */
        play_pair((struct player){{a, b}, {S, S}, rounds, 0, 0, 0, 0},
                  (struct player){{a, b}, {R, R}, rounds, 0, 0, 0, 0}, thread);
        play_pair((struct player){{a, b}, {S, S}, rounds, 0, 0, 0, 0},
                  (struct player){{b, a}, {R, R}, rounds, 0, 0, 0, 0}, thread);
        play_pair((struct player){{a, b}, {S, R}, rounds, 0, 0, 0, 0},
                  (struct player){{a, b}, {R, S}, rounds, 0, 0, 0, 0}, thread);
        play_pair((struct player){{a, b}, {S, R}, rounds, 0, 0, 0, 0},
                  (struct player){{b, a}, {S, R}, rounds, 0, 0, 0, 0}, thread);
        play_pair((struct player){{a, a}, {S, R}, rounds, 0, 0, 0, 0},
                  (struct player){{a, a}, {R, S}, rounds, 0, 0, 0, 0}, thread);
    }
    gort_chan_release(a);
    gort_chan_release(b);
}

/* ---- ten goroutines over four channels ---- */

enum { CHANNELS = 4 };

struct arena {
    gort_chan_t *chans[CHANNELS];
    long each;
    atomic_long sent[CHANNELS], received[CHANNELS], sum_sent, sum_received;
    atomic_int next;
};

static void send_on_one(void *arg) {
    struct arena *a = arg;
    int at = atomic_fetch_add(&a->next, 1) % CHANNELS;
    for (long i = 0; i < a->each; i++) {
        long value = i * CHANNELS + at;
        CHECK_EQ(gort_chan_send(a->chans[at], &value), GORT_OK);
        atomic_fetch_add(&a->sent[at], 1);
        atomic_fetch_add(&a->sum_sent, value);
    }
}

static void receive_on_one(void *arg) {
    struct arena *a = arg;
    int at = atomic_fetch_add(&a->next, 1) % CHANNELS;
    for (long i = 0; i < a->each; i++) {
        long value = -1;
        CHECK_EQ(gort_chan_recv(a->chans[at], &value), GORT_OK);
        CHECK_EQ(value % CHANNELS, at);
        atomic_fetch_add(&a->received[at], 1);
        atomic_fetch_add(&a->sum_received, value);
    }
}

/* A quarter of its operations on each channel; a channel that has had its share is NULL from then on. */
static void select_shares(struct arena *a, int op) {
    long left[CHANNELS], elems[CHANNELS];
    gort_case_t cases[CHANNELS];
    for (int k = 0; k < CHANNELS; k++) {
        left[k] = a->each / CHANNELS;
        cases[k] = (gort_case_t){a->chans[k], &elems[k], op, 99};
    }
    for (long i = 0; i < a->each / CHANNELS * CHANNELS; i++) {
        for (int k = 0; k < CHANNELS; k++)
            elems[k] = op == GORT_SEND ? i * CHANNELS + k : -1;
        int won = gort_select(cases, CHANNELS);
        CHECK(won >= 0 && won < CHANNELS && left[won] > 0);
        CHECK_EQ(cases[won].status, GORT_OK);
        CHECK_EQ(elems[won] % CHANNELS, won);
        for (int k = 0; k < CHANNELS; k++)
            CHECK(k == won || elems[k] == (op == GORT_SEND ? i * CHANNELS + k : -1));
        atomic_fetch_add(op == GORT_SEND ? &a->sent[won] : &a->received[won], 1);
        atomic_fetch_add(op == GORT_SEND ? &a->sum_sent : &a->sum_received, elems[won]);
        if (--left[won] == 0)
            cases[won].chan = NULL;
    }
}

static void select_to_send(void *arg) { select_shares(arg, GORT_SEND); }
static void select_to_receive(void *arg) { select_shares(arg, GORT_RECV); }

static void ten_goroutines_over_four_channels_conserve_every_value(void) {
    struct arena a = {.each = t_n(30000, 3000)};
    gort_waitgroup_t done = {0};
    for (int k = 0; k < CHANNELS; k++)
        a.chans[k] = gort_chan_new(sizeof(long), k < 2 ? 0 : (size_t)k);
    for (int k = 0; k < CHANNELS; k++)
        t_go(&done, send_on_one, &a);
    for (int k = 0; k < CHANNELS; k++)
        t_go(&done, receive_on_one, &a);
    t_go(&done, select_to_send, &a);
    t_go(&done, select_to_receive, &a);
    gort_waitgroup_wait(&done);
    for (int k = 0; k < CHANNELS; k++) {
        CHECK_EQ(atomic_load(&a.sent[k]), atomic_load(&a.received[k]));
        CHECK_EQ(atomic_load(&a.sent[k]), a.each + a.each / CHANNELS);
        CHECK_EQ(gort_chan_len(a.chans[k]), 0);
        gort_chan_release(a.chans[k]);
    }
    CHECK_EQ(atomic_load(&a.sum_sent), atomic_load(&a.sum_received));
}

/* Both directions of all four: each is its partner's competitor, and its own neighbour in every queue. */
static void select_everything(void *arg) {
    struct arena *a = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < a->each; i++) {
        long out = (long)(t_random(&random) >> 40), in[CHANNELS] = {-1, -1, -1, -1};
        gort_case_t cases[2 * CHANNELS];
        for (int k = 0; k < CHANNELS; k++) {
            cases[2 * k] = (gort_case_t){a->chans[k], &out, GORT_SEND, 99};
            cases[2 * k + 1] = (gort_case_t){a->chans[(k + (int)(i % CHANNELS)) % CHANNELS], &in[k], GORT_RECV, 99};
        }
        int won = gort_select(cases, T_LEN(cases));
        CHECK(won >= 0 && won < (int)T_LEN(cases));
        CHECK_EQ(cases[won].status, GORT_OK);
        for (int k = 0; k < CHANNELS; k++)
            CHECK(won == 2 * k + 1 ? in[k] >= 0 : in[k] == -1);
        atomic_fetch_add(won % 2 ? &a->received[0] : &a->sent[0], 1);
        atomic_fetch_add(won % 2 ? &a->sum_received : &a->sum_sent, won % 2 ? in[won / 2] : out);
    }
}

static void ten_goroutines_in_both_directions_at_once_conserve_every_value(void) {
    struct arena a = {.each = t_n(30000, 3000)};
    gort_waitgroup_t done = {0};
    long left = 0, sum_left = 0;
    /* The buffered ones let the last goroutine end without a partner. */
    for (int k = 0; k < CHANNELS; k++)
        a.chans[k] = gort_chan_new(sizeof(long), (size_t)k);
    for (int i = 0; i < 9; i++)
        t_go(&done, select_everything, &a);
    t_go_thread(&done, select_everything, &a);
    gort_waitgroup_wait(&done);
    for (int k = 0; k < CHANNELS; k++) {
        for (long value; gort_chan_try_recv(a.chans[k], &value) == GORT_OK; left++)
            sum_left += value;
        gort_chan_release(a.chans[k]);
    }
    CHECK_EQ(atomic_load(&a.sent[0]), atomic_load(&a.received[0]) + left);
    CHECK_EQ(atomic_load(&a.sum_sent), atomic_load(&a.sum_received) + sum_left);
}

/* ---- one value, many who want it ---- */

struct contest {
    gort_chan_t *chans[CHANNELS];
    atomic_int winners;
    long prize;
};

static void contend(void *arg) {
    struct contest *c = arg;
    gort_case_t cases[CHANNELS + 1];
    long got = -1;
    for (int k = 0; k < CHANNELS; k++)
        cases[k] = (gort_case_t){c->chans[k], &got, GORT_RECV, 99};
    /* The last channel is closed when the contest is over. */
    int won = gort_select(cases, CHANNELS);
    CHECK(won >= 0 && won < CHANNELS);
    if (won < CHANNELS - 1) {
        CHECK_EQ(got, c->prize);
        atomic_fetch_add(&c->winners, 1);
    } else {
        CHECK_EQ(cases[won].status, GORT_ECLOSED);
    }
}

static void a_value_sent_to_many_selects_goes_to_one(void) {
    for (long round = 0; round < t_n(2000, 300); round++) {
        gort_waitgroup_t done = {0};
        struct contest c = {.winners = 0, .prize = round};
        for (int k = 0; k < CHANNELS; k++)
            c.chans[k] = gort_chan_new(sizeof(long), 0);
        for (int i = 0; i < 6; i++)
            t_go(&done, contend, &c);
        for (int k = 0; k < CHANNELS - 1; k++)
            CHECK_EQ(gort_chan_send(c.chans[k], &round), GORT_OK);
        CHECK_EQ(gort_chan_close(c.chans[CHANNELS - 1]), GORT_OK);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&c.winners), CHANNELS - 1);
        for (int k = 0; k < CHANNELS; k++)
            gort_chan_release(c.chans[k]);
    }
}

/* ---- against deadlines ---- */

struct storm {
    gort_chan_t *chans[CHANNELS];
    long attempts;
    atomic_int stop;
    atomic_long sent, received, sum_sent, sum_received;
};

static int64_t soon(uint64_t *random) { return gort_now() + (int64_t)(t_random(random) % 150000); }

static void select_send_until(void *arg) {
    struct storm *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    for (long i = 0; i < s->attempts; i++) {
        long value = (long)(t_random(&random) >> 40);
        gort_case_t cases[CHANNELS];
        for (int k = 0; k < CHANNELS; k++)
            cases[k] = (gort_case_t){s->chans[k], &value, GORT_SEND, 99};
        int64_t deadline = soon(&random);
        int won = gort_select_until(cases, 1 + t_random(&random) % CHANNELS, deadline);
        if (won >= 0) {
            CHECK_EQ(cases[won].status, GORT_OK);
            atomic_fetch_add(&s->sent, 1);
            atomic_fetch_add(&s->sum_sent, value);
        } else {
            CHECK_EQ(won, GORT_ETIMEDOUT);
            CHECK(gort_now() >= deadline);
        }
        if (t_random(&random) % 4 == 0)
            gort_sleep((int64_t)(t_random(&random) % 100000));
    }
}

static void select_receive_until(void *arg) {
    struct storm *s = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    while (!atomic_load(&s->stop)) {
        long got[CHANNELS] = {-1, -1, -1, -1};
        gort_case_t cases[CHANNELS];
        for (int k = 0; k < CHANNELS; k++)
            cases[k] = (gort_case_t){s->chans[CHANNELS - 1 - k], &got[k], GORT_RECV, 99};
        int64_t deadline = soon(&random);
        int won = gort_select_until(cases, CHANNELS, deadline);
        for (int k = 0; k < CHANNELS; k++)
            CHECK(k == won ? got[k] >= 0 : got[k] == -1);
        if (won >= 0) {
            CHECK_EQ(cases[won].status, GORT_OK);
            atomic_fetch_add(&s->received, 1);
            atomic_fetch_add(&s->sum_received, got[won]);
        } else {
            CHECK_EQ(won, GORT_ETIMEDOUT);
            CHECK(gort_now() >= deadline);
        }
        if (t_random(&random) % 4 == 0)
            gort_sleep((int64_t)(t_random(&random) % 100000));
    }
}

static void a_deadline_that_races_with_a_partner_neither_loses_nor_doubles_a_value(void) {
    struct storm s = {.attempts = t_n(4000, 500)};
    gort_waitgroup_t senders = {0}, receivers = {0};
    for (int k = 0; k < CHANNELS; k++)
        s.chans[k] = gort_chan_new(sizeof(long), k == CHANNELS - 1 ? 2 : 0);
    for (int i = 0; i < 4; i++) {
        t_go(&senders, select_send_until, &s);
        t_go(&receivers, select_receive_until, &s);
    }
    t_go_thread(&senders, select_send_until, &s);
    t_go_thread(&receivers, select_receive_until, &s);
    gort_waitgroup_wait(&senders);
    atomic_store(&s.stop, 1);
    gort_waitgroup_wait(&receivers);
    for (int k = 0; k < CHANNELS; k++) {
        for (long value; gort_chan_try_recv(s.chans[k], &value) == GORT_OK;) {
            atomic_fetch_add(&s.received, 1);
            atomic_fetch_add(&s.sum_received, value);
        }
        gort_chan_release(s.chans[k]);
    }
    CHECK_EQ(atomic_load(&s.sent), atomic_load(&s.received));
    CHECK_EQ(atomic_load(&s.sum_sent), atomic_load(&s.sum_received));
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(selects_meet_selects_whatever_order_they_name_the_channels_in);
    RUN(ten_goroutines_over_four_channels_conserve_every_value);
    RUN(ten_goroutines_in_both_directions_at_once_conserve_every_value);
    RUN_BOTH(a_value_sent_to_many_selects_goes_to_one);
    RUN_BOTH(a_deadline_that_races_with_a_partner_neither_loses_nor_doubles_a_value);
    return t_end();
}
