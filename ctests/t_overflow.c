/* The end of a stack: a report that says whose and how big, and faults that are not gort's go to the host.
 *
 * Every part that dies runs in a child: this program again, with a fresh runtime. */
#include "t.h"

static volatile int never;

/* gcc must neither make a loop of this nor drop the frame. */
static __attribute__((noinline)) long small_frames(long depth) {
    volatile char frame[200];
    frame[0] = (char)depth;
    long below = never == 1 ? 0 : small_frames(depth + 1);
    return below + frame[0];
}

/* Only the far end of each frame is written: steps of 32 KiB, which a guard of one page would not stop. */
static __attribute__((noinline)) long big_frames(long depth) {
    volatile char frame[32 * 1024];
    frame[0] = (char)depth;
    long below = never == 1 ? 0 : big_frames(depth + 1);
    return below + frame[0];
}

static void recurse_small(void *arg) {
    (void)arg;
    small_frames(0);
}

static void recurse_big(void *arg) {
    (void)arg;
    big_frames(0);
}

static void recurse_after_moving_about(void *arg) {
    for (int i = 0; i < 50; i++) {
        gort_yield();
        gort_sleep(T_MS / 20);
    }
    recurse_small(arg);
}

static void start(gort_fn_t fn, const char *name, size_t stack_size) {
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.name = name;
    opts.stack_size = stack_size;
    CHECK_EQ(gort_spawn_with(&opts, fn, NULL), GORT_OK);
    gort_sleep(T_PATIENCE);
    FAIL("nothing happened");
}

static void overflow_small_frames(void) { start(recurse_small, "deep diver", 0); }
static void overflow_big_frames(void) { start(recurse_big, "big steps", 0); }
static void overflow_one_mib(void) { start(recurse_small, "one mib", 1 << 20); }
static void overflow_smallest(void) { start(recurse_big, "smallest", 16 << 10); }
static void overflow_after_moving_about(void) { start(recurse_after_moving_about, "traveller", 0); }

