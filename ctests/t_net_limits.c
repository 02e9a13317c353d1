/* When descriptors run out: accept and dial say so, nothing spins, nothing is lost. In children, for their limits. */
#include "t_net.h"

static int hogs[4096];
static int hogged;

/* Leave no descriptor free; the limit must not be too high for that. */
static void hog_descriptors(void) {
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int fd; (fd = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0;)
        hogs[hogged++] = fd;
    CHECK_EQ(errno, EMFILE);
}

static void give_back(int n) {
    while (n-- > 0)
        close(hogs[--hogged]);
}

static double cpu_seconds(void) {
    struct rusage use;
    CHECK_EQ(getrusage(RUSAGE_SELF, &use), 0);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

struct acceptor {
    gort_fd_t *listener;
    gort_chan_t *results; /* int: a status for each call of accept */
    gort_chan_t *again;
};

static void accept_when_told(void *arg) {
    struct acceptor *a = arg;
    while (gort_chan_recv(a->again, NULL) == GORT_OK) {
        int err = 1;
        gort_fd_t *fd = gort_accept(a->listener, &err);
        CHECK((fd != NULL) == (err == GORT_OK));
        if (fd) {
            char byte = 0;
            CHECK_EQ(t_read_all(fd, &byte, 1), 1);
            CHECK_EQ(byte, 'h');
            t_close(fd);
        }
        CHECK_EQ(gort_chan_send(a->results, &err), GORT_OK);
    }
}

static int accept_again(struct acceptor *a) {
    int err;
    CHECK_EQ(gort_chan_send(a->again, NULL), GORT_OK);
    CHECK_EQ(gort_chan_recv(a->results, &err), GORT_OK);
    return err;
}

static void out_of_descriptors(void) {
    char address[GORT_ADDR_SIZE];
    gort_waitgroup_t done = {0};
    gort_fd_t *listener = t_listen_here(address);
    struct acceptor a = {listener, gort_chan_new(sizeof(int), 0), gort_chan_new(0, 0)};
    t_go(&done, accept_when_told, &a);
    /* The poller has all that it needs from here on. */
    gort_fd_t *fd = t_dial("tcp", address);
    t_write_all(fd, "h", 1);
    CHECK_EQ(accept_again(&a), GORT_OK);
    t_close(fd);

    fd = t_dial("tcp", address);
    t_write_all(fd, "h", 1);
    hog_descriptors();
    for (int i = 0; i < 100; i++)
        CHECK_EQ(accept_again(&a), GORT_EMFILE);
    int err = 1;
    CHECK(gort_dial("tcp", address, GORT_FOREVER, &err) == NULL);
    CHECK_EQ(err, GORT_EMFILE);
    CHECK(gort_listen("tcp", "127.0.0.1:0", &err) == NULL);
    CHECK_EQ(err, GORT_EMFILE);
    /* The connection that waits keeps nobody busy. */
    double before = cpu_seconds();
    gort_sleep(300 * T_MS);
    CHECK(cpu_seconds() - before < 0.2);
    /* And it has been waiting all the while. */
    give_back(1);
    CHECK_EQ(accept_again(&a), GORT_OK);
    t_close(fd);

    /* One that comes while somebody waits, and there is no descriptor for it. */
    give_back(1);
    fd = t_dial("tcp", address);
    t_write_all(fd, "h", 1);
    while (hogged < (int)T_LEN(hogs) && (hogs[hogged] = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0)
        hogged++;
    CHECK_EQ(accept_again(&a), GORT_EMFILE);
    give_back(1);
    CHECK_EQ(accept_again(&a), GORT_OK);
    t_close(fd);
    CHECK_EQ(gort_chan_close(a.again), GORT_OK);
    gort_waitgroup_wait(&done);
    t_close(listener);
}

static int out_of_descriptors_in_main(void *arg) {
    (void)arg;
    out_of_descriptors();
    return 0;
}

static void as_main(void) { CHECK_EQ(gort_main(out_of_descriptors_in_main, NULL), 0); }

/* Nor has the poller what it needs for itself. */
static void none_from_the_start(void) {
    hog_descriptors();
    int err = 1;
    CHECK(gort_listen("tcp", "127.0.0.1:0", &err) == NULL);
    CHECK_EQ(err, GORT_EMFILE);
    give_back(1);
    /* A socket, but nothing to wait for it with. */
    CHECK(gort_listen("tcp", "127.0.0.1:0", &err) == NULL);
    CHECK(err == GORT_EMFILE || err == GORT_ENFILE);
    /* The socket's file is not left behind. */
    char path[GORT_ADDR_SIZE];
    snprintf(path, sizeof path, "%s/left", t_dir());
    CHECK(gort_listen("unix", path, &err) == NULL);
    CHECK(err == GORT_EMFILE || err == GORT_ENFILE);
    CHECK_EQ(access(path, F_OK), -1);
    give_back(20);
    out_of_descriptors();
}

static void without_descriptors_calls_fail_and_nothing_spins(void) {
    CHILD_EXITS(out_of_descriptors, 0);
    CHILD_EXITS(as_main, 0);
    CHILD_EXITS(none_from_the_start, 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(out_of_descriptors);
    T_CHILD(as_main);
    T_CHILD(none_from_the_start);
    RUN(without_descriptors_calls_fail_and_nothing_spins);
    return t_end();
}
