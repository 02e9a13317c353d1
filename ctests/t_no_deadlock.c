/* No deadlock is reported while anybody can still go on. Each test is a child process without a thread that is
 * not of the test's making (the watchdog of t.h would be one), which must end well. */
#include "t.h"

static void nap_outside(long ms) {
    struct timespec nap = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&nap, NULL);
}

static int as_main(void *fn) {
    ((void (*)(void))fn)();
    return 77;
}

/* The body of a child that runs `fn` as the main goroutine. */
static void under_main(void (*fn)(void)) { CHECK_EQ(gort_main(as_main, (void *)fn), 77); }

#define UNDER_MAIN(part)                                                                                     \
    static void part(void);                                                                                  \
    static void part##_child(void) { under_main(part); }                                                     \
    static void part(void)

/* ---- somebody will go on ---- */

static void *send_later(void *ch) {
    nap_outside(300);
    gort_chan_send(ch, NULL);
    return NULL;
}

UNDER_MAIN(thread_outside) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    t_thread(send_later, ch);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
}

static void *compute_and_send(void *ch) {
    for (int64_t end = gort_now() + 50 * T_MS; gort_now() < end;)
        ;
    gort_chan_send(ch, NULL);
    return NULL;
}

UNDER_MAIN(thread_computes) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    t_thread(compute_and_send, ch);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
}

static gort_mutex_t held;
static gort_chan_t *is_held;

static void *hold(void *arg) {
    gort_mutex_lock(&held);
    gort_chan_send(is_held, NULL);
    nap_outside(50);
    gort_mutex_unlock(&held);
    return arg;
}

UNDER_MAIN(thread_holds_a_mutex) {
    is_held = gort_chan_new(0, 0);
    t_thread(hold, NULL);
    CHECK_EQ(gort_chan_recv(is_held, NULL), GORT_OK);
    gort_mutex_lock(&held);
}

static void *time_out_and_send(void *ch) {
    gort_chan_t *never = gort_chan_new(0, 0);
    CHECK_EQ(gort_chan_recv_until(never, NULL, gort_now() + 50 * T_MS), GORT_ETIMEDOUT);
    gort_sleep(20 * T_MS);
    gort_chan_send(ch, NULL);
    return NULL;
}

UNDER_MAIN(thread_with_a_deadline) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    t_thread(time_out_and_send, ch);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
}

static void *spawn_later(void *wg) {
    nap_outside(50);
    CHECK_EQ(gort_spawn((gort_fn_t)gort_waitgroup_done, wg), GORT_OK);
    return NULL;
}

UNDER_MAIN(thread_that_spawns) {
    gort_waitgroup_t wg = {0};
    gort_waitgroup_add(&wg, 1);
    t_thread(spawn_later, &wg);
    gort_waitgroup_wait(&wg);
}

static void sleep_and_send(void *ch) {
    gort_sleep(50 * T_MS);
    gort_chan_send(ch, NULL);
}

UNDER_MAIN(goroutine_sleeps) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    CHECK_EQ(gort_spawn(sleep_and_send, ch), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
}

static void nap_and_send(void *ch) {
    nap_outside(50);
    gort_chan_send(ch, NULL);
}

UNDER_MAIN(goroutine_in_a_system_call) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    CHECK_EQ(gort_spawn(nap_and_send, ch), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
}

UNDER_MAIN(goroutine_with_a_deadline) {
    CHECK_EQ(gort_chan_recv_until(gort_chan_new(0, 0), NULL, gort_now() + 50 * T_MS), GORT_ETIMEDOUT);
}

static void send(void *ch) { gort_chan_send(ch, NULL); }

UNDER_MAIN(timer_func) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    gort_timer_t *timer = gort_timer_func(50 * T_MS, send, ch);
    gort_timer_release(timer);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
}

UNDER_MAIN(timer_channel) {
    int64_t tick;
    gort_chan_t *after = gort_after(50 * T_MS);
    CHECK_EQ(gort_chan_recv(after, &tick), GORT_OK);
}

UNDER_MAIN(timer_in_a_select) {
    gort_timer_t *timer = gort_timer_new(50 * T_MS);
    gort_case_t cases[] = {{gort_chan_new(0, 0), NULL, GORT_RECV, 0},
                           {gort_timer_chan(timer), NULL, GORT_RECV, 0},
                           {NULL, NULL, GORT_SEND, 0}};
    CHECK_EQ(gort_select(cases, 3), 1);
}

static void receive_ticks(void *ticker) {
    CHECK_EQ(gort_chan_recv(gort_timer_chan(ticker), NULL), GORT_OK);
    gort_timer_reset(ticker, T_MS);
    CHECK_EQ(gort_chan_recv(gort_timer_chan(ticker), NULL), GORT_OK);
}

