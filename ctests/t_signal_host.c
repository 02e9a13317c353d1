/* Signals on channels and the host's own: its handlers, what is ignored, the default actions, gort_main's dump,
 * fork, exec, deadlocks. */
#include "t.h"

#include <setjmp.h>
#include <stdint.h>

/* After a fork, 43 says that all went well. */
enum { GOOD = 43, SIGNO = SIGUSR1 };

static gort_chan_t *ints(size_t cap) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), cap);
    CHECK(ch != NULL);
    return ch;
}

static gort_chan_t *notified(int signo) {
    gort_chan_t *ch = ints(4);
    CHECK_EQ(gort_signal_notify(ch, signo), GORT_OK);
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

static struct sigaction action_of(int signo) {
    struct sigaction now;
    CHECK_EQ(sigaction(signo, NULL, &now), 0);
    return now;
}

static void set_action(int signo, struct sigaction action) { CHECK_EQ(sigaction(signo, &action, NULL), 0); }

static struct sigaction plain(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    return action;
}

static void check_same(struct sigaction a, struct sigaction b) {
    CHECK(a.sa_sigaction == b.sa_sigaction);
    CHECK_EQ(a.sa_flags, b.sa_flags);
    for (int signo = 1; signo <= SIGRTMAX; signo++)
        CHECK_EQ(sigismember(&a.sa_mask, signo), sigismember(&b.sa_mask, signo));
}

static void check_killed(pid_t pid, int signo) {
    int status;
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != signo)
        FAIL("the child: status %#x, expected signal %d", status, signo);
}

static void check_exited(pid_t pid, int expected) {
    int status;
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        FAIL("the child: status %#x, expected exit status %d", status, expected);
}

#define CHILD_KILLED(part, signo)                                                                            \
    do {                                                                                                     \
        const struct t_outcome *t_o = t_spawn_child(#part);                                                  \
        if (!WIFSIGNALED(t_o->status) || WTERMSIG(t_o->status) != (signo))                                   \
            FAIL("child %s: status %#x, expected signal %d; its stderr:\n%.600s", #part, t_o->status, signo, \
                 t_o->err);                                                                                  \
    } while (0)

/* ---- a handler that was there before ---- */

static volatile sig_atomic_t calls, blocked_one, blocked_itself, on_alt_stack, value;
static char alt_stack[64 << 10];

static void look(int signo, siginfo_t *info, void *context) {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    blocked_one = sigismember(&mask, SIGUSR2);
    blocked_itself = sigismember(&mask, signo);
    char *here = (char *)__builtin_frame_address(0);
    on_alt_stack = here >= alt_stack && here < alt_stack + sizeof alt_stack;
    value = info && context ? info->si_value.sival_int : -1;
    errno = E2BIG;
    calls++;
}

static void count(int signo) {
    (void)signo;
    calls++;
}

static void raise_with(int signo, int with) {
    siginfo_t info = {.si_code = SI_QUEUE, .si_pid = getpid()};
    info.si_value.sival_int = with;
    CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), t_tid(), signo, &info), 0);
}

static void check_looks(bool one, bool itself, bool alt) {
    gort_chan_t *ch = NULL;
    struct sigaction before = action_of(SIGNO);
    for (int i = 0; i < 3; i++) {
        /* Without us, with us, and without us again. */
        if (i == 1)
            ch = notified(SIGNO);
        calls = 0;
        raise_with(SIGNO, 1000 + i);
        CHECK_EQ(calls, 1);
        CHECK_EQ(value, 1000 + i);
        CHECK_EQ(blocked_one, one);
        CHECK_EQ(blocked_itself, itself);
        CHECK_EQ(on_alt_stack, alt);
        if (i == 1) {
            CHECK_EQ(get(ch), SIGNO);
            stop_and_release(ch);
            check_same(action_of(SIGNO), before);
        }
    }
}

