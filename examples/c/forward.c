/*
 * A port-forwarder: whoever connects to one address is connected to another. Each connection has two goroutines,
 * one for each direction; when one side has said all it has to say, that is passed on (a half-close) and the other
 * direction goes on. When either side breaks, both are closed, which wakes the goroutine of the other direction.
 *
 *     forward LISTEN TARGET       forward 127.0.0.1:8000 example.org:80; /path or @name: a Unix socket
 */
#include <gort.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static const int64_t CONNECT_TIME = 10 * GORT_SECOND;

/* A connection that is being forwarded. The last of its two goroutines frees it. */
struct pair {
    gort_fd_t *client;
    gort_fd_t *target;
    atomic_int running;
};

struct direction {
    struct pair *pair;
    gort_fd_t *from;
    gort_fd_t *to;
};

struct forwarder {
    gort_fd_t *listener;
    const char *target;
};

struct arrival {
    const char *target;
    gort_fd_t *client;
};

static const char *network_of(const char *address)
{
    return address[0] == '/' || address[0] == '@' ? "unix" : "tcp";
}

static void complain(const char *what, int status)
{
    fprintf(stderr, "forward: %s: %s\n", what, gort_strerror(status));
}

static void pair_leave(struct pair *pair)
{
    if (atomic_fetch_sub(&pair->running, 1) > 1)
        return;
    gort_fd_release(pair->client);
    gort_fd_release(pair->target);
    free(pair);
}

static void copy(void *arg)
{
    const struct direction *direction = arg;
    struct pair *pair = direction->pair;
    char bytes[16384];
    int64_t n;
    while ((n = gort_fd_read(direction->from, bytes, sizeof bytes)) > 0) {
        if (gort_fd_write(direction->to, bytes, (size_t)n) != n) {
            n = GORT_EIO;
            break;
        }
    }
    if (n == 0) {
        gort_fd_shutdown(direction->to, SHUT_WR);
    } else {
        gort_fd_close(pair->client);
        gort_fd_close(pair->target);
    }
    pair_leave(pair);
}

/* The goroutine of the one direction; it spawns that of the other once the target has answered. */
static void forward(void *arg)
{
    const struct arrival *arrival = arg;
    int err = GORT_OK;
    gort_fd_t *target = gort_dial(network_of(arrival->target), arrival->target, gort_now() + CONNECT_TIME, &err);
    struct pair *pair = malloc(sizeof *pair);
    if (target == NULL || pair == NULL) {
        complain(arrival->target, target == NULL ? err : GORT_ENOMEM);
        gort_fd_release(target);
        gort_fd_release(arrival->client);
        free(pair);
        return;
    }
    *pair = (struct pair){ arrival->client, target, 2 };
    struct direction there = { pair, arrival->client, target }, back = { pair, target, arrival->client };
    err = gort_spawn_copy(copy, &back, sizeof back);
    if (err != GORT_OK) {
        complain("cannot start a goroutine", err);
        gort_fd_close(pair->client);
        gort_fd_close(pair->target);
        pair_leave(pair);
    }
    copy(&there);
}

static void accept_all(void *arg)
{
    const struct forwarder *forwarder = arg;
    for (;;) {
        int err = GORT_OK;
        struct arrival arrival = { forwarder->target, gort_accept(forwarder->listener, &err) };
        if (arrival.client != NULL) {
            err = gort_spawn_copy(forward, &arrival, sizeof arrival);
            if (err != GORT_OK)
                gort_fd_release(arrival.client);
        }
        if (err == GORT_ECLOSED)
            return;
        if (err != GORT_OK) {
            complain("cannot accept", err);
            gort_sleep(10 * GORT_MILLISECOND);  /* out of descriptors, say: until some client leaves */
        }
    }
}

static int run(void *arg)
{
    char **argv = arg;
    char bound[128];
    int err = GORT_OK, signo;
    struct forwarder forwarder = { gort_listen(network_of(argv[1]), argv[1], &err), argv[2] };
    gort_chan_t *signals = gort_chan_new(sizeof(int), 1);
    if (forwarder.listener != NULL)
        err = gort_fd_local_addr(forwarder.listener, bound, sizeof bound);
    if (forwarder.listener == NULL || err < 0) {
        complain(argv[1], err);
        return 1;
    }
    gort_signal_notify(signals, SIGINT);
    gort_signal_notify(signals, SIGTERM);
    gort_waitgroup_t accepting = {0};
    gort_waitgroup_go(&accepting, accept_all, &forwarder);
    printf("listening on %s\n", bound);
    fflush(stdout);

    gort_chan_recv(signals, &signo);
    gort_fd_close(forwarder.listener);
    gort_waitgroup_wait(&accepting);
    gort_fd_release(forwarder.listener);
    gort_signal_stop(signals);
    gort_chan_release(signals);
    printf("stopped by signal %d\n", signo);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: forward LISTEN TARGET\n");
        return 2;
    }
    return gort_main(run, argv);
}
