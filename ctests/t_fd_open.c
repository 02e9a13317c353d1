/* What gort takes over and what not; writers, SIGPIPE, forks; and that who waits for a descriptor is in no deadlock. */
#include "t.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

static gort_fd_t *take(int fd) {
    int err = 1;
    gort_fd_t *f = gort_fd_open(fd, &err);
    CHECK_EQ(err, GORT_OK);
    return f;
}

static void make_pipe(gort_fd_t **r, gort_fd_t **w) {
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    *r = take(fds[0]);
    *w = take(fds[1]);
}

static void a_regular_file_is_refused_and_stays_the_callers(void) {
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), err = 1;
    CHECK(fd >= 0);
    CHECK(gort_fd_open(fd, &err) == NULL);
    CHECK_EQ(err, GORT_EPERM);
    CHECK(gort_fd_open(fd, NULL) == NULL);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(close(fd), 0);
}

static void what_is_no_descriptor_is_refused(void) {
    static const int bad[] = {-1, -100, INT32_MIN, INT32_MAX, 999999};
    for (size_t i = 0; i < T_LEN(bad); i++) {
        int err = 1;
        CHECK(gort_fd_open(bad[i], &err) == NULL);
        CHECK_EQ(err, GORT_EBADF);
    }
}

static void bad_arguments_are_refused(void) {
    gort_fd_t *r, *w;
    char c = 'x';
    make_pipe(&r, &w);
    CHECK_EQ(gort_fd_read(NULL, &c, 1), GORT_EINVAL);
    CHECK_EQ(gort_fd_write(NULL, &c, 1), GORT_EINVAL);
    CHECK_EQ(gort_fd_read(r, NULL, 1), GORT_EINVAL);
    CHECK_EQ(gort_fd_write(w, NULL, 1), GORT_EINVAL);
    CHECK_EQ(gort_fd_raw(NULL), GORT_EINVAL);
    CHECK_EQ(gort_fd_close(NULL), GORT_EINVAL);
    CHECK_EQ(gort_fd_shutdown(NULL, SHUT_RD), GORT_EINVAL);
    CHECK_EQ(gort_fd_shutdown(r, 77), GORT_EINVAL);
    CHECK_EQ(gort_fd_shutdown(r, SHUT_RD), GORT_ENOTSOCK);
    CHECK_EQ(gort_fd_set_read_deadline(NULL, 0), GORT_EINVAL);
    CHECK_EQ(gort_fd_set_write_deadline(NULL, 0), GORT_EINVAL);
    CHECK_EQ(gort_fd_read(r, NULL, 0), 0);
    CHECK_EQ(gort_fd_write(w, NULL, 0), 0);
    CHECK_EQ(gort_fd_read(w, &c, 1), GORT_EBADF);
    CHECK_EQ(gort_fd_write(r, &c, 1), GORT_EBADF);
    gort_fd_release(r);
    gort_fd_release(w);
}

static void datagrams_keep_their_ends(void) {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    gort_fd_t *a = take(fds[0]), *b = take(fds[1]);
    char buf[100];
    CHECK_EQ(gort_fd_write(a, "abc", 3), 3);
    CHECK_EQ(gort_fd_write(a, "", 0), 0);
    CHECK_EQ(gort_fd_write(a, "de", 2), 2);
    CHECK_EQ(gort_fd_read(b, buf, sizeof buf), 3);
    CHECK_EQ(gort_fd_read(b, buf, sizeof buf), 0);
    CHECK_EQ(gort_fd_read(b, buf, sizeof buf), 2);
    gort_fd_release(a);
    gort_fd_release(b);
}

/* Records of one writer each, longer than what fits at once. */
enum { RECORD = 300 * 1000, WRITERS = 6 };

struct writer {
    gort_fd_t *f;
    int mark;
    long records;
};

static void write_records(void *arg) {
    struct writer *writer = arg;
    char *record = malloc(RECORD);
    CHECK(record != NULL);
    memset(record, writer->mark, RECORD);
    for (long i = 0; i < writer->records; i++)
        CHECK_EQ(gort_fd_write(writer->f, record, RECORD), RECORD);
    free(record);
}

