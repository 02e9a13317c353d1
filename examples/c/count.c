/*
 * 100,000 goroutines, each of which adds one to a counter behind a mutex. A goroutine costs little more
 * than the memory it touches, so a hundred thousand at once are nothing special.
 */
#include <gort.h>
#include <stdio.h>

enum { GOROUTINES = 100000 };

struct counter {
    gort_mutex_t lock;
    long value;
};

static void add_one(void *arg)
{
    struct counter *counter = arg;
    gort_mutex_lock(&counter->lock);
    counter->value++;
    gort_mutex_unlock(&counter->lock);
}

static int run(void *arg)
{
    (void)arg;
    struct counter counter = {0};
    gort_waitgroup_t all = {0};
    int started = 0;
    for (int i = 0; i < GOROUTINES; i++) {
        if (gort_waitgroup_go(&all, add_one, &counter) == GORT_OK)
            started++;
    }
    gort_waitgroup_wait(&all);
    printf("%d goroutines counted to %ld\n", started, counter.value);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
