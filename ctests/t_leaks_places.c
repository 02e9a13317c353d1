/* gort_leaks names nobody to whom there is a pointer, wherever that is; most of them once it is gone. */
#include "t_leaks.h"

#include <sys/epoll.h>

static gort_chan_t *places[MANY];

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

int main(int argc, char **argv) {
    LEAKS_BEGIN(argc, argv);
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
    RUN(an_element_in_a_channel_counts);
    RUN(a_goroutine_that_sleeps_counts);
    RUN(a_goroutine_that_runs_counts);
    RUN(the_argument_of_a_timer_counts);
    RUN(whoever_time_will_wake_is_not_named);
    RUN(what_epoll_will_give_back_counts);
    return t_end();
}
