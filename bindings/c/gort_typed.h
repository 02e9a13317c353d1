/*
 * gort_typed.h: typed channels, select, and go-wrappers over gort.h, in macros and static inline functions.
 *
 * The one thing to know: a typed channel is the plain channel in a type of its own, so nothing is slower and
 * nothing is hidden: `ch.chan` is the gort_chan_t, for whatever is not wrapped here.
 *
 *     GORT_CHAN_DEFINE(ints, int)                                  ints_t, ints_new, ints_send, ints_recv ...
 *     GORT_GO_DEFINE(worker, int, id, gort_waitgroup_t *, wg)      worker_go(id, wg)
 *     GORT_SELECT { GORT_ON_RECV(numbers, &n) sum += n; ... }
 *
 * C99 or later, C++11 or later. There is nothing to link.
 */
#ifndef GORT_TYPED_H
#define GORT_TYPED_H

#include <gort.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
#include <type_traits>
/* gort copies elements and arguments byte by byte. */
#define GORT_TYPED_CHECK(type) \
    static_assert(std::is_trivially_copyable<type>::value, #type " cannot be copied byte by byte");
#define GORT_TYPED_AS(type, pointer) static_cast<type *>(pointer)
#else
#define GORT_TYPED_CHECK(type)
#define GORT_TYPED_AS(type, pointer) ((type *)(pointer))
#endif

/* What a program does not use of the defined functions is no reason for a warning. */
#if defined(__GNUC__)
#define GORT_TYPED_FN static inline __attribute__((unused))
#else
#define GORT_TYPED_FN static inline
#endif

/* ---- channels ---- */

/*
 * Defines `name##_t`, a channel of `type`, and its functions; they return what the gort_chan_ functions of
 * the same names return. `type` is a type name to which `*` may be appended: wrap arrays in a struct, and
 * give pointers to functions a typedef. Write it at file scope, with no semicolon after it.
 *
 * `elem` of the union is never read: it only carries the type into the cases of a select.
 */
#define GORT_CHAN_DEFINE(name, type)                                                                     \
    GORT_TYPED_CHECK(type)                                                                               \
    typedef union name##_t {                                                                             \
        gort_chan_t *chan; /* NULL: no channel; name##_new had no memory */                              \
        type *elem;                                                                                      \
    } name##_t;                                                                                          \
    GORT_TYPED_FN name##_t name##_new(size_t capacity)                                                   \
    {                                                                                                    \
        name##_t ch;                                                                                     \
        ch.chan = gort_chan_new(sizeof(type), capacity);                                                 \
        return ch;                                                                                       \
    }                                                                                                    \
    GORT_TYPED_FN name##_t name##_retain(name##_t ch)                                                    \
    {                                                                                                    \
        gort_chan_retain(ch.chan);                                                                       \
        return ch;                                                                                       \
    }                                                                                                    \
    GORT_TYPED_FN void name##_release(name##_t ch) { gort_chan_release(ch.chan); }                       \
    GORT_TYPED_FN int name##_send(name##_t ch, type value) { return gort_chan_send(ch.chan, &value); }   \
    GORT_TYPED_FN int name##_try_send(name##_t ch, type value)                                           \
    {                                                                                                    \
        return gort_chan_try_send(ch.chan, &value);                                                      \
    }                                                                                                    \
    GORT_TYPED_FN int name##_send_until(name##_t ch, type value, int64_t deadline)                       \
    {                                                                                                    \
        return gort_chan_send_until(ch.chan, &value, deadline);                                          \
    }                                                                                                    \
    /* value NULL: receive and discard */                                                                \
    GORT_TYPED_FN int name##_recv(name##_t ch, type *value) { return gort_chan_recv(ch.chan, value); }   \
    GORT_TYPED_FN int name##_try_recv(name##_t ch, type *value)                                          \
    {                                                                                                    \
        return gort_chan_try_recv(ch.chan, value);                                                       \
    }                                                                                                    \
    GORT_TYPED_FN int name##_recv_until(name##_t ch, type *value, int64_t deadline)                      \
    {                                                                                                    \
        return gort_chan_recv_until(ch.chan, value, deadline);                                           \
    }                                                                                                    \
    GORT_TYPED_FN int name##_close(name##_t ch) { return gort_chan_close(ch.chan); }                     \
    GORT_TYPED_FN size_t name##_len(name##_t ch) { return gort_chan_len(ch.chan); }                      \
    GORT_TYPED_FN size_t name##_cap(name##_t ch) { return gort_chan_cap(ch.chan); }

