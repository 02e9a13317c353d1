/* errno, and whatever else belongs to a thread, stays with a goroutine over a call that parks. */
#include "p.h"

static __thread long on_thread;

struct pair {
    int ends[2];
    int silent[2]; /* nobody ever writes */
    int number;
};

/* Compiled as libraries are: the place of errno is asked for once in this function. */
static __attribute__((noinline)) void calls(struct pair *p) {
    char byte = 0;
    struct pollfd set = {p->ends[0], POLLIN, 0};
    struct timespec little = {0, 1000};
    for (int i = 0; i < 50; i++) {
        long thread = t_tid();
        on_thread = thread * 1000 + p->number;
        errno = p->number;
        if (read(p->ends[0], &byte, 1) != 1 || errno != p->number)
            FAIL("read: errno is %d, not %d", errno, p->number);
        if (nanosleep(&little, NULL) || poll(&set, 1, 1) < 0 || errno != p->number)
            FAIL("nanosleep, poll: errno is %d, not %d", errno, p->number);
        if (read(-1, &byte, 1) != -1 || errno != EBADF)
            FAIL("read(-1): errno is %d", errno);
        if (recv(p->silent[0], &byte, 1, 0) != -1 || errno != EAGAIN)
            FAIL("recv with a time-out: errno is %d", errno);
        CHECK_EQ(t_tid(), thread);
        CHECK_EQ(on_thread / 1000, thread);
        errno = 0;
    }
}

static void caller(void *arg) {
    struct pair *p = arg;
    p_time_out(p->silent[0], SO_RCVTIMEO, T_MS);
    calls(p);
}

static void errno_is_kept(void) {
    static struct pair all[CROWD];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < CROWD; i++) {
        p_pair(SOCK_STREAM, all[i].ends);
        p_pair(SOCK_STREAM, all[i].silent);
        all[i].number = 100 + i;
    }
    p_crowd(&done, caller, all, sizeof all[0], CROWD);
    for (int round = 0; round < 50; round++) {
        gort_sleep(T_MS);
        for (int i = 0; i < CROWD; i++)
            CHECK_EQ(send(all[i].ends[1], "x", 1, 0), 1);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < CROWD; i++)
        close(all[i].ends[0]), close(all[i].ends[1]), close(all[i].silent[0]), close(all[i].silent[1]);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    p_begin();
    RUN_AS_MAIN(errno_is_kept);
    return t_end();
}
