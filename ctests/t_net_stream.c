/* Streams: tcp of both versions, Unix sockets with a path and without. */
#include "t_net.h"

enum { BULK = 300000 };

static unsigned char byte_at(size_t i) { return (unsigned char)(i * 31 + i / 251); }

struct echo {
    gort_fd_t *listener;
};

/* Sends back what it is sent; when that ends, says goodbye and ends too. */
static void echo_one(void *arg) {
    gort_fd_t *fd = t_accept(((struct echo *)arg)->listener);
    char buf[5000];
    for (int64_t n; (n = gort_fd_read(fd, buf, sizeof buf)) != 0;) {
        CHECK(n > 0);
        t_write_all(fd, buf, (size_t)n);
    }
    t_write_all(fd, "bye", 3);
    t_close(fd);
}

static void send_bulk(void *arg) {
    gort_fd_t *fd = arg;
    static unsigned char bulk[BULK];
    for (size_t i = 0; i < BULK; i++)
        bulk[i] = byte_at(i);
    t_write_all(fd, bulk, BULK);
    /* The other direction stays open. */
    CHECK_EQ(gort_fd_shutdown(fd, SHUT_WR), GORT_OK);
}

static void bytes_arrive_both_ways_and_half_a_close_ends_one_of_them(void) {
    struct t_place place;
    for (int i = 0; t_next_place(&i, &place);) {
        gort_waitgroup_t done = {0};
        struct echo echo = {t_listen(place.network, place.address)};
        t_go(&done, echo_one, &echo);
        gort_fd_t *fd = t_dial(place.network, place.address);
        t_go(&done, send_bulk, fd);
        static unsigned char back[BULK + 100];
        CHECK_EQ(t_read_all(fd, back, sizeof back), BULK + 3);
        for (size_t k = 0; k < BULK; k++)
            if (back[k] != byte_at(k))
                FAIL("%s: byte %zu is wrong", place.network, k);
        CHECK_EQ(memcmp(back + BULK, "bye", 3), 0);
        gort_waitgroup_wait(&done);
        t_close(fd);
        t_close(echo.listener);
    }
}

/* ---- addresses ---- */

static void both_ends_agree_on_their_addresses(void) {
    char local[GORT_ADDR_SIZE], peer[GORT_ADDR_SIZE];
    struct t_place place;
    for (int i = 0; t_next_place(&i, &place);) {
        gort_fd_t *listener = t_listen(place.network, place.address);
        gort_fd_t *fd = t_dial(place.network, place.address), *accepted = t_accept(listener);
        CHECK_EQ(gort_fd_peer_addr(fd, peer, sizeof peer), GORT_OK);
        CHECK(strcmp(peer, place.address) == 0);
        CHECK_EQ(gort_fd_local_addr(accepted, local, sizeof local), GORT_OK);
        CHECK(strcmp(local, place.address) == 0);
        CHECK_EQ(gort_fd_local_addr(fd, local, sizeof local), GORT_OK);
        CHECK_EQ(gort_fd_peer_addr(accepted, peer, sizeof peer), GORT_OK);
        CHECK(strcmp(local, peer) == 0);
        CHECK(strcmp(local, place.address) != 0);
        CHECK_EQ(gort_fd_peer_addr(listener, peer, sizeof peer), GORT_ENOTCONN);
        t_close(fd);
        CHECK_EQ(gort_fd_close(accepted), GORT_OK);
        CHECK_EQ(gort_fd_local_addr(accepted, local, sizeof local), GORT_ECLOSED);
        CHECK_EQ(gort_fd_peer_addr(accepted, local, sizeof local), GORT_ECLOSED);
        gort_fd_release(accepted);
        t_close(listener);
    }
}

