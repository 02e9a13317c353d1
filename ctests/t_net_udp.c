/* Datagrams: udp of both versions, Unix sockets. */
#include "t_net.h"

static bool next_pair(int *i, gort_fd_t *ends[2], char addrs[2][GORT_ADDR_SIZE]) {
    static const char *const networks[][2] = {
        {"udp", "127.0.0.1:0"}, {"udp4", ":0"}, {"udp", ":0"}, {"udp6", "[::1]:0"}, {"unixgram", ""}, {"unixgram", "path"}};
    if (*i == 2 && !t_have_ipv6())
        *i = 4;
    if (*i >= (int)T_LEN(networks))
        return false;
    for (int k = 0; k < 2; k++) {
        const char *address = networks[*i][1];
        if (strcmp(address, "path") == 0)
            snprintf(addrs[k], GORT_ADDR_SIZE, "%s/%d", t_dir(), k);
        else
            strcpy(addrs[k], address);
        ends[k] = t_listen(networks[*i][0], addrs[k]);
    }
    ++*i;
    return true;
}

static void datagrams_keep_their_bounds_and_tell_their_sender(void) {
    static const size_t sizes[] = {0, 1, 64, 1472, 9000, 65507};
    static char out[65507], in[65507 + 1];
    char addrs[2][GORT_ADDR_SIZE], from[GORT_ADDR_SIZE];
    gort_fd_t *ends[2];
    for (int i = 0; next_pair(&i, ends, addrs);) {
        for (size_t k = 0; k < T_LEN(sizes); k++) {
            memset(out, (int)('a' + k), sizeof out);
            CHECK_EQ(gort_send_to(ends[0], out, sizes[k], addrs[1]), sizes[k]);
            memset(in, '-', sizeof in);
            CHECK_EQ(gort_recv_from(ends[1], in, sizeof in, from, sizeof from), sizes[k]);
            CHECK(memcmp(in, out, sizes[k]) == 0 && in[sizes[k]] == '-');
            /* Of one that is every address of this machine only the port is known. */
            const char *port = strrchr(addrs[0], ':');
            if (port)
                CHECK(strcmp(strrchr(from, ':'), port) == 0);
            else
                CHECK(strcmp(from, addrs[0]) == 0);
            /* And back to where it came from. */
            CHECK_EQ(gort_send_to(ends[1], "back", 4, from), 4);
            CHECK_EQ(gort_recv_from(ends[0], in, sizeof in, NULL, 0), 4);
            CHECK_EQ(memcmp(in, "back", 4), 0);
        }
        t_close(ends[0]);
        t_close(ends[1]);
    }
}

static void one_socket_speaks_both_versions(void) {
    if (!t_have_ipv6())
        return;
    char both_addr[GORT_ADDR_SIZE] = ":0", four_addr[GORT_ADDR_SIZE] = "127.0.0.1:0", to[GORT_ADDR_SIZE], from[GORT_ADDR_SIZE];
    char byte;
    gort_fd_t *both = t_listen("udp", both_addr), *four = t_listen("udp4", four_addr);
    CHECK_EQ(gort_send_to(both, "x", 1, four_addr), 1);
    CHECK_EQ(gort_recv_from(four, &byte, 1, from, sizeof from), 1);
    snprintf(to, sizeof to, "127.0.0.1%s", strrchr(both_addr, ':'));
    CHECK(strcmp(from, to) == 0);
    CHECK_EQ(gort_send_to(four, "y", 1, to), 1);
    CHECK_EQ(gort_recv_from(both, &byte, 1, from, sizeof from), 1);
    CHECK(byte == 'y' && strcmp(from, four_addr) == 0);
    CHECK_EQ(gort_send_to(four, "z", 1, "[::1]:9"), GORT_EAFNOSUPPORT);
    t_close(both);
    t_close(four);
}

