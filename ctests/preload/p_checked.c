/* Calls that the compiler has made into their checked forms. */
/* ctest-cflags: -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 */
/* ctest-imports: __read_chk __recv_chk __recvfrom_chk __poll_chk __ppoll_chk */
#include "p.h"

/* A size that the compiler cannot know. */
static volatile size_t fits = 8, too_much = 9;

struct ends {
    int fds[2];
    int way;
};

static void receive(void *arg) {
    struct ends *e = arg;
    char bytes[8];
    struct pollfd set[2] = {{e->fds[0], POLLIN, 0}, {-1, 0, 0}};
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    switch (e->way) {
    case 0: KEEPS_ERRNO(read(e->fds[0], bytes, fits), 8); break;
    case 1: KEEPS_ERRNO(recv(e->fds[0], bytes, fits, 0), 8); break;
    case 2: KEEPS_ERRNO(recvfrom(e->fds[0], bytes, fits, 0, (struct sockaddr *)&address, &length), 8); break;
    case 3: KEEPS_ERRNO(poll(set, fits - 6, -1), 1); break;
    case 4: KEEPS_ERRNO(ppoll(set, fits - 6, NULL, NULL), 1); break;
    }
}

static void checked_calls_park(void) {
    struct ends all[CROWD];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < CROWD; i++) {
        p_pair(SOCK_STREAM, all[i].fds);
        all[i].way = i % 5;
    }
    p_crowd(&done, receive, all, sizeof all[0], CROWD);
    p_settle();
    for (int i = 0; i < CROWD; i++)
        KEEPS_ERRNO(write(all[i].fds[1], "12345678", 8), 8);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CROWD; i++)
        close(all[i].fds[0]), close(all[i].fds[1]);
}

static int (*overflow)(void);

static int overflow_as_main(void *arg) {
    (void)arg;
    return overflow();
}

#define OVERFLOW(name, call)                                                                                 \
    static int name##_call(void) {                                                                           \
        char bytes[8];                                                                                       \
        struct pollfd set[2] = {{0, 0, 0}, {0, 0, 0}};                                                       \
        struct sockaddr_storage address;                                                                     \
        socklen_t length = sizeof address;                                                                   \
        (void)bytes, (void)set, (void)address, (void)length;                                                 \
        return (int)(call);                                                                                  \
    }                                                                                                        \
    static void name(void) {                                                                                 \
        overflow = name##_call;                                                                              \
        exit(gort_main(overflow_as_main, NULL) ? 3 : 4);                                                     \
    }

OVERFLOW(too_much_read, read(0, bytes, too_much))
OVERFLOW(too_much_recv, recv(0, bytes, too_much, 0))
OVERFLOW(too_much_recvfrom, recvfrom(0, bytes, too_much, 0, (struct sockaddr *)&address, &length))
OVERFLOW(too_much_poll, poll(set, too_much, 0))
OVERFLOW(too_much_ppoll, ppoll(set, too_much, NULL, NULL))

#define CHILD_OVERFLOWS(part)                                                                                \
    do {                                                                                                     \
        const struct t_outcome *o = t_spawn_child(#part);                                                    \
        if (!WIFSIGNALED(o->status) || WTERMSIG(o->status) != SIGABRT)                                       \
            FAIL(#part ": the child ended with status %#x", o->status);                                      \
        t_check_says(#part, o, "buffer overflow detected");                                                  \
    } while (0)

static void overflows_are_detected(void) {
    CHILD_OVERFLOWS(too_much_read);
    CHILD_OVERFLOWS(too_much_recv);
    CHILD_OVERFLOWS(too_much_recvfrom);
    CHILD_OVERFLOWS(too_much_poll);
    CHILD_OVERFLOWS(too_much_ppoll);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(too_much_read);
    T_CHILD(too_much_recv);
    T_CHILD(too_much_recvfrom);
    T_CHILD(too_much_poll);
    T_CHILD(too_much_ppoll);
    p_begin();
    RUN_AS_MAIN(checked_calls_park);
    RUN(overflows_are_detected);
    return t_end();
}