static void a_handler_is_called_as_if_we_were_not_there(void) {
    stack_t alt = {.ss_sp = alt_stack, .ss_size = sizeof alt_stack}, old;
    CHECK_EQ(sigaltstack(&alt, &old), 0);
    struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
    set_action(SIGNO, action);
    check_looks(false, true, false);
    action.sa_flags |= SA_NODEFER;
    set_action(SIGNO, action);
    check_looks(false, false, false);
    sigaddset(&action.sa_mask, SIGUSR2);
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    set_action(SIGNO, action);
    check_looks(true, true, true);
    set_action(SIGNO, plain(SIG_DFL));
    CHECK_EQ(sigaltstack(&old, NULL), 0);
}

static void a_handler_that_wants_one_call_gets_one(void) {
    struct sigaction once = {.sa_handler = count, .sa_flags = SA_RESETHAND};
    for (int used = 0; used < 2; used++) {
        set_action(SIGNO, once);
        gort_chan_t *ch = notified(SIGNO);
        calls = 0;
        for (int i = 0; i < 3 * used; i++) {
            CHECK_EQ(raise(SIGNO), 0);
            CHECK_EQ(calls, 1);
            CHECK_EQ(get(ch), SIGNO);
        }
        stop_and_release(ch);
        CHECK(action_of(SIGNO).sa_handler == (used ? SIG_DFL : count));
    }
    set_action(SIGNO, plain(SIG_DFL));
}

static sigjmp_buf back;

static void jump(int signo) {
    (void)signo;
    siglongjmp(back, 1);
}

static void a_handler_may_jump_away(void) {
    set_action(SIGNO, plain(jump));
    gort_chan_t *ch = notified(SIGNO);
    for (volatile int i = 0; i < 20; i++) {
        if (sigsetjmp(back, 1) == 0) {
            raise(SIGNO);
            FAIL("it came back");
        }
        CHECK_EQ(get(ch), SIGNO);
    }
    stop_and_release(ch);
    CHECK(action_of(SIGNO).sa_handler == jump);
    set_action(SIGNO, plain(SIG_DFL));
}

static void errno_is_not_touched(void) {
    gort_chan_t *ch = notified(SIGNO);
    for (int i = 0; i < 20; i++) {
        errno = EXDEV;
        raise(SIGNO);
        CHECK_EQ(errno, EXDEV);
        CHECK_EQ(get(ch), SIGNO);
    }
    stop_and_release(ch);
}

/* ---- ignored ---- */

static void what_is_ignored_is_so_again_after_stop(void) {
    set_action(SIGNO, plain(SIG_IGN));
    gort_chan_t *ch = notified(SIGNO);
    raise(SIGNO);
    CHECK_EQ(get(ch), SIGNO);
    stop_and_release(ch);
    CHECK(action_of(SIGNO).sa_handler == SIG_IGN);
    raise(SIGNO);
    set_action(SIGNO, plain(SIG_DFL));
}

static void who_ignores_sigchld_has_no_zombies(void) {
    set_action(SIGCHLD, plain(SIG_IGN));
    gort_chan_t *ch = notified(SIGCHLD);
    pid_t pid = fork();
    if (pid == 0)
        _exit(1);
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, NULL, 0), -1);
    CHECK_EQ(errno, ECHILD);
    CHECK_EQ(get(ch), SIGCHLD);
    stop_and_release(ch);
    set_action(SIGCHLD, plain(SIG_DFL));
}

/* ---- the default action ---- */

static void stop_then_term(void) {
    gort_chan_t *ch = notified(SIGTERM), *other = notified(SIGTERM);
    raise(SIGTERM);
    CHECK_EQ(get(ch), SIGTERM);
    stop_and_release(ch);
    raise(SIGTERM);
    CHECK_EQ(get(other), SIGTERM);
    CHECK_EQ(get(other), SIGTERM);
    stop_and_release(other);
    raise(SIGTERM);
    FAIL("still there");
}

