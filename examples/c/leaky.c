/* Two leaks, each with the version that does not leak, and how they are found.
 *
 * 1. first_of_three asks three mirrors and takes the first answer. Its channel has no room: the other two wait for
 *    ever for somebody to take theirs. With room for all three, they leave their answer there and end.
 * 2. A worker reads jobs until the channel is closed. Nobody closes it.
 *
 * The leaks are found when all is done: gort_leaks names goroutines that can never wake. It may miss one, where a
 * channel's address is left over in memory and looks like one in use. So each leak is made several times, and what leaks
 * is called in functions of its own, and what they leave on the stack is overwritten before the search. */
#include "gort.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

enum { TIMES = 10 };

static NOINLINE void forget(void) {
    volatile char frame[16384];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = 0;
}

struct request {
    int mirror;
    gort_chan_t *answers;
};

static void ask(void *arg) {
    struct request *request = arg;
    int answer = 10 * request->mirror;
    gort_chan_send(request->answers, &answer);
    gort_chan_release(request->answers);
}

static NOINLINE int first_of_three(size_t room) {
    gort_chan_t *answers = gort_chan_new(sizeof(int), room);
    for (int mirror = 1; mirror <= 3; mirror++) {
        struct request request = {mirror, gort_chan_retain(answers)};
        if (gort_spawn_copy(ask, &request, sizeof request))
            abort();
    }
    int answer = 0;
    gort_chan_recv(answers, &answer);
    gort_chan_release(answers);
    return answer;
}

struct pool {
    gort_chan_t *jobs;
    gort_chan_t *results;
};

static void square(void *arg) {
    struct pool *pool = arg;
    int job;
    while (gort_chan_recv(pool->jobs, &job) == GORT_OK) {
        job *= job;
        gort_chan_send(pool->results, &job);
    }
    gort_chan_release(pool->jobs);
    gort_chan_release(pool->results);
}

static NOINLINE int sum_of_squares(int n, bool close) {
    gort_chan_t *jobs = gort_chan_new(sizeof(int), 0);
    gort_chan_t *results = gort_chan_new(sizeof(int), 0);
    struct pool pool = {gort_chan_retain(jobs), gort_chan_retain(results)};
    if (gort_spawn_copy(square, &pool, sizeof pool))
        abort();
    int sum = 0;
    for (int i = 1; i <= n; i++) {
        int result;
        gort_chan_send(jobs, &i);
        gort_chan_recv(results, &result);
        sum += result;
    }
    if (close)
        gort_chan_close(jobs);
    gort_chan_release(jobs);
    gort_chan_release(results);
    return sum;
}

/* Are there leaked goroutines that have called `function`? */
static NOINLINE bool find(const char *function) {
    static char report[65536];
    FILE *file = tmpfile();
    if (!file)
        abort();
    int found = gort_leaks(fileno(file));
    if (found < 0) {
        printf("no telling: %s\n", gort_strerror(found));
        exit(1);
    }
    rewind(file);
    report[fread(report, 1, sizeof report - 1, file)] = '\0';
    fclose(file);
    return strstr(report, function) != NULL;
}

/* Goroutines that are about to wait, or to end, are given the time to. */
static void check(const char *what, const char *function, bool expected) {
    bool found = !expected;
    for (int i = 0; i < 500 && found != expected; i++) {
        gort_sleep(5 * GORT_MILLISECOND);
        forget();
        found = find(function);
    }
    printf("%s: found leaked goroutines: %s\n", what, found ? "yes" : "no");
}

static int run(void *arg) {
    (void)arg;
    int answers = 0, sum = 0;
    for (int i = 0; i < TIMES; i++) {
        answers += first_of_three(3) != 0;
        sum += sum_of_squares(4, true);
    }
    printf("%d answers, squares: %d\n", answers, sum);
    check("safe", "goroutine", false);
    for (int i = 0; i < TIMES; i++)
        answers += first_of_three(0) != 0;
    check("the first of three, without room", "ask(", true);
    for (int i = 0; i < TIMES; i++)
        sum += sum_of_squares(4, false);
    check("a pool that nobody closes", "square(", true);
    printf("%d answers, squares: %d\n", answers, sum);
    return 0;
}

int main(void) { return gort_main(run, NULL); }
