/* Starting goroutines: with an argument, with copied arguments, with options; from goroutines and threads. */
#include "t.h"

struct counter {
    gort_mutex_t mutex;
    long plain;
    atomic_long atomic;
    gort_waitgroup_t done;
};

static void add_one(void *arg) {
    struct counter *c = arg;
    CHECK(gort_in_goroutine());
    gort_mutex_lock(&c->mutex);
    c->plain++;
    gort_mutex_unlock(&c->mutex);
    atomic_fetch_add(&c->atomic, 1);
    gort_waitgroup_done(&c->done);
}

static void a_hundred_thousand_that_each_add_one(void) {
    struct counter c = {0};
    long n = t_n(100000, 10000);
    size_t before = gort_num_goroutines();
    gort_waitgroup_add(&c.done, n);
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_spawn(add_one, &c), GORT_OK);
    gort_waitgroup_wait(&c.done);
    CHECK_EQ(c.plain, n);
    CHECK_EQ(atomic_load(&c.atomic), n);
    EVENTUALLY(gort_num_goroutines() == before);
}

static void spawn_many(void *arg) {
    struct counter *c = arg;
    for (long i = 0; i < 1000; i++)
        CHECK_EQ(gort_spawn(add_one, c), GORT_OK);
}

static void plain_threads_and_goroutines_spawn_alike(void) {
    struct counter c = {0};
    gort_waitgroup_t spawners = {0};
    gort_waitgroup_add(&c.done, 8 * 1000);
    for (int i = 0; i < 8; i++)
        (i % 2 ? t_go : t_go_thread)(&spawners, spawn_many, &c);
    gort_waitgroup_wait(&spawners);
    gort_waitgroup_wait(&c.done);
    CHECK_EQ(c.plain, 8 * 1000);
}

/* ---- a tree of goroutines ---- */

struct node {
    gort_chan_t *up;
    int depth;
};

static void grow(void *arg) {
    struct node *n = arg;
    long leaves = 1;
    if (n->depth > 0) {
        struct node child = {gort_chan_new(sizeof(long), 0), n->depth - 1};
        leaves = 0;
        for (int i = 0; i < 4; i++)
            CHECK_EQ(gort_spawn(grow, &child), GORT_OK);
        for (int i = 0; i < 4; i++) {
            long got = 0;
            CHECK_EQ(gort_chan_recv(child.up, &got), GORT_OK);
            leaves += got;
        }
        gort_chan_release(child.up);
    }
    CHECK_EQ(gort_chan_send(n->up, &leaves), GORT_OK);
}

static void goroutines_spawn_goroutines(void) {
    struct node root = {gort_chan_new(sizeof(long), 0), (int)t_n(7, 5)};
    long leaves = 0, expected = 1;
    for (int i = 0; i < root.depth; i++)
        expected *= 4;
    CHECK_EQ(gort_spawn(grow, &root), GORT_OK);
    CHECK_EQ(gort_chan_recv(root.up, &leaves), GORT_OK);
    CHECK_EQ(leaves, expected);
    gort_chan_release(root.up);
}

/* ---- copied arguments ---- */

struct copied {
    gort_chan_t *reply;
    uint64_t size; /* of the whole block */
};

static unsigned char byte_of(size_t at, size_t size) { return (unsigned char)(at * 31 + size); }

static void check_copy(void *arg) {
    struct copied c;
    CHECK_EQ((uintptr_t)arg % 16, 0);
    memcpy(&c, arg, sizeof c);
    for (int again = 0; again < 2; again++) { /* it stays valid over a park */
        const unsigned char *bytes = arg;
        for (size_t i = sizeof c; i < c.size; i++)
            if (bytes[i] != byte_of(i, c.size))
                FAIL("copied arguments of %zu bytes: byte %zu is wrong", (size_t)c.size, i);
        gort_sleep(again ? 0 : T_MS / 10);
    }
    memset(arg, 0xDD, c.size); /* the copy is the goroutine's own */
    CHECK_EQ(gort_chan_send(c.reply, NULL), GORT_OK);
}