static void what_does_not_fit_is_cut_off_or_left_out(void) {
    char addrs[2][GORT_ADDR_SIZE], from[GORT_ADDR_SIZE] = "x", buf[8] = "--------";
    gort_fd_t *ends[2];
    int first = 0;
    CHECK(next_pair(&first, ends, addrs));
    CHECK_EQ(gort_send_to(ends[0], "0123456789", 10, addrs[1]), 10);
    CHECK_EQ(gort_recv_from(ends[1], buf, 4, from, strlen(addrs[0])), 4);
    CHECK_EQ(memcmp(buf, "0123----", 8), 0);
    CHECK_EQ(from[0], '\0');
    /* The rest of it is not the next one. */
    CHECK_EQ(gort_send_to(ends[0], "next", 4, addrs[1]), 4);
    CHECK_EQ(gort_recv_from(ends[1], buf, 8, from, 0), 4);
    CHECK_EQ(memcmp(buf, "next", 4), 0);
    CHECK_EQ(gort_send_to(ends[0], "gone", 4, addrs[1]), 4);
    CHECK_EQ(gort_recv_from(ends[1], NULL, 0, from, sizeof from), 0);
    CHECK(strcmp(from, addrs[0]) == 0);
    static char huge[70000];
    CHECK_EQ(gort_send_to(ends[0], huge, sizeof huge, addrs[1]), GORT_EMSGSIZE);
    t_close(ends[0]);
    t_close(ends[1]);
}