static void after_the_last_stop_a_signal_does_what_it_does(void) { CHILD_KILLED(stop_then_term, SIGTERM); }

/* ---- the host changes it meanwhile ---- */

static void a_handler_that_took_our_place_stays(void) {
    gort_chan_t *ch = notified(SIGNO);
    set_action(SIGNO, plain(count));
    calls = 0;
    raise(SIGNO);
    CHECK_EQ(calls, 1);
    CHECK_EQ(gort_signal_stop(ch), GORT_OK);
    CHECK(action_of(SIGNO).sa_handler == count);
    CHECK_EQ(gort_chan_len(ch), 0); /* it did not pass it on */
    gort_chan_release(ch);
    set_action(SIGNO, plain(SIG_DFL));
}

/* As good handlers do: pass on to what was there before. */
enum { LAYERS = 8, LAYERED = SIGUSR2 };
static struct sigaction under[LAYERS];
static volatile sig_atomic_t called[LAYERS];

static void pass_on(int layer, int signo, siginfo_t *info, void *context) {
    called[layer]++;
    CHECK(called[layer] < 10);
    struct sigaction next = under[layer];
    if (next.sa_flags & SA_SIGINFO)
        next.sa_sigaction(signo, info, context);
    else if (next.sa_handler != SIG_DFL && next.sa_handler != SIG_IGN)
        next.sa_handler(signo);
}

#define LAYER(n)                                                                                             \
    static void layer##n(int signo, siginfo_t *info, void *context) { pass_on(n, signo, info, context); }
LAYER(0) LAYER(1) LAYER(2) LAYER(3) LAYER(4) LAYER(5) LAYER(6) LAYER(7)
static void (*const layers[])(int, siginfo_t *, void *) = {layer0, layer1, layer2, layer3,
                                                           layer4, layer5, layer6, layer7};

static void check_one(gort_chan_t *ch, int installed) {
    memset((void *)called, 0, sizeof called);
    raise(LAYERED);
    CHECK_EQ(get(ch), LAYERED);
    CHECK_EQ(gort_chan_len(ch), 0);
    for (int i = 0; i < LAYERS; i++)
        CHECK_EQ(called[i], i < installed);
}

/* Us, theirs above, us again above that, ... */
static void one_that_passes_on_to_us_and_we_to_it_are_called_once_each(void) {
    for (int layer = 0; layer < LAYERS; layer++) {
        gort_chan_t *ch = notified(LAYERED);
        check_one(ch, layer);
        struct sigaction theirs = {.sa_sigaction = layers[layer], .sa_flags = SA_SIGINFO};
        CHECK_EQ(sigaction(LAYERED, &theirs, &under[layer]), 0);
        check_one(ch, layer + 1);
        stop_and_release(ch);
        CHECK(action_of(LAYERED).sa_sigaction == layers[layer]);
    }
    gort_chan_t *ch = ints(1);
    CHECK_EQ(gort_signal_notify(ch, LAYERED), GORT_EBUSY);
    set_action(LAYERED, plain(SIG_DFL));
    CHECK_EQ(gort_signal_notify(ch, LAYERED), GORT_OK);
    check_one(ch, 0);
    stop_and_release(ch);
    CHECK(action_of(LAYERED).sa_handler == SIG_DFL);
}

/* The same, if theirs was away in between. */
static void one_that_comes_back_is_called_once(void) {
    set_action(LAYERED, plain(SIG_DFL));
    gort_chan_t *ch = notified(LAYERED);
    struct sigaction theirs = {.sa_sigaction = layer0, .sa_flags = SA_SIGINFO};
    CHECK_EQ(sigaction(LAYERED, &theirs, &under[0]), 0);
    stop_and_release(ch);
    set_action(LAYERED, plain(SIG_DFL));
    stop_and_release(notified(LAYERED));
    set_action(LAYERED, theirs);
    ch = notified(LAYERED);
    check_one(ch, 1);
    stop_and_release(ch);
    CHECK(action_of(LAYERED).sa_sigaction == layer0);
    set_action(LAYERED, plain(SIG_DFL));
    exit(8);
}

