/* gort_select_async: a select that calls a function. Each value is transferred once; a cancel loses none. */
#include "t.h"

/* One select and what became of it. */
struct op {
    gort_case_t cases[4];
    size_t n;
    long elems[4];
    atomic_int calls;
    gort_async_t *handle;
    int index;
};

static void called(void *arg) {
    struct op *op = arg;
    atomic_fetch_add(&op->calls, 1);
}

static void start(struct op *op) {
    int err = 77;
    atomic_store(&op->calls, 0);
    for (size_t i = 0; i < op->n; i++)
        op->cases[i].status = 99;
    op->handle = gort_select_async(op->cases, op->n, called, op, &err);
    CHECK(op->handle != NULL);
    CHECK_EQ(err, GORT_OK);
}

static void recv_case(struct op *op, gort_chan_t *ch) {
    op->elems[op->n] = -1;
    op->cases[op->n] = (gort_case_t){ch, &op->elems[op->n], GORT_RECV, 99};
    op->n++;
}

static void send_case(struct op *op, gort_chan_t *ch, long value) {
    op->elems[op->n] = value;
    op->cases[op->n] = (gort_case_t){ch, &op->elems[op->n], GORT_SEND, 99};
    op->n++;
}

/* It has completed with case `index` and `status`, once, and touched no other case. */
static void completed(struct op *op, int index, int status) {
    EVENTUALLY(atomic_load(&op->calls) == 1);
    CHECK_EQ(gort_async_result(op->handle), index);
    for (int i = 0; i < (int)op->n; i++)
        CHECK_EQ(op->cases[i].status, i == index ? status : 99);
    CHECK(!gort_async_cancel(op->handle));
    CHECK_EQ(gort_async_result(op->handle), index);
    gort_async_release(op->handle);
    CHECK_EQ(atomic_load(&op->calls), 1);
}

static void cancelled(struct op *op) {
    CHECK_EQ(gort_async_result(op->handle), GORT_EAGAIN);
    CHECK(gort_async_cancel(op->handle));
    CHECK_EQ(gort_async_result(op->handle), GORT_ECANCELED);
    CHECK(gort_async_cancel(op->handle));
    gort_async_release(op->handle);
    CHECK_EQ(atomic_load(&op->calls), 0);
    for (size_t i = 0; i < op->n; i++)
        CHECK_EQ(op->cases[i].status, 99);
}

static void what_is_ready_completes_before_the_call_returns(void) {
    for (size_t cap = 0; cap < 2; cap++) {
        gort_chan_t *a = gort_chan_new(sizeof(long), cap), *b = gort_chan_new(sizeof(long), 1);
        struct op op = {.n = 0};
        send_case(&op, b, 5);
        recv_case(&op, a);
        start(&op);
        CHECK_EQ(atomic_load(&op.calls), 1);
        completed(&op, 0, GORT_OK);
        struct op more = {.n = 0};
        recv_case(&more, a);
        recv_case(&more, b);
        start(&more);
        CHECK_EQ(atomic_load(&more.calls), 1);
        completed(&more, 1, GORT_OK);
        CHECK_EQ(more.elems[1], 5);
        CHECK_EQ(more.elems[0], -1);
        gort_chan_release(a);
        gort_chan_release(b);
    }
}

static void whoever_comes_later_completes_it(void) {
    for (size_t cap = 0; cap < 2; cap++) {
        gort_chan_t *a = gort_chan_new(sizeof(long), cap), *b = gort_chan_new(sizeof(long), cap);
        struct op op = {.n = 0};
        recv_case(&op, a);
        recv_case(&op, b);
        start(&op);
        CHECK_EQ(gort_async_result(op.handle), GORT_EAGAIN);
        CHECK_EQ(gort_chan_waiters(a) + gort_chan_waiters(b), 2);
        long value = 7;
        CHECK_EQ(gort_chan_try_send(b, &value), GORT_OK);
        CHECK_EQ(atomic_load(&op.calls), 1);
        CHECK_EQ(op.elems[1], 7);
        CHECK_EQ(gort_chan_waiters(a) + gort_chan_waiters(b), 0);
        completed(&op, 1, GORT_OK);
        if (cap)
            CHECK_EQ(gort_chan_send(a, &value), GORT_OK);
        struct op sending = {.n = 0};
        send_case(&sending, a, 8);
        start(&sending);
        CHECK_EQ(gort_async_result(sending.handle), GORT_EAGAIN);
        CHECK_EQ(gort_chan_recv(a, &value), GORT_OK);
        CHECK_EQ(value, cap ? 7 : 8);
        completed(&sending, 0, GORT_OK);
        if (cap) {
            CHECK_EQ(gort_chan_recv(a, &value), GORT_OK);
            CHECK_EQ(value, 8);
        }
        gort_chan_release(a);
        gort_chan_release(b);
    }
}

