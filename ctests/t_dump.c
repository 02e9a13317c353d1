/* gort_dump: what it says of each goroutine, from whoever calls it, while the others go on. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define MINUTE (60 * INT64_C(1000000000))
/* A call that the compiler can neither inline nor turn into a jump. */
#define NOINLINE __attribute__((noinline))
#define STAY __asm__ volatile("" ::: "memory")

/* The clock of gort, which the test can put forward: the library calls this one. */
static _Atomic int64_t ahead;

int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    now->tv_sec += atomic_load(&ahead) / INT64_C(1000000000);
    return (int)result;
}

/* A dump as a text; to be freed. */
static char *dump(void) {
    int fd = memfd_create("dump", 0);
    CHECK(fd >= 0);
    CHECK_EQ(gort_dump(fd), GORT_OK);
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    CHECK(text && pread(fd, text, (size_t)size, 0) == size);
    close(fd);
    return text;
}

/* The entry that begins with a line with `what` in it, as a text; to be freed. NULL: there is none. */
static char *entry(const char *text, const char *what) {
    const char *found = text;
    while ((found = strstr(found, what))) {
        const char *start = found;
        while (start > text && start[-1] != '\n')
            start--;
        if (start == text || (start >= text + 2 && start[-2] == '\n')) {
            const char *end = strstr(start, "\n\n");
            return strndup(start, end ? (size_t)(end - start) + 1 : strlen(start));
        }
        found++;
    }
    return NULL;
}

static void says(const char *entry, const char *what) {
    if (!entry || !strstr(entry, what))
        FAIL("the dump lacks \"%s\": %s", what, entry ? entry : "(no such entry)");
}

static void says_not(const char *text, const char *what) {
    if (strstr(text, what))
        FAIL("the dump has \"%s\": %s", what, text);
}

static bool has_backtraces(const char *text) { return !strstr(text, "(no backtraces"); }

static void spawn_named(const char *name, gort_fn_t fn, void *arg) {
    gort_spawn_options_t options = GORT_SPAWN_OPTIONS_INIT;
    options.name = name;
    CHECK_EQ(gort_spawn_with(&options, fn, arg), GORT_OK);
}

/* Wait until the goroutine of this name is shown with this state, and return its entry. */
static char *eventually(const char *name, const char *state) {
    char what[128];
    snprintf(what, sizeof what, " \"%s\" [%s", name, state);
    for (int64_t give_up = gort_now() + T_PATIENCE;; gort_sleep(T_MS)) {
        char *text = dump(), *found = entry(text, what);
        if (found || gort_now() > give_up) {
            if (!found)
                FAIL("never shown: %s\n%s", what, text);
            free(text);
            return found;
        }
        free(text);
    }
}

/* ---- one goroutine ---- */

static gort_chan_t *gate;
static gort_waitgroup_t gone;
enum { LINE_OF_RECV = __LINE__ + 3 };

static NOINLINE void waits_in_a_static_function(gort_chan_t *ch) {
    gort_chan_recv(ch, NULL);
    STAY;
}

static void waiter(void *ch) {
    waits_in_a_static_function(ch);
    gort_waitgroup_done(&gone);
}

enum { LINE_OF_SPAWN = __LINE__ + 4 };

static NOINLINE void starts_one(const char *name, gort_chan_t *ch) {
    gort_waitgroup_add(&gone, 1);
    spawn_named(name, waiter, ch);
    STAY;
}

static uint64_t number(const char *entry) {
    unsigned long long id = 0;
    CHECK(sscanf(entry, "goroutine %llu", &id) == 1 && id > 0);
    return id;
}

static void open_gate(void) {
    gort_chan_close(gate);
    gort_waitgroup_wait(&gone);
    gort_chan_release(gate);
    gate = NULL;
}

