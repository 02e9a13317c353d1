/* hiredis, unmodified, from many goroutines, against a Redis server. */
/* ctest-needs: packages */
/* ctest-cflags: -Wl,--no-as-needed -lhiredis */
#include "p.h"

#include <hiredis/hiredis.h>
#include <sys/prctl.h>

enum { CLIENTS = 200 };

static int port;

static void start_server(void) {
    struct sockaddr_in address;
    char number[16];
    /* A number that is free now. */
    close(p_listen(1, &address));
    port = ntohs(address.sin_port);
    snprintf(number, sizeof number, "%d", port);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        unsetenv("LD_PRELOAD");
        int log = open("redis.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(log, 1);
        execlp("redis-server", "redis-server", "--port", number, "--bind", "127.0.0.1", "--save", "", "--appendonly",
               "no", "--protected-mode", "no", NULL);
        _exit(127);
    }
    /* Until it answers. */
    int64_t give_up = gort_now() + T_PATIENCE;
    for (;;) {
        redisContext *c = redisConnect("127.0.0.1", port);
        bool connected = c && !c->err;
        redisReply *reply = connected ? redisCommand(c, "PING") : NULL;
        bool answered = reply && reply->type == REDIS_REPLY_STATUS;
        if (reply)
            freeReplyObject(reply);
        if (c)
            redisFree(c);
        if (answered)
            return;
        if (gort_now() > give_up || waitpid(pid, NULL, WNOHANG) == pid)
            FAIL("redis-server (Debian's package of that name) does not answer");
        usleep(10000);
    }
}

struct client {
    int number;
    bool popped;
};

static redisContext *open_client(void) {
    struct timeval patience = {60, 0};
    redisContext *c = redisConnectWithTimeout("127.0.0.1", port, patience);
    if (!c || c->err)
        FAIL("connect: %s", c ? c->errstr : "no memory");
    return c;
}

static void pop_and_count(void *arg) {
    struct client *client = arg;
    redisContext *c = open_client();
    /* The server does not answer before somebody has pushed. */
    redisReply *reply = redisCommand(c, "BLPOP queue%d 0", client->number);
    if (!reply)
        FAIL("BLPOP: %s", c->errstr);
    CHECK(reply->type == REDIS_REPLY_ARRAY && reply->elements == 2);
    CHECK_EQ(atoi(reply->element[1]->str), client->number);
    freeReplyObject(reply);
    client->popped = true;
    for (int i = 0; i < 20; i++) {
        reply = redisCommand(c, "INCR counter");
        CHECK(reply && reply->type == REDIS_REPLY_INTEGER);
        freeReplyObject(reply);
    }
    /* More than a socket takes at once. */
    static char large[3000000];
    reply = redisCommand(c, "SET large%d %b", client->number % 4, large, sizeof large);
    CHECK(reply && reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    reply = redisCommand(c, "STRLEN large%d", client->number % 4);
    CHECK(reply && reply->integer == (long long)sizeof large);
    freeReplyObject(reply);
    redisFree(c);
}

static void clients_wait_at_the_same_time(void) {
    static struct client clients[CLIENTS];
    gort_waitgroup_t done = {0};
    redisContext *c = open_client();
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = (struct client){.number = i};
    p_crowd(&done, pop_and_count, clients, sizeof clients[0], CLIENTS);
    for (;;) {
        /* Until all of them wait. */
        redisReply *info = redisCommand(c, "INFO clients");
        CHECK(info && info->type == REDIS_REPLY_STRING);
        char *blocked = strstr(info->str, "blocked_clients:");
        CHECK(blocked != NULL);
        int n = atoi(blocked + strlen("blocked_clients:"));
        freeReplyObject(info);
        if (n == CLIENTS)
            break;
        gort_sleep(T_MS);
    }
    for (int i = CLIENTS; i-- > 0;) {
        CHECK(!clients[i].popped);
        redisReply *reply = redisCommand(c, "RPUSH queue%d %d", i, i);
        CHECK(reply && reply->type == REDIS_REPLY_INTEGER);
        freeReplyObject(reply);
    }
    gort_waitgroup_wait(&done);
    redisReply *reply = redisCommand(c, "GET counter");
    CHECK(reply && reply->type == REDIS_REPLY_STRING);
    CHECK_EQ(atoi(reply->str), CLIENTS * 20);
    freeReplyObject(reply);
    redisFree(c);
}

static void time_outs_of_hiredis_hold(void) {
    redisContext *c = open_client();
    struct timeval little = {0, 20000};
    CHECK_EQ(redisSetTimeout(c, little), REDIS_OK); /* SO_RCVTIMEO */
    int64_t before = gort_now();
    CHECK(redisCommand(c, "BLPOP nothing 0") == NULL);
    CHECK(gort_now() - before >= 20 * T_MS);
    CHECK_EQ(c->err, REDIS_ERR_IO);
    redisFree(c);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    p_begin();
    start_server();
    RUN_AS_MAIN(clients_wait_at_the_same_time);
    RUN_AS_MAIN(time_outs_of_hiredis_hold);
    return t_end();
}
