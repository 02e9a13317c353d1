/* gort_leaks in odd processes and on odd memory: still nobody is named who can wake, and nothing is disturbed. */
#include "t_leaks.h"

#include <sys/epoll.h>
#include <ucontext.h>

/* ---- malloc's lists of free blocks ---- */

/* A block of malloc's whose first bytes nobody ever writes: what stands there is malloc's link to the next free block,
 * from the time when it was free itself. */
struct late {
    char unused[16];
    gort_chan_t *ch;
};

#define BLOCKS 40

static struct late *late[BLOCKS];

static NOINLINE void use_blocks_again(size_t size) {
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(size);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static NOINLINE void plant_in_blocks(const char *name, size_t size) {
    for (int i = 0; i < BLOCKS; i++) {
        late[i] = malloc(size);
        plant(name, &late[i]->ch);
    }
}

/* `size`: of the lists of each thread; too many for those, or too large. */
static NOINLINE void check_blocks(const char *name, size_t size) {
    use_blocks_again(size);
    plant_in_blocks(name, size);
    all_wait();
    NEVER_NAMED(name);
    int before = atomic_load(&woken);
    for (int i = 0; i < BLOCKS; i++) {
        gort_chan_close(late[i]->ch);
        free(late[i]);
    }
    EVENTUALLY(atomic_load(&woken) == before + BLOCKS);
}

static void a_block_whose_first_bytes_were_not_written_counts(void) {
    check_blocks("small block", sizeof(struct late));
    check_blocks("middling block", 120);
    check_blocks("larger block", 600);
}

static NOINLINE void plant_and_free(const char *name, size_t size) {
    for (int i = 0; i < BLOCKS; i++)
        late[i] = malloc(size);
    for (int i = 0; i < BLOCKS; i++)
        plant(name, &late[i]->ch);
    for (int i = 0; i < BLOCKS; i++) {
        gort_chan_release(late[i]->ch);
        free(late[i]);
    }
    memset(late, 0, sizeof late);
}

/* The other half: free blocks look used but for the lists they are in. */
static void what_small_free_blocks_hold_keeps_nobody_alive(void) {
    plant_and_free("freed", sizeof(struct late));
    plant_and_free("freed", 120);
    all_wait();
    /* Most: not only those whose block was used for something else since. */
    UNTIL_FOUND("most of the freed", leaked("freed") > BLOCKS);
}

/* ---- tags ---- */

static const uintptr_t tag = (uintptr_t)UINT64_C(0x12f9) << 48;

#ifdef __x86_64__
/* In a register, with a tag, and nowhere else: what free() has saved is still below the stack pointer. */
static void hold_tagged(void *arg) {
    struct waiter *waiter = arg;
    uintptr_t value = (uintptr_t)waiter->ch ^ tag;
    memset(waiter, 0, sizeof *waiter);
    free(waiter);
    __asm__ volatile("mov $-128, %%rcx\n"
                     "1: movq $0, (%%rsp, %%rcx)\n\t"
                     "add $8, %%rcx\n\t"
                     "jnz 1b\n"
                     "2: pause\n\t"
                     "cmpl $2, %1\n\t"
                     "jne 2b\n\t"
                     : "+&r"(value)
                     : "m"(thread_step)
                     : "rcx", "memory", "cc");
    gort_chan_t *ch = (gort_chan_t *)(value ^ tag);
    CHECK_EQ(gort_chan_send(ch, NULL), GORT_OK);
    gort_chan_release(ch);
}

static NOINLINE void plant_with_a_holder(const char *name, gort_fn_t holder) {
    gort_chan_t *ch;
    plant(name, &ch);
    spawn_waiter("holder", holder, ch);
}
#endif

static void a_tagged_pointer_in_a_register_counts(void) {
#ifdef __x86_64__
    atomic_store(&thread_step, 1);
    int before = atomic_load(&woken);
    plant_with_a_holder("tagged register", hold_tagged);
    gort_sleep(5 * T_MS);
    NEVER_NAMED("tagged register");
    atomic_store(&thread_step, 2);
    EVENTUALLY(atomic_load(&woken) == before + 1);
#endif
}

static int events, quiet_pipe[2];

/* It has a pointer to its record, which so is not taken for lost. */
static void hold_itself(void *arg) {
    struct waiter *volatile mine = arg;
    gort_chan_recv(mine->ch, NULL);
    gort_chan_release(mine->ch);
    free(mine);
    atomic_fetch_add(&woken, 1);
}

static NOINLINE void plant_itself_in_epoll(void) {
    struct waiter *waiter = malloc(sizeof *waiter);
    waiter->number = 1;
    waiter->ch = gort_chan_new(0, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uintptr_t)waiter ^ tag};
    CHECK_EQ(epoll_ctl(events, EPOLL_CTL_ADD, quiet_pipe[0], &event), 0);
    spawn_named("tagged for epoll", hold_itself, waiter);
}

