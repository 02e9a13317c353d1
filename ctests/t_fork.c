/* fork: the child, of a plain thread or of a goroutine, has a fresh runtime; the parent goes on as before.
 *
 * ctest-env: GORT_STACK_GUARD=mprotect */
#include "t.h"

enum { GOOD = 43 };

static void check_child(pid_t pid, int expected) {
    int status;
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        FAIL("the forked child: status %#x, expected exit status %d", status, expected);
}

/* In a forked child: the watchdog is a thread of the parent. */
static void in_child(void) { alarm(T_HANG_SECONDS); }

/* ---- what works in a child ---- */

struct work {
    gort_chan_t *ch;
    gort_mutex_t mutex;
    gort_waitgroup_t done;
    long sum;
};

static void send_one(void *arg) {
    struct work *w = arg;
    gort_sleep(T_MS / 10);
    gort_mutex_lock(&w->mutex);
    w->sum++;
    gort_mutex_unlock(&w->mutex);
    int one = 1;
    CHECK_EQ(gort_chan_send(w->ch, &one), GORT_OK);
}

static void spawn_and_join(int n) {
    struct work w = {.ch = gort_chan_new(sizeof(int), 1)};
    for (int i = 0; i < n; i++)
        t_go(&w.done, send_one, &w);
    int sum = 0;
    for (int i = 0; i < n; i++) {
        int one = 0;
        CHECK_EQ(gort_chan_recv(w.ch, &one), GORT_OK);
        sum += one;
    }
    gort_waitgroup_wait(&w.done);
    CHECK_EQ(sum, n);
    CHECK_EQ(w.sum, n);
    gort_chan_release(w.ch);
}

static int work_as_main(void *arg) {
    CHECK(gort_in_goroutine());
    spawn_and_join(*(int *)arg);
    return GOOD;
}

static void use_the_fresh_runtime(void) {
    int n = 20;
    CHECK(!gort_in_goroutine());
    spawn_and_join(n);
    CHECK_EQ(gort_main(work_as_main, &n), GOOD);
    spawn_and_join(n);
}

static void fork_and_work(void) {
    pid_t pid = fork();
    if (pid == 0) {
        in_child();
        use_the_fresh_runtime();
        _exit(GOOD);
    }
    spawn_and_join(20);
    check_child(pid, GOOD);
    spawn_and_join(20);
}

static void a_child_spawns_and_waits_in_a_runtime_of_its_own(void) { fork_and_work(); }

static void call_fork_and_work(void *arg) {
    (void)arg;
    fork_and_work();
}

static void idle_about(void *arg) {
    while (!atomic_load((atomic_int *)arg))
        gort_sleep(T_MS / 20);
}

static void a_child_has_none_of_its_parents_goroutines(void) {
    atomic_int stop = 0;
    gort_waitgroup_t done = {0}, others = {0};
    for (int i = 0; i < 8; i++)
        t_go(&others, idle_about, &stop);
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            in_child();
            CHECK_EQ(gort_num_goroutines(), 0);
            _exit(GOOD);
        }
        check_child(pid, GOOD);
        t_go(&done, call_fork_and_work, NULL);
        gort_waitgroup_wait(&done);
    }
    atomic_store(&stop, 1);
    gort_waitgroup_wait(&others);
}

static void a_child_forks_again(void) {
    pid_t pid = fork();
    if (pid == 0) {
        in_child();
        fork_and_work(); /* before it has used its runtime */
        fork_and_work(); /* and after */
        _exit(GOOD);
    }
    check_child(pid, GOOD);
}

static void call_spawn_and_join(void *arg) {
    for (long i = 0; i < t_n(30, 10); i++)
        spawn_and_join(*(int *)arg);
}

static void threads_fork_while_goroutines_are_spawned(void) {
    gort_waitgroup_t done = {0}, forks = {0};
    int n = 8;
    for (int i = 0; i < 3; i++)
        t_go(&done, call_spawn_and_join, &n);
    for (int i = 0; i < 3; i++) {
        t_go_thread(&forks, call_fork_and_work, NULL);
        t_go(&forks, call_fork_and_work, NULL);
    }
    gort_waitgroup_wait(&forks);
    gort_waitgroup_wait(&done);
}

