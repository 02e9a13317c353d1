/*
 * Typed channels and go-wrappers (bindings/c/gort_typed.h): three workers answer questions that come over
 * one typed channel and go back over another; the compiler knows what each carries.
 */
#include <gort_typed.h>
#include <stdio.h>

struct question {
    int number;
};

struct answer {
    int number;
    long factorial;
};

GORT_CHAN_DEFINE(questions, struct question)
GORT_CHAN_DEFINE(answers, struct answer)

static void work(questions_t in, answers_t out)
{
    struct question question;
    while (questions_recv(in, &question) == GORT_OK) {
        struct answer answer = { .number = question.number, .factorial = 1 };
        for (int i = 2; i <= question.number; i++)
            answer.factorial *= i;
        answers_send(out, answer);
    }
}
GORT_GO_DEFINE(work, questions_t, in, answers_t, out)

static int run(void *arg)
{
    (void)arg;
    enum { LAST = 12, WORKERS = 3 };
    long factorials[LAST + 1] = {0};
    questions_t in = questions_new(0);
    answers_t out = answers_new(0);
    gort_waitgroup_t workers = {0};
    for (int i = 0; i < WORKERS; i++) {
        int status = work_waitgroup_go(&workers, in, out);
        if (status != GORT_OK)
            fprintf(stderr, "typed: one worker less: %s\n", gort_strerror(status));
    }

    /* Ask the next question or take an answer, whichever can be done first. */
    struct question question = { .number = 1 };
    struct answer answer;
    for (int answered = 0; answered < LAST;) {
        questions_t ask = question.number <= LAST ? in : (questions_t){0};   /* no channel: never ready */
        GORT_SELECT {
            GORT_ON_SEND(ask, &question)
                question.number++;
            GORT_ON_RECV(out, &answer) {
                factorials[answer.number] = answer.factorial;
                answered++;
            }
        }
    }
    questions_close(in);
    gort_waitgroup_wait(&workers);

    for (int i = 1; i <= LAST; i++)
        printf("%d! = %ld\n", i, factorials[i]);
    questions_release(in);
    answers_release(out);
    return 0;
}

int main(void)
{
    return gort_main(run, NULL);
}
