/* Signals on channels: what is sent to whom, how often, until when; and what becomes of the signal's own effect. */
#include "t.h"

#include <sched.h>

static gort_chan_t *ints(size_t cap) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), cap);
    CHECK(ch != NULL);
    return ch;
}

static void stop_and_release(gort_chan_t *ch) {
    CHECK_EQ(gort_signal_stop(ch), GORT_OK);
    gort_chan_release(ch);
}

static int get(gort_chan_t *ch) {
    int signo = 0;
    CHECK_EQ(gort_chan_recv_until(ch, &signo, gort_now() + T_PATIENCE), GORT_OK);
    return signo;
}

static void send_to_process(int signo) { CHECK_EQ(kill(getpid(), signo), 0); }

static struct sigaction action_of(int signo) {
    struct sigaction now;
    CHECK_EQ(sigaction(signo, NULL, &now), 0);
    return now;
}

static bool is_default(int signo) { return action_of(signo).sa_handler == SIG_DFL; }

/* ---- what is sent ---- */

static atomic_int handled;

static void count(int signo) {
    (void)signo;
    atomic_fetch_add(&handled, 1);
}

static void a_signal_arrives_on_the_channel(void) {
    gort_chan_t *ch = ints(1);
    CHECK_EQ(gort_signal_notify(ch, SIGUSR1), GORT_OK);
    for (int i = 0; i < 20; i++) {
        send_to_process(SIGUSR1);
        CHECK_EQ(get(ch), SIGUSR1);
    }
    stop_and_release(ch);
    CHECK(is_default(SIGUSR1));
}

static void wait_for_signals(void *arg) {
    for (int i = 0; i < 2; i++)
        CHECK_EQ(get(arg), SIGUSR1);
}

static void it_wakes_goroutines_and_threads_that_wait_for_it(void) {
    gort_chan_t *ch = ints(0);
    gort_waitgroup_t done = {0};
    signal(SIGUSR1, count); /* for the last, which may come after stop */
    CHECK_EQ(gort_signal_notify(ch, SIGUSR1), GORT_OK);
    for (int i = 0; i < 2; i++) {
        t_go(&done, wait_for_signals, ch);
        t_go_thread(&done, wait_for_signals, ch);
    }
    /* With capacity 0 those that come while nobody waits are missed. */
    while (gort_waitgroup_wait_until(&done, gort_now() + T_MS / 2) != GORT_OK)
        send_to_process(SIGUSR1);
    stop_and_release(ch);
    CHECK(signal(SIGUSR1, SIG_IGN) == count); /* drops one that is pending */
    signal(SIGUSR1, SIG_DFL);
}

static void several_channels_and_several_signals(void) {
    gort_chan_t *a = ints(8), *b = ints(8);
    int real_time = SIGRTMIN + 3;
    CHECK_EQ(gort_signal_notify(a, SIGUSR1), GORT_OK);
    CHECK_EQ(gort_signal_notify(a, SIGUSR2), GORT_OK);
    CHECK_EQ(gort_signal_notify(a, SIGUSR2), GORT_OK); /* changes nothing */
    CHECK_EQ(gort_signal_notify(b, SIGUSR2), GORT_OK);
    CHECK_EQ(gort_signal_notify(b, real_time), GORT_OK);
    send_to_process(SIGUSR1);
    CHECK_EQ(get(a), SIGUSR1);
    send_to_process(SIGUSR2);
    CHECK_EQ(get(a), SIGUSR2);
    CHECK_EQ(get(b), SIGUSR2);
    send_to_process(real_time);
    CHECK_EQ(get(b), real_time);
    CHECK_EQ(gort_signal_stop(a), GORT_OK);
    CHECK(is_default(SIGUSR1));
    CHECK(!is_default(SIGUSR2));
    send_to_process(SIGUSR2);
    CHECK_EQ(get(b), SIGUSR2);
    CHECK_EQ(gort_chan_len(a), 0);
    CHECK_EQ(gort_signal_stop(b), GORT_OK);
    CHECK_EQ(gort_signal_stop(b), GORT_OK); /* nothing to stop */
    CHECK(is_default(SIGUSR2));
    CHECK(is_default(real_time));
    CHECK_EQ(gort_chan_len(a), 0);
    CHECK_EQ(gort_chan_len(b), 0);
    gort_chan_release(a);
    gort_chan_release(b);
}

