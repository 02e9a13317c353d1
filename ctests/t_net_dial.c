/* Dialling: refusals, deadlines, queues that are full. (Names: t_net_names.c.) */
#include "t_net.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

static int dial_fails(const char *network, const char *address, int64_t deadline) {
    int err = 1;
    CHECK(gort_dial(network, address, deadline, &err) == NULL);
    return err;
}

static void where_nobody_listens_a_dial_is_refused(void) {
    char address[GORT_ADDR_SIZE];
    int fd = t_taken_port(address);
    CHECK_EQ(dial_fails("tcp", address, GORT_FOREVER), GORT_ECONNREFUSED);
    CHECK_EQ(dial_fails("tcp4", address, gort_now() + T_PATIENCE), GORT_ECONNREFUSED);
    close(fd);
    CHECK_EQ(dial_fails("unix", "/nonexistent/socket", GORT_FOREVER), GORT_ENOENT);
    CHECK_EQ(dial_fails("unix", "@gort-nobody-listens-here", GORT_FOREVER), GORT_ECONNREFUSED);
    /* What an unclean end leaves behind. */
    snprintf(address, sizeof address, "%s/stale", t_dir());
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, address, strlen(address));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
    close(fd);
    CHECK_EQ(dial_fails("unix", address, GORT_FOREVER), GORT_ECONNREFUSED);
    CHECK_EQ(unlink(address), 0);
}

static void a_deadline_ends_a_dial_and_not_early(void) {
    struct t_deaf deaf;
    t_deaf_open(&deaf, "127.0.0.1", 0);
    static const int64_t waits[] = {1, 1000, 100000, T_MS, 50 * T_MS, 300 * T_MS};
    for (size_t i = 0; i < T_LEN(waits); i++) {
        int64_t deadline = gort_now() + waits[i];
        CHECK_EQ(dial_fails("tcp", deaf.address, deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    static const int64_t past[] = {0, 1, -1, INT64_MIN};
    for (size_t i = 0; i < T_LEN(past); i++)
        CHECK_EQ(dial_fails("tcp", deaf.address, past[i]), GORT_ETIMEDOUT);
    t_deaf_close(&deaf);
}

struct dialer {
    const char *network, *address;
    int64_t wait;
    int err;
};

static void dial_once(void *arg) {
    struct dialer *d = arg;
    int64_t deadline = d->wait == GORT_FOREVER ? d->wait : gort_now() + d->wait;
    gort_fd_t *fd = gort_dial(d->network, d->address, deadline, &d->err);
    CHECK((fd != NULL) == (d->err == GORT_OK));
    if (fd)
        t_close(fd);
    else
        CHECK(gort_now() >= deadline);
}

/* From 1 ns to 1 s, all at once, of goroutines and threads. */
static void deadlines_of_every_length_leave_no_descriptor_behind(void) {
    enum { DIALERS = 200 };
    static struct dialer dialers[DIALERS];
    struct t_deaf deaf;
    uint64_t random = t_seed(1);
    gort_waitgroup_t done = {0};
    int before = t_open_sockets();
    t_deaf_open(&deaf, "127.0.0.1", 0);
    for (int i = 0; i < DIALERS; i++) {
        int64_t longest = 1;
        for (uint64_t digits = t_random(&random) % (t_stress() ? 8 : 10); digits > 0; digits--)
            longest *= 10;
        dialers[i] = (struct dialer){"tcp", deaf.address, longest, 1};
        if (i % 16 == 0)
            t_go_thread(&done, dial_once, &dialers[i]);
        else
            t_go(&done, dial_once, &dialers[i]);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < DIALERS; i++)
        CHECK_EQ(dialers[i].err, GORT_ETIMEDOUT);
    t_deaf_close(&deaf);
    CHECK_EQ(t_open_sockets(), before);
}

/* The kernel does not wait for room in the queue of a Unix listener: gort does. */
static void a_full_queue_of_a_unix_listener_is_waited_for(void) {
    enum { DIALERS = 12 };
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t size = sizeof name;
    char address[GORT_ADDR_SIZE];
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    snprintf(address, sizeof address, "@%.*s", (int)(size - sizeof(sa_family_t) - 1), name.sun_path + 1);

    gort_fd_t *queued[2] = {t_dial("unix", address), t_dial("unix", address)};
    int64_t deadline = gort_now() + 5 * T_MS;
    CHECK_EQ(dial_fails("unix", address, deadline), GORT_ETIMEDOUT);
    CHECK(gort_now() >= deadline);
    CHECK_EQ(dial_fails("unix", address, 0), GORT_ETIMEDOUT);
    CHECK_EQ(dial_fails("unix", address, INT64_MIN), GORT_ETIMEDOUT);

    static struct dialer dialers[DIALERS];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < DIALERS; i++) {
        dialers[i] = (struct dialer){"unix", address, i % 2 ? GORT_FOREVER : T_PATIENCE, 1};
        if (i % 4 == 0)
            t_go_thread(&done, dial_once, &dialers[i]);
        else
            t_go(&done, dial_once, &dialers[i]);
    }
    gort_sleep(2 * T_MS);
    CHECK_EQ(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    for (int got = 0; got < DIALERS + 2;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            close(fd);
            got++;
        } else {
            CHECK_EQ(errno, EAGAIN);
            gort_sleep(T_MS);
        }
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < DIALERS; i++)
        CHECK_EQ(dialers[i].err, GORT_OK);
    t_close(queued[0]);
    t_close(queued[1]);
    close(listener);
}

/* ---- a dialler that would meet itself ---- */

static const char PORT_RANGE[] = "/proc/sys/net/ipv4/ip_local_port_range";

/* A network that nobody else is in: every port is dialled here, and other programs listen at some. Before any thread is
 * started, which a new user namespace asks for. */
static bool alone_on_the_network(void) {
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    struct ifreq lo = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &lo) == 0);
    lo.ifr_flags |= IFF_UP;
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    close(fd);
    /* Few ports to choose from: the chance is large. */
    FILE *range = fopen(PORT_RANGE, "w");
    if (range) {
        fprintf(range, "40000 40099");
        fclose(range);
    }
    return true;
}

