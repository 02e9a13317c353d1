/* OS threads of the host's own: they call everything, end at any time, and leave nothing behind. */
#include "t.h"

#include <dirent.h>

struct common {
    gort_chan_t *to, *from;
    gort_mutex_t mutex;
    gort_rwmutex_t rwmutex;
    gort_sem_t sem;
    gort_once_t once;
    gort_waitgroup_t done;
    atomic_long calls, onces;
    long sum;
};

static void count_once(void *arg) { atomic_fetch_add(&((struct common *)arg)->onces, 1); }
static void add_one(void *arg) { atomic_fetch_add(&((struct common *)arg)->calls, 1); }
static void raise_it(void *arg) { gort_panic(arg); }

static void recover_it(void *arg) {
    (void)arg;
    CHECK(gort_recover() != NULL);
}

static void defer_and_raise(void *arg) {
    CHECK_EQ(gort_defer(recover_it, arg), GORT_OK);
    raise_it((void *)"on a thread");
}

static void *blocks(void *arg) { return arg; }

static void echo(void *arg) {
    struct common *c = arg;
    int value;
    while (gort_chan_recv(c->to, &value) == GORT_OK)
        CHECK_EQ(gort_chan_send(c->from, &value), GORT_OK);
}

/* A bit of everything that a thread can be in the middle of. */
static void call_everything(struct common *c) {
    int value = 1;
    gort_waitgroup_t own = {0};
    CHECK(!gort_in_goroutine());
    gort_once_do(&c->once, count_once, c);
    CHECK_EQ(gort_chan_send(c->to, &value), GORT_OK);
    gort_case_t cases[] = {{.chan = c->from, .elem = &value, .op = GORT_RECV}};
    CHECK_EQ(gort_select(cases, 1), 0);
    gort_mutex_lock(&c->mutex);
    c->sum += value;
    gort_mutex_unlock(&c->mutex);
    gort_rwmutex_rlock(&c->rwmutex);
    gort_rwmutex_runlock(&c->rwmutex);
    t_go(&own, add_one, c);
    gort_waitgroup_wait(&own);
    CHECK_EQ(gort_try(defer_and_raise, NULL), GORT_EPANIC);
    gort_chan_t *after = gort_after(1000), *silent = gort_chan_new(0, 0);
    CHECK_EQ(gort_chan_recv_until(silent, NULL, gort_now() + 1000), GORT_ETIMEDOUT);
    gort_chan_release(silent);
    CHECK_EQ(gort_chan_recv(after, NULL), GORT_OK);
    gort_chan_release(after);
    gort_ctx_t *ctx = gort_ctx_with_cancel(gort_ctx_background());
    CHECK(ctx != NULL);
    gort_ctx_cancel(ctx);
    CHECK(gort_ctx_err(ctx) != GORT_OK);
    gort_ctx_release(ctx);
    CHECK(gort_blocking(blocks, c) == c);
    gort_lock_thread();
    gort_pin_thread();
    gort_yield();
    gort_unlock_thread();
}

static void *call_and_return(void *arg) {
    struct common *c = arg;
    call_everything(c);
    gort_waitgroup_done(&c->done);
    return NULL;
}

static void *call_and_pthread_exit(void *arg) {
    struct common *c = arg;
    call_everything(c);
    gort_waitgroup_done(&c->done);
    pthread_exit(NULL);
}

