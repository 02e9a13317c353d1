/*
 * A panic that nobody recovers ends the whole process, not only its goroutine: the message and a backtrace on
 * stderr, exit status 2. The goroutine's deferred calls still run first; those of others do not. (safework.c
 * turns the panic into an error instead.)
 */
#include <gort.h>
#include <stdio.h>
#include <stdlib.h>

static void say(const char *text)
{
    printf("%s\n", text);
    fflush(stdout);     /* the process will not come to its end in good order */
}

static void tidy_up(void *arg)
{
    (void)arg;
    say("the deferred call runs");
}

static void work(void *arg)
{
    (void)arg;
    gort_defer(tidy_up, NULL);
    gort_panic("out of paper");
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t worker = {0};
    say("the worker starts");
    int status = gort_waitgroup_go(&worker, work, NULL);
    if (status != GORT_OK) {
        fprintf(stderr, "crash: %s\n", gort_strerror(status));
        exit(1);
    }
    gort_sleep(GORT_FOREVER);
    say("never printed");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
