/* A million goroutines asleep at once, with the kernel's default limits: all wake, none early. */
#include "t.h"

#define WANTED 1000000L
/* A sleeping goroutine takes less than this in all: its record, its stack, its place in a heap, page tables. */
enum { BYTES_EACH = 4800 };

/* On a machine without 4.8 GB, as many as fit into half of what is free. */
static long how_many(void) {
    char line[256];
    unsigned long available_kib = 0;
    FILE *meminfo = fopen("/proc/meminfo", "r");
    CHECK(meminfo != NULL);
    while (fgets(line, sizeof line, meminfo))
        sscanf(line, "MemAvailable: %lu", &available_kib);
    fclose(meminfo);
    long fit = (long)(available_kib / 2 * 1024 / BYTES_EACH);
    if (t_stress() || t_brief()) {
        long wanted = t_stress() ? 20000 : 200000;
        return fit < wanted ? fit : wanted;
    }
    if (fit < WANTED)
        fprintf(stderr, "t_sleepers: memory for %ld goroutines only\n", fit);
    return fit < WANTED ? fit : WANTED;
}

struct crowd {
    int64_t start, until;
    atomic_long asleep, early, ended;
    atomic_bool all_were_asleep;
};

/* Sleeps until all have been asleep at one time. If the first sleep was too short for that, on a busy machine, the
 * next lasts for as long again as it has taken so far. */
static void sleep_until_all_sleep(void *arg) {
    struct crowd *c = arg;
    int64_t until = c->until;
    while (!atomic_load(&c->all_were_asleep)) {
        atomic_fetch_add(&c->asleep, 1);
        gort_sleep(until - gort_now());
        int64_t now = gort_now();
        if (now < until)
            atomic_fetch_add(&c->early, 1);
        atomic_fetch_sub(&c->asleep, 1);
        until = now + (now - c->start);
    }
    atomic_fetch_add(&c->ended, 1);
}

/* `n` of them, who are given `ns` for all to go to sleep; how long that took, if it was enough. */
static int64_t put_to_sleep(long n, int64_t ns) {
    static struct crowd c;
    c = (struct crowd){.start = gort_now()};
    c.until = c.start + ns;
    size_t goroutines = gort_num_goroutines();
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_spawn(sleep_until_all_sleep, &c), GORT_OK);
    EVENTUALLY(atomic_load(&c.asleep) == n);
    int64_t took = gort_now() - c.start;
    CHECK_EQ(gort_num_goroutines(), goroutines + (size_t)n);
    CHECK_EQ(atomic_load(&c.ended), 0);
    atomic_store(&c.all_were_asleep, true);
    EVENTUALLY(atomic_load(&c.ended) == n);
    CHECK_EQ(atomic_load(&c.early), 0);
    CHECK_EQ(atomic_load(&c.asleep), 0);
    EVENTUALLY(gort_num_goroutines() == goroutines);
    return took;
}

static void a_million_sleep_at_once_all_wake_and_none_early(void) {
    long n = how_many(), few = n / 20;
    /* The few say how fast this machine is at the moment. On one that would need long, fewer will do. */
    int64_t took = put_to_sleep(few, GORT_SECOND / 4) * (n / few);
    if (took > 5 * GORT_SECOND) {
        n = (long)((double)n * 5 * (double)GORT_SECOND / (double)took);
        took = 5 * GORT_SECOND;
        fprintf(stderr, "t_sleepers: the machine is busy, %ld goroutines only\n", n);
    }
    put_to_sleep(n, GORT_SECOND / 4 + took * 3 / 2);
}

/* All due at one instant: a batch of timers at a time fires, and in between what they woke must run. */
struct alarm {
    int64_t at;
    atomic_long early, woken;
};

static void sleep_until_the_alarm(void *arg) {
    struct alarm *a = arg;
    gort_sleep(a->at - gort_now());
    if (gort_now() < a->at)
        atomic_fetch_add(&a->early, 1);
    atomic_fetch_add(&a->woken, 1);
}

static void all_may_be_due_at_one_instant(void) {
    static struct alarm a;
    long n = how_many() / 10;
    a = (struct alarm){.at = gort_now() + GORT_SECOND / 2};
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_spawn(sleep_until_the_alarm, &a), GORT_OK);
    EVENTUALLY(atomic_load(&a.woken) == n);
    CHECK_EQ(atomic_load(&a.early), 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(a_million_sleep_at_once_all_wake_and_none_early);
    RUN(all_may_be_due_at_one_instant);
    return t_end();
}
