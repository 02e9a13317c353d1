/* gort_leaks: whoever can never wake is found, and nobody else is ever named.
 *
 * The goroutines here have names, by which they are looked for in the report. What makes one a leak must be the
 * only thing that keeps it from being found, so no pointer may be left in a dead part of a frame or in a
 * register: channels are made and given away in functions that are not inlined, and scrub() overwrites what these
 * leave behind. No program can do that for the frames and the memory of the C library, so each test that must find
 * something is a process of its own, has MANY leaks, and wants some of them. Where nobody must be named, no look may
 * name anybody. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#define NOINLINE __attribute__((noinline))
#define MANY 20

/* ---- looking ---- */

static NOINLINE void scrub(void) {
    volatile char dirt[32768];
    for (size_t i = 0; i < sizeof dirt; i++)
        dirt[i] = 0;
}

static char report[1 << 20];

/* How many goroutines gort_leaks finds; what it writes is in `report`. */
static NOINLINE int look(void) {
    scrub();
    int fd = memfd_create("report", MFD_CLOEXEC);
    CHECK(fd >= 0);
    int n = gort_leaks(fd);
    if (n < 0)
        FAIL("gort_leaks: %s", gort_strerror(n));
    ssize_t size = pread(fd, report, sizeof report - 1, 0);
    CHECK(size >= 0);
    report[size] = '\0';
    close(fd);
    CHECK((n == 0) == (size == 0));
    return n;
}

/* How many goroutines it tells of with these words. Those of one kind are told of together: "20 goroutines ...". */
static NOINLINE int told_of(const char *words) {
    int n = 0;
    for (char *at = report; *at;) {
        char *end = strstr(at, "\n\n"), *found = strstr(at, words);
        if (found && (!end || found < end))
            n += *at >= '0' && *at <= '9' ? atoi(at) : 1;
        if (!end)
            break;
        at = end + 2;
    }
    return n;
}

/* How many of these it names. */
static NOINLINE int leaked_now(const char *name) {
    char quoted[64];
    int all = look();
    snprintf(quoted, sizeof quoted, "\"%s\" [", name);
    int n = told_of(quoted);
    CHECK(n <= all && all == told_of(" (leaked)"));
    return n;
}

/* Overwrite first what lies where the next function's frame will be. */
#define leaked(name) (scrub(), leaked_now(name))

/* A search may miss a leak, if a left-over pointer happens to lie somewhere. What it may not do is to miss all of
 * many leaks in process after process: run_alone() tries again, a few times. */
#define MISSED 77

static void missed(const char *name) {
    if (t_state.child) {
        printf("%s: none found in this process\n", name);
        exit(MISSED);
    }
    FAIL("none found: %s", name);
}

#define PATIENCE (4 * INT64_C(1000000000))

/* Look until `found`, the count of those found, is not 0. */
#define UNTIL_FOUND(what, found)                                                                             \
    for (int64_t t_give_up = gort_now() + PATIENCE; (found) == 0; gort_sleep(T_MS))                           \
        if (gort_now() > t_give_up)                                                                          \
            missed(what)

/* There are `total` of them, all leaked. */
#define SOME_ARE_FOUND(name, total)                                                                          \
    do {                                                                                                     \
        int t_found = 0;                                                                                     \
        UNTIL_FOUND(name, t_found = leaked(name));                                                           \
        CHECK(t_found <= (total));                                                                           \
    } while (0)

#define NEVER_NAMED(name)                                                                                    \
    do {                                                                                                     \
        for (int t_look = 0; t_look < 5; t_look++)                                                           \
            if (leaked(name))                                                                                \
                FAIL("one that can wake is named:\n%.800s", strstr(report, name));                          \
    } while (0)

/* ---- goroutines that wait ---- */

struct waiter {
    int64_t number; /* so that the pointer is not where malloc keeps its own in free blocks */
    gort_chan_t *ch;
};

static atomic_int woken;

static void receive(void *arg) {
    struct waiter *waiter = arg;
    gort_chan_recv(waiter->ch, NULL);
    gort_chan_release(waiter->ch);
    free(waiter);
    atomic_fetch_add(&woken, 1);
}

static void spawn_named(const char *name, gort_fn_t fn, void *arg) {
    gort_spawn_options_t opts = GORT_SPAWN_OPTIONS_INIT;
    opts.name = name;
    CHECK_EQ(gort_spawn_with(&opts, fn, arg), GORT_OK);
}

