/* Contexts and groups: what was done before a cancel is seen by who sees that the context is done. */
/* ctest-timeout: 300 */
/* ctest-alone: it needs both CPUs to itself */
#include "litmus.h"

static void new_context(struct run *run) {
    gort_ctx_release(run->handle);
    run->handle = gort_ctx_with_cancel(gort_ctx_background());
    CHECK(run->handle != NULL);
    /* Made here: whoever asks first makes it, and that too takes a lock. */
    CHECK(gort_ctx_done(run->handle) != NULL);
}

static void release_context(struct run *run) { gort_ctx_release(run->handle); }

/* ---- cancel ---- */

static void write_and_cancel(struct run *run) {
    litmus_write_both(run);
    gort_ctx_cancel(run->handle);
}

static void find_it_done_and_read(struct run *run) {
    static long count;
    gort_chan_t *done = gort_ctx_done(run->handle);
    if (litmus_now_and_then(&count))
        CHECK_EQ(gort_chan_recv(done, NULL), GORT_ECLOSED);
    else
        LITMUS_UNTIL(GORT_ECLOSED, gort_chan_try_recv(done, NULL));
    litmus_read_both(run);
}

static void a_cancel_comes_before_a_receive_that_finds_it_done(void) {
    static const struct litmus litmus = {.prepare = new_context,
                                         .left = write_and_cancel,
                                         .right = find_it_done_and_read,
                                         .forbidden = litmus_not_both,
                                         .discard = release_context};
    litmus_test(&litmus);
}

static void read_when_it_has_an_error(struct run *run) {
    LITMUS_UNTIL(GORT_ECANCELED, gort_ctx_err(run->handle));
    litmus_read_both(run);
}

static void a_cancel_comes_before_an_error_that_tells_of_it(void) {
    static const struct litmus litmus = {.prepare = new_context,
                                         .left = write_and_cancel,
                                         .right = read_when_it_has_an_error,
                                         .forbidden = litmus_not_both,
                                         .discard = release_context};
    litmus_variant(&litmus);
}

static void cancel(struct run *run) { gort_ctx_cancel(run->handle); }
static void wait_until_done(struct run *run) {
    CHECK_EQ(gort_chan_recv(gort_ctx_done(run->handle), NULL), GORT_ECLOSED);
}

static void a_cancel_comes_before_the_receive_that_it_ends(void) {
    static const struct litmus litmus = {
        .prepare = new_context, .left = cancel, .right = wait_until_done, .discard = release_context};
    litmus_flood_variant(&litmus);
}

/* The waiter holds a child of what is cancelled. */
static void new_family(struct run *run) {
    gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
    CHECK(parent != NULL);
    if (run->handle) {
        gort_ctx_release(*(gort_ctx_t **)run->handle);
        gort_ctx_release(((gort_ctx_t **)run->handle)[1]);
    } else {
        run->handle = calloc(2, sizeof(gort_ctx_t *));
        CHECK(run->handle != NULL);
    }
    ((gort_ctx_t **)run->handle)[0] = parent;
    ((gort_ctx_t **)run->handle)[1] = gort_ctx_with_cancel(parent);
    CHECK(gort_ctx_done(((gort_ctx_t **)run->handle)[1]) != NULL);
}

static void release_family(struct run *run) {
    gort_ctx_release(((gort_ctx_t **)run->handle)[0]);
    gort_ctx_release(((gort_ctx_t **)run->handle)[1]);
    free(run->handle);
}

static void cancel_parent(struct run *run) { gort_ctx_cancel(((gort_ctx_t **)run->handle)[0]); }
static void wait_for_child(struct run *run) {
    CHECK_EQ(gort_chan_recv(gort_ctx_done(((gort_ctx_t **)run->handle)[1]), NULL), GORT_ECLOSED);
}

static void a_cancel_comes_before_the_receive_that_it_ends_on_a_child(void) {
    static const struct litmus litmus = {
        .prepare = new_family, .left = cancel_parent, .right = wait_for_child, .discard = release_family};
    litmus_flood_variant(&litmus);
}

/* ---- after_func ---- */

