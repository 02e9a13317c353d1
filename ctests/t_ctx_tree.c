/* Trees of contexts: what comes down from a parent, and what does not. */
#include "t.h"

static char key_a, key_b;

static bool closed(gort_ctx_t *ctx) { return gort_chan_try_recv(gort_ctx_done(ctx), NULL) == GORT_ECLOSED; }

static void cancel_reaches_all_descendants_and_nobody_else(void) {
    /* root - a - a1 - a2, root - b; a1 hangs below a value. */
    gort_ctx_t *root = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *a = gort_ctx_with_cancel(root);
    gort_ctx_t *value = gort_ctx_with_value(a, &key_a, &key_a);
    gort_ctx_t *a1 = gort_ctx_with_timeout(value, T_PATIENCE);
    gort_ctx_t *a2 = gort_ctx_with_cancel(a1);
    gort_ctx_t *b = gort_ctx_with_cancel(root);
    CHECK(gort_ctx_done(value) == gort_ctx_done(a));
    CHECK(!closed(a2));
    gort_ctx_cancel_cause(a, 5);
    gort_ctx_t *below[] = {a, value, a1, a2};
    for (size_t i = 0; i < T_LEN(below); i++) {
        CHECK_EQ(gort_ctx_err(below[i]), GORT_ECANCELED);
        CHECK_EQ(gort_ctx_cause(below[i]), 5);
        CHECK(closed(below[i]));
    }
    CHECK_EQ(gort_ctx_err(root), GORT_OK);
    CHECK_EQ(gort_ctx_err(b), GORT_OK);
    gort_ctx_cancel_cause(root, 6);
    CHECK_EQ(gort_ctx_cause(root), 6);
    CHECK_EQ(gort_ctx_cause(b), 6);
    CHECK_EQ(gort_ctx_cause(a), 5);
    CHECK_EQ(gort_ctx_cause(a2), 5);
    gort_ctx_t *all[] = {root, a, value, a1, a2, b};
    for (size_t i = 0; i < T_LEN(all); i++)
        gort_ctx_release(all[i]);
}

static void the_lower_of_two_cancels_may_come_first(void) {
    gort_ctx_t *root = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *mid = gort_ctx_with_cancel(root);
    gort_ctx_t *leaf = gort_ctx_with_cancel(mid);
    gort_ctx_cancel_cause(leaf, 1);
    gort_ctx_cancel_cause(mid, 2);
    gort_ctx_cancel_cause(root, 3);
    CHECK_EQ(gort_ctx_cause(leaf), 1);
    CHECK_EQ(gort_ctx_cause(mid), 2);
    CHECK_EQ(gort_ctx_cause(root), 3);
    gort_ctx_release(root);
    gort_ctx_release(mid);
    gort_ctx_release(leaf);
}

static void a_child_of_a_done_parent_is_done_for_the_same_reason(void) {
    gort_ctx_t *cancelled = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_cancel_cause(cancelled, 8);
    gort_ctx_t *late = gort_ctx_with_timeout(gort_ctx_background(), 0);
    gort_ctx_t *children[] = {
        gort_ctx_with_cancel(cancelled),
        gort_ctx_with_timeout(cancelled, T_PATIENCE),
        gort_ctx_with_deadline(cancelled, 0),
        gort_ctx_with_value(cancelled, &key_a, NULL),
        gort_ctx_with_cancel(late),
        gort_ctx_with_timeout(late, -1),
    };
    for (size_t i = 0; i < T_LEN(children); i++) {
        CHECK_EQ(gort_ctx_err(children[i]), i < 4 ? GORT_ECANCELED : GORT_ETIMEDOUT);
        CHECK_EQ(gort_ctx_cause(children[i]), i < 4 ? 8 : GORT_ETIMEDOUT);
        CHECK(closed(children[i]));
        gort_ctx_cancel_cause(children[i], 99);
        CHECK_EQ(gort_ctx_cause(children[i]), i < 4 ? 8 : GORT_ETIMEDOUT);
        gort_ctx_release(children[i]);
    }
    gort_ctx_release(cancelled);
    gort_ctx_release(late);
}