static NOINLINE void spawn_waiter(const char *name, gort_fn_t fn, gort_chan_t *ch) {
    struct waiter *waiter = malloc(sizeof *waiter);
    waiter->number = 1;
    waiter->ch = ch;
    spawn_named(name, fn, waiter);
}

/* A channel on which a goroutine waits; the pointer goes to `*place` and nowhere else. */
static NOINLINE void plant(const char *name, gort_chan_t **place) {
    gort_chan_t *ch = gort_chan_new(0, 0);
    CHECK(ch != NULL);
    spawn_waiter(name, receive, gort_chan_retain(ch));
    memcpy(place, &ch, sizeof ch);
}

static NOINLINE void all_wait(void) {
    gort_sleep(T_MS);
    t_quiet();
    scrub();
}

/* ---- what is found ---- */

static void send_result(void *arg) {
    struct waiter *waiter = arg;
    int result = (int)waiter->number;
    gort_chan_send(waiter->ch, &result);
    gort_chan_release(waiter->ch);
    free(waiter);
}

static NOINLINE void take_the_first_of_three(void) {
    gort_chan_t *results = gort_chan_new(sizeof(int), 0);
    int first;
    for (int i = 0; i < 3; i++)
        spawn_waiter("forgotten sender", send_result, gort_chan_retain(results));
    CHECK_EQ(gort_chan_recv(results, &first), GORT_OK);
    gort_chan_release(results);
}

static void senders_whose_receiver_has_returned_are_found(void) {
    for (int i = 0; i < MANY; i++)
        take_the_first_of_three();
    SOME_ARE_FOUND("forgotten sender", 2 * MANY);
    CHECK(strstr(report, "[chan send (leaked)"));
    CHECK(strstr(report, "send_result"));
    CHECK(strstr(report, "created by spawn_named"));
}

struct pool_worker {
    int64_t number;
    gort_chan_t *jobs, *results;
};

static void work(void *arg) {
    struct pool_worker *w = arg;
    int job;
    while (gort_chan_recv(w->jobs, &job) == GORT_OK)
        gort_chan_send(w->results, &job);
    gort_chan_release(w->jobs);
    gort_chan_release(w->results);
    free(w);
}

/* Nobody closes `jobs`. */
static NOINLINE void run_a_pool(void) {
    gort_chan_t *jobs = gort_chan_new(sizeof(int), 4), *results = gort_chan_new(sizeof(int), 4);
    for (int i = 0; i < 4; i++) {
        struct pool_worker *w = malloc(sizeof *w);
        *w = (struct pool_worker){i, gort_chan_retain(jobs), gort_chan_retain(results)};
        spawn_named("pool worker", work, w);
    }
    for (int i = 0; i < 20; i++) {
        int result;
        CHECK_EQ(gort_chan_send(jobs, &i), GORT_OK);
        CHECK_EQ(gort_chan_recv(results, &result), GORT_OK);
    }
    gort_chan_release(jobs);
    gort_chan_release(results);
}

static void workers_of_a_pool_that_was_not_closed_are_found(void) {
    for (int i = 0; i < MANY; i++)
        run_a_pool();
    SOME_ARE_FOUND("pool worker", 4 * MANY);
}

struct objects {
    int64_t number;
    gort_mutex_t mutex;
    gort_rwmutex_t rw;
    gort_cond_t cond;
    gort_waitgroup_t wg;
    gort_sem_t sem;
    gort_once_t once;
    gort_chan_t *never;
};

static void wait_lock(void *arg) { gort_mutex_lock(&((struct objects *)arg)->mutex); }
static void wait_rlock(void *arg) { gort_rwmutex_rlock(&((struct objects *)arg)->rw); }
static void wait_wlock(void *arg) { gort_rwmutex_lock(&((struct objects *)arg)->rw); }
static void wait_group(void *arg) { gort_waitgroup_wait(&((struct objects *)arg)->wg); }
static void wait_sem(void *arg) { gort_sem_acquire(&((struct objects *)arg)->sem, 1); }
static void wait_cond(void *arg) {
    struct objects *o = arg;
    gort_mutex_t mine = {0};
    gort_mutex_lock(&mine);
    gort_cond_wait(&o->cond, &mine);
}
static void never_done(void *arg) { gort_chan_recv(((struct objects *)arg)->never, NULL); }
static void wait_once(void *arg) { gort_once_do(&((struct objects *)arg)->once, never_done, arg); }
static void wait_select(void *arg) {
    struct objects *o = arg;
    gort_case_t cases[2] = {{o->never, NULL, GORT_RECV, 0}, {NULL, NULL, GORT_RECV, 0}};
    gort_select(cases, 2);
}
static void wait_for_ever(void *arg) {
    (void)arg;
    gort_select(NULL, 0);
}

