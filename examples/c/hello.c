/*
 * Hello over a channel: a goroutine sends a greeting, the main goroutine receives it and prints it.
 * The channel has no buffer, so the receive is also the wait for the sender.
 */
#include <gort.h>
#include <stdio.h>

static void greeter(void *arg)
{
    gort_chan_t *greetings = arg;
    const char *text = "hello from a goroutine";
    gort_chan_send(greetings, &text);
}

static int run(void *arg)
{
    (void)arg;
    const char *text;
    gort_chan_t *greetings = gort_chan_new(sizeof text, 0);
    int status = gort_spawn(greeter, greetings);
    if (status == GORT_OK)
        status = gort_chan_recv(greetings, &text);
    if (status == GORT_OK)
        printf("%s\n", text);
    else
        fprintf(stderr, "hello: %s\n", gort_strerror(status));
    gort_chan_release(greetings);
    return status == GORT_OK ? 0 : 1;
}

int main(void)
{
    return gort_main(run, NULL);
}
