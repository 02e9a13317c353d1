/* Skynet: a tree of goroutines, ten children each, whose million leaves send their numbers up to be summed. */
#include "bench.h"

enum { LEAVES = 1000000, CHILDREN = 10 };

struct node {
    gort_chan_t *parent;
    int64_t number;
    int64_t leaves;
};

static void grow(void *arg)
{
    const struct node *node = arg;
    int64_t sum = node->number;
    if (node->leaves > 1) {
        struct node child = { bench_chan(sizeof(int64_t), 0), 0, node->leaves / CHILDREN };
        for (int i = 0; i < CHILDREN; i++) {
            child.number = node->number + i * child.leaves;
            bench_must(gort_spawn_copy(grow, &child, sizeof child), "gort_spawn_copy");
        }
        sum = 0;
        for (int i = 0; i < CHILDREN; i++) {
            int64_t part = 0;
            gort_chan_recv(child.parent, &part);
            sum += part;
        }
        gort_chan_release(child.parent);
    }
    gort_chan_send(node->parent, &sum);
}

static void round_of(void *arg)
{
    (void)arg;
    struct node root = { bench_chan(sizeof(int64_t), 0), 0, LEAVES };
    int64_t sum = 0;
    bench_must(gort_spawn_copy(grow, &root, sizeof root), "gort_spawn_copy");
    bench_must(gort_chan_recv(root.parent, &sum), "gort_chan_recv");
    gort_chan_release(root.parent);
    if (sum != (int64_t)LEAVES * (LEAVES - 1) / 2) {
        fprintf(stderr, "skynet: wrong sum %" PRId64 "\n", sum);
        exit(1);
    }
}

static int run(void *arg)
{
    (void)arg;
    bench_run("skynet", round_of, NULL, 1, 1e6, "ms");
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