static const struct {
    const char *name;
    gort_fn_t fn;
    const char *reason;
} ways[] = {
    {"lock", wait_lock, "sync.Mutex.Lock"},
    {"rlock", wait_rlock, "sync.RWMutex.RLock"},
    {"wlock", wait_wlock, "sync.RWMutex.Lock"},
    {"group", wait_group, "sync.WaitGroup.Wait"},
    {"sem", wait_sem, "semacquire"},
    {"cond", wait_cond, "sync.Cond.Wait"},
    {"once runs", wait_once, "chan receive"},
    {"once waits", wait_once, "sync.Once.Do"},
    {"select", wait_select, "select"},
    {"for ever", wait_for_ever, "select (no cases)"},
};

static NOINLINE struct objects *held_objects(void) {
    struct objects *o = calloc(1, sizeof *o);
    o->number = 1;
    o->never = gort_chan_new(0, 0);
    gort_mutex_lock(&o->mutex);
    gort_rwmutex_lock(&o->rw);
    gort_waitgroup_add(&o->wg, 1);
    gort_sem_init(&o->sem, 0);
    return o;
}

static NOINLINE void block_in_every_way(const char *prefix, struct objects *o) {
    char name[64];
    for (size_t i = 0; i < T_LEN(ways); i++) {
        snprintf(name, sizeof name, "%s %s", prefix, ways[i].name);
        spawn_named(name, ways[i].fn, o);
        all_wait();
    }
}

static NOINLINE void block_on_objects_of_nobody(void) { block_in_every_way("nobody's", held_objects()); }

static void whoever_waits_for_what_nobody_can_reach_is_found(void) {
    for (int i = 0; i < MANY; i++)
        block_on_objects_of_nobody();
    for (size_t i = 0; i < T_LEN(ways); i++) {
        char name[64];
        snprintf(name, sizeof name, "nobody's %s", ways[i].name);
        SOME_ARE_FOUND(name, MANY);
        snprintf(name, sizeof name, "[%s (leaked)", ways[i].reason);
        CHECK(strstr(report, name));
    }
}

static struct objects *kept;

/* The other half: a pointer to the beginning of the structure is all that is left of it. */
static void whoever_waits_for_what_somebody_holds_is_not_named(void) {
    kept = held_objects();
    block_in_every_way("kept", kept);
    for (size_t i = 0; i < T_LEN(ways); i++) {
        char name[64];
        snprintf(name, sizeof name, "kept %s", ways[i].name);
        if (ways[i].fn != wait_for_ever)
            NEVER_NAMED(name);
    }
    gort_mutex_unlock(&kept->mutex);
    gort_rwmutex_unlock(&kept->rw);
    gort_waitgroup_done(&kept->wg);
    gort_sem_release(&kept->sem, 1);
    gort_cond_signal(&kept->cond);
    gort_chan_close(kept->never);
}

struct link {
    int64_t number;
    gort_chan_t *from, *to;
};

static void pass_on(void *arg) {
    struct link *link = arg;
    gort_chan_recv(link->from, NULL);
    gort_chan_send(link->to, NULL);
}

/* Each waits for a channel that only the one before it could send to; the first for one of nobody's. */
static NOINLINE void make_a_chain(void) {
    gort_chan_t *from = gort_chan_new(0, 0);
    for (int i = 0; i < 5; i++) {
        struct link *link = malloc(sizeof *link);
        gort_chan_t *to = gort_chan_new(0, 0);
        *link = (struct link){i, from, to};
        spawn_named("chain", pass_on, link);
        from = to;
    }
}

static void a_chain_of_leaked_goroutines_is_found(void) {
    for (int i = 0; i < MANY; i++)
        make_a_chain();
    SOME_ARE_FOUND("chain", 5 * MANY);
}

static NOINLINE void make_a_cycle(void) {
    gort_chan_t *a = gort_chan_new(0, 0), *b = gort_chan_new(0, 0);
    struct link *one = malloc(sizeof *one), *other = malloc(sizeof *other);
    *one = (struct link){1, a, b};
    *other = (struct link){2, b, a};
    spawn_named("cycle", pass_on, one);
    spawn_named("cycle", pass_on, other);
}