static void and_if_it_was_away_in_between(void) { CHILD_EXITS(one_that_comes_back_is_called_once, 8); }

/* As system() does: it puts something else there, and then back what it found. */
static void a_handler_of_ours_put_back_after_stop_does_no_harm(void) {
    struct sigaction ours;
    for (int handled = 0; handled < 3; handled++) {
        set_action(SIGNO, plain(handled == 2 ? SIG_IGN : count));
        gort_chan_t *ch = notified(SIGNO);
        struct sigaction other = plain(SIG_IGN);
        CHECK_EQ(sigaction(SIGNO, &other, &ours), 0);
        stop_and_release(ch);
        CHECK(action_of(SIGNO).sa_handler == SIG_IGN);
        set_action(SIGNO, ours);
        calls = 0;
        raise(SIGNO);
        CHECK_EQ(calls, handled < 2); /* as if theirs were there */
        ch = notified(SIGNO);
        raise(SIGNO);
        CHECK_EQ(get(ch), SIGNO);
        CHECK_EQ(calls, handled < 2 ? 2 : 0);
        stop_and_release(ch);
        CHECK(action_of(SIGNO).sa_handler == (handled == 2 ? SIG_IGN : count));
        set_action(SIGNO, plain(SIG_DFL));
    }
}

static void put_ours_back_then_raise(int signo) {
    struct sigaction ours, other = plain(SIG_IGN);
    gort_chan_t *ch = notified(signo);
    CHECK_EQ(sigaction(signo, &other, &ours), 0);
    stop_and_release(ch);
    set_action(signo, ours);
    raise(signo);
}

static void put_back_then_term(void) {
    put_ours_back_then_raise(SIGCHLD); /* has no effect by default */
    put_ours_back_then_raise(SIGWINCH);
    put_ours_back_then_raise(SIGTERM);
    FAIL("still there");
}

static void put_back_then_wait_for_term(void) {
    struct sigaction ours, other = plain(SIG_IGN);
    sigset_t term, none;
    sigemptyset(&none);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    gort_chan_t *ch = notified(SIGTERM);
    CHECK_EQ(sigaction(SIGTERM, &other, &ours), 0);
    stop_and_release(ch);
    set_action(SIGTERM, ours);
    raise(SIGTERM);
    sigsuspend(&none);
    FAIL("still there");
}