static void spawn_copy_copies_the_arguments_before_it_returns(void) {
    static const size_t sizes[] = {16, 17, 24, 31, 32, 33, 64, 100, 255, 256, 1000, 4096, 4097, 30000, 65536, 100000};
    gort_chan_t *reply = gort_chan_new(0, 0);
    unsigned char *block = malloc(100000);
    CHECK(block != NULL);
    for (size_t s = 0; s < T_LEN(sizes); s++) {
        struct copied c = {reply, sizes[s]};
        for (size_t i = 0; i < sizes[s]; i++)
            block[i] = byte_of(i, sizes[s]);
        memcpy(block, &c, sizeof c);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(gort_spawn_copy(check_copy, block, sizes[s]), GORT_OK);
        memset(block, 0xCC, sizes[s]);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(gort_chan_recv(reply, NULL), GORT_OK);
    }
    free(block);
    gort_chan_release(reply);
}

static gort_chan_t *small_reply;

static void check_small(void *arg) {
    unsigned char size = *(unsigned char *)arg;
    CHECK_EQ((uintptr_t)arg % 16, 0);
    for (unsigned char i = 0; i < size; i++)
        CHECK_EQ(((unsigned char *)arg)[i], i == 0 ? size : size + i);
    CHECK_EQ(gort_chan_send(small_reply, NULL), GORT_OK);
}

static void reply_only(void *arg) {
    (void)arg;
    CHECK_EQ(gort_chan_send(small_reply, NULL), GORT_OK);
}

static void spawn_copy_takes_any_size_none_included(void) {
    unsigned char block[16];
    small_reply = gort_chan_new(0, 0);
    for (unsigned char size = 1; size <= sizeof block; size++) {
        for (unsigned char i = 0; i < size; i++)
            block[i] = (unsigned char)(i == 0 ? size : size + i);
        CHECK_EQ(gort_spawn_copy(check_small, block, size), GORT_OK);
        memset(block, 0, sizeof block);
        CHECK_EQ(gort_chan_recv(small_reply, NULL), GORT_OK);
    }
    CHECK_EQ(gort_spawn_copy(reply_only, NULL, 0), GORT_OK);
    CHECK_EQ(gort_chan_recv(small_reply, NULL), GORT_OK);
    CHECK_EQ(gort_spawn_copy(reply_only, block, 0), GORT_OK);
    CHECK_EQ(gort_chan_recv(small_reply, NULL), GORT_OK);
    gort_chan_release(small_reply);
}

/* ---- options ---- */

/* Touch the stack at several depths, the last `depth` bytes below here. */
static __attribute__((noinline)) void touch_stack(size_t depth) {
    volatile char *here = __builtin_frame_address(0);
    for (size_t at = 4096; at < depth; at = at < depth / 8 ? at * 2 : at + depth / 8) {
        here[-(ptrdiff_t)at] = (char)at;
        CHECK_EQ(here[-(ptrdiff_t)at], (char)at);
    }
}

struct deep {
    gort_waitgroup_t *done;
    size_t size;
};

static void use_most_of_the_stack(void *arg) {
    struct deep *d = arg;
    /* 64 KiB of what is reserved are the guard; small sizes are rounded up. */
    touch_stack(d->size >= 128 * 1024 ? d->size - 80 * 1024 : d->size / 2);
    gort_yield();
    touch_stack(d->size / 2);
    gort_waitgroup_done(d->done);
}

static void a_goroutine_gets_the_stack_it_was_promised(void) {
    static const size_t kib[] = {16, 17, 20, 32, 60, 64, 100, 128, 256, 257, 1000, 1024, 4096, 10000, 65536, 1048576};
    for (int together = 0; together < 2; together++) {
        gort_waitgroup_t done = {0};
        struct deep deep[T_LEN(kib)];
        for (size_t i = 0; i < T_LEN(kib); i++) {
            gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
            deep[i] = (struct deep){&done, kib[i] * 1024};
            opts.stack_size = deep[i].size;
            gort_waitgroup_add(&done, 1);
            CHECK_EQ(gort_spawn_with(&opts, use_most_of_the_stack, &deep[i]), GORT_OK);
            if (!together)
                gort_waitgroup_wait(&done);
        }
        gort_waitgroup_wait(&done);
    }
}

