/* Stacks over time: what once went deep comes back, and what is on a stack stays there. */
#include "t.h"

static __attribute__((noinline)) long touch_kib(long kib) {
    volatile char frame[1024];
    for (size_t i = 0; i < sizeof frame; i += 128)
        frame[i] = (char)kib;
    /* clang would otherwise keep only the bytes that are used. */
    __asm__ volatile("" : : "r"(frame) : "memory");
    long below = kib > 0 ? touch_kib(kib - 1) : 0;
    for (size_t i = 0; i < sizeof frame; i += 128)
        if (frame[i] != (char)kib)
            FAIL("a frame %ld KiB above the deepest has changed", kib);
    return below + 1;
}

struct deep {
    gort_chan_t *gate;
    atomic_int at_the_bottom;
    long kib;
};

static void go_deep_and_wait(void *arg) {
    struct deep *d = arg;
    CHECK_EQ(touch_kib(d->kib), d->kib + 1);
    atomic_fetch_add(&d->at_the_bottom, 1);
    CHECK_EQ(gort_chan_recv(d->gate, NULL), GORT_ECLOSED);
}

static void memory_of_stacks_that_went_deep_comes_back(void) {
    enum { GOROUTINES = 800 }; /* an idle processor keeps 8 stacks as they are: of 16 processors, 128 */
    gort_waitgroup_t done = {0};
    struct deep d = {gort_chan_new(0, 0), 0, 150};
    const size_t touched = (size_t)GOROUTINES * 150 * 1024;
    size_t before = t_rss();
    for (int i = 0; i < GOROUTINES; i++)
        t_go(&done, go_deep_and_wait, &d);
    EVENTUALLY(atomic_load(&d.at_the_bottom) == GOROUTINES);
    CHECK(t_rss() >= before + touched / 10 * 9);
    CHECK_EQ(gort_chan_close(d.gate), GORT_OK);
    gort_waitgroup_wait(&done);
    /* A few pages may stay with each, hot for the next. */
    EVENTUALLY(t_rss() < before + touched / 4);
    gort_chan_release(d.gate);
}

/* ---- contents ---- */

struct walk {
    gort_chan_t *ch;
    uint64_t seed;
};

static __attribute__((noinline)) void park_at_every_depth(struct walk *w, int depth) {
    volatile uint64_t frame[40];
    for (size_t i = 0; i < T_LEN(frame); i++)
        frame[i] = w->seed * i + (uint64_t)depth;
    switch (depth % 4) {
    case 0: gort_yield(); break;
    case 1: gort_chan_recv_until(w->ch, NULL, gort_now() + 20000); break;
    case 2: gort_chan_try_send(w->ch, NULL); break;
    default: gort_sleep(depth % 16 == 3 ? 20000 : 0); break;
    }
    if (depth > 0)
        park_at_every_depth(w, depth - 1);
    gort_yield();
    for (size_t i = 0; i < T_LEN(frame); i++)
        if (frame[i] != w->seed * i + (uint64_t)depth)
            FAIL("word %zu of the frame at depth %d has changed", i, depth);
}

static void walk(void *arg) { park_at_every_depth(arg, 60); }

static void what_is_on_a_stack_stays_there_over_every_park(void) {
    struct walk walks[100];
    gort_waitgroup_t done = {0};
    gort_chan_t *ch = gort_chan_new(0, 0);
    for (long round = 0; round < t_n(4, 1); round++) {
        for (size_t i = 0; i < T_LEN(walks); i++) {
            walks[i] = (struct walk){ch, t_seed(i)};
            t_go(&done, walk, &walks[i]);
        }
        gort_waitgroup_wait(&done);
    }
    gort_chan_release(ch);
}

static __attribute__((noinline)) double mix(double a, double b, int i) { return a * 1.0000001 + b / (i + 1.5); }

static void compute(void *arg) {
    /* Live floating-point values and callee-saved registers over parks. */
    double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    unsigned long a = 1, b = 2, c = 3, d = 4;
    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < 8; k++)
            x[k] = mix(x[k], x[(k + 1) % 8], i);
        a = a * 31 + b, b = b * 37 + c, c = c * 41 + d, d = d * 43 + a;
        gort_yield();
    }
    unsigned long e = 1, f = 2, g = 3, h = 4;
    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < 8; k++)
            y[k] = mix(y[k], y[(k + 1) % 8], i);
        e = e * 31 + f, f = f * 37 + g, g = g * 41 + h, h = h * 43 + e;
    }
    CHECK(memcmp(x, y, sizeof x) == 0);
    CHECK(a == e && b == f && c == g && d == h);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void registers_survive_every_park(void) {
    gort_waitgroup_t done = {0};
    atomic_int ended = 0;
    for (int i = 0; i < 50; i++)
        t_go(&done, compute, &ended);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&ended), 50);
}

