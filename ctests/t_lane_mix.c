/* Lanes, ordinary goroutines and plain threads wait for each other in every way. */
#include "t_lane.h"

enum { WHO = 4 };

/* A goroutine of one of two lanes, an ordinary one, or a plain thread. */
static void go_as(int who, struct t_lane *lanes, gort_waitgroup_t *done, gort_fn_t fn, void *arg) {
    switch (who % WHO) {
    case 0: t_lane_go(&lanes[0], done, fn, arg); break;
    case 1: t_lane_go(&lanes[1], done, fn, arg); break;
    case 2: t_go(done, fn, arg); break;
    default: t_go_thread(done, fn, arg);
    }
}

static void open_two(struct t_lane *lanes, bool strict) {
    t_lane_open(&lanes[0], 1, strict);
    t_lane_open(&lanes[1], 2, strict);
}

static void close_two(struct t_lane *lanes) {
    t_lane_close(&lanes[0]);
    t_lane_close(&lanes[1]);
}

struct pipe {
    gort_chan_t *from, *to;
    long n;
};

static void pass_on(void *arg) {
    struct pipe *p = arg;
    for (long i = 0; i < p->n; i++) {
        long value = -1;
        CHECK_EQ(gort_chan_recv(p->from, &value), GORT_OK);
        CHECK_EQ(value, i);
        value++;
        CHECK_EQ(gort_chan_send(p->to, &value), GORT_OK);
    }
}

static void pass_back(void *arg) {
    struct pipe *p = arg;
    for (long i = 0; i < p->n; i++) {
        CHECK_EQ(gort_chan_send(p->to, &i), GORT_OK);
        long value = -1;
        CHECK_EQ(gort_chan_recv(p->from, &value), GORT_OK);
        CHECK_EQ(value, i + 1);
    }
}

static void values_go_to_and_fro_between_all(void) {
    struct t_lane lanes[2];
    open_two(lanes, true);
    for (size_t capacity = 0; capacity < 2; capacity++) {
        struct pipe pipes[WHO * WHO][2];
        gort_waitgroup_t done = {0};
        for (int i = 0; i < WHO * WHO; i++) {
            gort_chan_t *there = gort_chan_new(sizeof(long), capacity), *back = gort_chan_new(sizeof(long), capacity);
            pipes[i][0] = (struct pipe){there, back, t_n(300, 50)};
            pipes[i][1] = (struct pipe){back, there, t_n(300, 50)};
            go_as(i / WHO, lanes, &done, pass_on, &pipes[i][0]);
            go_as(i % WHO, lanes, &done, pass_back, &pipes[i][1]);
        }
        gort_waitgroup_wait(&done);
        for (int i = 0; i < WHO * WHO; i++) {
            gort_chan_release(pipes[i][0].from);
            gort_chan_release(pipes[i][0].to);
        }
    }
    close_two(lanes);
}

struct market {
    gort_chan_t *a, *b, *stop;
    atomic_long sent, received;
    long n;
};

static void sell(void *arg) {
    struct market *m = arg;
    for (long i = 0; i < m->n; i++) {
        long value = i;
        gort_case_t cases[] = {{m->a, &value, GORT_SEND, 0}, {m->b, &value, GORT_SEND, 0}};
        CHECK(gort_select(cases, 2) >= 0);
        atomic_fetch_add(&m->sent, value + 1);
    }
}

static void buy(void *arg) {
    struct market *m = arg;
    for (;;) {
        long value = -1;
        gort_case_t cases[] = {
            {m->a, &value, GORT_RECV, 0}, {m->b, &value, GORT_RECV, 0}, {m->stop, NULL, GORT_RECV, 0}};
        int chosen = gort_select(cases, 3);
        if (chosen == 2)
            return;
        atomic_fetch_add(&m->received, value + 1);
    }
}

static void all_select_among_the_same_channels(void) {
    struct t_lane lanes[2];
    struct market m = {.n = t_n(500, 80)};
    gort_waitgroup_t sellers = {0}, buyers = {0};
    open_two(lanes, false);
    m.a = gort_chan_new(sizeof(long), 0);
    m.b = gort_chan_new(sizeof(long), 3);
    m.stop = gort_chan_new(0, 0);
    for (int i = 0; i < 2 * WHO; i++) {
        go_as(i, lanes, &buyers, buy, &m);
        go_as(i, lanes, &sellers, sell, &m);
    }
    gort_waitgroup_wait(&sellers);
    EVENTUALLY(gort_chan_len(m.b) == 0);
    CHECK_EQ(gort_chan_close(m.stop), GORT_OK);
    gort_waitgroup_wait(&buyers);
    CHECK_EQ(atomic_load(&m.sent), atomic_load(&m.received));
    gort_chan_release(m.a);
    gort_chan_release(m.b);
    gort_chan_release(m.stop);
    close_two(lanes);
}

struct shared {
    gort_mutex_t mutex;
    gort_cond_t changed;
    gort_sem_t sem;
    long value, n;
    atomic_int inside;
};