static void mark(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

static void options_of_zero_mean_the_default(void) {
    atomic_int ran = 0;
    gort_waitgroup_t done = {0};
    struct deep d = {&done, 256 * 1024};
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    CHECK_EQ(opts.size, sizeof opts);
    CHECK_EQ(opts.stack_size, 0);
    CHECK(opts.name == NULL);
    CHECK_EQ(opts.flags, 0);
    CHECK_EQ(gort_spawn_with(&opts, mark, &ran), GORT_OK);
    EVENTUALLY(atomic_load(&ran) == 1);
    gort_waitgroup_add(&done, 2);
    CHECK_EQ(gort_spawn_with(&opts, use_most_of_the_stack, &d), GORT_OK);
    CHECK_EQ(gort_spawn_with(NULL, use_most_of_the_stack, &d), GORT_OK);
    gort_waitgroup_wait(&done);
}

static void older_and_newer_callers_pass_their_own_size_of_options(void) {
    atomic_int ran = 0;
    struct {
        gort_spawn_options_t known;
        uint64_t of_the_future[4];
    } newer = {GORT_SPAWN_OPTIONS_INIT, {0}};
    gort_spawn_options_t older = GORT_SPAWN_OPTIONS_INIT;
    /* What lies past `size` is not the options' and is not read. */
    older.size = offsetof(gort_spawn_options_t, flags);
    older.flags = 0xFFFFFFFF;
    CHECK_EQ(gort_spawn_with(&older, mark, &ran), GORT_OK);
    older.size = offsetof(gort_spawn_options_t, name);
    older.name = (const char *)8;
    CHECK_EQ(gort_spawn_with(&older, mark, &ran), GORT_OK);
    older.size = offsetof(gort_spawn_options_t, stack_size);
    older.stack_size = SIZE_MAX;
    CHECK_EQ(gort_spawn_with(&older, mark, &ran), GORT_OK);
    EVENTUALLY(atomic_load(&ran) == 3);
    newer.known.size = sizeof newer;
    CHECK_EQ(gort_spawn_with(&newer.known, mark, &ran), GORT_OK);
    EVENTUALLY(atomic_load(&ran) == 4);
    newer.of_the_future[3] = (uint64_t)1 << 63;
    CHECK_EQ(gort_spawn_with(&newer.known, mark, &ran), GORT_EINVAL);
    newer.of_the_future[3] = 0;
    newer.of_the_future[0] = 1;
    CHECK_EQ(gort_spawn_with(&newer.known, mark, &ran), GORT_EINVAL);
    gort_sleep(5 * T_MS);
    CHECK_EQ(atomic_load(&ran), 4);
}

static void a_name_is_copied(void) {
    char name[300];
    atomic_int ran = 0;
    for (size_t length = 0; length < sizeof name; length += 23) {
        gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
        memset(name, 'n', length);
        name[length] = '\0';
        opts.name = name;
        CHECK_EQ(gort_spawn_with(&opts, mark, &ran), GORT_OK);
        memset(name, 'x', sizeof name);
    }
    EVENTUALLY(atomic_load(&ran) == 14);
}

/* ---- who am I ---- */

static void look_around(void *arg) {
    CHECK(gort_in_goroutine());
    gort_yield();
    gort_sleep(T_MS);
    CHECK(gort_in_goroutine());
    CHECK_EQ(gort_chan_recv(arg, NULL), GORT_ECLOSED);
    CHECK(gort_in_goroutine());
}

static void num_goroutines_counts_those_that_have_not_ended(void) {
    gort_chan_t *gate = gort_chan_new(0, 0);
    gort_waitgroup_t done = {0};
    CHECK(!gort_in_goroutine());
    t_quiet(); /* what the tests before this one started has ended */
    size_t before = gort_num_goroutines();
    for (size_t i = 1; i <= 50; i++) {
        t_go(&done, look_around, gate);
        CHECK_EQ(gort_num_goroutines(), before + i);
    }
    t_quiet();
    CHECK_EQ(gort_num_goroutines(), before + 50);
    CHECK_EQ(gort_chan_close(gate), GORT_OK);
    gort_waitgroup_wait(&done);
    EVENTUALLY(gort_num_goroutines() == before);
    gort_chan_release(gate);
    CHECK(!gort_in_goroutine());
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(a_hundred_thousand_that_each_add_one);
    RUN_BOTH(plain_threads_and_goroutines_spawn_alike);
    RUN_BOTH(goroutines_spawn_goroutines);
    RUN_BOTH(spawn_copy_copies_the_arguments_before_it_returns);
    RUN_BOTH(spawn_copy_takes_any_size_none_included);
    RUN_BOTH(a_goroutine_gets_the_stack_it_was_promised);
    RUN_BOTH(options_of_zero_mean_the_default);
    RUN_BOTH(older_and_newer_callers_pass_their_own_size_of_options);
    RUN_BOTH(a_name_is_copied);
    RUN(num_goroutines_counts_those_that_have_not_ended);
    return t_end();
}
