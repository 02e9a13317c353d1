/* The harness of the litmus tests: small races, run a million times, whose forbidden result must never be seen.
 *
 * The one thing to know: a run is two sides, which touch the plain words x and y and one synchronising
 * operation between; a run counts only if its sides ran on two OS threads, and a test goes on until enough runs
 * have counted. Before each the sides meet at a barrier (`pair`), or many runs are under way at once (`flood`).
 *
 * The words are `volatile`, so that the compiler neither folds nor reorders them among themselves, and plain:
 * whatever order others see them in comes from the operation under test. That the harness would see it if there
 * were none, t_litmus_control.c shows: the same races without the operation. */
#ifndef GORT_CTESTS_LITMUS_H
#define GORT_CTESTS_LITMUS_H

#include "t.h"

#include <sched.h>

/* Two lines: the processor fetches them in pairs. */
#define LITMUS_LINE 128
#define LITMUS_ALIGNED _Alignas(LITMUS_LINE)

struct litmus_word {
    LITMUS_ALIGNED volatile long v;
};

/* What one side leaves behind. */
struct litmus_trace {
    LITMUS_ALIGNED volatile long read;
    volatile long thread; /* that it ran on; 0: it has not yet */
};

/* The memory of one run. In a flood it is used over and over, and `number` tells the runs apart. */
struct run {
    struct litmus_word x, y; /* the data: zero before a pair's run */
    struct litmus_trace left, right;
    LITMUS_ALIGNED union {
        gort_mutex_t mutex;
        gort_rwmutex_t rwmutex;
        gort_once_t once;
        gort_waitgroup_t waitgroup;
        gort_sem_t sem;
    };
    gort_cond_t cond;
    atomic_long flag; /* for tests of C's atomics, and for those that need a hint besides */
    gort_chan_t *chan, *other_chan;
    void *handle; /* of a test that needs another */
    LITMUS_ALIGNED atomic_long ready; /* a flood: the number of the run that its waiter waits for */
    volatile long number;             /* a flood: of the run that is under way */
    bool stop;                        /* plain: the waiter learns of it from the operation under test */
    long counted, seen;
    const struct litmus *litmus;
};

struct litmus {
    /* What each side does in a run. In a pair they run at the same time; in a flood the left side ends a wait,
     * and the right side waits and then looks. */
    void (*left)(struct run *), (*right)(struct run *);
    /* Before a run, while the other side keeps out: make the object new. A pair's left side does it, a flood's
     * waiter. May be NULL. */
    void (*prepare)(struct run *);
    /* A flood: what the left side does before it writes the data. May be NULL. */
    void (*before)(struct run *);
    /* A pair: after it, is this the forbidden result? */
    bool (*forbidden)(const struct run *);
    /* At the end, for each of the runs' memories. May be NULL. */
    void (*discard)(struct run *);
    /* A flood: the left side starts the right one, with litmus_started(run). */
    bool starts;
    /* A control: the forbidden result must come up. */
    bool control;
};

/* ---- where, and whether at once ---- */

/* The thread that runs this, never 0. Not inlined, and not to be taken for a constant: a goroutine changes
 * threads. */
static __attribute__((noinline)) long litmus_here(void) {
    __asm__ volatile("" ::: "memory");
    return (long)pthread_self();
}

/* Can two sides run at the same time? Else there is nothing to see, and a few runs will do. */
static inline bool litmus_parallel(void) {
    static int known; /* set by the first call, before there are sides */
    if (!known)
        known = gort_num_cpu() > 1 && gort_max_procs(0) > 1 ? 1 : -1;
    return known > 0;
}

/* A million with two workers, fewer with more of them, on the same CPUs. */
static inline long litmus_runs(long million) {
    if (!litmus_parallel())
        return million / 200;
    return t_stress() ? million / 100 : gort_max_procs(0) == 2 ? million : million / 10;
}

/* Wait a moment for the other side: `*spins` counts up from 0. The other may be queued behind this goroutine, or
 * have no CPU; it is not helped by giving up ours soon: then neither would be there when the other comes. */
static inline void litmus_relax(long *spins) {
    ++*spins;
    if (!litmus_parallel() || *spins % 2000000 == 0)
        gort_yield();
    if (!litmus_parallel() || *spins > 1000000)
        sched_yield();
    __asm__ volatile("" ::: "memory");
}