static void two_that_wait_for_each_other_are_found(void) {
    for (int i = 0; i < MANY; i++)
        make_a_cycle();
    SOME_ARE_FOUND("cycle", 2 * MANY);
}

static void receive_copied(void *arg) { gort_chan_recv(((struct waiter *)arg)->ch, NULL); }

static NOINLINE void block_on_copied_arguments(void) {
    struct waiter copied = {1, gort_chan_new(0, 0)};
    CHECK_EQ(gort_spawn_copy(receive_copied, &copied, sizeof copied), GORT_OK);
}

static void arguments_that_were_copied_keep_nobody_alive(void) {
    for (int i = 0; i < MANY; i++)
        block_on_copied_arguments();
    UNTIL_FOUND("copied arguments", (look(), told_of("created by block_on_copied_arguments")));
}

static NOINLINE void sleep_then_block(void *arg) {
    gort_sleep(T_MS);
    receive(arg);
}

static NOINLINE void block_after_a_sleep(void) {
    /* Very many: a thread of gort's own starts with its maker's vector registers, and sleeps with them. */
    for (int i = 0; i < 10 * MANY; i++)
        spawn_waiter("has slept", sleep_then_block, gort_chan_new(0, 0));
}

static void what_a_goroutine_did_before_keeps_it_not_alive(void) {
    block_after_a_sleep();
    SOME_ARE_FOUND("has slept", 10 * MANY);
}

static NOINLINE void wait_for_a_stopped_timer(void *arg) {
    (void)arg;
    gort_timer_t *timer = gort_timer_new(3600 * GORT_SECOND);
    gort_timer_stop(timer);
    int64_t when;
    gort_chan_recv(gort_timer_chan(timer), &when);
}

static void a_timer_that_was_stopped_wakes_nobody(void) {
    for (int i = 0; i < MANY; i++)
        spawn_named("stopped timer", wait_for_a_stopped_timer, NULL);
    SOME_ARE_FOUND("stopped timer", MANY);
}

static gort_chan_t *places[MANY];

static NOINLINE void release_all(void) {
    for (int i = 0; i < MANY; i++)
        gort_chan_release(places[i]);
    memset(places, 0, sizeof places);
}

static void leaks_are_marked_in_a_dump(void) {
    for (int i = 0; i < MANY; i++)
        plant("marked", &places[i]);
    all_wait();
    NEVER_NAMED("marked");
    release_all();
    for (int64_t give_up = gort_now() + T_PATIENCE;;) {
        scrub();
        int fd = memfd_create("dump", MFD_CLOEXEC);
        CHECK_EQ(gort_dump(fd), GORT_OK);
        ssize_t size = pread(fd, report, sizeof report - 1, 0);
        report[size < 0 ? 0 : size] = '\0';
        close(fd);
        if (told_of("\"marked\" [chan receive (leaked)") >= MANY / 2)
            break;
        CHECK(gort_now() < give_up);
        gort_sleep(T_MS);
    }
}

/* ---- places that count ---- */

typedef char *(*place_fn)(int);

/* The pointers are in these places and nowhere else: nobody is named. Then they are nowhere: most are. `change` is
 * what is XORed to each pointer, or `add` added. */
static NOINLINE void plant_all(const char *name, place_fn place, uintptr_t change, uintptr_t add) {
    for (int i = 0; i < MANY; i++) {
        gort_chan_t *ch;
        plant(name, &ch);
        uintptr_t value = ((uintptr_t)ch ^ change) + add;
        memcpy(place(i), &value, sizeof value);
    }
}

static NOINLINE void clear_all(place_fn place) {
    for (int i = 0; i < MANY; i++)
        memset(place(i), 0, sizeof(uintptr_t));
}

static NOINLINE void check_changed(const char *name, place_fn place, uintptr_t change, uintptr_t add) {
    plant_all(name, place, change, add);
    all_wait();
    NEVER_NAMED(name);
    clear_all(place);
    SOME_ARE_FOUND(name, MANY);
}

static NOINLINE void check_place(const char *name, place_fn place) { check_changed(name, place, 0, 0); }

static struct block {
    char before[100];
    struct block *next;
    gort_chan_t *ch;
} *list;
static char *mapping;

