/*
 * Ten goroutines and a wait group: each prints its number, in whatever order they run, and main waits
 * until the last one is done. gort_waitgroup_go counts the goroutine in and, when it ends, out.
 */
#include <gort.h>
#include <stdio.h>

static void report(void *arg)
{
    const int *number = arg;
    printf("goroutine %d\n", *number);
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t all = {0};
    int numbers[10];    /* lives until the wait below has returned, so its elements may be handed out */
    for (int i = 0; i < 10; i++) {
        numbers[i] = i + 1;
        int status = gort_waitgroup_go(&all, report, &numbers[i]);
        if (status != GORT_OK)
            fprintf(stderr, "ten: no goroutine %d: %s\n", i + 1, gort_strerror(status));
    }
    gort_waitgroup_wait(&all);
    printf("waited for all of them\n");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