static void take_turns(void *arg) {
    struct shared *s = arg;
    for (long i = 0; i < s->n; i++) {
        gort_mutex_lock(&s->mutex);
        CHECK_EQ(atomic_fetch_add(&s->inside, 1), 0);
        long before = s->value;
        if (i % 8 == 0)
            gort_yield();
        s->value = before + 1;
        CHECK_EQ(atomic_fetch_sub(&s->inside, 1), 1);
        gort_mutex_unlock(&s->mutex);
    }
}

static void a_mutex_keeps_all_apart(void) {
    struct t_lane lanes[2];
    struct shared s = {.n = t_n(2000, 200)};
    gort_waitgroup_t done = {0};
    open_two(lanes, false);
    for (int i = 0; i < 2 * WHO; i++)
        go_as(i, lanes, &done, take_turns, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.value, 2 * WHO * s.n);
    close_two(lanes);
}

static void wait_for_my_turn(void *arg) {
    struct shared *s = arg;
    gort_mutex_lock(&s->mutex);
    long mine = s->value++;
    gort_cond_broadcast(&s->changed);
    while (s->n != mine)
        gort_cond_wait(&s->changed, &s->mutex);
    s->n++;
    gort_cond_broadcast(&s->changed);
    gort_mutex_unlock(&s->mutex);
}

static void a_condition_wakes_all(void) {
    struct t_lane lanes[2];
    struct shared s = {0};
    gort_waitgroup_t done = {0};
    open_two(lanes, true);
    for (int i = 0; i < 8 * WHO; i++)
        go_as(i, lanes, &done, wait_for_my_turn, &s);
    gort_waitgroup_wait(&done);
    CHECK_EQ(s.n, 8 * WHO);
    close_two(lanes);
}

static void sleep_and_wait_in_vain(void *arg) {
    gort_chan_t *ch = arg;
    for (int i = 0; i < 10; i++) {
        int64_t until = gort_now() + T_MS / 2;
        CHECK_EQ(gort_chan_recv_until(ch, NULL, until), GORT_ETIMEDOUT);
        CHECK(gort_now() >= until);
        int64_t before = gort_now();
        gort_sleep(T_MS / 4);
        CHECK(gort_now() >= before + T_MS / 4);
    }
}

static void deadlines_hold_for_all(void) {
    struct t_lane lanes[2];
    gort_waitgroup_t done = {0};
    gort_chan_t *ch = gort_chan_new(0, 0);
    open_two(lanes, true);
    for (int i = 0; i < 8 * WHO; i++)
        go_as(i, lanes, &done, sleep_and_wait_in_vain, ch);
    gort_waitgroup_wait(&done);
    gort_chan_release(ch);
    close_two(lanes);
}

static void send_from_timer(void *arg) { CHECK_EQ(gort_chan_send(arg, NULL), GORT_OK); }

static void wait_for_timers(void *arg) {
    (void)arg;
    gort_chan_t *ch = gort_chan_new(0, 0);
    for (int i = 0; i < 5; i++) {
        gort_timer_t *timer = gort_timer_func(T_MS / 10, send_from_timer, ch);
        CHECK(timer != NULL);
        CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
        gort_timer_release(timer);
    }
    gort_chan_release(ch);
}

static void timers_of_all_fire(void) {
    struct t_lane lanes[2];
    gort_waitgroup_t done = {0};
    open_two(lanes, false);
    for (int i = 0; i < 4 * WHO; i++)
        go_as(i, lanes, &done, wait_for_timers, NULL);
    gort_waitgroup_wait(&done);
    close_two(lanes);
}

struct line {
    gort_fd_t *ends[2];
    long n;
};

static void send_bytes(void *arg) {
    struct line *line = arg;
    for (long i = 0; i < line->n; i++) {
        char byte = (char)i;
        CHECK_EQ(gort_fd_write(line->ends[1], &byte, 1), 1);
    }
}

static void take_bytes(void *arg) {
    struct line *line = arg;
    for (long i = 0; i < line->n; i++) {
        char byte;
        CHECK_EQ(gort_fd_read(line->ends[0], &byte, 1), 1);
        CHECK_EQ(byte, (char)i);
    }
}

static void descriptors_serve_all(void) {
    struct t_lane lanes[2];
    struct line lines[WHO * WHO];
    gort_waitgroup_t done = {0};
    open_two(lanes, true);
    for (int i = 0; i < WHO * WHO; i++) {
        int ends[2];
        CHECK_EQ(pipe(ends), 0);
        lines[i].n = t_n(100, 20);
        for (int j = 0; j < 2; j++) {
            lines[i].ends[j] = gort_fd_open(ends[j], NULL);
            CHECK(lines[i].ends[j] != NULL);
        }
        go_as(i / WHO, lanes, &done, take_bytes, &lines[i]);
        go_as(i % WHO, lanes, &done, send_bytes, &lines[i]);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < WHO * WHO; i++)
        for (int j = 0; j < 2; j++)
            gort_fd_release(lines[i].ends[j]);
    close_two(lanes);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(values_go_to_and_fro_between_all);
    RUN_BOTH(all_select_among_the_same_channels);
    RUN_BOTH(a_mutex_keeps_all_apart);
    RUN_BOTH(a_condition_wakes_all);
    RUN_BOTH(deadlines_hold_for_all);
    RUN_BOTH(timers_of_all_fire);
    RUN_BOTH(descriptors_serve_all);
    return t_end();
}
