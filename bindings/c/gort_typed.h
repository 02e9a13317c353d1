/*
 * gort_typed.h: typed channels and go-wrappers over gort.h, in macros and static inline functions.
 *
 * The one thing to know: a typed channel is the plain channel in a type of its own, so nothing is slower and
 * nothing is hidden: `ch.chan` is the gort_chan_t, for whatever is not wrapped here.
 *
 *     GORT_CHAN_DEFINE(ints, int)              defines ints_t, ints_new, ints_send, ints_recv ...
 *     GORT_GO_DEFINE(worker, struct job)       for static void worker(struct job job)
 *     GORT_GO(worker, job);                    a goroutine with a copy of job
 *
 * C11 or later, C++11 or later. There is nothing to link.
 */
#ifndef GORT_TYPED_H
#define GORT_TYPED_H

#include <gort.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
#include <type_traits>
/* gort copies elements and arguments byte by byte. */
#define GORT_TYPED_CHECK(type) \
    static_assert(std::is_trivially_copyable<type>::value, #type " cannot be copied byte by byte");
#define GORT_TYPED_NEW(type) static_cast<type *>(malloc(sizeof(type)))
#define GORT_TYPED_AS(type, pointer) static_cast<type *>(pointer)
#else
#define GORT_TYPED_CHECK(type) _Static_assert(sizeof(type) > 0, #type " has no size");
#define GORT_TYPED_NEW(type) ((type *)malloc(sizeof(type)))
#define GORT_TYPED_AS(type, pointer) ((type *)(pointer))
#endif

/* What a program does not use of the defined functions is no reason for a warning. */
#if defined(__GNUC__)
#define GORT_TYPED_FN static inline __attribute__((unused))
#else
#define GORT_TYPED_FN static inline
#endif

/*
 * Defines `name##_t`, a channel of `type`, and its functions; they return what the gort_chan_ functions of
 * the same names return. `type` is a type name to which `*` may be appended: wrap arrays in a struct, and
 * give pointers to functions a typedef. Write it at file scope, with no semicolon after it.
 *
 * `elem` of the union is never read: it only carries the type into GORT_CASE_RECV and GORT_CASE_SEND.
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

/*
 * Initialisers of a gort_case_t:
 *
 *     gort_case_t cases[] = { GORT_CASE_RECV(numbers, &number), GORT_CASE_SEND(replies, &reply) };
 *
 * The pointer must be to the channel's element type (the compiler compares the two); for RECV, NULL
 * discards. A channel whose `chan` is NULL is never ready.
 */
#define GORT_CASE_RECV(ch, pointer) { (ch).chan, (1 ? (pointer) : (ch).elem), GORT_RECV, 0 }
#define GORT_CASE_SEND(ch, pointer) { (ch).chan, (1 ? (pointer) : (ch).elem), GORT_SEND, 0 }

/*
 * Makes `fn`, a function `void fn(type)` declared before, fit for GORT_GO and GORT_WAITGROUP_GO. Write it at
 * file scope, with no semicolon after it.
 */
#define GORT_GO_DEFINE(fn, type)                                                                         \
    GORT_TYPED_CHECK(type)                                                                               \
    GORT_TYPED_FN void fn##_gort_entry(void *arg) { fn(*GORT_TYPED_AS(type, arg)); }                     \
    GORT_TYPED_FN int fn##_gort_go(type value)                                                           \
    {                                                                                                    \
        return gort_spawn_copy(fn##_gort_entry, &value, sizeof value);                                   \
    }                                                                                                    \
    GORT_TYPED_FN void fn##_gort_owner(void *arg)                                                        \
    {                                                                                                    \
        type value = *GORT_TYPED_AS(type, arg);                                                          \
        free(arg);                                                                                       \
        fn(value);                                                                                       \
    }                                                                                                    \
    GORT_TYPED_FN int fn##_gort_waitgroup_go(gort_waitgroup_t *group, type value)                        \
    {                                                                                                    \
        type *copy = GORT_TYPED_NEW(type);                                                               \
        int status;                                                                                      \
        if (copy == NULL)                                                                                \
            return GORT_ENOMEM;                                                                          \
        *copy = value;                                                                                   \
        status = gort_waitgroup_go(group, fn##_gort_owner, copy);                                        \
        if (status != GORT_OK)                                                                           \
            free(copy);                                                                                  \
        return status;                                                                                   \
    }

/*
 * Start `fn` in a goroutine with a copy of the value given, which may be a compound literal:
 *
 *     GORT_GO(worker, (struct job){ .number = 1, .out = out });
 *
 * GORT_OK, GORT_EINVAL or GORT_ENOMEM, as gort_spawn_copy and gort_waitgroup_go.
 */
#define GORT_GO(fn, ...) fn##_gort_go(__VA_ARGS__)
#define GORT_WAITGROUP_GO(group, fn, ...) fn##_gort_waitgroup_go(group, __VA_ARGS__)

#endif /* GORT_TYPED_H */
