/* What the C tests share: checks, a watchdog, a quiet point, death tests, a random number generator.
 *
 * The one thing to know: every test function is named after the rule it holds, and a check that fails ends
 * the program with that name on stderr. No test asserts that something is fast; a wait is bounded only by
 * "it did not hang".
 *
 * A program is `main` with T_BEGIN, the T_CHILD lines, the RUN lines and `return t_end()`. Arguments name the
 * tests to run (all without any). GORT_STRESS or GORT_BRIEF in the environment asks for
 * smaller numbers: see t_n. */
#ifndef GORT_CTESTS_T_H
#define GORT_CTESTS_T_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "gort.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
#include <atomic>
using std::atomic_fetch_add;
using std::atomic_fetch_sub;
using std::atomic_int;
using std::atomic_load;
using std::atomic_long;
using std::atomic_store;
using std::atomic_uint;
#define T_ATOMIC(type) std::atomic<type>
#else
#include <stdatomic.h>
#define T_ATOMIC(type) _Atomic(type)
#endif

#define T_MS INT64_C(1000000)
#define T_LEN(array) (sizeof(array) / sizeof((array)[0]))
/* Long enough to say "it hangs" on a busy machine. */
#define T_HANG_SECONDS 100
#define T_PATIENCE (60 * INT64_C(1000000000))

static struct {
    const char *program;
    char *const *only;           /* names of the tests to run; NULL-terminated, empty: all */
    const char *child;           /* set in a re-executed child: the part to play */
    T_ATOMIC(const char *) test; /* the rule under test now */
    atomic_uint tests_run;
} t_state;

/* ---- checks ---- */

static inline void t_fail(const char *file, int line, const char *func, const char *format, ...)
    __attribute__((noreturn, format(printf, 4, 5)));

static inline void t_fail(const char *file, int line, const char *func, const char *format, ...) {
    char text[1024];
    const char *test = atomic_load(&t_state.test);
    int n = snprintf(text, sizeof text, "%s:%d: rule broken: %s: ", file, line, test ? test : t_state.program);
    va_list args;
    va_start(args, format);
    n += vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    if (n > (int)sizeof text - 128)
        n = (int)sizeof text - 128;
    n += snprintf(text + n, sizeof text - (size_t)n, " (in %s)\n", func);
    ssize_t written = write(2, text, (size_t)n);
    (void)written;
    _exit(1);
}

#define FAIL(...) t_fail(__FILE__, __LINE__, __func__, __VA_ARGS__)

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            FAIL("not true: %s", #condition);                                                                \
    } while (0)

static inline void t_check_eq(intmax_t got, intmax_t expected, const char *what, const char *file, int line,
                              const char *func) {
    if (got != expected)
        t_fail(file, line, func, "%s: got %jd, expected %jd", what, got, expected);
}