static void the_earliest_deadline_holds(void) {
    int64_t now = gort_now();
    gort_ctx_t *early = gort_ctx_with_deadline(gort_ctx_background(), now + T_PATIENCE);
    gort_ctx_t *later = gort_ctx_with_deadline(early, now + 2 * T_PATIENCE);
    gort_ctx_t *never = gort_ctx_with_timeout(early, GORT_FOREVER);
    gort_ctx_t *earlier = gort_ctx_with_deadline(later, now + T_PATIENCE / 2);
    gort_ctx_t *value = gort_ctx_with_value(earlier, &key_a, NULL);
    gort_ctx_t *plain = gort_ctx_with_cancel(value);
    CHECK_EQ(gort_ctx_deadline(early), now + T_PATIENCE);
    CHECK_EQ(gort_ctx_deadline(later), now + T_PATIENCE);
    CHECK_EQ(gort_ctx_deadline(never), now + T_PATIENCE);
    CHECK_EQ(gort_ctx_deadline(earlier), now + T_PATIENCE / 2);
    CHECK_EQ(gort_ctx_deadline(value), now + T_PATIENCE / 2);
    CHECK_EQ(gort_ctx_deadline(plain), now + T_PATIENCE / 2);
    gort_ctx_t *all[] = {early, later, never, earlier, value, plain};
    for (size_t i = 0; i < T_LEN(all); i++)
        gort_ctx_release(all[i]);
}

static void a_deadline_ends_all_below(void) {
    gort_ctx_t *root = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx_t *timed = gort_ctx_with_timeout(root, 3 * T_MS);
    gort_ctx_t *longer = gort_ctx_with_timeout(timed, T_PATIENCE);
    gort_ctx_t *leaf = gort_ctx_with_cancel(longer);
    CHECK_EQ(gort_chan_recv(gort_ctx_done(leaf), NULL), GORT_ECLOSED);
    CHECK(gort_now() >= gort_ctx_deadline(timed));
    CHECK_EQ(gort_ctx_err(leaf), GORT_ETIMEDOUT);
    CHECK_EQ(gort_ctx_cause(leaf), GORT_ETIMEDOUT);
    CHECK_EQ(gort_ctx_err(timed), GORT_ETIMEDOUT);
    CHECK_EQ(gort_ctx_err(root), GORT_OK);
    gort_ctx_t *all[] = {root, timed, longer, leaf};
    for (size_t i = 0; i < T_LEN(all); i++)
        gort_ctx_release(all[i]);
}

static void without_cancel_keeps_the_values_only(void) {
    int one = 1, two = 2;
    gort_ctx_t *root = gort_ctx_with_timeout(gort_ctx_background(), T_PATIENCE);
    gort_ctx_t *value = gort_ctx_with_value(root, &key_a, &one);
    gort_ctx_t *shield = gort_ctx_without_cancel(value);
    CHECK(gort_ctx_done(shield) == NULL);
    CHECK_EQ(gort_ctx_deadline(shield), GORT_FOREVER);
    CHECK(gort_ctx_value(shield, &key_a) == &one);
    gort_ctx_t *below = gort_ctx_with_value(shield, &key_b, &two);
    gort_ctx_t *leaf = gort_ctx_with_cancel(below);
    CHECK(gort_ctx_value(leaf, &key_a) == &one && gort_ctx_value(leaf, &key_b) == &two);
    CHECK_EQ(gort_ctx_deadline(leaf), GORT_FOREVER);
    gort_ctx_cancel(root);
    gort_ctx_t *after = gort_ctx_without_cancel(value);
    CHECK_EQ(gort_ctx_err(value), GORT_ECANCELED);
    CHECK_EQ(gort_ctx_err(shield), GORT_OK);
    CHECK_EQ(gort_ctx_err(after), GORT_OK);
    CHECK_EQ(gort_ctx_err(below), GORT_OK);
    CHECK_EQ(gort_ctx_err(leaf), GORT_OK);
    gort_ctx_cancel(shield); /* has no cancel of its own */
    CHECK_EQ(gort_ctx_err(leaf), GORT_OK);
    gort_ctx_cancel_cause(leaf, 2);
    CHECK_EQ(gort_ctx_cause(leaf), 2);
    gort_ctx_t *all[] = {root, value, shield, below, after};
    for (size_t i = 0; i < T_LEN(all); i++)
        gort_ctx_release(all[i]);
    CHECK(gort_ctx_value(leaf, &key_a) == &one);
    gort_ctx_release(leaf);
    gort_ctx_t *of_background = gort_ctx_without_cancel(gort_ctx_background());
    CHECK(gort_ctx_done(of_background) == NULL && gort_ctx_value(of_background, &key_a) == NULL);
    gort_ctx_release(of_background);
}