static void check_alignment(void *arg) {
    /* What the ABI promises a function on entry: vector code relies on it. */
    _Alignas(16) volatile char aligned[32];
    aligned[0] = 1;
    CHECK_EQ((uintptr_t)aligned % 16, 0);
    CHECK_EQ((uintptr_t)__builtin_frame_address(0) % 16, 0);
    char text[64];
    snprintf(text, sizeof text, "%.3f %d", 2.5, 7); /* movaps lives here */
    CHECK(strcmp(text, "2.500 7") == 0);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void a_goroutine_starts_on_an_aligned_stack(void) {
    gort_waitgroup_t done = {0};
    atomic_int ended = 0;
    for (int i = 0; i < 50; i++)
        t_go(&done, check_alignment, &ended);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&ended), 50);
}

/* ---- few stacks ---- */

enum { USED_BEFORE = 12, LATER = 10 };

struct few {
    gort_chan_t *gate, *all, *end;
    atomic_int waiting, ended, running, spawned;
    gort_waitgroup_t done;
};

static void use_a_stack(void *arg) {
    struct few *f = arg;
    atomic_fetch_add(&f->waiting, 1);
    CHECK_EQ(gort_chan_recv(f->gate, NULL), GORT_ECLOSED);
    atomic_fetch_add(&f->ended, 1);
}

static void run_later(void *arg) {
    struct few *f = arg;
    if (atomic_fetch_add(&f->running, 1) == LATER - 1)
        CHECK_EQ(gort_chan_close(f->all), GORT_OK);
    CHECK_EQ(gort_chan_recv(f->end, NULL), GORT_ECLOSED);
}

static void spawn_later(void *arg) {
    struct few *f = arg;
    for (int i = 0; i < LATER; i++)
        t_go(&f->done, run_later, f);
    atomic_store(&f->spawned, 1);
}

static void keep_stacks_and_park_locked(void *arg) {
    struct few *f = arg;
    for (int i = 0; i < USED_BEFORE; i++)
        CHECK_EQ(gort_spawn(use_a_stack, f), GORT_OK);
    while (atomic_load(&f->waiting) < USED_BEFORE)
        gort_yield();
    CHECK_EQ(gort_chan_close(f->gate), GORT_OK);
    while (atomic_load(&f->ended) < USED_BEFORE)
        gort_yield();
    gort_yield();
    /* Their stacks lie at this processor, which this goroutine keeps until the others are short of some. */
    gort_lock_thread();
    gort_max_procs(2);
    t_go(&f->done, spawn_later, f);
    while (!atomic_load(&f->spawned))
        sched_yield();
    for (int64_t until = gort_now() + 50 * T_MS; gort_now() < until;)
        sched_yield();
    CHECK_EQ(gort_chan_recv(f->all, NULL), GORT_ECLOSED);
    CHECK_EQ(gort_chan_close(f->end), GORT_OK);
}

static void run_with_few_stacks(void) {
    struct few f = {.gate = gort_chan_new(0, 0), .all = gort_chan_new(0, 0), .end = gort_chan_new(0, 0)};
    gort_options_t opts = GORT_OPTIONS_INIT;
    opts.stack_size = (size_t)1 << 30;
    opts.max_procs = 1;
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    /* Room for 20 stacks or so. */
    rlim_t room = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)20 << 30) + ((rlim_t)600 << 20);
    struct rlimit limit = {room, room};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    CHECK_EQ(gort_init(&opts), GORT_OK);
    t_go(&f.done, keep_stacks_and_park_locked, &f);
    gort_waitgroup_wait(&f.done);
}

static void stacks_of_a_processor_that_is_given_up_go_to_who_waits_for_one(void) {
    CHILD_EXITS(run_with_few_stacks, 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(run_with_few_stacks);
    RUN(memory_of_stacks_that_went_deep_comes_back);
    RUN_BOTH(what_is_on_a_stack_stays_there_over_every_park);
    RUN_BOTH(registers_survive_every_park);
    RUN_BOTH(a_goroutine_starts_on_an_aligned_stack);
    RUN(stacks_of_a_processor_that_is_given_up_go_to_who_waits_for_one);
    return t_end();
}
