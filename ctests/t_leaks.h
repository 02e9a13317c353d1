/* What the tests of gort_leaks share: looking, and goroutines to be found or not.
 *
 * The one thing to know: the goroutines here have names, by which they are looked for in the report. What makes one a
 * leak must be the only thing that keeps it from being found, so no pointer may be left in a dead part of a frame or in
 * a register: channels are made and given away in functions that are not inlined, and scrub() overwrites what these
 * leave behind. No program can do that for the frames and the memory of the C library, so each test that must find
 * something is a process of its own, has MANY leaks, and wants some of them. Where nobody must be named, no look may
 * name anybody. */
#ifndef GORT_CTESTS_T_LEAKS_H
#define GORT_CTESTS_T_LEAKS_H

#include "t.h"

#include <fcntl.h>
#include <sys/mman.h>

/* A program needs some of these. */
#define T_LEAKS_UNUSED __attribute__((unused))
#define NOINLINE __attribute__((noinline, unused))
#define MANY 20

/* ---- looking ---- */

static NOINLINE void scrub(void) {
    volatile char dirt[32768];
    for (size_t i = 0; i < sizeof dirt; i++)
        dirt[i] = 0;
}

static char report[1 << 20];

/* How many goroutines gort_leaks finds; what it writes is in `report`. */
static NOINLINE int look(void) {
    scrub();
    int fd = memfd_create("report", MFD_CLOEXEC);
    CHECK(fd >= 0);
    int n = gort_leaks(fd);
    if (n < 0)
        FAIL("gort_leaks: %s", gort_strerror(n));
    ssize_t size = pread(fd, report, sizeof report - 1, 0);
    CHECK(size >= 0);
    report[size] = '\0';
    close(fd);
    CHECK((n == 0) == (size == 0));
    return n;
}

/* How many goroutines it tells of with these words. Those of one kind are told of together: "20 goroutines ...". */
static NOINLINE int told_of(const char *words) {
    int n = 0;
    for (char *at = report; *at;) {
        char *end = strstr(at, "\n\n"), *found = strstr(at, words);
        if (found && (!end || found < end))
            n += *at >= '0' && *at <= '9' ? atoi(at) : 1;
        if (!end)
            break;
        at = end + 2;
    }
    return n;
}

/* How many of these it names. */
static NOINLINE int leaked_now(const char *name) {
    char quoted[64];
    int all = look();
    snprintf(quoted, sizeof quoted, "\"%s\" [", name);
    int n = told_of(quoted);
    CHECK(n <= all && all == told_of(" (leaked)"));
    return n;
}

/* Overwrite first what lies where the next function's frame will be. */
#define leaked(name) (scrub(), leaked_now(name))

/* A search may miss a leak, if a left-over pointer happens to lie somewhere. What it may not do is to miss all of
 * many leaks in process after process: run_alone() tries again, a few times. */
#define MISSED 77

static T_LEAKS_UNUSED void missed(const char *name) {
    if (t_state.child) {
        printf("%s: none found in this process\n", name);
        exit(MISSED);
    }
    FAIL("none found: %s", name);
}

#define PATIENCE (4 * INT64_C(1000000000))

/* Look until `found`, the count of those found, is not 0. */
#define UNTIL_FOUND(what, found)                                                                             \
    for (int64_t t_give_up = gort_now() + PATIENCE; (found) == 0; gort_sleep(T_MS))                           \
        if (gort_now() > t_give_up)                                                                          \
            missed(what)

/* There are `total` of them, all leaked. */
#define SOME_ARE_FOUND(name, total)                                                                          \
    do {                                                                                                     \
        int t_found = 0;                                                                                     \
        UNTIL_FOUND(name, t_found = leaked(name));                                                           \
        CHECK(t_found <= (total));                                                                           \
    } while (0)

#define NEVER_NAMED(name)                                                                                    \
    do {                                                                                                     \
        for (int t_look = 0; t_look < 5; t_look++)                                                           \
            if (leaked(name))                                                                                \
                FAIL("one that can wake is named:\n%.800s", strstr(report, name));                          \
    } while (0)

/* ---- goroutines that wait ---- */

struct waiter {
    int64_t number; /* so that the pointer is not where malloc keeps its own in free blocks */
    gort_chan_t *ch;
};

static T_LEAKS_UNUSED atomic_int woken;

static T_LEAKS_UNUSED void receive(void *arg) {
    struct waiter *waiter = arg;
    gort_chan_recv(waiter->ch, NULL);
    gort_chan_release(waiter->ch);
    free(waiter);
    atomic_fetch_add(&woken, 1);
}

static T_LEAKS_UNUSED void spawn_named(const char *name, gort_fn_t fn, void *arg) {
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.name = name;
    CHECK_EQ(gort_spawn_with(&opts, fn, arg), GORT_OK);
}

static NOINLINE void spawn_waiter(const char *name, gort_fn_t fn, gort_chan_t *ch) {
    struct waiter *waiter = malloc(sizeof *waiter);
    waiter->number = 1;
    waiter->ch = ch;
    spawn_named(name, fn, waiter);
}

/* A channel on which a goroutine waits; the pointer goes to `*place` and nowhere else. */
static NOINLINE void plant(const char *name, gort_chan_t **place) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    CHECK(ch != NULL);
    spawn_waiter(name, receive, gort_chan_retain(ch));
    memcpy(place, &ch, sizeof ch);
}

static NOINLINE void all_wait(void) {
    gort_sleep(T_MS);
    t_quiet();
    scrub();
}

/* ---- threads of the host ---- */

static T_LEAKS_UNUSED atomic_int thread_step;

/* Until the test has come so far. */
static T_LEAKS_UNUSED void await(int step) {
    while (atomic_load(&thread_step) < step) {
        struct timespec nap = {0, 1000000};
        nanosleep(&nap, NULL);
    }
}

/* ---- running ---- */

/* A test that is a process of its own. */
static T_LEAKS_UNUSED void run_alone(const char *name, void (*test)(void)) {
    if (t_state.child) {
        t_child_part(name, test);
        return;
    }
    if (!t_wanted(name))
        return;
    atomic_store(&t_state.test, name);
    atomic_fetch_add(&t_state.tests_run, 1);
    const struct t_outcome *outcome = t_spawn_child(name);
    for (int again = 0; again < 5 && WIFEXITED(outcome->status) && WEXITSTATUS(outcome->status) == MISSED; again++)
        outcome = t_spawn_child(name);
    t_check_exit(name, outcome, 0);
}

#define ALONE(test) run_alone(#test, test)

/* Where threads may not be stopped there is nothing to test. */
#define LEAKS_BEGIN(argc, argv)                                                                              \
    T_BEGIN(argc, argv);                                                                                     \
    if (!t_state.child && gort_leaks(-1) == GORT_EPERM) {                                                    \
        printf("skipped: threads of this process may not be stopped here\n");                                \
        return 0;                                                                                            \
    }

#endif
