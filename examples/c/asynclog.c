/*
 * An asynchronous log: who logs only puts a line into a channel and goes on; one goroutine takes the lines out
 * and writes them, so they never mix and nobody else waits for the terminal. When the buffer is full, log_line
 * waits for room; log_hint drops its line instead, and counts it. Closing the channel flushes: the writer
 * takes what is left, then ends.
 */
#include <gort.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER = 16, SERVICES = 3, REQUESTS = 4 };

struct line {
    char text[80];          /* copied into the channel: the caller's may go away */
};

static struct {
    gort_chan_t *lines;
    gort_waitgroup_t writer;
    atomic_int dropped;
} logger;

static void write_lines(void *arg)
{
    (void)arg;
    struct line line;
    int written = 0;
    while (gort_chan_recv(logger.lines, &line) == GORT_OK) {
        printf("%s\n", line.text);
        written++;
    }
    printf("lines written: %d\n", written);
}

static void log_line(const char *format, ...)
{
    struct line line;
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof line.text, format, args);
    va_end(args);
    gort_chan_send(logger.lines, &line);
}

/* For what is not worth waiting for. */
static void log_hint(const char *text)
{
    struct line line;
    snprintf(line.text, sizeof line.text, "%s", text);
    if (gort_chan_try_send(logger.lines, &line) == GORT_EAGAIN)
        atomic_fetch_add(&logger.dropped, 1);
}

static void serve(void *arg)
{
    const int *number = arg;
    for (int request = 1; request <= REQUESTS; request++)
        log_line("service %d: request %d served", *number, request);
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t services = {0};
    int numbers[SERVICES];
    logger.lines = gort_chan_new(sizeof(struct line), BUFFER);

    /* Nobody takes lines out yet: the buffer fills, and what does not fit is dropped. */
    for (int i = 0; i < BUFFER + 5; i++)
        log_hint("starting");
    printf("hints dropped: %d\n", atomic_load(&logger.dropped));

    int status = gort_waitgroup_go(&logger.writer, write_lines, NULL);
    for (int i = 0; i < SERVICES && status == GORT_OK; i++) {
        numbers[i] = i + 1;
        status = gort_waitgroup_go(&services, serve, &numbers[i]);
    }
    if (status != GORT_OK) {
        fprintf(stderr, "asynclog: %s\n", gort_strerror(status));
        exit(1);
    }
    gort_waitgroup_wait(&services);
    gort_chan_close(logger.lines);
    gort_waitgroup_wait(&logger.writer);
    gort_chan_release(logger.lines);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