static void new_context_with_after_func(struct run *run) {
    new_context(run);
    CHECK_EQ(gort_ctx_after_func(run->handle, litmus_started, run, NULL), GORT_OK);
}

static void a_cancel_comes_before_the_start_of_an_after_func(void) {
    static const struct litmus litmus = {
        .before = new_context_with_after_func, .left = cancel, .starts = true, .discard = release_context};
    litmus_flood_test(&litmus);
}

static void new_context_that_is_done(struct run *run) {
    new_context(run);
    gort_ctx_cancel(run->handle);
}

static void call_after_func(struct run *run) {
    CHECK_EQ(gort_ctx_after_func(run->handle, litmus_started, run, NULL), GORT_OK);
}

static void the_call_of_after_func_comes_before_its_start(void) {
    static const struct litmus litmus = {
        .before = new_context_that_is_done, .left = call_after_func, .starts = true, .discard = release_context};
    litmus_flood_variant(&litmus);
}

/* ---- groups ---- */

enum { MEMBERS = 64 };

static struct {
    LITMUS_ALIGNED atomic_long begun; /* counted before they write: it carries nothing over */
} members;

static int be_a_member(gort_ctx_t *ctx, void *arg) {
    struct run *run = arg;
    (void)ctx;
    if (run->left.read != run->number)
        FAIL("run %ld: forbidden result at the start: %ld", run->number, run->left.read);
    run->right.thread = litmus_here();
    atomic_fetch_add_explicit(&members.begun, 1, memory_order_relaxed);
    run->x.v = run->number;
    run->y.v = run->number;
    return 0;
}

static void raise_groups(void *arg) {
    long goal = *(const long *)arg, number = 0, counted = 0;
    int64_t began = gort_now();
    struct run *runs = aligned_alloc(LITMUS_LINE, sizeof(struct run) * MEMBERS);
    CHECK(runs != NULL);
    memset(runs, 0, sizeof(struct run) * MEMBERS);
    do {
        gort_group_t *group = gort_group_new(NULL);
        CHECK(group != NULL);
        number++;
        atomic_store_explicit(&members.begun, 0, memory_order_relaxed);
        for (int i = 0; i < MEMBERS; i++) {
            runs[i].number = number;
            runs[i].left.read = number;
            CHECK_EQ(gort_group_go(group, be_a_member, &runs[i]), GORT_OK);
        }
        /* Not yet the wait, which would park: the members are to run elsewhere. */
        for (long spins = 0; litmus_parallel() && atomic_load_explicit(&members.begun, memory_order_relaxed) < MEMBERS;)
            litmus_relax(&spins);
        CHECK_EQ(gort_group_wait(group), GORT_OK);
        for (int i = 0; i < MEMBERS; i++) {
            long y = runs[i].y.v, x = runs[i].x.v;
            if (x != number || y != number)
                FAIL("run %ld: forbidden result: x %ld, y %ld", number, x, y);
            counted += runs[i].right.thread != litmus_here();
        }
        gort_group_release(group);
    } while (!litmus_enough(number * MEMBERS, counted, goal, began));
    litmus_show(number * MEMBERS, counted, 0, began);
    free(runs);
}

static void group_go_comes_before_its_function_and_that_before_the_wait(void) {
    gort_waitgroup_t done = {0};
    long goal = litmus_runs(1000000);
    t_go(&done, raise_groups, &goal);
    gort_waitgroup_wait(&done);
    goal = litmus_runs(20000);
    t_go_thread(&done, raise_groups, &goal);
    gort_waitgroup_wait(&done);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(a_cancel_comes_before_a_receive_that_finds_it_done);
    RUN(a_cancel_comes_before_an_error_that_tells_of_it);
    RUN(a_cancel_comes_before_the_receive_that_it_ends);
    RUN(a_cancel_comes_before_the_receive_that_it_ends_on_a_child);
    RUN(a_cancel_comes_before_the_start_of_an_after_func);
    RUN(the_call_of_after_func_comes_before_its_start);
    RUN(group_go_comes_before_its_function_and_that_before_the_wait);
    return t_end();
}
