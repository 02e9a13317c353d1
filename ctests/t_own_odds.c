/* Channels that own, in the hands of everybody at once: goroutines, threads and those of a lane send, receive, discard,
 * select, select by callback, cancel and clear. Each element is accounted for exactly once. */
#include "t_lane.h"

enum { CHANS = 4, WORKERS = 8, MOST = 1 << 18 };

static gort_chan_t *chans[CHANS];
static atomic_uchar seen[MOST]; /* how often an element was received, dropped, or stayed with its sender */
static atomic_uint issued;
static atomic_uint dropped, cancelled, completed;

static uint32_t issue(void) {
    uint32_t id = atomic_fetch_add(&issued, 1);
    CHECK(id < MOST);
    return id;
}

static void account(uint32_t id) {
    CHECK(id < atomic_load(&issued));
    CHECK_EQ(atomic_fetch_add(&seen[id], 1), 0);
}

static void drop(void *elem, void *data) {
    CHECK(data == chans);
    uint32_t id;
    memcpy(&id, elem, sizeof id);
    account(id);
    atomic_fetch_add(&dropped, 1);
}

struct async {
    gort_case_t cases[3];
    uint32_t elems[3];
    bool discards[3];
    _Atomic(gort_async_t *) handle; /* or `over` */
    atomic_bool done;
    uint32_t guard;
};

static gort_async_t *const over = (gort_async_t *)&seen;

static void settle(struct async *x, int chosen) {
    for (int i = 0; i < 3; i++) {
        bool mine = x->cases[i].op == GORT_SEND;
        if (mine ? i != chosen : i == chosen && !x->discards[i])
            account(x->elems[i]);
    }
}

static void completes(void *arg) {
    struct async *x = arg;
    CHECK_EQ(x->guard, 0x600d);
    int chosen = -1;
    for (int i = 0; i < 3; i++)
        if (x->cases[i].status != 77) {
            CHECK_EQ(chosen, -1);
            CHECK_EQ(x->cases[i].status, GORT_OK);
            chosen = i;
        }
    CHECK(chosen >= 0);
    settle(x, chosen);
    atomic_fetch_add(&completed, 1);
    gort_async_t *a = atomic_exchange(&x->handle, over);
    if (a != NULL)
        gort_async_release(a); /* within the function, and perhaps the last but gort's */
    atomic_store(&x->done, true);
}

/* A select by callback with three cases, perhaps all on one channel, then a cancel, at once or a little later. */
static void select_by_callback(uint32_t random) {
    struct async *x = calloc(1, sizeof *x);
    CHECK(x != NULL);
    x->guard = 0x600d;
    for (int i = 0; i < 3; i++) {
        x->cases[i].chan = chans[(random >> 2 * i) % CHANS];
        x->cases[i].status = 77;
        if (random >> (8 + i) & 1) {
            x->cases[i].op = GORT_SEND;
            x->elems[i] = issue();
            x->cases[i].elem = &x->elems[i];
        } else {
            x->cases[i].op = GORT_RECV;
            x->discards[i] = random >> (11 + i) & 1;
            x->cases[i].elem = x->discards[i] ? NULL : &x->elems[i];
        }
    }
    int err;
    gort_async_t *a = gort_select_async(x->cases, 3, completes, x, &err);
    CHECK(a != NULL && err == GORT_OK);
    gort_async_t *mine = gort_async_retain(a);
    if (atomic_exchange(&x->handle, a) == over)
        gort_async_release(a);
    for (uint32_t i = random >> 14 & 3; i > 0; i--)
        gort_yield();
    if (gort_async_cancel(mine)) {
        CHECK_EQ(gort_async_result(mine), GORT_ECANCELED);
        CHECK(!atomic_load(&x->done) && gort_async_cancel(mine));
        settle(x, -1);
        atomic_fetch_add(&cancelled, 1);
        gort_async_release(atomic_load(&x->handle));
    } else {
        while (!atomic_load(&x->done))
            gort_yield();
        CHECK(gort_async_result(mine) >= 0 && !gort_async_cancel(mine));
    }
    gort_async_release(mine);
    x->guard = 0xdead;
    free(x);
}

static int nothing(void *elem, void *arg) {
    CHECK(*(uint32_t *)elem < atomic_load((atomic_uint *)arg));
    return 0;
}

static void work(void *arg) {
    uint32_t random = (uint32_t)(uintptr_t)arg * 2654435761u + 1;
    for (int i = 0; i < (int)t_n(1500, 300); i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t r = random >> 8, id = 0;
        gort_chan_t *ch = chans[r % CHANS];
        switch (r >> 4 & 7) {
        case 0:
            id = issue();
            if (gort_chan_send_until(ch, &id, gort_now() + (r >> 8 & 255) * 1000) != GORT_OK)
                account(id);
            break;
        case 1:
            if (gort_chan_recv_until(ch, &id, gort_now() + (r >> 8 & 255) * 1000) == GORT_OK)
                account(id);
            break;
        case 2:
            gort_chan_recv_until(ch, NULL, gort_now() + (r >> 8 & 255) * 1000);
            break;
        case 3:
            id = issue();
            if (gort_chan_try_send(ch, &id) != GORT_OK)
                account(id);
            break;
        case 4:
            CHECK(gort_chan_clear(ch) >= 0);
            CHECK_EQ(gort_chan_visit(ch, nothing, &issued), 0);
            (void)gort_chan_waiters(ch);
            break;
        default:
            select_by_callback(r >> 7);
        }
    }
}

static void each_element_is_accounted_for_once(void) {
    struct t_lane l;
    gort_waitgroup_t done = {0};
    gort_chan_options_t opts = GORT_CHAN_OPTIONS_INIT;
    opts.drop = drop;
    opts.data = chans;
    atomic_store(&issued, 0);
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < CHANS; i++)
        CHECK((chans[i] = gort_chan_new_with(sizeof(uint32_t), (size_t)i, &opts)) != NULL);
    t_lane_open(&l, 2, false);
    for (int i = 0; i < WORKERS; i++) {
        void *seed = (void *)(uintptr_t)(i + 1);
        if (i % 4 == 0)
            t_go_thread(&done, work, seed);
        else if (i % 4 == 1)
            t_lane_go_with(&l, &done, work, seed, i % 8 == 1, 0);
        else
            t_go(&done, work, seed);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CHANS; i++) {
        CHECK_EQ(gort_chan_waiters(chans[i]), 0);
        CHECK_EQ(gort_chan_refs(chans[i]), 1);
        gort_chan_release(chans[i]);
    }
    for (uint32_t id = 0; id < atomic_load(&issued); id++)
        CHECK_EQ(atomic_load(&seen[id]), 1);
    CHECK(atomic_load(&dropped) > 0 && atomic_load(&cancelled) > 0 && atomic_load(&completed) > 0);
    t_lane_close(&l);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(each_element_is_accounted_for_once);
    return t_end();
}
