/*
 * A worker with a channel of jobs and a channel that says it is done: main sends five jobs and closes the
 * channel; the worker takes what is left, learns from GORT_ECLOSED that no more will come, and reports.
 */
#include <gort.h>
#include <stdio.h>

struct channels {
    gort_chan_t *jobs;  /* int: the number of a job */
    gort_chan_t *done;  /* no value: the worker has finished */
};

static void worker(void *arg)
{
    const struct channels *channels = arg;
    int job;
    while (gort_chan_recv(channels->jobs, &job) == GORT_OK)
        printf("received job %d\n", job);
    printf("received all jobs\n");
    gort_chan_send(channels->done, NULL);
}

static int run(void *arg)
{
    (void)arg;
    struct channels channels = {
        .jobs = gort_chan_new(sizeof(int), 5),
        .done = gort_chan_new(0, 0),
    };
    int status = gort_spawn(worker, &channels);
    if (status != GORT_OK) {
        fprintf(stderr, "jobs: %s\n", gort_strerror(status));
        return 1;
    }
    for (int job = 1; job <= 5; job++) {
        printf("sent job %d\n", job);
        gort_chan_send(channels.jobs, &job);
    }
    gort_chan_close(channels.jobs);
    printf("sent all jobs\n");
    gort_chan_recv(channels.done, NULL);

    gort_chan_release(channels.jobs);
    gort_chan_release(channels.done);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
