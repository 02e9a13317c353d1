/* Reading and writing: goroutines that would block park, whatever the call and whatever the fd. */
/* ctest-cflags: -Wl,--no-as-needed -lutil */
#include "p.h"

#include <pty.h>
#include <sys/eventfd.h>

/* ---- all the ways to receive one byte, and to send ---- */

static ssize_t by_read(int fd, void *p, size_t n) { return read(fd, p, n); }
static ssize_t by_recv(int fd, void *p, size_t n) { return recv(fd, p, n, 0); }
static ssize_t by_readv(int fd, void *p, size_t n) {
    struct iovec two[2] = {{p, 1}, {(char *)p + 1, n - 1}};
    return readv(fd, two, 2);
}
static ssize_t by_recvfrom(int fd, void *p, size_t n) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    return recvfrom(fd, p, n, 0, (struct sockaddr *)&address, &length);
}
static ssize_t by_recvmsg(int fd, void *p, size_t n) {
    struct iovec two[2] = {{p, 1}, {(char *)p + 1, n - 1}};
    struct msghdr message = {.msg_iov = two, .msg_iovlen = 2};
    return recvmsg(fd, &message, 0);
}

typedef ssize_t (*receive_fn)(int, void *, size_t);
static const receive_fn RECEIVERS[] = {by_read, by_readv, by_recv, by_recvfrom, by_recvmsg};

static ssize_t by_write(int fd, const void *p, size_t n) { return write(fd, p, n); }
static ssize_t by_send(int fd, const void *p, size_t n) { return send(fd, p, n, 0); }
static ssize_t by_sendto(int fd, const void *p, size_t n) { return sendto(fd, p, n, 0, NULL, 0); }

/* In pieces of all sizes, more than any window. */
enum { PIECES = 100 };
static void cut(const char *p, size_t n, struct iovec *pieces) {
    for (int i = 0; i < PIECES; i++) {
        size_t piece = i == PIECES - 1 ? n : n * (size_t)(i % 7) / 200;
        pieces[i] = (struct iovec){(void *)p, piece};
        p += piece;
        n -= piece;
    }
}
static ssize_t by_writev(int fd, const void *p, size_t n) {
    struct iovec pieces[PIECES];
    cut(p, n, pieces);
    return writev(fd, pieces, PIECES);
}
static ssize_t by_sendmsg(int fd, const void *p, size_t n) {
    struct iovec pieces[PIECES];
    cut(p, n, pieces);
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = PIECES};
    return sendmsg(fd, &message, 0);
}

typedef ssize_t (*send_fn)(int, const void *, size_t);
static const send_fn SENDERS[] = {by_write, by_writev, by_send, by_sendto, by_sendmsg};

/* ---- receiving ---- */

struct reader {
    receive_fn receive;
    int ends[2];
    bool done;
};

static void read_two(void *arg) {
    struct reader *r = arg;
    char bytes[8];
    KEEPS_ERRNO(r->receive(r->ends[0], bytes, sizeof bytes), 2);
    CHECK(memcmp(bytes, "ab", 2) == 0);
    r->done = true;
    KEEPS_ERRNO(r->receive(r->ends[0], bytes, sizeof bytes), 0);
}

static void readers(receive_fn receive, int (*make)(int[2])) {
    struct reader all[CROWD];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < CROWD; i++) {
        all[i] = (struct reader){.receive = receive};
        CHECK_EQ(make(all[i].ends), 0);
    }
    p_crowd(&done, read_two, all, sizeof all[0], CROWD);
    p_settle();
    for (int i = CROWD; i-- > 0;) {
        CHECK(!all[i].done);
        KEEPS_ERRNO(write(all[i].ends[1], "ab", 2), 2);
        EVENTUALLY(all[i].done);
        close(all[i].ends[1]);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CROWD; i++)
        close(all[i].ends[0]);
}

