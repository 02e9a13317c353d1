/* Contexts that are gone leave nothing behind, however they went. The memory is that which the parent, its list, the
 * timers and malloc would keep. */
#include "t.h"

static char key;

enum how { CANCELLED, RELEASED, TIMED, WITH_CHANNEL, CHANNEL_LAST, WITH_FUNC, GRANDCHILDREN, VALUES };

static void never(void *arg) {
    (void)arg;
    FAIL("a stopped function ran");
}

static void come_and_go(gort_ctx_t *parent, enum how how) {
    gort_ctx_t *ctx = how == TIMED ? gort_ctx_with_timeout(parent, T_PATIENCE) : gort_ctx_with_cancel(parent);
    gort_ctx_t *below = NULL;
    gort_chan_t *done = NULL;
    uint64_t id;
    CHECK(ctx != NULL);
    switch (how) {
    case CANCELLED:
        gort_ctx_cancel(ctx);
        break;
    case WITH_CHANNEL:
        CHECK(gort_ctx_done(ctx) != NULL);
        break;
    case CHANNEL_LAST:
        done = gort_chan_retain(gort_ctx_done(ctx));
        break;
    case WITH_FUNC:
        CHECK_EQ(gort_ctx_after_func(ctx, never, NULL, &id), GORT_OK);
        CHECK(gort_ctx_after_func_stop(ctx, id));
        break;
    case GRANDCHILDREN:
        below = gort_ctx_with_timeout(ctx, T_PATIENCE);
        break;
    case VALUES:
        below = gort_ctx_with_value(ctx, &key, &key);
        break;
    default:
        break;
    }
    gort_ctx_release(ctx);
    gort_ctx_release(below);
    gort_chan_release(done);
}

static void they_leave_nothing_behind(enum how how) {
    long n = t_n(300000, 20000);
    gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
    for (long i = 0; i < 1000; i++)
        come_and_go(parent, how);
    size_t before = t_memory();
    for (long i = 0; i < n; i++)
        come_and_go(parent, how);
    /* One word for each would be 2.4 MB. */
    t_check_growth("children that came and went", before, t_memory(), 1 << 20);
    CHECK_EQ(gort_ctx_err(parent), GORT_OK);
    gort_ctx_cancel(parent);
    gort_ctx_release(parent);
}

static void cancelled_children(void) { they_leave_nothing_behind(CANCELLED); }
static void children_that_were_only_released(void) { they_leave_nothing_behind(RELEASED); }
static void children_with_deadlines_far_off(void) { they_leave_nothing_behind(TIMED); }
static void children_with_done_channels(void) { they_leave_nothing_behind(WITH_CHANNEL); }
static void children_whose_done_channel_went_last(void) { they_leave_nothing_behind(CHANNEL_LAST); }
static void children_whose_function_was_stopped(void) { they_leave_nothing_behind(WITH_FUNC); }
static void children_of_children(void) { they_leave_nothing_behind(GRANDCHILDREN); }
static void children_with_values(void) { they_leave_nothing_behind(VALUES); }

/* 300,000 at a time, and again: the second time needs no more memory than the first. */
static void many_at_a_time(void) {
    enum { N = 300000 };
    static gort_ctx_t *all[N];
    long n = t_n(N, 20000);
    gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
    size_t after_first = 0;
    for (int round = 0; round < 3; round++) {
        for (long i = 0; i < n; i++)
            CHECK((all[i] = gort_ctx_with_cancel(parent)) != NULL);
        if (round == 2)
            gort_ctx_cancel_cause(parent, 3);
        for (long i = 0; i < n; i++) {
            /* From the middle outwards: the list must not care. */
            gort_ctx_t *ctx = all[i % 2 ? n / 2 + i / 2 : n / 2 - 1 - i / 2];
            if (round == 1)
                gort_ctx_cancel(ctx);
            CHECK_EQ(gort_ctx_cause(ctx), round == 2 ? 3 : round == 1 ? GORT_ECANCELED : GORT_OK);
            gort_ctx_release(ctx);
        }
        if (round == 0)
            after_first = t_memory();
        else
            t_check_growth("the next round", after_first, t_memory(), 8 << 20);
    }
    gort_ctx_release(parent);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(cancelled_children);
    RUN(children_that_were_only_released);
    RUN(children_with_deadlines_far_off);
    RUN(children_with_done_channels);
    RUN(children_whose_done_channel_went_last);
    RUN(children_whose_function_was_stopped);
    RUN(children_of_children);
    RUN(children_with_values);
    RUN_AS_MAIN(cancelled_children);
    RUN(many_at_a_time);
    return t_end();
}