static void a_parked_goroutine_has_number_name_reason_backtrace_and_origin(void) {
    gate = gort_chan_new(0, 0);
    starts_one("fred", gate);
    starts_one("wilma", gate);
    char *fred = eventually("fred", "chan receive]:\n"), *wilma = eventually("wilma", "chan receive]:\n");
    CHECK(number(fred) != number(wilma));
    char *text = dump();
    if (has_backtraces(text)) {
        char line[128];
        says(fred, "\ngort_chan_recv(...)\n");
        says(fred, "\nwaits_in_a_static_function(...)\n");
        snprintf(line, sizeof line, "t_dump.c:%d +0x", LINE_OF_RECV);
        says(fred, line);
        says(fred, "\nwaiter(...)\n");
        says_not(fred, "gort::");
        CHECK(strstr(fred, "waits_in_a_static") < strstr(fred, "\nwaiter"));
    }
#ifdef __x86_64__
    says(fred, "\ncreated by spawn_named");
    says(fred, "t_dump.c:");
    char parent[64] = "", *me = strstr(text, "[running]");
    if (gort_in_goroutine()) {
        CHECK(me && strncmp(text, "goroutine ", 10) == 0);
        snprintf(parent, sizeof parent, "\ncreated by spawn_named in goroutine %llu\n",
                 (unsigned long long)number(text));
        says(fred, parent);
    } else {
        says_not(fred, " in goroutine ");
    }
#endif
    free(text), free(fred), free(wilma);
    open_gate();
}

/* ---- where it was created ---- */

static void stays(void *arg) {
    (void)arg;
    waits_in_a_static_function(gate);
    gort_waitgroup_done(&gone);
}

struct copied {
    int number;
};

static void stays_with_copy(void *copy) { stays(copy); }

static NOINLINE void spawn_in_four_ways(int *lines) {
    struct copied copy = {1};
    gort_waitgroup_add(&gone, 3);
    lines[0] = __LINE__ + 1;
    CHECK_EQ(gort_spawn(stays, NULL), GORT_OK);
    lines[1] = __LINE__ + 1;
    CHECK_EQ(gort_spawn_copy(stays_with_copy, &copy, sizeof copy), GORT_OK);
    lines[2] = __LINE__ + 1;
    CHECK_EQ(gort_spawn_with(NULL, stays, NULL), GORT_OK);
    lines[3] = __LINE__ + 1;
    CHECK_EQ(gort_waitgroup_go(&gone, (gort_fn_t)waits_in_a_static_function, gate), GORT_OK);
}

static void the_line_that_spawned_is_shown(void) {
#ifdef __x86_64__
    int lines[4];
    gate = gort_chan_new(0, 0);
    spawn_in_four_ways(lines);
    char *text = dump();
    for (int i = 0; i < 4; i++) {
        char line[64];
        snprintf(line, sizeof line, "t_dump.c:%d +0x", lines[i]);
        says(text, line);
    }
    says(text, "created by spawn_in_four_ways");
    free(text);
    open_gate();
#endif
}

static void rings(void *arg) {
    waits_in_a_static_function(arg);
    gort_waitgroup_done(&gone);
}

static void what_a_timer_starts_is_said_to_be(void) {
    gate = gort_chan_new(0, 0);
    gort_waitgroup_add(&gone, 1);
    gort_timer_t *timer = gort_timer_func(1, rings, gate);
    for (int64_t give_up = gort_now() + T_PATIENCE;; gort_sleep(T_MS)) {
        char *text = dump();
        bool there = strstr(text, "\ncreated by a timer\n");
        free(text);
        if (there)
            break;
        CHECK(gort_now() < give_up);
    }
    gort_timer_release(timer);
    open_gate();
}

/* ---- what it waits for ---- */

static gort_mutex_t mutex, cond_mutex;
static gort_rwmutex_t read_locked, write_locked;
static gort_cond_t cond;
static gort_waitgroup_t group;
static gort_once_t once;
static gort_sem_t sem;
static gort_chan_t *release_once;

static void in_once(void *arg) { gort_chan_recv(arg, NULL); }

