/* What the tests of libgort_preload.so share. They are run with it in LD_PRELOAD.
 *
 * The one thing to know: CROWD goroutines are more than there are workers, and gort is told to be strict, so that
 * no thread ever stands in for one that is blocked. If a single call of a crowd blocked its thread, the test
 * would not end. */
#ifndef GORT_CTESTS_PRELOAD_P_H
#define GORT_CTESTS_PRELOAD_P_H

#include "t.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { CROWD = 40 };

/* In main, after T_BEGIN. */
static inline void p_begin(void) {
    if (!dlsym(RTLD_DEFAULT, "gort_preload_attach"))
        FAIL("libgort_preload.so is not in LD_PRELOAD");
    gort_options_t options = GORT_OPTIONS_INIT;
    options.flags = GORT_STRICT_PROCS;
    CHECK_EQ(gort_init(&options), GORT_OK);
}

/* The place of errno, asked for anew each time: a compiler keeps it for a whole function, in which the goroutine
 * may move to another thread between two calls. (Not within one: that is for p_errno.c.) */
static __attribute__((noinline, unused)) int *p_errno(void) {
    __asm__ volatile("");
    return &errno;
}

/* A call that must succeed and leave errno alone. */
#define KEEPS_ERRNO(call, expected)                                                                          \
    do {                                                                                                     \
        *p_errno() = 4711;                                                                                   \
        intmax_t p_got = (intmax_t)(call);                                                                   \
        int p_after = *p_errno();                                                                            \
        if (p_got == -1)                                                                                     \
            FAIL("%s: %s", #call, strerror(p_after));                                                        \
        t_check_eq(p_got, (intmax_t)(expected), #call, __FILE__, __LINE__, __func__);                        \
        t_check_eq(p_after, 4711, "errno after " #call, __FILE__, __LINE__, __func__);                       \
    } while (0)

/* A call that must return -1 with this errno. */
#define FAILS_WITH(call, expected)                                                                           \
    do {                                                                                                     \
        *p_errno() = 0;                                                                                      \
        intmax_t p_got = (intmax_t)(call);                                                                   \
        int p_after = *p_errno();                                                                            \
        t_check_eq(p_got, -1, #call, __FILE__, __LINE__, __func__);                                          \
        t_check_eq(p_after, expected, "errno after " #call, __FILE__, __LINE__, __func__);                   \
    } while (0)

/* Run fn(&args[i]) in a goroutine each, for all of an array. */
static inline void p_crowd(gort_waitgroup_t *done, gort_fn_t fn, void *args, size_t size, int n) {
    for (int i = 0; i < n; i++)
        t_go(done, fn, (char *)args + (size_t)i * size);
}

/* Let all other goroutines go as far as they can. */
static inline void p_settle(void) {
    for (int i = 0; i < 3; i++)
        gort_sleep(5 * T_MS);
}

static inline void p_pair(int type, int ends[2]) { CHECK_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0); }

static inline void p_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags != -1 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

static inline void p_time_out(int fd, int option, int64_t ns) {
    struct timeval limit = {ns / 1000000000, ns % 1000000000 / 1000};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit), 0);
}

/* A TCP socket that listens on the loopback; its address. */
static inline int p_listen(int backlog, struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0 && listen(fd, backlog) == 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)address, &length), 0);
    return fd;
}

/* How many fds the process has open, apart from those that gort wakes its threads with. */
static inline int p_open_fds(void) {
    int n = -1; /* the directory's own */
    DIR *fds = opendir("/proc/self/fd");
    CHECK(fds != NULL);
    for (struct dirent *entry; (entry = readdir(fds));) {
        char path[64], what[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%.20s", entry->d_name);
        if (entry->d_name[0] != '.' && readlink(path, what, sizeof what - 1) > 0)
            n += strstr(what, "eventfd") == NULL;
    }
    closedir(fds);
    return n;
}

/* Is another thread of the process in this system call? */
static inline bool p_in_call(long wanted) {
    bool found = false;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        char path[64];
        long call = -1;
        snprintf(path, sizeof path, "/proc/self/task/%.20s/syscall", entry->d_name);
        bool other = entry->d_name[0] != '.' && atol(entry->d_name) != t_tid();
        FILE *file = other ? fopen(path, "r") : NULL;
        found |= file && fscanf(file, "%ld", &call) == 1 && call == wanted;
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return found;
}

static inline int p_threads(void) {
    int n = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *entry; (entry = readdir(tasks));)
        n += entry->d_name[0] != '.';
    closedir(tasks);
    return n;
}

#endif