static void what_several_write_is_not_mixed_up(void) {
    gort_fd_t *r, *w;
    make_pipe(&r, &w);
    struct writer writers[WRITERS];
    gort_waitgroup_t done = {0};
    long records = t_n(3, 1);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){w, 'a' + i, records};
        (i % 3 == 2 ? t_go_thread : t_go)(&done, write_records, &writers[i]);
    }
    char *record = malloc(RECORD);
    CHECK(record != NULL);
    for (long i = 0; i < WRITERS * records; i++) {
        for (int64_t got = 0; got < RECORD;) {
            int64_t n = gort_fd_read(r, record + got, (size_t)(RECORD - got));
            CHECK(n > 0);
            got += n;
        }
        for (int at = 1; at < RECORD; at++)
            CHECK_EQ(record[at], record[0]);
    }
    free(record);
    gort_waitgroup_wait(&done);
    gort_fd_release(r);
    gort_fd_release(w);
}

static void read_byte(void *arg) {
    char c;
    CHECK_EQ(gort_fd_read(arg, &c, 1), 1);
    CHECK_EQ(c, 'p');
}

/* Those who are in it in the parent are not in the child, which must not wait for them. */
static void a_forked_child_closes_what_others_wait_for(void) {
    gort_fd_t *r, *w;
    gort_waitgroup_t done = {0};
    char c;
    make_pipe(&r, &w);
    t_go(&done, read_byte, r);
    t_go_thread(&done, read_byte, r);
    gort_sleep(20 * T_MS); /* until they are, most likely */
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
        int number = gort_fd_raw(r);
        bool fine = gort_fd_close(r) == GORT_OK && fcntl(number, F_GETFD) == -1 &&
                    gort_fd_close(r) == GORT_ECLOSED && gort_fd_read(r, &c, 1) == GORT_ECLOSED;
        gort_fd_release(r);
        _exit(fine ? 0 : 1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(gort_fd_write(w, "pp", 2), 2);
    gort_waitgroup_wait(&done);
    gort_fd_release(r);
    gort_fd_release(w);
}

static void write_to_nobody(void *arg) {
    gort_fd_t *w = arg;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(gort_fd_write(w, "x", 1), GORT_EPIPE);
}

static void write_to_nobody_unblocked(void *arg) {
    sigset_t pipe, pending;
    gort_lock_thread();
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &pipe, NULL), 0);
    write_to_nobody(arg);
    CHECK_EQ(sigpending(&pending), 0);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 0);
    /* The thread ends with it. */
}

static void no_sigpipe_kills(void) {
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    for (int socket = 0; socket < 2; socket++)
        for (int thread = 0; thread < 2; thread++) {
            int fds[2];
            CHECK_EQ(socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) : pipe2(fds, O_CLOEXEC), 0);
            CHECK_EQ(close(fds[0]), 0);
            gort_fd_t *w = take(fds[1]);
            gort_waitgroup_t done = {0};
            (thread ? t_go_thread : t_go)(&done, write_to_nobody, w);
            if (!thread)
                t_go(&done, write_to_nobody_unblocked, w);
            gort_waitgroup_wait(&done);
            gort_fd_release(w);
        }
    sigset_t pending;
    CHECK_EQ(sigpending(&pending), 0);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 0);
}

static void errno_is_left_alone(void) {
    gort_fd_t *r, *w;
    make_pipe(&r, &w);
    char c;
    errno = 77;
    CHECK_EQ(gort_fd_set_read_deadline(r, gort_now() + T_MS), GORT_OK);
    CHECK_EQ(gort_fd_read(r, &c, 1), GORT_ETIMEDOUT);
    CHECK_EQ(errno, 77);
    CHECK_EQ(gort_fd_read(w, &c, 1), GORT_EBADF);
    CHECK_EQ(gort_wait_fd(gort_fd_raw(r), POLLIN, 0), GORT_ETIMEDOUT);
    CHECK(gort_fd_open(-1, NULL) == NULL);
    CHECK_EQ(errno, 77);
    gort_fd_release(r);
    gort_fd_release(w);
}

