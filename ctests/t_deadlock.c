/* Deadlocks under gort_main: each is found, said with every goroutine's wait reason, and ends the process with
 * status 2. Each test is a child process that would wait for ever; if it does, an alarm ends it. */
#include "t.h"

#define ASLEEP "fatal error: all goroutines are asleep - deadlock!\n\n"

static int as_main(void *fn) {
    ((void (*)(void))fn)();
    return 0;
}

/* The body of a child that runs `fn` as the main goroutine. */
static void under_main(void (*fn)(void)) {
    gort_main(as_main, (void *)fn);
    FAIL("gort_main has returned");
}

#define DEADLOCK(part)                                                                                       \
    static void part(void);                                                                                  \
    static void part##_child(void) { under_main(part); }                                                     \
    static void part(void)

/* ---- one test per thing to wait for ---- */

DEADLOCK(receive) { gort_chan_recv(gort_chan_new(4, 0), NULL); }

DEADLOCK(receive_from_a_buffer) { gort_chan_recv(gort_chan_new(4, 3), NULL); }

DEADLOCK(send) { gort_chan_send(gort_chan_new(0, 0), NULL); }

DEADLOCK(send_to_a_full_one) {
    gort_chan_t *ch = gort_chan_new(0, 1);
    CHECK_EQ(gort_chan_send(ch, NULL), GORT_OK);
    gort_chan_send(ch, NULL);
}

DEADLOCK(select_of_two) {
    gort_case_t cases[] = {{gort_chan_new(0, 0), NULL, GORT_RECV, 0}, {gort_chan_new(0, 0), NULL, GORT_SEND, 0}};
    gort_select(cases, 2);
}

DEADLOCK(select_of_none) { gort_select(NULL, 0); }

DEADLOCK(select_of_nil) {
    gort_case_t cases[] = {{NULL, NULL, GORT_RECV, 0}, {NULL, NULL, GORT_SEND, 0}};
    gort_select(cases, 2);
}

DEADLOCK(waitgroup) {
    gort_waitgroup_t wg = {0};
    gort_waitgroup_add(&wg, 1);
    gort_waitgroup_wait(&wg);
}

DEADLOCK(mutex) {
    gort_mutex_t m = {0};
    gort_mutex_lock(&m);
    gort_mutex_lock(&m);
}

DEADLOCK(read_lock) {
    gort_rwmutex_t m = {0};
    gort_rwmutex_lock(&m);
    gort_rwmutex_rlock(&m);
}

DEADLOCK(write_lock) {
    gort_rwmutex_t m = {0};
    gort_rwmutex_rlock(&m);
    gort_rwmutex_lock(&m);
}

DEADLOCK(cond) {
    gort_cond_t c = {0};
    gort_mutex_t m = {0};
    gort_mutex_lock(&m);
    gort_cond_wait(&c, &m);
}

DEADLOCK(semaphore) {
    gort_sem_t s;
    gort_sem_init(&s, 2);
    CHECK_EQ(gort_sem_acquire(&s, 3), GORT_OK);
}

static gort_once_t again;

static void once_more(void *arg) { gort_once_do(&again, once_more, arg); }

DEADLOCK(once) { once_more(NULL); }

static gort_mutex_t left, right;

static void left_then_right(void *arg) {
    gort_mutex_lock(&left);
    gort_waitgroup_done(arg);
    gort_waitgroup_wait(arg);
    gort_mutex_lock(&right);
}

static void right_then_left(void *arg) {
    gort_mutex_lock(&right);
    gort_waitgroup_done(arg);
    gort_waitgroup_wait(arg);
    gort_mutex_lock(&left);
}

DEADLOCK(two_mutexes) {
    gort_waitgroup_t both = {0}, ended = {0};
    gort_waitgroup_add(&both, 2);
    t_go(&ended, left_then_right, &both);
    t_go(&ended, right_then_left, &both);
    gort_waitgroup_wait(&ended);
}

