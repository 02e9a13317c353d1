/* Starting programs: a child that only execs has what the host would give it, whoever starts it and how. */
#include "t.h"

#include <fcntl.h>
#include <spawn.h>

extern char **environ;

/* ---- the signals that a program is born with ---- */

/* In a program of its own: are the signals that end a program blocked? */
static void shows_its_mask(void) {
    sigset_t blocked;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    exit(sigismember(&blocked, SIGTERM) || sigismember(&blocked, SIGINT) || sigismember(&blocked, SIGPIPE) ? 1 : 43);
}

static char *const program[] = {(char *)"/proc/self/exe", (char *)"--child", (char *)"shows_its_mask", NULL};

static void check_status(int status, int expected) {
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        FAIL("the program: status %#x, expected exit status %d", status, expected);
}

static void *wait_for(void *pid) {
    int status;
    CHECK_EQ(waitpid((pid_t)(intptr_t)pid, &status, 0), (intptr_t)pid);
    check_status(status, 43);
    return NULL;
}

static void wait_for_child(pid_t pid) {
    CHECK(pid > 0);
    gort_blocking(wait_for, (void *)(intptr_t)pid);
}

static void *by_spawn(void *arg) {
    pid_t pid;
    (void)arg;
    CHECK_EQ(posix_spawn(&pid, program[0], NULL, NULL, program, environ), 0);
    return wait_for((void *)(intptr_t)pid);
}

/* The shell looks by itself, and what it starts inherits what it has. */
#define SIGTERM_BIT "0000000000004000"
static const char script[] = "mask=$(sed -n 's/^SigBlk:[[:space:]]*//p' /proc/self/status); "
                             "test $((0x$mask & 0x" SIGTERM_BIT ")) -eq 0 && exit 43; exit 1";

static void *by_system(void *arg) {
    check_status(system(script), 43);
    return arg;
}

static void *by_popen(void *arg) {
    FILE *f = popen(script, "r");
    CHECK(f != NULL);
    check_status(pclose(f), 43);
    return arg;
}

static void by_fork(void) {
    pid_t pid = fork();
    if (pid == 0) {
        execv(program[0], program);
        _exit(1);
    }
    wait_for_child(pid);
}

static void start_programs(void *arg) {
    (void)arg;
    by_fork();
    gort_blocking(by_spawn, NULL);
    gort_blocking(by_system, NULL);
    gort_blocking(by_popen, NULL);
}

static void start_programs_locked(void *arg) {
    gort_lock_thread();
    start_programs(arg);
}

static void a_program_is_born_with_the_hosts_signals(void) {
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 3; i++) {
        t_go(&done, start_programs, NULL);
        t_go(&done, start_programs_locked, NULL);
    }
    gort_waitgroup_wait(&done);
}

/* ---- the mask of the thread that makes a call ---- */

static void *blocks_more(void *arg) {
    sigset_t all, *before = arg;
    sigfillset(&all);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, before), 0);
    return NULL;
}

static void *asks(void *mask) {
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, mask), 0);
    return NULL;
}

static void compare_masks(void *arg) {
    sigset_t mine, again, in_call;
    const sigset_t *hosts = arg;
    gort_lock_thread(); /* so that it is one thread's */
    asks(&mine);
    CHECK(sigismember(&mine, SIGTERM));
    gort_blocking(blocks_more, &in_call);
    CHECK_EQ(sigismember(&in_call, SIGTERM), sigismember(hosts, SIGTERM));
    CHECK_EQ(sigismember(&in_call, SIGUSR2), sigismember(hosts, SIGUSR2));
    /* What a call does to it is over with the call. */
    asks(&again);
    for (int signo = 1; signo < 32; signo++)
        CHECK_EQ(sigismember(&again, signo), sigismember(&mine, signo));
    gort_blocking(asks, &in_call);
    CHECK_EQ(sigismember(&in_call, SIGTERM), sigismember(hosts, SIGTERM));
    /* A goroutine that has set a mask for itself on a thread of its own has it in the call too. */
    sigemptyset(&again);
    sigaddset(&again, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &again, NULL), 0);
    gort_blocking(asks, &in_call);
    CHECK(sigismember(&in_call, SIGUSR1) && !sigismember(&in_call, SIGUSR2));
    asks(&again);
    CHECK(sigismember(&again, SIGUSR1) && !sigismember(&again, SIGUSR2));
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &mine, NULL), 0);
}

static void in_a_call_the_mask_is_the_hosts(void) {
    sigset_t mine;
    gort_waitgroup_t done = {0};
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR2);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &mine, NULL), 0);
    asks(&mine);
    t_go(&done, compare_masks, &mine); /* which starts gort */
    gort_waitgroup_wait(&done);
}

static void masks(void) { in_a_call_the_mask_is_the_hosts(); }
static void masks_are_right(void) { CHILD_EXITS(masks, 0); }

/* ---- what else it is born with ---- */

static int open_files(void) {
    char command[] = "ls /proc/self/fd | wc -l";
    int n = -1;
    FILE *f = popen(command, "r");
    CHECK(f && fscanf(f, "%d", &n) == 1);
    CHECK_EQ(pclose(f), 0);
    return n;
}

static void use_gort(void *arg) {
    gort_chan_t *after = gort_after(T_MS);
    CHECK_EQ(gort_chan_recv(after, NULL), GORT_OK);
    gort_chan_release(after);
    gort_sleep(T_MS);
    CHECK_EQ(gort_dump(*(int *)arg), GORT_OK);
}

static void files(void) {
    int before = open_files(), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 10; i++)
        t_go(&done, use_gort, &null);
    gort_waitgroup_wait(&done);
    CHECK_EQ(open_files(), before);
}

static void a_program_inherits_none_of_gorts_files(void) { CHILD_EXITS(files, 0); }

/* ---- while all sorts of things go on ---- */

static void yield_about(void *arg) {
    while (!atomic_load((atomic_int *)arg))
        gort_yield();
}

static void *call_about(void *arg) { return arg; }

static void make_calls(void *arg) {
    while (!atomic_load((atomic_int *)arg))
        gort_blocking(call_about, NULL);
}

static char *const exits[] = {(char *)"/bin/sh", (char *)"-c", (char *)"exit 43", NULL};

static __attribute__((noinline)) pid_t start_by_vfork(void) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    pid_t pid = vfork();
#pragma GCC diagnostic pop
    if (pid == 0) {
        execv(exits[0], exits);
        _exit(1);
    }
    return pid;
}

static void start_many(void *arg) {
    (void)arg;
    for (long i = 0; i < t_n(5, 2); i++) {
        wait_for_child(start_by_vfork());
        by_fork();
    }
}

static void programs_start_while_goroutines_and_calls_run(void) {
    atomic_int stop = 0;
    gort_waitgroup_t done = {0}, others = {0};
    for (int i = 0; i < 3; i++) {
        t_go(&others, yield_about, &stop);
        t_go(&others, make_calls, &stop);
        t_go(&done, start_many, NULL);
    }
    t_go_thread(&done, start_many, NULL);
    gort_waitgroup_wait(&done);
    atomic_store(&stop, 1);
    gort_waitgroup_wait(&others);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(shows_its_mask);
    T_CHILD(masks);
    T_CHILD(files);
    RUN(a_program_is_born_with_the_hosts_signals);
    RUN(masks_are_right);
    RUN(a_program_inherits_none_of_gorts_files);
    RUN(programs_start_while_goroutines_and_calls_run);
    return t_end();
}
