/* What gort_typed.h must not let through: with REFUSED 0 this compiles, with any other number it does not. */
#include <gort_typed.h>

GORT_CHAN_DEFINE(ints, int)
GORT_CHAN_DEFINE(texts, const char *)

static void worker(int id, gort_waitgroup_t *wg)
{
    (void)id;
    (void)wg;
}
GORT_GO_DEFINE(worker, int, id, gort_waitgroup_t *, wg)

int main(void)
{
    ints_t ints = ints_new(4);
    texts_t texts = texts_new(4);
    gort_waitgroup_t wg = {0};
    int number = 1;
    const char *text = "";
#if REFUSED == 0
    ints_send(ints, number);
    texts_send(texts, text);
    ints_recv(ints, &number);
    worker_go(number, &wg);
    worker_waitgroup_go(&wg, number, &wg);
    GORT_SELECT {
        GORT_ON_RECV(ints, &number)
            number++;
        GORT_ON_SEND(texts, &text)
            number++;
    }
#elif REFUSED == 1 /* a value of the wrong type */
    ints_send(ints, text);
#elif REFUSED == 2
    texts_send(texts, number);
#elif REFUSED == 3
    ints_send_until(ints, text, 0);
#elif REFUSED == 4 /* the wrong channel */
    ints_send(texts, number);
#elif REFUSED == 5
    ints_close(texts);
#elif REFUSED == 6
    ints = texts;
#elif REFUSED == 7 /* a variable of the wrong type */
    ints_recv(ints, &text);
#elif REFUSED == 8 /* in a select */
    GORT_SELECT {
        GORT_ON_RECV(ints, &text)
            number++;
    }
#elif REFUSED == 9
    GORT_SELECT {
        GORT_ON_SEND(texts, &number)
            number++;
    }
#elif REFUSED == 10
    gort_case_t cases[] = {GORT_CASE_RECV(ints, &text)};
    gort_select(cases, 1);
#elif REFUSED == 11 /* arguments of a goroutine */
    worker_go(&wg, number);
#elif REFUSED == 12
    worker_go(number);
#elif REFUSED == 13
    worker_go(number, &number);
#elif REFUSED == 14
    worker_waitgroup_go(number, number, &wg);
#elif REFUSED == 15 /* a plain channel is no typed one */
    ints_send(ints.chan, number);
#endif
    (void)ints;
    (void)texts;
    (void)wg;
    (void)text;
    return number;
}
