/* errno belongs to the goroutine: what it was before a park it is after it, on whatever thread. On a
 * plain thread that waits it stays as well. */
#include "t.h"

/* glibc declares the function that finds errno `const`, so a compiler may keep its address over a park. These
 * two find it afresh each time. */
static __attribute__((noinline)) int read_errno(void) {
    __asm__ volatile("" ::: "memory");
    return errno;
}

static __attribute__((noinline)) void write_errno(int value) {
    __asm__ volatile("" ::: "memory");
    errno = value;
}

struct own {
    gort_chan_t *ch, *other;
    gort_mutex_t *mutex;
    int number;
};

static void park_and_compare(void *arg) {
    struct own *o = arg;
    uint64_t random = t_seed((uint64_t)o->number);
    gort_case_t cases[] = {{o->ch, NULL, GORT_RECV, 0}, {o->other, NULL, GORT_SEND, 0}};
    for (long i = 0; i < t_n(150, 30); i++) {
        int value = 1 + (o->number * 151 + (int)i) % 4000;
        unsigned how = (unsigned)(t_random(&random) % 7);
        int64_t deadline = gort_now() + 100000;
        write_errno(value);
        switch (how) {
        case 0: gort_yield(); break;
        case 1: gort_sleep(30000); break;
        case 2: gort_chan_recv_until(o->ch, NULL, deadline); break;
        case 3: gort_chan_send_until(o->ch, NULL, deadline); break;
        case 4: gort_select_until(cases, 2, deadline); break;
        case 5:
            gort_mutex_lock(o->mutex);
            gort_yield();
            gort_mutex_unlock(o->mutex);
            break;
        default: {
            gort_waitgroup_t never = {0};
            gort_waitgroup_add(&never, 1);
            gort_waitgroup_wait_until(&never, deadline);
            break;
        }
        }
        if (read_errno() != value)
            FAIL("after wait %u: errno is %d, it was %d", how, read_errno(), value);
    }
}

static void errno_is_the_same_after_a_park(void) {
    struct own owns[40];
    gort_waitgroup_t done = {0};
    gort_mutex_t mutex = {0};
    gort_chan_t *ch = gort_chan_new(0, 0), *other = gort_chan_new(0, 0);
    for (int i = 0; i < (int)T_LEN(owns); i++) {
        owns[i] = (struct own){ch, other, &mutex, i};
        t_go(&done, park_and_compare, &owns[i]);
    }
    gort_waitgroup_wait(&done);
    gort_chan_release(ch);
    gort_chan_release(other);
}

static void errno_is_not_how_gort_reports(void) {
    gort_chan_t *ch = gort_chan_new(0, 1);
    /* Nothing that succeeds or fails by status reports through errno. */
    for (int value = 0; value < 200; value += 33) {
        write_errno(value);
        CHECK_EQ(gort_chan_try_recv(ch, NULL), GORT_EAGAIN);
        CHECK_EQ(gort_chan_send(ch, NULL), GORT_OK);
        CHECK_EQ(gort_chan_send_until(ch, NULL, 0), GORT_ETIMEDOUT);
        CHECK_EQ(gort_chan_recv(ch, NULL), GORT_OK);
        CHECK_EQ(gort_chan_recv_until(ch, NULL, gort_now() + T_MS / 10), GORT_ETIMEDOUT);
        CHECK_EQ(gort_chan_send(NULL, NULL), GORT_EINVAL);
        CHECK_EQ(read_errno(), value);
    }
    gort_chan_release(ch);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(errno_is_the_same_after_a_park);
    RUN_BOTH(errno_is_not_how_gort_reports);
    return t_end();
}
