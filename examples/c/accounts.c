/*
 * One bank account, four guards. A mutex: one at a time. A read-write mutex: readers together. A semaphore of
 * one permit: a mutex, which somebody else may give back. A monitor in the sense of Hoare: a mutex and a
 * condition variable inside, so that who finds too little money waits for a deposit. (bank.c has the fifth:
 * a goroutine that alone touches the money.)
 */
#include <gort.h>
#include <stdio.h>
#include <stdlib.h>

enum { PEOPLE = 20, TIMES = 500, SALARY = 3 };

struct account {
    gort_mutex_t mutex;
    gort_rwmutex_t rwmutex;
    gort_sem_t semaphore;
    gort_cond_t richer;         /* the balance has grown */
    long balance;
};

static void deposit_with_mutex(void *arg)
{
    struct account *account = arg;
    for (int i = 0; i < TIMES; i++) {
        gort_mutex_lock(&account->mutex);
        account->balance += SALARY;
        gort_mutex_unlock(&account->mutex);
    }
}

static void deposit_with_rwmutex(void *arg)
{
    struct account *account = arg;
    for (int i = 0; i < TIMES; i++) {
        gort_rwmutex_lock(&account->rwmutex);
        account->balance++;     /* readers never see a balance between two salaries */
        account->balance += SALARY - 1;
        gort_rwmutex_unlock(&account->rwmutex);
    }
}

static void read_with_rwmutex(void *arg)
{
    struct account *account = arg;
    for (int i = 0; i < TIMES; i++) {
        gort_rwmutex_rlock(&account->rwmutex);
        long balance = account->balance;
        gort_rwmutex_runlock(&account->rwmutex);
        if (balance % SALARY != 0)
            printf("read half a deposit: %ld\n", balance);
    }
}

static void deposit_with_semaphore(void *arg)
{
    struct account *account = arg;
    for (int i = 0; i < TIMES; i++) {
        gort_sem_acquire(&account->semaphore, 1);
        account->balance += SALARY;
        gort_sem_release(&account->semaphore, 1);
    }
}

/* The two operations of the monitor. */
static void deposit(struct account *account, long amount)
{
    gort_mutex_lock(&account->mutex);
    account->balance += amount;
    gort_cond_broadcast(&account->richer);
    gort_mutex_unlock(&account->mutex);
}

static void withdraw(struct account *account, long amount)
{
    gort_mutex_lock(&account->mutex);
    while (account->balance < amount)   /* looked at again: another may have been quicker */
        gort_cond_wait(&account->richer, &account->mutex);
    account->balance -= amount;
    gort_mutex_unlock(&account->mutex);
}

static void earn(void *arg)
{
    for (int i = 0; i < TIMES; i++)
        deposit(arg, SALARY);
}

static void spend(void *arg)
{
    for (int i = 0; i < TIMES; i++)
        withdraw(arg, SALARY);
}

/* Half of the people do the one thing, half the other. */
static void try_guard(const char *guard, gort_fn_t one, gort_fn_t other)
{
    struct account account = {0};
    gort_waitgroup_t people = {0};
    gort_sem_init(&account.semaphore, 1);
    for (int i = 0; i < PEOPLE; i++) {
        int status = gort_waitgroup_go(&people, i % 2 ? one : other, &account);
        if (status != GORT_OK) {
            fprintf(stderr, "accounts: %s\n", gort_strerror(status));
            exit(1);
        }
    }
    gort_waitgroup_wait(&people);
    printf("%s: balance %ld\n", guard, account.balance);
}

static int run(void *arg)
{
    (void)arg;
    try_guard("mutex, 20 depositors", deposit_with_mutex, deposit_with_mutex);
    try_guard("rwmutex, 10 depositors and 10 readers", deposit_with_rwmutex, read_with_rwmutex);
    try_guard("semaphore, 20 depositors", deposit_with_semaphore, deposit_with_semaphore);
    try_guard("monitor, 10 earners and 10 spenders", earn, spend);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
