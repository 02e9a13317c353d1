/* Deadlines of descriptors: on time or later, moved while calls wait, before data that are ready. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

static gort_fd_t *take(int fd) {
    int err = 1;
    gort_fd_t *f = gort_fd_open(fd, &err);
    CHECK_EQ(err, GORT_OK);
    return f;
}

static void make_pair(gort_fd_t **a, gort_fd_t **b) {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    *a = take(fds[0]);
    *b = take(fds[1]);
}

/* Write until no more fits. */
static void fill(gort_fd_t *f) {
    static const char zeros[1 << 16];
    CHECK_EQ(gort_fd_set_write_deadline(f, gort_now() + 2 * T_MS), GORT_OK);
    while (gort_fd_write(f, zeros, sizeof zeros) == sizeof zeros)
        CHECK_EQ(gort_fd_set_write_deadline(f, gort_now() + 2 * T_MS), GORT_OK);
    CHECK_EQ(gort_fd_write(f, zeros, sizeof zeros), GORT_ETIMEDOUT);
    CHECK_EQ(gort_fd_set_write_deadline(f, GORT_FOREVER), GORT_OK);
}

/* A descriptor that is neither ready to be read nor to be written. */
struct late {
    gort_fd_t *f;
    int64_t delay;
};

static void read_late(void *arg) {
    struct late *l = arg;
    char c;
    int64_t until = gort_now() + l->delay;
    CHECK_EQ(gort_fd_set_read_deadline(l->f, until), GORT_OK);
    CHECK_EQ(gort_fd_read(l->f, &c, 1), GORT_ETIMEDOUT);
    CHECK(gort_now() >= until);
}

static void write_late(void *arg) {
    struct late *l = arg;
    int64_t until = gort_now() + l->delay;
    CHECK_EQ(gort_fd_set_write_deadline(l->f, until), GORT_OK);
    CHECK_EQ(gort_fd_write(l->f, "x", 1), GORT_ETIMEDOUT);
    CHECK(gort_now() >= until);
}

static void none_is_early_from_a_nanosecond_to_a_second(void) {
    static const int64_t delays[] = {1, 1000, 50000, T_MS, 20 * T_MS, 300 * T_MS, 1000 * T_MS};
    struct late late[T_LEN(delays)];
    gort_fd_t *peers[T_LEN(delays)];
    gort_waitgroup_t done = {0};
    for (size_t i = 0; i < T_LEN(delays); i++) {
        late[i].delay = delays[i];
        make_pair(&late[i].f, &peers[i]);
        fill(late[i].f);
    }
    for (size_t i = 0; i < T_LEN(delays); i++) {
        (i % 2 ? t_go : t_go_thread)(&done, read_late, &late[i]);
        (i % 2 ? t_go_thread : t_go)(&done, write_late, &late[i]);
    }
    gort_waitgroup_wait(&done);
    for (size_t i = 0; i < T_LEN(delays); i++) {
        gort_fd_release(late[i].f);
        gort_fd_release(peers[i]);
    }
}

static void a_past_one_beats_data_and_room_until_it_is_moved(void) {
    gort_fd_t *a, *b;
    make_pair(&a, &b);
    char c = 'x';
    static const int64_t past[] = {0, 1, -1, INT64_MIN};
    for (size_t i = 0; i < T_LEN(past); i++) {
        CHECK_EQ(gort_fd_write(b, &c, 1), 1);
        CHECK_EQ(gort_fd_set_read_deadline(a, past[i]), GORT_OK);
        CHECK_EQ(gort_fd_read(a, &c, 1), GORT_ETIMEDOUT);
        CHECK_EQ(gort_fd_set_read_deadline(a, GORT_FOREVER), GORT_OK);
        CHECK_EQ(gort_fd_read(a, &c, 1), 1);
        CHECK_EQ(gort_fd_set_write_deadline(a, past[i]), GORT_OK);
        CHECK_EQ(gort_fd_write(a, &c, 1), GORT_ETIMEDOUT);
        CHECK_EQ(gort_fd_set_write_deadline(a, gort_now() + T_PATIENCE), GORT_OK);
        CHECK_EQ(gort_fd_write(a, &c, 1), 1);
    }
    gort_fd_release(a);
    gort_fd_release(b);
}

static void half_a_write_is_told_and_the_next_call_says_why(void) {
    gort_fd_t *a, *b;
    make_pair(&a, &b);
    size_t n = 16 << 20;
    char *bulk = calloc(1, n);
    CHECK(bulk != NULL);
    CHECK_EQ(gort_fd_set_write_deadline(a, gort_now() + 20 * T_MS), GORT_OK);
    int64_t wrote = gort_fd_write(a, bulk, n);
    CHECK(wrote > 0 && wrote < (int64_t)n);
    CHECK_EQ(gort_fd_write(a, bulk, n), GORT_ETIMEDOUT);
    int64_t got = 0;
    while (got < wrote) {
        int64_t more = gort_fd_read(b, bulk, n);
        CHECK(more > 0);
        got += more;
    }
    CHECK_EQ(got, wrote);
    CHECK_EQ(gort_fd_set_write_deadline(a, GORT_FOREVER), GORT_OK);
    fill(a);
    gort_fd_release(b);
    CHECK_EQ(gort_fd_write(a, bulk, n), GORT_EPIPE);
    gort_fd_release(a);
    free(bulk);
}

