/* Channels and select: what was done before a send, a receive or a close is seen after what it completes. */
/* ctest-timeout: 300 */
/* ctest-alone: it needs both CPUs to itself */
#include "litmus.h"

static void release_channels(struct run *run) {
    gort_chan_release(run->chan);
    gort_chan_release(run->other_chan);
}

static void need_channel(struct run *run, size_t capacity) {
    if (!run->chan) {
        run->chan = gort_chan_new(0, capacity);
        run->other_chan = gort_chan_new(0, capacity);
        CHECK(run->chan && run->other_chan);
    }
}

static void buffered(struct run *run) { need_channel(run, 1); }
static void unbuffered(struct run *run) { need_channel(run, 0); }

/* ---- a send comes before the completion of its receive ---- */

static void write_and_send(struct run *run) {
    litmus_write_both(run);
    CHECK_EQ(gort_chan_send(run->chan, NULL), GORT_OK);
}

static void receive_and_read(struct run *run) {
    static long count;
    if (litmus_now_and_then(&count))
        CHECK_EQ(gort_chan_recv(run->chan, NULL), GORT_OK);
    else
        LITMUS_UNTIL(GORT_OK, gort_chan_try_recv(run->chan, NULL));
    litmus_read_both(run);
}

static void a_send_comes_before_its_receive(void) {
    static const struct litmus litmus = {.prepare = buffered,
                                         .left = write_and_send,
                                         .right = receive_and_read,
                                         .forbidden = litmus_not_both,
                                         .discard = release_channels};
    litmus_test(&litmus);
}

static void try_to_send(struct run *run) { LITMUS_UNTIL(GORT_OK, gort_chan_try_send(run->chan, NULL)); }
static void receive(struct run *run) { CHECK_EQ(gort_chan_recv(run->chan, NULL), GORT_OK); }

static void a_send_comes_before_the_receive_that_waits_for_it(void) {
    static const struct litmus litmus = {
        .prepare = unbuffered, .left = try_to_send, .right = receive, .discard = release_channels};
    litmus_flood_test(&litmus);
}

/* ---- a receive without a buffer comes before the completion of its send ---- */

static void try_to_receive(struct run *run) { LITMUS_UNTIL(GORT_OK, gort_chan_try_recv(run->chan, NULL)); }
static void send(struct run *run) { CHECK_EQ(gort_chan_send(run->chan, NULL), GORT_OK); }

static void a_receive_without_a_buffer_comes_before_the_end_of_its_send(void) {
    static const struct litmus litmus = {
        .prepare = unbuffered, .left = try_to_receive, .right = send, .discard = release_channels};
    litmus_flood_test(&litmus);
}

/* Here it is the receiver that waits, and has written; the sender looks. By then the receiver may have written
 * for the next run, so it writes to two places by turns. */
static void write_and_receive(struct run *run) {
    long number = atomic_load_explicit(&run->ready, memory_order_relaxed);
    *(number % 2 ? &run->right.read : &run->left.read) = number;
    CHECK_EQ(gort_chan_recv(run->chan, NULL), GORT_OK);
}

static void try_to_send_and_look(struct run *run) {
    try_to_send(run);
    long told = run->number % 2 ? run->right.read : run->left.read;
    if (told != run->number)
        FAIL("run %ld: forbidden result: %ld", run->number, told);
}

static void a_receive_that_waits_comes_before_the_end_of_its_send(void) {
    static const struct litmus litmus = {
        .prepare = unbuffered, .left = try_to_send_and_look, .right = write_and_receive, .discard = release_channels};
    litmus_flood_variant(&litmus);
}

/* ---- a close comes before a receive that returns because of it ---- */

static void new_channel(struct run *run) {
    gort_chan_release(run->chan);
    run->chan = gort_chan_new(sizeof(long), 0);
    CHECK(run->chan != NULL);
}

static void write_and_close(struct run *run) {
    litmus_write_both(run);
    CHECK_EQ(gort_chan_close(run->chan), GORT_OK);
}

static void find_it_closed_and_read(struct run *run) {
    static long count;
    if (litmus_now_and_then(&count))
        CHECK_EQ(gort_chan_recv(run->chan, NULL), GORT_ECLOSED);
    else
        LITMUS_UNTIL(GORT_ECLOSED, gort_chan_try_recv(run->chan, NULL));
    litmus_read_both(run);
}

static void a_close_comes_before_a_receive_that_finds_it_closed(void) {
    static const struct litmus litmus = {.prepare = new_channel,
                                         .left = write_and_close,
                                         .right = find_it_closed_and_read,
                                         .forbidden = litmus_not_both,
                                         .discard = release_channels};
    litmus_test(&litmus);
}

static void close_it(struct run *run) { CHECK_EQ(gort_chan_close(run->chan), GORT_OK); }
static void wait_for_close(struct run *run) { CHECK_EQ(gort_chan_recv(run->chan, NULL), GORT_ECLOSED); }

static void a_close_comes_before_the_receive_that_it_ends(void) {
    static const struct litmus litmus = {
        .prepare = new_channel, .left = close_it, .right = wait_for_close, .discard = release_channels};
    litmus_flood_variant(&litmus);
}

/* ---- receive k comes before the completion of send k + C ---- */

enum { RING = 64, MOST_CAPACITY = 3 };

struct stream {
    gort_chan_t *chan;
    long capacity, length, counted;
    struct {
        struct litmus_word x, y, thread;
    } ring[RING]; /* the receiver writes here before receive k, the sender looks after send k + C */
};