static void waits_for_recv(void *arg) { (void)arg, gort_chan_recv(gate, NULL), gort_waitgroup_done(&gone); }
static void waits_for_send(void *arg) { (void)arg, gort_chan_send(gate, NULL), gort_waitgroup_done(&gone); }
static void waits_for_select(void *arg) {
    (void)arg;
    gort_case_t cases[] = {{gate, NULL, GORT_RECV, 0}, {NULL, NULL, GORT_SEND, 0}};
    gort_select(cases, 2);
    gort_waitgroup_done(&gone);
}
static void waits_for_no_case(void *arg) { (void)arg, gort_select(NULL, 0); }
static void waits_for_sleep(void *arg) { (void)arg, gort_sleep(60 * MINUTE); }
static void waits_for_mutex(void *arg) {
    (void)arg;
    gort_mutex_lock(&mutex);
    gort_mutex_unlock(&mutex);
    gort_waitgroup_done(&gone);
}
static void waits_for_rlock(void *arg) {
    (void)arg;
    gort_rwmutex_rlock(&write_locked);
    gort_rwmutex_runlock(&write_locked);
    gort_waitgroup_done(&gone);
}
static void waits_for_wlock(void *arg) {
    (void)arg;
    gort_rwmutex_lock(&read_locked);
    gort_rwmutex_unlock(&read_locked);
    gort_waitgroup_done(&gone);
}
static void waits_for_cond(void *arg) {
    (void)arg;
    gort_mutex_lock(&cond_mutex);
    gort_cond_wait(&cond, &cond_mutex);
    gort_mutex_unlock(&cond_mutex);
    gort_waitgroup_done(&gone);
}
static void waits_for_group(void *arg) { (void)arg, gort_waitgroup_wait(&group), gort_waitgroup_done(&gone); }
static void waits_for_once(void *arg) {
    gort_once_do(&once, in_once, arg);
    gort_waitgroup_done(&gone);
}
static void waits_for_sem(void *arg) { (void)arg, gort_sem_acquire(&sem, 1), gort_waitgroup_done(&gone); }

static void every_wait_reason_has_gos_words(void) {
    gort_chan_t *other = gate = gort_chan_new(0, 0);
    release_once = gort_chan_new(0, 0);
    CHECK(other && release_once);
    gort_mutex_lock(&mutex);
    gort_rwmutex_rlock(&read_locked);
    gort_rwmutex_lock(&write_locked);
    gort_waitgroup_add(&group, 1);
    gort_sem_init(&sem, 0);
    gort_waitgroup_add(&gone, 10);
    static const struct {
        const char *name, *reason;
        gort_fn_t fn;
    } all[] = {
        {"recv", "chan receive", waits_for_recv},      {"select", "select", waits_for_select},
        {"none", "select (no cases) (leaked)", waits_for_no_case}, {"sleep", "sleep", waits_for_sleep},
        {"mutex", "sync.Mutex.Lock", waits_for_mutex}, {"rlock", "sync.RWMutex.RLock", waits_for_rlock},
        {"wlock", "sync.RWMutex.Lock", waits_for_wlock}, {"cond", "sync.Cond.Wait", waits_for_cond},
        {"group", "sync.WaitGroup.Wait", waits_for_group}, {"sem", "semacquire", waits_for_sem},
    };
    for (size_t i = 0; i < T_LEN(all); i++) {
        spawn_named(all[i].name, all[i].fn, NULL);
        char state[64];
        snprintf(state, sizeof state, "%s]:\n", all[i].reason);
        free(eventually(all[i].name, state));
    }
    spawn_named("first", waits_for_once, release_once);
    free(eventually("first", "chan receive]:\n"));
    spawn_named("once", waits_for_once, release_once);
    free(eventually("once", "sync.Once.Do]:\n"));
    gort_mutex_unlock(&mutex);
    gort_rwmutex_runlock(&read_locked);
    gort_rwmutex_unlock(&write_locked);
    gort_waitgroup_done(&group);
    gort_sem_release(&sem, 1);
    gort_mutex_lock(&cond_mutex);
    gort_cond_signal(&cond);
    gort_mutex_unlock(&cond_mutex);
    gort_chan_close(release_once);
    open_gate();
    /* A sender needs a channel of its own: a receiver would take what it sends. */
    gate = gort_chan_new(0, 0);
    gort_waitgroup_add(&gone, 1);
    spawn_named("send", waits_for_send, NULL);
    free(eventually("send", "chan send]:\n"));
    open_gate();
    gort_chan_release(release_once);
}

static void waits_long(void) {
    gate = gort_chan_new(0, 0);
    starts_one("long", gate);
    free(eventually("long", "chan receive]:\n"));
    /* The clock of this process only, and only until its end, which is next. */
    atomic_store(&ahead, 5 * MINUTE + MINUTE / 2);
    gort_dump(2);
    atomic_store(&ahead, 2 * 24 * 60 * MINUTE);
    gort_dump(2);
    _exit(7);
}

static void from_a_minute_on_it_says_for_how_long(void) {
    const struct t_outcome *o = t_spawn_child("waits_long");
    t_check_exit("waits_long", o, 7);
    t_check_says("waits_long", o, "\"long\" [chan receive, 5 minutes]:\n");
    t_check_says("waits_long", o, "\"long\" [chan receive, 2880 minutes]:\n");
}

