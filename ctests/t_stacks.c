/* Stacks over time: what once went deep comes back, and what is on a stack stays there. */
#include "t.h"

static __attribute__((noinline)) long touch_kib(long kib) {
    volatile char frame[1024];
    for (size_t i = 0; i < sizeof frame; i += 128)
        frame[i] = (char)kib;
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
    enum { GOROUTINES = 200 };
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

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(memory_of_stacks_that_went_deep_comes_back);
    RUN_BOTH(what_is_on_a_stack_stays_there_over_every_park);
    RUN_BOTH(registers_survive_every_park);
    RUN_BOTH(a_goroutine_starts_on_an_aligned_stack);
    return t_end();
}