static void close_completes_it(void) {
    gort_chan_t *a = gort_chan_new(sizeof(long), 0), *b = gort_chan_new(sizeof(long), 0);
    struct op op = {.n = 0}, sending = {.n = 0}, late = {.n = 0}, late_send = {.n = 0};
    recv_case(&op, a);
    recv_case(&op, b);
    start(&op);
    CHECK_EQ(gort_chan_close(a), GORT_OK);
    completed(&op, 0, GORT_ECLOSED);
    CHECK_EQ(op.elems[0], 0);
    send_case(&sending, b, 4);
    start(&sending);
    CHECK_EQ(gort_chan_close(b), GORT_OK);
    completed(&sending, 0, GORT_ECLOSED);
    recv_case(&late, a);
    start(&late);
    completed(&late, 0, GORT_ECLOSED);
    send_case(&late_send, b, 4);
    start(&late_send);
    completed(&late_send, 0, GORT_ECLOSED);
    gort_chan_release(a);
    gort_chan_release(b);
}

static void the_same_channel_may_stand_in_several_cases(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(long), 0);
    long value = 3;
    struct op op = {.n = 0};
    send_case(&op, ch, 6);
    recv_case(&op, ch);
    recv_case(&op, ch);
    start(&op);
    CHECK_EQ(gort_chan_waiters(ch), 3);
    CHECK_EQ(gort_chan_try_send(ch, &value), GORT_OK);
    CHECK_EQ(gort_chan_waiters(ch), 0);
    int index = gort_async_result(op.handle);
    CHECK(index == 1 || index == 2);
    CHECK_EQ(op.elems[index], 3);
    completed(&op, index, GORT_OK);
    op.n = 0;
    send_case(&op, ch, 6);
    recv_case(&op, ch);
    start(&op);
    CHECK_EQ(gort_chan_try_recv(ch, &value), GORT_OK);
    CHECK_EQ(value, 6);
    completed(&op, 0, GORT_OK);
    op.n = 0;
    send_case(&op, ch, 6);
    recv_case(&op, ch);
    start(&op);
    cancelled(&op);
    CHECK_EQ(gort_chan_waiters(ch), 0);
    gort_chan_release(ch);
}

static void two_of_them_meet(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(long), 0);
    struct op a = {.n = 0}, b = {.n = 0};
    recv_case(&a, ch);
    start(&a);
    send_case(&b, ch, 12);
    start(&b);
    completed(&a, 0, GORT_OK);
    completed(&b, 0, GORT_OK);
    CHECK_EQ(a.elems[0], 12);
    gort_chan_release(ch);
}

static void they_stand_in_line_with_the_others(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(long), 0);
    struct op ops[5] = {{.n = 0}};
    for (int i = 0; i < 5; i++) {
        recv_case(&ops[i], ch);
        start(&ops[i]);
    }
    CHECK(gort_async_cancel(ops[2].handle));
    gort_async_release(ops[2].handle);
    for (long i = 0; i < 5; i++) {
        if (i == 2)
            continue;
        CHECK_EQ(gort_chan_try_send(ch, &i), GORT_OK);
        CHECK_EQ(ops[i].elems[0], i);
        completed(&ops[i], 0, GORT_OK);
    }
    long value = 0;
    CHECK_EQ(gort_chan_try_send(ch, &value), GORT_EAGAIN);
    gort_chan_release(ch);
}