static void an_address_is_told_whole_or_not_at_all(void) {
    char address[GORT_ADDR_SIZE], buf[GORT_ADDR_SIZE];
    gort_fd_t *listener = t_listen_here(address);
    size_t n = strlen(address);
    memset(buf, 'x', sizeof buf);
    CHECK_EQ(gort_fd_local_addr(listener, buf, 0), GORT_ENOSPC);
    CHECK_EQ(buf[0], 'x');
    CHECK_EQ(gort_fd_local_addr(listener, buf, n), GORT_ENOSPC);
    CHECK(buf[0] == '\0' && buf[1] == 'x');
    CHECK_EQ(gort_fd_local_addr(listener, buf, n + 1), GORT_OK);
    CHECK(strcmp(buf, address) == 0 && buf[n + 1] == 'x');
    CHECK_EQ(gort_fd_local_addr(NULL, buf, sizeof buf), GORT_EINVAL);
    CHECK_EQ(gort_fd_local_addr(listener, NULL, 0), GORT_EINVAL);
    t_close(listener);
    int ends[2], err;
    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    gort_fd_t *pipe_end = gort_fd_open(ends[0], &err);
    CHECK(pipe_end != NULL);
    CHECK_EQ(gort_fd_local_addr(pipe_end, buf, sizeof buf), GORT_ENOTSOCK);
    t_close(pipe_end);
    close(ends[1]);
}

static bool reaches(const char *network, const char *host, const char *listening) {
    char address[GORT_ADDR_SIZE];
    int err = 1;
    snprintf(address, sizeof address, "%s%s", host, strrchr(listening, ':'));
    gort_fd_t *fd = gort_dial(network, address, gort_now() + T_PATIENCE, &err);
    if (fd)
        t_close(fd);
    else
        CHECK_EQ(err, GORT_ECONNREFUSED);
    return fd != NULL;
}

/* Another program may listen at the same port, for the other version: then it is not this listener who answers. */
static bool is_somebody_elses(gort_fd_t *listener) {
    CHECK_EQ(gort_fd_set_read_deadline(listener, gort_now() + 20 * T_MS), GORT_OK);
    gort_fd_t *fd = gort_accept(listener, NULL);
    CHECK_EQ(gort_fd_set_read_deadline(listener, GORT_FOREVER), GORT_OK);
    return fd == NULL;
}

static void without_a_host_it_is_every_address_of_the_network(void) {
    if (!t_have_ipv6())
        return;
    char address[GORT_ADDR_SIZE] = ":0", peer[GORT_ADDR_SIZE];
    gort_fd_t *both = t_listen("tcp", address);
    CHECK_EQ(strncmp(address, "[::]:", 5), 0);
    CHECK(reaches("tcp", "", address));
    CHECK(reaches("tcp4", "127.0.0.1", address));
    CHECK(reaches("tcp6", "[::1]", address));
    CHECK(reaches("tcp", "0.0.0.0", address));
    CHECK(reaches("tcp", "[::]", address));
    static const char *const as[] = {"127.0.0.1:", "127.0.0.1:", "[::1]:", "127.0.0.1:", "[::1]:"};
    for (size_t i = 0; i < T_LEN(as); i++) {
        gort_fd_t *fd = t_accept(both);
        CHECK_EQ(gort_fd_peer_addr(fd, peer, sizeof peer), GORT_OK);
        if (strncmp(peer, as[i], strlen(as[i])) != 0)
            FAIL("%zu: the peer is %s", i, peer);
        t_close(fd);
    }
    t_close(both);

    strcpy(address, ":0");
    gort_fd_t *four = t_listen("tcp4", address);
    CHECK_EQ(strncmp(address, "0.0.0.0:", 8), 0);
    CHECK(!reaches("tcp", "[::1]", address) || is_somebody_elses(four));
    CHECK(reaches("tcp", "127.0.0.1", address));
    t_close(t_accept(four));
    t_close(four);
    strcpy(address, ":0");
    gort_fd_t *six = t_listen("tcp6", address);
    CHECK_EQ(strncmp(address, "[::]:", 5), 0);
    CHECK(!reaches("tcp", "127.0.0.1", address) || is_somebody_elses(six));
    CHECK(reaches("tcp", "[::1]", address));
    t_close(t_accept(six));
    t_close(six);
}

/* ---- Unix sockets ---- */

