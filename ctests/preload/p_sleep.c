/* Sleeping: as many as like sleep at the same time. */
#include "p.h"

static int by_nanosleep(void) {
    struct timespec time = {0, 100 * T_MS}, left = {77, 77};
    int result = nanosleep(&time, &left);
    return left.tv_sec == 77 ? result : 1;
}
static int by_usleep(void) { return usleep(100000); }
static int by_sleep(void) { return (int)sleep(1); }
static int by_clock(void) {
    struct timespec time = {0, 100 * T_MS};
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}
static int by_clock_until(clockid_t clock) {
    struct timespec time;
    CHECK_EQ(clock_gettime(clock, &time), 0);
    time.tv_nsec += 100 * T_MS;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return clock_nanosleep(clock, TIMER_ABSTIME, &time, NULL);
}
static int by_monotonic(void) { return by_clock_until(CLOCK_MONOTONIC); }
static int by_realtime(void) { return by_clock_until(CLOCK_REALTIME); }

static int (*const WAYS[])(void) = {by_nanosleep, by_usleep, by_sleep, by_clock, by_monotonic, by_realtime};

static void sleep_once(void *arg) {
    int (*way)(void) = *(int (*const *)(void))arg;
    int64_t before = gort_now();
    KEEPS_ERRNO(way(), 0);
    /* The other clock may be adjusted meanwhile. */
    CHECK(gort_now() - before >= (way == by_realtime ? 90 : 100) * T_MS);
}

static void sleepers_park(void) {
    enum { EACH = 500 };
    gort_waitgroup_t done = {0};
    int64_t before = gort_now();
    for (int i = 0; i < EACH; i++)
        for (size_t j = 0; j < T_LEN(WAYS); j++)
            t_go(&done, sleep_once, (void *)&WAYS[j]);
    gort_waitgroup_wait(&done);
    /* One after the other it would have been 750 s, and on 16 threads 46 s. */
    CHECK(gort_now() - before < 40 * 1000 * T_MS);
}

static void wrong_times_are_refused(void) {
    struct timespec wrong = {0, 1000000000}, negative = {-1, 0}, past = {1, 0}, none = {0, 0};
    FAILS_WITH(nanosleep(&wrong, NULL), EINVAL);
    FAILS_WITH(nanosleep(&negative, NULL), EINVAL);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, NULL), EINVAL);
    CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &past, NULL), EINVAL);
    KEEPS_ERRNO(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL), 0);
    KEEPS_ERRNO(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL), 0);
    KEEPS_ERRNO(nanosleep(&none, NULL), 0);
    KEEPS_ERRNO(usleep(0), 0);
    KEEPS_ERRNO(sleep(0), 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    p_begin();
    RUN_AS_MAIN(sleepers_park);
    RUN_AS_MAIN(wrong_times_are_refused);
    return t_end();
}