static void a_cancelled_one_transfers_nothing(void) {
    gort_chan_t *a = gort_chan_new(sizeof(long), 0), *b = gort_chan_new(sizeof(long), 1);
    long value = 1;
    CHECK_EQ(gort_chan_send(b, &value), GORT_OK);
    struct op op = {.n = 0};
    recv_case(&op, a);
    send_case(&op, b, 2);
    start(&op);
    cancelled(&op);
    CHECK_EQ(op.elems[0], -1);
    CHECK_EQ(gort_chan_try_send(a, &value), GORT_EAGAIN);
    CHECK_EQ(gort_chan_recv(b, &value), GORT_OK);
    CHECK_EQ(value, 1);
    CHECK_EQ(gort_chan_try_recv(b, &value), GORT_EAGAIN);
    gort_chan_release(a);
    gort_chan_release(b);
}

static void without_a_channel_it_waits_for_its_cancel(void) {
    struct op op = {.n = 0};
    start(&op);
    cancelled(&op);
    recv_case(&op, NULL);
    send_case(&op, NULL, 1);
    start(&op);
    cancelled(&op);
}

static void a_timer_completes_it(void) {
    for (int i = 0; i < 3; i++) {
        gort_chan_t *never = gort_chan_new(sizeof(long), 0), *due = gort_after(i * T_MS);
        struct op op = {.n = 0};
        recv_case(&op, never);
        recv_case(&op, due);
        start(&op);
        completed(&op, 1, GORT_OK);
        CHECK(op.elems[1] <= gort_now());
        gort_chan_release(never);
        gort_chan_release(due);
    }
    gort_timer_t *timer = gort_timer_new(GORT_MINUTE);
    struct op op = {.n = 0};
    recv_case(&op, gort_timer_chan(timer));
    start(&op);
    cancelled(&op);
    gort_timer_release(timer);
}

static void the_end_of_a_context_completes_it(void) {
    gort_ctx_t *ctx = gort_ctx_with_timeout(gort_ctx_background(), 2 * T_MS);
    struct op op = {.n = 1, .cases = {{gort_ctx_done(ctx), NULL, GORT_RECV, 99}}};
    start(&op);
    completed(&op, 0, GORT_ECLOSED);
    gort_ctx_release(ctx);
    ctx = gort_ctx_with_cancel(gort_ctx_background());
    op.cases[0].chan = gort_ctx_done(ctx);
    start(&op);
    gort_ctx_cancel(ctx);
    completed(&op, 0, GORT_ECLOSED);
    gort_ctx_release(ctx);
}

static void bad_arguments_are_refused(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(long), 1);
    int err = 0;
    gort_case_t bad = {ch, NULL, GORT_SEND, 1}, odd = {ch, NULL, 3, 1}, good = {ch, NULL, GORT_RECV, 1};
    CHECK(gort_select_async(&bad, 1, called, NULL, &err) == NULL && err == GORT_EINVAL);
    CHECK(gort_select_async(&odd, 1, called, NULL, NULL) == NULL);
    CHECK(gort_select_async(NULL, 1, called, NULL, &err) == NULL && err == GORT_EINVAL);
    CHECK(gort_select_async(&good, 1, NULL, NULL, &err) == NULL && err == GORT_EINVAL);
    CHECK(gort_select_async(&good, 65537, called, NULL, &err) == NULL && err == GORT_EINVAL);
    CHECK_EQ(gort_async_result(NULL), GORT_EINVAL);
    CHECK(!gort_async_cancel(NULL));
    CHECK(gort_async_retain(NULL) == NULL);
    gort_async_release(NULL);
    CHECK_EQ(gort_chan_refs(ch), 1);
    gort_chan_release(ch);
}

/* ---- lifetime ---- */

struct last {
    gort_case_t *cases;
    gort_async_t *handle; /* a second reference */
    gort_chan_t *chans[2];
    atomic_int *done;
};

static void free_all(void *arg) {
    struct last *last = arg;
    atomic_int *done = last->done;
    gort_async_release(last->handle);
    gort_chan_release(last->chans[0]);
    gort_chan_release(last->chans[1]);
    free(last->cases);
    free(last);
    atomic_fetch_add(done, 1);
}

