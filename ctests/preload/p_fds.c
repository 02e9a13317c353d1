/* What a program does with its fds while a goroutine waits: close, dup, dup2, fork. */
#include "p.h"

#include <spawn.h>
#include <sys/stat.h>

extern char **environ;

struct reader {
    int fd;
    char byte;
    ssize_t got;
    bool done;
};

static void read_byte(void *arg) {
    struct reader *r = arg;
    r->got = read(r->fd, &r->byte, 1);
    r->done = true;
}

/* As in the kernel: a call goes on with what it began with. */
static void a_read_outlives_its_fd(int (*make)(int[2])) {
    int ends[2], others[2];
    struct reader r = {0};
    gort_waitgroup_t done = {0};
    CHECK_EQ(make(ends), 0);
    CHECK_EQ(make(others), 0);
    r.fd = ends[0];
    t_go(&done, read_byte, &r);
    p_settle();
    /* The number is another file's now, which has something to read. */
    KEEPS_ERRNO(write(others[1], "o", 1), 1);
    CHECK_EQ(dup2(others[0], ends[0]), ends[0]);
    p_settle();
    CHECK(!r.done);
    KEEPS_ERRNO(write(ends[1], "r", 1), 1);
    gort_waitgroup_wait(&done);
    CHECK(r.got == 1 && r.byte == 'r');
    KEEPS_ERRNO(read(ends[0], &r.byte, 1), 1);
    CHECK(r.byte == 'o');
    /* Closed, and nothing in its place. */
    r.done = false;
    r.fd = others[0];
    CHECK_EQ(close(ends[0]), 0);
    t_go(&done, read_byte, &r);
    p_settle();
    CHECK_EQ(close(others[0]), 0);
    p_settle();
    CHECK(!r.done);
    KEEPS_ERRNO(write(others[1], "z", 1), 1);
    gort_waitgroup_wait(&done);
    CHECK(r.got == 1 && r.byte == 'z');
    /* And with the call, the end has gone. */
    CHECK_EQ(write(others[1], "x", 1), -1);
    close(ends[1]), close(others[1]);
}

static int make_pair(int ends[2]) { return socketpair(AF_UNIX, SOCK_STREAM, 0, ends); }
static void a_read_of_a_socket_outlives_its_fd(void) { a_read_outlives_its_fd(make_pair); }
static void a_read_of_a_pipe_outlives_its_fd(void) { a_read_outlives_its_fd(pipe); }

static void duplicates_are_the_same_file(void) {
    int ends[2];
    struct reader readers[CROWD];
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    for (int i = 0; i < CROWD; i++)
        readers[i] = (struct reader){.fd = i % 2 ? ends[0] : dup(ends[0])};
    p_crowd(&done, read_byte, readers, sizeof readers[0], CROWD);
    p_settle();
    char bytes[CROWD];
    memset(bytes, 'd', sizeof bytes);
    KEEPS_ERRNO(write(ends[1], bytes, CROWD), CROWD);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CROWD; i++) {
        CHECK(readers[i].got == 1 && readers[i].byte == 'd');
        if (i % 2 == 0)
            close(readers[i].fd);
    }
    close(ends[0]), close(ends[1]);
}

static void calls_leave_no_fds(void) {
    int ends[2];
    gort_waitgroup_t done = {0};
    struct reader readers[CROWD];
    p_pair(SOCK_STREAM, ends);
    int before = 0;
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            before = p_open_fds(); /* with what gort itself needs */
        for (int i = 0; i < CROWD; i++)
            readers[i] = (struct reader){.fd = ends[0]};
        p_crowd(&done, read_byte, readers, sizeof readers[0], CROWD);
        p_settle();
        for (int i = 0; i < CROWD; i++)
            KEEPS_ERRNO(write(ends[1], "x", 1), 1);
        gort_waitgroup_wait(&done);
    }
    CHECK_EQ(p_open_fds(), before);
    close(ends[0]), close(ends[1]);
}

/* With no number left for a duplicate, the caller's own must do. */
static void limited(void) {
    int ends[2];
    struct reader readers[CROWD];
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    readers[0] = (struct reader){.fd = ends[0]};
    t_go(&done, read_byte, &readers[0]);
    p_settle(); /* what gort needs is there */
    KEEPS_ERRNO(write(ends[1], "x", 1), 1);
    gort_waitgroup_wait(&done);
    while (dup(0) >= 0)
        ;
    for (int i = 0; i < CROWD; i++)
        readers[i] = (struct reader){.fd = ends[0]};
    p_crowd(&done, read_byte, readers, sizeof readers[0], CROWD);
    p_settle();
    for (int i = 0; i < CROWD; i++)
        KEEPS_ERRNO(write(ends[1], "x", 1), 1);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(readers[i].got, 1);
}