static void a_tagged_pointer_that_epoll_will_give_back_counts(void) {
    events = epoll_create1(EPOLL_CLOEXEC);
    CHECK_EQ(pipe(quiet_pipe), 0);
    int before = atomic_load(&woken);
    plant_itself_in_epoll();
    all_wait();
    NEVER_NAMED("tagged for epoll");
    CHECK_EQ(write(quiet_pipe[1], "x", 1), 1);
    struct epoll_event event;
    CHECK_EQ(epoll_wait(events, &event, 1, -1), 1);
    gort_chan_close(((struct waiter *)(uintptr_t)(event.data.u64 ^ tag))->ch);
    EVENTUALLY(atomic_load(&woken) == before + 1);
    close(events);
    close(quiet_pipe[0]);
    close(quiet_pipe[1]);
}

/* ---- mappings ---- */

/* What was written once and only read since. */
static void shared_memory_that_is_only_read_by_now_counts(void) {
    gort_chan_t **table = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(table != MAP_FAILED);
    int before = atomic_load(&woken);
    for (int i = 0; i < MANY; i++)
        plant("read only", &table[i]);
    CHECK_EQ(mprotect(table, 4096, PROT_READ), 0);
    all_wait();
    NEVER_NAMED("read only");
    for (int i = 0; i < MANY; i++)
        gort_chan_close(table[i]);
    EVENTUALLY(atomic_load(&woken) == before + MANY);
    munmap(table, 4096);
}

/* ---- stacks ---- */

static ucontext_t outside, inside;
static gort_chan_t *foreign;
static void *foreign_stack;

static void wait_on_a_foreign_stack(void) {
    gort_chan_recv(foreign, NULL);
    gort_sleep(400 * T_MS);
}

static void switch_to_a_foreign_stack(void *arg) {
    (void)arg;
    CHECK_EQ(getcontext(&inside), 0);
    inside.uc_stack.ss_sp = foreign_stack;
    inside.uc_stack.ss_size = 64 << 10;
    inside.uc_link = &outside;
    makecontext(&inside, wait_on_a_foreign_stack, 0);
    CHECK_EQ(swapcontext(&outside, &inside), 0);
    atomic_fetch_add(&woken, 1); /* here, and not there: the stack and what leads back from it are free for the next */
}

/* A coroutine of the program's own, in a goroutine, that waits: for a channel, then for time. */
static void check_foreign_stack(void *memory) {
    foreign_stack = memory;
    foreign = gort_chan_new(0, 0);
    int before = atomic_load(&woken);
    gort_spawn_options_t options = GORT_SPAWN_OPTIONS_INIT;
    options.name = "elsewhere";
    options.flags = GORT_SPAWN_PINNED;
    CHECK_EQ(gort_spawn_with(&options, switch_to_a_foreign_stack, NULL), GORT_OK);
    all_wait();
    NEVER_NAMED("elsewhere");
    CHECK_EQ(gort_chan_send(foreign, NULL), GORT_OK);
    NEVER_NAMED("elsewhere");
    EVENTUALLY(atomic_load(&woken) == before + 1);
    gort_chan_release(foreign);
}

