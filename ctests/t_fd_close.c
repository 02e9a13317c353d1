/* Closing descriptors: who waits is told, whoever holds the last handle closes, the number is free when close returns. */
#include "t.h"

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

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

struct shared {
    gort_fd_t *f;
    atomic_int begun;
};

static void read_until_closed(void *arg) {
    struct shared *s = arg;
    char c;
    atomic_fetch_add(&s->begun, 1);
    CHECK_EQ(gort_fd_read(s->f, &c, 1), GORT_ECLOSED);
}

static void write_until_closed(void *arg) {
    struct shared *s = arg;
    static const char zeros[1 << 20];
    atomic_fetch_add(&s->begun, 1);
    int64_t n;
    while ((n = gort_fd_write(s->f, zeros, sizeof zeros)) > 0)
        ;
    CHECK_EQ(n, GORT_ECLOSED);
}

static void all_who_wait_are_told(void) {
    enum { EACH = 4 };
    for (int threads = 0; threads < 2; threads++)
        for (int release = 0; release < 2; release++) {
            struct shared s = {0};
            gort_fd_t *b;
            make_pair(&s.f, &b);
            int fd = gort_fd_raw(s.f);
            gort_waitgroup_t done = {0};
            for (int i = 0; i < EACH; i++) {
                (threads && i % 2 ? t_go_thread : t_go)(&done, read_until_closed, &s);
                (threads && i % 2 ? t_go_thread : t_go)(&done, write_until_closed, &s);
            }
            EVENTUALLY(atomic_load(&s.begun) == 2 * EACH);
            gort_sleep(2 * T_MS);
            CHECK_EQ(gort_fd_close(s.f), GORT_OK);
            CHECK(!is_open(fd));
            CHECK_EQ(gort_fd_close(s.f), GORT_ECLOSED);
            gort_waitgroup_wait(&done);
            gort_fd_release(s.f);
            gort_fd_release(b);
        }
}

static void after_it_nothing_works_and_the_number_may_be_anything(void) {
    gort_fd_t *a, *b;
    make_pair(&a, &b);
    int fd = gort_fd_raw(a);
    CHECK_EQ(gort_fd_close(a), GORT_OK);
    /* The lowest number is given out first. */
    int other = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CHECK(other >= 0 && other <= fd);
    char c = 7;
    CHECK_EQ(gort_fd_read(a, &c, 1), GORT_ECLOSED);
    CHECK_EQ(gort_fd_write(a, &c, 1), GORT_ECLOSED);
    CHECK_EQ(gort_fd_shutdown(a, SHUT_RDWR), GORT_ECLOSED);
    CHECK_EQ(gort_fd_set_read_deadline(a, 0), GORT_ECLOSED);
    CHECK_EQ(gort_fd_set_write_deadline(a, 0), GORT_ECLOSED);
    CHECK_EQ(gort_fd_raw(a), GORT_ECLOSED);
    CHECK_EQ(c, 7);
    gort_fd_release(a);
    CHECK(is_open(other));
    CHECK_EQ(close(other), 0);
    CHECK_EQ(gort_fd_read(b, &c, 1), 0);
    gort_fd_release(b);
}

static void the_last_handle_closes(void) {
    gort_fd_t *a, *b;
    make_pair(&a, &b);
    int fd = gort_fd_raw(a);
    CHECK(gort_fd_retain(a) == a);
    gort_fd_release(a);
    CHECK(is_open(fd));
    gort_fd_release(a);
    CHECK(!is_open(fd));
    gort_fd_release(b);
    gort_fd_release(NULL);
    CHECK(gort_fd_retain(NULL) == NULL);
}

/* Close against calls that are just beginning, running, parking. Descriptors come and go under the same numbers meanwhile:
 * what one goroutine reads must be from its own. */
struct round {
    gort_fd_t *f;
    uint64_t id;
    gort_waitgroup_t *done;
};

static void read_own(void *arg) {
    struct round *r = arg;
    for (;;) {
        uint64_t got = 0;
        int64_t n = gort_fd_read(r->f, &got, sizeof got);
        if (n == GORT_ECLOSED)
            break;
        CHECK_EQ(n, sizeof got);
        CHECK(got == r->id);
    }
    gort_fd_release(r->f);
    free(r);
}

static void open_and_close(void *arg) {
    uint64_t random = t_seed((uintptr_t)&random);
    gort_waitgroup_t *done = arg;
    int64_t until;
    for (long i = 0; t_again(i, 400, &until); i++) {
        gort_fd_t *a, *b;
        make_pair(&a, &b);
        uint64_t id = t_random(&random);
        for (int readers = 0; readers < 2; readers++) {
            struct round *r = malloc(sizeof *r);
            CHECK(r != NULL);
            *r = (struct round){gort_fd_retain(a), id, done};
            t_go(done, read_own, r);
        }
        for (uint64_t n = t_random(&random) % 4; n; n--) {
            CHECK_EQ(gort_fd_write(b, &id, sizeof id), sizeof id);
            if (n % 2)
                gort_yield();
        }
        if (t_random(&random) % 2)
            gort_sleep((int64_t)(t_random(&random) % 50000));
        CHECK_EQ(gort_fd_close(a), GORT_OK);
        gort_fd_release(a);
        gort_fd_release(b);
    }
}

static void nobody_meets_another_ones_file(void) {
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 4; i++)
        (i % 2 ? t_go_thread : t_go)(&done, open_and_close, &done);
    gort_waitgroup_wait(&done);
}

static int count_fds(void) {
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += is_open(fd);
    return n;
}

static void no_descriptor_is_leaked(void) {
    gort_fd_t *a, *b;
    make_pair(&a, &b);
    gort_waitgroup_t done = {0};
    open_and_close(&done);
    gort_waitgroup_wait(&done);
    int before = count_fds();
    open_and_close(&done);
    gort_waitgroup_wait(&done);
    /* A worker more may have got something to be woken by. */
    CHECK(count_fds() <= before + 4);
    gort_fd_release(a);
    gort_fd_release(b);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(all_who_wait_are_told);
    RUN_BOTH(after_it_nothing_works_and_the_number_may_be_anything);
    RUN_BOTH(the_last_handle_closes);
    RUN_BOTH(nobody_meets_another_ones_file);
    RUN_BOTH(no_descriptor_is_leaked);
    return t_end();
}