static inline void litmus_delay(uint64_t *random, unsigned most) {
    for (uint64_t n = t_random(random) % most; n > 0; n--)
        __asm__ volatile("" ::: "memory");
}

/* Is it enough? When the machine is too busy to let two threads run at the same time, a run may take a time slice
 * of the kernel's: after a while, what there is will have to do; and after less once that has happened. */
static inline bool litmus_enough(long total, long counted, long goal, int64_t began) {
    static atomic_bool busy;
    if ((litmus_parallel() ? counted : total) >= goal)
        return true;
    int64_t spent = gort_now() - began;
    if (spent < (goal < 1000000 || atomic_load(&busy) ? 2000 : 10000) * T_MS || counted < goal / 1000) {
        if (spent > T_PATIENCE)
            FAIL("%ld runs, but only %ld of them on two threads", total, counted);
        return false;
    }
    atomic_store(&busy, true);
    fprintf(stderr, "%s: the machine is busy: %ld runs instead of %ld\n", atomic_load(&t_state.test), counted, goal);
    return true;
}

static inline void litmus_show(long total, long counted, long seen, int64_t began) {
    if (getenv("LITMUS_SHOW"))
        fprintf(stderr, "%s: %ld runs, %ld on two threads, %ld forbidden, %.2f s\n", atomic_load(&t_state.test),
                total, counted, seen, (double)(gort_now() - began) / 1e9);
}

/* ---- pairs ---- */

enum { LITMUS_BATCH = 128 };

struct litmus_side {
    LITMUS_ALIGNED atomic_long arrived; /* counts the meetings that this side has come to */
    struct litmus_side *other;
    struct litmus_pair *pair;
    bool is_left;
    uint64_t random;
};

struct litmus_pair {
    const struct litmus *litmus;
    struct run *runs;
    struct litmus_side sides[2];
    LITMUS_ALIGNED long goal;
    long counted, seen, total; /* seen: forbidden results */
    bool over;                 /* plain: the left side writes it between two meetings */
    int64_t began;
};

static inline void litmus_meet(struct litmus_side *side) {
    long at = atomic_load_explicit(&side->arrived, memory_order_relaxed) + 1, spins = 0;
    atomic_store_explicit(&side->arrived, at, memory_order_release);
    while (atomic_load_explicit(&side->other->arrived, memory_order_acquire) < at)
        litmus_relax(&spins);
}

static inline void litmus_judge(struct litmus_pair *pair) {
    for (int i = 0; i < LITMUS_BATCH; i++) {
        const struct run *run = &pair->runs[i];
        CHECK(run->left.thread != 0 && run->right.thread != 0);
        pair->total++;
        pair->counted += run->left.thread != run->right.thread;
        if (pair->litmus->forbidden(run)) {
            pair->seen++;
            if (!pair->litmus->control)
                FAIL("run %ld: forbidden result: r1 %ld, r2 %ld", pair->total, run->left.read, run->right.read);
        }
    }
    if (pair->litmus->control && pair->seen == 0) {
        if (gort_now() - pair->began > T_PATIENCE)
            FAIL("the harness is too weak: %ld runs, the forbidden result never seen", pair->total);
    } else {
        pair->over = litmus_enough(pair->total, pair->counted, pair->goal, pair->began);
    }
}

static inline void litmus_prepare(struct litmus_pair *pair) {
    for (int i = 0; i < LITMUS_BATCH; i++) {
        struct run *run = &pair->runs[i];
        run->x.v = run->y.v = run->left.read = run->right.read = run->left.thread = run->right.thread = 0;
        atomic_store_explicit(&run->flag, 0, memory_order_relaxed);
        run->cond = (gort_cond_t){0};
        run->waitgroup = (gort_waitgroup_t){0};
        if (pair->litmus->prepare)
            pair->litmus->prepare(run);
    }
}