static void put_back_then_tstp(void) {
    pid_t pid = fork();
    if (pid == 0) {
        alarm(T_HANG_SECONDS);
        setpgid(0, 0); /* in a session of its own it would not stop */
        put_ours_back_then_raise(SIGTSTP);
        gort_chan_t *ch = notified(SIGTSTP);
        raise(SIGTSTP);
        CHECK_EQ(get(ch), SIGTSTP);
        stop_and_release(ch);
        _exit(GOOD);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    kill(pid, SIGCONT);
    check_exited(pid, GOOD);
}

static void *storm_of_term(void *arg) {
    (void)arg;
    for (;;)
        kill(getpid(), SIGTERM);
    return NULL;
}

static void stop_in_a_storm_of_term(void) {
    gort_chan_t *first = notified(SIGTERM);
    t_thread(storm_of_term, NULL);
    for (int i = 0; i < 100; i++) {
        gort_chan_t *ch = notified(SIGTERM);
        CHECK_EQ(get(ch), SIGTERM);
        stop_and_release(ch);
    }
    stop_and_release(first);
    gort_sleep(GORT_FOREVER);
}

static void and_does_by_default_what_the_signal_does(void) {
    put_back_then_tstp();
    for (int i = 0; i < 5; i++)
        CHILD_KILLED(stop_in_a_storm_of_term, SIGTERM);
    CHILD_KILLED(put_back_then_term, SIGTERM);
    CHILD_KILLED(put_back_then_wait_for_term, SIGTERM);
}

static void call_system(void *arg) {
    for (int i = 0; i < 3; i++)
        CHECK_EQ(system("exit 7"), 7 << 8);
    (void)arg;
}

static void system_works_beside(void) {
    gort_chan_t *children = notified(SIGCHLD), *ints_ = notified(SIGINT);
    struct sigaction before = action_of(SIGINT);
    gort_waitgroup_t done = {0};
    call_system(NULL);
    t_go(&done, call_system, NULL);
    gort_waitgroup_wait(&done);
    CHECK_EQ(get(children), SIGCHLD);
    check_same(action_of(SIGINT), before);
    stop_and_release(children);
    stop_and_release(ints_);
}

/* ---- masks ---- */

static void a_signal_that_all_block_waits(void) {
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    gort_chan_t *ch = notified(SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    raise(SIGUSR1);
    CHECK_EQ(sigpending(&pending), 0);
    CHECK(sigismember(&pending, SIGUSR1));
    CHECK_EQ(gort_chan_len(ch), 0);
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    CHECK_EQ(get(ch), SIGUSR1);
    stop_and_release(ch);
}

/* ---- SIGQUIT under gort_main ---- */

static int quit_on_the_channel(void *arg) {
    (void)arg;
    gort_chan_t *ch = notified(SIGQUIT);
    for (int i = 0; i < 3; i++) {
        kill(getpid(), SIGQUIT);
        CHECK_EQ(get(ch), SIGQUIT);
    }
    stop_and_release(ch);
    fprintf(stderr, "now\n");
    kill(getpid(), SIGQUIT);
    gort_sleep(GORT_FOREVER);
    return 0;
}

static void quit_in_main(void) {
    signal(SIGQUIT, SIG_DFL);
    gort_main(quit_on_the_channel, NULL);
}

static gort_chan_t *quits;

static int quit_after_stop(void *arg) {
    (void)arg;
    kill(getpid(), SIGQUIT);
    CHECK_EQ(get(quits), SIGQUIT);
    stop_and_release(quits);
    fprintf(stderr, "now\n");
    kill(getpid(), SIGQUIT);
    gort_sleep(GORT_FOREVER);
    return 0;
}

static void quit_from_before_main(void) {
    signal(SIGQUIT, SIG_DFL);
    quits = notified(SIGQUIT);
    gort_main(quit_after_stop, NULL);
}

static int leave_it_notified(void *arg) {
    (void)arg;
    quits = notified(SIGQUIT);
    return 0;
}

static void quit_until_after_main(void) {
    signal(SIGQUIT, SIG_DFL);
    CHECK_EQ(gort_main(leave_it_notified, NULL), 0);
    raise(SIGQUIT);
    CHECK_EQ(get(quits), SIGQUIT);
    stop_and_release(quits);
    raise(SIGQUIT);
    FAIL("still there");
}

static int put_back_and_quit(void *arg) {
    (void)arg;
    put_ours_back_then_raise(SIGQUIT); /* a goroutine's thread blocks it */
    kill(getpid(), SIGQUIT);
    gort_sleep(GORT_FOREVER);
    return 0;
}

static void quit_put_back(void) {
    signal(SIGQUIT, SIG_DFL);
    gort_main(put_back_and_quit, NULL);
}

static void sigquit_on_a_channel_dumps_nothing_until_stop(void) {
    CHILD_DIES(quit_in_main, "now\nSIGQUIT: quit\n\ngoroutine ");
    CHILD_DIES(quit_from_before_main, "now\nSIGQUIT: quit\n\ngoroutine ");
    CHILD_DIES(quit_put_back, "SIGQUIT: quit\n\ngoroutine ");
    CHILD_KILLED(quit_until_after_main, SIGQUIT);
}

/* ---- fork, exec ---- */

static void in_child(void) { alarm(T_HANG_SECONDS); }

static void term_in_a_forked_child(void) {
    gort_chan_t *ch = notified(SIGTERM);
    pid_t pid = fork();
    if (pid == 0) {
        in_child();
        raise(SIGTERM);
        _exit(1);
    }
    check_killed(pid, SIGTERM);
    /* One that calls no handlers of fork. */
    pid = vfork();
    if (pid == 0) {
        kill(getpid(), SIGTERM);
        _exit(1);
    }
    check_killed(pid, SIGTERM);
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        syscall(SYS_kill, syscall(SYS_getpid), SIGTERM);
        syscall(SYS_exit_group, 1);
    }
    check_killed(pid, SIGTERM);
    CHECK_EQ(gort_chan_len(ch), 0);
    kill(getpid(), SIGTERM);
    CHECK_EQ(get(ch), SIGTERM);
    stop_and_release(ch);
}

static void go_term_in_a_forked_child(void *arg) {
    (void)arg;
    gort_chan_t *ch = notified(SIGTERM);
    pid_t pid = fork();
    if (pid == 0) {
        in_child();
        CHECK(!gort_in_goroutine());
        raise(SIGTERM);
        _exit(1);
    }
    check_killed(pid, SIGTERM);
    CHECK_EQ(gort_chan_len(ch), 0);
    stop_and_release(ch);
}

static void a_forked_child_has_what_was_there_before(void) {
    gort_waitgroup_t done = {0};
    if (!gort_in_goroutine())
        term_in_a_forked_child();
    t_go(&done, go_term_in_a_forked_child, NULL);
    gort_waitgroup_wait(&done);
    set_action(SIGTERM, plain(count));
    gort_chan_t *ch = notified(SIGTERM);
    pid_t pid = fork();
    if (pid == 0) {
        in_child();
        calls = 0;
        CHECK(action_of(SIGTERM).sa_handler == count);
        raise(SIGTERM);
        CHECK_EQ(calls, 1);
        /* And it may have channels of its own. */
        gort_chan_t *own = notified(SIGTERM);
        raise(SIGTERM);
        CHECK_EQ(get(own), SIGTERM);
        CHECK_EQ(calls, 2);
        stop_and_release(own);
        CHECK(action_of(SIGTERM).sa_handler == count);
        _exit(GOOD);
    }
    check_exited(pid, GOOD);
    CHECK_EQ(gort_chan_len(ch), 0);
    stop_and_release(ch);
    set_action(SIGTERM, plain(SIG_DFL));
}

static void look_at_the_actions(void) {
    CHECK(action_of(SIGTERM).sa_handler == SIG_DFL);
    CHECK(action_of(SIGHUP).sa_handler == SIG_IGN);
    exit(GOOD);
}

static void an_execed_program_has_what_was_there_before(void) {
    set_action(SIGHUP, plain(SIG_IGN));
    gort_chan_t *ch = notified(SIGTERM);
    CHECK_EQ(gort_signal_notify(ch, SIGHUP), GORT_OK);
    pid_t pid = fork();
    if (pid == 0) {
        char *args[] = {(char *)t_state.program, (char *)"--child", (char *)"look_at_the_actions", NULL};
        execv("/proc/self/exe", args);
        _exit(127);
    }
    check_exited(pid, GOOD);
    stop_and_release(ch);
    set_action(SIGHUP, plain(SIG_DFL));
}

struct forks {
    atomic_int stop;
    gort_chan_t *ch;
};

static void signal_until(void *arg) {
    struct forks *f = arg;
    while (!atomic_load(&f->stop)) {
        kill(getpid(), SIGUSR2);
        usleep(50);
    }
}

static void notify_and_stop_until(void *arg) {
    struct forks *f = arg;
    while (!atomic_load(&f->stop)) {
        gort_chan_t *ch = notified(SIGUSR2);
        gort_chan_recv_until(ch, NULL, gort_now() + T_MS);
        stop_and_release(ch);
    }
}

static void fork_in_a_storm(void) {
    struct forks f = {.ch = notified(SIGUSR2)};
    gort_waitgroup_t done = {0};
    t_go(&done, notify_and_stop_until, &f);
    t_go_thread(&done, notify_and_stop_until, &f);
    t_go_thread(&done, signal_until, &f);
    int64_t until = 0;
    for (long i = 0, n = t_n(200, 40); t_again(i, n, &until); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            in_child();
            CHECK(action_of(SIGUSR2).sa_handler == SIG_DFL);
            gort_chan_t *ch = notified(SIGUSR2);
            raise(SIGUSR2);
            CHECK_EQ(get(ch), SIGUSR2);
            stop_and_release(ch);
            CHECK(action_of(SIGUSR2).sa_handler == SIG_DFL);
            _exit(GOOD);
        }
        check_exited(pid, GOOD);
    }
    atomic_store(&f.stop, 1);
    gort_waitgroup_wait(&done);
    CHECK_EQ(get(f.ch), SIGUSR2);
    exit(8); /* still registered */
}