static char *in_a_variable(int i) { return (char *)&places[i]; }
static char *in_a_list(int i) {
    struct block *block = list;
    while (i--)
        block = block->next;
    return (char *)&block->ch;
}
static char *in_a_mapping(int i) { return mapping + 4096 * 7 + 8 * i; }
static char *not_aligned(int i) { return mapping + 4096 * 9 + 8 * i + 5; }
/* Of two pages. */
static char *over_the_edge(int i) { return mapping + 4096 * (20 + i) - 3; }

static void a_pointer_in_a_variable_counts(void) { check_place("variable", in_a_variable); }

static NOINLINE void make_list(void) {
    for (int i = 0; i < MANY; i++) {
        struct block *block = calloc(1, sizeof *block);
        block->next = list;
        list = block;
    }
}

static void a_pointer_in_malloc_s_memory_counts(void) {
    make_list();
    check_place("malloc", in_a_list);
}

static NOINLINE void map_memory(int kind) {
    mapping = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
    CHECK(mapping != MAP_FAILED);
}

static void a_pointer_in_a_private_mapping_counts(void) {
    map_memory(MAP_PRIVATE);
    check_place("private mapping", in_a_mapping);
}

static void a_pointer_in_a_shared_mapping_counts(void) {
    map_memory(MAP_SHARED);
    check_place("shared mapping", in_a_mapping);
}

/* As in a packed structure. */
static void a_pointer_that_is_not_aligned_counts(void) {
    map_memory(MAP_PRIVATE);
    check_place("not aligned", not_aligned);
}

static void a_pointer_over_the_edge_of_a_page_counts(void) {
    map_memory(MAP_PRIVATE);
    check_place("over the edge", over_the_edge);
}

static void a_pointer_to_the_inside_counts(void) { check_changed("inside", in_a_variable, 0, 40); }

static void a_pointer_with_a_tag_counts(void) {
    check_changed("tagged", in_a_variable, (uintptr_t)UINT64_C(0xfff9) << 48, 0);
}

static void an_element_in_a_channel_counts(void) {
    static gort_chan_t *outer;
    gort_chan_t *inner;
    outer = gort_chan_new(sizeof inner, 3);
    plant("element", &inner);
    CHECK_EQ(gort_chan_send(outer, &inner), GORT_OK);
    *(gort_chan_t *volatile *)&inner = NULL;
    all_wait();
    NEVER_NAMED("element");
    CHECK_EQ(gort_chan_recv(outer, &inner), GORT_OK);
    int before = atomic_load(&woken);
    CHECK_EQ(gort_chan_close(inner), GORT_OK);
    EVENTUALLY(atomic_load(&woken) == before + 1);
    gort_chan_release(inner);
    gort_chan_release(outer);
}

static atomic_bool go_on;

static void hold_while_asleep(void *arg) {
    struct waiter *waiter = arg;
    gort_chan_t *volatile ch = waiter->ch;
    free(waiter);
    while (!atomic_load(&go_on))
        gort_sleep(5 * T_MS);
    CHECK_EQ(gort_chan_send(ch, NULL), GORT_OK);
    gort_chan_release(ch);
}

static NOINLINE void plant_with_a_holder(const char *name, gort_fn_t holder) {
    gort_chan_t *ch;
    plant(name, &ch);
    spawn_waiter("holder", holder, ch);
}

static void a_goroutine_that_sleeps_counts(void) {
    atomic_store(&go_on, false);
    int before = atomic_load(&woken);
    plant_with_a_holder("of a sleeper", hold_while_asleep);
    gort_sleep(5 * T_MS);
    NEVER_NAMED("of a sleeper");
    atomic_store(&go_on, true);
    EVENTUALLY(atomic_load(&woken) == before + 1);
}

/* In the end the pointer is in a register and, without optimisation, in this frame. */
static void hold_while_running(void *arg) {
    struct waiter *waiter = arg;
    gort_chan_t *ch = waiter->ch;
    memset(waiter, 0, sizeof *waiter);
    free(waiter);
    while (!atomic_load_explicit(&go_on, memory_order_acquire))
        __asm__ volatile("" : "+r"(ch));
    CHECK_EQ(gort_chan_send(ch, NULL), GORT_OK);
    gort_chan_release(ch);
}

