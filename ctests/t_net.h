/* What the tests of sockets share: listeners of every kind, whole reads, descriptors that are open. */
#ifndef GORT_CTESTS_T_NET_H
#define GORT_CTESTS_T_NET_H

#include "t.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A directory of this process's own, for Unix sockets; removed, if it is empty, at the end. */
static struct {
    char path[64];
    pid_t owner;
} t_own_dir;

static inline void t_dir_remove(void) {
    if (t_own_dir.owner == getpid())
        rmdir(t_own_dir.path);
}

static inline const char *t_dir(void) {
    if (t_own_dir.owner != getpid()) {
        t_own_dir.owner = getpid();
        snprintf(t_own_dir.path, sizeof t_own_dir.path, "/tmp/gort-net-XXXXXX");
        CHECK(mkdtemp(t_own_dir.path) != NULL);
        atexit(t_dir_remove);
    }
    return t_own_dir.path;
}

static inline bool t_have_ipv6(void) {
    struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool have = fd >= 0 && bind(fd, (struct sockaddr *)&here, sizeof here) == 0;
    if (fd >= 0)
        close(fd);
    if (!have)
        fprintf(stderr, "skipped: IPv6, which this machine does not have\n");
    return have;
}

struct t_place {
    const char *network;
    char address[GORT_ADDR_SIZE];
};

/* Somewhere to listen, of each kind: false, there are no more. */
static inline bool t_next_place(int *i, struct t_place *place) {
    static atomic_uint number;
    static const char *const networks[] = {"tcp", "tcp4", "tcp6", "unix", "unix", "unix"};
    if (*i == 2 && !t_have_ipv6())
        ++*i;
    if (*i >= (int)T_LEN(networks))
        return false;
    place->network = networks[*i];
    switch ((*i)++) {
    case 0:
    case 1: strcpy(place->address, "127.0.0.1:0"); break;
    case 2: strcpy(place->address, "[::1]:0"); break;
    case 3:
        snprintf(place->address, sizeof place->address, "%s/%u", t_dir(), atomic_fetch_add(&number, 1));
        break;
    case 4:
        snprintf(place->address, sizeof place->address, "@gort-net-%ld-%u", (long)getpid(),
                 atomic_fetch_add(&number, 1));
        break;
    default: place->address[0] = '\0'; break;
    }
    return true;
}

/* Listen there; the address becomes the one that the system chose. */
static inline gort_fd_t *t_listen(const char *network, char *address) {
    int err = 1;
    gort_fd_t *listener = gort_listen(network, address, &err);
    if (!listener)
        FAIL("gort_listen %s %s: %s", network, address, gort_err_name(err));
    CHECK_EQ(err, GORT_OK);
    CHECK_EQ(gort_fd_local_addr(listener, address, GORT_ADDR_SIZE), GORT_OK);
    return listener;
}

static inline gort_fd_t *t_listen_here(char *address) {
    strcpy(address, "127.0.0.1:0");
    return t_listen("tcp", address);
}

static inline gort_fd_t *t_dial(const char *network, const char *address) {
    int err = 1;
    gort_fd_t *fd = gort_dial(network, address, gort_now() + T_PATIENCE, &err);
    if (!fd)
        FAIL("gort_dial %s %s: %s", network, address, gort_err_name(err));
    CHECK_EQ(err, GORT_OK);
    return fd;
}

static inline gort_fd_t *t_accept(gort_fd_t *listener) {
    int err = 1;
    gort_fd_t *fd = gort_accept(listener, &err);
    if (!fd)
        FAIL("gort_accept: %s", gort_err_name(err));
    CHECK_EQ(err, GORT_OK);
    return fd;
}

static inline void t_close(gort_fd_t *fd) {
    CHECK_EQ(gort_fd_close(fd), GORT_OK);
    gort_fd_release(fd);
}

/* Two ends of a connection, through a listener that is gone then. */
static inline void t_pair(const char *network, const char *address, gort_fd_t *ends[2]) {
    char where[GORT_ADDR_SIZE];
    strcpy(where, address);
    gort_fd_t *listener = t_listen(network, where);
    ends[0] = t_dial(network, where);
    ends[1] = t_accept(listener);
    t_close(listener);
}

/* `n` bytes, or fewer if the stream ends before. */
static inline size_t t_read_all(gort_fd_t *fd, void *buf, size_t n) {
    size_t have = 0;
    while (have < n) {
        int64_t got = gort_fd_read(fd, (char *)buf + have, n - have);
        if (got < 0)
            FAIL("gort_fd_read: %s", gort_err_name((int)got));
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return have;
}

static inline void t_write_all(gort_fd_t *fd, const void *buf, size_t n) {
    int64_t put = gort_fd_write(fd, buf, n);
    if (put != (int64_t)n)
        FAIL("gort_fd_write of %zu: %jd", n, (intmax_t)put);
}

/* Sockets that this process has open. */
static inline int t_open_sockets(void) {
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char target[64] = "";
        n += readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1) > 0 && strncmp(target, "socket:", 7) == 0;
    }
    closedir(dir);
    return n;
}

/* Allow `n` descriptors; false, and a word why, if that cannot be. */
static inline bool t_allow_fds(rlim_t n) {
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= n)
        return true;
    limit.rlim_cur = n;
    if (limit.rlim_max < n)
        limit.rlim_max = n;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return true;
    fprintf(stderr, "skipped: needs %ju descriptors, which the hard limit forbids\n", (uintmax_t)n);
    return false;
}

/* A listener of the system's own that answers nobody: its queue is full. */
struct t_deaf {
    int listener, callers[8];
    char address[GORT_ADDR_SIZE];
};

static inline void t_deaf_open(struct t_deaf *deaf, const char *ip, int port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof here;
    CHECK_EQ(inet_pton(AF_INET, ip, &here.sin_addr), 1);
    deaf->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(deaf->listener >= 0);
    CHECK_EQ(bind(deaf->listener, (struct sockaddr *)&here, sizeof here), 0);
    CHECK_EQ(listen(deaf->listener, 0), 0);
    CHECK_EQ(getsockname(deaf->listener, (struct sockaddr *)&here, &size), 0);
    snprintf(deaf->address, sizeof deaf->address, "%s:%d", ip, ntohs(here.sin_port));
    for (size_t i = 0; i < T_LEN(deaf->callers); i++) {
        deaf->callers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(deaf->callers[i] >= 0);
        CHECK(connect(deaf->callers[i], (struct sockaddr *)&here, sizeof here) == 0 || errno == EINPROGRESS);
    }
}

static inline void t_deaf_close(struct t_deaf *deaf) {
    for (size_t i = 0; i < T_LEN(deaf->callers); i++)
        close(deaf->callers[i]);
    close(deaf->listener);
}

#endif