static void send_one(void *arg) {
    long value = 1;
    CHECK_EQ(gort_chan_send(arg, &value), GORT_OK);
    gort_chan_release(arg);
}

static void the_function_may_free_everything(void) {
    static atomic_int done;
    atomic_store(&done, 0);
    int n = (int)t_n(300, 100);
    gort_waitgroup_t wg = {0};
    for (int i = 0; i < n; i++) {
        struct last *last = malloc(sizeof *last);
        long *elem = NULL;
        last->cases = malloc(2 * sizeof *last->cases + sizeof *elem);
        elem = (long *)&last->cases[2];
        last->done = &done;
        last->handle = NULL;
        for (int k = 0; k < 2; k++) {
            last->chans[k] = gort_chan_new(sizeof(long), 0);
            last->cases[k] = (gort_case_t){last->chans[k], elem, GORT_RECV, 0};
        }
        gort_chan_t *to = gort_chan_retain(last->chans[i % 2]);
        /* A sender that waits, or one that comes; in both cases the function may run before the call returns. */
        if (i % 3)
            (i % 3 == 1 ? t_go : t_go_thread)(&wg, send_one, to);
        gort_async_t *handle = gort_select_async(last->cases, 2, free_all, last, NULL);
        CHECK(handle != NULL);
        if (i % 3 == 0)
            t_go(&wg, send_one, to);
        gort_async_release(handle);
    }
    gort_waitgroup_wait(&wg);
    EVENTUALLY(atomic_load(&done) == n);
}

static void a_channel_without_references_is_freed_by_the_cancel(void) {
    gort_chan_t *a = gort_chan_new(sizeof(long), 0), *b = gort_chan_new(sizeof(long), 0);
    struct op op = {.n = 0};
    recv_case(&op, a);
    send_case(&op, b, 1);
    start(&op);
    gort_chan_release(a);
    gort_chan_release(b);
    cancelled(&op);
}

/* ---- what is dropped ---- */

static atomic_long dropped;

static void count_drop(void *elem, void *data) {
    (void)elem, (void)data;
    atomic_fetch_add(&dropped, 1);
}

static void a_receive_into_nothing_drops(void) {
    gort_chan_options_t opts = {sizeof opts, count_drop, NULL};
    gort_chan_t *ch = gort_chan_new_with(sizeof(long), 0, &opts);
    long value = 5;
    atomic_store(&dropped, 0);
    struct op op = {.n = 2, .cases = {{ch, NULL, GORT_RECV, 99}, {NULL, NULL, GORT_RECV, 99}}};
    start(&op);
    CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
    completed(&op, 0, GORT_OK);
    CHECK(op.cases[0].elem == NULL);
    CHECK_EQ(atomic_load(&dropped), 1);
    start(&op);
    cancelled(&op);
    CHECK_EQ(atomic_load(&dropped), 1);
    start(&op);
    CHECK_EQ(gort_chan_close(ch), GORT_OK);
    completed(&op, 0, GORT_ECLOSED);
    CHECK_EQ(atomic_load(&dropped), 1);
    gort_chan_release(ch);
    ch = gort_chan_new_with(sizeof(long), 1, &opts);
    CHECK_EQ(gort_chan_send(ch, &value), GORT_OK);
    op.cases[0].chan = ch;
    start(&op);
    completed(&op, 0, GORT_OK);
    CHECK_EQ(atomic_load(&dropped), 2);
    gort_chan_release(ch);
    CHECK_EQ(atomic_load(&dropped), 2);
}

/* ---- cancel against completion ---- */

static struct {
    gort_chan_t *chans[2];
    atomic_long sent, received, cancels, sum;
} race;

