/* Fatal errors: what Go's runtime calls fatal, in Go's words, is the first line on stderr, and the process ends with
 * status 2. The tests of each object ask when it comes to that; this one gathers what is said then. Deadlocks are in
 * t_deadlock.c. */
#include "t.h"

static int run_here(void *fn) {
    ((void (*)(void))fn)();
    return 0;
}

static void unlock_a_mutex(void) {
    gort_mutex_t m = {0};
    gort_mutex_unlock(&m);
}

static void unlock_a_rwmutex(void) {
    gort_rwmutex_t m = {0};
    gort_rwmutex_unlock(&m);
}

static void runlock_a_rwmutex(void) {
    gort_rwmutex_t m = {0};
    gort_rwmutex_runlock(&m);
}

static void lock_null(void) { gort_mutex_lock(NULL); }
static void wait_null(void) { gort_waitgroup_wait(NULL); }
static void signal_null(void) { gort_cond_signal(NULL); }
static void rlock_null(void) { gort_rwmutex_rlock(NULL); }
static void do_null(void) { gort_once_do(NULL, NULL, NULL); }
static void release_null(void) { gort_sem_release(NULL, 1); }

static void main_in_a_goroutine(void) { gort_main(run_here, (void *)lock_null); }

static void wait_in_thread(void *ch) {
    gort_lock_thread();
    gort_chan_recv(ch, NULL);
}

static void exhaust_threads(void) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(gort_spawn(wait_in_thread, ch), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static volatile int deep_enough = 1 << 30;

static __attribute__((noinline)) int overflow(volatile char *above, int depth) {
    volatile char here[1024];
    here[0] = above[0];
    return depth == deep_enough ? 0 : here[0] + overflow(here, depth + 1) + above[1];
}

static void overflow_a_stack(void) { overflow((volatile char[2]){0, 0}, 0); }

/* Each on a plain thread, and in the main goroutine. */
#define PART(name)                                                                                           \
    static void name##_in_main(void) { gort_main(run_here, (void *)name); }
PART(unlock_a_mutex)
PART(unlock_a_rwmutex)
PART(runlock_a_rwmutex)
PART(lock_null)
PART(main_in_a_goroutine)
PART(overflow_a_stack)

static void exhaust_threads_in_main(void) {
    gort_options_t opts = GORT_OPTIONS_INIT;
    opts.max_threads = 8;
    CHECK_EQ(gort_init(&opts), GORT_OK);
    gort_main(run_here, (void *)exhaust_threads);
}

static void begins(const char *part, const char *text) {
    const struct t_outcome *outcome = t_spawn_child(part);
    t_check_exit(part, outcome, 2);
    if (strncmp(outcome->err, text, strlen(text)) != 0)
        FAIL("child %s: stderr does not begin with \"%s\":\n%.600s", part, text, outcome->err);
}

#define SAYS(part, text) begins(#part, "fatal error: " text)

static void misuse_of_a_lock(void) {
    SAYS(unlock_a_mutex, "sync: unlock of unlocked mutex\n");
    SAYS(unlock_a_mutex_in_main, "sync: unlock of unlocked mutex\n");
    SAYS(unlock_a_rwmutex, "sync: Unlock of unlocked RWMutex\n");
    SAYS(unlock_a_rwmutex_in_main, "sync: Unlock of unlocked RWMutex\n");
    SAYS(runlock_a_rwmutex, "sync: RUnlock of unlocked RWMutex\n");
    SAYS(runlock_a_rwmutex_in_main, "sync: RUnlock of unlocked RWMutex\n");
}

static void null_to_a_function_that_returns_nothing(void) {
    SAYS(lock_null, "gort_mutex_lock: ");
    SAYS(lock_null_in_main, "gort_mutex_lock: ");
    SAYS(wait_null, "gort_waitgroup_wait: ");
    SAYS(signal_null, "gort_cond_signal: ");
    SAYS(rlock_null, "gort_rwmutex_rlock: ");
    SAYS(do_null, "gort_once_do: ");
    SAYS(release_null, "gort_sem_release: ");
}

static void calls_in_the_wrong_place(void) {
    SAYS(main_in_a_goroutine_in_main, "gort_main: called from a goroutine\n");
    SAYS(gort_exit, "gort_exit: called outside a goroutine\n");
}

static void nothing_left_of_something(void) {
    SAYS(exhaust_threads_in_main, "thread exhaustion\n");
    SAYS(overflow_a_stack_in_main, "stack overflow\n");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(unlock_a_mutex);
    T_CHILD(unlock_a_mutex_in_main);
    T_CHILD(unlock_a_rwmutex);
    T_CHILD(unlock_a_rwmutex_in_main);
    T_CHILD(runlock_a_rwmutex);
    T_CHILD(runlock_a_rwmutex_in_main);
    T_CHILD(lock_null);
    T_CHILD(lock_null_in_main);
    T_CHILD(wait_null);
    T_CHILD(signal_null);
    T_CHILD(rlock_null);
    T_CHILD(do_null);
    T_CHILD(release_null);
    T_CHILD(main_in_a_goroutine_in_main);
    T_CHILD(gort_exit);
    T_CHILD(exhaust_threads_in_main);
    T_CHILD(overflow_a_stack_in_main);
    RUN(misuse_of_a_lock);
    RUN(null_to_a_function_that_returns_nothing);
    RUN(calls_in_the_wrong_place);
    RUN(nothing_left_of_something);
    return t_end();
}