/* ---- states ---- */

static _Atomic int spinning, stop;

static void spins(void *arg) {
    (void)arg;
    atomic_store(&spinning, 1);
    while (!atomic_load(&stop))
        ;
    gort_waitgroup_done(&gone);
}

static void a_running_goroutine_has_no_backtrace(void) {
    gort_waitgroup_add(&gone, 1);
    spawn_named("spinner", spins, NULL);
    EVENTUALLY(atomic_load(&spinning));
    char *found = eventually("spinner", "running]:\n");
    says(found, "stack unavailable");
    free(found);
    atomic_store(&stop, 1);
    gort_waitgroup_wait(&gone);
}

static void never_ran(void *arg) {
    (void)arg;
    gort_waitgroup_done(&gone);
}

static void yields(void *arg) {
    for (int *left = arg; *left; (*left)--)
        gort_yield();
    gort_waitgroup_done(&gone);
}

static void runnable_goroutines_are_shown_before_and_after_their_first_run(void) {
    int procs = gort_max_procs(1), left = 1000000;
    /* Who runs on a processor that is to go leaves it when he next parks. */
    gort_sleep(T_MS);
    gort_waitgroup_add(&gone, 2);
    spawn_named("yielder", yields, &left);
    while (left == 1000000)
        gort_yield();
    spawn_named("new", never_ran, NULL);
    char *text = dump();
    char *new = entry(text, " \"new\" [runnable]:\n"), *yielder = entry(text, " \"yielder\" [runnable]:\n");
    says(new, "\nnever_ran(...)\n\t");
    says(new, "t_dump.c:");
    says(yielder, "\nyields(...)\n");
    left = 1;
    free(text), free(new), free(yielder);
    gort_waitgroup_wait(&gone);
    gort_max_procs(procs);
}

static void locked(void *ch) {
    gort_lock_thread();
    gort_chan_recv(ch, NULL);
    gort_unlock_thread();
    gort_waitgroup_done(&gone);
}

static void a_goroutine_that_is_locked_to_its_thread_says_so(void) {
    gate = gort_chan_new(0, 0);
    gort_waitgroup_add(&gone, 1);
    spawn_named("locked", locked, gate);
    free(eventually("locked", "chan receive, locked to thread]:\n"));
    open_gate();
}

/* ---- who asks ---- */

static NOINLINE char *asks_for_a_dump(void) {
    char *text = dump();
    STAY;
    return text;
}

static void the_caller_comes_first_with_its_own_backtrace(void) {
    gate = gort_chan_new(0, 0);
    starts_one("other", gate);
    free(eventually("other", "chan receive]:\n"));
    char *text = asks_for_a_dump();
    if (has_backtraces(text)) {
        char *me = entry(text, "[running]:\ngort_dump(...)\n");
        CHECK(me && strncmp(me, text, strlen(me)) == 0);
        says(me, "\nasks_for_a_dump(...)\n");
        says(me, __func__);
        says_not(me, "gort::");
        free(me);
    }
    free(text);
    open_gate();
}

