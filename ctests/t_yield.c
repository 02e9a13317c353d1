/* Fairness: gort_yield lets others run, and nobody who keeps workers busy starves the rest.
 *
 * "Busy" means goroutines that yield or hand values over without end, at least two for every worker. Each
 * test ends when the one that could starve has run; if it never does, the watchdog speaks. */
#include "t.h"

/* ---- what yield does ---- */

struct flags {
    atomic_int a, b;
};

static void set_a_when_b(void *arg) {
    struct flags *f = arg;
    while (!atomic_load(&f->b))
        gort_yield();
    atomic_store(&f->a, 1);
}

static void set_b(void *arg) { atomic_store(&((struct flags *)arg)->b, 1); }

static void with_one_worker_yield_lets_the_others_run(void) {
    int before = gort_max_procs(1);
    int64_t until;
    for (long i = 0; t_again(i, t_n(1000, 100), &until); i++) {
        struct flags f = {0, 0};
        gort_waitgroup_t done = {0};
        t_go(&done, set_a_when_b, &f);
        t_go(&done, set_b, &f);
        while (!atomic_load(&f.a))
            gort_yield();
        gort_waitgroup_wait(&done);
    }
    CHECK_EQ(gort_max_procs(before), 1);
}

static void yield_many_times(void *arg) {
    for (long i = 0; i < t_n(20000, 2000); i++)
        gort_yield();
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void any_number_may_yield_at_once(void) {
    atomic_int ended = 0;
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 20; i++)
        t_go(&done, yield_many_times, &ended);
    t_go_thread(&done, yield_many_times, &ended);
    yield_many_times(&ended);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&ended), 22);
}

/* ---- busy ---- */

struct load {
    atomic_int stop;
    gort_waitgroup_t done;
    gort_chan_t *pairs[64][2];
    int n_pairs;
};

struct half {
    struct load *load;
    gort_chan_t *from, *to;
};

static void yield_without_end(void *arg) {
    struct load *l = arg;
    while (!atomic_load(&l->stop))
        gort_yield();
}

static void pass_on_without_end(void *arg) {
    struct half h = *(struct half *)arg;
    int value = 0;
    while (gort_chan_recv(h.from, &value) == GORT_OK && !atomic_load(&h.load->stop) &&
           gort_chan_send(h.to, &value) == GORT_OK) {
    }
    gort_chan_close(h.to);
    gort_waitgroup_done(&h.load->done);
}

static void play(struct load *l, gort_chan_t *from, gort_chan_t *to) {
    struct half h = {l, from, to};
    gort_waitgroup_add(&l->done, 1);
    CHECK_EQ(gort_spawn_copy(pass_on_without_end, &h, sizeof h), GORT_OK);
}

static void keep_busy(struct load *l, bool yield, bool pairs) {
    int n = 2 * gort_max_procs(0);
    memset(l, 0, sizeof *l);
    n = n < (int)T_LEN(l->pairs) ? n : (int)T_LEN(l->pairs);
    for (int i = 0; yield && i < n; i++)
        t_go(&l->done, yield_without_end, l);
    for (int i = 0; pairs && i < n; i++) {
        int ball = i;
        for (int k = 0; k < 2; k++)
            l->pairs[i][k] = gort_chan_new(sizeof(int), 0);
        play(l, l->pairs[i][0], l->pairs[i][1]);
        play(l, l->pairs[i][1], l->pairs[i][0]);
        CHECK_EQ(gort_chan_send(l->pairs[i][0], &ball), GORT_OK);
        l->n_pairs = i + 1;
    }
}

static void end_load(struct load *l) {
    atomic_store(&l->stop, 1);
    gort_waitgroup_wait(&l->done);
    for (int i = 0; i < l->n_pairs; i++)
        for (int k = 0; k < 2; k++)
            gort_chan_release(l->pairs[i][k]);
}

/* ---- who must not starve ---- */

