/* Sleeping: never too short, in the right order, for goroutines and threads, whatever else goes on. */
#include "t.h"

static int64_t clock_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void now_goes_forward_with_the_monotonic_clock(void) {
    int64_t start = gort_now(), clock_start = clock_ns(), last = start;
    for (int i = 0; i < 100000; i++) {
        int64_t now = gort_now();
        CHECK(now >= last);
        last = now;
    }
    gort_sleep(5 * T_MS);
    int64_t clock_end = clock_ns(), end = gort_now();
    CHECK(end - start >= clock_end - clock_start);
}

static void nap(int64_t ns) {
    int64_t start = gort_now();
    gort_sleep(ns);
    int64_t slept = gort_now() - start;
    if (slept < ns)
        FAIL("slept %lld of %lld ns", (long long)slept, (long long)ns);
}

static void nap_at_random(void *arg) {
    uint64_t random = *(uint64_t *)arg;
    for (int i = 0; i < 20; i++)
        nap((int64_t)(t_random(&random) % (uint64_t)(5 * T_MS)));
}

static void sleep_is_never_too_short(void) {
    gort_waitgroup_t done = {0};
    uint64_t seeds[100];
    for (size_t i = 0; i < T_LEN(seeds); i++) {
        seeds[i] = t_seed(i);
        (i % 20 ? t_go : t_go_thread)(&done, nap_at_random, &seeds[i]);
    }
    for (int64_t ns = 1; ns < 40 * T_MS; ns *= 4)
        nap(ns);
    gort_waitgroup_wait(&done);
}

static void sleep_nothing(void *arg) {
    static const int64_t nothing[] = {0, -1, -1000000, INT64_MIN};
    for (size_t i = 0; i < T_LEN(nothing); i++)
        for (int k = 0; k < 100; k++)
            gort_sleep(nothing[i]);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void sleep_of_nothing_or_less_returns_at_once(void) {
    gort_waitgroup_t done = {0};
    atomic_int ended = 0;
    t_go(&done, sleep_nothing, &ended);
    t_go_thread(&done, sleep_nothing, &ended);
    sleep_nothing(&ended);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&ended), 3);
}

/* ---- many, and of different lengths ---- */

enum { SLEEPERS = 300 };

struct alarm {
    int64_t due, woke;
};

static void sleep_until_due(void *arg) {
    struct alarm *a = arg;
    gort_sleep(a->due - gort_now());
    a->woke = gort_now();
}

static void of_many_sleepers_all_wake_and_none_early(void) {
    static struct alarm alarms[SLEEPERS];
    uint64_t random = t_seed(0);
    gort_waitgroup_t done = {0};
    int64_t start = gort_now();
    for (int i = 0; i < SLEEPERS; i++) {
        alarms[i] = (struct alarm){start + (int64_t)(t_random(&random) % (uint64_t)(60 * T_MS)), 0};
        if (i % 3 == 0) /* many with the very same deadline */
            alarms[i].due = alarms[i / 2].due;
        t_go(&done, sleep_until_due, &alarms[i]);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < SLEEPERS; i++)
        CHECK(alarms[i].woke >= alarms[i].due);
}

static void sleep_long_and_say(void *arg) {
    gort_sleep(T_MS * 200);
    CHECK_EQ(gort_chan_send(arg, &(int){2}), GORT_OK);
}

static void sleep_short_and_say(void *arg) {
    gort_sleep(T_MS);
    CHECK_EQ(gort_chan_send(arg, &(int){1}), GORT_OK);
}

static void a_later_and_shorter_sleep_does_not_wait_for_an_earlier_and_longer_one(void) {
    gort_waitgroup_t done = {0};
    gort_chan_t *ch = gort_chan_new(sizeof(int), 2);
    int64_t start = gort_now();
    int first = 0;
    t_go(&done, sleep_long_and_say, ch);
    gort_sleep(T_MS);
    t_go(&done, sleep_short_and_say, ch);
    CHECK_EQ(gort_chan_recv(ch, &first), GORT_OK);
    /* On a machine that stood still for 200 ms either may come first. */
    CHECK(first == 1 || gort_now() - start > 150 * T_MS);
    gort_waitgroup_wait(&done);
    gort_chan_release(ch);
}

static void sleep_forever(void *arg) {
    (void)arg;
    gort_sleep(GORT_FOREVER);
    FAIL("woke up from for ever");
}

static void sleep_a_century(void *arg) {
    (void)arg;
    gort_sleep(INT64_C(3155760000000000000));
    FAIL("woke up after a century");
}

static void a_sleep_for_ever_harms_nobody(void) {
    CHECK_EQ(gort_spawn(sleep_forever, NULL), GORT_OK);
    CHECK_EQ(gort_spawn(sleep_a_century, NULL), GORT_OK);
    for (int i = 0; i < 20; i++)
        nap(T_MS);
}

static void tick(void *arg) {
    for (int i = 0; i < 20; i++)
        nap(T_MS / 20);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void thousands_sleep_at_once(void) {
    gort_waitgroup_t done = {0};
    atomic_int ended = 0;
    int n = (int)t_n(5000, 1000);
    for (int i = 0; i < n; i++)
        t_go(&done, tick, &ended);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&ended), n);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(now_goes_forward_with_the_monotonic_clock);
    RUN_BOTH(sleep_is_never_too_short);
    RUN_BOTH(sleep_of_nothing_or_less_returns_at_once);
    RUN_BOTH(of_many_sleepers_all_wake_and_none_early);
    RUN_BOTH(a_later_and_shorter_sleep_does_not_wait_for_an_earlier_and_longer_one);
    RUN_BOTH(a_sleep_for_ever_harms_nobody);
    RUN_BOTH(thousands_sleep_at_once);
    return t_end();
}
