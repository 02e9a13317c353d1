/* Elements of every size are copied exactly: all of it, nothing beside it, wherever it lies. */
#include "t.h"

enum { GUARD = 32, GUARD_BYTE = 0xA5 };
static const size_t sizes[] = {0, 1, 3, 7, 24, 4097, 65535, 200000};

/* A buffer with guards on both sides; the element lies at an odd address. */
struct buffer {
    unsigned char *memory, *elem;
    size_t size;
};

static struct buffer buffer_new(size_t size) {
    struct buffer b = {malloc(size + 2 * GUARD + 1), NULL, size};
    CHECK(b.memory != NULL);
    b.elem = b.memory + GUARD + 1;
    memset(b.memory, GUARD_BYTE, size + 2 * GUARD + 1);
    return b;
}

static unsigned char byte_of(size_t message, size_t at) {
    return (unsigned char)(message * 131 + at * 7 + (at >> 8));
}

static void fill(struct buffer *b, size_t message) {
    for (size_t i = 0; i < b->size; i++)
        b->elem[i] = byte_of(message, i);
}

static void check_guards(const struct buffer *b) {
    for (size_t i = 0; i < GUARD; i++) {
        CHECK_EQ(b->elem[-1 - (ptrdiff_t)i], GUARD_BYTE);
        CHECK_EQ(b->elem[b->size + i], GUARD_BYTE);
    }
}

static void check_filled(const struct buffer *b, size_t message) {
    for (size_t i = 0; i < b->size; i++)
        if (b->elem[i] != byte_of(message, i))
            FAIL("element of %zu bytes, message %zu: byte %zu is wrong", b->size, message, i);
    check_guards(b);
}

static void check_all(const struct buffer *b, unsigned char byte) {
    for (size_t i = 0; i < b->size; i++)
        CHECK_EQ(b->elem[i], byte);
    check_guards(b);
}

struct flow {
    gort_chan_t *ch;
    size_t size, messages;
};

static void send_patterns(void *arg) {
    struct flow *f = arg;
    struct buffer b = buffer_new(f->size);
    for (size_t i = 0; i < f->messages; i++) {
        fill(&b, i);
        CHECK_EQ(gort_chan_send(f->ch, b.elem), GORT_OK);
        check_filled(&b, i); /* sending only reads */
        memset(b.elem, 0, b.size); /* and the value is out of the sender's hands */
    }
    free(b.memory);
}

static void receive_patterns(void *arg) {
    struct flow *f = arg;
    struct buffer b = buffer_new(f->size);
    for (size_t i = 0; i < f->messages; i++) {
        CHECK_EQ(gort_chan_recv(f->ch, b.elem), GORT_OK);
        check_filled(&b, i);
    }
    free(b.memory);
}

static void every_size_arrives_whole_between_guards(void) {
    static const size_t capacities[] = {0, 1, 3};
    for (size_t s = 0; s < T_LEN(sizes); s++) {
        for (size_t c = 0; c < T_LEN(capacities); c++) {
            for (int threads = 0; threads < 3; threads++) { /* none, the sender, the receiver */
                gort_waitgroup_t done = {0};
                struct flow f = {gort_chan_new(sizes[s], capacities[c]), sizes[s],
                                 (size_t)(sizes[s] > 5000 ? t_n(12, 4) : t_n(100, 20))};
                CHECK(f.ch != NULL);
                CHECK_EQ(gort_chan_elem_size(f.ch), sizes[s]);
                CHECK_EQ(gort_chan_cap(f.ch), capacities[c]);
                (threads == 1 ? t_go_thread : t_go)(&done, send_patterns, &f);
                (threads == 2 ? t_go_thread : t_go)(&done, receive_patterns, &f);
                gort_waitgroup_wait(&done);
                gort_chan_release(f.ch);
            }
        }
    }
}

static void a_parked_receiver_and_a_parked_sender_get_every_size_whole(void) {
    for (size_t s = 0; s < T_LEN(sizes); s++) {
        gort_waitgroup_t done = {0};
        struct buffer b = buffer_new(sizes[s]);
        struct flow f = {gort_chan_new(sizes[s], 0), sizes[s], 1};
        t_go(&done, receive_patterns, &f);
        t_quiet();
        fill(&b, 0);
        CHECK_EQ(gort_chan_try_send(f.ch, b.elem), GORT_OK);
        gort_waitgroup_wait(&done);
        t_go(&done, send_patterns, &f);
        t_quiet();
        memset(b.elem, 0, b.size);
        CHECK_EQ(gort_chan_try_recv(f.ch, b.elem), GORT_OK);
        check_filled(&b, 0);
        gort_waitgroup_wait(&done);
        gort_chan_release(f.ch);
        free(b.memory);
    }
}

