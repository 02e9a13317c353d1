/*
 * Baker and icer: a cake is never shared, it is passed on. Whoever received the pointer owns the cake
 * until it sends it along (serial confinement), so no lock guards its fields.
 */
#include <gort.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAKES = 5 };

struct cake {
    int number;
    const char *state;
};

struct kitchen {
    gort_chan_t *cooked;    /* struct cake *: from the baker to the icer */
    gort_chan_t *iced;      /* struct cake *: from the icer to the shop */
};

static void baker(void *arg)
{
    const struct kitchen *kitchen = arg;
    for (int i = 1; i <= CAKES; i++) {
        struct cake *cake = malloc(sizeof *cake);
        if (cake == NULL)
            break;
        cake->number = i;
        cake->state = "cooked";
        gort_chan_send(kitchen->cooked, &cake);     /* from here on the cake is the icer's */
    }
    gort_chan_close(kitchen->cooked);
}

static void icer(void *arg)
{
    const struct kitchen *kitchen = arg;
    struct cake *cake;
    while (gort_chan_recv(kitchen->cooked, &cake) == GORT_OK) {
        cake->state = "cooked and iced";
        gort_chan_send(kitchen->iced, &cake);
    }
    gort_chan_close(kitchen->iced);
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t staff = {0};
    struct kitchen kitchen = {
        .cooked = gort_chan_new(sizeof(struct cake *), 1),
        .iced = gort_chan_new(sizeof(struct cake *), 1),
    };
    int status = gort_waitgroup_go(&staff, baker, &kitchen);
    if (status == GORT_OK)
        status = gort_waitgroup_go(&staff, icer, &kitchen);
    if (status != GORT_OK) {
        fprintf(stderr, "cakes: %s\n", gort_strerror(status));
        exit(1);
    }

    struct cake *cake;
    while (gort_chan_recv(kitchen.iced, &cake) == GORT_OK) {
        printf("cake %d: %s\n", cake->number, cake->state);
        free(cake);
    }
    gort_waitgroup_wait(&staff);
    gort_chan_release(kitchen.cooked);
    gort_chan_release(kitchen.iced);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