static void race_send(void *arg) {
    uint64_t random = t_seed((uint64_t)(uintptr_t)arg);
    for (long i = 0, n = t_n(4000, 400); i < n; i++) {
        long value = (long)(t_random(&random) >> 40);
        gort_chan_t *ch = race.chans[t_random(&random) >> 63];
        int status = GORT_ETIMEDOUT;
        if (i % 4 == 0) {
            struct op op = {.n = 0};
            send_case(&op, ch, value);
            start(&op);
            if (i % 8 == 0)
                gort_yield();
            if (!gort_async_cancel(op.handle)) {
                status = GORT_OK;
                EVENTUALLY(atomic_load(&op.calls) == 1);
                CHECK_EQ(gort_async_result(op.handle), 0);
                CHECK_EQ(op.cases[0].status, GORT_OK);
            }
            gort_async_release(op.handle);
        } else if (i % 4 == 1) {
            status = gort_chan_try_send(ch, &value);
        } else {
            status = gort_chan_send_until(ch, &value, gort_now() + 20000);
        }
        if (status == GORT_OK) {
            atomic_fetch_add(&race.sent, 1);
            atomic_fetch_add(&race.sum, value);
        }
    }
}

static void race_receive(void *arg) {
    uint64_t random = t_seed((uint64_t)(uintptr_t)arg);
    for (;;) {
        struct op op = {.n = 0};
        recv_case(&op, race.chans[0]);
        recv_case(&op, race.chans[1]);
        if (t_random(&random) >> 63)
            recv_case(&op, race.chans[0]);
        start(&op);
        for (uint64_t k = t_random(&random) >> 62; k; k--)
            gort_yield();
        if (gort_async_cancel(op.handle)) {
            CHECK_EQ(atomic_load(&op.calls), 0);
            for (size_t i = 0; i < op.n; i++)
                CHECK(op.elems[i] == -1 && op.cases[i].status == 99);
            atomic_fetch_add(&race.cancels, 1);
            gort_async_release(op.handle);
            continue;
        }
        EVENTUALLY(atomic_load(&op.calls) == 1);
        int index = gort_async_result(op.handle);
        CHECK(index >= 0 && index < (int)op.n);
        gort_async_release(op.handle);
        if (op.cases[index].status == GORT_ECLOSED)
            break;
        CHECK_EQ(op.cases[index].status, GORT_OK);
        atomic_fetch_add(&race.received, 1);
        atomic_fetch_sub(&race.sum, op.elems[index]);
    }
}

static void a_cancel_loses_no_value(void) {
    for (size_t cap = 0; cap < 4; cap += 3) {
        gort_waitgroup_t senders = {0}, receivers = {0};
        race.chans[0] = gort_chan_new(sizeof(long), cap);
        race.chans[1] = gort_chan_new(sizeof(long), cap);
        atomic_store(&race.sent, 0), atomic_store(&race.received, 0);
        atomic_store(&race.sum, 0), atomic_store(&race.cancels, 0);
        for (uintptr_t i = 1; i <= 4; i++) {
            (i % 2 ? t_go : t_go_thread)(&senders, race_send, (void *)i);
            (i % 2 ? t_go : t_go_thread)(&receivers, race_receive, (void *)(i + 10));
        }
        gort_waitgroup_wait(&senders);
        EVENTUALLY(gort_chan_len(race.chans[0]) == 0 && gort_chan_len(race.chans[1]) == 0);
        CHECK_EQ(gort_chan_close(race.chans[0]), GORT_OK);
        gort_waitgroup_wait(&receivers);
        CHECK_EQ(atomic_load(&race.received), atomic_load(&race.sent));
        CHECK_EQ(atomic_load(&race.sum), 0);
        CHECK_EQ(gort_chan_waiters(race.chans[0]) + gort_chan_waiters(race.chans[1]), 0);
        gort_chan_release(race.chans[0]);
        gort_chan_release(race.chans[1]);
    }
}

/* Several cancel it and one completes it: all agree. */

static struct {
    gort_async_t *handle;
    atomic_int go, yes;
} many;

static void cancel_it(void *arg) {
    while (atomic_load(&many.go) != (int)(intptr_t)arg)
        gort_yield();
    if (gort_async_cancel(many.handle))
        atomic_fetch_add(&many.yes, 1);
}

