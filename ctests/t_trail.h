/* What the tests of panic, defer and recover share: a trail of letters, left by what runs, in the order in which it
 * runs. */
#ifndef GORT_CTESTS_T_TRAIL_H
#define GORT_CTESTS_T_TRAIL_H

#include "t.h"

/* One for each goroutine of a test; nobody else touches it meanwhile. */
struct trail {
    char text[256];
    size_t len;
    gort_waitgroup_t *done;
    bool parks; /* Each step parks first. */
};

static inline void t_step(struct trail *trail, const char *text) {
    if (trail->parks)
        gort_yield();
    size_t n = strlen(text);
    CHECK(trail->len + n < sizeof trail->text);
    memcpy(trail->text + trail->len, text, n + 1);
    trail->len += n;
}

#define CHECK_TRAIL(trail, expected)                                                                         \
    do {                                                                                                     \
        if (strcmp((trail)->text, expected) != 0)                                                            \
            FAIL("the trail is \"%s\", expected \"%s\"", (trail)->text, expected);                           \
    } while (0)

/* Deferred calls that leave a letter. */
#define T_STEPS(name, text)                                                                                  \
    static void name(void *trail) { t_step((struct trail *)trail, text); }

/* Run `fn` under gort_try and compare the trail. */
static inline void t_try_trail(gort_fn_t fn, bool parks, int status, const char *expected) {
    struct trail trail = {"", 0, NULL, parks};
    CHECK_EQ(gort_try(fn, &trail), status);
    CHECK_TRAIL(&trail, expected);
}

/* Run `fn` in a goroutine of its own, to its end, and compare the trail. */
static inline void t_go_trail(gort_fn_t fn, bool parks, const char *expected) {
    gort_waitgroup_t done = {};
    struct trail trail = {"", 0, &done, parks};
    t_go(&done, fn, &trail);
    gort_waitgroup_wait(&done);
    CHECK_TRAIL(&trail, expected);
}

#define T_DEFER(fn, arg) CHECK_EQ(gort_defer(fn, arg), GORT_OK)

#endif