/* `reason` as the dump prints it. */
static void found(const char *part, const char *reason) {
    const struct t_outcome *outcome = t_spawn_child(part);
    t_check_exit(part, outcome, 2);
    if (strncmp(outcome->err, ASLEEP, strlen(ASLEEP)) != 0)
        FAIL("child %s: stderr does not begin with \"%s\":\n%.600s", part, ASLEEP, outcome->err);
    t_check_says(part, outcome, reason);
}

#define FOUND(part, reason) found(#part "_child", reason)

static void whatever_main_waits_for_is_named(void) {
    FOUND(receive, "[chan receive");
    FOUND(receive_from_a_buffer, "[chan receive");
    FOUND(send, "[chan send");
    FOUND(send_to_a_full_one, "[chan send");
    FOUND(select_of_two, "[select");
    FOUND(select_of_none, "[select (no cases)");
    FOUND(select_of_nil, "[select");
    FOUND(waitgroup, "[sync.WaitGroup.Wait");
    FOUND(mutex, "[sync.Mutex.Lock");
    FOUND(read_lock, "[sync.RWMutex.RLock");
    FOUND(write_lock, "[sync.RWMutex.Lock");
    FOUND(cond, "[sync.Cond.Wait");
    FOUND(semaphore, "[semacquire");
    FOUND(once, "[sync.Once.Do");
}

static void two_that_wait_for_each_other_are_named(void) {
    FOUND(two_mutexes, "[sync.Mutex.Lock");
    FOUND(two_mutexes, "[sync.WaitGroup.Wait");
}

/* ---- many goroutines, in all ways of living ---- */

static void wait_here(void *ch) { gort_chan_recv(ch, NULL); }

static void lock_and_wait(void *ch) {
    gort_lock_thread();
    gort_chan_recv(ch, NULL);
}

static void lock_and_end(void *arg) {
    (void)arg;
    gort_lock_thread();
}

static void work_and_wait(void *ch) {
    for (int i = 0; i < 1000; i++)
        gort_yield();
    gort_chan_recv(ch, NULL);
}

DEADLOCK(many) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(gort_spawn(i % 2 ? wait_here : work_and_wait, ch), GORT_OK);
    gort_chan_recv(ch, NULL);
}

DEADLOCK(pinned) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    gort_spawn_options_t pin = GORT_SPAWN_OPTIONS_INIT;
    pin.flags = GORT_SPAWN_PINNED;
    for (int i = 0; i < 50; i++)
        CHECK_EQ(gort_spawn_with(&pin, i % 2 ? wait_here : work_and_wait, ch), GORT_OK);
    gort_chan_recv(ch, NULL);
}

DEADLOCK(locked) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(gort_spawn(lock_and_wait, ch), GORT_OK);
    lock_and_wait(ch);
}

DEADLOCK(threads_ended) {
    gort_waitgroup_t ended = {0};
    for (int i = 0; i < 20; i++)
        t_go(&ended, lock_and_end, NULL);
    gort_waitgroup_wait(&ended);
    gort_select(NULL, 0);
}

DEADLOCK(fewer_processors) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    gort_max_procs(8);
    for (int i = 0; i < 200; i++)
        CHECK_EQ(gort_spawn(work_and_wait, ch), GORT_OK);
    gort_yield();
    gort_max_procs(2);
    gort_chan_recv(ch, NULL);
}

static void goroutines_of_all_kinds_may_be_asleep(void) {
    FOUND(many, "[chan receive");
    FOUND(pinned, "[chan receive");
    FOUND(locked, "[chan receive");
    FOUND(threads_ended, "[select (no cases)");
    FOUND(fewer_processors, "[chan receive");
}

/* ---- time ---- */

DEADLOCK(after_a_sleep) {
    gort_sleep(30 * T_MS);
    gort_select(NULL, 0);
}

static void call_nobody(void *arg) { (void)arg; }

