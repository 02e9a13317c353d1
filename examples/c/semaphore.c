/*
 * A binary semaphore from a channel of capacity 1: the token in the buffer is the right to go on. Sending
 * it takes the semaphore, receiving it gives it back; whoever finds the buffer full waits.
 */
#include <gort.h>
#include <stdio.h>

enum { GOROUTINES = 50, ROUNDS = 200 };

struct account {
    gort_chan_t *semaphore;     /* no value, capacity 1 */
    long balance;
    int inside;                 /* goroutines in the guarded part: never more than one */
    int most_inside;
};

static void deposit(void *arg)
{
    struct account *account = arg;
    for (int i = 0; i < ROUNDS; i++) {
        gort_chan_send(account->semaphore, NULL);   /* take */
        account->inside++;
        if (account->inside > account->most_inside)
            account->most_inside = account->inside;
        long balance = account->balance;
        gort_yield();                               /* let the others try */
        account->balance = balance + 1;
        account->inside--;
        gort_chan_recv(account->semaphore, NULL);   /* give back */
    }
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t all = {0};
    struct account account = { .semaphore = gort_chan_new(0, 1) };
    for (int i = 0; i < GOROUTINES; i++) {
        int status = gort_waitgroup_go(&all, deposit, &account);
        if (status != GORT_OK) {
            fprintf(stderr, "semaphore: %s\n", gort_strerror(status));
            break;
        }
    }
    gort_waitgroup_wait(&all);
    printf("%d goroutines made %d deposits each: balance %ld\n", GOROUTINES, ROUNDS, account.balance);
    printf("at most %d was inside at a time\n", account.most_inside);
    gort_chan_release(account.semaphore);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