enum { NOT_ALONE = 77 };

/* The range of ports that the system chooses from for a dialler holds those that it dials here: by chance it chooses
 * the same one, and meets itself. */
static void dial_every_port(void) {
    if (!alone_on_the_network())
        _exit(NOT_ALONE);
    long first = 0, last = 0;
    FILE *range = fopen(PORT_RANGE, "r");
    CHECK(range && fscanf(range, "%ld %ld", &first, &last) == 2);
    fclose(range);
    int64_t until;
    for (long i = 0; t_again(i, t_n(8000, 500), &until); i++) {
        char address[GORT_ADDR_SIZE];
        snprintf(address, sizeof address, "127.0.0.1:%ld", first + i % (last - first + 1));
        int err = dial_fails("tcp", address, gort_now() + T_PATIENCE);
        CHECK(err == GORT_ECONNREFUSED || err == GORT_EADDRNOTAVAIL || err == GORT_ECONNRESET);
    }
}

static void nobody_meets_itself(void) {
    const struct t_outcome *outcome = t_spawn_child("dial_every_port");
    if (WIFEXITED(outcome->status) && WEXITSTATUS(outcome->status) == NOT_ALONE)
        fprintf(stderr, "skipped: a network of one's own, which this user may not have\n");
    else
        t_check_exit("dial_every_port", outcome, 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(dial_every_port);
    RUN_BOTH(where_nobody_listens_a_dial_is_refused);
    RUN_BOTH(a_deadline_ends_a_dial_and_not_early);
    RUN_AS_MAIN(deadlines_of_every_length_leave_no_descriptor_behind);
    RUN_BOTH(a_full_queue_of_a_unix_listener_is_waited_for);
    RUN(nobody_meets_itself);
    return t_end();
}
