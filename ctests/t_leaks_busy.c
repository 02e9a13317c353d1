/* gort_leaks while everybody is busy: nobody is named, and nobody notices. */
#include "t_leaks.h"

#include <poll.h>

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

int main(int argc, char **argv) {
    LEAKS_BEGIN(argc, argv);
    RUN(whoever_is_busy_is_never_named);
    RUN(a_system_call_goes_on_as_if_nothing_had_been);
    return t_end();
}
