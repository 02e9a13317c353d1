/*
 * Fork and join: merge sort that forks a goroutine for the one half of its numbers, sorts the other half
 * itself, and joins before it merges. The wait group of each level lies on the stack of the goroutine that
 * waits for it. Below a thousand numbers a goroutine would cost more than it saves.
 */
#include <gort.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 1000000, SERIAL = 1000 };

struct span {
    uint32_t *numbers, *scratch;
    size_t count;
};

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void merge(const struct span *span, size_t half)
{
    size_t i = 0, k = half, to = 0;
    while (i < half && k < span->count)
        span->scratch[to++] = span->numbers[i] <= span->numbers[k] ? span->numbers[i++] : span->numbers[k++];
    while (i < half)
        span->scratch[to++] = span->numbers[i++];
    /* What is left of the second half stands where it belongs. */
    memcpy(span->numbers, span->scratch, to * sizeof *span->numbers);
}

static void sort(void *arg)
{
    const struct span *span = arg;
    if (span->count <= SERIAL) {
        qsort(span->numbers, span->count, sizeof *span->numbers, by_size);
        return;
    }
    size_t half = span->count / 2;
    struct span left = { span->numbers, span->scratch, half };
    struct span right = { span->numbers + half, span->scratch + half, span->count - half };
    gort_waitgroup_t forked = {0};
    if (gort_waitgroup_go(&forked, sort, &left) != GORT_OK)
        sort(&left);                    /* no memory for a goroutine: then without one */
    sort(&right);
    gort_waitgroup_wait(&forked);       /* join */
    merge(span, half);
}

static int run(void *arg)
{
    (void)arg;
    struct span all = { malloc(NUMBERS * sizeof(uint32_t)), malloc(NUMBERS * sizeof(uint32_t)), NUMBERS };
    if (all.numbers == NULL || all.scratch == NULL)
        return 1;
    uint32_t number = 1;
    uint64_t before = 0, after = 0;
    for (size_t i = 0; i < NUMBERS; i++) {
        number = number * 1664525 + 1013904223;
        all.numbers[i] = number;
        before += number;
    }

    sort(&all);

    size_t descents = 0;
    for (size_t i = 0; i < NUMBERS; i++) {
        after += all.numbers[i];
        descents += i > 0 && all.numbers[i - 1] > all.numbers[i];
    }
    printf("%d numbers, %zu out of order, %s\n", NUMBERS, descents, before == after ? "none lost" : "some lost");
    free(all.numbers);
    free(all.scratch);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