static void a_fork_at_any_moment_does_no_harm(void) { CHILD_EXITS(fork_in_a_storm, 8); }

/* ---- exit ---- */

static int end_in_a_storm(void *arg) {
    (void)arg;
    CHECK_EQ(get(quits), SIGUSR2);
    exit(8);
}

static void *storm(void *arg) {
    (void)arg;
    for (;;)
        kill(getpid(), SIGUSR2);
    return NULL;
}

static void exit_in_a_storm(void) {
    quits = notified(SIGUSR2);
    t_thread(storm, NULL);
    gort_main(end_in_a_storm, NULL);
}

static void exit_works_while_signals_come(void) {
    for (int i = 0; i < 5; i++)
        CHILD_EXITS(exit_in_a_storm, 8);
}

/* ---- deadlocks ---- */

static void *term_soon(void *arg) {
    (void)arg;
    usleep(20000);
    kill(getpid(), SIGUSR2);
    return NULL;
}

static int wait_and_stop(void *arg) {
    (void)arg;
    gort_chan_t *ch = quits;
    CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
    CHECK_EQ(gort_signal_stop(ch), GORT_OK);
    fprintf(stderr, "now\n");
    gort_chan_recv(ch, NULL);
    return 0;
}

static int wait_alone(void *arg) {
    CHECK_EQ(gort_chan_recv(arg, NULL), GORT_OK);
    return 6;
}

