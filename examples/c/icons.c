/*
 * Icons that are loaded when first asked for: a thousand goroutines ask at once, gort_once_do loads them once.
 * Those who come while they are being loaded wait; afterwards it costs one look, and no lock is taken. All see
 * the table complete, for the end of the loading comes before every return of gort_once_do.
 */
#include <gort.h>
#include <stdio.h>
#include <string.h>

enum { READERS = 1000, ICONS = 4 };

static const char *const names[ICONS] = { "spades", "hearts", "diamonds", "clubs" };

static struct {
    gort_once_t once;
    int loads;                      /* how often the table was filled */
    char pictures[ICONS][32];
} icons;

struct reader {
    gort_mutex_t lock;
    int next, right, wrong;
};

static void load_icons(void *arg)
{
    (void)arg;
    for (int i = 0; i < ICONS; i++) {
        gort_sleep(GORT_MILLISECOND);           /* the disk is slow */
        snprintf(icons.pictures[i], sizeof icons.pictures[i], "picture of %s", names[i]);
    }
    icons.loads++;
}

static const char *icon(const char *name)
{
    gort_once_do(&icons.once, load_icons, NULL);
    for (int i = 0; i < ICONS; i++)
        if (strcmp(names[i], name) == 0)
            return icons.pictures[i];
    return NULL;
}

static void read_one(void *arg)
{
    struct reader *reader = arg;
    gort_mutex_lock(&reader->lock);
    const char *name = names[reader->next++ % ICONS];
    gort_mutex_unlock(&reader->lock);

    char expected[32];
    snprintf(expected, sizeof expected, "picture of %s", name);
    int right = strcmp(icon(name), expected) == 0;

    gort_mutex_lock(&reader->lock);
    *(right ? &reader->right : &reader->wrong) += 1;
    gort_mutex_unlock(&reader->lock);
}

static int run(void *arg)
{
    (void)arg;
    gort_waitgroup_t readers = {0};
    struct reader reader = {0};
    printf("loaded before anybody asks: %d times\n", icons.loads);
    for (int i = 0; i < READERS; i++) {
        int status = gort_waitgroup_go(&readers, read_one, &reader);
        if (status != GORT_OK) {
            fprintf(stderr, "icons: %s\n", gort_strerror(status));
            break;
        }
    }
    gort_waitgroup_wait(&readers);
    printf("readers who got their icon: %d, who did not: %d\n", reader.right, reader.wrong);
    printf("loaded: %d time\n", icons.loads);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