static size_t open_files(void) {
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void short_lived(struct common *c, long n) {
    pthread_attr_t attr;
    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
    for (long i = 0; i < n; i += 10) {
        gort_waitgroup_add(&c->done, 10);
        for (int k = 0; k < 10; k++) {
            pthread_t thread;
            CHECK_EQ(pthread_create(&thread, &attr, k % 2 ? call_and_return : call_and_pthread_exit, c), 0);
        }
        gort_waitgroup_wait(&c->done);
    }
    pthread_attr_destroy(&attr);
    t_quiet();
}

static void many_threads(void) {
    struct common c = {.to = gort_chan_new(sizeof(int), 0), .from = gort_chan_new(sizeof(int), 4)};
    gort_waitgroup_t echoes = {0};
    for (int i = 0; i < 4; i++)
        t_go(&echoes, echo, &c);
    /* What is allocated once for all, and the C library's own caches. */
    long warm = t_n(500, 100), n = t_n(10000, 500);
    short_lived(&c, warm);
    size_t memory = t_memory(), files = open_files();
    short_lived(&c, n);
    t_check_growth("short-lived threads", memory, t_memory(), 1 << 20);
    CHECK_EQ(open_files(), files);
    CHECK_EQ(c.sum, warm + n);
    CHECK_EQ(atomic_load(&c.calls), warm + n);
    CHECK_EQ(atomic_load(&c.onces), 1);
    CHECK_EQ(gort_chan_close(c.to), GORT_OK);
    gort_waitgroup_wait(&echoes);
    gort_chan_release(c.to);
    gort_chan_release(c.from);
}

static void short_lived_threads_leave_nothing_behind(void) { CHILD_EXITS(many_threads, 0); }

/* ---- ending in all ways ---- */

static pthread_key_t key;

static void call_at_the_end(void *arg) { call_everything(arg); }

static void *set_the_key(void *arg) {
    CHECK_EQ(pthread_setspecific(key, arg), 0);
    return NULL;
}

static void *set_the_key_within(void *arg) {
    set_the_key(arg);
    pthread_exit(NULL);
}

static void destructors_of_thread_local_data_may_call_gort(void) {
    struct common c = {.to = gort_chan_new(sizeof(int), 0), .from = gort_chan_new(sizeof(int), 4)};
    gort_waitgroup_t echoes = {0};
    t_go(&echoes, echo, &c);
    CHECK_EQ(pthread_key_create(&key, call_at_the_end), 0);
    for (int i = 0; i < (int)t_n(50, 10); i++) {
        pthread_t one = t_thread(set_the_key, &c), other = t_thread(set_the_key_within, &c);
        CHECK_EQ(pthread_join(one, NULL), 0);
        CHECK_EQ(pthread_join(other, NULL), 0);
    }
    CHECK_EQ(c.sum, 2 * t_n(50, 10));
    CHECK_EQ(pthread_key_delete(key), 0);
    CHECK_EQ(gort_chan_close(c.to), GORT_OK);
    gort_waitgroup_wait(&echoes);
    gort_chan_release(c.to);
    gort_chan_release(c.from);
}

struct ends {
    gort_chan_t *ch;
    atomic_int waiting, got;
};

static void *receive_until_cancelled(void *arg) {
    struct ends *e = arg;
    int value;
    atomic_fetch_add(&e->waiting, 1);
    /* No point of cancellation: what it is given here is not lost. */
    CHECK_EQ(gort_chan_recv(e->ch, &value), GORT_OK);
    atomic_fetch_add(&e->got, value);
    for (;;)
        pthread_testcancel();
    return NULL;
}

static void a_thread_that_is_cancelled_while_it_waits_ends_afterwards(void) {
    enum { N = 8 };
    struct ends e = {.ch = gort_chan_new(sizeof(int), 0)};
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = t_thread(receive_until_cancelled, &e);
    EVENTUALLY(atomic_load(&e.waiting) == N);
    t_quiet();
    for (int i = 0; i < N; i++)
        CHECK_EQ(pthread_cancel(threads[i]), 0);
    for (int i = 0; i < N; i++) {
        int one = 1;
        CHECK_EQ(gort_chan_send(e.ch, &one), GORT_OK);
    }
    for (int i = 0; i < N; i++) {
        void *result;
        CHECK_EQ(pthread_join(threads[i], &result), 0);
        CHECK(result == PTHREAD_CANCELED);
    }
    CHECK_EQ(atomic_load(&e.got), N);
    gort_chan_release(e.ch);
}

/* Whoever has done its part may be gone before the other side goes on. */
static void *send_and_end(void *arg) {
    int value = 1;
    CHECK_EQ(gort_chan_send(arg, &value), GORT_OK);
    return NULL;
}

static void receive_many(void *arg) {
    for (long i = 0; i < t_n(300, 50); i++) {
        int value = 0;
        CHECK_EQ(gort_chan_recv(arg, &value), GORT_OK);
        CHECK_EQ(value, 1);
    }
}

static void a_thread_may_end_right_after_it_was_waited_for(void) {
    gort_waitgroup_t done = {0};
    gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
    t_go(&done, receive_many, ch);
    for (long i = 0; i < t_n(300, 50); i++)
        CHECK_EQ(pthread_detach(t_thread(send_and_end, ch)), 0);
    gort_waitgroup_wait(&done);
    gort_chan_release(ch);
}

/* ---- the first thread ends ---- */

static pthread_t first;

static void *go_on_alone(void *arg) {
    struct common c = {.to = gort_chan_new(sizeof(int), 0), .from = gort_chan_new(sizeof(int), 4)};
    gort_waitgroup_t echoes = {0};
    (void)arg;
    CHECK_EQ(pthread_join(first, NULL), 0);
    t_go(&echoes, echo, &c);
    call_everything(&c);
    CHECK_EQ(gort_chan_close(c.to), GORT_OK);
    gort_waitgroup_wait(&echoes);
    exit(43);
}

static void first_ends(void) {
    gort_waitgroup_t done = {0};
    struct common c = {0};
    t_go(&done, add_one, &c); /* starts gort */
    gort_waitgroup_wait(&done);
    first = pthread_self();
    t_thread(go_on_alone, NULL);
    pthread_exit(NULL);
}

static void the_others_go_on_without_the_first_thread(void) { CHILD_EXITS(first_ends, 43); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(many_threads);
    T_CHILD(first_ends);
    RUN(short_lived_threads_leave_nothing_behind);
    RUN(destructors_of_thread_local_data_may_call_gort);
    RUN(a_thread_that_is_cancelled_while_it_waits_ends_afterwards);
    RUN(a_thread_may_end_right_after_it_was_waited_for);
    RUN(the_others_go_on_without_the_first_thread);
    return t_end();
}