static void wait_for_a_signal_alone(void) {
    /* Nobody but a process outside can end it. */
    gort_chan_t *ch = notified(SIGUSR2);
    pid_t self = getpid(), pid = fork();
    if (pid == 0) {
        usleep(100000);
        kill(self, SIGUSR2);
        _exit(0);
    }
    CHECK_EQ(gort_main(wait_alone, ch), 6);
    exit(8);
}

static void wait_and_stop_in_main(void) {
    quits = notified(SIGUSR2);
    t_thread(term_soon, NULL);
    gort_main(wait_and_stop, NULL);
}

static void *stop_soon(void *arg) {
    usleep(50000);
    fprintf(stderr, "now\n");
    stop_and_release(arg);
    return NULL;
}

static int wait_for_ever(void *arg) {
    gort_chan_recv(arg, NULL);
    return 0;
}

static void stop_on_a_thread_that_ends(void) {
    gort_chan_t *ch = notified(SIGUSR2);
    gort_chan_retain(ch);
    pthread_detach(t_thread(stop_soon, ch));
    gort_main(wait_for_ever, ch);
}

static void who_waits_for_a_signal_is_in_no_deadlock(void) {
    CHILD_EXITS(wait_for_a_signal_alone, 8);
    CHILD_DIES(wait_and_stop_in_main, "now\nfatal error: all goroutines are asleep - deadlock!\n");
    CHILD_DIES(stop_on_a_thread_that_ends, "now\nfatal error: all goroutines are asleep - deadlock!\n");
}