/* ---- select ---- */

/*
 * Initialisers of a gort_case_t, for gort_select and its forms:
 *
 *     gort_case_t cases[] = { GORT_CASE_RECV(numbers, &number), GORT_CASE_SEND(replies, &reply) };
 *
 * The pointer must be to the channel's element type (the compiler compares the two); for RECV, NULL
 * discards. A channel whose `chan` is NULL is never ready.
 */
#define GORT_CASE_RECV(ch, pointer) { (ch).chan, (1 ? (pointer) : (ch).elem), GORT_RECV, 0 }
#define GORT_CASE_SEND(ch, pointer) { (ch).chan, (1 ? (pointer) : (ch).elem), GORT_SEND, 0 }

/*
 * Go's select, for up to GORT_TYPED_CASES cases on channels and at most one of the last two:
 *
 *     GORT_SELECT {
 *         GORT_ON_RECV(numbers, &n)                      numbers: a typed channel; NULL discards
 *             sum += n;
 *         GORT_ON_SEND(replies, &reply) {                what is sent is read when the select waits
 *             ...
 *         }
 *         GORT_ON_SIGNAL(quit)                           a plain gort_chan_t *; the element is discarded
 *             return;
 *         GORT_ON_DEADLINE(gort_now() + GORT_SECOND)     nothing else was ready until then
 *             puts("late");
 *         GORT_ON_DEFAULT                                nothing else is ready now
 *             idle();
 *     }
 *
 * The arguments of each case are evaluated once, in order. Then one case is carried out, and what stands after
 * it is run, with GORT_SELECT_STATUS telling whether its channel was closed (GORT_ECLOSED) or not (GORT_OK).
 * Nothing but cases may stand in the braces. `break` leaves the select, as in Go; so does `continue`, unlike Go.
 * What the pointers point to must live as long as the select: no compound literals.
 *
 * How it works: the braces are the body of a loop that is run twice. The first time each case enters itself
 * into the list and is false; then gort chooses; the second time the chosen one is true.
 */
#define GORT_SELECT                                                                                      \
    for (struct gort_typed_select gort_typed = gort_typed_select_begin(); gort_typed_select_next(&gort_typed);)
#define GORT_ON_RECV(ch, pointer)                                                                        \
    if (gort_typed.chosen_yet                                                                            \
            ? gort_typed_is_chosen(&gort_typed)                                                          \
            : gort_typed_enter(&gort_typed, (ch).chan, (1 ? (pointer) : (ch).elem), GORT_RECV))
#define GORT_ON_SEND(ch, pointer)                                                                        \
    if (gort_typed.chosen_yet                                                                            \
            ? gort_typed_is_chosen(&gort_typed)                                                          \
            : gort_typed_enter_send(&gort_typed, (ch).chan, (1 ? (pointer) : (ch).elem)))
#define GORT_ON_SIGNAL(channel)                                                                          \
    if (gort_typed.chosen_yet ? gort_typed_is_chosen(&gort_typed)                                        \
                              : gort_typed_enter(&gort_typed, (channel), NULL, GORT_RECV))
#define GORT_ON_DEADLINE(when)                                                                           \
    if (gort_typed.chosen_yet ? gort_typed.chosen == GORT_ETIMEDOUT                                      \
                              : (gort_typed.deadline = (when), 0))
#define GORT_ON_DEFAULT                                                                                  \
    if (gort_typed.chosen_yet ? gort_typed.chosen == GORT_EAGAIN : (gort_typed.has_default = 1, 0))
#define GORT_SELECT_STATUS (gort_typed.status)

#define GORT_TYPED_CASES 16

/* Of GORT_SELECT: not to be touched. */
struct gort_typed_select {
    int64_t deadline;
    int has_default;
    int rounds;
    int chosen_yet;
    int chosen; /* a case, GORT_EAGAIN or GORT_ETIMEDOUT */
    int status;
    int at; /* the next case */
    size_t n;
    gort_case_t cases[GORT_TYPED_CASES];
};