UNDER_MAIN(thread_waits_for_a_tick) {
    gort_waitgroup_t done = {0};
    t_go_thread(&done, receive_ticks, gort_ticker_new(50 * T_MS));
    gort_waitgroup_wait(&done);
}

/* Others in the heap before the one that counts, on which nobody waits. */
UNDER_MAIN(timer_behind_others) {
    for (int i = 1; i < 100; i++)
        CHECK(gort_timer_new(i * T_MS) && gort_ticker_new(i * T_MS));
    gort_sleep(110 * T_MS);
}

static void wait_for_both(void) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    CHECK_EQ(gort_spawn(sleep_and_send, ch), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
}

/* Without gort_main nobody looks, also after one has returned. */
static void not_under_gort_main(void) {
    gort_chan_t *never = gort_chan_new(0, 0);
    CHECK_EQ(gort_spawn(send, never), GORT_OK);
    nap_outside(30);
    under_main(wait_for_both);
    CHECK_EQ(gort_spawn(send, never), GORT_OK);
    gort_sleep(30 * T_MS);
    nap_outside(30);
}

/* A thread that waits on a condition variable gives up the mutex that everybody else waits for, last of all. */
static struct {
    gort_mutex_t mutex;
    gort_cond_t cond;
    long turn;
    bool over;
} seesaw;

static void *tip(void *arg) {
    gort_mutex_lock(&seesaw.mutex);
    while (!seesaw.over) {
        seesaw.turn++;
        gort_cond_wait(&seesaw.cond, &seesaw.mutex);
    }
    gort_mutex_unlock(&seesaw.mutex);
    return arg;
}