static int limited_as_main(void *arg) {
    (void)arg;
    limited();
    return 0;
}

static void without_numbers(void) {
    struct rlimit few = {200, 200};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    p_begin();
    exit(gort_main(limited_as_main, NULL));
}

static void reading_works_when_fds_run_out(void) { CHILD_EXITS(without_numbers, 0); }

/* ---- fork ---- */

/* In a forked child: are there fds that the program has not made? All its sockets are different ones, and it has no
 * epoll sets. */
static void no_unknown_fds(void) {
    static struct stat seen[512];
    static int seen_fds[512];
    int n = 0;
    for (int fd = 3; fd < 512; fd++) {
        char path[64], what[64] = "";
        struct stat status;
        if (fstat(fd, &status) != 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        CHECK(readlink(path, what, sizeof what - 1) > 0);
        if (strstr(what, "eventpoll"))
            FAIL("the child has fd %d, %s", fd, what);
        if (!S_ISSOCK(status.st_mode))
            continue;
        for (int i = 0; i < n; i++)
            if (seen[i].st_ino == status.st_ino)
                FAIL("the child has fds %d and %d, both %s", seen_fds[i], fd, what);
        seen[n] = status;
        seen_fds[n++] = fd;
    }
}

static void wait_child(pid_t pid) {
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        FAIL("the child ended with status %#x", status);
}

/* A connection that parent and child have closed is closed, though a call was waiting on it at the fork. */
static void a_child_keeps_nothing_of_ours(void) {
    int ends[2], go[2];
    char byte;
    struct reader readers[CROWD];
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    p_pair(SOCK_STREAM, go);
    int before = p_open_fds();
    for (int i = 0; i < CROWD; i++)
        readers[i] = (struct reader){.fd = ends[0]};
    p_crowd(&done, read_byte, readers, sizeof readers[0], CROWD);
    p_settle();
    CHECK(p_open_fds() > before);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        /* A plain process now, and what was the goroutine its only thread. */
        CHECK(!gort_in_goroutine());
        no_unknown_fds();
        close(ends[0]), close(ends[1]), close(go[1]);
        CHECK_EQ(read(go[0], &byte, 1), 1); /* blocks */
        _exit(0);
    }
    /* The last of the parent's go with the calls. */
    shutdown(ends[1], SHUT_WR);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(readers[i].got, 0);
    close(ends[0]);
    EVENTUALLY(recv(ends[1], &byte, 1, MSG_DONTWAIT) == 0);
    KEEPS_ERRNO(write(go[1], "g", 1), 1);
    wait_child(pid);
    close(ends[1]), close(go[0]), close(go[1]);
}

static void work_in_child(void *arg) {
    (void)arg;
    int ends[2];
    struct reader readers[CROWD];
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    for (int i = 0; i < CROWD; i++)
        readers[i] = (struct reader){.fd = ends[0]};
    p_crowd(&done, read_byte, readers, sizeof readers[0], CROWD);
    p_settle();
    for (int i = 0; i < CROWD; i++)
        KEEPS_ERRNO(write(ends[1], "x", 1), 1);
    gort_waitgroup_wait(&done);
}

static void a_child_may_have_goroutines_of_its_own(void) {
    int ends[2];
    struct reader r = {0};
    gort_waitgroup_t done = {0};
    p_pair(SOCK_STREAM, ends);
    r.fd = ends[0];
    t_go(&done, read_byte, &r);
    p_settle();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        gort_options_t options = GORT_OPTIONS_INIT;
        gort_waitgroup_t worked = {0};
        options.flags = GORT_STRICT_PROCS;
        CHECK_EQ(gort_init(&options), GORT_OK);
        t_go(&worked, work_in_child, NULL);
        gort_waitgroup_wait(&worked);
        _exit(0);
    }
    wait_child(pid);
    KEEPS_ERRNO(write(ends[1], "x", 1), 1);
    gort_waitgroup_wait(&done);
    CHECK(r.got == 1);
    close(ends[0]), close(ends[1]);
}

