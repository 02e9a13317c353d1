/* Bad arguments: GORT_EINVAL and nothing changed; NULL from a function that returns a pointer; a fatal error
 * that names the function from one that returns nothing. */
#include "t.h"

_Static_assert(GORT_OK == 0, "");
_Static_assert(GORT_EINVAL == -EINVAL, "");
_Static_assert(GORT_EAGAIN == -EAGAIN, "");
_Static_assert(GORT_ETIMEDOUT == -ETIMEDOUT, "");
_Static_assert(GORT_ENOMEM == -ENOMEM, "");
_Static_assert(GORT_EBUSY == -EBUSY, "");
_Static_assert(GORT_ECLOSED == -4001, "");
_Static_assert(GORT_FOREVER == INT64_MAX, "");
_Static_assert(GORT_SEND == 1 && GORT_RECV == 2, "");

static void no_channel(void) {
    int value = 1;
    CHECK_EQ(gort_chan_send(NULL, &value), GORT_EINVAL);
    CHECK_EQ(gort_chan_try_send(NULL, &value), GORT_EINVAL);
    CHECK_EQ(gort_chan_send_until(NULL, &value, GORT_FOREVER), GORT_EINVAL);
    CHECK_EQ(gort_chan_send_until(NULL, &value, 0), GORT_EINVAL);
    CHECK_EQ(gort_chan_recv(NULL, &value), GORT_EINVAL);
    CHECK_EQ(gort_chan_try_recv(NULL, &value), GORT_EINVAL);
    CHECK_EQ(gort_chan_recv_until(NULL, &value, GORT_FOREVER), GORT_EINVAL);
    CHECK_EQ(gort_chan_recv_until(NULL, NULL, 0), GORT_EINVAL);
    CHECK_EQ(gort_chan_close(NULL), GORT_EINVAL);
    CHECK_EQ(value, 1);
    CHECK(gort_chan_retain(NULL) == NULL);
    gort_chan_release(NULL);
    CHECK_EQ(gort_chan_len(NULL), 0);
    CHECK_EQ(gort_chan_cap(NULL), 0);
    CHECK_EQ(gort_chan_elem_size(NULL), 0);
}

static void no_element_to_send(void) {
    for (size_t capacity = 0; capacity < 2; capacity++) {
        gort_chan_t *ch = gort_chan_new(sizeof(int), capacity);
        CHECK_EQ(gort_chan_send(ch, NULL), GORT_EINVAL);
        CHECK_EQ(gort_chan_try_send(ch, NULL), GORT_EINVAL);
        CHECK_EQ(gort_chan_send_until(ch, NULL, GORT_FOREVER), GORT_EINVAL);
        CHECK_EQ(gort_chan_len(ch), 0);
        gort_chan_release(ch);
    }
}

static void channels_that_cannot_be(void) {
    CHECK(gort_chan_new(SIZE_MAX, 2) == NULL);
    CHECK(gort_chan_new(SIZE_MAX / 2 + 1, 2) == NULL); /* the product is 0, modulo 2^64 */
    CHECK(gort_chan_new((size_t)1 << 32, (size_t)1 << 32) == NULL);
    CHECK(gort_chan_new(SIZE_MAX, 1) == NULL);
    CHECK(gort_chan_new(1, SIZE_MAX) == NULL);
    CHECK(gort_chan_new(8, SIZE_MAX / 8) == NULL);
    CHECK(gort_chan_new((size_t)1 << 40, (size_t)1 << 10) == NULL);
}

static int every_select(int how, gort_case_t *cases, size_t n) {
    return how == 0   ? gort_select(cases, n)
           : how == 1 ? gort_try_select(cases, n)
                      : gort_select_until(cases, n, how == 2 ? 0 : GORT_FOREVER);
}

/* Every one of these has a ready case beside the bad one: nothing may come of it. */
static void selects_with_a_bad_case(void) {
    static const int bad_ops[] = {0, 3, -1, 4, 256 + GORT_SEND, INT32_MIN};
    gort_chan_t *ready = gort_chan_new(sizeof(int), 1), *room = gort_chan_new(sizeof(int), 1);
    int value = 9, got = 1;
    CHECK_EQ(gort_chan_send(ready, &value), GORT_OK);
    for (int how = 0; how < 4; how++) {
        CHECK_EQ(every_select(how, NULL, 1), GORT_EINVAL);
        CHECK_EQ(every_select(how, NULL, 65536), GORT_EINVAL);
        CHECK_EQ(every_select(how, NULL, SIZE_MAX), GORT_EINVAL);
        for (size_t i = 0; i < T_LEN(bad_ops); i++) {
            gort_case_t cases[] = {{ready, &got, GORT_RECV, 77}, {room, &value, bad_ops[i], 77}, {room, &value, GORT_SEND, 77}};
            CHECK_EQ(every_select(how, cases, 3), GORT_EINVAL);
            CHECK(cases[0].status == 77 && cases[1].status == 77 && cases[2].status == 77);
            cases[1].chan = NULL; /* never ready, and wrong all the same */
            CHECK_EQ(every_select(how, cases, 3), GORT_EINVAL);
        }
        gort_case_t nothing_to_send[] = {{ready, &got, GORT_RECV, 77}, {room, NULL, GORT_SEND, 77}};
        CHECK_EQ(every_select(how, nothing_to_send, 2), GORT_EINVAL);
        CHECK(nothing_to_send[0].status == 77 && nothing_to_send[1].status == 77);
    }
    CHECK_EQ(gort_chan_len(ready), 1);
    CHECK_EQ(gort_chan_len(room), 0);
    CHECK_EQ(got, 1);
    gort_chan_release(ready);
    gort_chan_release(room);
}

