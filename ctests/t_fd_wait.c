/* gort_wait_fd: poll(2) of one descriptor, for goroutines and threads, several for one descriptor too. */
#include "t.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

static void make_pair(int fds[2]) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(int fds[2]) {
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
}

static void fill(int fd) {
    static const char zeros[4096];
    int flags = fcntl(fd, F_GETFL);
    CHECK_EQ(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    CHECK_EQ(fcntl(fd, F_SETFL, flags), 0);
}

static void drain(int fd) {
    static char buf[65536];
    int flags = fcntl(fd, F_GETFL);
    CHECK_EQ(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (read(fd, buf, sizeof buf) > 0)
        ;
    CHECK_EQ(fcntl(fd, F_SETFL, flags), 0);
}

static void it_says_what_holds(void) {
    int fds[2];
    make_pair(fds);
    CHECK_EQ(gort_wait_fd(fds[0], POLLIN | POLLOUT, GORT_FOREVER), POLLOUT);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(gort_wait_fd(fds[0], POLLIN | POLLOUT, GORT_FOREVER), POLLIN | POLLOUT);
    CHECK_EQ(gort_wait_fd(fds[0], POLLIN, 0), POLLIN);
    CHECK_EQ(shutdown(fds[1], SHUT_RDWR), 0);
    CHECK_EQ(gort_wait_fd(fds[0], POLLOUT, GORT_FOREVER) & POLLHUP, POLLHUP);
    CHECK_EQ(gort_wait_fd(fds[0], 0, GORT_FOREVER) & POLLHUP, POLLHUP);
    CHECK_EQ(gort_wait_fd(fds[0], POLLRDHUP, GORT_FOREVER) & POLLRDHUP, POLLRDHUP);
    close_pair(fds);
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(gort_wait_fd(fds[1], POLLOUT, GORT_FOREVER) & POLLERR, POLLERR);
    CHECK_EQ(close(fds[1]), 0);
}

static void what_poll_does_not_know_is_refused(void) {
    CHECK_EQ(gort_wait_fd(-1, POLLIN, GORT_FOREVER), GORT_EINVAL);
    CHECK_EQ(gort_wait_fd(0, 1 << 16, GORT_FOREVER), GORT_EINVAL);
    CHECK_EQ(gort_wait_fd(0, -1, GORT_FOREVER), GORT_EINVAL);
    CHECK_EQ(gort_wait_fd(999999, POLLIN, GORT_FOREVER), POLLNVAL);
    CHECK_EQ(gort_wait_fd(INT32_MAX, POLLIN, GORT_FOREVER), POLLNVAL);
}

static void a_regular_file_is_always_ready(void) {
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(gort_wait_fd(fd, POLLIN, GORT_FOREVER), POLLIN);
    CHECK_EQ(gort_wait_fd(fd, POLLIN | POLLOUT, GORT_FOREVER), POLLIN | POLLOUT);
    /* There is no urgent data, and none will come. */
    int64_t until = gort_now() + 2 * T_MS;
    CHECK_EQ(gort_wait_fd(fd, POLLPRI, until), GORT_ETIMEDOUT);
    CHECK(gort_now() >= until);
    CHECK_EQ(close(fd), 0);
}

static void no_deadline_is_early(void) {
    int fds[2];
    make_pair(fds);
    fill(fds[0]);
    static const int64_t delays[] = {-1, 0, 1, 1000, 60000, T_MS, 300 * T_MS};
    for (size_t i = 0; i < T_LEN(delays); i++) {
        int64_t until = gort_now() + delays[i];
        CHECK_EQ(gort_wait_fd(fds[0], POLLIN | (i % 2 ? POLLOUT : 0), until), GORT_ETIMEDOUT);
        CHECK(gort_now() >= until);
    }
    CHECK_EQ(gort_wait_fd(fds[0], POLLIN, INT64_MIN), GORT_ETIMEDOUT);
    close_pair(fds);
}

struct shared {
    int fds[2];
    int events;
    atomic_int begun, ended;
};

static void wait_for(void *arg) {
    struct shared *s = arg;
    atomic_fetch_add(&s->begun, 1);
    CHECK_EQ(gort_wait_fd(s->fds[0], s->events, GORT_FOREVER), s->events);
    atomic_fetch_add(&s->ended, 1);
}

static void all_who_wait_for_one_descriptor_are_told(void) {
    for (int writing = 0; writing < 2; writing++) {
        struct shared s = {.events = writing ? POLLOUT : POLLIN};
        enum { WAITERS = 10 };
        make_pair(s.fds);
        fill(s.fds[0]);
        gort_waitgroup_t done = {0};
        for (int i = 0; i < WAITERS; i++)
            (i % 3 ? t_go : t_go_thread)(&done, wait_for, &s);
        EVENTUALLY(atomic_load(&s.begun) == WAITERS);
        gort_sleep(2 * T_MS);
        CHECK_EQ(atomic_load(&s.ended), 0);
        if (writing)
            drain(s.fds[1]);
        else
            CHECK_EQ(write(s.fds[1], "x", 1), 1);
        gort_waitgroup_wait(&done);
        close_pair(s.fds);
    }
}

static void wait_both(void *arg) {
    struct shared *s = arg;
    atomic_fetch_add(&s->begun, 1);
    int got = gort_wait_fd(s->fds[0], POLLIN | POLLOUT, GORT_FOREVER);
    CHECK(got > 0 && !(got & ~(POLLIN | POLLOUT)));
    atomic_fetch_add(&s->ended, 1);
}

static void one_wait_for_both_directions_ends_by_either(void) {
    for (int writing = 0; writing < 2; writing++) {
        struct shared s = {0};
        make_pair(s.fds);
        fill(s.fds[0]);
        gort_waitgroup_t done = {0};
        for (int i = 0; i < 3; i++)
            (i ? t_go : t_go_thread)(&done, wait_both, &s);
        EVENTUALLY(atomic_load(&s.begun) == 3);
        gort_sleep(T_MS);
        if (writing)
            drain(s.fds[1]);
        else
            CHECK_EQ(write(s.fds[1], "x", 1), 1);
        gort_waitgroup_wait(&done);
        close_pair(s.fds);
    }
}

static void read_handle(void *arg) {
    gort_fd_t *f = arg;
    char c;
    CHECK_EQ(gort_fd_read(f, &c, 1), 1);
}

static void a_handle_and_a_wait_share_a_number(void) {
    struct shared s = {.events = POLLIN};
    make_pair(s.fds);
    gort_fd_t *f = gort_fd_open(s.fds[0], NULL);
    CHECK(f != NULL);
    gort_waitgroup_t readers = {0}, waiters = {0};
    int64_t until;
    for (long i = 0; t_again(i, 300, &until); i++) {
        t_go(&waiters, wait_for, &s);
        t_go(&readers, read_handle, f);
        gort_yield();
        /* Two bytes: the reader takes one, who waits sees the other. */
        CHECK_EQ(write(s.fds[1], "xy", 2), 2);
        gort_waitgroup_wait(&readers);
        gort_waitgroup_wait(&waiters);
        char c;
        CHECK_EQ(gort_fd_read(f, &c, 1), 1);
    }
    gort_fd_release(f);
    CHECK_EQ(close(s.fds[1]), 0);
}

/* A number that is closed and given out again, while others wait for the file that it was. */
static void wait_a_while(void *arg) {
    struct shared *s = arg;
    atomic_fetch_add(&s->begun, 1);
    (void)gort_wait_fd(s->fds[0], POLLIN, gort_now() + 30 * T_MS);
}

static void a_number_that_is_used_again_is_told_of(void) {
    for (int i = 0; i < 10; i++) {
        struct shared old = {0}, new = {.events = POLLIN};
        gort_waitgroup_t done = {0};
        make_pair(old.fds);
        t_go(&done, wait_a_while, &old);
        EVENTUALLY(atomic_load(&old.begun) == 1);
        gort_sleep(T_MS);
        CHECK_EQ(close(old.fds[0]), 0);
        make_pair(new.fds);
        if (new.fds[0] != old.fds[0]) {
            CHECK_EQ(dup2(new.fds[0], old.fds[0]), old.fds[0]);
            CHECK_EQ(close(new.fds[0]), 0);
            new.fds[0] = old.fds[0];
        }
        t_go(&done, wait_for, &new);
        EVENTUALLY(atomic_load(&new.begun) == 1);
        if (i % 2)
            gort_sleep(40 * T_MS);
        CHECK_EQ(write(new.fds[1], "x", 1), 1);
        gort_waitgroup_wait(&done);
        close_pair(new.fds);
        CHECK_EQ(close(old.fds[1]), 0);
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(it_says_what_holds);
    RUN_BOTH(what_poll_does_not_know_is_refused);
    RUN_BOTH(a_regular_file_is_always_ready);
    RUN_BOTH(no_deadline_is_early);
    RUN_BOTH(all_who_wait_for_one_descriptor_are_told);
    RUN_BOTH(one_wait_for_both_directions_ends_by_either);
    RUN_BOTH(a_handle_and_a_wait_share_a_number);
    RUN_BOTH(a_number_that_is_used_again_is_told_of);
    return t_end();
}