static void what_is_no_address_is_refused(void) {
    char addrs[2][GORT_ADDR_SIZE], byte = 0;
    gort_fd_t *ends[2], *pair[2];
    int first = 0;
    CHECK(next_pair(&first, ends, addrs));
    CHECK_EQ(gort_send_to(NULL, &byte, 1, addrs[1]), GORT_EINVAL);
    CHECK_EQ(gort_send_to(ends[0], NULL, 1, addrs[1]), GORT_EINVAL);
    CHECK_EQ(gort_send_to(ends[0], &byte, 1, NULL), GORT_EINVAL);
    CHECK_EQ(gort_send_to(ends[0], &byte, 1, ""), GORT_EINVAL);
    CHECK_EQ(gort_send_to(ends[0], &byte, 1, "127.0.0.1"), GORT_EINVAL);
    CHECK_EQ(gort_send_to(ends[0], &byte, 1, "no.such.host.invalid:1"), GORT_ENONAME);
    CHECK_EQ(gort_recv_from(NULL, &byte, 1, NULL, 0), GORT_EINVAL);
    CHECK_EQ(gort_recv_from(ends[0], NULL, 1, NULL, 0), GORT_EINVAL);
    /* A name is an address. */
    char to[GORT_ADDR_SIZE];
    snprintf(to, sizeof to, "localhost%s", strrchr(addrs[1], ':'));
    CHECK_EQ(gort_send_to(ends[0], "n", 1, to), 1);
    CHECK_EQ(gort_recv_from(ends[1], &byte, 1, NULL, 0), 1);
    CHECK_EQ(byte, 'n');
    t_close(ends[0]);
    t_close(ends[1]);
    int pipe_ends[2];
    CHECK_EQ(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    for (int i = 0; i < 2; i++)
        CHECK((pair[i] = gort_fd_open(pipe_ends[i], NULL)) != NULL);
    CHECK_EQ(gort_send_to(pair[1], &byte, 1, "127.0.0.1:1"), GORT_ENOTSOCK);
    CHECK_EQ(gort_recv_from(pair[0], &byte, 1, NULL, 0), GORT_ENOTSOCK);
    for (int i = 0; i < 2; i++)
        t_close(pair[i]);
}

/* ---- connected sockets ---- */

static void a_dialled_socket_reads_and_writes(void) {
    char addrs[2][GORT_ADDR_SIZE], buf[100], from[GORT_ADDR_SIZE], local[GORT_ADDR_SIZE];
    gort_fd_t *ends[2];
    int first = 0;
    CHECK(next_pair(&first, ends, addrs));
    gort_fd_t *fd = t_dial("udp", addrs[0]);
    CHECK_EQ(gort_fd_local_addr(fd, local, sizeof local), GORT_OK);
    CHECK_EQ(gort_fd_write(fd, "hello", 5), 5);
    CHECK_EQ(gort_recv_from(ends[0], buf, sizeof buf, from, sizeof from), 5);
    CHECK(strcmp(from, local) == 0);
    /* Each read is one datagram; those from elsewhere are not for it. */
    CHECK_EQ(gort_send_to(ends[1], "stranger", 8, from), 8);
    CHECK_EQ(gort_send_to(ends[0], "one", 3, from), 3);
    CHECK_EQ(gort_send_to(ends[0], "", 0, from), 0);
    CHECK_EQ(gort_send_to(ends[0], "three", 5, from), 5);
    CHECK_EQ(gort_fd_read(fd, buf, sizeof buf), 3);
    CHECK_EQ(gort_fd_read(fd, buf, sizeof buf), 0);
    CHECK_EQ(gort_fd_read(fd, buf, sizeof buf), 5);
    CHECK_EQ(memcmp(buf, "three", 5), 0);
    /* Nobody is there any more: the kernel says so at a later call. */
    t_close(ends[0]);
    int64_t result;
    while ((result = gort_fd_write(fd, "anybody?", 8)) == 8)
        gort_yield();
    CHECK_EQ(result, GORT_ECONNREFUSED);
    t_close(fd);
    t_close(ends[1]);
}

/* ---- waiting ---- */

struct receiver {
    gort_fd_t *fd;
    long count;
    int64_t result;
};

static void receive_until_it_fails(void *arg) {
    struct receiver *r = arg;
    char buf[16];
    while ((r->result = gort_recv_from(r->fd, buf, sizeof buf, NULL, 0)) >= 0)
        r->count++;
}

static void close_and_deadlines_wake_who_receives(void) {
    enum { RECEIVERS = 6 };
    struct receiver receivers[RECEIVERS];
    char addrs[2][GORT_ADDR_SIZE], byte;
    gort_fd_t *ends[2];
    for (int i = 0; next_pair(&i, ends, addrs);) {
        for (int end = 0; end < 2; end++) {
            gort_waitgroup_t done = {0};
            for (int k = 0; k < RECEIVERS; k++) {
                receivers[k] = (struct receiver){ends[end], 0, 1};
                if (k % 3)
                    t_go(&done, receive_until_it_fails, &receivers[k]);
                else
                    t_go_thread(&done, receive_until_it_fails, &receivers[k]);
            }
            CHECK_EQ(gort_send_to(ends[1], "x", 1, addrs[end]), 1);
            gort_sleep(T_MS);
            if (end == 0)
                CHECK_EQ(gort_fd_set_read_deadline(ends[end], gort_now() + 2 * T_MS), GORT_OK);
            else
                CHECK_EQ(gort_fd_close(ends[end]), GORT_OK);
            gort_waitgroup_wait(&done);
            for (int k = 0; k < RECEIVERS; k++)
                CHECK_EQ(receivers[k].result, end == 0 ? GORT_ETIMEDOUT : GORT_ECLOSED);
        }
        CHECK_EQ(gort_recv_from(ends[0], &byte, 1, NULL, 0), GORT_ETIMEDOUT);
        t_close(ends[0]);
        gort_fd_release(ends[1]);
    }
}

/* A Unix socket loses nothing: the sender waits while the receiver's queue is full. */
static void a_full_queue_is_waited_for(void) {
    enum { MESSAGES = 3000 };
    char addrs[2][GORT_ADDR_SIZE] = {"", ""}, buf[1000] = "";
    gort_fd_t *ends[2] = {t_listen("unixgram", addrs[0]), t_listen("unixgram", addrs[1])};
    gort_waitgroup_t done = {0};
    struct receiver receiver = {ends[1], 0, 1};
    /* Nobody receives yet, so it must fill up. */
    CHECK_EQ(gort_fd_set_write_deadline(ends[0], gort_now() + 5 * T_MS), GORT_OK);
    long sent = 0;
    int64_t result;
    while ((result = gort_send_to(ends[0], buf, sizeof buf, addrs[1])) > 0)
        sent++;
    CHECK_EQ(result, GORT_ETIMEDOUT);
    CHECK_EQ(gort_fd_set_write_deadline(ends[0], GORT_FOREVER), GORT_OK);
    t_go(&done, receive_until_it_fails, &receiver);
    for (; sent < MESSAGES; sent++)
        CHECK_EQ(gort_send_to(ends[0], buf, sizeof buf, addrs[1]), sizeof buf);
    CHECK_EQ(gort_send_to(ends[0], buf, 0, addrs[1]), 0);
    EVENTUALLY(__atomic_load_n(&receiver.count, __ATOMIC_ACQUIRE) == sent + 1);
    CHECK_EQ(gort_fd_close(ends[1]), GORT_OK);
    gort_waitgroup_wait(&done);
    gort_fd_release(ends[1]);
    t_close(ends[0]);
}

struct filler {
    gort_fd_t *fd;
    const char *to;
    atomic_int *stop;
    long sent;
};

/* Keeps the queue full until it is told to stop. */
static void fill(void *arg) {
    struct filler *f = arg;
    while (!atomic_load(f->stop)) {
        int64_t result;
        CHECK_EQ(gort_fd_set_write_deadline(f->fd, gort_now() + T_MS), GORT_OK);
        while ((result = gort_send_to(f->fd, "f", 1, f->to)) == 1)
            f->sent++;
        CHECK_EQ(result, GORT_ETIMEDOUT);
    }
}

/* It was filled by others, of whose datagrams the sender hears nothing when they are gone. */
static void room_in_a_queue_that_others_filled_is_noticed(void) {
    char addrs[3][GORT_ADDR_SIZE] = {"", "", ""};
    gort_fd_t *ends[3];
    gort_waitgroup_t filling = {0}, done = {0};
    atomic_int stop = 0;
    for (int i = 0; i < 3; i++)
        ends[i] = t_listen("unixgram", addrs[i]);
    struct filler filler = {ends[0], addrs[2], &stop, 0};
    t_go(&filling, fill, &filler);
    EVENTUALLY(gort_fd_set_write_deadline(ends[1], gort_now() + T_MS) == GORT_OK &&
               gort_send_to(ends[1], "x", 1, addrs[2]) == GORT_ETIMEDOUT);
    CHECK_EQ(gort_fd_set_write_deadline(ends[1], GORT_FOREVER), GORT_OK);
    atomic_store(&stop, 1);
    gort_waitgroup_wait(&filling);
    struct receiver receiver = {ends[2], 0, 1};
    t_go(&done, receive_until_it_fails, &receiver);
    CHECK_EQ(gort_send_to(ends[1], "x", 1, addrs[2]), 1);
    /* Nor does a close keep who waits for room. */
    CHECK_EQ(gort_fd_close(ends[2]), GORT_OK);
    gort_waitgroup_wait(&done);
    gort_fd_release(ends[2]);
    CHECK_EQ(gort_send_to(ends[1], "x", 1, addrs[2]), GORT_ECONNREFUSED);
    t_close(ends[0]);
    t_close(ends[1]);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(datagrams_keep_their_bounds_and_tell_their_sender);
    RUN_BOTH(one_socket_speaks_both_versions);
    RUN_BOTH(what_does_not_fit_is_cut_off_or_left_out);
    RUN_BOTH(what_is_no_address_is_refused);
    RUN_BOTH(a_dialled_socket_reads_and_writes);
    RUN_BOTH(close_and_deadlines_wake_who_receives);
    RUN_BOTH(a_full_queue_is_waited_for);
    RUN_BOTH(room_in_a_queue_that_others_filled_is_noticed);
    return t_end();
}
