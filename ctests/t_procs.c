/* Workers: how many, all of them at work, changed at run time, asleep when there is nothing to do. */
#include "t.h"

#include <sched.h>

static void num_cpu_is_what_affinity_allows_at_most(void) {
    cpu_set_t set;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK(gort_num_cpu() >= 1);
    CHECK(gort_num_cpu() <= CPU_COUNT(&set));
}

static void max_procs_comes_from_the_environment_or_the_cpus(void) {
    const char *wanted = getenv("GORT_MAXPROCS");
    CHECK_EQ(gort_max_procs(0), wanted ? atoi(wanted) : gort_max_procs(-1));
    if (!wanted)
        CHECK(gort_max_procs(0) >= 1 && gort_max_procs(0) <= gort_num_cpu());
}

static void max_procs_sets_and_says_what_it_was_before(void) {
    int before = gort_max_procs(0), last = before;
    static const int settings[] = {1, 3, 2, 16, 1, 8, 64, 5};
    for (size_t i = 0; i < T_LEN(settings); i++) {
        CHECK_EQ(gort_max_procs(settings[i]), last);
        last = settings[i];
        CHECK_EQ(gort_max_procs(0), last);
        CHECK_EQ(gort_max_procs(-7), last);
        CHECK_EQ(gort_max_procs(INT32_MIN), last);
    }
    CHECK_EQ(gort_max_procs(before), last);
}

/* ---- all workers work ---- */

struct meeting {
    atomic_int arrived;
    int expected;
};

static void spin_until_all_are_here(void *arg) {
    struct meeting *m = arg;
    atomic_fetch_add(&m->arrived, 1);
    while (atomic_load(&m->arrived) < m->expected)
        sched_yield(); /* the kernel's: this goroutine keeps its worker */
}

static void as_many_goroutines_as_workers_run_at_once(void) {
    int64_t until;
    for (long round = 0; t_again(round, t_n(100, 20), &until); round++) {
        gort_waitgroup_t done = {0};
        struct meeting m = {0, gort_max_procs(0) - gort_in_goroutine()};
        for (int i = 0; i < m.expected; i++)
            t_go(&done, spin_until_all_are_here, &m);
        /* The main goroutine keeps its own worker, too. */
        while (gort_in_goroutine() && atomic_load(&m.arrived) < m.expected)
            sched_yield();
        gort_waitgroup_wait(&done);
    }
}

struct hog {
    gort_chan_t *ch;
    atomic_int ran;
    bool sleeper;
};

static void woken_by_the_hog(void *arg) {
    struct hog *h = arg;
    CHECK_EQ(gort_chan_recv(h->ch, NULL), GORT_OK);
    if (h->sleeper)
        gort_sleep(T_MS / 2);
    atomic_store(&h->ran, 1);
}

static void wake_and_keep_the_worker(void *arg) {
    struct hog *h = arg;
    CHECK_EQ(gort_chan_send(h->ch, NULL), GORT_OK);
    while (!atomic_load(&h->ran))
        sched_yield();
}

static void a_goroutine_woken_by_a_hog_is_taken_over_by_another_worker(void) {
    if (gort_max_procs(0) < 2)
        return; /* with one worker a hog may keep it */
    int64_t until;
    for (long round = 0; t_again(round, t_n(200, 40), &until); round++) {
        gort_waitgroup_t done = {0};
        struct hog h = {gort_chan_new(0, 0), 0, round % 2};
        t_go(&done, woken_by_the_hog, &h);
        if (round % 3 == 0)
            gort_sleep(T_MS / 10);
        t_go(&done, wake_and_keep_the_worker, &h);
        gort_waitgroup_wait(&done);
        gort_chan_release(h.ch);
    }
}

/* ---- changed under load ---- */

struct mill {
    gort_chan_t *work, *results;
    atomic_int stop;
    atomic_long sum;
    long jobs;
};

