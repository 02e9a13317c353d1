/*
 * A pool of workers whose tasks have a time limit, and that leaves no goroutine behind. Each task gets a context
 * with a timeout: one that waits, waits for its context as well, and gives up in time. fetch() calls code that
 * knows nothing of contexts, in a goroutine of its own; when the limit has passed nobody receives the answer any
 * more, so its channel has room for one: the late sender puts it there and ends. Without that room it would
 * stay for ever. The last line counts who is left.
 */
#include <gort.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 3, TASKS = 6 };

struct task {
    int number;
    bool slow;
    int status;             /* GORT_OK, or why there is no answer */
    int answer;
};

struct pool {
    gort_ctx_t *ctx;        /* of the whole pool; each task's is a child of it */
    gort_chan_t *tasks;     /* struct task *: whoever received it owns it until the pool is done */
    gort_chan_t *gate;      /* closed: slow servers answer at last */
};

struct request {
    gort_chan_t *gate;      /* NULL: answer at once */
    gort_chan_t *reply;     /* int, capacity 1; one reference is the server's */
    int number;
};

/* Takes as long as it takes. */
static void serve(void *arg)
{
    const struct request *request = arg;
    int answer = request->number * request->number;
    if (request->gate != NULL)
        gort_chan_recv(request->gate, NULL);
    gort_chan_send(request->reply, &answer);
    gort_chan_release(request->reply);
}

static int fetch(gort_ctx_t *ctx, const struct request *request, int *answer)
{
    int status = gort_spawn_copy(serve, request, sizeof *request);
    if (status != GORT_OK) {
        gort_chan_release(request->reply);
        return status;
    }
    gort_case_t cases[] = {
        { .chan = request->reply, .elem = answer, .op = GORT_RECV },
        { .chan = gort_ctx_done(ctx), .elem = NULL, .op = GORT_RECV },
    };
    return gort_select(cases, 2) == 0 ? GORT_OK : gort_ctx_err(ctx);
}

static void work(void *arg)
{
    const struct pool *pool = arg;
    struct task *task;
    while (gort_chan_recv(pool->tasks, &task) == GORT_OK) {
        gort_ctx_t *ctx = gort_ctx_with_timeout(pool->ctx, task->slow ? 5 * GORT_MILLISECOND : GORT_MINUTE);
        gort_chan_t *reply = gort_chan_new(sizeof(int), 1);
        if (ctx == NULL || reply == NULL)
            exit(1);
        struct request request = { task->slow ? pool->gate : NULL, gort_chan_retain(reply), task->number };
        task->status = fetch(ctx, &request, &task->answer);
        gort_ctx_cancel(ctx);       /* the task is over, in whatever way: its timer may go */
        gort_ctx_release(ctx);
        gort_chan_release(reply);
    }
}

static int run(void *arg)
{
    (void)arg;
    struct task tasks[TASKS];
    gort_waitgroup_t workers = {0};
    struct pool pool = {
        .ctx = gort_ctx_with_cancel(gort_ctx_background()),
        .tasks = gort_chan_new(sizeof(struct task *), 0),
        .gate = gort_chan_new(0, 0),
    };
    for (int i = 0; i < WORKERS; i++) {
        int status = gort_waitgroup_go(&workers, work, &pool);
        if (status != GORT_OK) {
            fprintf(stderr, "taskpool: %s\n", gort_strerror(status));
            exit(1);
        }
    }
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = (struct task){ .number = i + 1, .slow = i % 3 == 2 };
        struct task *task = &tasks[i];
        gort_chan_send(pool.tasks, &task);
    }
    gort_chan_close(pool.tasks);
    gort_waitgroup_wait(&workers);

    for (int i = 0; i < TASKS; i++) {
        if (tasks[i].status == GORT_OK)
            printf("task %d: %d\n", tasks[i].number, tasks[i].answer);
        else
            printf("task %d: %s\n", tasks[i].number, gort_strerror(tasks[i].status));
    }
    gort_chan_close(pool.gate);     /* now the slow servers answer, and nobody listens */
    while (gort_num_goroutines() > 1)
        gort_yield();
    printf("goroutines left: %zu\n", gort_num_goroutines());

    gort_ctx_cancel(pool.ctx);
    gort_ctx_release(pool.ctx);
    gort_chan_release(pool.tasks);
    gort_chan_release(pool.gate);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