static void a_full_channel_misses_it_and_others_do_not(void) {
    gort_chan_t *small = ints(1), *large = ints(100);
    int real_time = SIGRTMIN + 1; /* not merged by the kernel */
    CHECK_EQ(gort_signal_notify(small, real_time), GORT_OK);
    CHECK_EQ(gort_signal_notify(large, real_time), GORT_OK);
    for (int i = 0; i < 60; i++)
        send_to_process(real_time);
    for (int i = 0; i < 60; i++)
        CHECK_EQ(get(large), real_time);
    CHECK_EQ(get(small), real_time);
    CHECK_EQ(gort_chan_try_recv(small, NULL), GORT_EAGAIN);
    stop_and_release(small);
    stop_and_release(large);
}

static void a_closed_channel_misses_it(void) {
    gort_chan_t *closed = ints(4), *open = ints(4);
    CHECK_EQ(gort_signal_notify(closed, SIGUSR1), GORT_OK);
    CHECK_EQ(gort_signal_notify(open, SIGUSR1), GORT_OK);
    CHECK_EQ(gort_chan_close(closed), GORT_OK);
    send_to_process(SIGUSR1);
    CHECK_EQ(get(open), SIGUSR1);
    CHECK_EQ(gort_chan_try_recv(closed, NULL), GORT_ECLOSED);
    stop_and_release(closed);
    stop_and_release(open);
}

static void a_registration_keeps_the_channel(void) {
    gort_chan_t *ch = ints(1);
    CHECK_EQ(gort_signal_notify(ch, SIGUSR1), GORT_OK);
    gort_chan_retain(ch);
    gort_chan_release(ch);
    gort_chan_release(ch); /* all that were ours */
    send_to_process(SIGUSR1);
    CHECK_EQ(get(ch), SIGUSR1);
    gort_chan_retain(ch); /* for the way back */
    stop_and_release(ch);
}

static void channels_are_freed_after_stop(void) {
    size_t before = 0;
    for (int i = 0; i < 3000; i++) {
        gort_chan_t *ch = ints(4096);
        CHECK_EQ(gort_signal_notify(ch, SIGUSR1), GORT_OK);
        CHECK_EQ(gort_signal_notify(ch, SIGUSR2), GORT_OK);
        stop_and_release(ch);
        if (i == 300)
            before = t_rss();
    }
    t_check_growth("notify and stop", before, t_rss(), 5 << 20);
}

/* ---- what is refused ---- */

static void bad_arguments_are_refused(void) {
    static const int refused[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS,
                                  0,       -1,      65,      1000,   32,     33,     INT32_MIN, INT32_MAX};
    gort_chan_t *ch = ints(1), *wide = gort_chan_new(8, 1), *empty = gort_chan_new(0, 1);
    for (size_t i = 0; i < T_LEN(refused); i++)
        CHECK_EQ(gort_signal_notify(ch, refused[i]), GORT_EINVAL);
    CHECK_EQ(gort_signal_notify(NULL, SIGUSR1), GORT_EINVAL);
    CHECK_EQ(gort_signal_notify(wide, SIGUSR1), GORT_EINVAL);
    CHECK_EQ(gort_signal_notify(empty, SIGUSR1), GORT_EINVAL);
    CHECK_EQ(gort_signal_stop(NULL), GORT_EINVAL);
    CHECK_EQ(gort_signal_stop(ch), GORT_OK);
    CHECK(is_default(SIGUSR1));
    gort_chan_release(ch);
    gort_chan_release(wide);
    gort_chan_release(empty);
}

