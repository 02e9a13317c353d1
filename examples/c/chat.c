/*
 * A chat server: what one says, all hear. A hub goroutine alone knows who is there, so nothing needs a lock: readers
 * send it what happens, and it puts messages into a channel for each client, from which that client's writer takes
 * them. The hub never waits for a client: one that has fallen 1024 messages behind is dropped. SIGINT and SIGTERM
 * say goodbye to all and end the program when all have left.
 *
 *     chat [ADDRESS]      default 127.0.0.1:7008; port 0: any that is free; /path or @name: a Unix socket
 *
 * `nc 127.0.0.1 7008` is a client. `/name Ada` changes your name, `/who` says who is there, `/quit` leaves.
 */
#include <gort.h>
#include <ctype.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LONGEST_LINE = 1000,
    LONGEST_NAME = 20,
    BEHIND = 1024,              /* messages that may wait for a client */
};

/* What a client has to take a message when its buffers are full. */
static const int64_t PATIENCE = 10 * GORT_SECOND;

/* One text for all who hear it; the last one frees it. */
struct message {
    atomic_int holders;
    size_t length;
    char text[];
};

struct client {
    gort_fd_t *fd;
    gort_chan_t *outgoing;      /* struct message *: to the writer; the hub closes it */
    gort_waitgroup_t users;     /* the hub and the writer: the reader, on whose stack it lies, waits for them */
    /* The hub's: */
    char name[LONGEST_NAME + 1];
    bool silent;                /* `outgoing` is closed */
    struct client *next;
};

enum event_kind { ARRIVED, SAID, LEFT };

struct event {
    enum event_kind kind;
    struct client *client;
    char *line;                 /* SAID: the hub frees it */
};

struct server {
    gort_fd_t *listener;
    gort_chan_t *events;        /* struct event: from readers to the hub */
    gort_chan_t *stopping;      /* no value; closed when no more clients will come */
    gort_waitgroup_t readers;
};

struct arrival {
    struct server *server;
    gort_fd_t *fd;
};

static void message_release(struct message *message)
{
    if (atomic_fetch_sub(&message->holders, 1) == 1)
        free(message);
}

static struct message *message_new(const char *format, ...)
{
    char text[LONGEST_LINE + 2 * LONGEST_NAME + 32];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct message *message = malloc(sizeof *message + (size_t)length);
    if (message == NULL)
        return NULL;
    atomic_init(&message->holders, 1);
    message->length = (size_t)length;
    memcpy(message->text, text, (size_t)length);
    return message;
}

/* ---- The hub ---- */

struct hub {
    struct client *first;
    unsigned long arrived;
    bool stopping;
};

static void silence(struct client *client)
{
    if (!client->silent)
        gort_chan_close(client->outgoing);
    client->silent = true;      /* ours still: its reader waits for us in any case */
}

static void tell(struct client *client, struct message *message)
{
    if (client->silent || message == NULL)
        return;
    atomic_fetch_add(&message->holders, 1);
    if (gort_chan_try_send(client->outgoing, &message) == GORT_OK)
        return;
    message_release(message);
    silence(client);
    gort_fd_close(client->fd);  /* its reader and writer wake, and it leaves */
}

/* Takes over the caller's hold of the message. */
static void tell_all(const struct hub *hub, struct message *message)
{
    for (struct client *client = hub->first; client != NULL; client = client->next)
        tell(client, message);
    if (message != NULL)
        message_release(message);
}

static void arrive(struct hub *hub, struct client *client)
{
    snprintf(client->name, sizeof client->name, "guest %lu", ++hub->arrived);
    client->next = hub->first;
    hub->first = client;
    if (hub->stopping)
        silence(client);
    tell_all(hub, message_new("* %s is here\n", client->name));
}

static void leave(struct hub *hub, struct client *client)
{
    struct client **link = &hub->first;
    char name[LONGEST_NAME + 1];
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    memcpy(name, client->name, sizeof name);
    silence(client);
    gort_waitgroup_done(&client->users);    /* from here on it may be gone */
    tell_all(hub, message_new("* %s has left\n", name));
}

static void rename_client(const struct hub *hub, struct client *client, const char *name)
{
    struct client *other = hub->first;
    while (other != NULL && strcmp(other->name, name) != 0)
        other = other->next;
    if (other != NULL || *name == '\0' || strlen(name) > LONGEST_NAME) {
        struct message *sorry = message_new("* that name is taken, empty or too long\n");
        tell(client, sorry);
        if (sorry != NULL)
            message_release(sorry);
        return;
    }
    tell_all(hub, message_new("* %s is now %s\n", client->name, name));
    strcpy(client->name, name);
}

static void hear(const struct hub *hub, struct client *client, const char *line)
{
    if (strncmp(line, "/name ", 6) == 0) {
        rename_client(hub, client, line + 6);
    } else if (strcmp(line, "/who") == 0) {
        for (struct client *other = hub->first; other != NULL; other = other->next) {
            struct message *message = message_new("* %s\n", other->name);
            tell(client, message);
            if (message != NULL)
                message_release(message);
        }
    } else if (strcmp(line, "/quit") == 0) {
        silence(client);        /* the writer hangs up after the last message */
    } else {
        tell_all(hub, message_new("%s: %s\n", client->name, line));
    }
}

static void goodbye(struct hub *hub)
{
    hub->stopping = true;
    tell_all(hub, message_new("* the server stops\n"));
    for (struct client *client = hub->first; client != NULL; client = client->next)
        silence(client);
}

