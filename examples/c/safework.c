/*
 * Safe work: a panic in one job becomes that job's error, and the other jobs go on. gort_try calls the job as Go
 * calls a function; the deferred call recovers and writes down what it was. What the deferred call writes to lies
 * in the caller's frame: that of the function that panicked is gone by then. (crash.c shows the same without.)
 */
#include <gort.h>
#include <stdio.h>
#include <stdlib.h>

enum { JOBS = 5 };

struct job {
    int number;
    int divisor;
    int result;
    char error[64];     /* empty: the result counts */
};

static int divide(int a, int b)
{
    if (b == 0)
        gort_panic("integer divide by zero");
    return a / b;
}

static void note_panic(void *arg)
{
    struct job *job = arg;
    const char *message = gort_recover();
    if (message != NULL)
        snprintf(job->error, sizeof job->error, "job %d: %s", job->number, message);
}

static void work(void *arg)
{
    struct job *job = arg;
    gort_defer(note_panic, job);
    if (job->number == 4)
        gort_panic("out of paper");
    job->result = divide(100, job->divisor);
}

static void safe_work(void *arg)
{
    struct job *job = arg;
    int status = gort_try(work, job);
    if (status != GORT_OK && status != GORT_EPANIC)
        snprintf(job->error, sizeof job->error, "job %d: %s", job->number, gort_strerror(status));
}

static int run(void *arg)
{
    (void)arg;
    struct job jobs[JOBS];
    gort_waitgroup_t all = {0};
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){ .number = i + 1, .divisor = i == 2 ? 0 : i + 1 };
        int status = gort_waitgroup_go(&all, safe_work, &jobs[i]);
        if (status != GORT_OK) {
            fprintf(stderr, "safework: %s\n", gort_strerror(status));
            exit(1);
        }
    }
    gort_waitgroup_wait(&all);
    for (int i = 0; i < JOBS; i++) {
        if (jobs[i].error[0])
            printf("failed: %s\n", jobs[i].error);
        else
            printf("job %d: 100 / %d = %d\n", jobs[i].number, jobs[i].divisor, jobs[i].result);
    }
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
