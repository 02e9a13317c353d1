/*
 * A download simulator: three workers share a channel of files, each takes the next one when it is done with
 * its last, and reports on another channel. Main prints the reports in the order of the files, whatever the
 * order in which they come, and closes the channel of files to send the workers home.
 */
#include <gort.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 3, FILES = 9, CHUNK = 64 };

struct file {
    int number;
    int kilobytes;
};

struct report {
    struct file file;
    int chunks;
    int worker;
};

struct worker {
    int number;
    gort_chan_t *files;     /* struct file */
    gort_chan_t *reports;   /* struct report */
};

static void download(void *arg)
{
    const struct worker *worker = arg;
    struct report report = { .worker = worker->number };
    while (gort_chan_recv(worker->files, &report.file) == GORT_OK) {
        report.chunks = 0;
        for (int got = 0; got < report.file.kilobytes; got += CHUNK) {
            gort_sleep(GORT_MILLISECOND / 2);       /* the network */
            report.chunks++;
        }
        gort_chan_send(worker->reports, &report);
    }
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t pool = {0};
    gort_chan_t *files = gort_chan_new(sizeof(struct file), FILES);
    gort_chan_t *reports = gort_chan_new(sizeof(struct report), WORKERS);
    struct worker workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){ i, files, reports };
        int status = gort_waitgroup_go(&pool, download, &workers[i]);
        if (status != GORT_OK) {
            fprintf(stderr, "download: %s\n", gort_strerror(status));
            exit(1);
        }
    }
    for (int i = 0; i < FILES; i++) {
        struct file file = { i, 100 + 250 * (i % 4) };
        gort_chan_send(files, &file);
    }
    gort_chan_close(files);

    struct report by_file[FILES];
    int by_worker[WORKERS] = {0}, total = 0;
    for (int i = 0; i < FILES; i++) {
        struct report report;
        gort_chan_recv(reports, &report);
        by_file[report.file.number] = report;
        by_worker[report.worker]++;
        total += report.file.kilobytes;
    }
    gort_waitgroup_wait(&pool);
    for (int i = 0; i < FILES; i++)
        printf("file %d: %d KB in %d chunks\n", i + 1, by_file[i].file.kilobytes, by_file[i].chunks);
    printf("%d workers fetched %d files, %d KB\n", WORKERS, by_worker[0] + by_worker[1] + by_worker[2], total);
    gort_chan_release(files);
    gort_chan_release(reports);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