GORT_TYPED_FN struct gort_typed_select gort_typed_select_begin(void)
{
    struct gort_typed_select s;
    s.deadline = GORT_FOREVER;
    s.has_default = s.rounds = s.chosen_yet = s.at = 0;
    s.chosen = s.status = GORT_OK;
    s.n = 0;
    return s;
}

GORT_TYPED_FN int gort_typed_select_next(struct gort_typed_select *s)
{
    if (s->rounds++ == 0)
        return 1;
    if (s->chosen_yet)
        return 0;
    s->chosen_yet = 1;
    s->chosen = s->has_default ? gort_try_select(s->cases, s->n)
                               : gort_select_until(s->cases, s->n, s->deadline);
    if (s->chosen >= 0)
        s->status = s->cases[s->chosen].status;
    return 1;
}

GORT_TYPED_FN int gort_typed_is_chosen(struct gort_typed_select *s) { return s->at++ == s->chosen; }

GORT_TYPED_FN int gort_typed_enter(struct gort_typed_select *s, gort_chan_t *chan, void *elem, int op)
{
    if (s->n == GORT_TYPED_CASES) {
        fputs("gort_typed.h: too many cases in a GORT_SELECT\n", stderr);
        abort();
    }
    s->cases[s->n].chan = chan;
    s->cases[s->n].elem = elem;
    s->cases[s->n].op = op;
    s->cases[s->n].status = GORT_OK;
    s->n++;
    return 0;
}

GORT_TYPED_FN int gort_typed_enter_send(struct gort_typed_select *s, gort_chan_t *chan, const void *elem)
{
    if (chan != NULL && elem == NULL) {
        fputs("gort_typed.h: GORT_ON_SEND of NULL\n", stderr);
        abort();
    }
    return gort_typed_enter(s, chan, (void *)(uintptr_t)elem, GORT_SEND); /* it is only read */
}

/* ---- goroutines ---- */

/*
 * For a function `void fn(type1 name1, type2 name2, ...)` declared before, with up to 8 parameters or none:
 *
 *     GORT_GO_DEFINE(worker, int, id, gort_waitgroup_t *, wg)
 *
 * defines
 *
 *     int worker_go(int id, gort_waitgroup_t *wg);                        a goroutine with copies of these
 *     int worker_waitgroup_go(gort_waitgroup_t *, int id, gort_waitgroup_t *wg);
 *                                                     the same under a wait group: counted at once, done
 *                                                     when worker ends in any way
 *
 * They return GORT_OK, GORT_EINVAL or GORT_ENOMEM, as gort_spawn_copy and gort_waitgroup_go. A type is one to
 * which a name may be appended, and that may be assigned: wrap arrays in a struct, and give pointers to
 * functions a typedef. Write it at file scope, with no semicolon after it.
 */
#define GORT_GO_DEFINE(...)                                                                              \
    GORT_TYPED_18TH(__VA_ARGS__, GORT_TYPED_GO_8, GORT_TYPED_GO_ODD, GORT_TYPED_GO_7, GORT_TYPED_GO_ODD, \
                    GORT_TYPED_GO_6, GORT_TYPED_GO_ODD, GORT_TYPED_GO_5, GORT_TYPED_GO_ODD,              \
                    GORT_TYPED_GO_4, GORT_TYPED_GO_ODD, GORT_TYPED_GO_3, GORT_TYPED_GO_ODD,              \
                    GORT_TYPED_GO_2, GORT_TYPED_GO_ODD, GORT_TYPED_GO_1, GORT_TYPED_GO_ODD,              \
                    GORT_TYPED_GO_0, 0)                                                                  \
    (__VA_ARGS__)
#define GORT_TYPED_18TH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, eighteenth, ...) eighteenth
#define GORT_TYPED_GO_ODD(...) GORT_GO_DEFINE_takes_a_name_after_each_type_and_8_pairs_at_the_most