static void all_who_cancel_are_told_the_same(void) {
    gort_chan_t *ch = gort_chan_new(sizeof(long), 0);
    int64_t until;
    for (long i = 0; t_again(i, 3000, &until); i++) {
        struct op op = {.n = 0};
        gort_waitgroup_t wg = {0};
        recv_case(&op, ch);
        start(&op);
        many.handle = op.handle;
        atomic_store(&many.go, 0);
        atomic_store(&many.yes, 0);
        for (int k = 0; k < 3; k++)
            t_go(&wg, cancel_it, (void *)(intptr_t)1);
        long value = 4;
        atomic_store(&many.go, 1);
        int sent = gort_chan_try_send(ch, &value);
        gort_waitgroup_wait(&wg);
        CHECK_EQ(atomic_load(&many.yes), sent == GORT_OK ? 0 : 3);
        CHECK_EQ(atomic_load(&op.calls), sent == GORT_OK);
        CHECK_EQ(op.elems[0], sent == GORT_OK ? 4 : -1);
        gort_async_release(op.handle);
    }
    gort_chan_release(ch);
}

/* ---- signals ---- */

static gort_chan_t *signals;

static void stop_in_it(void *arg) {
    /* It would wait for the lock of the registry, were that held. */
    CHECK_EQ(gort_signal_stop(signals), GORT_OK);
    called(arg);
}

static void a_signal_completes_it_with_no_lock_held(void) {
    signals = gort_chan_new(sizeof(int), 1);
    CHECK_EQ(gort_signal_notify(signals, SIGUSR1), GORT_OK);
    struct op op = {.n = 1};
    int signo = 0;
    op.cases[0] = (gort_case_t){signals, &signo, GORT_RECV, 99};
    atomic_store(&op.calls, 0);
    op.handle = gort_select_async(op.cases, 1, stop_in_it, &op, NULL);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    completed(&op, 0, GORT_OK);
    CHECK_EQ(signo, SIGUSR1);
    gort_chan_release(signals);
}

/* ---- deadlocks ---- */

static gort_chan_t *nobody;
static struct op pending;

static int wait_beside_one(void *arg) {
    (void)arg;
    nobody = gort_chan_new(sizeof(long), 0);
    recv_case(&pending, nobody);
    start(&pending);
    gort_chan_recv(gort_chan_new(0, 0), NULL);
    return 0;
}

static void beside_one(void) { gort_main(wait_beside_one, NULL); }

static int wait_for_a_timer_in_one(void *arg) {
    (void)arg;
    gort_chan_t *due = gort_after(20 * T_MS);
    recv_case(&pending, due);
    start(&pending);
    gort_chan_recv(gort_chan_new(0, 0), NULL);
    return 0;
}

static void beside_a_timer(void) { gort_main(wait_for_a_timer_in_one, NULL); }

static void a_pending_one_keeps_no_deadlock_from_being_found(void) {
    CHILD_DIES(beside_one, "all goroutines are asleep - deadlock!");
    CHILD_DIES(beside_a_timer, "all goroutines are asleep - deadlock!");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(beside_one);
    T_CHILD(beside_a_timer);
    RUN_BOTH(what_is_ready_completes_before_the_call_returns);
    RUN_BOTH(whoever_comes_later_completes_it);
    RUN_BOTH(close_completes_it);
    RUN_BOTH(the_same_channel_may_stand_in_several_cases);
    RUN_BOTH(two_of_them_meet);
    RUN_BOTH(they_stand_in_line_with_the_others);
    RUN_BOTH(a_cancelled_one_transfers_nothing);
    RUN_BOTH(without_a_channel_it_waits_for_its_cancel);
    RUN_BOTH(a_timer_completes_it);
    RUN_BOTH(the_end_of_a_context_completes_it);
    RUN_BOTH(bad_arguments_are_refused);
    RUN_BOTH(the_function_may_free_everything);
    RUN_BOTH(a_channel_without_references_is_freed_by_the_cancel);
    RUN_BOTH(a_receive_into_nothing_drops);
    RUN_BOTH(a_cancel_loses_no_value);
    RUN_BOTH(all_who_cancel_are_told_the_same);
    RUN_BOTH(a_signal_completes_it_with_no_lock_held);
    RUN(a_pending_one_keeps_no_deadlock_from_being_found);
    return t_end();
}
