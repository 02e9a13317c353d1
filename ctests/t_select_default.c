/* gort_try_select judges all its cases at one instant: if at every moment some case is ready, it never says
 * GORT_EAGAIN.
 *
 * Tokens lie in buffered channels. A mover adds a token to one channel before it takes one from another, so
 * the tokens that it answers for are never fewer than one. An observer takes a token by try_select and puts
 * it back before it looks again. With as many movers as observers there is a token in some channel whenever
 * an observer looks (the other observers can hold one each), though every single channel is often empty. */
#include "t.h"

enum { CHANNELS = 4, ROOM = 256 };

struct table {
    gort_chan_t *chans[CHANNELS];
    int channels;
    bool room; /* the tokens are free places, and the observers send */
    long looks;
    atomic_int observers_left;
    atomic_ulong moves;
};

static int put(struct table *t, int at) {
    int token = 1;
    return t->room ? gort_chan_try_recv(t->chans[at], &token) : gort_chan_try_send(t->chans[at], &token);
}

static int take(struct table *t, int at) {
    int token = 1;
    return t->room ? gort_chan_try_send(t->chans[at], &token) : gort_chan_try_recv(t->chans[at], &token);
}

static void move_tokens(void *arg) {
    struct table *t = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    long mine = 1; /* tokens this mover has put and not taken again; one lies there from the start */
    unsigned at = 0;
    while (atomic_load(&t->observers_left)) {
        unsigned to = (at + 1 + (unsigned)(t_random(&random) % (unsigned)(t->channels - 1))) % (unsigned)t->channels;
        CHECK_EQ(put(t, (int)to), GORT_OK);
        mine++;
        /* It may lie elsewhere by now, or in an observer's hand: then it is taken next time. */
        for (int i = 0; i < t->channels && mine > 1; i++)
            mine -= take(t, (int)(at + (unsigned)i) % t->channels) == GORT_OK;
        while (mine > 20) {
            gort_yield();
            for (int i = 0; i < t->channels && mine > 1; i++)
                mine -= take(t, i) == GORT_OK;
        }
        at = to;
        if (atomic_fetch_add(&t->moves, 1) % 64 == 0)
            gort_yield();
    }
}

static void observe(void *arg) {
    struct table *t = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    int token = 1;
    for (long i = 0; i < t->looks; i++) {
        gort_case_t cases[CHANNELS];
        unsigned turn = (unsigned)(t_random(&random) % (unsigned)t->channels);
        for (int k = 0; k < t->channels; k++)
            cases[k] = (gort_case_t){t->chans[((unsigned)k + turn) % (unsigned)t->channels], &token,
                                     t->room ? GORT_SEND : GORT_RECV, 0};
        int won = gort_try_select(cases, (size_t)t->channels);
        if (won == GORT_EAGAIN)
            FAIL("the default branch, at look %ld, though a case was ready at every moment", i);
        CHECK(won >= 0 && won < t->channels);
        CHECK_EQ(cases[won].status, GORT_OK);
        CHECK_EQ(put(t, (int)(((unsigned)won + turn) % (unsigned)t->channels)), GORT_OK);
        if (i % 64 == 63)
            gort_yield();
    }
    atomic_fetch_sub(&t->observers_left, 1);
}

static void look(int channels, int movers, int observers, bool threads, bool room) {
    struct table t = {.channels = channels, .room = room, .looks = t_n(50000, 2000), .observers_left = observers};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < channels; i++) {
        t.chans[i] = gort_chan_new(sizeof(int), ROOM);
        /* Places are the tokens: leave none. */
        for (int k = 0; room && k < ROOM; k++)
            CHECK_EQ(gort_chan_send(t.chans[i], &k), GORT_OK);
    }
    for (int i = 0; i < movers; i++)
        CHECK_EQ(put(&t, i % channels), GORT_OK);
    for (int i = 0; i < movers; i++)
        (threads ? t_go_thread : t_go)(&done, move_tokens, &t);
    for (int i = 0; i < observers; i++)
        t_go(&done, observe, &t);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < channels; i++)
        gort_chan_release(t.chans[i]);
}