#define GORT_TYPED_FIELDS_1(t, n) t n;
#define GORT_TYPED_FIELDS_2(t, n, ...) t n; GORT_TYPED_FIELDS_1(__VA_ARGS__)
#define GORT_TYPED_FIELDS_3(t, n, ...) t n; GORT_TYPED_FIELDS_2(__VA_ARGS__)
#define GORT_TYPED_FIELDS_4(t, n, ...) t n; GORT_TYPED_FIELDS_3(__VA_ARGS__)
#define GORT_TYPED_FIELDS_5(t, n, ...) t n; GORT_TYPED_FIELDS_4(__VA_ARGS__)
#define GORT_TYPED_FIELDS_6(t, n, ...) t n; GORT_TYPED_FIELDS_5(__VA_ARGS__)
#define GORT_TYPED_FIELDS_7(t, n, ...) t n; GORT_TYPED_FIELDS_6(__VA_ARGS__)
#define GORT_TYPED_FIELDS_8(t, n, ...) t n; GORT_TYPED_FIELDS_7(__VA_ARGS__)
#define GORT_TYPED_PARAMS_1(t, n) t n
#define GORT_TYPED_PARAMS_2(t, n, ...) t n, GORT_TYPED_PARAMS_1(__VA_ARGS__)
#define GORT_TYPED_PARAMS_3(t, n, ...) t n, GORT_TYPED_PARAMS_2(__VA_ARGS__)
#define GORT_TYPED_PARAMS_4(t, n, ...) t n, GORT_TYPED_PARAMS_3(__VA_ARGS__)
#define GORT_TYPED_PARAMS_5(t, n, ...) t n, GORT_TYPED_PARAMS_4(__VA_ARGS__)
#define GORT_TYPED_PARAMS_6(t, n, ...) t n, GORT_TYPED_PARAMS_5(__VA_ARGS__)
#define GORT_TYPED_PARAMS_7(t, n, ...) t n, GORT_TYPED_PARAMS_6(__VA_ARGS__)
#define GORT_TYPED_PARAMS_8(t, n, ...) t n, GORT_TYPED_PARAMS_7(__VA_ARGS__)
#define GORT_TYPED_SET_1(t, n) gort_a->n = n;
#define GORT_TYPED_SET_2(t, n, ...) gort_a->n = n; GORT_TYPED_SET_1(__VA_ARGS__)
#define GORT_TYPED_SET_3(t, n, ...) gort_a->n = n; GORT_TYPED_SET_2(__VA_ARGS__)
#define GORT_TYPED_SET_4(t, n, ...) gort_a->n = n; GORT_TYPED_SET_3(__VA_ARGS__)
#define GORT_TYPED_SET_5(t, n, ...) gort_a->n = n; GORT_TYPED_SET_4(__VA_ARGS__)
#define GORT_TYPED_SET_6(t, n, ...) gort_a->n = n; GORT_TYPED_SET_5(__VA_ARGS__)
#define GORT_TYPED_SET_7(t, n, ...) gort_a->n = n; GORT_TYPED_SET_6(__VA_ARGS__)
#define GORT_TYPED_SET_8(t, n, ...) gort_a->n = n; GORT_TYPED_SET_7(__VA_ARGS__)
#define GORT_TYPED_PASS_1(t, n) gort_a->n
#define GORT_TYPED_PASS_2(t, n, ...) gort_a->n, GORT_TYPED_PASS_1(__VA_ARGS__)
#define GORT_TYPED_PASS_3(t, n, ...) gort_a->n, GORT_TYPED_PASS_2(__VA_ARGS__)
#define GORT_TYPED_PASS_4(t, n, ...) gort_a->n, GORT_TYPED_PASS_3(__VA_ARGS__)
#define GORT_TYPED_PASS_5(t, n, ...) gort_a->n, GORT_TYPED_PASS_4(__VA_ARGS__)
#define GORT_TYPED_PASS_6(t, n, ...) gort_a->n, GORT_TYPED_PASS_5(__VA_ARGS__)
#define GORT_TYPED_PASS_7(t, n, ...) gort_a->n, GORT_TYPED_PASS_6(__VA_ARGS__)
#define GORT_TYPED_PASS_8(t, n, ...) gort_a->n, GORT_TYPED_PASS_7(__VA_ARGS__)

