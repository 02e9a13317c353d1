/* gort_run, and gort_detect_begin with its calls: a deadlock is told, not died of. What must not leave a parked
 * goroutine behind is a child process. */
#include "t.h"

#define ASLEEP "fatal error: all goroutines are asleep - deadlock!\n\n"
#define NONE "fatal error: no goroutines (main called gort_exit) - deadlock!\n"

/* What was written to a report's descriptor. */
static int report[2];
static char text[65536];

static void open_report(void) { CHECK_EQ(pipe(report), 0); }

static const char *read_report(void) {
    close(report[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(report[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(report[0]);
    return text;
}

/* ---- gort_run ---- */

static void set_to_five(void *arg) {
    CHECK(gort_in_goroutine());
    gort_sleep(T_MS / 10);
    *(int *)arg = 5;
}

static void run_returns_when_its_function_has_returned(void) {
    for (int i = 0; i < 20; i++) {
        int value = 0;
        open_report();
        CHECK_EQ(gort_run(set_to_five, &value, report[1]), GORT_OK);
        CHECK_EQ(value, 5);
        CHECK_EQ(strlen(read_report()), 0);
    }
    CHECK_EQ(gort_run(NULL, NULL, -1), GORT_EINVAL);
}

static void run_inside(void *arg) {
    (void)arg;
    int err = 0;
    CHECK_EQ(gort_run(set_to_five, NULL, -1), GORT_EPERM);
    CHECK(gort_detect_begin(&err) == NULL);
    CHECK_EQ(err, GORT_EBUSY);
}

static void *run_beside(void *arg) {
    (void)arg;
    CHECK_EQ(gort_run(set_to_five, NULL, -1), GORT_EBUSY);
    return NULL;
}

static void start_another(void *arg) {
    CHECK_EQ(pthread_join(t_thread(run_beside, arg), NULL), 0);
}

static void there_is_one_at_a_time(void) {
    CHECK_EQ(gort_run(run_inside, NULL, -1), GORT_OK);
    CHECK_EQ(gort_run(start_another, NULL, -1), GORT_OK);
    gort_detect_t *d = gort_detect_begin(NULL);
    CHECK(d != NULL);
    CHECK_EQ(gort_run(set_to_five, NULL, -1), GORT_EBUSY);
    gort_detect_release(d);
    int value = 0;
    CHECK_EQ(gort_run(set_to_five, &value, -1), GORT_OK);
}

static gort_chan_t *nobody, *later;

static void wait_for_nobody(void *arg) {
    CHECK_EQ(gort_chan_recv(nobody, arg), GORT_OK);
    if (later)
        CHECK_EQ(gort_chan_send(later, arg), GORT_OK);
}

static void tells_a_deadlock(void) {
    /* In this process no thread is outside, so it is found at once, and again and again. */
    nobody = gort_chan_new(sizeof(int), 0);
    later = gort_chan_new(sizeof(int), 0);
    int value = 0;
    for (int i = 0; i < 5; i++) {
        open_report();
        CHECK_EQ(gort_run(wait_for_nobody, &value, report[1]), GORT_EDEADLK);
        CHECK(strncmp(read_report(), ASLEEP, strlen(ASLEEP)) == 0);
        CHECK(strstr(text, "[chan receive]") && strstr(text, "wait_for_nobody"));
    }
    CHECK_EQ(gort_run(wait_for_nobody, &value, -1), GORT_EDEADLK);
    /* They are parked still, and go on when somebody sends after all. */
    CHECK_EQ(gort_num_goroutines(), 6);
    CHECK_EQ(gort_chan_waiters(nobody), 6);
    for (int i = 0; i < 6; i++) {
        int sent = i + 10, got = 0;
        CHECK_EQ(gort_chan_send(nobody, &sent), GORT_OK);
        CHECK_EQ(gort_chan_recv(later, &got), GORT_OK);
        CHECK_EQ(got, sent);
    }
    EVENTUALLY(gort_num_goroutines() == 0);
    /* That these mains have ended says nothing about later ones. */
    value = 0;
    CHECK_EQ(gort_run(set_to_five, &value, -1), GORT_OK);
    CHECK_EQ(value, 5);
    CHECK_EQ(gort_run(wait_for_nobody, &value, -1), GORT_EDEADLK);
}

static void exit_main(void *arg) {
    (void)arg;
    gort_exit();
}

static void tells_that_nobody_is_left(void) {
    open_report();
    CHECK_EQ(gort_run(exit_main, NULL, report[1]), GORT_EDEADLK);
    CHECK(strcmp(read_report(), NONE) == 0);
}

static void sleep_and_send(void *arg) {
    gort_sleep(5 * T_MS);
    int value = 9;
    CHECK_EQ(gort_chan_send(arg, &value), GORT_OK);
}

static void wait_for_a_sleeper(void *arg) {
    gort_chan_t *ch = gort_chan_new(sizeof(int), 0);
    CHECK_EQ(gort_spawn(sleep_and_send, ch), GORT_OK);
    CHECK_EQ(gort_chan_recv(ch, arg), GORT_OK);
    gort_chan_release(ch);
}

static void tells_none_where_there_is_none(void) {
    for (int i = 0; i < 30; i++) {
        int value = 0;
        CHECK_EQ(gort_run(wait_for_a_sleeper, &value, -1), GORT_OK);
        CHECK_EQ(value, 9);
    }
}

static int die_of_it(void *arg) {
    gort_chan_recv(nobody, arg);
    return 0;
}

static void main_dies_after_run_was_told(void) {
    nobody = gort_chan_new(sizeof(int), 0);
    int value;
    CHECK_EQ(gort_run(wait_for_nobody, &value, -1), GORT_EDEADLK);
    gort_main(die_of_it, &value);
}

static void *linger(void *arg) {
    struct timespec nap = {0, 30 * 1000000};
    nanosleep(&nap, NULL);
    return arg;
}

static void tells_it_when_the_last_outsider_has_ended(void) {
    nobody = gort_chan_new(sizeof(int), 0);
    int value;
    CHECK_EQ(pthread_detach(t_thread(linger, NULL)), 0);
    int64_t start = gort_now();
    CHECK_EQ(gort_run(wait_for_nobody, &value, -1), GORT_EDEADLK);
    CHECK(gort_now() - start >= 25 * T_MS);
}

/* ---- gort_detect ---- */

static void own_main(void *arg) {
    gort_detect_t *d = arg;
    gort_sleep(8 * T_MS);
    gort_detect_done(d);
    gort_detect_release(d);
}

/* As a host language does: in slices, with a look at its signals between. */
static int wait_in_slices(gort_detect_t *d, int fd, int *slices) {
    for (;;) {
        int status = gort_detect_wait(d, gort_now() + 2 * T_MS, fd);
        if (status != GORT_ETIMEDOUT)
            return status;
        ++*slices;
    }
}

static void a_wait_in_slices_ends_with_done(void) {
    int err = 1, slices = 0;
    gort_detect_t *d = gort_detect_begin(&err);
    CHECK(d && err == GORT_OK);
    CHECK_EQ(gort_spawn(own_main, gort_detect_retain(d)), GORT_OK);
    CHECK_EQ(wait_in_slices(d, -1, &slices), GORT_OK);
    CHECK_EQ(gort_detect_wait(d, 0, -1), GORT_OK);
    CHECK_EQ(gort_detect_end(d), GORT_OK);
    CHECK_EQ(gort_detect_end(d), GORT_OK);
    CHECK_EQ(gort_detect_wait(d, 0, -1), GORT_EINVAL);
    gort_detect_done(d);
    gort_detect_release(d);
    CHECK_EQ(gort_detect_wait(NULL, 0, -1), GORT_EINVAL);
    CHECK_EQ(gort_detect_end(NULL), GORT_EINVAL);
    gort_detect_done(NULL);
    CHECK(gort_detect_retain(NULL) == NULL);
    gort_detect_release(NULL);
}

static void *wait_too(void *arg) {
    CHECK_EQ(gort_detect_wait(arg, gort_now(), -1), GORT_EBUSY);
    CHECK_EQ(gort_detect_end(arg), GORT_EBUSY);
    gort_detect_done(arg);
    return NULL;
}

static void ask_in_a_goroutine(void *arg) { CHECK_EQ(gort_detect_wait(arg, 0, -1), GORT_EPERM); }

static atomic_int in_it;

static void *wait_long(void *arg) {
    atomic_store(&in_it, 1);
    int status;
    /* The other one's look may be in the way. */
    while ((status = gort_detect_wait(arg, gort_now() + T_PATIENCE, -1)) == GORT_EBUSY)
        gort_sleep(T_MS / 5);
    CHECK_EQ(status, GORT_OK);
    return NULL;
}

static void one_thread_waits(void) {
    gort_detect_t *d = gort_detect_begin(NULL);
    gort_waitgroup_t wg = {0};
    t_go(&wg, ask_in_a_goroutine, d);
    gort_waitgroup_wait(&wg);
    CHECK_EQ(gort_detect_wait(d, 0, -1), GORT_ETIMEDOUT);
    atomic_store(&in_it, 0);
    pthread_t thread = t_thread(wait_long, d);
    EVENTUALLY(atomic_load(&in_it));
    EVENTUALLY(gort_detect_wait(d, 0, -1) == GORT_EBUSY);
    CHECK_EQ(pthread_join(t_thread(wait_too, d), NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    gort_detect_release(d);
    d = gort_detect_begin(NULL);
    CHECK_EQ(gort_detect_wait(d, 0, -1), GORT_ETIMEDOUT);
    gort_detect_release(d);
}

static void tells_it_in_slices(void) {
    nobody = gort_chan_new(sizeof(int), 0);
    later = gort_chan_new(sizeof(int), 0);
    int value = 0, slices = 0;
    gort_detect_t *d = gort_detect_begin(NULL);
    CHECK_EQ(gort_spawn(sleep_and_send, nobody), GORT_OK);
    CHECK_EQ(gort_spawn(wait_for_nobody, &value), GORT_OK);
    /* The receiver gets its value, and then nobody takes its own. */
    CHECK_EQ(wait_in_slices(d, -1, &slices), GORT_EDEADLK);
    CHECK_EQ(value, 9);
    open_report();
    CHECK_EQ(gort_detect_wait(d, gort_now() + T_MS, report[1]), GORT_EDEADLK);
    CHECK(strstr(read_report(), "[chan send]"));
    /* Between two waits the thread may act, and then there is none. */
    CHECK_EQ(gort_chan_recv(later, &value), GORT_OK);
    CHECK_EQ(gort_spawn(own_main, gort_detect_retain(d)), GORT_OK);
    CHECK_EQ(wait_in_slices(d, -1, &slices), GORT_OK);
    gort_detect_release(d);
}

static gort_detect_t *forked;

static void fork_in_main(void *arg) {
    (void)arg;
    pid_t pid = fork();
    if (pid == 0) {
        /* A plain thread, in a process where nobody waits. */
        int value = 0, bad = gort_run(set_to_five, &value, -1) != GORT_OK || value != 5;
        if (forked)
            bad |= gort_detect_wait(forked, 0, -1) != GORT_EINVAL;
        _exit(bad);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_forked_child_begins_afresh(void) {
    CHECK_EQ(gort_run(fork_in_main, NULL, -1), GORT_OK);
    forked = gort_detect_begin(NULL);
    fork_in_main(NULL);
    gort_detect_release(forked);
    forked = NULL;
}

static void fork_and_return(void *arg) {
    if ((*(pid_t *)arg = fork()) == 0)
        return;
    int status;
    CHECK_EQ(waitpid(*(pid_t *)arg, &status, 0), *(pid_t *)arg);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_forked_main_goroutine_ends_its_process(void) {
    pid_t pid = 1;
    CHECK_EQ(gort_run(fork_and_return, &pid, -1), GORT_OK);
    CHECK(pid > 0);
}

static void interrupted(void *arg) {
    (void)arg;
    kill(getpid(), SIGQUIT);
    gort_sleep(T_PATIENCE);
}

static void quits(void) { gort_run(interrupted, NULL, -1); }

static void deadlocks_are_told(void) {
    CHILD_EXITS(tells_a_deadlock, 0);
    CHILD_EXITS(tells_that_nobody_is_left, 0);
    CHILD_EXITS(tells_none_where_there_is_none, 0);
    CHILD_EXITS(tells_it_when_the_last_outsider_has_ended, 0);
    CHILD_EXITS(tells_it_in_slices, 0);
}

static void main_dies_of_one_as_before(void) { CHILD_DIES(main_dies_after_run_was_told, ASLEEP); }

static void sigquit_ends_the_process(void) { CHILD_DIES(quits, "SIGQUIT: quit"); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(tells_a_deadlock);
    T_CHILD(tells_that_nobody_is_left);
    T_CHILD(tells_none_where_there_is_none);
    T_CHILD(tells_it_when_the_last_outsider_has_ended);
    T_CHILD(tells_it_in_slices);
    T_CHILD(main_dies_after_run_was_told);
    T_CHILD(quits);
    RUN(run_returns_when_its_function_has_returned);
    RUN(there_is_one_at_a_time);
    RUN(deadlocks_are_told);
    RUN(main_dies_of_one_as_before);
    RUN(a_wait_in_slices_ends_with_done);
    RUN(one_thread_waits);
    RUN(a_forked_child_begins_afresh);
    RUN(a_forked_main_goroutine_ends_its_process);
    RUN(sigquit_ends_the_process);
    return t_end();
}