static NOINLINE void deep(int n, char **text) {
    char frame[512];
    memset(frame, n, sizeof frame);
    if (n == 0)
        *text = dump();
    else
        deep(n - 1, text);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static void a_deep_backtrace_ends_somewhere(void) {
    char *text = NULL;
    deep(1500, &text);
    if (has_backtraces(text))
        says(text, "...additional frames elided...\n");
    free(text);
}

static void a_goroutine_with_hardly_any_stack_may_ask(void *arg) {
    char *text = dump();
    says(text, "[running]:");
    free(text);
    gort_waitgroup_done(arg);
}

static void a_dump_needs_little_of_the_callers_stack(void) {
    gort_waitgroup_t done = {0};
    gort_spawn_options_t options = GORT_SPAWN_OPTIONS_INIT;
    options.stack_size = 128 * 1024;
    gort_waitgroup_add(&done, 1);
    CHECK_EQ(gort_spawn_with(&options, a_goroutine_with_hardly_any_stack_may_ask, &done), GORT_OK);
    gort_waitgroup_wait(&done);
}

/* ---- many ---- */

static void alike_goroutines_are_shown_once_with_their_count(void) {
    long n = t_n(100000, 3000);
    gate = gort_chan_new(0, 0);
    gort_waitgroup_add(&gone, n);
    for (long i = 0; i < n; i++)
        CHECK_EQ(gort_spawn(waiter, gate), GORT_OK);
    char what[64];
    snprintf(what, sizeof what, "%ld goroutines [chan receive]:", n);
    char *found = NULL;
    for (int64_t give_up = gort_now() + T_PATIENCE; !found; gort_sleep(10 * T_MS)) {
        CHECK(gort_now() < give_up);
        char *text = dump();
        found = entry(text, what);
        free(text);
    }
    CHECK(strlen(found) < 4000);
    says(found, "-");
#ifdef __x86_64__
    says(found, "created by alike_goroutines_are_shown_once_with_their_count");
#endif
    free(found);
    open_gate();
}

/* ---- while others run ---- */

static _Atomic int wild;

static void ends_at_once(void *arg) {
    (void)arg;
    gort_waitgroup_done(&gone);
}

static void parks_now_and_then(void *ch) {
    uint64_t random = t_seed((uintptr_t)&ch);
    for (int i = 0; i < 8; i++) {
        if (t_random(&random) % 2)
            gort_yield();
        else
            gort_chan_try_send(ch, &i);
    }
    gort_waitgroup_done(&gone);
}

static void sends_and_receives(void *ch) {
    gort_case_t cases[] = {{ch, &(int){0}, GORT_SEND, 0}, {ch, &(int){0}, GORT_RECV, 0}};
    while (atomic_load(&wild)) {
        gort_select_until(cases, 2, gort_now() + T_MS);
        gort_yield();
    }
    gort_waitgroup_done(&gone);
}

static void spawns_wildly(void *ch) {
    uint64_t random = t_seed((uintptr_t)&ch);
    while (atomic_load(&wild)) {
        for (int i = 0; i < 50 && gort_num_goroutines() < 500; i++) {
            char name[32];
            snprintf(name, sizeof name, "wild %d", i);
            gort_waitgroup_add(&gone, 1);
            switch (t_random(&random) % 3) {
            case 0: CHECK_EQ(gort_spawn(ends_at_once, NULL), GORT_OK); break;
            case 1: spawn_named(name, ends_at_once, NULL); break;
            default: spawn_named(name, parks_now_and_then, ch);
            }
        }
        gort_yield();
    }
    gort_waitgroup_done(&gone);
}

static void *dumps(void *arg) {
    (void)arg;
    while (atomic_load(&wild)) {
        int fd = open("/dev/null", O_WRONLY);
        CHECK_EQ(gort_dump(fd), GORT_OK);
        close(fd);
    }
    return NULL;
}

/* Every entry is in order, and those that stand still are all there. */
static void check_all_there(const char *text, int parked) {
    bool backtraces = has_backtraces(text);
    for (int i = 0; i < parked; i++) {
        char what[64];
        snprintf(what, sizeof what, " \"still %d\" [chan receive]:\n", i);
        char *found = entry(text, what);
        says(found, "goroutine ");
        if (backtraces)
            says(found, "\nwaits_in_a_static_function(...)\n");
        free(found);
        CHECK(!strstr(strstr(text, what) + 1, what));
    }
    for (const char *at = text; at; at = strstr(at, "\n\n")) {
        at += strspn(at, "\n");
        unsigned long long n;
        if (*at && *at != '(' && sscanf(at, "goroutine %llu ", &n) != 1 && sscanf(at, "%llu goroutines ", &n) != 1)
            FAIL("what is this: %.100s", at);
    }
}

static void nobody_is_disturbed_and_nobody_missed_while_others_run(void) {
    enum { STILL = 30 };
    gort_chan_t *busy = gort_chan_new(sizeof(int), 0);
    gate = gort_chan_new(0, 0);
    for (int i = 0; i < STILL; i++) {
        char name[32];
        snprintf(name, sizeof name, "still %d", i);
        starts_one(name, gate);
        free(eventually(name, "chan receive]:\n"));
    }
    atomic_store(&wild, 1);
    gort_waitgroup_add(&gone, 6);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(gort_spawn(spawns_wildly, busy), GORT_OK);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(gort_spawn(sends_and_receives, busy), GORT_OK);
    pthread_t other = t_thread(dumps, NULL);
    int64_t until = 0;
    for (long i = 0; t_again(i, 300, &until); i++) {
        char *text = dump();
        check_all_there(text, STILL);
        free(text);
        gort_yield();
    }
    atomic_store(&wild, 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    open_gate();
    gort_chan_release(busy);
}

/* ---- where it goes ---- */

static void a_pipe_that_nobody_reads_is_an_error_and_no_signal(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    close(ends[0]);
    sigset_t pending;
    CHECK_EQ(gort_dump(ends[1]), GORT_EPIPE);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE));
    close(ends[1]);
}