static inline void litmus_side(void *arg) {
    struct litmus_side *side = arg;
    struct litmus_pair *pair = side->pair;
    for (;;) {
        if (side->is_left)
            litmus_prepare(pair);
        litmus_meet(side);
        if (pair->over)
            return;
        /* Both have the words in their caches: a load comes at once, a store must first get the line. */
        for (int i = 0; i < LITMUS_BATCH; i++)
            (void)(pair->runs[i].x.v + pair->runs[i].y.v);
        for (int i = 0; i < LITMUS_BATCH; i++) {
            struct run *run = &pair->runs[i];
            litmus_meet(side);
            litmus_delay(&side->random, 64);
            if (side->is_left) {
                pair->litmus->left(run);
                run->left.thread = litmus_here();
            } else {
                pair->litmus->right(run);
                run->right.thread = litmus_here();
            }
        }
        litmus_meet(side);
        if (side->is_left)
            litmus_judge(pair);
    }
}

/* Runs until `goal` of them have counted; a control, until the forbidden result was seen besides. */
static inline void litmus_pair(const struct litmus *litmus, long goal, bool left_thread, bool right_thread) {
    size_t size = sizeof(struct run) * LITMUS_BATCH;
    struct litmus_pair *pair = aligned_alloc(LITMUS_LINE, sizeof *pair);
    CHECK(pair != NULL);
    memset(pair, 0, sizeof *pair);
    pair->litmus = litmus;
    pair->runs = aligned_alloc(LITMUS_LINE, size);
    CHECK(pair->runs != NULL);
    memset(pair->runs, 0, size);
    pair->goal = goal;
    pair->began = gort_now();
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 2; i++) {
        struct litmus_side *side = &pair->sides[i];
        side->pair = pair;
        side->other = &pair->sides[1 - i];
        side->is_left = i == 0;
        side->random = t_seed((uint64_t)i);
    }
    (left_thread ? t_go_thread : t_go)(&done, litmus_side, &pair->sides[0]);
    (right_thread ? t_go_thread : t_go)(&done, litmus_side, &pair->sides[1]);
    gort_waitgroup_wait(&done);
    litmus_show(pair->total, pair->counted, pair->seen, pair->began);
    for (int i = 0; i < LITMUS_BATCH && litmus->discard; i++)
        litmus->discard(&pair->runs[i]);
    free(pair->runs);
    free(pair);
}

static inline void litmus_test_of(const struct litmus *litmus, long runs) {
    litmus_pair(litmus, litmus_runs(runs), false, false);
    litmus_pair(litmus, litmus_runs(20000), true, false);
    litmus_pair(litmus, litmus_runs(20000), false, true);
    litmus_pair(litmus, litmus_runs(20000), true, true);
}

/* A rule's test: a million runs between goroutines, some with a plain thread on either side. Another form of the
 * same rule: not so many. */
static inline void litmus_test(const struct litmus *litmus) { litmus_test_of(litmus, 1000000); }
static inline void litmus_variant(const struct litmus *litmus) { litmus_test_of(litmus, 100000); }

/* ---- floods ---- */

/* Waiting goroutines, or waiting threads. */
enum { LITMUS_SLOTS = 512, LITMUS_THREADS = 4 };

/* What the right side of a flood does once its wait is over. */
static inline void litmus_look(struct run *run) {
    long x = run->x.v, y = run->y.v, number = run->number;
    if (x != number || y != number) {
        run->seen++;
        if (!run->litmus->control)
            FAIL("run %ld: forbidden result: x %ld, y %ld", number, x, y);
    }
    run->counted += run->left.thread != litmus_here();
}

/* The whole of a right side that is started for each run. */
static inline void litmus_started(void *arg) {
    struct run *run = arg;
    litmus_look(run);
    atomic_store_explicit(&run->ready, run->number + 1, memory_order_release);
}

static inline void litmus_waiter(void *arg) {
    struct run *run = arg;
    for (long number = 1;; number++) {
        if (run->litmus->prepare)
            run->litmus->prepare(run);
        atomic_store_explicit(&run->ready, number, memory_order_release);
        run->litmus->right(run);
        litmus_look(run);
        if (run->stop)
            return;
    }
}

struct litmus_flood {
    const struct litmus *litmus;
    struct run *runs;
    int slots;
    long goal;
};

