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
    if (t_stress())
        return fit < 20000 ? fit : 20000;
    if (fit < WANTED)
        fprintf(stderr, "t_sleepers: memory for %ld goroutines only\n", fit);
    return fit < WANTED ? fit : WANTED;
}

struct crowd {
    atomic_long asleep, early, ended;
    atomic_bool all_were_asleep;
    uint64_t seed;
};

/* Sleeps until all have been asleep at one time. Each time longer: on however busy a machine, at last no one has
 * woken when the last goes to sleep. */
static void sleep_until_all_sleep(void *arg) {
    struct crowd *c = arg;
    uint64_t random = c->seed ^ (uint64_t)(uintptr_t)&arg;
    for (int64_t about = GORT_SECOND; !atomic_load(&c->all_were_asleep); about *= 2) {
        int64_t ns = about + (int64_t)(t_random(&random) % (uint64_t)(GORT_SECOND / 4));
        atomic_fetch_add(&c->asleep, 1);
        int64_t start = gort_now();
        gort_sleep(ns);
        if (gort_now() < start + ns)
            atomic_fetch_add(&c->early, 1);
        atomic_fetch_sub(&c->asleep, 1);
    }
    atomic_fetch_add(&c->ended, 1);
}

static void a_million_sleep_at_once_all_wake_and_none_early(void) {
    static struct crowd c;
    c = (struct crowd){.seed = t_seed(0)};
    long n = how_many();
    size_t goroutines = gort_num_goroutines();
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_spawn(sleep_until_all_sleep, &c), GORT_OK);
    EVENTUALLY(atomic_load(&c.asleep) == n);
    CHECK_EQ(gort_num_goroutines(), goroutines + (size_t)n);
    CHECK_EQ(atomic_load(&c.ended), 0);
    atomic_store(&c.all_were_asleep, true);
    EVENTUALLY(atomic_load(&c.ended) == n);
    CHECK_EQ(atomic_load(&c.early), 0);
    CHECK_EQ(atomic_load(&c.asleep), 0);
    EVENTUALLY(gort_num_goroutines() == goroutines);
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
