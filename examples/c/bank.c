/*
 * A monitor goroutine guards a bank balance: it alone touches the variable. Others send it requests; one
 * that wants an answer sends a channel for the reply along. The monitor serves them all in one select.
 */
#include <gort.h>
#include <stdbool.h>
#include <stdio.h>

struct bank {
    gort_chan_t *deposits;      /* long */
    gort_chan_t *withdrawals;   /* struct withdrawal */
    gort_chan_t *balances;      /* long: what is there now */
    gort_chan_t *closing;       /* closed when the bank shuts */
};

struct withdrawal {
    long amount;
    gort_chan_t *reply;         /* bool: paid, or refused for want of money */
};

struct customer {
    const struct bank *bank;
    gort_chan_t *refusals;      /* long: what was refused */
    long amount;
};

static void monitor(void *arg)
{
    const struct bank *bank = arg;
    long balance = 0;
    for (;;) {
        long deposit;
        struct withdrawal withdrawal;
        gort_case_t cases[] = {
            { .chan = bank->deposits, .elem = &deposit, .op = GORT_RECV },
            { .chan = bank->withdrawals, .elem = &withdrawal, .op = GORT_RECV },
            { .chan = bank->balances, .elem = &balance, .op = GORT_SEND },
            { .chan = bank->closing, .elem = NULL, .op = GORT_RECV },
        };
        switch (gort_select(cases, 4)) {
        case 0:
            balance += deposit;
            break;
        case 1: {
            bool paid = withdrawal.amount <= balance;
            if (paid)
                balance -= withdrawal.amount;
            gort_chan_send(withdrawal.reply, &paid);
            break;
        }
        case 2:
            break;
        default:
            return;
        }
    }
}

static void save(void *arg)
{
    const struct customer *customer = arg;
    for (int i = 0; i < 10; i++)
        gort_chan_send(customer->bank->deposits, &customer->amount);
}

static void spend(void *arg)
{
    const struct customer *customer = arg;
    bool paid = false;
    struct withdrawal withdrawal = { customer->amount, gort_chan_new(sizeof(bool), 0) };
    gort_chan_send(customer->bank->withdrawals, &withdrawal);
    gort_chan_recv(withdrawal.reply, &paid);
    if (!paid)
        gort_chan_send(customer->refusals, &customer->amount);
    gort_chan_release(withdrawal.reply);
}

/* Sends `count` goroutines that run `visit` to the bank and waits for them. */
static int visit_all(gort_fn_t visit, struct customer *customer, int count)
{
    gort_waitgroup_t visitors = {0};
    int status = GORT_OK;
    for (int i = 0; i < count && status == GORT_OK; i++)
        status = gort_waitgroup_go(&visitors, visit, customer);
    gort_waitgroup_wait(&visitors);
    return status;
}

static long balance_of(const struct bank *bank)
{
    long balance = 0;
    gort_chan_recv(bank->balances, &balance);
    return balance;
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t monitors = {0};
    struct bank bank = {
        .deposits = gort_chan_new(sizeof(long), 0),
        .withdrawals = gort_chan_new(sizeof(struct withdrawal), 0),
        .balances = gort_chan_new(sizeof(long), 0),
        .closing = gort_chan_new(0, 0),
    };
    struct customer customer = { &bank, gort_chan_new(sizeof(long), 10), 0 };

    int status = gort_waitgroup_go(&monitors, monitor, &bank);
    if (status == GORT_OK) {
        customer.amount = 10;
        status = visit_all(save, &customer, 10);
        printf("ten customers saved ten times 10: balance %ld\n", balance_of(&bank));
    }
    if (status == GORT_OK) {
        customer.amount = 300;
        status = visit_all(spend, &customer, 4);
        printf("four wanted 300 at once, refused %zu: balance %ld\n", gort_chan_len(customer.refusals), balance_of(&bank));
    }
    if (status != GORT_OK)
        fprintf(stderr, "bank: %s\n", gort_strerror(status));

    gort_chan_close(bank.closing);
    gort_waitgroup_wait(&monitors);
    gort_chan_release(bank.deposits);
    gort_chan_release(bank.withdrawals);
    gort_chan_release(bank.balances);
    gort_chan_release(bank.closing);
    gort_chan_release(customer.refusals);
    return status == GORT_OK ? 0 : 1;
}

int main(void)
{
    return gort_main(run, NULL);
}
