/* gort_leaks: whoever can never wake is found, whatever it waits for. */
#include "t_leaks.h"

#include <errno.h>

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

int main(int argc, char **argv) {
    LEAKS_BEGIN(argc, argv);
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
    RUN(whoever_waits_for_what_somebody_holds_is_not_named);
    RUN_BOTH(several_may_look_at_once);
    return t_end();
}