static void the_file_of_a_unix_socket_goes_with_its_listener(void) {
    char path[GORT_ADDR_SIZE], again[GORT_ADDR_SIZE];
    struct stat stat_buf;
    int err;
    snprintf(path, sizeof path, "%s/listener", t_dir());
    gort_fd_t *listener = t_listen("unix", path);
    CHECK_EQ(stat(path, &stat_buf), 0);
    CHECK(gort_listen("unix", path, &err) == NULL);
    CHECK_EQ(err, GORT_EADDRINUSE);
    gort_fd_t *fd = t_dial("unix", path), *accepted = t_accept(listener);
    /* Not with a connection, whose address is the same. */
    t_close(accepted);
    t_close(fd);
    CHECK_EQ(stat(path, &stat_buf), 0);
    CHECK_EQ(gort_fd_close(listener), GORT_OK);
    CHECK(stat(path, &stat_buf) != 0 && errno == ENOENT);
    /* The next one's file is not the first one's to remove. */
    strcpy(again, path);
    gort_fd_t *next = t_listen("unix", again);
    gort_fd_release(listener);
    CHECK_EQ(stat(path, &stat_buf), 0);
    /* Without a close, the last handle. */
    gort_fd_release(next);
    CHECK(stat(path, &stat_buf) != 0 && errno == ENOENT);
}

static void a_forked_child_leaves_the_file_in_place(void) {
    char path[GORT_ADDR_SIZE];
    struct stat stat_buf;
    snprintf(path, sizeof path, "%s/forked", t_dir());
    gort_fd_t *listener = t_listen("unix", path);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(gort_fd_close(listener) == GORT_OK ? 7 : 8);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK_EQ(stat(path, &stat_buf), 0);
    gort_fd_t *fd = t_dial("unix", path);
    t_close(t_accept(listener));
    t_close(fd);
    t_close(listener);
    CHECK(stat(path, &stat_buf) != 0);
}

/* ---- bad input, options, errno ---- */

static void what_is_no_address_is_refused(void) {
    static const struct {
        const char *network, *address;
        int err;
    } bad[] = {
        {NULL, "127.0.0.1:0", GORT_EINVAL},     {"tcp", NULL, GORT_EINVAL},
        {"", "127.0.0.1:0", GORT_EINVAL},       {"ip", "127.0.0.1:0", GORT_EINVAL},
        {"TCP", "127.0.0.1:0", GORT_EINVAL},    {"tcp", "", GORT_EINVAL},
        {"tcp", "127.0.0.1", GORT_EINVAL},      {"tcp", "::1:80", GORT_EINVAL},
        {"tcp", "127.0.0.1:65536", GORT_EINVAL}, {"tcp", "127.0.0.1:-1", GORT_EINVAL},
        {"tcp", "[::1", GORT_EINVAL},           {"tcp", "[::g]:80", GORT_EINVAL},
        {"tcp", "127.1:80", GORT_ENONAME},      {"tcp4", "[::1]:80", GORT_EAFNOSUPPORT},
        {"udp6", "127.0.0.1:80", GORT_EAFNOSUPPORT}, {"tcp6", "[fe80::1%nosuchif]:80", GORT_ENODEV},
    };
    char long_path[200];
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    for (size_t i = 0; i < T_LEN(bad) + 1; i++) {
        const char *network = i < T_LEN(bad) ? bad[i].network : "unix";
        const char *address = i < T_LEN(bad) ? bad[i].address : long_path;
        int expected = i < T_LEN(bad) ? bad[i].err : GORT_EINVAL, err = 1;
        CHECK(gort_listen(network, address, &err) == NULL);
        CHECK_EQ(err, expected);
        CHECK(gort_listen(network, address, NULL) == NULL);
        err = 1;
        CHECK(gort_dial(network, address, GORT_FOREVER, &err) == NULL);
        CHECK_EQ(err, expected);
        CHECK(gort_dial(network, address, GORT_FOREVER, NULL) == NULL);
    }
    int err = 1;
    CHECK(gort_accept(NULL, &err) == NULL);
    CHECK_EQ(err, GORT_EINVAL);
    CHECK(gort_accept(NULL, NULL) == NULL);
}