static inline void litmus_pour(void *arg) {
    const struct litmus_flood *flood = arg;
    uint64_t random = t_seed(3);
    int64_t began = gort_now();
    bool over = false;
    for (long number = 1; !over || !flood->litmus->starts; number++) {
        bool last = over;
        long counted = 0, seen = 0, spins = 0;
        for (int i = 0; i < flood->slots; i++) {
            struct run *run = &flood->runs[i];
            while (atomic_load_explicit(&run->ready, memory_order_acquire) < number)
                litmus_relax(&spins);
            counted += run->counted;
            seen += run->seen;
            litmus_delay(&random, 16);
            run->stop = last;
            run->number = number;
            run->left.thread = litmus_here();
            if (flood->litmus->before)
                flood->litmus->before(run);
            run->x.v = number;
            run->y.v = number;
            flood->litmus->left(run);
        }
        if (last)
            break;
        if (flood->litmus->control && seen == 0) {
            if (gort_now() - began > T_PATIENCE)
                FAIL("the harness is too weak: %ld runs, the forbidden result never seen", number * flood->slots);
        } else {
            over = litmus_enough(number * flood->slots, counted, flood->goal, began);
        }
        if (over)
            litmus_show(number * flood->slots, counted, seen, began);
    }
    for (int i = 0; i < flood->slots && flood->litmus->starts; i++) {
        struct run *run = &flood->runs[i];
        for (long spins = 0; atomic_load_explicit(&run->ready, memory_order_acquire) <= run->number;)
            litmus_relax(&spins);
    }
}

/* One side ends waits, or starts goroutines, round a ring; many goroutines wait there, or are started. */
static inline void litmus_flood(const struct litmus *litmus, long goal, bool left_thread, bool right_threads) {
    struct litmus_flood flood = {litmus, NULL, right_threads ? LITMUS_THREADS : LITMUS_SLOTS, goal};
    size_t size = sizeof(struct run) * (size_t)flood.slots;
    gort_waitgroup_t pouring = {0}, waiters = {0};
    flood.runs = aligned_alloc(LITMUS_LINE, size);
    CHECK(flood.runs != NULL);
    memset(flood.runs, 0, size);
    for (int i = 0; i < flood.slots; i++) {
        flood.runs[i].litmus = litmus;
        if (litmus->starts) {
            if (litmus->prepare)
                litmus->prepare(&flood.runs[i]);
            atomic_store(&flood.runs[i].ready, 1);
        } else {
            (right_threads ? t_go_thread : t_go)(&waiters, litmus_waiter, &flood.runs[i]);
        }
    }
    (left_thread ? t_go_thread : t_go)(&pouring, litmus_pour, &flood);
    gort_waitgroup_wait(&pouring);
    gort_waitgroup_wait(&waiters);
    for (int i = 0; i < flood.slots && litmus->discard; i++)
        litmus->discard(&flood.runs[i]);
    free(flood.runs);
}

static inline void litmus_flood_of(const struct litmus *litmus, long runs) {
    litmus_flood(litmus, litmus_runs(runs), false, false);
    litmus_flood(litmus, litmus_runs(20000), true, false);
    if (!litmus->starts) {
        litmus_flood(litmus, litmus_runs(2000), false, true);
        litmus_flood(litmus, litmus_runs(2000), true, true);
    }
}

/* As litmus_test and litmus_variant. */
static inline void litmus_flood_test(const struct litmus *litmus) { litmus_flood_of(litmus, 1000000); }
static inline void litmus_flood_variant(const struct litmus *litmus) { litmus_flood_of(litmus, 100000); }

/* ---- the usual bodies ---- */

/* For a side that asks over and over with `try`: wait in the blocking form once in a while. A wait of one side
 * and a wake-up by the other takes the scheduler 50 microseconds at worst, since the waker goes on. */
static inline bool litmus_now_and_then(long *count) { return ++*count % 256 == 0; }

/* Ask until the answer is `answer`. */
#define LITMUS_UNTIL(answer, call)                                                                           \
    for (long litmus_spins = 0; (call) != (answer);)                                                         \
    litmus_relax(&litmus_spins)

static inline void litmus_write_both(struct run *run) {
    run->x.v = 1;
    run->y.v = 1;
}

/* Newest first: who sees y must see x, and here both must be seen. */
static inline void litmus_read_both(struct run *run) {
    run->right.read = run->y.v;
    run->left.read = run->x.v;
}

static inline bool litmus_not_both(const struct run *run) { return run->left.read != 1 || run->right.read != 1; }
static inline bool litmus_neither(const struct run *run) { return run->left.read == 0 && run->right.read == 0; }

#endif
