/* gort_dump: many goroutines, while others run, and where it all goes. */
#include "t_dump.h"

#include <errno.h>
#include <sys/stat.h>

static void alike_goroutines_are_shown_once_with_their_count(void) {
    long n = t_n(100000, 3000);
    gate = gort_chan_new(0, 0);
    gort_waitgroup_add(&gone, n);
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_spawn(waiter, gate), GORT_OK);
    char what[64];
    snprintf(what, sizeof what, "%ld goroutines [chan receive]:", n);
    char *found = NULL;
    for (int64_t give_up = gort_now() + T_PATIENCE; !found; gort_sleep(10 * T_MS)) {
        CHECK(gort_now() < give_up);
        char *text = dump();
        found = entry(text, what);
        free(text);
    }
    CHECK(strlen(found) < 4000);
    says(found, "-");
#ifdef __x86_64__
    says(found, "created by alike_goroutines_are_shown_once_with_their_count");
#endif
    free(found);
    open_gate();
}

/* ---- while others run ---- */

static _Atomic int wild;

static void ends_at_once(void *arg) {
    (void)arg;
    gort_waitgroup_done(&gone);
}

static void parks_now_and_then(void *ch) {
    uint64_t random = t_seed((uintptr_t)&ch);
    for (int i = 0; i < 8; i++) {
        if (t_random(&random) % 2)
            gort_yield();
        else
            gort_chan_try_send(ch, &i);
    }
    gort_waitgroup_done(&gone);
}

static void sends_and_receives(void *ch) {
    gort_case_t cases[] = {{ch, &(int){0}, GORT_SEND, 0}, {ch, &(int){0}, GORT_RECV, 0}};
    while (atomic_load(&wild)) {
        gort_select_until(cases, 2, gort_now() + T_MS);
        gort_yield();
    }
    gort_waitgroup_done(&gone);
}

static void spawns_wildly(void *ch) {
    uint64_t random = t_seed((uintptr_t)&ch);
    while (atomic_load(&wild)) {
        for (int i = 0; i < 50 && gort_num_goroutines() < 500; i++) {
            char name[32];
            snprintf(name, sizeof name, "wild %d", i);
            gort_waitgroup_add(&gone, 1);
            switch (t_random(&random) % 3) {
            case 0: CHECK_EQ(gort_spawn(ends_at_once, NULL), GORT_OK); break;
            case 1: spawn_named(name, ends_at_once, NULL); break;
            default: spawn_named(name, parks_now_and_then, ch);
            }
        }
        gort_yield();
    }
    gort_waitgroup_done(&gone);
}

static void *dumps(void *arg) {
    (void)arg;
    while (atomic_load(&wild)) {
        int fd = open("/dev/null", O_WRONLY);
        CHECK_EQ(gort_dump(fd), GORT_OK);
        close(fd);
    }
    return NULL;
}

/* Every entry is in order, and those that stand still are all there. */
static void check_all_there(const char *text, int parked) {
    bool backtraces = has_backtraces(text);
    for (int i = 0; i < parked; i++) {
        char what[64];
        snprintf(what, sizeof what, " \"still %d\" [chan receive]:\n", i);
        char *found = entry(text, what);
        says(found, "goroutine ");
        if (backtraces)
            says(found, "\nwaits_in_a_static_function(...)\n");
        free(found);
        CHECK(!strstr(strstr(text, what) + 1, what));
    }
    for (const char *at = text; at; at = strstr(at, "\n\n")) {
        at += strspn(at, "\n");
        unsigned long long n;
        if (*at && *at != '(' && sscanf(at, "goroutine %llu ", &n) != 1 && sscanf(at, "%llu goroutines ", &n) != 1)
            FAIL("what is this: %.100s", at);
    }
}

static void nobody_is_disturbed_and_nobody_missed_while_others_run(void) {
    enum { STILL = 30 };
    gort_chan_t *busy = gort_chan_new(sizeof(int), 0);
    gate = gort_chan_new(0, 0);
    for (int i = 0; i < STILL; i++) {
        char name[32];
        snprintf(name, sizeof name, "still %d", i);
        starts_one(name, gate);
        free(eventually(name, "chan receive]:\n"));
    }
    atomic_store(&wild, 1);
    gort_waitgroup_add(&gone, 6);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(gort_spawn(spawns_wildly, busy), GORT_OK);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(gort_spawn(sends_and_receives, busy), GORT_OK);
    pthread_t other = t_thread(dumps, NULL);
    int64_t until = 0;
    for (long i = 0; t_again(i, 300, &until); i++) {
        char *text = dump();
        check_all_there(text, STILL);
        free(text);
        gort_yield();
    }
    atomic_store(&wild, 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    open_gate();
    gort_chan_release(busy);
}

/* ---- where it goes ---- */

static void a_pipe_that_nobody_reads_is_an_error_and_no_signal(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    close(ends[0]);
    sigset_t pending;
    CHECK_EQ(gort_dump(ends[1]), GORT_EPIPE);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE));
    close(ends[1]);
}

