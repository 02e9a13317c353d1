/* Plain threads of a program with goroutines: nothing changes for them; and where goroutines are plain threads. */
#include "plain.h"

static atomic_int beats;
static T_ATOMIC(bool) stop;

static void beat(void *arg) {
    (void)arg;
    while (!atomic_load(&stop)) {
        struct timespec little = {0, T_MS};
        nanosleep(&little, NULL);
        atomic_fetch_add(&beats, 1);
    }
}

/* No goroutine is on the thread that calls this; one works beside it. */
static void plain_threads_are_left_alone(void) {
    gort_waitgroup_t done = {0};
    t_go(&done, beat, NULL);
    data_goes_through();
    signals_interrupt_calls();
    cancelled_threads_are_cleaned_up();
    signal_masks_of_ppoll_and_pselect_hold();
    EVENTUALLY(atomic_load(&beats) > 0);
    atomic_store(&stop, true);
    gort_waitgroup_wait(&done);
}

static void *block(void *arg) {
    char byte;
    CHECK(!gort_in_goroutine());
    CHECK_EQ(read(*(int *)arg, &byte, 1), 1);
    return NULL;
}

static void write_later(void *arg) {
    p_settle();
    CHECK_EQ(write(*(int *)arg, "x", 1), 1);
}

/* In gort_blocking nothing parks, and everybody else goes on. */
static void calls_in_gort_blocking_block(void) {
    int ends[2];
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    t_go(&done, write_later, &ends[1]);
    CHECK(gort_blocking(block, &ends[0]) == NULL);
    gort_waitgroup_wait(&done);
    close(ends[0]), close(ends[1]);
}

static void calls_on_a_locked_thread_park(void) {
    int ends[2];
    char byte;
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    gort_lock_thread();
    long thread = t_tid();
    t_go(&done, write_later, &ends[1]);
    KEEPS_ERRNO(read(ends[0], &byte, 1), 1);
    CHECK_EQ(t_tid(), thread);
    gort_unlock_thread();
    gort_waitgroup_wait(&done);
    close(ends[0]), close(ends[1]);
}

/* ---- gort's own calls ---- */

static int full[2];

static void dump_into_full_pipe(void *arg) {
    (void)arg;
    CHECK_EQ(gort_dump(full[1]), GORT_OK);
}

/* gort writes with locks held: its goroutine must not park in the midst of that. */
static void calls_that_gort_makes_block(void) {
    char bytes[4096] = {0};
    gort_waitgroup_t done = {0};
    CHECK_EQ(pipe(full), 0);
    int flags = fcntl(full[1], F_GETFL);
    CHECK_EQ(fcntl(full[1], F_SETFL, flags | O_NONBLOCK), 0);
    while (write(full[1], bytes, sizeof bytes) > 0)
        ;
    CHECK_EQ(fcntl(full[1], F_SETFL, flags), 0);
    t_go(&done, dump_into_full_pipe, NULL);
    EVENTUALLY(p_in_call(SYS_write));
    do {
        struct pollfd set = {full[0], POLLIN, 0};
        if (poll(&set, 1, 1) == 1)
            CHECK(read(full[0], bytes, sizeof bytes) > 0);
    } while (gort_waitgroup_wait_until(&done, 0) != GORT_OK);
    close(full[0]), close(full[1]);
}

/* ---- signal handlers ---- */

static int to_handler[2];

static void on_trap(int signal) {
    char byte;
    (void)signal;
    CHECK_EQ(read(to_handler[0], &byte, 1), 1);
}

static void trap(void *arg) {
    stack_t stack = {.ss_sp = arg, .ss_size = 65536}, before;
    gort_pin_thread();
    CHECK_EQ(sigaltstack(&stack, &before), 0);
    raise(SIGTRAP);
    CHECK_EQ(sigaltstack(&before, NULL), 0);
    gort_unpin_thread();
}

/* A handler for crashes may run on a worker: it is no place to park in. */
static void handlers_on_their_own_stack_block(void) {
    static char stack[65536];
    struct sigaction action = {.sa_handler = on_trap, .sa_flags = SA_ONSTACK};
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, to_handler);
    CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);
    t_go(&done, trap, stack);
    EVENTUALLY(p_in_call(SYS_recvfrom)); /* how a socket is read */
    CHECK_EQ(write(to_handler[1], "x", 1), 1);
    gort_waitgroup_wait(&done);
    close(to_handler[0]), close(to_handler[1]);
}

static void at_exit(void) {
    char text[8];
    int ends[2];
    p_pair(SOCK_STREAM, ends);
    CHECK_EQ(write(ends[1], "bye", 3), 3);
    CHECK_EQ(read(ends[0], text, sizeof text), 3);
    usleep(1000);
}

static int leave(void *arg) {
    (void)arg;
    atexit(at_exit);
    usleep(1000);
    exit(7);
}

static void exiting(void) {
    p_begin();
    gort_main(leave, NULL);
}

/* A goroutine that calls exit is a plain thread for the handlers. */
static void exit_handlers_may_make_calls(void) { CHILD_EXITS(exiting, 7); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(exiting);
    p_begin();
    RUN(plain_threads_are_left_alone);
    RUN_AS_MAIN(calls_in_gort_blocking_block);
    RUN_AS_MAIN(calls_on_a_locked_thread_park);
    RUN(calls_that_gort_makes_block);
    RUN(handlers_on_their_own_stack_block);
    RUN(exit_handlers_may_make_calls);
    return t_end();
}
