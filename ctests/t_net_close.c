/* Sockets: close, deadlines and shutdown against calls that wait; writers among each other; peers that are gone. */
#include "t_net.h"

static const char *const networks[][2] = {{"tcp", "127.0.0.1:0"}, {"unix", ""}};

/* ---- close against waiting calls ---- */

struct waiting {
    gort_fd_t *fd;
    int64_t result;
    gort_waitgroup_t *begun;
};

static void accepting(void *arg) {
    struct waiting *w = arg;
    int err = 1;
    gort_waitgroup_done(w->begun);
    CHECK(gort_accept(w->fd, &err) == NULL);
    w->result = err;
}

static void reading(void *arg) {
    struct waiting *w = arg;
    char byte;
    gort_waitgroup_done(w->begun);
    w->result = gort_fd_read(w->fd, &byte, 1);
}

static char junk[1 << 16];

static void writing(void *arg) {
    struct waiting *w = arg;
    gort_waitgroup_done(w->begun);
    do
        w->result = gort_fd_write(w->fd, junk, sizeof junk);
    while (w->result >= 0);
}

enum { EACH = 3 };

/* Several of each, goroutines or threads, wait; then close. */
static void close_wakes(gort_fd_t *fd, const gort_fn_t fns[], size_t n, bool threads, int64_t wait_first) {
    gort_waitgroup_t begun = {0}, done = {0};
    struct waiting waits[2 * EACH];
    CHECK(n <= T_LEN(waits));
    gort_waitgroup_add(&begun, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        waits[i] = (struct waiting){fd, 1, &begun};
        if (threads && i % 2)
            t_go_thread(&done, fns[i], &waits[i]);
        else
            t_go(&done, fns[i], &waits[i]);
    }
    gort_waitgroup_wait(&begun);
    gort_sleep(wait_first);
    CHECK_EQ(gort_fd_close(fd), GORT_OK);
    gort_waitgroup_wait(&done);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(waits[i].result, GORT_ECLOSED);
    CHECK_EQ(gort_fd_close(fd), GORT_ECLOSED);
}

static void close_wakes_who_accepts_reads_and_writes(void) {
    static const gort_fn_t accepts[EACH] = {accepting, accepting, accepting};
    static const gort_fn_t both[2 * EACH] = {reading, writing, reading, writing, reading, writing};
    int64_t until;
    for (long i = 0; t_again(i, t_n(60, 10), &until); i++)
        for (size_t k = 0; k < T_LEN(networks); k++) {
            char address[GORT_ADDR_SIZE];
            gort_fd_t *ends[2];
            int64_t wait_first = (i % 4) * T_MS;
            strcpy(address, networks[k][1]);
            gort_fd_t *listener = t_listen(networks[k][0], address);
            close_wakes(listener, accepts, EACH, i % 2, wait_first);
            gort_fd_release(listener);
            t_pair(networks[k][0], networks[k][1], ends);
            close_wakes(ends[0], both, 2 * EACH, i % 2, wait_first);
            gort_fd_release(ends[0]);
            t_close(ends[1]);
        }
}

static void after_close_every_call_says_so(void) {
    char address[GORT_ADDR_SIZE], byte;
    int err = 1;
    gort_fd_t *fd = t_listen_here(address);
    CHECK_EQ(gort_fd_close(fd), GORT_OK);
    CHECK(gort_accept(fd, &err) == NULL);
    CHECK_EQ(err, GORT_ECLOSED);
    CHECK_EQ(gort_fd_read(fd, &byte, 1), GORT_ECLOSED);
    CHECK_EQ(gort_fd_write(fd, &byte, 1), GORT_ECLOSED);
    CHECK_EQ(gort_recv_from(fd, &byte, 1, NULL, 0), GORT_ECLOSED);
    CHECK_EQ(gort_send_to(fd, &byte, 1, "127.0.0.1:1"), GORT_ECLOSED);
    CHECK_EQ(gort_fd_set_read_deadline(fd, 0), GORT_ECLOSED);
    CHECK_EQ(gort_fd_shutdown(fd, SHUT_WR), GORT_ECLOSED);
    CHECK_EQ(gort_fd_close(fd), GORT_ECLOSED);
    gort_fd_release(fd);
}

/* ---- deadlines ---- */