DEADLOCK(after_timers) {
    gort_timer_t *never = gort_timer_new(3600 * 1000 * T_MS);
    gort_timer_t *func = gort_timer_func(10 * T_MS, call_nobody, NULL);
    gort_timer_t *stopped = gort_timer_func(3600 * 1000 * T_MS, call_nobody, NULL);
    CHECK(never && func && stopped);
    CHECK(gort_timer_stop(never));
    CHECK(gort_timer_stop(stopped));
    gort_select(NULL, 0);
}

/* As in Go: a tick that nobody waits for wakes nobody. */
DEADLOCK(beside_a_ticker) {
    CHECK(gort_ticker_new(3600 * 1000 * T_MS) && gort_timer_new(3600 * 1000 * T_MS) && gort_ticker_new(T_MS / 10));
    gort_sleep(T_MS);
    gort_select(NULL, 0);
}

static void when_no_timer_can_wake_anybody(void) {
    FOUND(after_a_sleep, "[select (no cases)");
    FOUND(after_timers, "[select (no cases)");
    FOUND(beside_a_ticker, "[select (no cases)");
}

/* ---- threads of the host's ---- */

static gort_chan_t *never_sent;
static gort_mutex_t never_unlocked;
static gort_chan_t *here;

static void *block_in_a_receive(void *arg) {
    (void)arg;
    gort_chan_send(here, NULL);
    gort_chan_recv(never_sent, NULL);
    return NULL;
}

static void *block_in_a_lock(void *arg) {
    (void)arg;
    gort_chan_send(here, NULL);
    gort_mutex_lock(&never_unlocked);
    return NULL;
}

static void *sleep_and_block(void *arg) {
    struct timespec nap = {0, 30000000};
    nanosleep(&nap, NULL);
    return block_in_a_lock(arg);
}

static void *sleep_and_end(void *arg) {
    struct timespec nap = {0, 30000000};
    gort_chan_send(here, NULL);
    nanosleep(&nap, NULL);
    return arg;
}

static void *time_out_and_end(void *arg) {
    gort_chan_send(here, NULL);
    CHECK_EQ(gort_chan_recv_until(never_sent, NULL, gort_now() + 30 * T_MS), GORT_ETIMEDOUT);
    return arg;
}

static void *end_at_once(void *arg) {
    gort_chan_send(here, NULL);
    return arg;
}

/* Main waits when the threads have come so far. */
static void beside(void *(*first)(void *), void *(*second)(void *)) {
    never_sent = gort_chan_new(0, 0);
    here = gort_chan_new(0, 2);
    gort_mutex_lock(&never_unlocked);
    t_thread(first, NULL);
    t_thread(second, NULL);
    gort_chan_recv(here, NULL);
    gort_chan_recv(here, NULL);
    gort_chan_recv(never_sent, NULL);
}

DEADLOCK(beside_threads_that_block) { beside(block_in_a_receive, block_in_a_lock); }
DEADLOCK(beside_one_that_blocks_late) {
    never_sent = gort_chan_new(0, 0);
    here = gort_chan_new(0, 2);
    gort_mutex_lock(&never_unlocked);
    t_thread(sleep_and_block, NULL);
    gort_chan_recv(never_sent, NULL);
}
DEADLOCK(beside_one_that_ends_late) { beside(sleep_and_end, block_in_a_lock); }
DEADLOCK(beside_one_that_times_out) { beside(time_out_and_end, end_at_once); }
DEADLOCK(beside_threads_that_end) { beside(end_at_once, end_at_once); }

static void threads_that_wait_in_gort_are_asleep_too(void) {
    FOUND(beside_threads_that_block, "[chan receive");
    FOUND(beside_one_that_blocks_late, "[chan receive");
}

static gort_timer_t *far_away;
static gort_ctx_t *far_ctx;