static void run_hub(void *arg)
{
    const struct server *server = arg;
    struct hub hub = {0};
    struct event event;
    gort_case_t cases[] = {
        { .chan = server->events, .elem = &event, .op = GORT_RECV },
        { .chan = server->stopping, .elem = NULL, .op = GORT_RECV },
    };
    for (;;) {
        if (gort_select(cases, 2) == 1) {
            cases[1].chan = NULL;       /* closed, it would be ready for ever */
            goodbye(&hub);
            continue;
        }
        if (cases[0].status == GORT_ECLOSED)
            return;
        switch (event.kind) {
        case ARRIVED:
            arrive(&hub, event.client);
            break;
        case SAID:
            hear(&hub, event.client, event.line);
            free(event.line);
            break;
        case LEFT:
            leave(&hub, event.client);
            break;
        }
    }
}

/* ---- A client's reader and writer ---- */

static void write_messages(void *arg)
{
    struct client *client = arg;
    struct message *message;
    bool broken = false;
    while (gort_chan_recv(client->outgoing, &message) == GORT_OK) {
        gort_fd_set_write_deadline(client->fd, gort_now() + PATIENCE);
        if (!broken && gort_fd_write(client->fd, message->text, message->length) != (int64_t)message->length) {
            broken = true;
            gort_fd_close(client->fd);  /* wakes the reader; what still comes is thrown away */
        }
        message_release(message);
    }
    gort_fd_shutdown(client->fd, SHUT_RDWR);    /* the reader sees the end */
}

/* Nobody's terminal is to do what somebody else typed. */
static void clean(char *line)
{
    for (; *line != '\0'; line++) {
        if (iscntrl((unsigned char)*line))
            *line = '?';
    }
}

/* Sends the hub each whole line of the `have` bytes; returns how many bytes remain, of a line that has no end yet. */
static size_t send_lines(struct server *server, struct client *client, char *bytes, size_t have)
{
    char *line = bytes, *end;
    while ((end = memchr(line, '\n', have - (size_t)(line - bytes))) != NULL) {
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        clean(line);
        struct event event = { SAID, client, *line == '\0' ? NULL : strdup(line) };
        if (event.line != NULL)
            gort_chan_send(server->events, &event);
        line = end + 1;
    }
    size_t left = have - (size_t)(line - bytes);
    memmove(bytes, line, left);
    return left;
}

static void serve(void *arg)
{
    const struct arrival *arrival = arg;
    struct server *server = arrival->server;
    struct client client = { .fd = arrival->fd, .outgoing = gort_chan_new(sizeof(struct message *), BEHIND) };
    if (client.outgoing != NULL && gort_waitgroup_go(&client.users, write_messages, &client) == GORT_OK) {
        char bytes[LONGEST_LINE + 1];
        size_t have = 0;
        int64_t n;
        struct event event = { ARRIVED, &client, NULL };
        gort_waitgroup_add(&client.users, 1);
        gort_chan_send(server->events, &event);
        while (have < LONGEST_LINE && (n = gort_fd_read(client.fd, bytes + have, LONGEST_LINE - have)) > 0)
            have = send_lines(server, &client, bytes, have + (size_t)n);
        event.kind = LEFT;
        gort_chan_send(server->events, &event);
        gort_waitgroup_wait(&client.users);
    }
    gort_chan_release(client.outgoing);
    gort_fd_release(client.fd);
    gort_waitgroup_done(&server->readers);
}

static void accept_all(void *arg)
{
    struct server *server = arg;
    for (;;) {
        int err = GORT_OK;
        struct arrival arrival = { server, gort_accept(server->listener, &err) };
        if (arrival.fd != NULL) {
            gort_waitgroup_add(&server->readers, 1);
            err = gort_spawn_copy(serve, &arrival, sizeof arrival);
            if (err != GORT_OK) {
                gort_fd_release(arrival.fd);
                gort_waitgroup_done(&server->readers);
            }
        }
        if (err == GORT_ECLOSED)
            return;
        if (err != GORT_OK) {
            fprintf(stderr, "chat: %s\n", gort_strerror(err));
            gort_sleep(10 * GORT_MILLISECOND);  /* out of descriptors, say: until some client leaves */
        }
    }
}

static int run(void *arg)
{
    const char *address = arg;
    char bound[128];
    int err = GORT_OK, signo;
    struct server server = {
        .listener = gort_listen(address[0] == '/' || address[0] == '@' ? "unix" : "tcp", address, &err),
        .events = gort_chan_new(sizeof(struct event), 64),
        .stopping = gort_chan_new(0, 0),
    };
    if (server.listener != NULL)
        err = gort_fd_local_addr(server.listener, bound, sizeof bound);
    if (server.listener == NULL || err < 0) {
        fprintf(stderr, "chat: %s: %s\n", address, gort_strerror(err));
        return 1;
    }
    gort_chan_t *signals = gort_chan_new(sizeof(int), 1);
    gort_signal_notify(signals, SIGINT);
    gort_signal_notify(signals, SIGTERM);
    gort_waitgroup_t accepting = {0}, hub = {0};
    gort_waitgroup_go(&hub, run_hub, &server);
    gort_waitgroup_go(&accepting, accept_all, &server);
    printf("listening on %s\n", bound);
    fflush(stdout);

    gort_chan_recv(signals, &signo);
    gort_signal_stop(signals);          /* a second signal ends the program at once */
    gort_chan_release(signals);
    gort_fd_close(server.listener);
    gort_waitgroup_wait(&accepting);
    gort_fd_release(server.listener);
    gort_chan_close(server.stopping);
    gort_waitgroup_wait(&server.readers);
    gort_chan_close(server.events);
    gort_waitgroup_wait(&hub);
    gort_chan_release(server.events);
    gort_chan_release(server.stopping);
    printf("stopped by signal %d\n", signo);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "usage: chat [ADDRESS]\n");
        return 2;
    }
    return gort_main(run, argc == 2 ? argv[1] : "127.0.0.1:7008");
}