UNDER_MAIN(waiting_lets_go) {
    pthread_t thread = t_thread(tip, NULL);
    int64_t until = gort_now() + (t_stress() ? 100 : 200) * T_MS;
    gort_mutex_lock(&seesaw.mutex);
    while (!seesaw.over) {
        seesaw.over = gort_now() > until;
        gort_cond_signal(&seesaw.cond);
        gort_mutex_unlock(&seesaw.mutex);
        gort_mutex_lock(&seesaw.mutex);
    }
    gort_mutex_unlock(&seesaw.mutex);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* What a thread of gort's runs last of all: destructors of its data. */
static pthread_key_t key;

static void send_at_thread_end(void *ch) { send_later(ch); }

static void leave_to_the_destructor(void *ch) {
    gort_lock_thread();
    CHECK_EQ(pthread_setspecific(key, ch), 0);
}

UNDER_MAIN(destructor_of_a_locked_thread) {
    CHECK_EQ(pthread_key_create(&key, send_at_thread_end), 0);
    gort_chan_t *ch = gort_chan_new(0, 0);
    CHECK_EQ(gort_spawn(leave_to_the_destructor, ch), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
}

static void whoever_will_go_on_is_waited_for(void) {
    CHILD_EXITS(destructor_of_a_locked_thread_child, 0);
    CHILD_EXITS(thread_outside_child, 0);
    CHILD_EXITS(thread_computes_child, 0);
    CHILD_EXITS(thread_holds_a_mutex_child, 0);
    CHILD_EXITS(thread_with_a_deadline_child, 0);
    CHILD_EXITS(thread_that_spawns_child, 0);
    CHILD_EXITS(goroutine_sleeps_child, 0);
    CHILD_EXITS(goroutine_in_a_system_call_child, 0);
    CHILD_EXITS(goroutine_with_a_deadline_child, 0);
    CHILD_EXITS(waiting_lets_go_child, 0);
}

static void a_timer_that_will_wake_somebody_is_waited_for(void) {
    CHILD_EXITS(timer_func_child, 0);
    CHILD_EXITS(timer_channel_child, 0);
    CHILD_EXITS(timer_in_a_select_child, 0);
    CHILD_EXITS(thread_waits_for_a_tick_child, 0);
    CHILD_EXITS(timer_behind_others_child, 0);
}

static void without_gort_main_nobody_looks(void) { CHILD_EXITS(not_under_gort_main, 0); }

static void end_at_once(void *arg) { (void)arg; }

static int return_at_once(void *arg) {
    (void)arg;
    return 5;
}

/* The workers come to rest, and look, while the thread is on its way into gort_main. */
static void one_gort_main_after_another(void) {
    uint64_t seed = t_seed(7);
    int64_t until = gort_now() + (t_stress() ? 150 : 500) * T_MS;
    for (long i = 0, n = t_n(100000, 10000); i < n && gort_now() < until; i++) {
        CHECK_EQ(gort_spawn(end_at_once, NULL), GORT_OK);
        for (int64_t end = gort_now() + (int64_t)(t_random(&seed) % 50000); gort_now() < end;)
            ;
        CHECK_EQ(gort_main(return_at_once, NULL), 5);
    }
}

static void a_gort_main_that_begins_is_not_at_rest(void) { CHILD_EXITS(one_gort_main_after_another, 0); }

/* ---- the baton: one of many goroutines and threads can go on, at every moment another ---- */

enum { PLAYERS = 12 };

static struct {
    gort_chan_t *to[PLAYERS]; /* the baton: a seed for random numbers */
    gort_chan_t *quiet;
    gort_mutex_t mutex;
    atomic_long passed;
    long n;
    int64_t until;
    bool threads_are_made;
    gort_waitgroup_t done;
} game;

struct pass {
    int player;
    uint64_t baton;
};

static void give(int player, uint64_t baton) { gort_chan_send(game.to[player], &baton); }

static void pass_in_goroutine(void *arg) {
    struct pass *pass = arg;
    give(pass->player, pass->baton);
}

static void pass_and_free(void *arg) {
    pass_in_goroutine(arg);
    free(arg);
}

static void *pass_in_thread(void *arg) {
    pass_and_free(arg);
    return NULL;
}

static struct pass *new_pass(struct pass pass) {
    struct pass *copy = malloc(sizeof *copy);
    CHECK(copy != NULL);
    *copy = pass;
    return copy;
}

/* Whoever has the baton gives it to another, in one of many ways. */
static void pass_on(int self, uint64_t baton) {
    struct pass pass = {(int)(t_random(&baton) % (PLAYERS - 1)), 0};
    pass.player += pass.player >= self;
    unsigned way = (unsigned)(t_random(&baton) % 100);
    pass.baton = baton;
    if (way < 74) {
        give(pass.player, baton);
    } else if (way < 82) {
        CHECK_EQ(gort_spawn_copy(pass_in_goroutine, &pass, sizeof pass), GORT_OK);
    } else if (way < 86) {
        gort_yield();
        give(pass.player, baton);
    } else if (way < 91) {
        gort_mutex_lock(&game.mutex);
        give(pass.player, baton);
        gort_mutex_unlock(&game.mutex);
    } else if (way < 95) {
        gort_sleep((int64_t)(baton % 20000));
        give(pass.player, baton);
    } else if (way < 93) {
        gort_timer_release(gort_timer_func((int64_t)(baton % 20000), pass_and_free, new_pass(pass)));
    } else if (way < 94) {
        gort_chan_t *after = gort_after((int64_t)(baton % 20000));
        CHECK_EQ(gort_chan_recv(after, NULL), GORT_OK);
        gort_chan_release(after);
        give(pass.player, baton);
    } else if (way < 95) {
        CHECK_EQ(gort_chan_recv_until(game.quiet, NULL, gort_now() + (int64_t)(baton % 20000)), GORT_ETIMEDOUT);
        give(pass.player, baton);
    } else if (way < 97 && game.threads_are_made) {
        CHECK_EQ(pthread_detach(t_thread(pass_in_thread, new_pass(pass))), 0);
    } else if (way < 98) {
        gort_max_procs(1 + (int)(baton % 4));
        give(pass.player, baton);
    } else {
        give(pass.player, baton);
    }
}

static void play(void *arg) {
    gort_chan_t *mine = *(gort_chan_t **)arg;
    uint64_t baton;
    for (;;) {
        int status;
        if (arg == &game.to[0] || arg == &game.to[1]) {
            gort_case_t cases[] = {{game.quiet, NULL, GORT_RECV, 0}, {mine, &baton, GORT_RECV, 0}};
            CHECK_EQ(gort_select(cases, 2), 1);
            status = cases[1].status;
        } else {
            status = gort_chan_recv(mine, &baton);
        }
        if (status == GORT_ECLOSED)
            return;
        long passed = atomic_fetch_add(&game.passed, 1) + 1;
        if (passed == game.n || (passed > 100 && passed % 16 == 0 && gort_now() > game.until)) {
            for (int i = 0; i < PLAYERS; i++)
                CHECK_EQ(gort_chan_close(game.to[i]), GORT_OK);
            return;
        }
        pass_on((int)((gort_chan_t **)arg - game.to), baton);
    }
}

static void play_locked(void *arg) {
    gort_lock_thread();
    play(arg);
}

static void play_pinned(void *arg) {
    play(arg);
    gort_waitgroup_done(&game.done);
}

/* `threads` of the players are threads of the test's. */
static void run_game(int threads, bool threads_are_made) {
    game.n = t_n(600000, 60000);
    game.until = gort_now() + (t_stress() ? 200 : 400) * T_MS;
    game.threads_are_made = threads_are_made;
    game.quiet = gort_chan_new(0, 0);
    for (int i = 0; i < PLAYERS; i++)
        CHECK((game.to[i] = gort_chan_new(sizeof(uint64_t), i % 3 == 0)) != NULL);
    gort_spawn_options_t pin = GORT_SPAWN_OPTIONS_INIT;
    pin.flags = GORT_SPAWN_PINNED;
    for (int i = 0; i < PLAYERS; i++) {
        void *to = &game.to[i];
        if (i % 2 == 0 && i / 2 < threads) {
            t_go_thread(&game.done, play, to);
        } else if (i == 9) {
            t_go(&game.done, play_locked, to);
        } else if (i == 11) {
            gort_waitgroup_add(&game.done, 1);
            CHECK_EQ(gort_spawn_with(&pin, play_pinned, to), GORT_OK);
        } else {
            t_go(&game.done, play, to);
        }
    }
    give(0, t_seed(1));
    gort_waitgroup_wait(&game.done);
    if (getenv("GORT_TEST_VERBOSE"))
        fprintf(stderr, "%ld passes\n", atomic_load(&game.passed));
}

UNDER_MAIN(goroutines_only) { run_game(0, false); }
UNDER_MAIN(one_thread) { run_game(1, false); }
UNDER_MAIN(many_threads) { run_game(6, false); }
UNDER_MAIN(threads_come_and_go) { run_game(3, true); }

static void a_baton_among_goroutines_and_threads_is_never_lost_sight_of(void) {
    CHILD_EXITS(goroutines_only_child, 0);
    CHILD_EXITS(one_thread_child, 0);
    CHILD_EXITS(many_threads_child, 0);
    CHILD_EXITS(threads_come_and_go_child, 0);
}

/* ---- a thread takes over from the one that made it, which ends; main sleeps all the while ---- */

static struct {
    gort_chan_t *end;
    long left;
    int64_t until;
} chain;

static void link_goroutine(void *arg);

static void *link_thread(void *arg) {
    if (--chain.left <= 0 || gort_now() > chain.until)
        gort_chan_send(chain.end, NULL);
    else if (chain.left % 3 == 0)
        CHECK_EQ(gort_spawn(link_goroutine, NULL), GORT_OK);
    else
        CHECK_EQ(pthread_detach(t_thread(link_thread, NULL)), 0);
    return arg;
}

static void link_goroutine(void *arg) { link_thread(arg); }

UNDER_MAIN(chain_of_threads) {
    chain.left = t_n(20000, 3000);
    chain.until = gort_now() + (t_stress() ? 150 : 300) * T_MS;
    chain.end = gort_chan_new(0, 0);
    link_goroutine(NULL);
    CHECK_EQ(gort_chan_recv(chain.end, NULL), GORT_OK);
}

static void threads_that_take_over_from_threads_are_seen(void) { CHILD_EXITS(chain_of_threads_child, 0); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(thread_outside_child);
    T_CHILD(thread_computes_child);
    T_CHILD(thread_holds_a_mutex_child);
    T_CHILD(thread_with_a_deadline_child);
    T_CHILD(thread_that_spawns_child);
    T_CHILD(goroutine_sleeps_child);
    T_CHILD(goroutine_in_a_system_call_child);
    T_CHILD(goroutine_with_a_deadline_child);
    T_CHILD(timer_func_child);
    T_CHILD(timer_channel_child);
    T_CHILD(timer_in_a_select_child);
    T_CHILD(thread_waits_for_a_tick_child);
    T_CHILD(timer_behind_others_child);
    T_CHILD(not_under_gort_main);
    T_CHILD(destructor_of_a_locked_thread_child);
    T_CHILD(one_gort_main_after_another);
    T_CHILD(waiting_lets_go_child);
    T_CHILD(goroutines_only_child);
    T_CHILD(one_thread_child);
    T_CHILD(many_threads_child);
    T_CHILD(threads_come_and_go_child);
    T_CHILD(chain_of_threads_child);
    RUN(whoever_will_go_on_is_waited_for);
    RUN(a_timer_that_will_wake_somebody_is_waited_for);
    RUN(without_gort_main_nobody_looks);
    RUN(a_gort_main_that_begins_is_not_at_rest);
    RUN(a_baton_among_goroutines_and_threads_is_never_lost_sight_of);
    RUN(threads_that_take_over_from_threads_are_seen);
    return t_end();
}
