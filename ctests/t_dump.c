/* gort_dump: what it says of each goroutine, and from whoever calls it. */
#include "t_dump.h"

#define MINUTE (60 * INT64_C(1000000000))

/* The clock of gort, which the test can put forward: the library calls this one. */
static _Atomic int64_t ahead;

int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    now->tv_sec += atomic_load(&ahead) / INT64_C(1000000000);
    return (int)result;
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
        snprintf(line, sizeof line, "t_dump.h:%d +0x", LINE_OF_RECV);
        says(fred, line);
        says(fred, "\nwaiter(...)\n");
        says_not(fred, "gort::");
        CHECK(strstr(fred, "waits_in_a_static") < strstr(fred, "\nwaiter"));
    }
#ifdef __x86_64__
    says(fred, "\ncreated by spawn_named");
    says(fred, "t_dump.h:");
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

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(waits_long);
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
    return t_end();
}
