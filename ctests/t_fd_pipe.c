/* Reading and writing what gort has taken over: pipes and socketpairs. */
#include "t.h"

#include <fcntl.h>
#include <sys/socket.h>

struct ends {
    gort_fd_t *r, *w;
};

static gort_fd_t *take(int fd) {
    int err = 1;
    gort_fd_t *f = gort_fd_open(fd, &err);
    CHECK_EQ(err, GORT_OK);
    CHECK(f != NULL);
    CHECK_EQ(gort_fd_raw(f), fd);
    return f;
}

static struct ends make_pipe(void) {
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    return (struct ends){take(fds[0]), take(fds[1])};
}

static struct ends make_pair(void) {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return (struct ends){take(fds[0]), take(fds[1])};
}

static struct ends (*const makers[])(void) = {make_pipe, make_pair};

static void close_both(struct ends e) {
    gort_fd_release(e.r);
    gort_fd_release(e.w);
}

static void write_hello(void *arg) {
    gort_fd_t *w = arg;
    gort_sleep(5 * T_MS);
    CHECK_EQ(gort_fd_write(w, "hello", 5), 5);
}

static void a_read_waits_for_what_is_written(void) {
    for (size_t i = 0; i < T_LEN(makers); i++)
        for (int thread = 0; thread < 2; thread++) {
            struct ends e = makers[i]();
            gort_waitgroup_t done = {0};
            (thread ? t_go_thread : t_go)(&done, write_hello, e.w);
            char buf[16] = {0};
            CHECK_EQ(gort_fd_read(e.r, buf, sizeof buf), 5);
            CHECK_EQ(memcmp(buf, "hello", 5), 0);
            gort_waitgroup_wait(&done);
            CHECK_EQ(gort_fd_close(e.w), GORT_OK);
            CHECK_EQ(gort_fd_read(e.r, buf, sizeof buf), 0);
            CHECK_EQ(gort_fd_read(e.r, buf, sizeof buf), 0);
            close_both(e);
        }
}

enum { BULK = 3 << 20 };

static unsigned char pattern(size_t i) { return (unsigned char)(i * 7 + (i >> 9)); }

static void write_bulk(void *arg) {
    gort_fd_t *w = arg;
    unsigned char *bulk = malloc(BULK);
    CHECK(bulk != NULL);
    for (size_t i = 0; i < BULK; i++)
        bulk[i] = pattern(i);
    CHECK_EQ(gort_fd_write(w, bulk, BULK), BULK);
    free(bulk);
    CHECK_EQ(gort_fd_close(w), GORT_OK);
}

static void a_write_writes_all_however_little_fits(void) {
    for (size_t i = 0; i < T_LEN(makers); i++)
        for (int thread = 0; thread < 2; thread++) {
            struct ends e = makers[i]();
            gort_waitgroup_t done = {0};
            (thread ? t_go_thread : t_go)(&done, write_bulk, e.w);
            static unsigned char buf[70000];
            size_t got = 0;
            for (;;) {
                int64_t n = gort_fd_read(e.r, buf, 1 + got % sizeof buf);
                CHECK(n >= 0);
                if (n == 0)
                    break;
                for (int64_t at = 0; at < n; at++, got++)
                    CHECK_EQ(buf[at], pattern(got));
            }
            CHECK_EQ(got, BULK);
            gort_waitgroup_wait(&done);
            close_both(e);
        }
}

struct player {
    gort_fd_t *in, *out;
    long rounds;
};

static void play(void *arg) {
    struct player *p = arg;
    for (long i = 0; i < p->rounds; i++) {
        long ball = -1;
        CHECK_EQ(gort_fd_read(p->in, &ball, sizeof ball), sizeof ball);
        CHECK_EQ(ball, i);
        CHECK_EQ(gort_fd_write(p->out, &ball, sizeof ball), sizeof ball);
    }
}

static void many_pairs_go_back_and_forth(void) {
    enum { PAIRS = 40 };
    for (size_t i = 0; i < T_LEN(makers); i++) {
        struct ends there[PAIRS], back[PAIRS];
        struct player players[PAIRS];
        gort_waitgroup_t done = {0};
        long rounds = t_n(200, 40);
        for (int p = 0; p < PAIRS; p++) {
            there[p] = makers[i]();
            back[p] = makers[i]();
            players[p] = (struct player){there[p].r, back[p].w, rounds};
            (p % 8 == 7 ? t_go_thread : t_go)(&done, play, &players[p]);
        }
        for (long round = 0; round < rounds; round++) {
            for (int p = 0; p < PAIRS; p++)
                CHECK_EQ(gort_fd_write(there[p].w, &round, sizeof round), sizeof round);
            for (int p = 0; p < PAIRS; p++) {
                long ball = -1;
                CHECK_EQ(gort_fd_read(back[p].r, &ball, sizeof ball), sizeof ball);
                CHECK_EQ(ball, round);
            }
        }
        gort_waitgroup_wait(&done);
        for (int p = 0; p < PAIRS; p++) {
            close_both(there[p]);
            close_both(back[p]);
        }
    }
}

static void both_ends_of_a_socket_read_and_write_at_once(void) {
    struct ends e = make_pair();
    gort_waitgroup_t done = {0};
    struct player echo = {e.r, e.r, t_n(500, 100)};
    t_go(&done, play, &echo);
    for (long i = 0; i < echo.rounds; i++) {
        long ball = -1;
        CHECK_EQ(gort_fd_write(e.w, &i, sizeof i), sizeof i);
        CHECK_EQ(gort_fd_read(e.w, &ball, sizeof ball), sizeof ball);
        CHECK_EQ(ball, i);
    }
    gort_waitgroup_wait(&done);
    CHECK_EQ(gort_fd_shutdown(e.w, SHUT_WR), GORT_OK);
    char c;
    CHECK_EQ(gort_fd_read(e.r, &c, 1), 0);
    CHECK_EQ(gort_fd_write(e.r, "x", 1), 1);
    CHECK_EQ(gort_fd_read(e.w, &c, 1), 1);
    CHECK_EQ(gort_fd_write(e.w, "x", 1), GORT_EPIPE);
    close_both(e);
}

/* An event that is lost hangs: each message must be seen though the reader is about to look, or has just looked. */
static void write_now_and_then(void *arg) {
    struct player *p = arg;
    uint64_t random = t_seed(1);
    for (long i = 0; i < p->rounds; i++) {
        for (uint64_t spin = t_random(&random) % 2000; spin; spin--)
            __asm__ volatile("");
        CHECK_EQ(gort_fd_write(p->out, &i, sizeof i), sizeof i);
        long ack = -1;
        CHECK_EQ(gort_fd_read(p->in, &ack, sizeof ack), sizeof ack);
        CHECK_EQ(ack, i);
    }
}

static void no_event_is_lost_between_a_thread_and_goroutines(void) {
    struct ends there = make_pipe(), back = make_pipe();
    long rounds = t_n(5000, 500);
    struct player a = {back.r, there.w, rounds}, b = {there.r, back.w, rounds};
    gort_waitgroup_t done = {0};
    t_go_thread(&done, write_now_and_then, &a);
    t_go(&done, play, &b);
    gort_waitgroup_wait(&done);
    close_both(there);
    close_both(back);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(a_read_waits_for_what_is_written);
    RUN_BOTH(a_write_writes_all_however_little_fits);
    RUN_BOTH(many_pairs_go_back_and_forth);
    RUN_BOTH(both_ends_of_a_socket_read_and_write_at_once);
    RUN_BOTH(no_event_is_lost_between_a_thread_and_goroutines);
    return t_end();
}
