/*
 * An echo server: a goroutine for each connection sends back what it reads, in plain code that looks as if it
 * blocked. A client that goes away, in whatever manner, ends its goroutine and nobody else's. SIGINT and SIGTERM
 * arrive as values in a channel: the listener is closed, which wakes the goroutine that accepts, and the program
 * ends.
 *
 *     echo [ADDRESS]      default 127.0.0.1:7007; port 0: any that is free; /path or @name: a Unix socket
 *
 * Try it with `nc 127.0.0.1 7007`.
 */
#include <gort.h>
#include <signal.h>
#include <stdio.h>

static void serve(void *arg)
{
    gort_fd_t *client = arg;
    char bytes[4096];
    int64_t n;
    while ((n = gort_fd_read(client, bytes, sizeof bytes)) > 0) {
        if (gort_fd_write(client, bytes, (size_t)n) != n)
            break;
    }
    gort_fd_release(client);    /* the only reference: this closes it */
}

static void accept_all(void *arg)
{
    gort_fd_t *listener = arg;
    for (;;) {
        int err = GORT_OK;
        gort_fd_t *client = gort_accept(listener, &err);
        if (client != NULL) {
            err = gort_spawn(serve, client);
            if (err != GORT_OK)
                gort_fd_release(client);
        }
        if (err == GORT_ECLOSED)
            return;
        if (err != GORT_OK) {
            fprintf(stderr, "echo: %s\n", gort_strerror(err));
            gort_sleep(10 * GORT_MILLISECOND);  /* out of descriptors, say: until some client leaves */
        }
    }
}

static int run(void *arg)
{
    const char *address = arg;
    char bound[128];
    int err = GORT_OK, signo;
    gort_chan_t *signals = gort_chan_new(sizeof(int), 1);
    gort_fd_t *listener = gort_listen(address[0] == '/' || address[0] == '@' ? "unix" : "tcp", address, &err);
    if (listener != NULL)
        err = gort_fd_local_addr(listener, bound, sizeof bound);
    if (listener == NULL || err < 0) {
        fprintf(stderr, "echo: %s: %s\n", address, gort_strerror(err));
        return 1;
    }
    gort_signal_notify(signals, SIGINT);
    gort_signal_notify(signals, SIGTERM);
    gort_waitgroup_t accepting = {0};
    gort_waitgroup_go(&accepting, accept_all, listener);
    printf("listening on %s\n", bound);
    fflush(stdout);

    gort_chan_recv(signals, &signo);
    gort_fd_close(listener);
    gort_waitgroup_wait(&accepting);
    gort_fd_release(listener);
    gort_signal_stop(signals);
    gort_chan_release(signals);
    printf("stopped by signal %d\n", signo);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "usage: echo [ADDRESS]\n");
        return 2;
    }
    return gort_main(run, argc == 2 ? argv[1] : "127.0.0.1:7007");
}
