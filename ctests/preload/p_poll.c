/* poll, ppoll, select, pselect. */
#include "p.h"

typedef int (*wait_fn)(int *fds, int n, int milliseconds, int *ready); /* for reading */

static int by_poll(int *fds, int n, int milliseconds, int *ready) {
    struct pollfd set[16];
    for (int i = 0; i < n; i++)
        set[i] = (struct pollfd){fds[i], POLLIN, 77};
    int result = poll(set, (nfds_t)n, milliseconds);
    for (int i = 0; i < n; i++)
        ready[i] = set[i].revents;
    return result;
}
static int by_ppoll(int *fds, int n, int milliseconds, int *ready) {
    struct pollfd set[16];
    struct timespec limit = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    for (int i = 0; i < n; i++)
        set[i] = (struct pollfd){fds[i], POLLIN, 77};
    int result = ppoll(set, (nfds_t)n, milliseconds < 0 ? NULL : &limit, NULL);
    for (int i = 0; i < n; i++)
        ready[i] = set[i].revents;
    return result;
}
static int highest(int *fds, int n, fd_set *set) {
    int high = 0;
    FD_ZERO(set);
    for (int i = 0; i < n; i++) {
        FD_SET(fds[i], set);
        high = fds[i] >= high ? fds[i] + 1 : high;
    }
    return high;
}
static int by_select(int *fds, int n, int milliseconds, int *ready) {
    fd_set set;
    struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};
    int high = highest(fds, n, &set);
    int result = select(high, &set, NULL, NULL, milliseconds < 0 ? NULL : &limit);
    for (int i = 0; i < n; i++)
        ready[i] = FD_ISSET(fds[i], &set) ? POLLIN : 0;
    return result;
}
static int by_pselect(int *fds, int n, int milliseconds, int *ready) {
    fd_set set;
    struct timespec limit = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    int high = highest(fds, n, &set);
    int result = pselect(high, &set, NULL, NULL, milliseconds < 0 ? NULL : &limit, NULL);
    for (int i = 0; i < n; i++)
        ready[i] = FD_ISSET(fds[i], &set) ? POLLIN : 0;
    return result;
}

static const wait_fn WAYS[] = {by_poll, by_ppoll, by_select, by_pselect};

struct waiter {
    wait_fn wait;
    int n;
    int ends[8][2];
    int limit; /* ms */
    bool done;
};

static void wait_for_one(void *arg) {
    struct waiter *w = arg;
    int fds[8], ready[8];
    for (int i = 0; i < w->n; i++)
        fds[i] = w->ends[i][0];
    KEEPS_ERRNO(w->wait(fds, w->n, w->limit, ready), 1);
    for (int i = 0; i < w->n; i++)
        CHECK_EQ(ready[i], i == w->n - 1 ? POLLIN : 0);
    w->done = true;
}

static void crowd_of(wait_fn wait, int n, int limit) {
    static struct waiter all[CROWD];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < CROWD; i++) {
        all[i] = (struct waiter){.wait = wait, .n = n, .limit = limit};
        for (int j = 0; j < n; j++)
            p_pair(SOCK_STREAM, all[i].ends[j]);
    }
    p_crowd(&done, wait_for_one, all, sizeof all[0], CROWD);
    p_settle();
    for (int i = CROWD; i-- > 0;) {
        CHECK(!all[i].done);
        KEEPS_ERRNO(write(all[i].ends[n - 1][1], "x", 1), 1);
        EVENTUALLY(all[i].done);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CROWD; i++)
        for (int j = 0; j < n; j++)
            close(all[i].ends[j][0]), close(all[i].ends[j][1]);
}

static void waiting_for_one_fd_parks(void) {
    for (size_t i = 0; i < T_LEN(WAYS); i++) {
        crowd_of(WAYS[i], 1, -1);
        crowd_of(WAYS[i], 1, 60000);
    }
}

static void waiting_for_several_fds_parks(void) {
    for (size_t i = 0; i < T_LEN(WAYS); i++) {
        crowd_of(WAYS[i], 8, -1);
        crowd_of(WAYS[i], 8, 60000);
    }
}

struct late {
    wait_fn wait;
    int n;
};

static void wait_in_vain(void *arg) {
    struct late *l = arg;
    int ends[4][2], fds[4], ready[4];
    for (int i = 0; i < l->n; i++) {
        p_pair(SOCK_STREAM, ends[i]);
        fds[i] = ends[i][0];
    }
    int64_t before = gort_now();
    KEEPS_ERRNO(l->wait(fds, l->n, 0, ready), 0);
    KEEPS_ERRNO(l->wait(fds, l->n, 50, ready), 0);
    CHECK(gort_now() - before >= 50 * T_MS);
    for (int i = 0; i < l->n; i++) {
        CHECK_EQ(ready[i], 0);
        close(ends[i][0]), close(ends[i][1]);
    }
}

static void time_outs_hold(void) {
    struct late all[4 * T_LEN(WAYS)];
    gort_waitgroup_t done = {0};
    for (size_t i = 0; i < T_LEN(all); i++)
        all[i] = (struct late){WAYS[i % T_LEN(WAYS)], (int)(i / T_LEN(WAYS))};
    p_crowd(&done, wait_in_vain, all, sizeof all[0], (int)T_LEN(all));
    gort_waitgroup_wait(&done);
}