/* Both sides are integers. */
#define CHECK_EQ(got, expected)                                                                              \
    t_check_eq((intmax_t)(got), (intmax_t)(expected), #got, __FILE__, __LINE__, __func__)

/* Wait until `condition` holds; it need not hold soon, only before anybody would say that it never will. */
#define EVENTUALLY(condition)                                                                                \
    do {                                                                                                     \
        int64_t t_give_up = gort_now() + T_PATIENCE;                                                         \
        while (!(condition)) {                                                                               \
            if (gort_now() > t_give_up)                                                                      \
                FAIL("never became true: %s", #condition);                                                   \
            gort_sleep(T_MS / 5);                                                                            \
        }                                                                                                    \
    } while (0)

/* ---- running ---- */

static inline bool t_stress(void) { return getenv("GORT_STRESS") != NULL; }

/* One of several runs of the same test, of which another is the full one. */
static inline bool t_brief(void) { return getenv("GORT_BRIEF") != NULL; }

/* How often to do something: `full` in a test run, a quarter in a brief one, `small` in a round of stress. */
static inline long t_n(long full, long small) {
    if (t_stress())
        return small;
    if (!t_brief() || full <= small)
        return full;
    /* A multiple of `small`, since some tests want theirs divisible. */
    return full / 4 > small ? full / 4 / small * small : small;
}

/* For what is repeated to meet a rare moment: `n` times, or as often as fits into a while. On one busy CPU a
 * round that two threads must share takes a time slice of the kernel's, not microseconds. */
static inline bool t_again(long i, long n, int64_t *until) {
    if (i == 0)
        *until = gort_now() + (t_stress() ? 150 : t_brief() ? 400 : 1000) * T_MS;
    return i < n && (i < 10 || gort_now() < *until);
}

static inline void *t_watchdog(void *arg) {
    (void)arg;
    sigset_t all; /* handlers would cut its seconds short */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    unsigned seen = 0, seconds = 0;
    for (;;) {
        struct timespec one = {1, 0};
        nanosleep(&one, NULL);
        unsigned run = atomic_load(&t_state.tests_run);
        seconds = run == seen ? seconds + 1 : 0;
        seen = run;
        if (seconds > T_HANG_SECONDS) {
            const char *test = atomic_load(&t_state.test);
            fprintf(stderr, "%s: rule broken: %s: still not done after %d s\n", t_state.program,
                    test ? test : "?", T_HANG_SECONDS);
            abort();
        }
    }
    return NULL;
}

static inline void t_begin(int argc, char **argv) {
    t_state.program = argv[0];
    if (argc == 3 && strcmp(argv[1], "--child") == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        t_state.child = argv[2];
        atomic_store(&t_state.test, argv[2]);
        /* No thread of ours: it would be one that could act, and no deadlock would be one. */
        alarm(T_HANG_SECONDS);
        return;
    }
    t_state.only = argv + 1;
    pthread_t watchdog;
    pthread_attr_t detached;
    if (pthread_attr_init(&detached) || pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) ||
        pthread_create(&watchdog, &detached, t_watchdog, NULL))
        FAIL("no watchdog thread");
}

static inline void t_child_part(const char *name, void (*part)(void)) {
    if (t_state.child && strcmp(t_state.child, name) == 0) {
        part();
        exit(0);
    }
}

static inline bool t_wanted(const char *name) {
    if (t_state.child)
        FAIL("a child without a part: T_CHILD(%s) is missing", t_state.child);
    for (char *const *only = t_state.only; *only; only++)
        if (strcmp(*only, name) == 0)
            return true;
    return !*t_state.only;
}

static inline void t_run(const char *name, void (*test)(void)) {
    if (!t_wanted(name))
        return;
    atomic_store(&t_state.test, name);
    atomic_fetch_add(&t_state.tests_run, 1);
    test();
}

static inline int t_as_main_goroutine(void *test) {
    CHECK(gort_in_goroutine());
    ((void (*)(void))test)();
    return 77;
}

static inline void t_run_as_main(const char *name, void (*test)(void)) {
    if (!t_wanted(name))
        return;
    atomic_store(&t_state.test, name);
    atomic_fetch_add(&t_state.tests_run, 1);
    CHECK_EQ(gort_main(t_as_main_goroutine, (void *)test), 77);
}

static inline int t_end(void) {
    if (!atomic_load(&t_state.tests_run))
        FAIL("no test has the name that was asked for");
    return 0;
}

#define T_BEGIN(argc, argv) t_begin(argc, argv)
#define T_CHILD(part) t_child_part(#part, part)
/* Run a test on the plain main thread. */
#define RUN(test) t_run(#test, test)
/* Run it as the main goroutine. */
#define RUN_AS_MAIN(test) t_run_as_main(#test, test)
/* First the one, then the other. */
#define RUN_BOTH(test) (t_run(#test, test), t_run_as_main(#test, test))

/* ---- threads ---- */

static inline pthread_t t_thread(void *(*fn)(void *), void *arg) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

struct t_call {
    gort_fn_t fn;
    void *arg;
    gort_waitgroup_t *done;
};

static inline void *t_call_thread(void *arg) {
    struct t_call call = *(struct t_call *)arg;
    free(arg);
    CHECK(!gort_in_goroutine());
    call.fn(call.arg);
    gort_waitgroup_done(call.done);
    return NULL;
}

/* gort_waitgroup_go, but on a plain OS thread. */
static inline void t_go_thread(gort_waitgroup_t *done, gort_fn_t fn, void *arg) {
    struct t_call *call = (struct t_call *)malloc(sizeof *call);
    CHECK(call != NULL);
    *call = (struct t_call){fn, arg, done};
    gort_waitgroup_add(done, 1);
    CHECK_EQ(pthread_detach(t_thread(t_call_thread, call)), 0);
}

static inline void t_go(gort_waitgroup_t *done, gort_fn_t fn, void *arg) {
    CHECK_EQ(gort_waitgroup_go(done, fn, arg), GORT_OK);
}

static inline long t_tid(void) { return syscall(SYS_gettid); }

/* ---- the quiet point ---- */

struct t_nap {
    long tid;
    unsigned long switches;
};

/* The other threads of the process and how often each has gone to sleep; -1 if one is awake. */
static inline int t_sleepers(struct t_nap *naps, int room) {
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    int n = 0;
    for (struct dirent *entry; n >= 0 && (entry = readdir(tasks));) {
        long tid = atol(entry->d_name);
        if (tid <= 0 || tid == t_tid())
            continue;
        char path[64], line[256], state = '?';
        unsigned long switches = 0;
        snprintf(path, sizeof path, "/proc/self/task/%ld/status", tid);
        FILE *status = fopen(path, "r");
        if (!status) {
            n = -1;
            break;
        }
        while (fgets(line, sizeof line, status)) {
            sscanf(line, "State: %c", &state);
            sscanf(line, "voluntary_ctxt_switches: %lu", &switches);
        }
        fclose(status);
        CHECK(n < room);
        naps[n++] = (struct t_nap){tid, switches};
        if (state != 'S')
            n = -1;
    }
    closedir(tasks);
    return n;
}

/* Wait until every other thread of the process sleeps: every goroutine is parked then, and every thread that
 * calls gort waits in it. Two looks that agree prove it: a thread that slept in both and has not gone to
 * sleep in between slept all the while. To be called on a plain thread. */
static inline void t_quiet(void) {
    enum { ROOM = 512 };
    static struct t_nap first[ROOM], second[ROOM];
    CHECK(!gort_in_goroutine());
    int64_t give_up = gort_now() + T_PATIENCE;
    for (;;) {
        int n = t_sleepers(first, ROOM);
        if (n >= 0 && t_sleepers(second, ROOM) == n && memcmp(first, second, (size_t)n * sizeof first[0]) == 0)
            return;
        if (gort_now() > give_up)
            FAIL("the process never comes to rest");
        struct timespec nap = {0, 200000};
        nanosleep(&nap, NULL);
    }
}

/* ---- memory ---- */

static inline size_t t_rss(void) {
    unsigned long size = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%lu %lu", &size, &resident) == 2);
    fclose(statm);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Resident memory and the page tables that it costs. */
static inline size_t t_memory(void) {
    char line[256];
    unsigned long tables_kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status))
        sscanf(line, "VmPTE: %lu", &tables_kib);
    fclose(status);
    return t_rss() + tables_kib * 1024;
}