static void overflow_unnamed(void) {
    CHECK_EQ(gort_spawn(recurse_small, NULL), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static void nothing(void *arg) { gort_sleep(arg ? T_MS : 0); }

static void overflow_the_fiftieth(void) {
    for (int i = 0; i < 49; i++)
        CHECK_EQ(gort_spawn(nothing, i % 2 ? "" : NULL), GORT_OK);
    overflow_small_frames();
}

static int recurse_in_main(void *arg) {
    recurse_small(arg);
    return 0;
}

static void overflow_in_main(void) { gort_main(recurse_in_main, NULL); }

/* "goroutine 7", "256 KiB" or "262144": any place that a goroutine's number or a stack's size is named. */
static bool names_goroutine(const char *text) {
    for (const char *at = text; (at = strstr(at, "goroutine ")); at++) {
        char *end;
        if (strtoul(at + strlen("goroutine "), &end, 10) > 0 && end != at + strlen("goroutine "))
            return true;
    }
    return false;
}

static bool names_size(const char *text, size_t size) {
    char kib[32], mib[32], bytes[32];
    snprintf(kib, sizeof kib, "%zu KiB", size >> 10);
    snprintf(mib, sizeof mib, "%zu MiB", size >> 20);
    snprintf(bytes, sizeof bytes, "%zu", size);
    return strstr(text, kib) || (size >> 20 && strstr(text, mib)) || strstr(text, bytes);
}

static void check_report(const char *part, const char *name, size_t stack_size) {
    const struct t_outcome *o = t_spawn_child(part);
    t_check_exit(part, o, 2);
    t_check_says(part, o, "fatal error: stack overflow");
    if (name)
        t_check_says(part, o, name);
    if (!names_goroutine(o->err))
        FAIL("child %s: stderr lacks the goroutine's id:\n%.600s", part, o->err);
    if (stack_size && !names_size(o->err, stack_size))
        FAIL("child %s: stderr lacks the stack's size, %zu KiB:\n%.600s", part, stack_size >> 10, o->err);
}

static void stack_overflow_says_who_and_how_big(void) {
    for (long i = 0; i < t_n(3, 1); i++) {
        check_report("overflow_small_frames", "deep diver", 256 << 10);
        check_report("overflow_big_frames", "big steps", 256 << 10);
        check_report("overflow_one_mib", "one mib", 1 << 20);
        check_report("overflow_smallest", "smallest", 0);
        check_report("overflow_after_moving_about", "traveller", 256 << 10);
        check_report("overflow_unnamed", NULL, 256 << 10);
        check_report("overflow_the_fiftieth", "deep diver", 256 << 10);
        check_report("overflow_in_main", NULL, 8 << 20);
    }
}

/* ---- faults that are not ours ---- */

static void host_handler(int signo, siginfo_t *info, void *context) {
    (void)context;
    static const char text[] = "the host's handler\n";
    ssize_t n = write(2, text, sizeof text - 1);
    (void)n;
    _exit(signo == SIGSEGV && info->si_addr == NULL ? 42 : 43);
}

static void install_host_handler(void) {
    struct sigaction action = {0};
    action.sa_sigaction = host_handler;
    action.sa_flags = SA_SIGINFO;
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
}

static void start_gort(void) {
    gort_waitgroup_t done = {0};
    t_go(&done, nothing, NULL);
    gort_waitgroup_wait(&done);
}

static void write_to_null(void *arg) {
    (void)arg;
    volatile int *volatile null = NULL;
    *null = 1;
}

static void fault_in_a_goroutine(void) {
    CHECK_EQ(gort_spawn(write_to_null, NULL), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static void *fault_on_this_thread(void *arg) {
    write_to_null(arg);
    return NULL;
}

static void fault_on_a_thread(void) {
    start_gort();
    pthread_join(t_thread(fault_on_this_thread, NULL), NULL);
}

static void fault_on_the_main_thread(void) {
    start_gort();
    write_to_null(NULL);
}

static void host_fault_in_a_goroutine(void) {
    install_host_handler();
    fault_in_a_goroutine();
}

static void host_fault_on_a_thread(void) {
    install_host_handler();
    fault_on_a_thread();
}

static void host_fault_on_the_main_thread(void) {
    install_host_handler();
    fault_on_the_main_thread();
}

static void host_overflow(void) {
    install_host_handler();
    overflow_small_frames();
}

static void *overflow_this_thread(void *arg) {
    recurse_small(arg);
    return NULL;
}

static void overflow_of_a_plain_thread(void) {
    start_gort();
    pthread_join(t_thread(overflow_this_thread, NULL), NULL);
}

static void raise_sigsegv(void *arg) {
    (void)arg;
    raise(SIGSEGV);
    gort_sleep(T_PATIENCE);
}

static void sent_to_a_goroutine(void) {
    CHECK_EQ(gort_spawn(raise_sigsegv, NULL), GORT_OK);
    gort_sleep(T_PATIENCE);
}

static void check_killed(const char *part) {
    const struct t_outcome *o = t_spawn_child(part);
    if (!WIFSIGNALED(o->status) || WTERMSIG(o->status) != SIGSEGV)
        FAIL("child %s: wait status %#x, expected death by SIGSEGV; its stderr:\n%.600s", part,
             (unsigned)o->status, o->err);
    if (strstr(o->err, "stack overflow"))
        FAIL("child %s: called a stack overflow:\n%.600s", part, o->err);
}

static void the_hosts_handler_gets_what_is_not_gorts(void) {
    CHILD_EXITS(host_fault_in_a_goroutine, 42);
    CHILD_EXITS(host_fault_on_a_thread, 42);
    CHILD_EXITS(host_fault_on_the_main_thread, 42);
}

static void a_hosts_handler_does_not_hide_a_stack_overflow(void) {
    check_report("host_overflow", "deep diver", 256 << 10);
}

static void without_a_handler_a_fault_kills_as_ever(void) {
    check_killed("fault_in_a_goroutine");
    check_killed("fault_on_a_thread");
    check_killed("fault_on_the_main_thread");
    check_killed("overflow_of_a_plain_thread");
    check_killed("sent_to_a_goroutine");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(overflow_small_frames);
    T_CHILD(overflow_big_frames);
    T_CHILD(overflow_one_mib);
    T_CHILD(overflow_smallest);
    T_CHILD(overflow_after_moving_about);
    T_CHILD(overflow_unnamed);
    T_CHILD(overflow_the_fiftieth);
    T_CHILD(overflow_in_main);
    T_CHILD(host_fault_in_a_goroutine);
    T_CHILD(host_fault_on_a_thread);
    T_CHILD(host_fault_on_the_main_thread);
    T_CHILD(host_overflow);
    T_CHILD(fault_in_a_goroutine);
    T_CHILD(fault_on_a_thread);
    T_CHILD(fault_on_the_main_thread);
    T_CHILD(overflow_of_a_plain_thread);
    T_CHILD(sent_to_a_goroutine);
    RUN(stack_overflow_says_who_and_how_big);
    RUN(the_hosts_handler_gets_what_is_not_gorts);
    RUN(a_hosts_handler_does_not_hide_a_stack_overflow);
    RUN(without_a_handler_a_fault_kills_as_ever);
    return t_end();
}