/* ---- threads, leaks ---- */

static void the_thread_is_counted(void) {
    gort_stats_t before = GORT_STATS_INIT, after = GORT_STATS_INIT;
    CHECK_EQ(gort_stats(&before), GORT_OK);
    stop_and_release(notified(SIGUSR2));
    CHECK_EQ(gort_stats(&after), GORT_OK);
    CHECK_EQ(before.threads, before.workers);
    CHECK_EQ(after.threads, after.workers + 1);
    exit(8);
}

static void stats_count_its_thread(void) { CHILD_EXITS(the_thread_is_counted, 8); }

static void wait_here(void *arg) {
    gort_chan_t *ch = notified(SIGUSR2);
    gort_chan_release(ch);
    atomic_store((atomic_int *)arg, 1);
    gort_chan_recv(ch, NULL);
}

static void look_for_leaks(void) {
    static atomic_int waits;
    CHECK_EQ(gort_spawn(wait_here, &waits), GORT_OK);
    EVENTUALLY(atomic_load(&waits));
    t_quiet();
    int found = gort_leaks(2);
    if (found == GORT_EPERM || found == GORT_ENOTSUP)
        exit(8); /* no telling here */
    CHECK_EQ(found, 0);
    exit(8);
}

static void who_waits_for_a_signal_is_not_leaked(void) { CHILD_EXITS(look_for_leaks, 8); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(stop_then_term);
    T_CHILD(one_that_comes_back_is_called_once);
    T_CHILD(stop_in_a_storm_of_term);
    T_CHILD(put_back_then_term);
    T_CHILD(put_back_then_wait_for_term);
    T_CHILD(quit_in_main);
    T_CHILD(quit_from_before_main);
    T_CHILD(quit_until_after_main);
    T_CHILD(quit_put_back);
    T_CHILD(look_at_the_actions);
    T_CHILD(fork_in_a_storm);
    T_CHILD(exit_in_a_storm);
    T_CHILD(wait_for_a_signal_alone);
    T_CHILD(wait_and_stop_in_main);
    T_CHILD(stop_on_a_thread_that_ends);
    T_CHILD(the_thread_is_counted);
    T_CHILD(look_for_leaks);
    RUN(a_handler_is_called_as_if_we_were_not_there);
    RUN(a_handler_that_wants_one_call_gets_one);
    RUN(a_handler_may_jump_away);
    RUN(errno_is_not_touched);
    RUN(what_is_ignored_is_so_again_after_stop);
    RUN_BOTH(who_ignores_sigchld_has_no_zombies);
    RUN(after_the_last_stop_a_signal_does_what_it_does);
    RUN(a_handler_that_took_our_place_stays);
    RUN(one_that_passes_on_to_us_and_we_to_it_are_called_once_each);
    RUN(and_if_it_was_away_in_between);
    RUN(a_handler_of_ours_put_back_after_stop_does_no_harm);
    RUN(and_does_by_default_what_the_signal_does);
    RUN_BOTH(system_works_beside);
    RUN(a_signal_that_all_block_waits);
    RUN(sigquit_on_a_channel_dumps_nothing_until_stop);
    RUN_BOTH(a_forked_child_has_what_was_there_before);
    RUN_BOTH(an_execed_program_has_what_was_there_before);
    RUN(a_fork_at_any_moment_does_no_harm);
    RUN(exit_works_while_signals_come);
    RUN(who_waits_for_a_signal_is_in_no_deadlock);
    RUN(stats_count_its_thread);
    RUN(who_waits_for_a_signal_is_not_leaked);
    return t_end();
}
