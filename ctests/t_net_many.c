/* Many connections: 2,000 that are all busy; 10,000 that are idle, and one that is not. */
#include "t_net.h"

enum { MESSAGE = 64 };

struct server {
    gort_fd_t *listener;
    atomic_long served;
};

struct served {
    struct server *server;
    gort_fd_t *fd;
};

static void echo(void *arg) {
    struct served *served = arg;
    char buf[MESSAGE];
    bool spoke = false;
    for (size_t n; (n = t_read_all(served->fd, buf, MESSAGE)) != 0; spoke = true) {
        CHECK_EQ(n, MESSAGE);
        t_write_all(served->fd, buf, MESSAGE);
    }
    t_close(served->fd);
    /* Somebody else's program that only knocks is none of ours. */
    if (spoke)
        atomic_fetch_add(&served->server->served, 1);
}

static void serve(void *arg) {
    struct server *server = arg;
    for (;;) {
        int err = 1;
        gort_fd_t *fd = gort_accept(server->listener, &err);
        if (!fd) {
            CHECK_EQ(err, GORT_ECLOSED);
            return;
        }
        struct served served = {server, fd};
        CHECK_EQ(gort_spawn_copy(echo, &served, sizeof served), GORT_OK);
    }
}

/* ---- all busy ---- */

struct client {
    const char *network, *address;
    int number, trips;
};

static void talk(void *arg) {
    struct client *c = arg;
    char out[MESSAGE], in[MESSAGE];
    gort_fd_t *fd = t_dial(c->network, c->address);
    for (int i = 0; i < c->trips; i++) {
        memset(out, 0, sizeof out);
        snprintf(out, sizeof out, "%d says %d", c->number, i);
        t_write_all(fd, out, sizeof out);
        CHECK_EQ(t_read_all(fd, in, sizeof in), sizeof in);
        CHECK_EQ(memcmp(in, out, sizeof in), 0);
    }
    CHECK_EQ(gort_fd_shutdown(fd, SHUT_WR), GORT_OK);
    CHECK_EQ(t_read_all(fd, in, 1), 0);
    t_close(fd);
}

static void of_what_thousands_say_nothing_is_lost(void) {
    int clients = (int)t_n(2000, 200);
    if (!t_allow_fds((rlim_t)clients * 2 + 200))
        return;
    static const char *const networks[][2] = {{"tcp", "127.0.0.1:0"}, {"unix", ""}};
    struct client *client = calloc((size_t)clients, sizeof *client);
    CHECK(client != NULL);
    for (size_t k = 0; k < T_LEN(networks); k++) {
        char address[GORT_ADDR_SIZE];
        struct server server = {0};
        gort_waitgroup_t accepting = {0}, talking = {0};
        strcpy(address, networks[k][1]);
        server.listener = t_listen(networks[k][0], address);
        t_go(&accepting, serve, &server);
        t_go(&accepting, serve, &server);
        for (int i = 0; i < clients; i++) {
            client[i] = (struct client){networks[k][0], address, i, k == 0 ? 20 : 3};
            t_go(&talking, talk, &client[i]);
        }
        gort_waitgroup_wait(&talking);
        EVENTUALLY(atomic_load(&server.served) == clients);
        CHECK_EQ(gort_fd_close(server.listener), GORT_OK);
        gort_waitgroup_wait(&accepting);
        gort_fd_release(server.listener);
    }
    free(client);
}

/* ---- all idle but one ---- */

/* A process of its own: one has no descriptors for both ends of so many. It says "r" on stdout when they stand, and
 * ends when its stdin does. */
static void idle_clients(void) {
    int n = atoi(getenv("T_CLIENTS"));
    CHECK(t_allow_fds((rlim_t)n + 50));
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(getenv("T_PORT"))),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(fd >= 0);
        CHECK_EQ(connect(fd, (struct sockaddr *)&there, sizeof there), 0);
        /* They leave nothing behind in the system when they are closed. */
        struct linger no_linger = {1, 0};
        if (i % 2)
            CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_linger, sizeof no_linger), 0);
    }
    char byte = 'r';
    CHECK_EQ(write(1, &byte, 1), 1);
    CHECK_EQ(read(0, &byte, 1), 0);
}

static void wait_for_the_end(void *arg) {
    struct served *served = arg;
    char byte;
    int64_t got = gort_fd_read(served->fd, &byte, 1);
    CHECK(got == 0 || got == GORT_ECONNRESET);
    t_close(served->fd);
    atomic_fetch_add(&served->server->served, 1);
}

static void one_speaks_among_thousands_that_are_silent(void) {
    int idle = (int)t_n(10000, 1000), to[2], from[2];
    char address[GORT_ADDR_SIZE], number[16], byte = 0;
    if (!t_allow_fds((rlim_t)idle + 200))
        return;
    struct server server = {0};
    server.listener = t_listen_here(address);
    snprintf(number, sizeof number, "%d", idle);
    setenv("T_CLIENTS", number, 1);
    setenv("T_PORT", strrchr(address, ':') + 1, 1);
    CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char *args[] = {(char *)t_state.program, (char *)"--child", (char *)"idle_clients", NULL};
        dup2(to[0], 0);
        dup2(from[1], 1);
        execv("/proc/self/exe", args);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    for (int i = 0; i < idle; i++) {
        struct served served = {&server, t_accept(server.listener)};
        CHECK_EQ(gort_spawn_copy(wait_for_the_end, &served, sizeof served), GORT_OK);
    }
    CHECK_EQ(read(from[0], &byte, 1), 1);
    CHECK_EQ(byte, 'r');

    gort_waitgroup_t done = {0};
    struct client client = {"tcp", address, 0, (int)t_n(2000, 200)};
    t_go(&done, talk, &client);
    struct served served = {&server, t_accept(server.listener)};
    echo(&served);
    gort_waitgroup_wait(&done);
    CHECK_EQ(atomic_load(&server.served), 1);

    /* All at once. */
    close(to[1]);
    EVENTUALLY(atomic_load(&server.served) == idle + 1);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(from[0]);
    t_close(server.listener);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(idle_clients);
    RUN_AS_MAIN(of_what_thousands_say_nothing_is_lost);
    RUN(one_speaks_among_thousands_that_are_silent);
    return t_end();
}
