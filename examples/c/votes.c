/*
 * Votes counted with a condition variable. The election is decided as soon as a majority has said yes, and
 * hold_election returns then, while late voters are still on their way: what they share with it cannot lie on
 * its stack. It lies on the heap and counts its users; whoever is done with it last frees it. (In Go the
 * closure captures the variables, and the garbage collector does the counting.)
 */
#include <gort.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { VOTERS = 10, MAJORITY = VOTERS / 2 + 1 };

struct election {
    gort_mutex_t lock;
    gort_cond_t changed;        /* signalled when one of these two has changed: */
    int votes, finished;
    atomic_int users;
    gort_chan_t *over;          /* closed when the election is freed */
};

struct voter {
    struct election *election;
    int number;
};

static void leave(struct election *election)
{
    if (atomic_fetch_sub(&election->users, 1) == 1) {
        gort_chan_close(election->over);
        gort_chan_release(election->over);
        free(election);
    }
}

static void vote(void *arg)
{
    const struct voter *voter = arg;
    struct election *election = voter->election;
    bool yes = voter->number % 4 != 0;
    gort_sleep(voter->number * GORT_MILLISECOND);       /* as long as it takes to ask a voter far away */

    gort_mutex_lock(&election->lock);
    election->votes += yes;
    election->finished++;
    gort_cond_broadcast(&election->changed);
    gort_mutex_unlock(&election->lock);
    leave(election);
}

/* Asks all voters; returns as soon as the result is certain. */
static bool hold_election(gort_chan_t *over)
{
    struct election *election = calloc(1, sizeof *election);
    if (election == NULL)
        exit(1);
    election->over = gort_chan_retain(over);
    atomic_init(&election->users, 1);
    for (int i = 0; i < VOTERS; i++) {
        struct voter voter = { election, i };
        atomic_fetch_add(&election->users, 1);
        int status = gort_spawn_copy(vote, &voter, sizeof voter);
        if (status != GORT_OK) {
            fprintf(stderr, "votes: %s\n", gort_strerror(status));
            exit(1);
        }
    }

    gort_mutex_lock(&election->lock);
    while (election->votes < MAJORITY && election->finished < VOTERS)
        gort_cond_wait(&election->changed, &election->lock);
    bool won = election->votes >= MAJORITY;
    gort_mutex_unlock(&election->lock);
    leave(election);
    return won;
}

static int run(void *arg)
{
    (void)arg;
    gort_chan_t *over = gort_chan_new(0, 0);
    printf("the election is %s\n", hold_election(over) ? "won" : "lost");
    gort_chan_recv(over, NULL);
    printf("the last of %d voters is through\n", VOTERS);
    gort_chan_release(over);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
