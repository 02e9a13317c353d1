/*
 * The litmus test of the books: one goroutine sets x and reads y, the other sets y and reads x. Without a
 * lock that is a data race: processors delay stores, so each may read 0, which no order of the four steps
 * explains. With a mutex the one section comes wholly before the other: whoever comes second sees the first
 * one's store, and the first cannot see the second one's.
 */
#include <gort.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 20000 };

struct round {
    gort_mutex_t lock;
    int x, y;
    int saw_x, saw_y;
};

static void set_x(void *arg)
{
    struct round *round = arg;
    gort_mutex_lock(&round->lock);
    round->x = 1;
    round->saw_y = round->y;
    gort_mutex_unlock(&round->lock);
}

static void set_y(void *arg)
{
    struct round *round = arg;
    gort_mutex_lock(&round->lock);
    round->y = 1;
    round->saw_x = round->x;
    gort_mutex_unlock(&round->lock);
}

static int run(void *arg)
{
    (void)arg;
    int seen[2][2] = {{0}};
    for (int i = 0; i < ROUNDS; i++) {
        struct round round = {0};
        gort_waitgroup_t both = {0};
        int status = gort_waitgroup_go(&both, i % 2 ? set_x : set_y, &round);
        if (status == GORT_OK)
            status = gort_waitgroup_go(&both, i % 2 ? set_y : set_x, &round);
        if (status != GORT_OK) {
            fprintf(stderr, "litmus: %s\n", gort_strerror(status));
            exit(1);
        }
        /* What they did comes before the wait's return, so main needs no lock to read it. */
        gort_waitgroup_wait(&both);
        seen[round.saw_x][round.saw_y]++;
    }
    printf("%d rounds\n", ROUNDS);
    printf("one saw the other: %d\n", seen[0][1] + seen[1][0]);
    printf("neither saw the other: %d\n", seen[0][0]);
    printf("each saw the other: %d\n", seen[1][1]);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
