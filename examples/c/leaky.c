/* Two leaks, each with the version that does not leak, and how they are found.
 *
 * 1. first_of_three asks three mirrors and takes the first answer. Its channel has no room: the other two wait for
 *    ever for somebody to take theirs. With room for all three, they leave their answer there and end.
 * 2. A worker reads jobs until the channel is closed. Nobody closes it.
 *
 * The leaks are found when all is done: gort_leaks names goroutines that can never wake. */
#include "gort.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A channel's address that is left over in memory looks like one in use. So what leaks here is called in functions of
 * its own, and what they leave on the stack is overwritten before the search. */
#define NOINLINE __attribute__((noinline))

static NOINLINE void overwrite(size_t from) {
    volatile char frame[16384];
    for (size_t i = from; i < sizeof frame; i++)
        frame[i] = 0;
}

/* Twice, in frames that begin at different places: each has its gaps. */
static NOINLINE void forget(void) {
    overwrite(0);
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

/* How many leaks there are; the report goes to `text`. */
static NOINLINE int find(char *text, size_t size) {
    int ends[2];
    if (pipe(ends))
        abort();
    int found = gort_leaks(ends[1]);
    close(ends[1]);
    ssize_t length = read(ends[0], text, size - 1);
    text[length < 0 ? 0 : length] = '\0';
    close(ends[0]);
    if (found < 0) {
        printf("no telling: %s\n", gort_strerror(found));
        exit(1);
    }
    return found;
}

/* Goroutines that are about to wait, or to end, are given the time to. */
static void check(const char *what, int expected) {
    static char report[65536];
    int found = -1;
    for (int i = 0; i < 500 && found != expected; i++) {
        gort_sleep(5 * GORT_MILLISECOND);
        forget();
        overwrite(0);
        found = find(report, sizeof report);
    }
    printf("%s: %d leaked\n", what, found);
    for (char *line = strtok(report, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, "goroutine ", 10) == 0)
            printf("  a goroutine %s\n", strchr(line, '['));
}

static int run(void *arg) {
    (void)arg;
    printf("an answer: %s\n", first_of_three(3) ? "yes" : "no");
    printf("squares: %d\n", sum_of_squares(4, true));
    forget();
    overwrite(0);
    check("safe", 0);
    printf("an answer: %s\n", first_of_three(0) ? "yes" : "no");
    forget();
    overwrite(0);
    check("the first of three, without room", 2);
    printf("squares: %d\n", sum_of_squares(4, false));
    forget();
    overwrite(0);
    check("and a pool that nobody closes", 3);
    return 0;
}

int main(void) { return gort_main(run, NULL); }
