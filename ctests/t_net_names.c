/* Names: they are looked up on threads of their own, so nobody else waits for a name server.
 *
 * getaddrinfo is this program's: names that end in ".test" it answers itself, the others it passes on. */
#include "t_net.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/prctl.h>

/* ---- our own getaddrinfo ---- */

enum { MOST = 8 };

static atomic_int calls, inside, most_inside, slow_inside;
static atomic_bool slow_may_go;

struct our_list {
    struct addrinfo info; /* first: the list is known by its address */
    struct sockaddr_in addr;
};

static void add(struct addrinfo **list, const char *ip, const char *service) {
    struct our_list *entry = calloc(1, sizeof *entry);
    CHECK(entry != NULL);
    entry->addr.sin_family = AF_INET;
    entry->addr.sin_port = service && strcmp(service, "port-of-test") == 0 ? htons(4711) : 0;
    CHECK_EQ(inet_pton(AF_INET, ip, &entry->addr.sin_addr), 1);
    entry->info = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_addrlen = sizeof entry->addr,
                                    .ai_addr = (struct sockaddr *)&entry->addr,
                                    .ai_canonname = (char *)"ours"};
    while (*list)
        list = &(*list)->ai_next;
    *list = &entry->info;
}

static bool ends(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static int ours(const char *host, const char *service, struct addrinfo **list) {
    if (ends(host, "slow.test")) {
        atomic_fetch_add(&slow_inside, 1);
        while (!atomic_load(&slow_may_go))
            usleep(200);
        atomic_fetch_sub(&slow_inside, 1);
        add(list, "127.0.0.1", service);
    } else if (ends(host, "moment.test")) {
        usleep(100000);
        add(list, "127.0.0.1", service);
    } else if (ends(host, "three.test")) {
        add(list, "127.0.0.2", service);
        add(list, "127.0.0.3", service);
        add(list, "127.0.0.1", service);
    } else if (ends(host, "again.test")) {
        return EAI_AGAIN;
    } else if (ends(host, "memory.test")) {
        return EAI_MEMORY;
    } else if (ends(host, "system.test")) {
        errno = EMFILE;
        return EAI_SYSTEM;
    } else {
        add(list, "127.0.0.1", service);
    }
    return 0;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list) {
    static int (*theirs)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (!theirs)
        *(void **)&theirs = dlsym(RTLD_NEXT, "getaddrinfo");
    atomic_fetch_add(&calls, 1);
    int now = atomic_fetch_add(&inside, 1) + 1;
    for (int most = atomic_load(&most_inside); now > most;)
        if (atomic_compare_exchange_weak(&most_inside, &most, now))
            break;
    CHECK(!gort_in_goroutine());
    char name[32];
    CHECK_EQ(prctl(PR_GET_NAME, name), 0);
    CHECK(strcmp(name, "gort-names") == 0);
    *list = NULL;
    bool is_ours = host ? ends(host, ".test") : strcmp(service, "port-of-test") == 0;
    int result = is_ours ? ours(host ? host : "", service, list) : theirs(host, service, hints, list);
    atomic_fetch_sub(&inside, 1);
    return result;
}

void freeaddrinfo(struct addrinfo *list) {
    static void (*theirs)(struct addrinfo *);
    if (list && list->ai_canonname && strcmp(list->ai_canonname, "ours") == 0) {
        while (list) {
            struct addrinfo *next = list->ai_next;
            free(list);
            list = next;
        }
        return;
    }
    if (!theirs)
        *(void **)&theirs = dlsym(RTLD_NEXT, "freeaddrinfo");
    theirs(list);
}

/* ---- */

static int dial_fails(const char *network, const char *address, int64_t deadline) {
    int err = 1;
    CHECK(gort_dial(network, address, deadline, &err) == NULL);
    return err;
}

/* The port of `address` at another host. */
static void at_host(char *result, const char *host, const char *address) {
    snprintf(result, GORT_ADDR_SIZE, "%s%s", host, strrchr(address, ':'));
}

static void a_name_is_dialled_and_listened_at(void) {
    char here[GORT_ADDR_SIZE] = "localhost:0", there[GORT_ADDR_SIZE], peer[GORT_ADDR_SIZE];
    gort_fd_t *listener = t_listen("tcp4", here);
    CHECK_EQ(strncmp(here, "127.0.0.1:", 10), 0);
    static const char *const names[] = {"localhost", "any.test"};
    for (size_t i = 0; i < T_LEN(names); i++) {
        at_host(there, names[i], here);
        gort_fd_t *fd = t_dial("tcp4", there);
        CHECK_EQ(gort_fd_peer_addr(fd, peer, sizeof peer), GORT_OK);
        CHECK(strcmp(peer, here) == 0);
        t_close(t_accept(listener));
        t_close(fd);
    }
    t_close(listener);
    strcpy(here, ":port-of-test");
    int err = 1;
    listener = gort_listen("tcp4", here, &err);
    if (listener) {
        CHECK_EQ(gort_fd_local_addr(listener, here, sizeof here), GORT_OK);
        CHECK(strcmp(here, "0.0.0.0:4711") == 0);
        t_close(listener);
    } else {
        CHECK_EQ(err, GORT_EADDRINUSE);
    }
}

static void literals_are_not_looked_up(void) {
    int before = atomic_load(&calls);
    char address[GORT_ADDR_SIZE] = "127.0.0.1:0";
    gort_fd_t *listener = t_listen("tcp", address);
    t_close(t_dial("tcp", address));
    t_close(t_dial("tcp", strrchr(address, ':')));
    t_close(listener);
    CHECK_EQ(atomic_load(&calls), before);
}

static void what_does_not_resolve_is_no_name(void) {
    CHECK_EQ(dial_fails("tcp", "no.such.host.invalid:80", GORT_FOREVER), GORT_ENONAME);
    CHECK_EQ(dial_fails("udp", "no.such.host.invalid:80", gort_now() + T_PATIENCE), GORT_ENONAME);
    CHECK_EQ(dial_fails("tcp", "again.test:80", GORT_FOREVER), GORT_ENONAME);
    CHECK_EQ(dial_fails("tcp", "127.0.0.1:no-such-service", GORT_FOREVER), GORT_ENONAME);
    CHECK_EQ(dial_fails("tcp", "memory.test:80", GORT_FOREVER), GORT_ENOMEM);
    CHECK_EQ(dial_fails("tcp", "system.test:80", GORT_FOREVER), GORT_EMFILE);
    int err = 1;
    CHECK(gort_listen("tcp", "no.such.host.invalid:80", &err) == NULL);
    CHECK_EQ(err, GORT_ENONAME);
}

struct asker {
    char address[GORT_ADDR_SIZE];
    int64_t deadline;
    int err;
};

static void ask(void *arg) {
    struct asker *a = arg;
    gort_fd_t *fd = gort_dial("tcp", a->address, a->deadline, &a->err);
    CHECK((fd != NULL) == (a->err == GORT_OK));
    if (fd)
        t_close(fd);
}

/* More than there are threads for; meanwhile others run, on one worker too; nobody is forgotten. */
static void slow_names_hold_up_nobody_else(void) {
    enum { ASKERS = 30 };
    static struct asker askers[ASKERS];
    char here[GORT_ADDR_SIZE];
    gort_waitgroup_t done = {0};
    gort_fd_t *listener = t_listen_here(here);
    atomic_store(&slow_may_go, false);
    for (int i = 0; i < ASKERS; i++) {
        at_host(askers[i].address, "slow.test", here);
        askers[i].deadline = i % 2 ? GORT_FOREVER : gort_now() + 2 * T_PATIENCE;
        askers[i].err = 1;
        if (i % 5 == 0)
            t_go_thread(&done, ask, &askers[i]);
        else
            t_go(&done, ask, &askers[i]);
    }
    EVENTUALLY(atomic_load(&slow_inside) == MOST);
    /* A literal does not queue behind them, and nothing that only computes does. */
    t_close(t_dial("tcp", here));
    t_close(t_accept(listener));
    for (int i = 0; i < 1000; i++)
        gort_yield();
    CHECK_EQ(atomic_load(&slow_inside), MOST);
    CHECK(atomic_load(&most_inside) <= MOST);
    atomic_store(&slow_may_go, true);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < ASKERS; i++)
        CHECK_EQ(askers[i].err, GORT_OK);
    t_close(listener);
}

