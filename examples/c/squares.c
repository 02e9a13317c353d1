/*
 * Squares into a shared array: every goroutine writes one element and no other, so no lock is needed.
 * The wait group makes what they wrote visible to the goroutine that waited.
 */
#include <gort.h>
#include <stdio.h>

enum { N = 12 };

static void square(void *arg)
{
    long *element = arg;
    *element *= *element;
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t all = {0};
    long squares[N];
    for (int i = 0; i < N; i++) {
        squares[i] = i + 1;
        int status = gort_waitgroup_go(&all, square, &squares[i]);
        if (status != GORT_OK) {
            fprintf(stderr, "squares: %s\n", gort_strerror(status));
            break;
        }
    }
    gort_waitgroup_wait(&all);
    for (int i = 0; i < N; i++)
        printf("%d squared is %ld\n", i + 1, squares[i]);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