static void forks_and_calls(void *arg) {
    T_ATOMIC(bool) *stop = arg;
    int ends[2];
    char byte = 0;
    p_pair(SOCK_STREAM, ends);
    struct pollfd set[2] = {{ends[0], POLLIN, 0}, {ends[0], POLLPRI, 0}};
    while (!atomic_load(stop)) {
        KEEPS_ERRNO(poll(set, 2, 1), 0);
        p_time_out(ends[0], SO_RCVTIMEO, T_MS);
        FAILS_WITH(read(ends[0], &byte, 1), EAGAIN);
    }
    close(ends[0]), close(ends[1]);
}

/* Whatever the moment: a child has the fds that the program knows of. */
static void children_know_their_fds(void) {
    T_ATOMIC(bool) stop = false;
    gort_waitgroup_t done = {0};
    int ends[2];
    struct reader r = {0};
    p_pair(SOCK_STREAM, ends);
    r.fd = ends[0];
    t_go(&done, read_byte, &r);
    p_settle();
    for (int i = 0; i < 8; i++)
        t_go(&done, forks_and_calls, &stop);
    p_settle();
    for (int i = 0; i < t_n(100, 10); i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            no_unknown_fds();
            _exit(0);
        }
        wait_child(pid);
        gort_yield();
    }
    atomic_store(&stop, true);
    KEEPS_ERRNO(write(ends[1], "x", 1), 1);
    gort_waitgroup_wait(&done);
    close(ends[0]), close(ends[1]);
}

/* Children that only exec, by every road. */
static void programs_are_started(void) {
    CHECK_EQ(system("exit 7"), 7 << 8);
    FILE *from = popen("echo hello; sleep 0.05; echo world", "r");
    char line[64];
    CHECK(from && fgets(line, sizeof line, from) && strcmp(line, "hello\n") == 0);
    CHECK(fgets(line, sizeof line, from) && strcmp(line, "world\n") == 0);
    CHECK_EQ(pclose(from), 0);
    char *args[] = {(char *)"sh", (char *)"-c", (char *)"read line && test \"$line\" = ping && echo pong", NULL};
    int in[2], out[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    CHECK_EQ(posix_spawn(&pid, "/bin/sh", &actions, NULL, args, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    KEEPS_ERRNO(write(in[1], "ping\n", 5), 5);
    KEEPS_ERRNO(read(out[0], line, sizeof line), 5);
    wait_child(pid);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
}

static pid_t parent;

static void stay_in_parent(void *arg) {
    T_ATOMIC(bool) *stop = arg;
    while (!atomic_load(stop)) {
        usleep(100);
        if (getpid() != parent)
            FAIL("a goroutine runs in the child of vfork");
    }
}

/* A child of vfork runs on the goroutine's stack, in its memory, and is no goroutine: if it parked, others would run
 * in its process. */
static void a_child_of_vfork_blocks(void) {
    static int ends[2];
    static char byte;
    T_ATOMIC(bool) stop = false;
    gort_waitgroup_t done = {0};
    CHECK_EQ(pipe(ends), 0);
    parent = getpid();
    t_go(&done, stay_in_parent, &stop);
    p_settle();
    pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0) {
        usleep(50000);
        _exit(write(ends[1], "v", 1) != 1);
    }
    pid_t pid = vfork();
    if (pid == 0)
        _exit(read(ends[0], &byte, 1) != 1);
    CHECK(pid > 0 && byte == 'v');
    wait_child(pid);
    wait_child(writer);
    atomic_store(&stop, true);
    gort_waitgroup_wait(&done);
    close(ends[0]), close(ends[1]);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(without_numbers);
    signal(SIGPIPE, SIG_IGN);
    p_begin();
    RUN_AS_MAIN(a_read_of_a_socket_outlives_its_fd);
    RUN_AS_MAIN(a_read_of_a_pipe_outlives_its_fd);
    RUN_AS_MAIN(duplicates_are_the_same_file);
    RUN_AS_MAIN(calls_leave_no_fds);
    RUN(reading_works_when_fds_run_out);
    RUN_AS_MAIN(a_child_keeps_nothing_of_ours);
    RUN_AS_MAIN(a_child_may_have_goroutines_of_its_own);
    RUN_AS_MAIN(children_know_their_fds);
    RUN_AS_MAIN(programs_are_started);
    RUN_AS_MAIN(a_child_of_vfork_blocks);
    return t_end();
}