static void grind(void *arg) {
    struct mill *m = arg;
    long job;
    while (gort_chan_recv(m->work, &job) == GORT_OK) {
        if (job % 7 == 0)
            gort_yield();
        if (job % 101 == 0)
            gort_sleep(20000);
        CHECK_EQ(gort_chan_send(m->results, &job), GORT_OK);
    }
}

static void feed(void *arg) {
    struct mill *m = arg;
    for (long i = 1; i <= m->jobs; i++)
        CHECK_EQ(gort_chan_send(m->work, &i), GORT_OK);
    CHECK_EQ(gort_chan_close(m->work), GORT_OK);
}

static void collect(void *arg) {
    struct mill *m = arg;
    long job;
    for (long i = 0; i < m->jobs; i++) {
        CHECK_EQ(gort_chan_recv(m->results, &job), GORT_OK);
        atomic_fetch_add(&m->sum, job);
    }
    atomic_store(&m->stop, 1);
}

static void turn_the_screw(void *arg) {
    struct mill *m = arg;
    uint64_t random = t_seed((uintptr_t)&random);
    int before = gort_max_procs(0);
    while (!atomic_load(&m->stop)) {
        int previous = gort_max_procs(1 + (int)(t_random(&random) % 20));
        CHECK(previous >= 1 && previous <= 20);
        gort_sleep((int64_t)(t_random(&random) % (uint64_t)T_MS));
    }
    gort_max_procs(before);
}

static void max_procs_goes_up_and_down_under_load_and_nothing_is_lost(void) {
    for (int thread = 0; thread < 2; thread++) {
        struct mill m = {gort_chan_new(sizeof(long), 10), gort_chan_new(sizeof(long), 0), 0, 0, t_n(40000, 4000)};
        gort_waitgroup_t done = {0};
        for (int i = 0; i < 50; i++)
            t_go(&done, grind, &m);
        t_go(&done, collect, &m);
        (thread ? t_go_thread : t_go)(&done, turn_the_screw, &m);
        t_go(&done, feed, &m);
        gort_waitgroup_wait(&done);
        CHECK_EQ(atomic_load(&m.sum), m.jobs * (m.jobs + 1) / 2);
        gort_chan_release(m.work);
        gort_chan_release(m.results);
    }
}

/* ---- idle ---- */

static int64_t cpu_time(void) {
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000000) +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000);
}

static void wait_for_close(void *arg) { CHECK_EQ(gort_chan_recv(arg, NULL), GORT_ECLOSED); }

static void sleep_for_very_long(void *arg) {
    gort_case_t cases[] = {{arg, NULL, GORT_RECV, 0}};
    CHECK_EQ(gort_select_until(cases, 1, gort_now() + 60 * T_PATIENCE), 0);
}

static void an_idle_process_uses_no_cpu(void) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 100; i++)
        t_go(&done, i % 2 ? wait_for_close : sleep_for_very_long, ch);
    t_quiet();
    int64_t best = INT64_MAX;
    for (int i = 0; i < 4; i++) { /* background work of the last seconds may still end */
        int64_t before = cpu_time(), start = gort_now();
        struct timespec second = {0, t_stress() ? 300000000 : 700000000};
        nanosleep(&second, NULL);
        int64_t used = (cpu_time() - before) * 1000 / (gort_now() - start);
        best = used < best ? used : best;
        if (best < 100)
            break;
    }
    if (best >= 100)
        FAIL("an idle process uses %lld thousandths of a core", (long long)best);
    CHECK_EQ(gort_chan_close(ch), GORT_OK);
    gort_waitgroup_wait(&done);
    gort_chan_release(ch);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(num_cpu_is_what_affinity_allows_at_most);
    RUN_BOTH(max_procs_comes_from_the_environment_or_the_cpus);
    RUN_BOTH(max_procs_sets_and_says_what_it_was_before);
    RUN_BOTH(as_many_goroutines_as_workers_run_at_once);
    RUN_BOTH(a_goroutine_woken_by_a_hog_is_taken_over_by_another_worker);
    RUN_BOTH(max_procs_goes_up_and_down_under_load_and_nothing_is_lost);
    RUN(an_idle_process_uses_no_cpu);
    return t_end();
}