static void *stop_and_end(void *arg) {
    struct timespec nap = {0, 50000000};
    nanosleep(&nap, NULL);
    if (far_away)
        CHECK(gort_timer_stop(far_away));
    if (far_ctx)
        gort_ctx_cancel(far_ctx);
    return arg;
}

/* When main waits, a timer still can wake somebody. */
DEADLOCK(beside_one_that_stops_a_timer) {
    far_away = gort_timer_func(3600 * 1000 * T_MS, call_nobody, NULL);
    t_thread(stop_and_end, NULL);
    gort_chan_recv(gort_chan_new(0, 0), NULL);
}
DEADLOCK(beside_one_that_cancels_a_context) {
    far_ctx = gort_ctx_with_timeout(gort_ctx_background(), 3600 * 1000 * T_MS);
    t_thread(stop_and_end, NULL);
    gort_chan_recv(gort_chan_new(0, 0), NULL);
}

static void threads_that_have_ended_do_not_count(void) {
    FOUND(beside_one_that_stops_a_timer, "[chan receive");
    FOUND(beside_one_that_cancels_a_context, "[chan receive");
    FOUND(beside_one_that_ends_late, "[chan receive");
    FOUND(beside_one_that_times_out, "[chan receive");
    FOUND(beside_threads_that_end, "[chan receive");
}

static int wait_in_main(void *arg) {
    (void)arg;
    gort_select(NULL, 0);
    return 0;
}

static void *main_on_a_thread(void *arg) {
    gort_main(wait_in_main, NULL);
    return arg;
}

static void first_thread_waits(void) {
    t_thread(main_on_a_thread, NULL);
    gort_select(NULL, 0);
}

/* The process keeps its first thread, as a zombie. */
static void first_thread_ends(void) {
    t_thread(main_on_a_thread, NULL);
    pthread_exit(NULL);
}

static void gort_main_may_be_called_on_any_thread(void) {
    found("first_thread_waits", "[select (no cases)");
    found("first_thread_ends", "[select (no cases)");
}

/* ---- more than one gort_main; fork ---- */

static int send_and_return(void *ch) {
    gort_chan_send(ch, NULL);
    return 1;
}

static void second_main(void) {
    gort_chan_t *ch = gort_chan_new(0, 1);
    CHECK_EQ(gort_main(send_and_return, ch), 1);
    /* Not under gort_main: nobody minds that these wait for ever. */
    CHECK_EQ(gort_spawn(wait_here, gort_chan_new(0, 0)), GORT_OK);
    struct timespec nap = {0, 20000000};
    nanosleep(&nap, NULL);
    gort_main(send_and_return, ch);
}

static int fork_and_wait(void *arg) {
    (void)arg;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(T_HANG_SECONDS);
        CHECK(!gort_in_goroutine());
        gort_main(wait_in_main, NULL);
        _exit(9);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    gort_select(NULL, 0);
    return 0;
}

static void fork_in_a_goroutine(void) { gort_main(fork_and_wait, NULL); }

static void a_gort_main_that_returned_leaves_nothing_behind(void) { found("second_main", "[chan send"); }

static void a_forked_child_looks_for_itself(void) { found("fork_in_a_goroutine", "[select (no cases)"); }

/* ---- main exits ---- */

static void sleep_and_return(void *arg) {
    (void)arg;
    gort_sleep(20 * T_MS);
}

static void exit_alone(void) { under_main(gort_exit); }

static void exit_before_others_end_here(void) {
    for (int i = 0; i < 10; i++)
        CHECK_EQ(gort_spawn(i % 2 ? sleep_and_return : lock_and_end, NULL), GORT_OK);
    gort_exit();
}

static void exit_before_others_end(void) { under_main(exit_before_others_end_here); }

static void exit_before_others_wait_here(void) {
    CHECK_EQ(gort_spawn(wait_here, gort_chan_new(0, 0)), GORT_OK);
    gort_exit();
}

static void exit_before_others_wait(void) { under_main(exit_before_others_wait_here); }

