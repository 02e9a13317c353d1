/* What plain threads see, in any program: exactly what they see without the library. */
#ifndef GORT_CTESTS_PRELOAD_PLAIN_H
#define GORT_CTESTS_PRELOAD_PLAIN_H

#include "p.h"

static void nothing(int signal) { (void)signal; }

/* A thread that blocks in a call, and what comes of it. */
struct plain_call {
    void (*call)(struct plain_call *);
    int fd;
    intmax_t result;
    int error;
    bool cleaned;
    atomic_int tid;
};

static inline void plain_read(struct plain_call *c) {
    char bytes[16];
    c->result = read(c->fd, bytes, sizeof bytes);
}
static inline void plain_recv(struct plain_call *c) {
    char bytes[16];
    c->result = recv(c->fd, bytes, sizeof bytes, 0);
}
static inline void plain_poll(struct plain_call *c) {
    struct pollfd set[2] = {{c->fd, POLLIN, 0}, {c->fd, 0, 0}};
    c->result = poll(set, 2, -1);
}
static inline void plain_select(struct plain_call *c) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(c->fd, &set);
    c->result = select(c->fd + 1, &set, NULL, NULL, NULL);
}
static inline void plain_accept(struct plain_call *c) { c->result = accept(c->fd, NULL, NULL); }
static inline void plain_sleep(struct plain_call *c) {
    struct timespec time = {100, 0}, left = {0, 0};
    c->result = nanosleep(&time, &left);
    if (left.tv_sec < 90)
        c->result = -2;
}

static inline void plain_clean(void *arg) { ((struct plain_call *)arg)->cleaned = true; }

static inline void *plain_thread(void *arg) {
    struct plain_call *c = (struct plain_call *)arg;
    atomic_store(&c->tid, (int)t_tid());
    pthread_cleanup_push(plain_clean, c);
    errno = 0;
    c->call(c);
    c->error = errno;
    pthread_cleanup_pop(0);
    return NULL;
}

/* Does the thread sleep in the kernel, in this system call? */
static inline bool plain_in_call(int tid) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *stat = fopen(path, "r");
    if (!stat)
        return false;
    char *read = fgets(line, sizeof line, stat);
    fclose(stat);
    char *end = read ? strrchr(line, ')') : NULL;
    return end && end[2] == 'S';
}

static inline void plain_wait_blocked(struct plain_call *c) {
    for (int seen = 0; seen < 20;) {
        int tid = atomic_load(&c->tid);
        seen = tid && plain_in_call(tid) ? seen + 1 : 0;
        struct timespec nap = {0, 500000};
        nanosleep(&nap, NULL);
    }
}

static void (*const PLAIN[])(struct plain_call *) = {plain_read, plain_recv, plain_poll, plain_select,
                                                     plain_accept, plain_sleep};

static inline void plain_start(struct plain_call *c, void (*call)(struct plain_call *), int ends[2],
                               pthread_t *thread) {
    struct sockaddr_in address;
    *c = (struct plain_call){.call = call};
    ends[0] = ends[1] = -1;
    if (call == plain_accept)
        ends[0] = p_listen(1, &address);
    else
        p_pair(SOCK_STREAM, ends);
    c->fd = ends[0];
    *thread = t_thread(plain_thread, c);
    plain_wait_blocked(c);
}

static inline void signals_interrupt_calls(void) {
    struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART */
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    for (size_t i = 0; i < T_LEN(PLAIN); i++) {
        struct plain_call c;
        int ends[2];
        pthread_t thread;
        plain_start(&c, PLAIN[i], ends, &thread);
        CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_EQ(c.result, -1);
        CHECK_EQ(c.error, EINTR);
        close(ends[0]), close(ends[1]);
    }
}

static inline void cancelled_threads_are_cleaned_up(void) {
    for (size_t i = 0; i < T_LEN(PLAIN); i++) {
        struct plain_call c;
        int ends[2];
        pthread_t thread;
        void *result;
        plain_start(&c, PLAIN[i], ends, &thread);
        CHECK_EQ(pthread_cancel(thread), 0);
        CHECK_EQ(pthread_join(thread, &result), 0);
        CHECK(result == PTHREAD_CANCELED && c.cleaned);
        close(ends[0]), close(ends[1]);
    }
}

static inline void signal_masks_of_ppoll_and_pselect_hold(void) {
    struct sigaction action = {.sa_handler = nothing};
    sigset_t blocked, none;
    CHECK_EQ(sigaction(SIGUSR2, &action, NULL), 0);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
    pthread_kill(pthread_self(), SIGUSR2);
    FAILS_WITH(ppoll(NULL, 0, NULL, &none), EINTR);
    pthread_kill(pthread_self(), SIGUSR2);
    FAILS_WITH(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR);
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &blocked, NULL), 0);
}

static inline void data_goes_through(void) {
    int ends[2], pipes[2];
    char bytes[64] = {0};
    struct iovec piece = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    struct pollfd set = {0, POLLIN, 0};
    struct timespec little = {0, 1000};
    struct timeval short_time = {0, 1000};
    p_pair(SOCK_STREAM, ends);
    CHECK_EQ(pipe(pipes), 0);
    CHECK_EQ(write(ends[1], "1", 1), 1);
    CHECK_EQ(send(ends[1], "2", 1, 0), 1);
    CHECK_EQ(sendto(ends[1], "3", 1, 0, NULL, 0), 1);
    piece.iov_len = 1;
    CHECK_EQ(writev(ends[1], &piece, 1), 1);
    CHECK_EQ(sendmsg(ends[1], &message, 0), 1);
    set.fd = ends[0];
    CHECK_EQ(poll(&set, 1, -1), 1);
    CHECK_EQ(ppoll(&set, 1, NULL, NULL), 1);
    CHECK_EQ(read(ends[0], bytes, 1), 1);
    CHECK_EQ(recv(ends[0], bytes, 1, 0), 1);
    CHECK_EQ(recvfrom(ends[0], bytes, 1, 0, NULL, NULL), 1);
    CHECK_EQ(readv(ends[0], &piece, 1), 1);
    CHECK_EQ(recvmsg(ends[0], &message, MSG_WAITALL), 1);
    FAILS_WITH(recv(ends[0], bytes, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(poll(&set, 1, 1), 0);
    CHECK_EQ(ppoll(&set, 1, &little, NULL), 0);
    CHECK_EQ(select(0, NULL, NULL, NULL, &short_time), 0);
    CHECK_EQ(pselect(0, NULL, NULL, NULL, &little, NULL), 0);
    CHECK_EQ(write(pipes[1], "abc", 3), 3);
    CHECK_EQ(read(pipes[0], bytes, sizeof bytes), 3);
    CHECK_EQ(nanosleep(&little, NULL), 0);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &little, NULL), 0);
    CHECK_EQ(usleep(1), 0);
    CHECK_EQ(sleep(0), 0);
    struct sockaddr_in address;
    int listener = p_listen(1, &address), client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    CHECK(server >= 0 && fcntl(server, F_GETFL) & O_NONBLOCK);
    close(listener), close(client), close(server);
    close(ends[0]), close(ends[1]), close(pipes[0]), close(pipes[1]);
}

#endif