#ifdef __x86_64__
/* In a vector register, and nowhere else. */
static void hold_in_a_vector_register(void *arg) {
    struct waiter *waiter = arg;
    gort_chan_t *ch = waiter->ch;
    memset(waiter, 0, sizeof *waiter);
    free(waiter);
    __asm__ volatile("movq %0, %%xmm5\n\t"
                     "xor %0, %0\n\t"
                     "movq $0, %1\n"
                     "1: pause\n\t"
                     "cmpb $0, %2\n\t"
                     "je 1b\n\t"
                     "movq %%xmm5, %0\n\t"
                     : "+&r"(ch), "=m"(waiter)
                     : "m"(go_on)
                     : "xmm5", "memory", "cc");
    CHECK_EQ(gort_chan_send(ch, NULL), GORT_OK);
    gort_chan_release(ch);
}
#endif

static void check_running(const char *name, gort_fn_t holder) {
    atomic_store(&go_on, false);
    int before = atomic_load(&woken);
    plant_with_a_holder(name, holder);
    gort_sleep(5 * T_MS);
    NEVER_NAMED(name);
    atomic_store_explicit(&go_on, true, memory_order_release);
    EVENTUALLY(atomic_load(&woken) == before + 1);
}

static void a_goroutine_that_runs_counts(void) {
    check_running("of a runner", hold_while_running);
#ifdef __x86_64__
    check_running("in a vector", hold_in_a_vector_register);
#endif
}

static _Thread_local gort_chan_t *thread_locals[MANY];
static atomic_int thread_step;

static void await(int step) {
    while (atomic_load(&thread_step) < step) {
        struct timespec nap = {0, 1000000};
        nanosleep(&nap, NULL);
    }
}

static void *hold_in_a_thread(void *arg) {
    gort_chan_t *here[MANY] = {0};
    for (int i = 0; i < MANY; i++)
        plant(arg ? "thread-local" : "thread's stack", arg ? &thread_locals[i] : &here[i]);
    __asm__ volatile("" : : "r"(here) : "memory");
    scrub();
    atomic_store(&thread_step, 1);
    await(2);
    memset(thread_locals, 0, sizeof thread_locals);
    memset(here, 0, sizeof here);
    __asm__ volatile("" : : "r"(here) : "memory");
    scrub();
    atomic_store(&thread_step, 3);
    await(4);
    return NULL;
}

static void check_thread(const char *name, void *arg) {
    atomic_store(&thread_step, 0);
    pthread_t thread = t_thread(hold_in_a_thread, arg);
    await(1);
    NEVER_NAMED(name);
    atomic_store(&thread_step, 2);
    await(3);
    SOME_ARE_FOUND(name, MANY);
    atomic_store(&thread_step, 4);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void a_thread_s_stack_counts(void) { check_thread("thread's stack", NULL); }
static void a_thread_local_counts(void) { check_thread("thread-local", &woken); }

static NOINLINE void plant_in_a_timer(void) {
    struct waiter *waiter = malloc(sizeof *waiter);
    waiter->number = 1;
    plant("of a timer", &waiter->ch);
    gort_timer_release(gort_timer_func(400 * GORT_MILLISECOND, hold_while_running, waiter));
}

static void the_argument_of_a_timer_counts(void) {
    atomic_store(&go_on, true);
    int before = atomic_load(&woken);
    plant_in_a_timer();
    NEVER_NAMED("of a timer");
    EVENTUALLY(atomic_load(&woken) == before + 1);
}

static void wait_for_a_tick(void *arg) {
    gort_chan_t *tick = gort_after((intptr_t)arg * GORT_MILLISECOND);
    int64_t when;
    gort_chan_recv(tick, &when);
    gort_chan_release(tick);
    atomic_fetch_add(&woken, 1);
}

static void wait_until(void *arg) {
    struct waiter *waiter = arg;
    gort_chan_recv_until(waiter->ch, NULL, gort_now() + 400 * GORT_MILLISECOND);
    atomic_fetch_add(&woken, 1);
}

static void sleep_long(void *arg) {
    (void)arg;
    gort_sleep(400 * GORT_MILLISECOND);
    atomic_fetch_add(&woken, 1);
}

static void whoever_time_will_wake_is_not_named(void) {
    int before = atomic_load(&woken);
    spawn_named("tick", wait_for_a_tick, (void *)400);
    spawn_waiter("deadline", wait_until, gort_chan_new(0, 0));
    spawn_named("sleeper", sleep_long, NULL);
    gort_sleep(5 * T_MS);
    NEVER_NAMED("tick");
    NEVER_NAMED("deadline");
    NEVER_NAMED("sleeper");
    EVENTUALLY(atomic_load(&woken) == before + 3);
}

static int events;
static int quiet_pipe[2];

static NOINLINE void plant_in_epoll(void) {
    struct waiter *waiter = malloc(sizeof *waiter);
    waiter->number = 1;
    plant("of epoll", &waiter->ch);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = waiter};
    CHECK_EQ(epoll_ctl(events, EPOLL_CTL_ADD, quiet_pipe[0], &event), 0);
}