struct shared {
    gort_fd_t *f;
    atomic_int begun, ended;
    int expected;
};

static void read_one(void *arg) {
    struct shared *s = arg;
    char c;
    atomic_fetch_add(&s->begun, 1);
    CHECK_EQ(gort_fd_read(s->f, &c, 1), s->expected);
    atomic_fetch_add(&s->ended, 1);
}

/* One waits for data, the others for their turn; all are told. */
static void moving_one_wakes_all_who_wait(void) {
    for (int threads = 0; threads < 2; threads++) {
        gort_fd_t *b;
        struct shared s = {.expected = GORT_ETIMEDOUT};
        make_pair(&s.f, &b);
        gort_waitgroup_t done = {0};
        enum { READERS = 7 };
        for (int i = 0; i < READERS; i++)
            (threads && i % 2 ? t_go_thread : t_go)(&done, read_one, &s);
        EVENTUALLY(atomic_load(&s.begun) == READERS);
        gort_sleep(T_MS);
        /* Later than never is no reason to return. */
        CHECK_EQ(gort_fd_set_read_deadline(s.f, gort_now() + 100 * T_PATIENCE), GORT_OK);
        gort_sleep(T_MS);
        CHECK_EQ(atomic_load(&s.ended), 0);
        CHECK_EQ(gort_fd_set_read_deadline(s.f, gort_now() + T_MS), GORT_OK);
        gort_waitgroup_wait(&done);
        CHECK_EQ(gort_fd_set_read_deadline(s.f, GORT_FOREVER), GORT_OK);
        s.expected = 1;
        t_go(&done, read_one, &s);
        CHECK_EQ(gort_fd_write(b, "x", 1), 1);
        gort_waitgroup_wait(&done);
        gort_fd_release(s.f);
        gort_fd_release(b);
    }
}

/* Deadlines are moved to and fro while bytes go by: none is lost, none comes twice. */
struct stream {
    gort_fd_t *r, *w;
    long timeouts;
    atomic_int stop;
};

static void read_in_spite_of_deadlines(void *arg) {
    struct stream *s = arg;
    for (long i = 0;;) {
        long got = -1;
        int64_t n = gort_fd_read(s->r, &got, sizeof got);
        if (n == GORT_ETIMEDOUT) {
            s->timeouts++;
            gort_yield();
            continue;
        }
        CHECK_EQ(n, sizeof got);
        if (got == -1)
            break;
        CHECK_EQ(got, i);
        i++;
    }
    atomic_store(&s->stop, 1);
}

static void move_deadlines(void *arg) {
    struct stream *s = arg;
    uint64_t random = t_seed(7);
    while (!atomic_load(&s->stop)) {
        int64_t deadline = gort_now() + (int64_t)(t_random(&random) % 40000);
        if (t_random(&random) % 4 == 0)
            deadline = GORT_FOREVER;
        CHECK_EQ(gort_fd_set_read_deadline(s->r, deadline), GORT_OK);
        gort_yield();
        if (t_random(&random) % 8 == 0)
            gort_sleep(10000);
    }
}

static void nothing_is_lost_while_deadlines_are_moved(void) {
    struct stream s = {0};
    int64_t until;
    make_pair(&s.r, &s.w);
    gort_waitgroup_t done = {0};
    t_go(&done, read_in_spite_of_deadlines, &s);
    t_go(&done, move_deadlines, &s);
    t_go_thread(&done, move_deadlines, &s);
    for (long i = 0; t_again(i, 3000, &until); i++) {
        CHECK_EQ(gort_fd_write(s.w, &i, sizeof i), sizeof i);
        if (i % 3 == 0)
            gort_yield();
        if (i % 64 == 0)
            gort_sleep(30000);
    }
    long end = -1;
    CHECK_EQ(gort_fd_write(s.w, &end, sizeof end), sizeof end);
    gort_waitgroup_wait(&done);
    gort_fd_release(s.r);
    gort_fd_release(s.w);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(none_is_early_from_a_nanosecond_to_a_second);
    RUN_BOTH(a_past_one_beats_data_and_room_until_it_is_moved);
    RUN_BOTH(half_a_write_is_told_and_the_next_call_says_why);
    RUN_BOTH(moving_one_wakes_all_who_wait);
    RUN_BOTH(nothing_is_lost_while_deadlines_are_moved);
    return t_end();
}