static void write_later(void *arg) {
    gort_sleep(2 * T_MS);
    CHECK_EQ(gort_fd_write(arg, "c", 1), 1);
}

static void in_child(gort_fd_t *old_r, gort_fd_t *old_w) {
    gort_fd_t *r, *w;
    char c;
    gort_waitgroup_t done = {0};
    make_pipe(&r, &w);
    t_go(&done, write_later, w);
    CHECK_EQ(gort_fd_read(r, &c, 1), 1);
    gort_waitgroup_wait(&done);
    /* A handle of the parent's that nobody was in. */
    t_go(&done, write_later, old_w);
    CHECK_EQ(gort_fd_read(old_r, &c, 1), 1);
    CHECK_EQ(c, 'c');
    gort_waitgroup_wait(&done);
    CHECK_EQ(gort_wait_fd(gort_fd_raw(old_w), POLLOUT, GORT_FOREVER), POLLOUT);
    CHECK_EQ(gort_wait_fd(gort_fd_raw(old_r), POLLIN, gort_now() + T_MS), GORT_ETIMEDOUT);
    CHECK_EQ(gort_fd_close(old_r), GORT_OK);
    CHECK_EQ(gort_fd_close(old_w), GORT_OK);
    _exit(7);
}

/* A child has descriptors of its own, and nothing of what it does changes what the parent waits for. */
static void a_forked_child_waits_for_itself(void) {
    gort_fd_t *r, *w, *idle_r, *idle_w;
    make_pipe(&r, &w);
    make_pipe(&idle_r, &idle_w);
    gort_waitgroup_t done = {0};
    t_go(&done, read_byte, r);
    gort_sleep(T_MS);
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            in_child(idle_r, idle_w);
        int status;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 7);
    }
    CHECK_EQ(gort_fd_write(w, "p", 1), 1);
    gort_waitgroup_wait(&done);
    t_go(&done, read_byte, idle_r);
    CHECK_EQ(gort_fd_write(idle_w, "p", 1), 1);
    gort_waitgroup_wait(&done);
    gort_fd_release(r);
    gort_fd_release(w);
    gort_fd_release(idle_r);
    gort_fd_release(idle_w);
}

/* Descriptors that were open when the program began. */
static bool inherited[100];

static void what_gort_opens_is_closed_at_exec(void) {
    gort_fd_t *r, *w;
    char c;
    make_pipe(&r, &w);
    CHECK_EQ(gort_fd_set_read_deadline(r, gort_now() + T_MS), GORT_OK);
    CHECK_EQ(gort_fd_read(r, &c, 1), GORT_ETIMEDOUT);
    for (int fd = 3; fd < 100; fd++) {
        int flags = fcntl(fd, F_GETFD);
        CHECK(inherited[fd] || flags < 0 || flags & FD_CLOEXEC);
    }
    gort_fd_release(r);
    gort_fd_release(w);
}

/* Children. */

static gort_fd_t *deadlock_r, *deadlock_w;

static void read_and_exit(void *arg) {
    (void)arg;
    char c;
    CHECK_EQ(gort_fd_read(deadlock_r, &c, 1), 1);
    exit(33);
}

static int wait_for_ever(void *arg) {
    (void)arg;
    gort_chan_t *ch = gort_chan_new(0, 0);
    gort_waitgroup_t done = {0};
    t_go(&done, read_and_exit, NULL);
    gort_chan_recv(ch, NULL);
    return 1;
}

/* Nobody of this process could write; but the kernel could have. A child of it does. */
static void waits_for_a_process(void) {
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    if (fork() == 0) {
        struct timespec nap = {0, 30 * T_MS};
        nanosleep(&nap, NULL);
        _exit(write(fds[1], "x", 1) != 1);
    }
    CHECK_EQ(close(fds[1]), 0);
    deadlock_r = take(fds[0]);
    exit(gort_main(wait_for_ever, NULL));
}