static void every_other_signal_can_be_had(void) {
    gort_chan_t *ch = ints(1);
    struct sigaction before[65] = {0};
    int n = 0;
    for (int signo = 1; signo <= SIGRTMAX; signo++) {
        sigaction(signo, NULL, &before[signo]);
        if (gort_signal_notify(ch, signo) != GORT_OK)
            continue;
        n++;
        send_to_process(signo);
        CHECK_EQ(get(ch), signo);
    }
    CHECK_EQ(n, SIGRTMAX - SIGRTMIN + 1 + 31 - 8);
    stop_and_release(ch);
    for (int signo = 1; signo <= SIGRTMAX; signo++)
        if (signo != 32 && signo != 33)
            CHECK(action_of(signo).sa_handler == before[signo].sa_handler);
}

/* ---- stop ---- */

struct storm {
    atomic_int stop;
    pthread_t target;
    int signo;
};

static void storm(void *arg) {
    struct storm *s = arg;
    while (!atomic_load(&s->stop)) {
        CHECK_EQ(pthread_kill(s->target, s->signo), 0);
        sched_yield();
    }
}

static void wait_until_set(void *arg) {
    struct storm *s = arg;
    s->target = pthread_self();
    s->signo = SIGUSR1;
    atomic_store(&s->stop, 2);
    while (atomic_load(&s->stop) == 2)
        usleep(100);
    while (!atomic_load(&s->stop))
        usleep(1000);
}

static void start_and_stop_in_a_storm(void *arg) {
    (void)arg;
    int64_t until = 0;
    for (long i = 0, n = t_n(300, 40); t_again(i, n, &until); i++) {
        gort_chan_t *ch = ints(10000), *other = ints(1);
        if (i % 2)
            CHECK_EQ(gort_signal_notify(other, SIGUSR1), GORT_OK);
        CHECK_EQ(gort_signal_notify(ch, SIGUSR1), GORT_OK);
        if (i % 3)
            CHECK_EQ(get(ch), SIGUSR1);
        CHECK_EQ(gort_signal_stop(ch), GORT_OK);
        size_t len = gort_chan_len(ch);
        if (i % 2)
            CHECK_EQ(get(other), SIGUSR1); /* others go on */
        int before = atomic_load(&handled);
        EVENTUALLY(atomic_load(&handled) > before + 1);
        CHECK_EQ(gort_chan_len(ch), len);
        gort_chan_release(ch);
        stop_and_release(other);
    }
}

static void when_stop_has_returned_nothing_arrives(void) {
    struct storm s = {0};
    gort_waitgroup_t storming = {0}, done = {0};
    signal(SIGUSR1, count); /* so that it does not end the process afterwards */
    /* From here, since a thread that a goroutine starts has all signals blocked. */
    t_go_thread(&storming, wait_until_set, &s);
    EVENTUALLY(atomic_load(&s.stop) == 2);
    atomic_store(&s.stop, 0);
    t_go_thread(&storming, storm, &s);
    start_and_stop_in_a_storm(NULL);
    t_go(&done, start_and_stop_in_a_storm, NULL);
    gort_waitgroup_wait(&done);
    atomic_store(&s.stop, 1);
    gort_waitgroup_wait(&storming);
    CHECK(signal(SIGUSR1, SIG_DFL) == count);
}

/* A signal that the handler has been told of arrives, though stop comes at once: the thread that is told is the
 * one that stops. */