static void what_epoll_will_give_back_counts(void) {
    events = epoll_create1(EPOLL_CLOEXEC);
    CHECK_EQ(pipe(quiet_pipe), 0);
    int before = atomic_load(&woken);
    plant_in_epoll();
    all_wait();
    NEVER_NAMED("of epoll");
    CHECK_EQ(write(quiet_pipe[1], "x", 1), 1);
    struct epoll_event event;
    CHECK_EQ(epoll_wait(events, &event, 1, -1), 1);
    struct waiter *waiter = event.data.ptr;
    gort_chan_close(waiter->ch);
    EVENTUALLY(atomic_load(&woken) == before + 1);
    close(events);
    close(quiet_pipe[0]);
    close(quiet_pipe[1]);
}

/* ---- many at once ---- */

static gort_chan_t *service;
static atomic_bool stop;
static atomic_long served;

struct request {
    int64_t number;
    gort_chan_t *reply;
    gort_mutex_t *mutex;
};

static void serve(void *arg) {
    struct request request;
    (void)arg;
    while (gort_chan_recv(service, &request) == GORT_OK) {
        CHECK_EQ(gort_chan_send(request.reply, &request.number), GORT_OK);
        gort_mutex_unlock(request.mutex);
        gort_chan_release(request.reply);
        atomic_fetch_add(&served, 1);
    }
}

struct answer {
    gort_waitgroup_t *asked;
    gort_chan_t *reply;
    int64_t number;
};

/* A goroutine for each answer; its channel is known to nobody but it and a request under way. */
static void take_answer(void *arg) {
    struct answer *answer = arg;
    int64_t number;
    CHECK_EQ(gort_chan_recv(answer->reply, &number), GORT_OK);
    CHECK_EQ(number, answer->number);
    gort_waitgroup_done(answer->asked);
}

static void ask(void *arg) {
    gort_waitgroup_t *clients = arg;
    for (int64_t i = 0; !atomic_load(&stop); i++) {
        gort_waitgroup_t asked = {0};
        gort_mutex_t mutex = {0};
        struct answer answer = {&asked, gort_chan_new(sizeof i, i % 2), i};
        struct request request = {i, gort_chan_retain(answer.reply), &mutex};
        gort_mutex_lock(&mutex);
        gort_waitgroup_add(&asked, 1);
        if (i % 3) {
            CHECK_EQ(gort_spawn_copy(take_answer, &answer, sizeof answer), GORT_OK);
            CHECK_EQ(gort_chan_send(service, &request), GORT_OK);
            gort_waitgroup_wait(&asked);
        } else {
            gort_case_t cases[2] = {{service, &request, GORT_SEND, 0}, {NULL, NULL, GORT_RECV, 0}};
            CHECK_EQ(gort_select(cases, 2), 0);
            take_answer(&answer);
        }
        gort_mutex_lock(&mutex);
        gort_chan_release(answer.reply);
    }
    gort_waitgroup_done(clients);
}

static void *ask_as_a_thread(void *arg) {
    ask(arg);
    return NULL;
}

/* Nobody here is ever stuck for longer than the others take: whoever is named, is named wrongly. */
static void whoever_is_busy_is_never_named(void) {
    static gort_waitgroup_t clients;
    service = gort_chan_new(sizeof(struct request), 2);
    atomic_store(&stop, false);
    for (int i = 0; i < 3; i++)
        spawn_named("busy server", serve, NULL);
    gort_waitgroup_add(&clients, 8);
    for (int i = 0; i < 6; i++)
        spawn_named("busy client", ask, &clients);
    pthread_t threads[2] = {t_thread(ask_as_a_thread, &clients), t_thread(ask_as_a_thread, &clients)};
    int64_t until = 0;
    for (long i = 0; t_again(i, 1000, &until); i++) {
        look();
        const char *named = strstr(report, "busy");
        if (!named)
            named = strstr(report, "take_answer");
        if (named)
            FAIL("one that can wake is named:\n%.800s", named - (named - report > 300 ? 300 : named - report));
        struct timespec nap = {0, 100000};
        nanosleep(&nap, NULL);
    }
    atomic_store(&stop, true);
    gort_waitgroup_wait(&clients);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    gort_chan_close(service);
    CHECK(atomic_load(&served) > 0);
}

