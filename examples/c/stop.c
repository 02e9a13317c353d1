/*
 * Three ways to stop a goroutine that works for ever: a flag behind a mutex, which it looks at before each
 * round; a channel that is closed, which ends even its sleep between rounds; and a context, which is such a
 * channel and more: it may end by a deadline or with its parent, and says why. Nobody can stop a goroutine from
 * outside: it must look.
 */
#include <gort.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct job {
    gort_chan_t *rounds;    /* no value: one for each round of work */
    gort_mutex_t lock;
    bool stop;              /* guarded by lock: the first way */
    gort_chan_t *done;      /* closed: the second way */
    gort_ctx_t *ctx;        /* the third way */
};

static void work_while_no_flag(void *arg)
{
    struct job *job = arg;
    for (;;) {
        gort_mutex_lock(&job->lock);
        bool stop = job->stop;
        gort_mutex_unlock(&job->lock);
        if (stop)
            return;
        gort_chan_try_send(job->rounds, NULL);
        gort_sleep(GORT_MILLISECOND);
    }
}

static void work_until_done(void *arg)
{
    struct job *job = arg;
    for (;;) {
        gort_chan_try_send(job->rounds, NULL);
        /* Sleeps for an hour, or until somebody closes the channel. Nobody ever sends on it. */
        if (gort_chan_recv_until(job->done, NULL, gort_now() + 60 * GORT_MINUTE) == GORT_ECLOSED)
            return;
    }
}

static void work_while_wanted(void *arg)
{
    struct job *job = arg;
    while (gort_ctx_err(job->ctx) == GORT_OK) {
        gort_chan_try_send(job->rounds, NULL);
        gort_chan_recv_until(gort_ctx_done(job->ctx), NULL, gort_now() + GORT_MILLISECOND);
    }
}

static void start(gort_waitgroup_t *running, gort_fn_t fn, struct job *job)
{
    int status = gort_waitgroup_go(running, fn, job);
    if (status != GORT_OK) {
        fprintf(stderr, "stop: %s\n", gort_strerror(status));
        exit(1);
    }
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t running = {0};
    struct job job = { .rounds = gort_chan_new(0, 1), .done = gort_chan_new(0, 0) };

    start(&running, work_while_no_flag, &job);
    for (int i = 0; i < 3; i++)
        gort_chan_recv(job.rounds, NULL);
    gort_mutex_lock(&job.lock);
    job.stop = true;
    gort_mutex_unlock(&job.lock);
    gort_waitgroup_wait(&running);
    printf("stopped by a flag after at least 3 rounds\n");

    while (gort_chan_try_recv(job.rounds, NULL) == GORT_OK)
        ;
    start(&running, work_until_done, &job);
    gort_chan_recv(job.rounds, NULL);
    gort_chan_close(job.done);
    gort_waitgroup_wait(&running);
    printf("stopped by a closed channel, in its sleep\n");

    while (gort_chan_try_recv(job.rounds, NULL) == GORT_OK)
        ;
    gort_ctx_t *parent = gort_ctx_with_cancel(gort_ctx_background());
    job.ctx = gort_ctx_with_timeout(parent, GORT_MINUTE);
    start(&running, work_while_wanted, &job);
    for (int i = 0; i < 3; i++)
        gort_chan_recv(job.rounds, NULL);
    gort_ctx_cancel(parent);
    gort_waitgroup_wait(&running);
    printf("stopped by a context, whose parent was cancelled: %s\n", gort_strerror(gort_ctx_err(job.ctx)));
    gort_ctx_release(job.ctx);
    gort_ctx_release(parent);

    gort_chan_release(job.rounds);
    gort_chan_release(job.done);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