static atomic_int ran;

static void run(void *arg) {
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void goroutines_that_cannot_be(void) {
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    gort_waitgroup_t wg = {0};
    char args[16] = {0};
    atomic_store(&ran, 0);
    size_t before = gort_num_goroutines();
    CHECK_EQ(gort_spawn(NULL, args), GORT_EINVAL);
    CHECK_EQ(gort_spawn_copy(NULL, args, sizeof args), GORT_EINVAL);
    CHECK_EQ(gort_spawn_copy(run, NULL, 1), GORT_EINVAL);
    CHECK_EQ(gort_spawn_copy(run, NULL, SIZE_MAX), GORT_EINVAL);
    CHECK_EQ(gort_spawn_copy(run, args, SIZE_MAX), GORT_ENOMEM);
    CHECK_EQ(gort_spawn_copy(run, args, SIZE_MAX - 64), GORT_ENOMEM);
    CHECK_EQ(gort_spawn_copy(run, args, (size_t)1 << 60), GORT_ENOMEM);
    CHECK_EQ(gort_spawn_with(&opts, NULL, args), GORT_EINVAL);
    for (uint32_t flag = 1u << 31; flag > GORT_SPAWN_PINNED; flag >>= 1) {
        opts.flags = flag;
        CHECK_EQ(gort_spawn_with(&opts, run, NULL), GORT_EINVAL);
        opts.flags = flag | GORT_SPAWN_PINNED;
        CHECK_EQ(gort_spawn_with(&opts, run, NULL), GORT_EINVAL);
    }
    opts.flags = 0;
    opts.stack_size = ((size_t)1 << 30) + 1;
    CHECK_EQ(gort_spawn_with(&opts, run, NULL), GORT_EINVAL);
    opts.stack_size = SIZE_MAX;
    CHECK_EQ(gort_spawn_with(&opts, run, NULL), GORT_EINVAL);
    CHECK_EQ(gort_waitgroup_go(NULL, run, NULL), GORT_EINVAL);
    CHECK_EQ(gort_waitgroup_go(&wg, NULL, NULL), GORT_EINVAL);
    CHECK_EQ(gort_waitgroup_wait_until(&wg, 0), GORT_OK); /* nothing was added */
    CHECK_EQ(gort_num_goroutines(), before);
    gort_sleep(5 * T_MS);
    CHECK_EQ(atomic_load(&ran), 0);
}

static void no_mutex_and_no_wait_group(void) {
    CHECK_EQ(gort_mutex_try_lock(NULL), GORT_EINVAL);
    CHECK_EQ(gort_mutex_lock_until(NULL, 0), GORT_EINVAL);
    CHECK_EQ(gort_mutex_lock_until(NULL, GORT_FOREVER), GORT_EINVAL);
    CHECK_EQ(gort_waitgroup_wait_until(NULL, 0), GORT_EINVAL);
    CHECK_EQ(gort_waitgroup_wait_until(NULL, GORT_FOREVER), GORT_EINVAL);
}

static void main_without_a_function(void) {
    CHECK_EQ(gort_main(NULL, NULL), GORT_EINVAL);
}

/* ---- functions that return nothing ---- */

static void lock_null(void) { gort_mutex_lock(NULL); }
static void unlock_null(void) { gort_mutex_unlock(NULL); }
static void add_null(void) { gort_waitgroup_add(NULL, 1); }
static void done_null(void) { gort_waitgroup_done(NULL); }
static void wait_null(void) { gort_waitgroup_wait(NULL); }

static void lock_null_here(void *arg) {
    (void)arg;
    gort_mutex_lock(NULL);
}

static void lock_null_in_a_goroutine(void) {
    CHECK_EQ(gort_spawn(lock_null_here, NULL), GORT_OK);
    gort_sleep(T_PATIENCE);
}

#define DIES_NAMING(part, function)                                                                          \
    do {                                                                                                     \
        CHILD_DIES(part, "fatal error: ");                                                                   \
        CHILD_DIES(part, function);                                                                          \
    } while (0)

static void functions_that_return_nothing_end_the_process_and_say_who(void) {
    DIES_NAMING(lock_null, "gort_mutex_lock");
    DIES_NAMING(unlock_null, "gort_mutex_unlock");
    DIES_NAMING(add_null, "gort_waitgroup_add");
    DIES_NAMING(done_null, "gort_waitgroup_done");
    DIES_NAMING(wait_null, "gort_waitgroup_wait");
    DIES_NAMING(lock_null_in_a_goroutine, "gort_mutex_lock");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(lock_null);
    T_CHILD(unlock_null);
    T_CHILD(add_null);
    T_CHILD(done_null);
    T_CHILD(wait_null);
    T_CHILD(lock_null_in_a_goroutine);
    RUN_BOTH(no_channel);
    RUN_BOTH(no_element_to_send);
    RUN_BOTH(channels_that_cannot_be);
    RUN_BOTH(selects_with_a_bad_case);
    RUN_BOTH(goroutines_that_cannot_be);
    RUN_BOTH(no_mutex_and_no_wait_group);
    RUN(main_without_a_function);
    RUN(functions_that_return_nothing_end_the_process_and_say_who);
    return t_end();
}