static void what_came_before_stop_arrives(void) {
    CHECK(!gort_in_goroutine());
    int64_t until = 0;
    for (long i = 0, n = t_n(2000, 300); t_again(i, n, &until); i++) {
        gort_chan_t *ch = ints(2), *other = ints(2);
        CHECK_EQ(gort_signal_notify(ch, SIGUSR1), GORT_OK);
        if (i % 2)
            CHECK_EQ(gort_signal_notify(other, SIGUSR1), GORT_OK);
        CHECK_EQ(raise(SIGUSR1), 0);
        CHECK_EQ(gort_signal_stop(ch), GORT_OK);
        CHECK_EQ(gort_chan_len(ch), 1);
        if (i % 2)
            CHECK_EQ(gort_chan_len(other), 1);
        CHECK_EQ(gort_signal_stop(other), GORT_OK);
        gort_chan_release(ch);
        gort_chan_release(other);
    }
}

/* Each signal goes to the channel or to the handler that was there before, whatever moment it comes at. All are
 * counted: real-time signals are not merged. */
static atomic_long arrived;

static void on_real_time(int signo, siginfo_t *info, void *context) {
    (void)context;
    CHECK_EQ(info->si_signo, signo);
    CHECK_EQ(info->si_code, SI_QUEUE);
    atomic_fetch_add(&handled, 1);
}

static void send_many(void *arg) {
    union sigval value = {0};
    for (long i = 0; i < *(long *)arg; i++)
        while (sigqueue(getpid(), SIGRTMIN + 2, value) != 0)
            usleep(100);
}

static void start_and_stop(void *arg) {
    atomic_int *stop = arg;
    while (!atomic_load(stop)) {
        gort_chan_t *ch = ints(100000);
        CHECK_EQ(gort_signal_notify(ch, SIGRTMIN + 2), GORT_OK);
        if (gort_in_goroutine())
            gort_sleep(T_MS / 20);
        CHECK_EQ(gort_signal_stop(ch), GORT_OK);
        atomic_fetch_add(&arrived, (long)gort_chan_len(ch));
        gort_chan_release(ch);
        gort_yield();
    }
}

static void none_is_lost_while_channels_come_and_go(void) {
    struct sigaction with_info = {.sa_sigaction = on_real_time, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
    CHECK_EQ(sigaction(SIGRTMIN + 2, &with_info, &old), 0);
    atomic_store(&handled, 0);
    atomic_store(&arrived, 0);
    long n = t_n(3000, 500);
    atomic_int stop = 0;
    gort_waitgroup_t sent = {0}, stopped = {0};
    t_go_thread(&sent, send_many, &n);
    t_go(&sent, send_many, &n);
    for (int i = 0; i < 2; i++) {
        t_go(&stopped, start_and_stop, &stop);
        t_go_thread(&stopped, start_and_stop, &stop);
    }
    gort_waitgroup_wait(&sent);
    long all = 2 * n, few = 10;
    for (; atomic_load(&arrived) == 0; all += few) { /* all came while nobody wanted them */
        send_many(&few);
        gort_sleep(T_MS / 5);
    }
    EVENTUALLY(atomic_load(&handled) == all); /* the host's handler gets each, once */
    atomic_store(&stop, 1);
    gort_waitgroup_wait(&stopped);
    CHECK_EQ(atomic_load(&handled), all);
    CHECK(action_of(SIGRTMIN + 2).sa_sigaction == on_real_time);
    CHECK_EQ(sigaction(SIGRTMIN + 2, &old, NULL), 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(a_signal_arrives_on_the_channel);
    RUN_BOTH(it_wakes_goroutines_and_threads_that_wait_for_it);
    RUN_BOTH(several_channels_and_several_signals);
    RUN_BOTH(a_full_channel_misses_it_and_others_do_not);
    RUN_BOTH(a_closed_channel_misses_it);
    RUN_BOTH(a_registration_keeps_the_channel);
    RUN_BOTH(channels_are_freed_after_stop);
    RUN_BOTH(bad_arguments_are_refused);
    RUN_BOTH(every_other_signal_can_be_had);
    RUN(when_stop_has_returned_nothing_arrives);
    RUN(what_came_before_stop_arrives);
    RUN_BOTH(none_is_lost_while_channels_come_and_go);
    return t_end();
}
