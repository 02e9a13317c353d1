/* A million goroutines parked at once, with the kernel's default limits. */
#include "t.h"

#define WANTED 1000000L
/* What one parked goroutine may cost in all: its record, its stack, the page tables. */
enum { BYTES_EACH = 4700 };

/* A million need about 4.7 GB; on a smaller machine as many as fit into half of what is free. */
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
        fprintf(stderr, "t_million: memory for %ld goroutines only\n", fit);
    return fit < WANTED ? fit : WANTED;
}

struct crowd {
    gort_chan_t *gate;
    atomic_long parked, woken;
    gort_waitgroup_t done;
};

static void wait_at_the_gate(void *arg) {
    struct crowd *c = arg;
    atomic_fetch_add(&c->parked, 1);
    CHECK_EQ(gort_chan_recv(c->gate, NULL), GORT_ECLOSED);
    atomic_fetch_add(&c->woken, 1);
    gort_waitgroup_done(&c->done);
}

static void wait_for_all(void *arg) {
    struct crowd *c = arg;
    atomic_fetch_add(&c->parked, 1);
    gort_waitgroup_wait(&c->done);
    atomic_fetch_add(&c->woken, 1);
}

static void a_million_park_at_once_each_under_4700_bytes_and_all_wake(void) {
    struct crowd c = {.gate = gort_chan_new(0, 0)};
    long n = how_many();
    gort_waitgroup_add(&c.done, 1);
    gort_waitgroup_done(&c.done);
    size_t goroutines = gort_num_goroutines(), before = t_memory();
    gort_waitgroup_add(&c.done, n);
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_spawn(wait_at_the_gate, &c), GORT_OK);
    EVENTUALLY(atomic_load(&c.parked) == n);
    t_quiet();
    size_t used = t_memory() - before;
    CHECK_EQ(gort_num_goroutines(), goroutines + (size_t)n);
    CHECK_EQ(atomic_load(&c.woken), 0);
    if (!t_stress() && used / (size_t)n >= BYTES_EACH)
        FAIL("a parked goroutine takes %zu bytes, allowed are %d", used / (size_t)n, BYTES_EACH);
    CHECK_EQ(gort_chan_close(c.gate), GORT_OK);
    gort_waitgroup_wait(&c.done);
    CHECK_EQ(atomic_load(&c.woken), n);
    EVENTUALLY(gort_num_goroutines() == goroutines);
    gort_chan_release(c.gate);
}

static void a_hundred_thousand_wait_on_one_wait_group_and_all_wake(void) {
    struct crowd c = {.gate = NULL};
    long n = how_many() / 10;
    size_t goroutines = gort_num_goroutines();
    gort_waitgroup_add(&c.done, 1);
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_spawn(wait_for_all, &c), GORT_OK);
    EVENTUALLY(atomic_load(&c.parked) == n);
    t_quiet();
    CHECK_EQ(atomic_load(&c.woken), 0);
    gort_waitgroup_done(&c.done);
    EVENTUALLY(atomic_load(&c.woken) == n);
    EVENTUALLY(gort_num_goroutines() == goroutines);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(a_million_park_at_once_each_under_4700_bytes_and_all_wake);
    RUN(a_hundred_thousand_wait_on_one_wait_group_and_all_wake);
    return t_end();
}