static void a_deadline_ends_the_wait_for_a_name(void) {
    static const int64_t waits[] = {1, 1000, 100000, T_MS, 30 * T_MS};
    atomic_store(&slow_may_go, false);
    for (size_t i = 0; i < T_LEN(waits); i++) {
        int64_t deadline = gort_now() + waits[i];
        CHECK_EQ(dial_fails("tcp", "a.slow.test:80", deadline), GORT_ETIMEDOUT);
        CHECK(gort_now() >= deadline);
    }
    int before = atomic_load(&calls);
    CHECK_EQ(dial_fails("tcp", "any.test:80", 0), GORT_ETIMEDOUT);
    CHECK_EQ(atomic_load(&calls), before);
    /* The threads are busy with what nobody waits for any more; they come to the next ones all the same. */
    atomic_store(&slow_may_go, true);
    char here[GORT_ADDR_SIZE], there[GORT_ADDR_SIZE];
    gort_fd_t *listener = t_listen_here(here);
    at_host(there, "any.test", here);
    t_close(t_dial("tcp", there));
    t_close(listener);
}

/* Deadlines that pass just as the answer comes. */
static void answers_race_deadlines(void) {
    enum { ASKERS = 16 };
    static struct asker askers[ASKERS];
    uint64_t random = t_seed(2);
    char here[GORT_ADDR_SIZE];
    int64_t until;
    gort_fd_t *listener = t_listen_here(here);
    for (long i = 0; t_again(i, t_n(100, 20), &until); i++) {
        gort_waitgroup_t done = {0};
        for (int k = 0; k < ASKERS; k++) {
            at_host(askers[k].address, "any.test", here);
            askers[k].deadline = gort_now() + (int64_t)(t_random(&random) % 300000);
            t_go(&done, ask, &askers[k]);
        }
        gort_waitgroup_wait(&done);
        for (int k = 0; k < ASKERS; k++)
            CHECK(askers[k].err == GORT_OK || askers[k].err == GORT_ETIMEDOUT);
        /* Those that came through, so that the queue does not fill up. */
        gort_fd_t *fd;
        CHECK_EQ(gort_fd_set_read_deadline(listener, gort_now() + T_MS), GORT_OK);
        while ((fd = gort_accept(listener, NULL)) != NULL)
            t_close(fd);
    }
    t_close(listener);
}