static void stream_out(void *arg) {
    struct stream *s = arg;
    uint64_t random = t_seed(1);
    for (long k = 0; k < s->length; k++) {
        litmus_delay(&random, 64);
        if (k % 256 == 0)
            CHECK_EQ(gort_chan_send(s->chan, NULL), GORT_OK);
        else
            LITMUS_UNTIL(GORT_OK, gort_chan_try_send(s->chan, NULL));
        if (k < s->capacity)
            continue;
        long was = k - s->capacity, y = s->ring[was % RING].y.v, x = s->ring[was % RING].x.v;
        if (x != was + 1 || y != was + 1)
            FAIL("capacity %ld, send %ld: forbidden result: x %ld, y %ld", s->capacity, k, x, y);
        s->counted += s->ring[was % RING].thread.v != litmus_here();
    }
}

static void stream_in(void *arg) {
    struct stream *s = arg;
    uint64_t random = t_seed(2);
    for (long k = 0; k < s->length; k++) {
        litmus_delay(&random, 64);
        s->ring[k % RING].thread.v = litmus_here();
        s->ring[k % RING].x.v = k + 1;
        s->ring[k % RING].y.v = k + 1;
        if (k % 256 == 128)
            CHECK_EQ(gort_chan_recv(s->chan, NULL), GORT_OK);
        else
            LITMUS_UNTIL(GORT_OK, gort_chan_try_recv(s->chan, NULL));
    }
}

static long stream(long capacity, long length, bool thread_out, bool thread_in) {
    struct stream *s = aligned_alloc(LITMUS_LINE, sizeof *s);
    gort_waitgroup_t done = {0};
    CHECK(s != NULL);
    memset(s, 0, sizeof *s);
    *s = (struct stream){.chan = gort_chan_new(0, (size_t)capacity), .capacity = capacity, .length = length};
    (thread_out ? t_go_thread : t_go)(&done, stream_out, s);
    (thread_in ? t_go_thread : t_go)(&done, stream_in, s);
    gort_waitgroup_wait(&done);
    long counted = s->counted;
    gort_chan_release(s->chan);
    free(s);
    return counted;
}

static void receive_k_comes_before_the_end_of_send_k_and_capacity(void) {
    for (long capacity = 1; capacity <= MOST_CAPACITY; capacity++) {
        long goal = litmus_runs(1000000), total = 0, counted = 0;
        int64_t began = gort_now();
        do {
            counted += stream(capacity, goal / 20, false, false);
            total += goal / 20;
        } while (!litmus_enough(total, counted, goal, began));
        litmus_show(total, counted, 0, began);
        stream(capacity, litmus_runs(20000), true, false);
        stream(capacity, litmus_runs(20000), false, true);
    }
}

/* ---- the same through select ---- */

static void try_select_and_read(struct run *run) {
    static long count;
    gort_case_t cases[] = {{run->other_chan, NULL, GORT_RECV, 0}, {run->chan, NULL, GORT_RECV, 0}};
    if (litmus_now_and_then(&count))
        CHECK_EQ(gort_select(cases, 2), 1);
    else
        LITMUS_UNTIL(1, gort_try_select(cases, 2));
    litmus_read_both(run);
}

static void write_and_select_to_send(struct run *run) {
    litmus_write_both(run);
    gort_case_t cases[] = {{run->chan, NULL, GORT_SEND, 0}, {run->other_chan, NULL, GORT_RECV, 0}};
    CHECK_EQ(gort_select(cases, 2), 0);
}

static void a_send_of_a_select_comes_before_the_receive_of_another(void) {
    static const struct litmus litmus = {.prepare = buffered,
                                         .left = write_and_select_to_send,
                                         .right = try_select_and_read,
                                         .forbidden = litmus_not_both,
                                         .discard = release_channels};
    litmus_test(&litmus);
}

static void select_to_receive(struct run *run) {
    gort_case_t cases[] = {{run->other_chan, NULL, GORT_RECV, 0}, {run->chan, NULL, GORT_RECV, 0}};
    CHECK_EQ(gort_select(cases, 2), 1);
}

static void try_select_to_send(struct run *run) {
    gort_case_t cases[] = {{run->chan, NULL, GORT_SEND, 0}, {run->other_chan, NULL, GORT_RECV, 0}};
    LITMUS_UNTIL(0, gort_try_select(cases, 2));
}

static void a_send_comes_before_the_select_that_waits_for_it(void) {
    static const struct litmus litmus = {
        .prepare = unbuffered, .left = try_select_to_send, .right = select_to_receive, .discard = release_channels};
    litmus_flood_variant(&litmus);
}

static void select_to_send(struct run *run) {
    gort_case_t cases[] = {{run->chan, NULL, GORT_SEND, 0}, {run->other_chan, NULL, GORT_RECV, 0}};
    CHECK_EQ(gort_select(cases, 2), 0);
}

static void a_receive_comes_before_the_end_of_the_select_that_sends(void) {
    static const struct litmus litmus = {
        .prepare = unbuffered, .left = try_to_receive, .right = select_to_send, .discard = release_channels};
    litmus_flood_variant(&litmus);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(a_send_comes_before_its_receive);
    RUN(a_send_comes_before_the_receive_that_waits_for_it);
    RUN(a_receive_without_a_buffer_comes_before_the_end_of_its_send);
    RUN(a_receive_that_waits_comes_before_the_end_of_its_send);
    RUN(a_close_comes_before_a_receive_that_finds_it_closed);
    RUN(a_close_comes_before_the_receive_that_it_ends);
    RUN(receive_k_comes_before_the_end_of_send_k_and_capacity);
    RUN(a_send_of_a_select_comes_before_the_receive_of_another);
    RUN(a_send_comes_before_the_select_that_waits_for_it);
    RUN(a_receive_comes_before_the_end_of_the_select_that_sends);
    return t_end();
}