#define GORT_TYPED_GO_1(fn, ...) GORT_TYPED_GO(fn, 1, __VA_ARGS__)
#define GORT_TYPED_GO_2(fn, ...) GORT_TYPED_GO(fn, 2, __VA_ARGS__)
#define GORT_TYPED_GO_3(fn, ...) GORT_TYPED_GO(fn, 3, __VA_ARGS__)
#define GORT_TYPED_GO_4(fn, ...) GORT_TYPED_GO(fn, 4, __VA_ARGS__)
#define GORT_TYPED_GO_5(fn, ...) GORT_TYPED_GO(fn, 5, __VA_ARGS__)
#define GORT_TYPED_GO_6(fn, ...) GORT_TYPED_GO(fn, 6, __VA_ARGS__)
#define GORT_TYPED_GO_7(fn, ...) GORT_TYPED_GO(fn, 7, __VA_ARGS__)
#define GORT_TYPED_GO_8(fn, ...) GORT_TYPED_GO(fn, 8, __VA_ARGS__)

#define GORT_TYPED_GO(fn, count, ...)                                                                    \
    struct fn##_gort_args {                                                                              \
        GORT_TYPED_FIELDS_##count(__VA_ARGS__)                                                           \
    };                                                                                                   \
    GORT_TYPED_CHECK(struct fn##_gort_args)                                                              \
    GORT_TYPED_FN void fn##_gort_entry(void *gort_arg)                                                   \
    {                                                                                                    \
        struct fn##_gort_args *gort_a = GORT_TYPED_AS(struct fn##_gort_args, gort_arg);                  \
        fn(GORT_TYPED_PASS_##count(__VA_ARGS__));                                                        \
    }                                                                                                    \
    GORT_TYPED_FN int fn##_go(GORT_TYPED_PARAMS_##count(__VA_ARGS__))                                    \
    {                                                                                                    \
        struct fn##_gort_args gort_args, *gort_a = &gort_args;                                           \
        GORT_TYPED_SET_##count(__VA_ARGS__)                                                              \
        return gort_spawn_copy(fn##_gort_entry, gort_a, sizeof *gort_a);                                 \
    }                                                                                                    \
    GORT_TYPED_FN void fn##_gort_owner(void *gort_arg)                                                   \
    {                                                                                                    \
        struct fn##_gort_args gort_args = *GORT_TYPED_AS(struct fn##_gort_args, gort_arg);               \
        struct fn##_gort_args *gort_a = &gort_args;                                                      \
        free(gort_arg);                                                                                  \
        fn(GORT_TYPED_PASS_##count(__VA_ARGS__));                                                        \
    }                                                                                                    \
    GORT_TYPED_FN int fn##_waitgroup_go(gort_waitgroup_t *gort_group, GORT_TYPED_PARAMS_##count(__VA_ARGS__))\
    {                                                                                                    \
        int gort_status;                                                                                 \
        struct fn##_gort_args *gort_a = GORT_TYPED_AS(struct fn##_gort_args, malloc(sizeof *gort_a));    \
        if (gort_a == NULL)                                                                              \
            return GORT_ENOMEM;                                                                          \
        GORT_TYPED_SET_##count(__VA_ARGS__)                                                              \
        gort_status = gort_waitgroup_go(gort_group, fn##_gort_owner, gort_a);                            \
        if (gort_status != GORT_OK)                                                                      \
            free(gort_a);                                                                                \
        return gort_status;                                                                              \
    }

#define GORT_TYPED_GO_0(fn)                                                                              \
    GORT_TYPED_FN void fn##_gort_entry(void *gort_arg)                                                   \
    {                                                                                                    \
        (void)gort_arg;                                                                                  \
        fn();                                                                                            \
    }                                                                                                    \
    GORT_TYPED_FN int fn##_go(void) { return gort_spawn(fn##_gort_entry, NULL); }                        \
    GORT_TYPED_FN int fn##_waitgroup_go(gort_waitgroup_t *gort_group)                                    \
    {                                                                                                    \
        return gort_waitgroup_go(gort_group, fn##_gort_entry, NULL);                                     \
    }

#endif /* GORT_TYPED_H */
