/*
 * TCP echo on the loopback, both ends in this process: 1, 64 or 1000 connections, each with a goroutine that
 * sends 64 bytes and waits for them to come back, and one that sends back what it gets. Wall time for each round
 * trip of any connection.
 */
#include "bench.h"
#include <sys/resource.h>

enum {
    MESSAGE = 64,
    ROOM = 512,         /* asked for by each read: more than comes */
};

static const struct {
    const char *name;
    int connections;
    int trips;          /* of each connection */
} settings[] = {
    { "echo_1", 1, 20000 },
    { "echo_64", 64, 600 },
    { "echo_1000", 1000, 40 },
};

static void must_have(const void *handle, int err, const char *what)
{
    bench_must(handle == NULL ? err : GORT_OK, what);
}

static void serve(void *arg)
{
    gort_fd_t *peer = arg;
    char bytes[ROOM];
    int64_t n;
    while ((n = gort_fd_read(peer, bytes, sizeof bytes)) > 0)
        if (gort_fd_write(peer, bytes, (size_t)n) != n)
            break;
    gort_fd_release(peer);
}

static void accept_all(void *arg)
{
    gort_fd_t *listener = arg, *peer;
    int err = GORT_OK;
    while ((peer = gort_accept(listener, &err)) != NULL)
        bench_must(gort_spawn(serve, peer), "gort_spawn");
    bench_must(err == GORT_ECLOSED ? GORT_OK : err, "gort_accept");
}

struct client {
    gort_fd_t *server;
    int trips;
};

static void ask(void *arg)
{
    const struct client *client = arg;
    char sent[MESSAGE] = "there and back again", got[ROOM];
    for (int i = 0; i < client->trips; i++) {
        size_t have = 0;
        if (gort_fd_write(client->server, sent, MESSAGE) != MESSAGE)
            bench_must(GORT_EIO, "gort_fd_write");
        while (have < MESSAGE) {
            int64_t n = gort_fd_read(client->server, got + have, ROOM - have);
            bench_must(n > 0 ? GORT_OK : GORT_EIO, "gort_fd_read");
            have += (size_t)n;
        }
    }
}

struct clients {
    struct client *all;
    int count;
};

static void round_of(void *arg)
{
    const struct clients *clients = arg;
    gort_waitgroup_t asking = {0};
    for (int i = 0; i < clients->count; i++)
        bench_must(gort_waitgroup_go(&asking, ask, &clients->all[i]), "gort_waitgroup_go");
    gort_waitgroup_wait(&asking);
}

static int run(void *arg)
{
    (void)arg;
    int err = GORT_OK;
    char address[64];
    gort_fd_t *listener = gort_listen("tcp", "127.0.0.1:0", &err);
    must_have(listener, err, "gort_listen");
    bench_must(gort_fd_local_addr(listener, address, sizeof address), "gort_fd_local_addr");
    gort_waitgroup_t accepting = {0};
    bench_must(gort_waitgroup_go(&accepting, accept_all, listener), "gort_waitgroup_go");

    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        struct clients clients = { malloc((size_t)settings[i].connections * sizeof(struct client)), 0 };
        must_have(clients.all, GORT_ENOMEM, "malloc");
        for (; clients.count < settings[i].connections; clients.count++) {
            gort_fd_t *server = gort_dial("tcp", address, GORT_FOREVER, &err);
            must_have(server, err, "gort_dial");
            clients.all[clients.count] = (struct client){ server, settings[i].trips };
        }
        bench_run(settings[i].name, round_of, &clients, (int64_t)clients.count * settings[i].trips, 1, "ns");
        for (int k = 0; k < clients.count; k++)
            gort_fd_release(clients.all[k].server);
        free(clients.all);
    }
    gort_fd_close(listener);
    gort_waitgroup_wait(&accepting);
    gort_fd_release(listener);
    return 0;
}

/* Two file descriptors for each connection. (Go raises the soft limit by itself.) */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= 2100)
        return;
    limit.rlim_cur = limit.rlim_max < 2100 ? limit.rlim_max : 2100;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
    allow_descriptors();
    return gort_main(run, NULL);
}