static void what_is_ready_is_said_at_once(void) {
    int ends[2][2], fds[2], ready[2];
    for (int i = 0; i < 2; i++) {
        p_pair(SOCK_STREAM, ends[i]);
        fds[i] = ends[i][0];
    }
    KEEPS_ERRNO(write(ends[1][1], "x", 1), 1);
    for (size_t i = 0; i < T_LEN(WAYS); i++) {
        KEEPS_ERRNO(WAYS[i](fds, 2, -1, ready), 1);
        CHECK(ready[0] == 0 && ready[1] == POLLIN);
        KEEPS_ERRNO(WAYS[i](&fds[1], 1, 100000, ready), 1);
    }
    for (int i = 0; i < 2; i++)
        close(ends[i][0]), close(ends[i][1]);
}

static void poll_and_what_is_odd(void) {
    int a[2], b[2];
    p_pair(SOCK_STREAM, a);
    p_pair(SOCK_STREAM, b);
    /* Left out, and not open. */
    struct pollfd left_out[] = {{-1, POLLIN, 1}, {-5, POLLIN, 1}};
    int64_t before = gort_now();
    KEEPS_ERRNO(poll(left_out, 2, 20), 0);
    CHECK(gort_now() - before >= 20 * T_MS && left_out[0].revents == 0);
    struct pollfd gone[] = {{a[0], POLLIN, 0}, {999999, POLLIN, 0}};
    KEEPS_ERRNO(poll(gone, 2, -1), 1);
    CHECK(gone[0].revents == 0 && gone[1].revents == POLLNVAL);
    KEEPS_ERRNO(poll(&gone[1], 1, -1), 1);
    volatile nfds_t too_many = 2000000000;
    FAILS_WITH(poll(left_out, too_many, 1), EINVAL);
    struct timespec wrong = {1, 1000000000};
    FAILS_WITH(ppoll(left_out, 2, &wrong, NULL), EINVAL);
    /* The same fd twice, asked different things. */
    char large[1000] = {0};
    while (send(a[0], large, sizeof large, MSG_DONTWAIT) > 0)
        ;
    struct pollfd twice[] = {{a[0], POLLOUT, 0}, {b[0], POLLIN, 0}, {a[0], POLLIN, 0}};
    KEEPS_ERRNO(poll(twice, 3, 20), 0);
    KEEPS_ERRNO(write(a[1], "x", 1), 1);
    KEEPS_ERRNO(poll(twice, 3, -1), 1);
    CHECK(twice[0].revents == 0 && twice[1].revents == 0 && twice[2].revents == POLLIN);
    /* Nothing asked: hang-ups are said all the same. */
    struct pollfd nothing[] = {{b[0], 0, 0}, {a[0], 0, 0}};
    KEEPS_ERRNO(poll(nothing, 2, 20), 0);
    KEEPS_ERRNO(poll(nothing, 1, 20), 0);
    close(b[1]);
    KEEPS_ERRNO(poll(nothing, 2, -1), 1);
    CHECK_EQ(nothing[0].revents, POLLHUP);
    close(a[0]), close(a[1]), close(b[0]);
}

static void select_and_what_is_odd(void) {
    int a[2];
    p_pair(SOCK_STREAM, a);
    fd_set reading, writing;
    FD_ZERO(&reading);
    FD_SET(a[0], &reading);
    struct timeval limit = {0, 30000};
    /* Sleeping, the old way. */
    int64_t before = gort_now();
    KEEPS_ERRNO(select(0, NULL, NULL, NULL, &limit), 0);
    CHECK(gort_now() - before >= 30 * T_MS);
    CHECK(limit.tv_sec == 0 && limit.tv_usec == 0);
    /* The sets are emptied, and what is left of the time is said. */
    limit = (struct timeval){0, 10000};
    KEEPS_ERRNO(select(a[0] + 1, &reading, NULL, NULL, &limit), 0);
    CHECK(!FD_ISSET(a[0], &reading));
    FD_SET(a[0], &reading);
    FD_ZERO(&writing);
    FD_SET(a[0], &writing);
    limit = (struct timeval){100, 0};
    KEEPS_ERRNO(select(a[0] + 1, &reading, &writing, NULL, &limit), 1);
    CHECK(!FD_ISSET(a[0], &reading) && FD_ISSET(a[0], &writing));
    CHECK(limit.tv_sec < 100 || limit.tv_usec == 0);
    limit = (struct timeval){-1, 0};
    FAILS_WITH(select(0, NULL, NULL, NULL, &limit), EINVAL);
    FAILS_WITH(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    FD_SET(1000, &reading);
    FAILS_WITH(select(1001, &reading, NULL, NULL, NULL), EBADF);
    CHECK(FD_ISSET(1000, &reading));
    /* Urgent data only: that the peer has gone is no such thing. */
    close(a[1]);
    FD_ZERO(&reading);
    FD_SET(a[0], &reading);
    limit = (struct timeval){0, 50000};
    KEEPS_ERRNO(select(a[0] + 1, NULL, NULL, &reading, &limit), 0);
    close(a[0]);
}

static void poll_leaves_no_fds(void) {
    crowd_of(by_poll, 1, -1);
    int before = p_open_fds(); /* with what gort itself needs */
    crowd_of(by_poll, 3, -1);
    crowd_of(by_select, 2, -1);
    CHECK_EQ(p_open_fds(), before);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    p_begin();
    RUN_AS_MAIN(waiting_for_one_fd_parks);
    RUN_AS_MAIN(waiting_for_several_fds_parks);
    RUN_AS_MAIN(time_outs_hold);
    RUN_AS_MAIN(what_is_ready_is_said_at_once);
    RUN_AS_MAIN(poll_and_what_is_odd);
    RUN_AS_MAIN(select_and_what_is_odd);
    RUN_AS_MAIN(poll_leaves_no_fds);
    return t_end();
}
