/* SIGQUIT under gort_main: a dump and status 2, whatever the workers do; not if the host wants the signal. */
#include "t.h"

/* Whoever starts the tests may have SIGQUIT ignored, which a program inherits. */
static void by_default(void) { signal(SIGQUIT, SIG_DFL); }

static gort_chan_t *never;
static _Atomic int busy;

static void waits_for_ever(void *arg) {
    (void)arg;
    gort_chan_recv(never, NULL);
}

static void computes(void *arg) {
    (void)arg;
    atomic_fetch_add(&busy, 1);
    for (;;)
        ;
}

static void blocks(void *arg) {
    (void)arg;
    atomic_fetch_add(&busy, 1);
    for (;;)
        pause();
}

static int quits_itself(void *arg) {
    (void)arg;
    never = gort_chan_new(0, 0);
    gort_spawn(waits_for_ever, NULL);
    gort_sleep(T_MS);
    kill(getpid(), SIGQUIT);
    gort_sleep(GORT_FOREVER); /* not asleep for ever: that would be a deadlock, reported before */
    return 0;
}

static void quit(void) {
    by_default();
    gort_main(quits_itself, NULL);
}

static void sigquit_dumps_and_ends_with_status_2(void) {
    const struct t_outcome *o = t_spawn_child("quit");
    t_check_exit("quit", o, 2);
    t_check_says("quit", o, "SIGQUIT: quit\n\ngoroutine ");
    t_check_says("quit", o, "[chan receive]:\n");
    CHECK(strncmp(o->err, "SIGQUIT: quit\n", 14) == 0);
}

/* All workers are kept by goroutines that compute and block. */
static int keeps_all_workers(void *fn) {
    int n = gort_max_procs(0);
    for (int i = 0; i < n; i++)
        gort_spawn((gort_fn_t)fn, NULL);
    /* One of them runs when this goroutine is off its worker. */
    gort_chan_recv(gort_chan_new(0, 0), NULL);
    return 0;
}

static void *quit_when_busy(void *arg) {
    (void)arg;
    while (atomic_load(&busy) < gort_max_procs(0))
        usleep(1000);
    kill(getpid(), SIGQUIT);
    return NULL;
}

static void quit_while_workers_compute(void) {
    by_default();
    t_thread(quit_when_busy, NULL);
    gort_main(keeps_all_workers, (void *)computes);
}

static void quit_while_workers_block(void) {
    by_default();
    t_thread(quit_when_busy, NULL);
    gort_main(keeps_all_workers, (void *)blocks);
}

static void it_works_while_all_workers_compute_or_block(void) {
    gort_max_procs(0);
    CHILD_DIES(quit_while_workers_compute, "SIGQUIT: quit\n\ngoroutine ");
    CHILD_DIES(quit_while_workers_compute, "[running]:");
    CHILD_DIES(quit_while_workers_block, "SIGQUIT: quit\n\ngoroutine ");
}

static void exits(void *arg) { (void)arg; }

static int leaves_by_exit(void *arg) {
    (void)arg;
    never = gort_chan_new(0, 0);
    gort_spawn(waits_for_ever, NULL);
    gort_spawn(exits, NULL);
    gort_exit();
    return 0;
}

static void *quit_soon(void *arg) {
    (void)arg;
    while (gort_num_goroutines() != 1)
        usleep(1000);
    usleep(5000);
    kill(getpid(), SIGQUIT);
    return NULL;
}

static void quit_after_exit(void) {
    by_default();
    t_thread(quit_soon, NULL);
    gort_main(leaves_by_exit, NULL);
}

static void it_works_after_main_has_called_gort_exit(void) {
    CHILD_DIES(quit_after_exit, "SIGQUIT: quit\n\ngoroutine ");
}

/* ---- the host's own ---- */

static _Atomic int handled;

static void handler(int signo) {
    (void)signo;
    atomic_fetch_add(&handled, 1);
}

static int raises(void *arg) {
    kill(getpid(), SIGQUIT);
    if (arg)
        EVENTUALLY(atomic_load(&handled));
    else
        gort_sleep(20 * T_MS);
    return 6;
}

static void handled_by_the_host(void) {
    signal(SIGQUIT, handler);
    CHECK_EQ(gort_main(raises, &handled), 6);
    CHECK(signal(SIGQUIT, SIG_DFL) == handler);
    exit(8);
}

static void ignored_by_the_host(void) {
    signal(SIGQUIT, SIG_IGN);
    CHECK_EQ(gort_main(raises, NULL), 6);
    CHECK(signal(SIGQUIT, SIG_DFL) == SIG_IGN);
    exit(8);
}

static void a_handler_of_the_hosts_is_left_alone(void) {
    CHILD_EXITS(handled_by_the_host, 8);
    CHILD_EXITS(ignored_by_the_host, 8);
}

static int returns(void *arg) {
    (void)arg;
    return 6;
}

static int takes_it_over(void *arg) {
    (void)arg;
    signal(SIGQUIT, handler);
    return 6;
}

static void when_main_returns_it_is_as_before(void) {
    void (*before)(int) = signal(SIGQUIT, SIG_DFL);
    CHECK_EQ(gort_main(returns, NULL), 6);
    CHECK(signal(SIGQUIT, SIG_DFL) == SIG_DFL);
    CHECK_EQ(gort_main(takes_it_over, NULL), 6);
    CHECK(signal(SIGQUIT, SIG_DFL) == handler);
    signal(SIGQUIT, before);
}

static int forks(void *arg) {
    (void)arg;
    pid_t pid = fork();
    if (pid == 0) {
        kill(getpid(), SIGQUIT);
        for (;;)
            pause();
    }
    int status = 0;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
    return 6;
}

static void fork_under_main(void) {
    by_default();
    CHECK_EQ(gort_main(forks, NULL), 6);
    exit(8);
}

static void a_forked_child_has_the_default_again(void) { CHILD_EXITS(fork_under_main, 8); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(quit);
    T_CHILD(quit_while_workers_compute);
    T_CHILD(quit_while_workers_block);
    T_CHILD(quit_after_exit);
    T_CHILD(handled_by_the_host);
    T_CHILD(ignored_by_the_host);
    T_CHILD(fork_under_main);
    RUN(sigquit_dumps_and_ends_with_status_2);
    RUN(it_works_while_all_workers_compute_or_block);
    RUN(it_works_after_main_has_called_gort_exit);
    RUN(a_handler_of_the_hosts_is_left_alone);
    RUN(when_main_returns_it_is_as_before);
    RUN(a_forked_child_has_the_default_again);
    return t_end();
}
