/* A program that loads gort late, for itself alone: goroutines park all the same. */
/* ctest-cflags: -Wl,--as-needed */
#include "p.h"

static struct {
    int (*init)(const gort_options_t *);
    int (*main)(int (*)(void *), void *);
    int (*go)(gort_waitgroup_t *, gort_fn_t, void *);
    void (*wait)(gort_waitgroup_t *);
} gort;

static void *find(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found)
        FAIL("%s: %s", name, dlerror());
    return found;
}

static int ends[2];
static atomic_int started, got;

static void read_one(void *arg) {
    char byte;
    (void)arg;
    atomic_fetch_add(&started, 1);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    atomic_fetch_add(&got, 1);
}

static int crowd(void *arg) {
    gort_waitgroup_t done = {0};
    (void)arg;
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(gort.go(&done, read_one, NULL), GORT_OK);
    while (atomic_load(&started) < CROWD)
        usleep(1000);
    CHECK_EQ(atomic_load(&got), 0);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(write(ends[1], "x", 1), 1);
    gort.wait(&done);
    return atomic_load(&got);
}

static void a_gort_that_comes_late_is_noticed(void) {
    CHECK(dlsym(RTLD_DEFAULT, "gort_init") == NULL);
    p_pair(SOCK_STREAM, ends);
    void *library = dlopen("libgort.so", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        FAIL("%s", dlerror());
    *(void **)&gort.init = find(library, "gort_init");
    *(void **)&gort.main = find(library, "gort_main");
    *(void **)&gort.go = find(library, "gort_waitgroup_go");
    *(void **)&gort.wait = find(library, "gort_waitgroup_wait");
    gort_options_t options = GORT_OPTIONS_INIT;
    options.flags = GORT_STRICT_PROCS;
    CHECK_EQ(gort.init(&options), GORT_OK);
    CHECK_EQ(gort.main(crowd, NULL), CROWD);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(a_gort_that_comes_late_is_noticed);
    return t_end();
}