static inline void t_check_growth(const char *what, size_t before, size_t after, size_t bound) {
    if (after > before && after - before > bound)
        FAIL("%s: memory grew by %zu KiB, allowed are %zu", what, (after - before) >> 10, bound >> 10);
}

/* ---- random numbers: xorshift64* ---- */

static inline uint64_t t_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* Starts from GORT_SEED where that is set, else from the clock. */
static inline uint64_t t_seed(uint64_t salt) {
    const char *given = getenv("GORT_SEED");
    uint64_t start = given ? strtoull(given, NULL, 10) : (uint64_t)gort_now();
    uint64_t seed = (start + 1) * UINT64_C(0x9E3779B97F4A7C15) ^ (salt + 1) * UINT64_C(0xBF58476D1CE4E5B9);
    return seed ? seed : 1;
}

/* ---- children ---- */

struct t_outcome {
    int status;      /* as of waitpid */
    char err[65536]; /* what it wrote on stderr */
};

/* Run this program again to play `part` alone: a fresh process, a fresh runtime. Not from a goroutine. */
static inline const struct t_outcome *t_spawn_child(const char *part) {
    static struct t_outcome outcome;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char *args[] = {(char *)t_state.program, (char *)"--child", (char *)part, NULL};
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        execv("/proc/self/exe", args);
        _exit(127);
    }
    close(ends[1]);
    size_t n = 0;
    for (;;) {
        char overflow[4096];
        bool full = n == sizeof outcome.err - 1;
        ssize_t got = full ? read(ends[0], overflow, sizeof overflow)
                           : read(ends[0], outcome.err + n, sizeof outcome.err - 1 - n);
        if (got <= 0)
            break;
        n += full ? 0 : (size_t)got;
    }
    outcome.err[n] = '\0';
    close(ends[0]);
    CHECK_EQ(waitpid(pid, &outcome.status, 0), pid);
    return &outcome;
}

static inline void t_check_exit(const char *part, const struct t_outcome *outcome, int expected) {
    if (!WIFEXITED(outcome->status) || WEXITSTATUS(outcome->status) != expected)
        FAIL("child %s: got %s %d, expected exit status %d; its stderr:\n%.600s", part,
             WIFEXITED(outcome->status) ? "exit status" : "signal",
             WIFEXITED(outcome->status) ? WEXITSTATUS(outcome->status) : WTERMSIG(outcome->status), expected,
             outcome->err);
}

static inline void t_check_says(const char *part, const struct t_outcome *outcome, const char *text) {
    if (!strstr(outcome->err, text))
        FAIL("child %s: stderr lacks \"%s\":\n%.600s", part, text, outcome->err);
}

/* The child ends with this status. */
#define CHILD_EXITS(part, expected) t_check_exit(#part, t_spawn_child(#part), expected)

/* The runtime ends the child: status 2 and these words on stderr. */
#define CHILD_DIES(part, text)                                                                               \
    do {                                                                                                     \
        const struct t_outcome *t_o = t_spawn_child(#part);                                                  \
        t_check_exit(#part, t_o, 2);                                                                         \
        t_check_says(#part, t_o, text);                                                                      \
    } while (0)

#endif