static void never_the_default_while_some_case_has_a_value(void) {
    look(2, 1, 1, true, false);
    look(2, 1, 1, false, false);
    look(4, 2, 2, true, false);
    look(4, 3, 3, false, false);
}

static void never_the_default_while_some_case_has_room(void) {
    look(2, 1, 1, true, true);
    look(4, 2, 2, true, true);
    look(3, 2, 2, false, true);
}

/* ---- one change a round, from both sides ---- */

struct round {
    gort_chan_t *a, *b;
    bool close;
    atomic_int *arrived;
};

static void meet(atomic_int *arrived) {
    atomic_fetch_add(arrived, 1);
    for (int spins = 0; atomic_load(arrived) < 2; spins++)
        if (spins > 200)
            gort_yield();
}

static void look_once(void *arg) {
    struct round *r = arg;
    gort_case_t cases[] = {{r->a, NULL, GORT_RECV, 0}, {r->b, NULL, GORT_RECV, 0}};
    meet(r->arrived);
    CHECK(gort_try_select(cases, 2) >= 0);
}

static void never_the_default_while_the_second_gets_ready_before_the_first_is_emptied(void) {
    int64_t until;
    for (long i = 0; t_again(i, t_n(20000, 1500), &until); i++) {
        gort_waitgroup_t done = {0};
        atomic_int arrived = 0;
        int token = 1;
        gort_chan_t *first = gort_chan_new(sizeof(int), 1), *second = gort_chan_new(sizeof(int), 1);
        /* The observer names them in one order and in the other. */
        struct round r = {i % 2 ? first : second, i % 2 ? second : first, i % 4 < 2, &arrived};
        CHECK_EQ(gort_chan_send(first, &token), GORT_OK);
        t_go(&done, look_once, &r);
        meet(&arrived);
        CHECK_EQ(r.close ? gort_chan_close(second) : gort_chan_try_send(second, &token), GORT_OK);
        gort_chan_try_recv(first, NULL);
        gort_waitgroup_wait(&done);
        gort_chan_release(first);
        gort_chan_release(second);
    }
}

/* ---- a waiter is ready, too ---- */

struct standing {
    gort_chan_t *a, *b;
    int won;
    long got;
};

static void stand_in_both(void *arg) {
    struct standing *s = arg;
    gort_case_t cases[] = {{s->a, &s->got, GORT_RECV, 0}, {s->b, &s->got, GORT_RECV, 0}};
    s->won = gort_select(cases, 2);
}

static void a_select_that_waits_is_found_by_another_and_served_once(void) {
    for (long round = 0; round < t_n(60, 15); round++) {
        gort_waitgroup_t done = {0};
        struct standing s = {gort_chan_new(sizeof(long), 0), gort_chan_new(sizeof(long), 0), -1, -1};
        long value = round;
        (round % 3 == 2 ? t_go_thread : t_go)(&done, stand_in_both, &s);
        t_quiet();
        gort_case_t cases[] = {{s.b, &value, GORT_SEND, 9}, {s.a, &value, GORT_SEND, 9}, {s.b, &value, GORT_SEND, 9}};
        int won = gort_try_select(cases, 3);
        CHECK(won >= 0 && won < 3);
        CHECK_EQ(cases[won].status, GORT_OK);
        CHECK_EQ(gort_try_select(cases, 3), GORT_EAGAIN);
        gort_waitgroup_wait(&done);
        CHECK_EQ(s.won, won != 1);
        CHECK_EQ(s.got, round);
        gort_chan_release(s.a);
        gort_chan_release(s.b);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(never_the_default_while_some_case_has_a_value);
    RUN_BOTH(never_the_default_while_some_case_has_room);
    RUN_BOTH(never_the_default_while_the_second_gets_ready_before_the_first_is_emptied);
    RUN(a_select_that_waits_is_found_by_another_and_served_once);
    return t_end();
}
