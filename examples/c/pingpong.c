/*
 * Ping-pong until a deadline: two players hit a ball over a channel without a buffer, the table. After a
 * tenth of a second the referee takes the ball off the table and closes it. The number of hits depends on
 * the machine and goes to stderr; that they took turns does not.
 */
#include <gort.h>
#include <stdio.h>
#include <stdlib.h>

struct ball {
    long hits;
};

struct player {
    gort_chan_t *table;     /* struct ball */
    long hits;
};

static void play(void *arg)
{
    struct player *player = arg;
    struct ball ball;
    while (gort_chan_recv(player->table, &ball) == GORT_OK) {
        ball.hits++;
        player->hits++;
        /* The referee receives too: the ball always finds a taker before the table is closed. */
        gort_chan_send(player->table, &ball);
    }
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t players = {0};
    gort_chan_t *table = gort_chan_new(sizeof(struct ball), 0);
    struct player ping = { table, 0 }, pong = { table, 0 };
    int status = gort_waitgroup_go(&players, play, &ping);
    if (status == GORT_OK)
        status = gort_waitgroup_go(&players, play, &pong);
    if (status != GORT_OK) {
        fprintf(stderr, "pingpong: %s\n", gort_strerror(status));
        exit(1);
    }

    struct ball ball = {0};
    int64_t deadline = gort_now() + 100 * INT64_C(1000000);
    gort_chan_send(table, &ball);
    gort_sleep(deadline - gort_now());
    gort_chan_recv(table, &ball);   /* game over; the players wait for a ball that will not come */
    gort_chan_close(table);
    gort_waitgroup_wait(&players);

    long difference = ping.hits - pong.hits;
    fprintf(stderr, "%ld hits\n", ball.hits);
    printf("ball and players agree: %s\n", ball.hits == ping.hits + pong.hits ? "yes" : "no");
    printf("ping and pong took turns: %s\n", difference >= -1 && difference <= 1 ? "yes" : "no");
    gort_chan_release(table);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