/* Neither cancel nor release may take a stack frame for each. `mixed`: values and shields' subtrees between. */
static void a_chain_is(long n, int kind) {
    gort_ctx_t *root = gort_ctx_with_cancel(gort_ctx_background()), *leaf = gort_ctx_retain(root);
    gort_chan_t *held = NULL;
    for (long i = 0; i < n; i++) {
        gort_ctx_t *child = kind == 1 && i % 3 == 1 ? gort_ctx_with_value(leaf, &key_b, &key_b)
                            : kind == 1 && i % 3 == 2 ? gort_ctx_with_timeout(leaf, T_PATIENCE)
                                                      : gort_ctx_with_cancel(leaf);
        CHECK(child != NULL);
        if (kind == 2)
            CHECK(gort_ctx_done(child) != NULL);
        gort_ctx_release(leaf);
        leaf = child;
    }
    if (kind == 2)
        held = gort_chan_retain(gort_ctx_done(leaf));
    if (kind != 3) {
        gort_ctx_cancel_cause(root, 11);
        CHECK_EQ(gort_ctx_cause(leaf), 11);
    }
    gort_ctx_release(root);
    gort_ctx_release(leaf);
    gort_chan_release(held);
}

static void a_chain_of_100000_is_cancelled_and_released(void) {
    long n = t_n(100000, 20000);
    for (int kind = 0; kind < 4; kind++)
        a_chain_is(n, kind);
}

static void values_are_found_far_up(void) {
    gort_ctx_t *leaf = gort_ctx_with_value(gort_ctx_background(), &key_a, &key_a);
    for (int i = 0; i < 20000; i++) {
        gort_ctx_t *child = gort_ctx_with_value(leaf, &key_b, &key_b);
        gort_ctx_release(leaf);
        leaf = child;
    }
    CHECK(gort_ctx_value(leaf, &key_a) == &key_a);
    gort_ctx_release(leaf);
}

/* Children of one parent, some with channels, some with children: all done when cancel returns. */
static void cancel_of_a_wide_tree_is_over_when_it_returns(void) {
    enum { N = 3000 };
    static gort_ctx_t *all[2 * N];
    gort_ctx_t *root = gort_ctx_with_cancel(gort_ctx_background());
    for (int i = 0; i < N; i++) {
        all[i] = i % 2 ? gort_ctx_with_cancel(root) : gort_ctx_with_timeout(root, T_PATIENCE);
        all[N + i] = gort_ctx_with_cancel(all[i]);
        if (i % 3 == 0)
            CHECK(!closed(all[N + i]));
    }
    for (int i = 0; i < N; i += 7) { /* holes in the list */
        gort_ctx_release(all[i]);
        gort_ctx_release(all[N + i]);
        all[i] = all[N + i] = NULL;
    }
    gort_ctx_cancel_cause(root, 12);
    for (int i = 0; i < 2 * N; i++)
        if (all[i]) {
            CHECK_EQ(gort_ctx_cause(all[i]), 12);
            CHECK(closed(all[i]));
            gort_ctx_release(all[i]);
        }
    gort_ctx_release(root);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(cancel_reaches_all_descendants_and_nobody_else);
    RUN_BOTH(the_lower_of_two_cancels_may_come_first);
    RUN_BOTH(a_child_of_a_done_parent_is_done_for_the_same_reason);
    RUN_BOTH(the_earliest_deadline_holds);
    RUN_BOTH(a_deadline_ends_all_below);
    RUN_BOTH(without_cancel_keeps_the_values_only);
    RUN_BOTH(a_chain_of_100000_is_cancelled_and_released);
    RUN_BOTH(values_are_found_far_up);
    RUN_BOTH(cancel_of_a_wide_tree_is_over_when_it_returns);
    return t_end();
}