static void a_bad_descriptor_is_an_error(void) {
    CHECK_EQ(gort_dump(-1), GORT_EBADF);
    int fd = open("/dev/null", O_RDONLY);
    CHECK_EQ(gort_dump(fd), GORT_EBADF);
    close(fd);
    fd = open("/dev/full", O_WRONLY);
    CHECK_EQ(gort_dump(fd), GORT_ENOSPC);
    close(fd);
}

struct reader {
    int fd;
    size_t got;
};

static void *reads_slowly(void *arg) {
    struct reader *reader = arg;
    char some[1000];
    for (ssize_t n; (n = read(reader->fd, some, sizeof some)) > 0; reader->got += (size_t)n)
        usleep(10);
    return NULL;
}

static void a_pipe_gets_all_of_it_even_if_it_does_not_block(void) {
    enum { N = 1500 };
    gate = gort_chan_new(0, 0);
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d", i);
        starts_one(name, gate);
    }
    free(eventually("1499", "chan receive]:\n"));
    int ends[2];
    CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
    CHECK_EQ(fcntl(ends[0], F_SETFL, 0), 0);
    struct reader reader = {ends[0], 0};
    pthread_t thread = t_thread(reads_slowly, &reader);
    CHECK_EQ(gort_dump(ends[1]), GORT_OK);
    close(ends[1]);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(reader.got > N * 20);
    close(ends[0]);
    open_gate();
}

/* ---- none ---- */

static void dump_before_the_start(void) {
    char *text = dump();
    says_not(text, "goroutine ");
    free(text);
    CHECK_EQ(t_sleepers((struct t_nap[8]){{0, 0}}, 8) > 1, 0);
}

static void before_the_first_goroutine_there_is_none(void) { CHILD_EXITS(dump_before_the_start, 0); }

static void a_forked_child_shows_its_own_only(void) {
    gate = gort_chan_new(0, 0);
    starts_one("of the parent", gate);
    free(eventually("of the parent", "chan receive]:\n"));
    pid_t pid = fork();
    if (pid == 0) {
        char *text = dump();
        says_not(text, "of the parent");
        free(text);
        gate = gort_chan_new(0, 0);
        starts_one("of the child", gate);
        free(eventually("of the child", "chan receive]:\n"));
        text = dump();
        says_not(text, "of the parent");
        _exit(5);
    }
    int status = 0;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    open_gate();
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(waits_long);
    T_CHILD(dump_before_the_start);
    RUN_BOTH(a_parked_goroutine_has_number_name_reason_backtrace_and_origin);
    RUN_BOTH(the_line_that_spawned_is_shown);
    RUN(what_a_timer_starts_is_said_to_be);
    RUN(every_wait_reason_has_gos_words);
    RUN(from_a_minute_on_it_says_for_how_long);
    RUN(a_running_goroutine_has_no_backtrace);
    RUN_AS_MAIN(runnable_goroutines_are_shown_before_and_after_their_first_run);
    RUN(a_goroutine_that_is_locked_to_its_thread_says_so);
    RUN_AS_MAIN(the_caller_comes_first_with_its_own_backtrace);
    RUN_AS_MAIN(a_deep_backtrace_ends_somewhere);
    RUN(a_dump_needs_little_of_the_callers_stack);
    RUN(alike_goroutines_are_shown_once_with_their_count);
    RUN_AS_MAIN(nobody_is_disturbed_and_nobody_missed_while_others_run);
    RUN_BOTH(a_pipe_that_nobody_reads_is_an_error_and_no_signal);
    RUN_BOTH(a_bad_descriptor_is_an_error);
    RUN_BOTH(a_pipe_gets_all_of_it_even_if_it_does_not_block);
    RUN(before_the_first_goroutine_there_is_none);
    RUN(a_forked_child_shows_its_own_only);
    return t_end();
}