static void sleep_a_little(void *arg) {
    gort_sleep(T_MS);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void wait_in_vain(void *arg) {
    gort_chan_t *nobody = gort_chan_new(sizeof(int), 0);
    gort_case_t cases[] = {{nobody, NULL, GORT_RECV, 0}, {nobody, NULL, GORT_RECV, 0}};
    CHECK_EQ(gort_chan_recv_until(nobody, NULL, gort_now() + T_MS), GORT_ETIMEDOUT);
    CHECK_EQ(gort_select_until(cases, 2, gort_now() + T_MS), GORT_ETIMEDOUT);
    gort_chan_release(nobody);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void spawn_another(void *arg) {
    gort_waitgroup_t done = {0};
    t_go(&done, sleep_a_little, arg);
    gort_waitgroup_wait(&done);
}

static void spawn_from_here(void *arg) { CHECK_EQ(gort_spawn(sleep_a_little, arg), GORT_OK); }

static void echo_once(void *arg) {
    gort_chan_t *ch = arg;
    int value = 0;
    CHECK_EQ(gort_chan_recv(ch, &value), GORT_OK);
    value++;
    CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
}

/* A plain thread's conversation with a goroutine. */
static void talk_to_a_goroutine(void *arg) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
    gort_waitgroup_t done = {0};
    int value = 41;
    t_go(&done, echo_once, ch);
    CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, &value), GORT_OK);
    CHECK_EQ(value, 42);
    gort_waitgroup_wait(&done);
    gort_chan_release(ch);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void run_beside(bool yield, bool pairs) {
    static struct load load;
    for (long round = 0; round < t_n(6, 2); round++) {
        atomic_int ended = 0;
        gort_waitgroup_t done = {0};
        keep_busy(&load, yield, pairs);
        for (int i = 0; i < 4; i++) {
            t_go(&done, sleep_a_little, &ended);
            t_go(&done, wait_in_vain, &ended);
            t_go(&done, spawn_another, &ended);
        }
        t_go_thread(&done, spawn_from_here, &ended);
        t_go_thread(&done, talk_to_a_goroutine, &ended);
        gort_waitgroup_wait(&done);
        EVENTUALLY(atomic_load(&ended) == 14);
        end_load(&load);
    }
}

static void a_yield_loop_starves_neither_sleepers_nor_new_goroutines_nor_other_threads(void) {
    run_beside(true, false);
}

static void a_ping_pong_pair_starves_neither_sleepers_nor_new_goroutines_nor_other_threads(void) {
    run_beside(false, true);
}

static void nor_do_both_together(void) { run_beside(true, true); }

/* ---- and each of the busy ones gets its turn ---- */

struct turns {
    struct load load;
    atomic_long counts[200];
    atomic_int next;
};

static void count_turns(void *arg) {
    struct turns *t = arg;
    int me = atomic_fetch_add(&t->next, 1);
    while (!atomic_load(&t->load.stop)) {
        atomic_fetch_add(&t->counts[me], 1);
        gort_yield();
    }
}

static void everyone_who_yields_gets_its_turn(void) {
    static struct turns t;
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < T_LEN(t.counts); i++)
        t_go(&t.load.done, count_turns, &t);
    for (size_t i = 0; i < T_LEN(t.counts); i++)
        EVENTUALLY(atomic_load(&t.counts[i]) >= 100);
    end_load(&t.load);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(with_one_worker_yield_lets_the_others_run);
    RUN_BOTH(any_number_may_yield_at_once);
    RUN_BOTH(a_yield_loop_starves_neither_sleepers_nor_new_goroutines_nor_other_threads);
    RUN_BOTH(a_ping_pong_pair_starves_neither_sleepers_nor_new_goroutines_nor_other_threads);
    RUN_BOTH(nor_do_both_together);
    RUN_BOTH(everyone_who_yields_gets_its_turn);
    return t_end();
}