static int make_pair(int ends[2]) { return socketpair(AF_UNIX, SOCK_STREAM, 0, ends); }
static int make_pipe(int ends[2]) { return pipe(ends); }
static int make_tcp(int ends[2]) {
    struct sockaddr_in address;
    int listener = p_listen(1, &address), room = 65536;
    CHECK_EQ(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    ends[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(ends[1], (struct sockaddr *)&address, sizeof address), 0);
    ends[0] = accept(listener, NULL, NULL);
    close(listener);
    return ends[0] < 0;
}

static void receivers_on_local_sockets_park(void) {
    for (size_t i = 0; i < T_LEN(RECEIVERS); i++)
        readers(RECEIVERS[i], make_pair);
}

static void receivers_on_tcp_park(void) {
    for (size_t i = 0; i < T_LEN(RECEIVERS); i++)
        readers(RECEIVERS[i], make_tcp);
}

static void readers_of_pipes_park(void) {
    readers(by_read, make_pipe);
    readers(by_readv, make_pipe);
}

/* ---- sending ---- */

enum { LARGE = 300000 };

struct sender {
    send_fn send;
    int ends[2];
    bool done;
};

static void send_large(void *arg) {
    struct sender *s = arg;
    char *bytes = malloc(LARGE);
    CHECK(bytes != NULL);
    for (int i = 0; i < LARGE; i++)
        bytes[i] = (char)(i % 251);
    KEEPS_ERRNO(s->send(s->ends[1], bytes, LARGE), LARGE);
    free(bytes);
    s->done = true;
    close(s->ends[1]);
}

static void senders(send_fn send, int (*make)(int[2])) {
    struct sender all[CROWD];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < CROWD; i++) {
        all[i] = (struct sender){.send = send};
        CHECK_EQ(make(all[i].ends), 0);
        int small = 4096;
        if (make != make_pipe)
            CHECK_EQ(setsockopt(all[i].ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    }
    p_crowd(&done, send_large, all, sizeof all[0], CROWD);
    p_settle();
    for (int i = CROWD; i-- > 0;) {
        CHECK(!all[i].done);
        static char bytes[LARGE];
        int got = 0;
        for (ssize_t n; (n = read(all[i].ends[0], bytes, sizeof bytes)) != 0; got += (int)n) {
            CHECK(n > 0);
            for (int j = 0; j < n; j++)
                CHECK_EQ(bytes[j], (char)((got + j) % 251));
        }
        CHECK_EQ(got, LARGE);
        close(all[i].ends[0]);
    }
    gort_waitgroup_wait(&done);
}

static void what_is_sent_arrives_whole(void) {
    for (size_t i = 0; i < T_LEN(SENDERS); i++)
        senders(SENDERS[i], make_pair);
    senders(by_send, make_tcp);
    senders(by_sendmsg, make_tcp);
}

static void what_is_written_to_pipes_arrives_whole(void) {
    senders(by_write, make_pipe);
    senders(by_writev, make_pipe);
}

/* Messages stay messages. */
struct messenger {
    int fd;
    int type;
};

static void send_messages(void *arg) {
    struct messenger *m = arg;
    for (int i = 0; i < 200; i++) {
        char message[1000];
        memset(message, i, sizeof message);
        KEEPS_ERRNO(send(m->fd, message, 500 + (size_t)i, 0), 500 + i);
    }
}

static void messages_stay_messages(void) {
    int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (size_t t = 0; t < T_LEN(types); t++) {
        int ends[CROWD][2];
        struct messenger all[CROWD];
        gort_waitgroup_t done = {0};
        for (int i = 0; i < CROWD; i++) {
            p_pair(types[t], ends[i]);
            all[i] = (struct messenger){ends[i][1], types[t]};
        }
        p_crowd(&done, send_messages, all, sizeof all[0], CROWD);
        p_settle();
        for (int i = 0; i < CROWD; i++) {
            for (int j = 0; j < 200; j++) {
                char message[2000];
                KEEPS_ERRNO(recv(ends[i][0], message, sizeof message, MSG_WAITALL), 500 + j);
                CHECK_EQ((unsigned char)message[499], j);
            }
        }
        gort_waitgroup_wait(&done);
        for (int i = 0; i < CROWD; i++) {
            close(ends[i][0]);
            close(ends[i][1]);
        }
    }
}

/* ---- many on one ---- */

struct shared {
    int fd;
    size_t size;
    atomic_int got;
};

static void read_some(void *arg) {
    struct shared *s = arg;
    char bytes[64];
    KEEPS_ERRNO(read(s->fd, bytes, s->size), s->size);
    atomic_fetch_add(&s->got, 1);
}

static void many(int reading, int writing, size_t size, const char *bytes) {
    struct shared shared = {.fd = reading, .size = size};
    gort_waitgroup_t done = {0};
    for (int i = 0; i < CROWD; i++)
        t_go(&done, read_some, &shared);
    p_settle();
    CHECK_EQ(atomic_load(&shared.got), 0);
    for (int i = 0; i < CROWD; i++) {
        KEEPS_ERRNO(write(writing, bytes, size), size);
        EVENTUALLY(atomic_load(&shared.got) == i + 1);
    }
    gort_waitgroup_wait(&done);
    close(reading);
    if (writing != reading)
        close(writing);
}

static void many_wait_for_one_socket(void) {
    int ends[2];
    p_pair(SOCK_STREAM, ends);
    many(ends[0], ends[1], 1, "x");
}

static void many_wait_for_one_pipe(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    many(ends[0], ends[1], 1, "x");
}

static void many_wait_for_one_eventfd(void) {
    uint64_t one = 1;
    int fd = eventfd(0, EFD_SEMAPHORE);
    many(fd, fd, sizeof one, (char *)&one);
}

static void many_wait_for_one_terminal(void) {
    int master, slave;
    CHECK_EQ(openpty(&master, &slave, NULL, NULL, NULL), 0);
    many(slave, master, 3, "no\n");
}

/* ---- what the program has asked for ---- */

static void nonblocking_fds_do_not_wait(void) {
    int ends[2], pipes[2];
    char bytes[4096] = {0};
    p_pair(SOCK_STREAM, ends);
    p_nonblocking(ends[0]);
    for (size_t i = 0; i < T_LEN(RECEIVERS); i++)
        FAILS_WITH(RECEIVERS[i](ends[0], bytes, sizeof bytes), EAGAIN);
    for (size_t i = 0; i < T_LEN(SENDERS); i++) {
        ssize_t n;
        while ((n = SENDERS[i](ends[0], bytes, sizeof bytes)) > 0)
            ;
        FAILS_WITH(SENDERS[i](ends[0], bytes, sizeof bytes), EAGAIN);
    }
    CHECK_EQ(pipe2(pipes, O_NONBLOCK), 0);
    FAILS_WITH(read(pipes[0], bytes, 1), EAGAIN);
    while (write(pipes[1], bytes, sizeof bytes) > 0)
        ;
    FAILS_WITH(write(pipes[1], bytes, sizeof bytes), EAGAIN);
    /* As it is at each call, whatever it was at another, and for all duplicates. */
    int twin = dup(pipes[0]);
    KEEPS_ERRNO(read(twin, bytes, sizeof bytes), (int)sizeof bytes);
    p_nonblocking(twin);
    while (read(twin, bytes, sizeof bytes) > 0)
        ;
    FAILS_WITH(read(pipes[0], bytes, 1), EAGAIN);
    close(twin), close(pipes[0]), close(pipes[1]), close(ends[0]), close(ends[1]);
}

static void calls_with_dontwait_do_not_wait(void) {
    int ends[2];
    char byte;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    p_pair(SOCK_STREAM, ends);
    FAILS_WITH(recv(ends[0], &byte, 1, MSG_DONTWAIT), EAGAIN);
    FAILS_WITH(recvfrom(ends[0], &byte, 1, MSG_DONTWAIT, NULL, NULL), EAGAIN);
    FAILS_WITH(recvmsg(ends[0], &message, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    close(ends[0]), close(ends[1]);
}

static void run_beside(void *arg) {
    T_ATOMIC(bool) *stop = arg;
    while (!atomic_load(stop))
        gort_yield();
}

static void time_outs_of_sockets_hold(void) {
    int ends[2];
    char byte, large[10000] = {0};
    T_ATOMIC(bool) stop = false;
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    p_time_out(ends[0], SO_RCVTIMEO, 30 * T_MS);
    p_time_out(ends[0], SO_SNDTIMEO, 30 * T_MS);
    t_go(&done, run_beside, &stop);
    for (size_t i = 0; i < T_LEN(RECEIVERS); i++) {
        int64_t before = gort_now();
        FAILS_WITH(RECEIVERS[i](ends[0], large, sizeof large), EAGAIN);
        CHECK(gort_now() - before >= 30 * T_MS);
    }
    /* What could be sent in time counts. */
    int sent = 0, got = 0;
    for (ssize_t n; (n = send(ends[0], large, sizeof large, 0)) > 0; sent += (int)n)
        ;
    int64_t before = gort_now();
    FAILS_WITH(write(ends[0], large, sizeof large), EAGAIN);
    CHECK(gort_now() - before >= 30 * T_MS);
    shutdown(ends[0], SHUT_WR);
    for (ssize_t n; (n = read(ends[1], large, sizeof large)) > 0; got += (int)n)
        ;
    CHECK_EQ(got, sent);
    /* In time. */
    p_time_out(ends[0], SO_RCVTIMEO, 60 * 1000 * T_MS);
    KEEPS_ERRNO(write(ends[1], "x", 1), 1);
    KEEPS_ERRNO(read(ends[0], &byte, 1), 1);
    atomic_store(&stop, true);
    gort_waitgroup_wait(&done);
    close(ends[0]), close(ends[1]);
}

static void drip(void *arg) {
    for (int i = 0; i < 100; i++) {
        KEEPS_ERRNO(write(*(int *)arg, "0123456789", 10), 10);
        gort_yield();
    }
    shutdown(*(int *)arg, SHUT_WR);
}

static void waitall_waits_for_all(void) {
    int ends[2];
    char bytes[1001];
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    t_go(&done, drip, &ends[1]);
    KEEPS_ERRNO(recv(ends[0], bytes, 333, MSG_WAITALL), 333);
    CHECK(bytes[332] == '2');
    struct iovec two[] = {{bytes, 100}, {bytes + 100, 233}};
    struct msghdr message = {.msg_iov = two, .msg_iovlen = 2};
    KEEPS_ERRNO(recvmsg(ends[0], &message, MSG_WAITALL), 333);
    CHECK(bytes[332] == '5');
    KEEPS_ERRNO(recv(ends[0], bytes, 1, MSG_PEEK), 1);
    CHECK(bytes[0] == '6');
    /* Until the end, if that comes first. */
    KEEPS_ERRNO(recv(ends[0], bytes, sizeof bytes, MSG_WAITALL), 334);
    CHECK(bytes[0] == '6' && bytes[333] == '9');
    gort_waitgroup_wait(&done);
    close(ends[0]), close(ends[1]);
}

static void peek_waits_and_takes_nothing(void) {
    int ends[2];
    char bytes[8];
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    t_go(&done, drip, &ends[1]);
    KEEPS_ERRNO(recv(ends[0], bytes, 1, MSG_PEEK), 1);
    KEEPS_ERRNO(recv(ends[0], bytes, 1, 0), 1);
    CHECK(bytes[0] == '0');
    gort_waitgroup_wait(&done);
    close(ends[0]), close(ends[1]);
}

/* ---- errors, files ---- */

static void errors_are_those_of_libc(void) {
    int ends[2], pipes[2];
    char byte = 0;
    FAILS_WITH(read(-1, &byte, 1), EBADF);
    FAILS_WITH(write(1000000, &byte, 1), EBADF);
    FAILS_WITH(recv(-1, &byte, 1, 0), EBADF);
    CHECK_EQ(pipe(pipes), 0);
    FAILS_WITH(recv(pipes[0], &byte, 1, 0), ENOTSOCK);
    FAILS_WITH(send(pipes[1], &byte, 1, 0), ENOTSOCK);
    FAILS_WITH(read(pipes[1], &byte, 1), EBADF);
    FAILS_WITH(write(pipes[0], &byte, 1), EBADF);
    volatile int negative = -1;
    FAILS_WITH(readv(pipes[0], NULL, negative), EINVAL);
    close(pipes[0]);
    FAILS_WITH(write(pipes[1], &byte, 1), EPIPE);
    close(pipes[1]);
    p_pair(SOCK_STREAM, ends);
    KEEPS_ERRNO(read(ends[0], &byte, 0), 0);
    KEEPS_ERRNO(write(ends[0], &byte, 0), 0);
    close(ends[1]);
    FAILS_WITH(write(ends[0], &byte, 1), EPIPE);
    FAILS_WITH(send(ends[0], &byte, 1, MSG_NOSIGNAL), EPIPE);
    close(ends[0]);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    FAILS_WITH(recv(tcp, &byte, 1, 0), ENOTCONN);
    close(tcp);
}

struct blocked {
    int fd;
    ssize_t sent;
};

static void fill(void *arg) {
    struct blocked *b = arg;
    static char large[LARGE];
    b->sent = send(b->fd, large, sizeof large, 0);
}

/* As in the kernel: what was sent counts, and the error is for the next call. */
static void a_peer_that_goes_ends_a_send(void) {
    struct blocked all[CROWD];
    int ends[CROWD][2];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < CROWD; i++) {
        CHECK_EQ(make_pair(ends[i]), 0);
        all[i] = (struct blocked){ends[i][1], 0};
    }
    p_crowd(&done, fill, all, sizeof all[0], CROWD);
    p_settle();
    for (int i = 0; i < CROWD; i++)
        close(ends[i][0]);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CROWD; i++) {
        CHECK(all[i].sent > 0 && all[i].sent < LARGE);
        /* Closed with bytes unread: reset. */
        CHECK_EQ(send(ends[i][1], "x", 1, 0), -1);
        CHECK(*p_errno() == ECONNRESET || *p_errno() == EPIPE);
        close(ends[i][1]);
    }
}

static void files_are_read_and_written(void) {
    char text[16];
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    struct iovec two[] = {{(char *)"hello ", 6}, {(char *)"world", 5}};
    KEEPS_ERRNO(writev(fd, two, 2), 11);
    KEEPS_ERRNO(write(fd, "!", 1), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    KEEPS_ERRNO(read(fd, text, sizeof text), 12);
    CHECK(memcmp(text, "hello world!", 12) == 0);
    KEEPS_ERRNO(read(fd, text, sizeof text), 0);
    close(fd);
    fd = open("/dev/null", O_RDWR);
    KEEPS_ERRNO(write(fd, text, 5), 5);
    KEEPS_ERRNO(read(fd, text, 5), 0);
    close(fd);
    fd = open("/dev/zero", O_RDWR);
    KEEPS_ERRNO(read(fd, text, 16), 16);
    close(fd);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    p_begin();
    RUN_AS_MAIN(receivers_on_local_sockets_park);
    RUN_AS_MAIN(receivers_on_tcp_park);
    RUN_AS_MAIN(readers_of_pipes_park);
    RUN_AS_MAIN(what_is_sent_arrives_whole);
    RUN_AS_MAIN(what_is_written_to_pipes_arrives_whole);
    RUN_AS_MAIN(messages_stay_messages);
    RUN_AS_MAIN(many_wait_for_one_socket);
    RUN_AS_MAIN(many_wait_for_one_pipe);
    RUN_AS_MAIN(many_wait_for_one_eventfd);
    RUN_AS_MAIN(many_wait_for_one_terminal);
    RUN_AS_MAIN(nonblocking_fds_do_not_wait);
    RUN_AS_MAIN(calls_with_dontwait_do_not_wait);
    RUN_AS_MAIN(time_outs_of_sockets_hold);
    RUN_AS_MAIN(waitall_waits_for_all);
    RUN_AS_MAIN(peek_waits_and_takes_nothing);
    RUN_AS_MAIN(errors_are_those_of_libc);
    RUN_AS_MAIN(a_peer_that_goes_ends_a_send);
    RUN_AS_MAIN(files_are_read_and_written);
    return t_end();
}