static void addresses_are_tried_in_turn(void) {
    char here[GORT_ADDR_SIZE], there[GORT_ADDR_SIZE], peer[GORT_ADDR_SIZE];
    gort_fd_t *listener = t_listen_here(here);
    at_host(there, "three.test", here);
    /* Two refuse. */
    gort_fd_t *fd = t_dial("tcp", there);
    CHECK_EQ(gort_fd_peer_addr(fd, peer, sizeof peer), GORT_OK);
    CHECK(strcmp(peer, here) == 0);
    t_close(fd);
    t_close(t_accept(listener));
    t_close(listener);
    CHECK_EQ(dial_fails("tcp", there, gort_now() + T_PATIENCE), GORT_ECONNREFUSED);
}

/* The first does not answer: it gets two seconds, not all there is. */
static void the_first_address_does_not_use_up_the_time_of_the_rest(void) {
    if (t_stress())
        return;
    char here[GORT_ADDR_SIZE], there[GORT_ADDR_SIZE];
    struct t_deaf deaf;
    gort_fd_t *listener = t_listen_here(here);
    t_deaf_open(&deaf, "127.0.0.2", atoi(strrchr(here, ':') + 1));
    at_host(there, "three.test", here);
    int64_t start = gort_now();
    gort_fd_t *fd = gort_dial("tcp", there, start + 6000 * T_MS, NULL);
    CHECK(fd != NULL);
    t_close(fd);
    CHECK(gort_now() - start >= 2000 * T_MS);
    t_close(t_accept(listener));
    t_close(listener);
    t_deaf_close(&deaf);
}

/* ---- children ---- */

static int dial_a_moment(void *arg) {
    (void)arg;
    char here[GORT_ADDR_SIZE], there[GORT_ADDR_SIZE];
    gort_fd_t *listener = t_listen_here(here);
    at_host(there, "moment.test", here);
    gort_fd_t *fd = gort_dial("tcp", there, GORT_FOREVER, NULL);
    CHECK(fd != NULL);
    t_close(fd);
    t_close(listener);
    return 0;
}

static void main_waits_for_a_name(void) { CHECK_EQ(gort_main(dial_a_moment, NULL), 0); }

static int dial_then_hang(void *arg) {
    dial_a_moment(arg);
    gort_chan_t *never = gort_chan_new(0, 0);
    gort_chan_recv(never, NULL);
    return 0;
}

static void main_waits_for_a_name_then_for_nothing(void) { gort_main(dial_then_hang, NULL); }

static void a_look_up_is_no_deadlock_and_hides_none(void) {
    CHILD_EXITS(main_waits_for_a_name, 0);
    CHILD_DIES(main_waits_for_a_name_then_for_nothing, "all goroutines are asleep - deadlock!");
}

static void fork_and_ask(void) {
    dial_a_moment(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dial_a_moment(NULL);
        _exit(7);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void a_forked_child_looks_names_up_too(void) { CHILD_EXITS(fork_and_ask, 0); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(main_waits_for_a_name);
    T_CHILD(main_waits_for_a_name_then_for_nothing);
    T_CHILD(fork_and_ask);
    RUN_BOTH(a_name_is_dialled_and_listened_at);
    RUN_BOTH(literals_are_not_looked_up);
    RUN_BOTH(what_does_not_resolve_is_no_name);
    RUN_BOTH(slow_names_hold_up_nobody_else);
    RUN_BOTH(a_deadline_ends_the_wait_for_a_name);
    RUN_AS_MAIN(answers_race_deadlines);
    RUN_BOTH(addresses_are_tried_in_turn);
    RUN(the_first_address_does_not_use_up_the_time_of_the_rest);
    RUN(a_look_up_is_no_deadlock_and_hides_none);
    RUN(a_forked_child_looks_names_up_too);
    return t_end();
}
