/* Goroutines that compute for long: what waits behind them is found by whoever is idle. */
#include "t.h"

/* Keeps the processor, but lets another thread have the CPU: with only one, whoever is idle needs it. */
static void compute(void) { sched_yield(); }

/* ---- several that compute, and spawn ---- */

enum { HOGS = 3 };

struct rounds {
    int64_t until;
    atomic_int arrived, round, stop;
};

struct hog {
    struct rounds *all;
    uint64_t random;
};

static void count_down(void *arg) { atomic_fetch_sub((atomic_int *)arg, 1); }

static void spawn_and_compute(void *arg) {
    struct hog *h = arg;
    struct rounds *all = h->all;
    for (int round = 0; !atomic_load(&all->stop); round++) {
        int n = 1 + (int)(t_random(&h->random) % 3);
        atomic_int left = n;
        if (t_random(&h->random) % 4 == 0)
            gort_sleep((int64_t)(t_random(&h->random) % 200000));
        for (int i = 0; i < n; i++)
            CHECK_EQ(gort_spawn(count_down, &left), GORT_OK);
        while (atomic_load(&left) > 0)
            compute();
        /* All start the next round together, when the idle have just found nothing. */
        if (atomic_fetch_add(&all->arrived, 1) == HOGS - 1) {
            atomic_store(&all->arrived, 0);
            if (gort_now() > all->until)
                atomic_store(&all->stop, 1);
            atomic_store(&all->round, round + 1);
        }
        while (atomic_load(&all->round) == round)
            compute();
    }
}

static void what_a_computing_goroutine_spawns_runs_on_the_idle_processor(void) {
    struct rounds all = {.until = gort_now() + t_n(1000, 300) * T_MS};
    struct hog hogs[HOGS];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < HOGS; i++) {
        hogs[i] = (struct hog){&all, t_seed((uint64_t)i)};
        t_go(&done, spawn_and_compute, &hogs[i]);
    }
    gort_waitgroup_wait(&done);
}

/* ---- a timer on a processor that is kept ---- */

struct moment {
    atomic_int locked, woke;
};

static void end_locked(void *arg) {
    gort_lock_thread();
    atomic_store(&((struct moment *)arg)->locked, 1);
    for (int64_t until = gort_now() + 5 * T_MS; gort_now() < until;)
        compute();
}

static void sleep_a_little(void *arg) {
    gort_sleep(15 * T_MS);
    atomic_store(&((struct moment *)arg)->woke, 1);
}

static void compute_until_it_woke(void *arg) {
    struct moment *m = arg;
    CHECK_EQ(gort_spawn(end_locked, m), GORT_OK);
    while (!atomic_load(&m->locked))
        compute();
    /* The other processor is taken; ours gets the timer, and we keep it. */
    CHECK_EQ(gort_spawn(sleep_a_little, m), GORT_OK);
    gort_yield();
    while (!atomic_load(&m->woke))
        compute();
}

static void a_sleeper_wakes_though_its_processor_is_kept(void) {
    gort_waitgroup_t done = {0};
    for (long i = 0; i < t_n(10, 3); i++) {
        struct moment m = {0};
        t_go(&done, compute_until_it_woke, &m);
        gort_waitgroup_wait(&done);
    }
}

/* ---- one that yields, behind one that must run on this thread ---- */

struct overtaken {
    atomic_int sleeps, yielded;
};

static void yield_once_late(void *arg) {
    struct overtaken *o = arg;
    while (!atomic_load(&o->sleeps))
        gort_yield();
    /* Alone: whoever keeps watch finds nothing and goes to sleep. */
    for (int64_t until = gort_now() + 10 * T_MS; gort_now() < until;)
        compute();
    gort_yield();
    atomic_store(&o->yielded, 1);
}

static void sleep_then_compute(void *arg) {
    struct overtaken *o = arg;
    atomic_store(&o->sleeps, 1);
    gort_sleep(5 * T_MS);
    while (!atomic_load(&o->yielded))
        compute();
}

static void who_yields_to_a_pinned_goroutine_goes_on_elsewhere(void) {
    gort_spawn_options_t pinned = GORT_SPAWN_OPTIONS_INIT;
    pinned.flags = GORT_SPAWN_PINNED;
    for (long i = 0; i < t_n(20, 5); i++) {
        struct overtaken o = {0};
        gort_waitgroup_t done = {0};
        t_quiet();
        size_t before = gort_num_goroutines();
        CHECK_EQ(gort_spawn_with(&pinned, sleep_then_compute, &o), GORT_OK);
        t_go(&done, yield_once_late, &o);
        gort_waitgroup_wait(&done);
        EVENTUALLY(gort_num_goroutines() == before);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    /* One more than there are of those that compute. */
    int procs = gort_max_procs(HOGS + 1);
    RUN(what_a_computing_goroutine_spawns_runs_on_the_idle_processor);
    gort_max_procs(2);
    RUN(a_sleeper_wakes_though_its_processor_is_kept);
    RUN(who_yields_to_a_pinned_goroutine_goes_on_elsewhere);
    gort_max_procs(procs);
    return t_end();
}