static void accept_keeps_its_deadline(void) {
    char address[GORT_ADDR_SIZE];
    gort_fd_t *listener = t_listen_here(address);
    static const int64_t waits[] = {-1, 0, 1, 1000, T_MS, 20 * T_MS};
    for (size_t i = 0; i < T_LEN(waits); i++) {
        int err = 1;
        int64_t deadline = gort_now() + waits[i];
        CHECK_EQ(gort_fd_set_read_deadline(listener, deadline), GORT_OK);
        CHECK(gort_accept(listener, &err) == NULL);
        CHECK_EQ(err, GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    /* A past deadline beats a connection that is there; without one it is still there. */
    gort_fd_t *fd = t_dial("tcp", address);
    int err = 1;
    CHECK(gort_accept(listener, &err) == NULL);
    CHECK_EQ(err, GORT_ETIMEDOUT);
    CHECK_EQ(gort_fd_set_read_deadline(listener, GORT_FOREVER), GORT_OK);
    t_close(t_accept(listener));
    t_close(fd);
    t_close(listener);
}

static void a_new_deadline_wakes_who_waits_already(void) {
    gort_fd_t *ends[2];
    int64_t until;
    t_pair("tcp", "127.0.0.1:0", ends);
    for (long i = 0; t_again(i, t_n(200, 20), &until); i++) {
        gort_waitgroup_t begun = {0}, done = {0};
        struct waiting wait = {ends[0], 1, &begun};
        gort_waitgroup_add(&begun, 1);
        CHECK_EQ(gort_fd_set_read_deadline(ends[0], i % 2 ? GORT_FOREVER : gort_now() + T_PATIENCE), GORT_OK);
        if (i % 3)
            t_go(&done, reading, &wait);
        else
            t_go_thread(&done, reading, &wait);
        gort_waitgroup_wait(&begun);
        if (i % 5 == 0)
            gort_sleep(T_MS / 2);
        CHECK_EQ(gort_fd_set_read_deadline(ends[0], i % 4 ? gort_now() + 1000 : 0), GORT_OK);
        gort_waitgroup_wait(&done);
        CHECK_EQ(wait.result, GORT_ETIMEDOUT);
    }
    /* The connection is none the worse for it. */
    CHECK_EQ(gort_fd_set_read_deadline(ends[0], GORT_FOREVER), GORT_OK);
    char got = 0;
    t_write_all(ends[1], "x", 1);
    CHECK_EQ(t_read_all(ends[0], &got, 1), 1);
    CHECK_EQ(got, 'x');
    t_close(ends[0]);
    t_close(ends[1]);
}

/* ---- writers ---- */

enum { WRITERS = 8, MESSAGE = 100000, MESSAGES = 6 };

struct writer {
    gort_fd_t *fd;
    char letter;
};

static void write_messages(void *arg) {
    struct writer *w = arg;
    char *message = malloc(MESSAGE);
    CHECK(message != NULL);
    memset(message, w->letter, MESSAGE);
    for (int i = 0; i < MESSAGES; i++)
        t_write_all(w->fd, message, MESSAGE);
    free(message);
}

/* Each is far longer than what the kernel takes at once. */
static void what_one_call_writes_stays_together(void) {
    static char message[MESSAGE];
    for (size_t k = 0; k < T_LEN(networks); k++) {
        gort_waitgroup_t done = {0};
        gort_fd_t *ends[2];
        struct writer writers[WRITERS];
        int seen[WRITERS] = {0};
        t_pair(networks[k][0], networks[k][1], ends);
        for (int i = 0; i < WRITERS; i++) {
            writers[i] = (struct writer){ends[0], (char)('a' + i)};
            if (i % 4 == 3)
                t_go_thread(&done, write_messages, &writers[i]);
            else
                t_go(&done, write_messages, &writers[i]);
        }
        for (int i = 0; i < WRITERS * MESSAGES; i++) {
            CHECK_EQ(t_read_all(ends[1], message, MESSAGE), MESSAGE);
            CHECK(message[0] >= 'a' && message[0] < 'a' + WRITERS);
            CHECK_EQ(memcmp(message, message + 1, MESSAGE - 1), 0);
            seen[message[0] - 'a']++;
        }
        for (int i = 0; i < WRITERS; i++)
            CHECK_EQ(seen[i], MESSAGES);
        gort_waitgroup_wait(&done);
        t_close(ends[0]);
        t_close(ends[1]);
    }
}

/* ---- peers that are gone ---- */

static void writing_to_a_peer_that_is_gone_fails_and_kills_nobody(void) {
    for (size_t k = 0; k < T_LEN(networks); k++) {
        gort_fd_t *ends[2];
        int64_t put;
        t_pair(networks[k][0], networks[k][1], ends);
        t_close(ends[1]);
        while ((put = gort_fd_write(ends[0], junk, sizeof junk)) >= 0)
            continue;
        CHECK(put == GORT_EPIPE || put == GORT_ECONNRESET);
        put = gort_fd_write(ends[0], junk, 1);
        CHECK(put == GORT_EPIPE || put == GORT_ECONNRESET);
        t_close(ends[0]);
        /* Nor after a shutdown of one's own. */
        t_pair(networks[k][0], networks[k][1], ends);
        CHECK_EQ(gort_fd_shutdown(ends[0], SHUT_WR), GORT_OK);
        CHECK_EQ(gort_fd_write(ends[0], junk, 1), GORT_EPIPE);
        char byte;
        CHECK_EQ(gort_fd_read(ends[1], &byte, 1), 0);
        CHECK_EQ(gort_fd_read(ends[1], &byte, 1), 0);
        t_close(ends[0]);
        t_close(ends[1]);
    }
}

static void a_reset_is_told_to_who_reads(void) {
    gort_fd_t *ends[2];
    gort_waitgroup_t begun = {0}, done = {0};
    t_pair("tcp", "127.0.0.1:0", ends);
    struct waiting wait = {ends[0], 1, &begun};
    gort_waitgroup_add(&begun, 1);
    t_go(&done, reading, &wait);
    gort_waitgroup_wait(&begun);
    struct linger now = {1, 0};
    CHECK_EQ(setsockopt(gort_fd_raw(ends[1]), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    t_close(ends[1]);
    gort_waitgroup_wait(&done);
    CHECK_EQ(wait.result, GORT_ECONNRESET);
    t_close(ends[0]);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(close_wakes_who_accepts_reads_and_writes);
    RUN_BOTH(after_close_every_call_says_so);
    RUN_BOTH(accept_keeps_its_deadline);
    RUN_BOTH(a_new_deadline_wakes_who_waits_already);
    RUN_BOTH(what_one_call_writes_stays_together);
    RUN_BOTH(writing_to_a_peer_that_is_gone_fails_and_kills_nobody);
    RUN_BOTH(a_reset_is_told_to_who_reads);
    return t_end();
}
