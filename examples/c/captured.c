/*
 * Captured arguments: gort_spawn_copy copies the struct before it returns, so each goroutine has its own
 * and the loop may use its variable again. With gort_spawn all three would share, and race for, one.
 */
#include <gort.h>
#include <stdio.h>

struct greeting {
    gort_waitgroup_t *all;
    int number;
    char name[16];
};

static void greet(void *arg)
{
    const struct greeting *greeting = arg;
    printf("%d: %s\n", greeting->number, greeting->name);
    gort_waitgroup_done(greeting->all);
}

static int run(void *arg)
{
    (void)arg;
    static const char *const names[] = { "alpha", "bravo", "charlie" };
    gort_waitgroup_t all = {0};
    struct greeting greeting = { .all = &all };
    for (int i = 0; i < 3; i++) {
        greeting.number = i + 1;
        snprintf(greeting.name, sizeof greeting.name, "%s", names[i]);
        gort_waitgroup_add(&all, 1);
        int status = gort_spawn_copy(greet, &greeting, sizeof greeting);
        if (status != GORT_OK) {
            fprintf(stderr, "captured: %s\n", gort_strerror(status));
            gort_waitgroup_done(&all);
        }
    }
    gort_waitgroup_wait(&all);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
