/* Connecting and accepting. */
#include "p.h"

struct peer {
    struct sockaddr_in address;
    int listener;
    atomic_int *served;
};

static void serve_one(void *arg) {
    struct peer *p = arg;
    char byte;
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    *p_errno() = 4711;
    int fd = accept4(p->listener, (struct sockaddr *)&from, &length, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(*p_errno(), 4711);
    CHECK_EQ(from.sin_family, AF_INET);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    KEEPS_ERRNO(read(fd, &byte, 1), 1);
    byte++;
    KEEPS_ERRNO(write(fd, &byte, 1), 1);
    close(fd);
    atomic_fetch_add(p->served, 1);
}

static void ask_one(void *arg) {
    struct peer *p = arg;
    char byte = 'a';
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    KEEPS_ERRNO(connect(fd, (struct sockaddr *)&p->address, sizeof p->address), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    KEEPS_ERRNO(write(fd, &byte, 1), 1);
    KEEPS_ERRNO(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'b');
    close(fd);
}

static void many_accept_on_one_socket(void) {
    atomic_int served = 0;
    gort_waitgroup_t servers = {0}, clients = {0};
    struct peer peer = {.served = &served};
    peer.listener = p_listen(CROWD, &peer.address);
    for (int i = 0; i < CROWD; i++)
        t_go(&servers, serve_one, &peer);
    p_settle();
    CHECK_EQ(atomic_load(&served), 0);
    for (int i = 0; i < CROWD / 2; i++) {
        ask_one(&peer);
        EVENTUALLY(atomic_load(&served) == i + 1);
    }
    for (int i = CROWD / 2; i < CROWD; i++)
        t_go(&clients, ask_one, &peer);
    gort_waitgroup_wait(&clients);
    gort_waitgroup_wait(&servers);
    close(peer.listener);
}

static void serve_many(void *arg) {
    struct peer *p = arg;
    for (int fd; (fd = accept(p->listener, NULL, NULL)) >= 0;) {
        close(fd);
        atomic_fetch_add(p->served, 1);
    }
    CHECK_EQ(*p_errno(), EINVAL);
}

/* One gets the connection; the others, who saw it too, must not end up waiting in the kernel. */
static void nobody_blocks_in_accept(void) {
    atomic_int served = 0;
    gort_waitgroup_t servers = {0};
    struct peer peer = {.served = &served};
    peer.listener = p_listen(CROWD, &peer.address);
    for (int i = 0; i < CROWD; i++)
        t_go(&servers, serve_many, &peer);
    for (int i = 0; i < 300; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(connect(fd, (struct sockaddr *)&peer.address, sizeof peer.address), 0);
        EVENTUALLY(atomic_load(&served) == i + 1);
        close(fd);
        CHECK(!p_in_call(SYS_accept));
    }
    CHECK_EQ(shutdown(peer.listener, SHUT_RDWR), 0);
    gort_waitgroup_wait(&servers);
    close(peer.listener);
}

static void accept_and_its_time_out(void) {
    struct sockaddr_in address;
    int listener = p_listen(1, &address);
    p_time_out(listener, SO_RCVTIMEO, 20 * T_MS);
    int64_t before = gort_now();
    FAILS_WITH(accept(listener, NULL, NULL), EAGAIN);
    CHECK(gort_now() - before >= 20 * T_MS);
    p_nonblocking(listener);
    FAILS_WITH(accept(listener, NULL, NULL), EAGAIN);
    FAILS_WITH(accept4(listener, NULL, NULL, SOCK_CLOEXEC), EAGAIN);
    close(listener);
    FAILS_WITH(accept(listener, NULL, NULL), EBADF);
    int deaf = socket(AF_INET, SOCK_STREAM, 0);
    FAILS_WITH(accept(deaf, NULL, NULL), EINVAL);
    close(deaf);
}

static void shut(void *arg) {
    p_settle();
    CHECK_EQ(shutdown(*(int *)arg, SHUT_RDWR), 0);
}

static void a_listener_that_is_shut_down_wakes_accept(void) {
    struct sockaddr_in address;
    gort_waitgroup_t done = {0};
    int listener = p_listen(1, &address);
    t_go(&done, shut, &listener);
    FAILS_WITH(accept(listener, NULL, NULL), EINVAL);
    gort_waitgroup_wait(&done);
    close(listener);
}

static void errors_of_connect_are_those_of_libc(void) {
    struct sockaddr_in address;
    int listener = p_listen(1, &address);
    close(listener);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    FAILS_WITH(connect(fd, (struct sockaddr *)&address, sizeof address), ECONNREFUSED);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    /* A socket that failed may try again. */
    listener = p_listen(1, &address);
    KEEPS_ERRNO(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    FAILS_WITH(connect(fd, (struct sockaddr *)&address, sizeof address), EISCONN);
    close(fd);
    FAILS_WITH(connect(fd, (struct sockaddr *)&address, sizeof address), EBADF);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fd, (struct sockaddr *)&address, sizeof address);
    CHECK(result == 0 || *p_errno() == EINPROGRESS);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd), close(listener);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    KEEPS_ERRNO(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void connect_one(void *arg) {
    struct sockaddr_in *address = arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    p_time_out(fd, SO_SNDTIMEO, 100 * T_MS);
    int64_t before = gort_now();
    FAILS_WITH(connect(fd, (struct sockaddr *)address, sizeof *address), EINPROGRESS);
    CHECK(gort_now() - before >= 100 * T_MS);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    close(fd);
}

/* Nobody accepts, and the queue is full: further connects get no answer. */
static void connects_that_get_no_answer_park(void) {
    struct sockaddr_in address;
    int listener = p_listen(0, &address), queued[4];
    gort_waitgroup_t done = {0};
    for (size_t i = 0; i < T_LEN(queued); i++) {
        queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(queued[i], (struct sockaddr *)&address, sizeof address);
    }
    p_settle();
    for (int i = 0; i < CROWD; i++)
        t_go(&done, connect_one, &address);
    gort_waitgroup_wait(&done);
    for (size_t i = 0; i < T_LEN(queued); i++)
        close(queued[i]);
    close(listener);
}

struct local {
    struct sockaddr_un address;
    socklen_t length;
    atomic_int connected;
};

static void connect_local(void *arg) {
    struct local *l = arg;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    KEEPS_ERRNO(connect(fd, (struct sockaddr *)&l->address, l->length), 0);
    atomic_fetch_add(&l->connected, 1);
    close(fd);
}

static void local_connects_wait_for_room(void) {
    struct local l = {.address.sun_family = AF_UNIX};
    gort_waitgroup_t done = {0};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    l.length = sizeof l.address;
    CHECK_EQ(bind(listener, (struct sockaddr *)&l.address, sizeof(sa_family_t)), 0); /* a name is made up */
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&l.address, &l.length), 0);
    CHECK_EQ(listen(listener, 1), 0);
    for (int i = 0; i < CROWD; i++)
        t_go(&done, connect_local, &l);
    p_settle();
    CHECK(atomic_load(&l.connected) < CROWD);
    for (int i = 0; i < CROWD; i++) {
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        close(fd);
    }
    gort_waitgroup_wait(&done);
    /* Full, and with a time-out. */
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        p_time_out(fds[i], SO_SNDTIMEO, 20 * T_MS);
        if (i < 2)
            KEEPS_ERRNO(connect(fds[i], (struct sockaddr *)&l.address, l.length), 0);
        else
            FAILS_WITH(connect(fds[i], (struct sockaddr *)&l.address, l.length), EAGAIN);
    }
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(listener);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    p_begin();
    RUN_AS_MAIN(many_accept_on_one_socket);
    RUN_AS_MAIN(nobody_blocks_in_accept);
    RUN_AS_MAIN(accept_and_its_time_out);
    RUN_AS_MAIN(a_listener_that_is_shut_down_wakes_accept);
    RUN_AS_MAIN(errors_of_connect_are_those_of_libc);
    RUN_AS_MAIN(connects_that_get_no_answer_park);
    RUN_AS_MAIN(local_connects_wait_for_room);
    return t_end();
}