static void a_bad_descriptor_is_an_error(void) {
    CHECK_EQ(gort_dump(-1), GORT_EBADF);
    int fd = open("/dev/null", O_RDONLY);
    CHECK_EQ(gort_dump(fd), GORT_EBADF);
    close(fd);
    fd = open("/dev/full", O_WRONLY);
    CHECK_EQ(gort_dump(fd), GORT_ENOSPC);
    close(fd);
}

struct reader {
    int fd;
    size_t got;
};

static void *reads_slowly(void *arg) {
    struct reader *reader = arg;
    char some[1000];
    for (ssize_t n; (n = read(reader->fd, some, sizeof some)) > 0; reader->got += (size_t)n)
        usleep(10);
    return NULL;
}

static void a_pipe_gets_all_of_it_even_if_it_does_not_block(void) {
    enum { N = 1500 };
    gate = gort_chan_new(0, 0);
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d", i);
        starts_one(name, gate);
    }
    free(eventually("1499", "chan receive]:\n"));
    int ends[2];
    CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
    CHECK_EQ(fcntl(ends[0], F_SETFL, 0), 0);
    struct reader reader = {ends[0], 0};
    pthread_t thread = t_thread(reads_slowly, &reader);
    CHECK_EQ(gort_dump(ends[1]), GORT_OK);
    close(ends[1]);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(reader.got > N * 20);
    close(ends[0]);
    open_gate();
}

/* ---- none ---- */

static void dump_before_the_start(void) {
    char *text = dump();
    says_not(text, "goroutine ");
    free(text);
    CHECK_EQ(t_sleepers((struct t_nap[8]){{0, 0}}, 8) > 1, 0);
}

static void before_the_first_goroutine_there_is_none(void) { CHILD_EXITS(dump_before_the_start, 0); }

static void a_forked_child_shows_its_own_only(void) {
    gate = gort_chan_new(0, 0);
    starts_one("of the parent", gate);
    free(eventually("of the parent", "chan receive]:\n"));
    pid_t pid = fork();
    if (pid == 0) {
        char *text = dump();
        says_not(text, "of the parent");
        free(text);
        gate = gort_chan_new(0, 0);
        starts_one("of the child", gate);
        free(eventually("of the child", "chan receive]:\n"));
        text = dump();
        says_not(text, "of the parent");
        _exit(5);
    }
    int status = 0;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    open_gate();
}

/* ---- which file ---- */

static void dump_from_a_copy(void) {
    char path[512] = {0}, *text = NULL;
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    CHECK_EQ(unlink(path), 0);
    /* Not a program, but where one was. */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, "another", 7) == 7);
    gate = gort_chan_new(0, 0);
    starts_one("old", gate);
    free(eventually("old", "chan receive]:\n"));
    text = dump();
    CHECK_EQ(unlink(path), 0);
    if (has_backtraces(text))
        says(text, "\nwaits_in_a_static_function(...)\n\t");
    says(text, "t_dump.h:");
    exit(0);
}

static void copy_and_go_on_there(void) {
    char path[] = "/tmp/t_dump.XXXXXX", block[65536];
    int from = open("/proc/self/exe", O_RDONLY), to = mkstemp(path);
    CHECK(from >= 0 && to >= 0);
    for (ssize_t n; (n = read(from, block, sizeof block)) > 0;)
        CHECK_EQ(write(to, block, (size_t)n), n);
    CHECK_EQ(fchmod(to, 0700), 0);
    close(to);
    char *args[] = {path, (char *)"--child", (char *)"dump_from_a_copy", NULL};
    execv(path, args);
    unlink(path);
    FAIL("execv: %s", strerror(errno));
}

/* As by an upgrade. */
static void a_program_whose_file_was_replaced_is_still_read(void) { CHILD_EXITS(copy_and_go_on_there, 0); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(dump_before_the_start);
    T_CHILD(copy_and_go_on_there);
    T_CHILD(dump_from_a_copy);
    RUN(alike_goroutines_are_shown_once_with_their_count);
    RUN_AS_MAIN(nobody_is_disturbed_and_nobody_missed_while_others_run);
    RUN_BOTH(a_pipe_that_nobody_reads_is_an_error_and_no_signal);
    RUN_BOTH(a_bad_descriptor_is_an_error);
    RUN_BOTH(a_pipe_gets_all_of_it_even_if_it_does_not_block);
    RUN(before_the_first_goroutine_there_is_none);
    RUN(a_forked_child_shows_its_own_only);
    RUN(a_program_whose_file_was_replaced_is_still_read);
    return t_end();
}