static void look_often(void *arg) {
    (void)arg;
    for (int i = 0; i < 5; i++)
        CHECK(gort_leaks(open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0);
}

static void several_may_look_at_once(void) {
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 3; i++) {
        t_go(&done, look_often, NULL);
        t_go_thread(&done, look_often, NULL);
    }
    gort_waitgroup_wait(&done);
}

static void *sleep_in_the_kernel(void *arg) {
    int *ends = arg;
    char byte;
    struct pollfd poll_end = {ends[0], POLLIN, 0};
    atomic_store(&thread_step, 1);
    CHECK_EQ(poll(&poll_end, 1, -1), 1);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    atomic_store(&thread_step, 3);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    return NULL;
}

static void a_system_call_goes_on_as_if_nothing_had_been(void) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    atomic_store(&thread_step, 0);
    pthread_t thread = t_thread(sleep_in_the_kernel, ends);
    await(1);
    for (int i = 0; i < 5; i++)
        look();
    CHECK_EQ(write(ends[1], "x", 1), 1);
    await(3);
    for (int i = 0; i < 5; i++)
        look();
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close(ends[0]);
    close(ends[1]);
}

static void who_cannot_be_told_is_an_error(void) {
    for (int i = 0; i < MANY; i++)
        spawn_named("for nobody", wait_for_ever, NULL);
    SOME_ARE_FOUND("for nobody", MANY);
    CHECK_EQ(gort_leaks(-1), GORT_EBADF);
    errno = 77;
    CHECK(look() > 0);
    CHECK(gort_leaks(-1) < 0);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
}

/* A test that is a process of its own. */
static void run_alone(const char *name, void (*test)(void)) {
    if (t_state.child) {
        t_child_part(name, test);
        return;
    }
    if (!t_wanted(name))
        return;
    atomic_store(&t_state.test, name);
    atomic_fetch_add(&t_state.tests_run, 1);
    const struct t_outcome *outcome = t_spawn_child(name);
    for (int again = 0; again < 5 && WIFEXITED(outcome->status) && WEXITSTATUS(outcome->status) == MISSED; again++)
        outcome = t_spawn_child(name);
    t_check_exit(name, outcome, 0);
}

#define ALONE(test) run_alone(#test, test)

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    if (!t_state.child && gort_leaks(-1) == GORT_EPERM) {
        printf("skipped: threads of this process may not be stopped here\n");
        return 0;
    }
    ALONE(who_cannot_be_told_is_an_error);
    ALONE(senders_whose_receiver_has_returned_are_found);
    ALONE(workers_of_a_pool_that_was_not_closed_are_found);
    ALONE(whoever_waits_for_what_nobody_can_reach_is_found);
    ALONE(a_chain_of_leaked_goroutines_is_found);
    ALONE(two_that_wait_for_each_other_are_found);
    ALONE(arguments_that_were_copied_keep_nobody_alive);
    ALONE(what_a_goroutine_did_before_keeps_it_not_alive);
    ALONE(a_timer_that_was_stopped_wakes_nobody);
    ALONE(leaks_are_marked_in_a_dump);
    ALONE(a_pointer_in_a_variable_counts);
    ALONE(a_pointer_in_malloc_s_memory_counts);
    ALONE(a_pointer_in_a_private_mapping_counts);
    ALONE(a_pointer_in_a_shared_mapping_counts);
    ALONE(a_pointer_that_is_not_aligned_counts);
    ALONE(a_pointer_over_the_edge_of_a_page_counts);
    ALONE(a_pointer_to_the_inside_counts);
    ALONE(a_pointer_with_a_tag_counts);
    ALONE(a_thread_s_stack_counts);
    ALONE(a_thread_local_counts);
    RUN(whoever_waits_for_what_somebody_holds_is_not_named);
    RUN(an_element_in_a_channel_counts);
    RUN(a_goroutine_that_sleeps_counts);
    RUN(a_goroutine_that_runs_counts);
    RUN(the_argument_of_a_timer_counts);
    RUN(whoever_time_will_wake_is_not_named);
    RUN(what_epoll_will_give_back_counts);
    RUN(whoever_is_busy_is_never_named);
    RUN_BOTH(several_may_look_at_once);
    RUN(a_system_call_goes_on_as_if_nothing_had_been);
    return t_end();
}