static void end_in_time(void *arg) {
    (void)arg;
    exit(7);
}

static void exit_before_a_timer_here(void) {
    CHECK(gort_timer_func(20 * T_MS, end_in_time, NULL) != NULL);
    gort_exit();
}

static void exit_before_a_timer(void) { under_main(exit_before_a_timer_here); }

static void *spawn_late(void *arg) {
    struct timespec nap = {0, 20000000};
    nanosleep(&nap, NULL);
    CHECK_EQ(gort_spawn(end_in_time, NULL), GORT_OK);
    gort_select(NULL, 0);
    return arg;
}

static void exit_before_a_thread_here(void) {
    t_thread(spawn_late, NULL);
    gort_exit();
}

static void exit_before_a_thread(void) { under_main(exit_before_a_thread_here); }

#define NO_GOROUTINES "fatal error: no goroutines (main called gort_exit) - deadlock!\n"

static void main_exits_and_nobody_is_left(void) {
    CHILD_DIES(exit_alone, NO_GOROUTINES);
    CHILD_DIES(exit_before_others_end, NO_GOROUTINES);
}

static void main_exits_and_the_others_wait(void) { found("exit_before_others_wait", "[chan receive"); }

static void main_exits_and_others_are_to_come(void) {
    CHILD_EXITS(exit_before_a_timer, 7);
    CHILD_EXITS(exit_before_a_thread, 7);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(receive_child);
    T_CHILD(receive_from_a_buffer_child);
    T_CHILD(send_child);
    T_CHILD(send_to_a_full_one_child);
    T_CHILD(select_of_two_child);
    T_CHILD(select_of_none_child);
    T_CHILD(select_of_nil_child);
    T_CHILD(waitgroup_child);
    T_CHILD(mutex_child);
    T_CHILD(read_lock_child);
    T_CHILD(write_lock_child);
    T_CHILD(cond_child);
    T_CHILD(semaphore_child);
    T_CHILD(once_child);
    T_CHILD(two_mutexes_child);
    T_CHILD(many_child);
    T_CHILD(pinned_child);
    T_CHILD(locked_child);
    T_CHILD(threads_ended_child);
    T_CHILD(fewer_processors_child);
    T_CHILD(after_a_sleep_child);
    T_CHILD(after_timers_child);
    T_CHILD(beside_a_ticker_child);
    T_CHILD(beside_threads_that_block_child);
    T_CHILD(beside_one_that_blocks_late_child);
    T_CHILD(beside_one_that_ends_late_child);
    T_CHILD(beside_one_that_times_out_child);
    T_CHILD(beside_threads_that_end_child);
    T_CHILD(beside_one_that_stops_a_timer_child);
    T_CHILD(beside_one_that_cancels_a_context_child);
    T_CHILD(first_thread_waits);
    T_CHILD(first_thread_ends);
    T_CHILD(second_main);
    T_CHILD(fork_in_a_goroutine);
    T_CHILD(exit_alone);
    T_CHILD(exit_before_others_end);
    T_CHILD(exit_before_others_wait);
    T_CHILD(exit_before_a_timer);
    T_CHILD(exit_before_a_thread);
    RUN(whatever_main_waits_for_is_named);
    RUN(two_that_wait_for_each_other_are_named);
    RUN(goroutines_of_all_kinds_may_be_asleep);
    RUN(when_no_timer_can_wake_anybody);
    RUN(threads_that_wait_in_gort_are_asleep_too);
    RUN(threads_that_have_ended_do_not_count);
    RUN(gort_main_may_be_called_on_any_thread);
    RUN(a_gort_main_that_returned_leaves_nothing_behind);
    RUN(a_forked_child_looks_for_itself);
    RUN(main_exits_and_nobody_is_left);
    RUN(main_exits_and_the_others_wait);
    RUN(main_exits_and_others_are_to_come);
    return t_end();
}