static void select_copies_every_size_whole(void) {
    for (size_t s = 0; s < T_LEN(sizes); s++) {
        struct buffer in = buffer_new(sizes[s]), out = buffer_new(sizes[s]), loser = buffer_new(sizes[s]);
        gort_chan_t *ch = gort_chan_new(sizes[s], 2), *quiet = gort_chan_new(sizes[s], 0);
        fill(&in, 9);
        gort_case_t send[] = {{.chan = quiet, .elem = loser.elem, .op = GORT_RECV},
                              {.chan = ch, .elem = in.elem, .op = GORT_SEND}};
        gort_case_t receive[] = {{.chan = ch, .elem = out.elem, .op = GORT_RECV},
                                 {.chan = quiet, .elem = loser.elem, .op = GORT_RECV}};
        CHECK_EQ(gort_select(send, 2), 1);
        CHECK_EQ(gort_try_select(send, 2), 1);
        CHECK_EQ(gort_try_select(send, 2), GORT_EAGAIN);
        for (int i = 0; i < 2; i++) {
            memset(out.elem, 0, out.size);
            CHECK_EQ(gort_select(receive, 2), 0);
            check_filled(&out, 9);
        }
        check_all(&loser, GUARD_BYTE);
        gort_chan_release(ch);
        gort_chan_release(quiet);
        free(in.memory);
        free(out.memory);
        free(loser.memory);
    }
}

static void a_drained_closed_channel_zeroes_the_element_and_nothing_else(void) {
    for (size_t s = 0; s < T_LEN(sizes); s++) {
        struct buffer b = buffer_new(sizes[s]);
        gort_chan_t *ch = gort_chan_new(sizes[s], 1);
        gort_case_t c = {.chan = ch, .elem = b.elem, .op = GORT_RECV};
        gort_chan_close(ch);
        for (int how = 0; how < 4; how++) {
            fill(&b, 3);
            int status = how == 0   ? gort_chan_recv(ch, b.elem)
                         : how == 1 ? gort_chan_try_recv(ch, b.elem)
                         : how == 2 ? gort_chan_recv_until(ch, b.elem, 0)
                                    : (CHECK_EQ(gort_select(&c, 1), 0), c.status);
            CHECK_EQ(status, GORT_ECLOSED);
            check_all(&b, 0);
        }
        gort_chan_release(ch);
        free(b.memory);
    }
}

static void a_receive_that_gets_nothing_leaves_the_element_alone(void) {
    for (size_t s = 0; s < T_LEN(sizes); s++) {
        struct buffer b = buffer_new(sizes[s]);
        gort_chan_t *ch = gort_chan_new(sizes[s], 1);
        gort_case_t c = {.chan = ch, .elem = b.elem, .op = GORT_RECV};
        CHECK_EQ(gort_chan_try_recv(ch, b.elem), GORT_EAGAIN);
        CHECK_EQ(gort_chan_recv_until(ch, b.elem, gort_now() + T_MS), GORT_ETIMEDOUT);
        CHECK_EQ(gort_try_select(&c, 1), GORT_EAGAIN);
        CHECK_EQ(gort_select_until(&c, 1, gort_now() + T_MS), GORT_ETIMEDOUT);
        check_all(&b, GUARD_BYTE);
        gort_chan_release(ch);
        free(b.memory);
    }
}

static void a_received_element_may_be_discarded(void) {
    for (size_t s = 0; s < T_LEN(sizes); s++) {
        struct buffer b = buffer_new(sizes[s]);
        gort_chan_t *ch = gort_chan_new(sizes[s], 2);
        fill(&b, 1);
        CHECK_EQ(gort_chan_send(ch, b.elem), GORT_OK);
        fill(&b, 2);
        CHECK_EQ(gort_chan_send(ch, b.elem), GORT_OK);
        CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
        memset(b.elem, 0, b.size);
        CHECK_EQ(gort_chan_recv(ch, b.elem), GORT_OK);
        check_filled(&b, 2);
        /* From a parked sender, too. */
        gort_waitgroup_t done = {0};
        gort_chan_t *unbuffered = gort_chan_new(sizes[s], 0);
        struct flow f = {unbuffered, sizes[s], 1};
        t_go(&done, send_patterns, &f);
        CHECK_EQ(gort_chan_recv(unbuffered, NULL), GORT_OK);
        gort_waitgroup_wait(&done);
        gort_chan_release(unbuffered);
        gort_chan_release(ch);
        free(b.memory);
    }
}

static void signals_have_no_element_and_need_no_memory(void) {
    const size_t many = (size_t)1 << 40;
    gort_chan_t *ch = gort_chan_new(0, many);
    CHECK(ch != NULL);
    CHECK_EQ(gort_chan_cap(ch), many);
    CHECK_EQ(gort_chan_elem_size(ch), 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(gort_chan_send(ch, NULL), GORT_OK);
        CHECK_EQ(gort_chan_len(ch), i + 1);
    }
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
    CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_EAGAIN);
    gort_chan_release(ch);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(every_size_arrives_whole_between_guards);
    RUN(a_parked_receiver_and_a_parked_sender_get_every_size_whole);
    RUN_BOTH(select_copies_every_size_whole);
    RUN_BOTH(a_drained_closed_channel_zeroes_the_element_and_nothing_else);
    RUN_BOTH(a_receive_that_gets_nothing_leaves_the_element_alone);
    RUN_BOTH(a_received_element_may_be_discarded);
    RUN_BOTH(signals_have_no_element_and_need_no_memory);
    return t_end();
}