static void only_a_listener_accepts(void) {
    gort_fd_t *ends[2];
    int err = 1;
    t_pair("tcp", "127.0.0.1:0", ends);
    CHECK(gort_accept(ends[0], &err) == NULL);
    CHECK_EQ(err, GORT_EINVAL);
    t_close(ends[0]);
    t_close(ends[1]);
}

static void connections_have_gos_options(void) {
    gort_fd_t *ends[2];
    t_pair("tcp", "127.0.0.1:0", ends);
    for (int i = 0; i < 2; i++) {
        int fd = gort_fd_raw(ends[i]), value = 0;
        socklen_t size = sizeof value;
        CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
        CHECK(value != 0);
        CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size), 0);
        CHECK(value != 0);
        CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
        CHECK_EQ(value, 15);
        CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &value, &size), 0);
        CHECK_EQ(value, 15);
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
        t_close(ends[i]);
    }
}

static __attribute__((noinline)) int read_errno(void) {
    __asm__ volatile("" ::: "memory");
    return errno;
}

static __attribute__((noinline)) void write_errno(int value) {
    __asm__ volatile("" ::: "memory");
    errno = value;
}

static void errno_stays_what_it_was(void) {
    char address[GORT_ADDR_SIZE], buf[8];
    gort_fd_t *listener = t_listen_here(address);
    write_errno(4711);
    CHECK(gort_listen("tcp", address, NULL) == NULL);
    CHECK(gort_dial("unix", "/nonexistent/socket", GORT_FOREVER, NULL) == NULL);
    CHECK(gort_dial("tcp", "no.such.host.invalid:1", gort_now() + T_PATIENCE, NULL) == NULL);
    CHECK_EQ(gort_fd_peer_addr(listener, buf, sizeof buf), GORT_ENOTCONN);
    CHECK_EQ(gort_recv_from(listener, buf, sizeof buf, NULL, 0), GORT_ENOTCONN);
    CHECK_EQ(read_errno(), 4711);
    gort_fd_t *fd = t_dial("tcp", address);
    t_close(t_accept(listener));
    t_close(fd);
    CHECK_EQ(gort_fd_set_read_deadline(listener, gort_now() + T_MS), GORT_OK);
    CHECK(gort_accept(listener, NULL) == NULL);
    CHECK_EQ(read_errno(), 4711);
    t_close(listener);
}

/* The system says so once, while the rest of a write waits: the next call must still say so. */
static void why_a_write_was_cut_short_is_what_the_next_one_says(void) {
    char address[GORT_ADDR_SIZE];
    gort_fd_t *listener = t_listen_here(address), *fd = t_dial("tcp", address);
    int err = 1, patience = 300; /* ms, for a peer that takes nothing */
    gort_fd_t *peer = gort_accept(listener, &err);
    CHECK_EQ(err, GORT_OK);
    CHECK_EQ(setsockopt(gort_fd_raw(fd), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience), 0);
    enum { MUCH = 64 << 20 };
    char *much = calloc(1, MUCH);
    CHECK(much != NULL);
    int64_t n = gort_fd_write(fd, much, MUCH);
    CHECK(n > 0 && n < MUCH);
    CHECK_EQ(gort_fd_write(fd, much, 1), GORT_ETIMEDOUT);
    CHECK_EQ(gort_fd_write(fd, much, 1), GORT_EPIPE);
    free(much);
    t_close(peer);
    t_close(fd);
    t_close(listener);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(bytes_arrive_both_ways_and_half_a_close_ends_one_of_them);
    RUN_BOTH(both_ends_agree_on_their_addresses);
    RUN_BOTH(an_address_is_told_whole_or_not_at_all);
    RUN_BOTH(without_a_host_it_is_every_address_of_the_network);
    RUN_BOTH(the_file_of_a_unix_socket_goes_with_its_listener);
    RUN(a_forked_child_leaves_the_file_in_place);
    RUN_BOTH(what_is_no_address_is_refused);
    RUN_BOTH(only_a_listener_accepts);
    RUN_BOTH(connections_have_gos_options);
    RUN_BOTH(errno_stays_what_it_was);
    RUN(why_a_write_was_cut_short_is_what_the_next_one_says);
    return t_end();
}
