/* gort_typed.h in every standard: channels, select, and goroutines with none to eight parameters; then run. */
#include <gort_typed.h>
#include <string.h>

typedef struct point {
    double x, y;
} point;

GORT_CHAN_DEFINE(ints, int)
GORT_CHAN_DEFINE(points, point)
GORT_CHAN_DEFINE(texts, const char *)

static ints_t answers;

static void none(void) { ints_send(answers, 0); }
GORT_GO_DEFINE(none)

static void one(ints_t out) { ints_send(out, 1); }
GORT_GO_DEFINE(one, ints_t, out)

static void worker(int id, gort_waitgroup_t *wg)
{
    ints_send(answers, id);
    gort_waitgroup_done(wg);
}
GORT_GO_DEFINE(worker, int, id, gort_waitgroup_t *, wg)

static void eight(char a, short b, int c, long d, float e, double f, point g, const char *h)
{
    point expected;
    expected.x = 7;
    expected.y = 8;
    ints_send(answers, a == 1 && b == 2 && c == 3 && d == 4 && e >= 5 && f >= 6 && g.x >= expected.x &&
                           g.y >= expected.y && strcmp(h, "nine") == 0);
}
GORT_GO_DEFINE(eight, char, a, short, b, int, c, long, d, float, e, double, f, point, g, const char *, h)

static int fail(int line)
{
    fprintf(stderr, "typed.c:%d\n", line);
    return 1;
}
#define CHECK(condition)                                                                                 \
    if (!(condition))                                                                                    \
    return fail(__LINE__)

static int goroutines(void)
{
    gort_waitgroup_t wg = {0};
    point g = {7, 8};
    int got = -1, sum = 0, i;
    CHECK(none_go() == GORT_OK && ints_recv(answers, &got) == GORT_OK && got == 0);
    CHECK(one_go(answers) == GORT_OK && ints_recv(answers, &got) == GORT_OK && got == 1);
    gort_waitgroup_add(&wg, 1);
    CHECK(worker_go(42, &wg) == GORT_OK && ints_recv(answers, &got) == GORT_OK && got == 42);
    gort_waitgroup_wait(&wg);
    CHECK(eight_go(1, 2, 3, 4, 5, 6, g, "nine") == GORT_OK && ints_recv(answers, &got) == GORT_OK && got == 1);

    CHECK(none_waitgroup_go(&wg) == GORT_OK && one_waitgroup_go(&wg, answers) == GORT_OK);
    CHECK(eight_waitgroup_go(&wg, 1, 2, 3, 4, 5, 6, g, "nine") == GORT_OK);
    for (i = 0; i < 3; i++) {
        CHECK(ints_recv(answers, &got) == GORT_OK);
        sum += got;
    }
    gort_waitgroup_wait(&wg);
    CHECK(sum == 2);
    CHECK(none_waitgroup_go(NULL) == GORT_EINVAL && one_waitgroup_go(NULL, answers) == GORT_EINVAL);
    return 0;
}

static int evaluated;
static ints_t counted(ints_t ch)
{
    evaluated++;
    return ch;
}
static texts_t counted_texts(texts_t ch)
{
    evaluated++;
    return ch;
}

/* Every kind of case is chosen, and exactly one at a time. */
static int selects(void)
{
    ints_t empty = ints_new(1), no_channel;
    texts_t texts = texts_new(1);
    gort_chan_t *quit = gort_chan_new(0, 1);
    const char *hello = "hello", *text = NULL;
    int n = 7, got = -1, bodies = 0, which = 0, i;
    const int fixed = 5;
    no_channel.chan = NULL;
    for (i = 0; i < 6; i++) {
        int before = bodies;
        evaluated = 0;
        which = -1;
        if (i == 2)
            CHECK(gort_chan_send(quit, NULL) == GORT_OK);
        if (i == 4)
            CHECK(ints_recv(empty, NULL) == GORT_OK && ints_close(empty) == GORT_OK);
        GORT_SELECT {
            GORT_ON_RECV(no_channel, &got)
                bodies += 100;
            GORT_ON_SEND(counted_texts(texts), &hello)
                which = 0, bodies++;
            GORT_ON_RECV(i == 4 ? empty : no_channel, &got) {
                which = GORT_SELECT_STATUS == GORT_ECLOSED && got == 0 ? 4 : 100;
                bodies++;
                break;
            }
            GORT_ON_SEND(i == 1 ? empty : no_channel, i == 1 ? &fixed : &n) {
                which = 1;
                bodies++;
            }
            GORT_ON_SIGNAL(quit) {
                which = 2;
                bodies++;
                continue;
            }
            GORT_ON_DEADLINE(gort_now() + (i == 3 || i == 5 ? 100000 : GORT_MINUTE))
                which = i, bodies++;
        }
        CHECK(which == i && bodies == before + 1 && evaluated == 1);
    }
    CHECK(texts_recv(texts, &text) == GORT_OK && strcmp(text, "hello") == 0);
    CHECK(ints_recv(empty, &got) == GORT_ECLOSED);

    /* default, arguments evaluated once, a select in a select, a return out of one */
    which = evaluated = 0;
    GORT_SELECT {
        GORT_ON_RECV(counted(no_channel), NULL)
            which = 1;
        GORT_ON_DEFAULT {
            GORT_SELECT {
                GORT_ON_SEND(texts, &hello)
                    which = 2;
                GORT_ON_DEFAULT
                    which = 3;
            }
        }
    }
    CHECK(which == 2 && evaluated == 1);
    texts_release(texts);
    ints_release(empty);
    GORT_SELECT {
        GORT_ON_DEFAULT {
            gort_chan_release(quit);
            return 0;
        }
    }
    return fail(__LINE__);
}

static int initialisers(void)
{
    points_t points = points_new(1);
    point in = {1, 2}, out = {0, 0};
    gort_case_t cases[2] = {GORT_CASE_SEND(points, &in), GORT_CASE_RECV(answers, NULL)};
    gort_case_t back[1] = {GORT_CASE_RECV(points, &out)};
    CHECK(gort_select(cases, 2) == 0 && cases[0].status == GORT_OK && points_len(points) == 1);
    CHECK(gort_try_select(back, 1) == 0 && out.x >= 1 && out.y >= 2 && points_cap(points) == 1);
    points_release(points_retain(points));
    points_release(points);
    return 0;
}

int main(void)
{
    answers = ints_new(8);
    if (answers.chan == NULL || goroutines() || selects() || initialisers())
        return 1;
    ints_release(answers);
    return 0;
}