static void a_goroutine_may_wait_on_another_stack(void) {
    void *memory = malloc(64 << 10);
    check_foreign_stack(memory);
    free(memory);
    memory = mmap(NULL, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    check_foreign_stack(memory);
    munmap(memory, 64 << 10);
}

#ifdef __x86_64__
static atomic_long depth;

/* Deeper and deeper, without touching any of it, down into the guard. */
static void stand_deep(void *arg) {
    (void)arg;
    for (long at = 0; (at = atomic_load(&depth)) >= 0;)
        __asm__ volatile("mov %%rsp, %%rbx\n\t"
                         "sub %0, %%rsp\n\t"
                         "1: pause\n\t"
                         "cmpq %0, %1\n\t"
                         "je 1b\n\t"
                         "mov %%rbx, %%rsp\n\t"
                         :
                         : "r"(at), "m"(depth)
                         : "rbx", "memory", "cc");
    atomic_fetch_add(&woken, 1);
}
#endif

static void a_stack_pointer_in_the_guard_disturbs_nobody(void) {
#ifdef __x86_64__
    int before = atomic_load(&woken);
    gort_spawn_options_t options = GORT_SPAWN_OPTIONS_INIT;
    options.name = "deep";
    options.stack_size = 128 << 10;
    CHECK_EQ(gort_spawn_with(&options, stand_deep, NULL), GORT_OK);
    for (long at = 48 << 10; at < 128 << 10; at += 2032) {
        atomic_store(&depth, at);
        gort_sleep(T_MS);
        CHECK(look() >= 0);
    }
    atomic_store(&depth, -1);
    EVENTUALLY(atomic_load(&woken) == before + 1);
#endif
}

static int null;

static void *look_and_dump(void *arg) {
    (void)arg;
    CHECK(gort_leaks(null) >= 0);
    CHECK_EQ(gort_dump(null), GORT_OK);
    return NULL;
}

static void wait_for_ever(void *arg) {
    (void)arg;
    gort_select(NULL, 0);
}

static void a_thread_with_a_small_stack_may_ask(void) {
    spawn_named("for ever", wait_for_ever, NULL);
    all_wait();
    pthread_attr_t small;
    pthread_t thread;
    CHECK_EQ(pthread_attr_init(&small), 0);
    CHECK_EQ(pthread_attr_setstacksize(&small, 16 << 10), 0);
    CHECK_EQ(pthread_create(&thread, &small, look_and_dump, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- the process ---- */

static gort_chan_t *held[MANY];

static void *look_without_a_first_thread(void *arg) {
    CHECK_EQ(pthread_join(*(pthread_t *)arg, NULL), 0);
    NEVER_NAMED("of the dead");
    for (int i = 0; i < MANY; i++)
        gort_chan_close(held[i]);
    EVENTUALLY(atomic_load(&woken) == MANY);
    _exit(0);
}

/* Its entries in /proc are empty then. */
static void without_a_first_thread(void) {
    static pthread_t me;
    me = pthread_self();
    for (int i = 0; i < MANY; i++)
        plant("of the dead", &held[i]);
    all_wait();
    t_thread(look_without_a_first_thread, &me);
    pthread_exit(NULL);
}

static void the_first_thread_may_have_ended(void) { CHILD_EXITS(without_a_first_thread, 0); }

static void with_little_address_space(void) {
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%ld", &pages) == 1);
    fclose(statm);
    plant("limited", &held[0]);
    all_wait();
    struct rlimit limit = {(rlim_t)pages * 4096 + (256 << 20), RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    NEVER_NAMED("limited");
}

static void little_address_space_is_enough(void) { CHILD_EXITS(with_little_address_space, 0); }

static void *ask_though_cancelled(void *arg) {
    CHECK_EQ(pthread_cancel(pthread_self()), 0);
    look_and_dump(NULL);
    atomic_store((atomic_bool *)arg, true);
    pthread_testcancel();
    return NULL;
}

static void to_ask_is_no_point_of_cancellation(void) {
    static atomic_bool asked;
    void *result;
    for (int i = 0; i < 3; i++) {
        atomic_store(&asked, false);
        spawn_named("for ever", wait_for_ever, NULL);
        pthread_t thread = t_thread(ask_though_cancelled, &asked);
        CHECK_EQ(pthread_join(thread, &result), 0);
        CHECK(atomic_load(&asked) && result == PTHREAD_CANCELED);
    }
}

int main(int argc, char **argv) {
    LEAKS_BEGIN(argc, argv);
    T_CHILD(without_a_first_thread);
    T_CHILD(with_little_address_space);
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(null >= 0);
    ALONE(what_small_free_blocks_hold_keeps_nobody_alive);
    RUN(a_block_whose_first_bytes_were_not_written_counts);
    RUN(a_tagged_pointer_in_a_register_counts);
    RUN(a_tagged_pointer_that_epoll_will_give_back_counts);
    RUN(shared_memory_that_is_only_read_by_now_counts);
    RUN(a_goroutine_may_wait_on_another_stack);
    RUN(a_stack_pointer_in_the_guard_disturbs_nobody);
    RUN(a_thread_with_a_small_stack_may_ask);
    RUN(the_first_thread_may_have_ended);
    RUN(little_address_space_is_enough);
    RUN(to_ask_is_no_point_of_cancellation);
    return t_end();
}