/* ---- how a child ends ---- */

static void an_exit_in_a_child_ends_it(void) {
    for (int use = 0; use < 2; use++) {
        pid_t pid = fork();
        if (pid == 0) {
            in_child();
            if (use)
                spawn_and_join(3);
            exit(GOOD);
        }
        check_child(pid, GOOD);
    }
}

struct forked {
    _Atomic pid_t child;
    int in_child;
};

static void return_in_the_child(void *arg) {
    struct forked *f = arg;
    pid_t pid = fork();
    if (pid == 0) {
        in_child();
        if (f->in_child)
            spawn_and_join(3);
        return;
    }
    atomic_store(&f->child, pid);
}

static int return_as_main(void *arg) {
    return_in_the_child(arg);
    return atomic_load(&((struct forked *)arg)->child) == 0 ? GOOD : 1;
}

static void a_goroutine_that_returns_in_the_child_ends_it(void) {
    gort_waitgroup_t done = {0};
    for (int use = 0; use < 2; use++) {
        struct forked f = {.in_child = use};
        t_go(&done, return_in_the_child, &f);
        gort_waitgroup_wait(&done);
        check_child(atomic_load(&f.child), 0);
        atomic_store(&f.child, 0);
        CHECK_EQ(gort_main(return_as_main, &f), 1);
        check_child(atomic_load(&f.child), GOOD);
    }
}

/* ---- exec ---- */

static void look_at_the_mask(void) {
    sigset_t mask;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    for (int signo = 1; signo < 32; signo++)
        if (sigismember(&mask, signo) == 1)
            FAIL("signal %d is blocked", signo);
    exit(GOOD);
}

static void exec_in_the_child(void *arg) {
    (void)arg;
    pid_t pid = fork();
    if (pid == 0) {
        char *args[] = {(char *)t_state.program, (char *)"--child", (char *)"look_at_the_mask", NULL};
        execv("/proc/self/exe", args);
        _exit(127);
    }
    check_child(pid, GOOD);
}

static void a_program_started_from_a_goroutine_has_its_signals_unblocked(void) {
    gort_waitgroup_t done = {0};
    t_go(&done, exec_in_the_child, NULL);
    gort_waitgroup_wait(&done);
}

/* ---- at a bad moment ---- */

static void set(void *arg) { atomic_store((atomic_int *)arg, 1); }

static void fork_beside_the_first_goroutine(void) {
    static atomic_int ran;
    CHECK_EQ(gort_spawn(set, &ran), GORT_OK);
    /* Its worker starts, and makes the first stack: somewhere in between. */
    for (uint64_t seed = t_seed(1), spins = t_random(&seed) % 40000, i = 0; i < spins; i++)
        __asm__ volatile("");
    pid_t pid = fork();
    if (pid == 0) {
        in_child();
        atomic_store(&ran, 0);
        CHECK_EQ(gort_spawn(set, &ran), GORT_OK);
        EVENTUALLY(atomic_load(&ran));
        _exit(GOOD);
    }
    check_child(pid, GOOD);
    EVENTUALLY(atomic_load(&ran));
}

static void a_fork_while_the_runtime_starts_does_no_harm(void) {
    int64_t until = 0;
    for (long i = 0; t_again(i, 200, &until); i++)
        CHILD_EXITS(fork_beside_the_first_goroutine, 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(look_at_the_mask);
    T_CHILD(fork_beside_the_first_goroutine);
    RUN_BOTH(a_child_spawns_and_waits_in_a_runtime_of_its_own);
    RUN(a_child_has_none_of_its_parents_goroutines);
    RUN_BOTH(a_child_forks_again);
    RUN(threads_fork_while_goroutines_are_spawned);
    RUN_BOTH(an_exit_in_a_child_ends_it);
    RUN(a_goroutine_that_returns_in_the_child_ends_it);
    RUN_BOTH(a_program_started_from_a_goroutine_has_its_signals_unblocked);
    RUN(a_fork_while_the_runtime_starts_does_no_harm);
    return t_end();
}