static void *write_after_a_while(void *arg) {
    (void)arg;
    struct timespec nap = {0, 30 * T_MS};
    nanosleep(&nap, NULL);
    CHECK_EQ(gort_fd_write(deadlock_w, "x", 1), 1);
    return NULL;
}

static void waits_for_a_thread(void) {
    make_pipe(&deadlock_r, &deadlock_w);
    t_thread(write_after_a_while, NULL);
    exit(gort_main(wait_for_ever, NULL));
}

static void then_it_is_one(void *arg) {
    (void)arg;
    char c;
    CHECK_EQ(gort_fd_read(deadlock_r, &c, 1), GORT_ETIMEDOUT);
}

static int wait_with_a_deadline(void *arg) {
    (void)arg;
    gort_chan_t *ch = gort_chan_new(0, 0);
    gort_waitgroup_t done = {0};
    make_pipe(&deadlock_r, &deadlock_w);
    CHECK_EQ(gort_fd_set_read_deadline(deadlock_r, gort_now() + 20 * T_MS), GORT_OK);
    t_go(&done, then_it_is_one, NULL);
    gort_chan_recv(ch, NULL);
    return 1;
}

static void deadlock_after_a_deadline(void) { exit(gort_main(wait_with_a_deadline, NULL)); }

static void dump_and_exit(void *arg) {
    (void)arg;
    gort_sleep(5 * T_MS);
    CHECK_EQ(gort_dump(2), GORT_OK);
    exit(0);
}

static int wait_and_dump(void *arg) {
    (void)arg;
    gort_waitgroup_t done = {0};
    make_pipe(&deadlock_r, &deadlock_w);
    t_go(&done, dump_and_exit, NULL);
    char c;
    gort_fd_read(deadlock_r, &c, 1);
    return 1;
}

static void dumps(void) { exit(gort_main(wait_and_dump, NULL)); }

static void who_waits_for_a_descriptor_is_in_no_deadlock(void) {
    t_check_exit("waits_for_a_process", t_spawn_child("waits_for_a_process"), 33);
    t_check_exit("waits_for_a_thread", t_spawn_child("waits_for_a_thread"), 33);
    const struct t_outcome *outcome = t_spawn_child("deadlock_after_a_deadline");
    t_check_exit("deadlock_after_a_deadline", outcome, 2);
    CHECK(strstr(outcome->err, "all goroutines are asleep - deadlock!") != NULL);
}

static void a_dump_says_io_wait(void) {
    const struct t_outcome *outcome = t_spawn_child("dumps");
    t_check_exit("dumps", outcome, 0);
    CHECK(strstr(outcome->err, "[IO wait") != NULL);
}

int main(int argc, char **argv) {
    for (int fd = 0; fd < (int)T_LEN(inherited); fd++)
        inherited[fd] = fcntl(fd, F_GETFD) >= 0;
    T_BEGIN(argc, argv);
    T_CHILD(waits_for_a_process);
    T_CHILD(waits_for_a_thread);
    T_CHILD(deadlock_after_a_deadline);
    T_CHILD(dumps);
    RUN_BOTH(a_regular_file_is_refused_and_stays_the_callers);
    RUN_BOTH(what_is_no_descriptor_is_refused);
    RUN_BOTH(bad_arguments_are_refused);
    RUN_BOTH(datagrams_keep_their_ends);
    RUN_BOTH(what_several_write_is_not_mixed_up);
    RUN_BOTH(no_sigpipe_kills);
    RUN_BOTH(errno_is_left_alone);
    RUN(a_forked_child_waits_for_itself);
    RUN(a_forked_child_closes_what_others_wait_for);
    RUN_BOTH(what_gort_opens_is_closed_at_exec);
    RUN(who_waits_for_a_descriptor_is_in_no_deadlock);
    RUN(a_dump_says_io_wait);
    return t_end();
}
