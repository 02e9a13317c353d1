/**
 * @file gort.h
 * Go's concurrency for C: goroutines, channels and select on all cores.
 *
 * Link with -lgort (pkg-config --cflags --libs gort). This file is generated from the library's source; the
 * comments below are the reference manual (`make reference` makes HTML of them). What holds everywhere:
 *
 * @par Status
 * Functions that can fail return an int: GORT_OK (0) or a positive count or index, or a negative code. Codes
 * that have an errno equal -errno of the platform: GORT_EINVAL == -EINVAL. gort's own are GORT_ECLOSED,
 * GORT_EPANIC and GORT_ENONAME. gort_strerror() says what a code means. errno itself is never the channel; it
 * is saved when a goroutine parks and restored when it resumes.
 *
 * @par Time
 * int64_t nanoseconds. Durations are relative; deadlines are absolute, on the monotonic clock of gort_now(). A
 * deadline in the past (0 included) means: do not wait. GORT_FOREVER: no deadline.
 *
 * @par Forms
 * A blocking call X waits for ever; try_X never waits and returns GORT_EAGAIN; X_until takes a deadline last,
 * tries first, then returns GORT_ETIMEDOUT (never GORT_EAGAIN).
 *
 * @par Callers
 * Every function may be called from a goroutine, which parks while its thread runs another, and from any other
 * thread of the process, which blocks. The few exceptions say so. The runtime starts by itself on first use.
 *
 * @par Objects
 * Value types (gort_mutex_t and its like) live in your memory, are ready when zeroed (= {0}), need no destroy,
 * and must not be copied after first use. Handles are pointers, reference counted by their _retain and
 * _release; _release(NULL) does nothing.
 *
 * @par Lifetime
 * A call whose effect another can observe touches the object no more: once a receiver has the value, a waiter
 * has seen the wait group at zero, or a peer holds the mutex, the last reference may be released and a value
 * type's memory reused, though the call that caused it has not yet returned.
 *
 * @par Misuse
 * A required pointer that is NULL, an unknown flag, or a non-zero byte past a known options struct gives
 * GORT_EINVAL and changes nothing; from a function that returns a pointer, NULL; from one that returns void, a
 * fatal error that names it. No memory gives GORT_ENOMEM. What Go calls fatal (unlock of an unlocked mutex)
 * prints "fatal error: ..." and ends the process with status 2; what Go panics about (a negative wait group)
 * is a panic, which a deferred call may recover.
 *
 * @par Options
 * Structs of options begin with their own size. Set all fields with their _INIT macro, then those you want; a
 * field that is zero means the default.
 *
 * @par Exceptions
 * No C++ exception may leave a function that you give to gort, and none comes out of it.
 */

#ifndef GORT_H
#define GORT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Version of this header
 *  @{ */

#define GORT_VERSION_MAJOR 0 /**< of this header */
#define GORT_VERSION_MINOR 1 /**< of this header */
#define GORT_VERSION_PATCH 0 /**< of this header */
/** major << 16 | minor << 8 | patch; gort_version() is that of the loaded library. */
#define GORT_VERSION_NUM \
    ((GORT_VERSION_MAJOR << 16) | (GORT_VERSION_MINOR << 8) | GORT_VERSION_PATCH)

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Status codes (the end of this file lists those that only come from the system)
 *  @{ */

#define GORT_OK              0                  /**< success */
#define GORT_ECLOSED         (-4001)            /**< channel is closed */
#define GORT_EPANIC          (-4002)            /**< a panic was recovered */
#define GORT_ENONAME         (-4003)            /**< host name does not resolve */
#define GORT_EAGAIN          (-EAGAIN)          /**< not ready, the call would have to wait */
#define GORT_EBUSY           (-EBUSY)           /**< busy or already started */
#define GORT_ECANCELED       (-ECANCELED)       /**< cancelled */
#define GORT_EDEADLK         (-EDEADLK)         /**< all goroutines are asleep, or the call would wait for itself */
#define GORT_EINVAL          (-EINVAL)          /**< invalid argument */
#define GORT_ENOMEM          (-ENOMEM)          /**< out of memory */
#define GORT_EPERM           (-EPERM)           /**< operation not permitted */
#define GORT_ETIMEDOUT       (-ETIMEDOUT)       /**< timed out */

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Time
 *  @{ */

/** As a deadline: never. As a duration: for ever. */
#define GORT_FOREVER INT64_MAX
#define GORT_MICROSECOND INT64_C(1000)          /**< a duration, in nanoseconds: 5 * GORT_MICROSECOND */
#define GORT_MILLISECOND INT64_C(1000000)       /**< a duration, in nanoseconds */
#define GORT_SECOND      INT64_C(1000000000)    /**< a duration, in nanoseconds */
#define GORT_MINUTE      INT64_C(60000000000)   /**< a duration, in nanoseconds */

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Version, errors
 *  @{ */

/**
 * The version of the loaded library, in the form of `GORT_VERSION_NUM`: major << 16 | minor << 8 | patch.
 * A program may compare the two to see whether it runs with the library it was compiled for.
 *
 * Does not block and does not start the runtime. Since 0.1.
 */
uint32_t gort_version(void);

/**
 * The version of the loaded library as text, "0.1.0".
 *
 * Does not block and does not start the runtime. The text is static: do not free it. Since 0.1.
 */
const char *gort_version_string(void);

/**
 * The name of a status code: "GORT_ECLOSED" for `GORT_ECLOSED`, "GORT_OK" for 0. For a number that is no
 * status code: "GORT_UNKNOWN"; never NULL.
 *
 * Does not block and does not start the runtime. The text is static: do not free it. Since 0.1.
 */
const char *gort_err_name(int code);

/**
 * What a status code means, in a few English words without a full stop: "channel is closed" for
 * `GORT_ECLOSED`, "success" for 0. For a number that is no status code: "unknown status code"; never NULL.
 *
 * Does not block and does not start the runtime. The text is static: do not free it. Since 0.1.
 */
const char *gort_strerror(int code);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Runtime
 *  @{ */

/**
 * `gort_options_t.flags`: never more than `max_procs` goroutines run at once. Without it another thread takes over
 * from a goroutine that has kept its worker for 10 to 20 ms while others wait; with it that one holds up the rest.
 */
#define GORT_STRICT_PROCS 1

/**
 * How the runtime is to run; for gort_init(). Zero fields mean the default.
 */
typedef struct gort_options_t {
    /**
     * sizeof(gort_options_t)
     */
    size_t size;
    /**
     * Workers that pick up goroutines to run, at most 1024; a goroutine that keeps its worker for long is counted
     * out (see GORT_STRICT_PROCS). Default: the environment variable GORT_MAXPROCS,
     * else the CPUs that affinity and cgroup quota allow.
     */
    uint32_t max_procs;
    /**
     * OS threads that the runtime may have in all; past it: "fatal error: thread exhaustion". Default 10000.
     */
    uint32_t max_threads;
    /**
     * Bytes reserved for a goroutine's stack, of which the lowest 64 KiB are its guard; committed on touch.
     * Rounded up to a power of two of at least 128 KiB; at most 1 GiB. Default 256 KiB.
     */
    size_t stack_size;
    /**
     * GORT_STRICT_PROCS, or 0.
     */
    uint32_t flags;
} gort_options_t;

/** All fields of a gort_options_t at their defaults. */
#define GORT_OPTIONS_INIT { sizeof(gort_options_t), 0, 0, 0, 0 }

/**
 * The function that gort_main() runs.
 */
typedef int (*gort_main_fn_t)(void *arg);

/**
 * Set how the runtime runs. Optional; to be called before anything starts it (spawning, gort_main, a channel
 * operation that blocks).
 *
 * Does not block. `opts` stays the caller's and is copied; NULL means all defaults.
 * GORT_OK; GORT_EBUSY: the runtime has started already; GORT_EINVAL: an unknown flag, a stack size over 1 GiB,
 * a bad `size`, or a non-zero byte past the fields known to this library. Since 0.1.
 */
int gort_init(const gort_options_t *opts);

/**
 * Run `fn(arg)` as the main goroutine, on a stack of 8 MiB, and return what it returns. Other goroutines are
 * not waited for: they go on until the process exits.
 *
 * Blocks the calling thread until `fn` returns. May be called again afterwards. From a goroutine, or while
 * another main goroutine is running, it is a fatal error. If `fn` calls gort_exit(), the others go on and this
 * call never returns; when the last of them ends: "no goroutines (main called gort_exit) - deadlock!".
 * If no goroutine can run and nothing can wake one, the process ends with status 2 and a dump: "fatal error: all
 * goroutines are asleep - deadlock!". A thread that is not gort's and does not wait in gort for ever suppresses that.
 * What `fn` returns; GORT_EINVAL if `fn` is NULL. Since 0.1.
 */
int gort_main(gort_main_fn_t fn_,
              void *arg);

/**
 * Let `n` workers (at most 1024) run goroutines at once from now on; `n < 1` changes nothing.
 *
 * Does not block: when there are to be fewer, the surplus workers step back when their goroutine next reaches
 * the scheduler.
 * The number before this call. Since 0.1.
 */
int gort_max_procs(int n);

/**
 * The CPUs that this process may use: what its affinity mask and its cgroup's CPU quota allow, at least 1.
 *
 * Does not block and does not start the runtime. Since 0.1.
 */
int gort_num_cpu(void);

/**
 * How many goroutines there are, those that have not run yet included. Other threads spawn and end goroutines
 * while it counts: then it may be too large, by those that ended meanwhile.
 *
 * Does not block. Since 0.1.
 */
size_t gort_num_goroutines(void);

/**
 * The clock of all deadlines: nanoseconds since some moment in the past, never going back (CLOCK_MONOTONIC).
 *
 * Does not block and does not start the runtime. Since 0.1.
 */
int64_t gort_now(void);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Goroutines
 *  @{ */

/**
 * `gort_spawn_options_t.flags`: the goroutine never changes its OS thread once it has started. It shares that
 * thread with other goroutines; to have it alone, call gort_lock_thread().
 */
#define GORT_SPAWN_PINNED 1

/**
 * Goroutines that run on threads of their own: see gort_lane_new(). A handle.
 */
typedef struct gort_lane_t gort_lane_t;

/**
 * A goroutine's function. No C++ exception may leave it.
 */
typedef void (*gort_fn_t)(void *arg);

/**
 * How a goroutine is to be started; for gort_spawn_with(). Zero fields mean the default.
 */
typedef struct gort_spawn_options_t {
    /**
     * sizeof(gort_spawn_options_t)
     */
    size_t size;
    /**
     * Bytes reserved for its stack, as in gort_options_t. Default: that of the runtime.
     */
    size_t stack_size;
    /**
     * Shown in reports; copied. Default: none.
     */
    const char *name;
    /**
     * GORT_SPAWN_PINNED, or 0.
     */
    uint32_t flags;
    /**
     * The lane to start it in, borrowed. Default: none.
     */
    gort_lane_t *lane;
} gort_spawn_options_t;

/** All fields of a gort_spawn_options_t at their defaults. */
#define GORT_SPAWN_OPTIONS_INIT { sizeof(gort_spawn_options_t), 0, NULL, 0, NULL }

/**
 * Start a goroutine that runs `fn(arg)`: Go's `go fn(arg)`. It ends when `fn` returns or calls gort_exit().
 *
 * Does not block. `arg` stays the caller's.
 * GORT_OK; GORT_EINVAL: `fn` is NULL; GORT_ENOMEM. Since 0.1.
 */
int gort_spawn(gort_fn_t fn_,
               void *arg);

/**
 * Start a goroutine that runs `fn(copy)`, where `copy` is a copy of the `size` bytes at `args`, made before
 * this call returns. The copy is aligned to 16 bytes and valid until the goroutine has ended. With `size` 0,
 * `fn` gets NULL.
 *
 * Does not block. `args` stays the caller's; the copy is the library's and is freed by it.
 * GORT_OK; GORT_EINVAL: `fn` is NULL, or `args` is and `size` is not 0; GORT_ENOMEM. Since 0.1.
 */
int gort_spawn_copy(gort_fn_t fn_,
                    const void *args,
                    size_t size);

/**
 * Start a goroutine that runs `fn(arg)`, with a name, a stack size, bound to one thread, or in a lane.
 *
 * Does not block. `opts` stays the caller's and is copied with its name; NULL means all defaults. `arg` stays
 * the caller's.
 * GORT_OK; GORT_EINVAL: `fn` is NULL, an unknown flag, a stack size over 1 GiB, a bad `size`, or a non-zero
 * byte past the fields known to this library; GORT_ENOMEM; GORT_ECLOSED: the lane is closed. Since 0.1.
 */
int gort_spawn_with(const gort_spawn_options_t *opts,
                    gort_fn_t fn_,
                    void *arg);

/**
 * Let other goroutines run first: Go's `runtime.Gosched`. On a plain thread: sched_yield().
 *
 * Does not wait for anything. Since 0.1.
 */
void gort_yield(void);

/**
 * Wait for at least `ns` nanoseconds; `ns <= 0` returns at once.
 *
 * Blocks. Since 0.1.
 */
void gort_sleep(int64_t ns);

/**
 * End the calling goroutine: Go's `runtime.Goexit`. Does not return. All its deferred calls are run, and it passes
 * through every gort_try(); the C cleanups and C++ destructors of its frames are run too. gort_recover() returns
 * NULL in deferred calls that are run for it, and a panic that is replaced by it is over.
 *
 * From the main goroutine: the others go on (see gort_main). Outside a goroutine: a fatal error. Since 0.1.
 */
void gort_exit(void);

/**
 * Is the caller a goroutine?
 *
 * Does not block and does not start the runtime. Since 0.1.
 */
bool gort_in_goroutine(void);

/**
 * Keep the calling goroutine on its present OS thread, and everybody else off it: Go's
 * `runtime.LockOSThread`. Nests: as many gort_unlock_thread() undo it. A goroutine that ends locked takes the
 * thread with it. On a goroutine spawned with GORT_SPAWN_PINNED, which keeps its thread anyway but shares it,
 * and on a plain thread: no effect. After gort_pin_thread(), before its gort_unpin_thread(): the thread is kept
 * until both are undone, and shared all the while.
 *
 * May let another thread take over other goroutines; does not wait. Since 0.1.
 */
void gort_lock_thread(void);

/**
 * Undo one gort_lock_thread(). One too many has no effect.
 *
 * Does not block. Since 0.1.
 */
void gort_unlock_thread(void);

/**
 * Keep the calling goroutine on its present OS thread, which others go on sharing: what GORT_SPAWN_PINNED does for a
 * goroutine's whole life, from here to gort_unpin_thread(). For code that must find errno, thread-locals or a
 * library's per-thread state as it left them, over calls that park. Nests: as many gort_unpin_thread() undo it, up to
 * 65534; more are never undone. A goroutine that ends pinned leaves the thread as it is. On a plain thread: no effect.
 *
 * Does not block. While it is pinned, it can go on only when its thread is free: another goroutine that computes or
 * blocks for long there holds it up. Since 0.1.
 */
void gort_pin_thread(void);

/**
 * Undo one gort_pin_thread(). One too many has no effect.
 *
 * Does not block. Since 0.1.
 */
void gort_unpin_thread(void);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Deadlocks that are survived
 *  @{ */

/**
 * A time in which deadlocks are looked for, from gort_detect_begin() to gort_detect_end(). A handle: reference counted
 * by gort_detect_retain() and gort_detect_release().
 */
typedef struct gort_detect_t gort_detect_t;

/**
 * Run `fn(arg)` as the main goroutine, as gort_main() does, and wait for its end or for a deadlock: when no goroutine
 * can run and nothing can wake one, the report that gort_main() would die with is written to the descriptor `dump_fd`
 * (negative: nowhere), and this returns. The goroutines stay parked, the main goroutine too, until something wakes
 * them after all, as for example a send by the caller; what is on their stacks is theirs.
 *
 * Blocks the calling thread. May be called again afterwards. SIGQUIT ends the process as under gort_main().
 *
 * `GORT_OK`: `fn` has returned; `GORT_EDEADLK`: deadlock, or the last goroutine has ended and main by gort_exit();
 * `GORT_EBUSY`: gort_main(), gort_run() or a time begun by gort_detect_begin() goes on elsewhere; `GORT_EPERM`: the
 * caller is a goroutine; `GORT_EINVAL`: `fn` is NULL; `GORT_ENOMEM`. Since 0.1.
 */
int gort_run(gort_fn_t fn_,
             void *arg,
             int dump_fd);

/**
 * Begin a time in which deadlocks are looked for, for an embedder that makes its main goroutine itself: one of a lane,
 * say, while the embedder's own thread must wake from time to time. In order: gort_detect_begin(), gort_detect_retain()
 * for the main goroutine, spawn it; it calls gort_detect_done() and gort_detect_release() at its end; meanwhile the
 * thread calls gort_detect_wait() until that says other than `GORT_ETIMEDOUT`; then gort_detect_end() and
 * gort_detect_release().
 *
 * Does not block. The caller owns the one reference. SIGQUIT ends the process as under gort_main(), once a thread is in
 * gort_detect_wait().
 *
 * NULL on failure, with a status in `*err` unless `err` is NULL: `GORT_EBUSY`: as for gort_run(); `GORT_ENOMEM`. Else
 * `*err` is `GORT_OK`. Since 0.1.
 */
gort_detect_t *gort_detect_begin(int *err);

/**
 * Wait until gort_detect_done() was called, there is a deadlock, or `deadline` has passed. For as long as it is in this
 * call the calling thread counts as one that waits for ever, whatever the deadline: what it does between two calls is
 * not taken for something that could let a goroutine go on. (A signal handler of a host language could; such a
 * program is told of a deadlock where there is none.) Between two calls nothing is a deadlock.
 *
 * Blocks the calling thread. A deadlock is reported again by each further call for as long as it lasts, and as it was
 * for gort_run() the report is written to `dump_fd` (negative: nowhere).
 *
 * `GORT_OK`: gort_detect_done() was called; `GORT_ETIMEDOUT`; `GORT_EDEADLK`; `GORT_EBUSY`: another thread is in this
 * call; `GORT_EPERM`: the caller is a goroutine; `GORT_EINVAL`: `d` is NULL, or gort_detect_end() was called. Since 0.1.
 */
int gort_detect_wait(gort_detect_t *d,
                     int64_t deadline,
                     int dump_fd);

/**
 * What gort_detect_wait() waits for has happened: it returns `GORT_OK`, now or when it is next called. Does nothing
 * after gort_detect_end(), so a goroutine that was left in a deadlock may call it however late. NULL does nothing.
 *
 * Does not block. Since 0.1.
 */
void gort_detect_done(gort_detect_t *d);

/**
 * Look for deadlocks no more: gort_main(), gort_run() and gort_detect_begin() can be called again. It does nothing if
 * that was done already.
 *
 * Does not block, and gives up no reference.
 *
 * `GORT_OK`; `GORT_EBUSY`: a thread is in gort_detect_wait(), and nothing was done; `GORT_EINVAL`: `d` is NULL.
 * Since 0.1.
 */
int gort_detect_end(gort_detect_t *d);

/**
 * Add a reference and return `d`; NULL returns NULL.
 *
 * Does not block. The caller owns the new reference, and gives it up with gort_detect_release(). Since 0.1.
 */
gort_detect_t *gort_detect_retain(gort_detect_t *d);

/**
 * Give up a reference; the last one does what gort_detect_end() does. NULL does nothing.
 *
 * Does not block. Since 0.1.
 */
void gort_detect_release(gort_detect_t *d);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Lanes
 *  @{ */

/**
 * `gort_lane_options_t.flags`: never more than `limit` goroutines of the lane run at once. Without it a goroutine that has
 * kept its thread for 10 ms while others of the lane wait goes on running, but another thread takes its slot.
 */
#define GORT_LANE_STRICT 1

/**
 * A hook of gort_lane_hooks_t that speaks of a thread of the lane. `data` is gort_lane_options_t.data.
 */
typedef void (*gort_lane_thread_fn_t)(void *data);

/**
 * A hook of gort_lane_hooks_t that speaks of a goroutine of the lane. `arg` is what it was spawned with.
 */
typedef void (*gort_lane_goroutine_fn_t)(void *data, void *arg);

/**
 * A hook of gort_lane_hooks_t that asks about a goroutine of the lane.
 */
typedef bool (*gort_lane_keeps_fn_t)(void *data, void *arg);

/**
 * What a lane calls on its threads; each may be NULL.
 *
 * All but `keeps_thread` run on the thread's own stack, outside of any goroutine (gort_in_goroutine() is false): they may
 * block as far as the lane's owner wants that, and may call gort, but must not wait for goroutines of the lane. No C++
 * exception, and no panic, may leave them. Each thread calls, in this order: thread_start; then any number of times
 * thread_busy, turns of goroutines, thread_idle; then thread_end. A turn is goroutine_start or goroutine_resume, the
 * goroutine itself, and goroutine_leave or goroutine_end. At the exit of the process a thread may stop after thread_idle,
 * for good.
 */
typedef struct gort_lane_hooks_t {
    /**
     * sizeof(gort_lane_hooks_t)
     */
    size_t size;
    /**
     * On a new thread of the lane, first of all.
     */
    gort_lane_thread_fn_t thread_start;
    /**
     * It has got one of the lane's slots and is about to run goroutines. May wait (for a global lock, say).
     */
    gort_lane_thread_fn_t thread_busy;
    /**
     * It is about to give the slot up: to sleep, to make a call of gort_blocking(), or to end.
     */
    gort_lane_thread_fn_t thread_idle;
    /**
     * Last of all.
     */
    gort_lane_thread_fn_t thread_end;
    /**
     * Before a goroutine's first turn.
     */
    gort_lane_goroutine_fn_t goroutine_start;
    /**
     * Before each later turn.
     */
    gort_lane_goroutine_fn_t goroutine_resume;
    /**
     * It has parked or yielded. It goes on nowhere before this has returned.
     */
    gort_lane_goroutine_fn_t goroutine_leave;
    /**
     * It has ended, in whichever way.
     */
    gort_lane_goroutine_fn_t goroutine_end;
    /**
     * Does the goroutine need this very thread to go on? Asked on its own stack, whenever it is about to park or yield:
     * true keeps the thread, this time. A lock of gort's may be held meanwhile, so this must not block, nor call gort or
     * anything that may.
     */
    gort_lane_keeps_fn_t keeps_thread;
} gort_lane_hooks_t;

/** All fields of a gort_lane_hooks_t at their defaults. */
#define GORT_LANE_HOOKS_INIT { sizeof(gort_lane_hooks_t), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

/**
 * How a lane is to be; for gort_lane_new(). Zero fields mean the default.
 */
typedef struct gort_lane_options_t {
    /**
     * sizeof(gort_lane_options_t)
     */
    size_t size;
    /**
     * How many of its goroutines may run at once, each on a thread: its slots. Default 1.
     */
    uint32_t limit;
    /**
     * GORT_LANE_STRICT, or 0.
     */
    uint32_t flags;
    /**
     * Bytes reserved for the stack of each of its goroutines, as in gort_options_t. Default: that of the runtime.
     */
    size_t stack_size;
    /**
     * What its threads are called (15 bytes of it); copied. Default: "gort-lane".
     */
    const char *name;
    /**
     * What it calls; copied. Default: nothing.
     */
    const gort_lane_hooks_t *hooks;
    /**
     * Passed to each hook.
     */
    void *data;
} gort_lane_options_t;

/** All fields of a gort_lane_options_t at their defaults. */
#define GORT_LANE_OPTIONS_INIT { sizeof(gort_lane_options_t), 0, 0, 0, NULL, NULL, NULL }

/**
 * Make a lane: goroutines that run on threads of their own, which run no others. Goroutines are started in it by
 * gort_spawn_with(); they use everything of gort as any others do, and with any others. Threads are started when they
 * are needed, and those that are too many end after 2 s without work.
 *
 * A lane lives until its last handle is released and its last goroutine has ended; then its threads end. In a forked child
 * the parent's lanes are closed.
 *
 * Does not block. `opts` stays the caller's and is copied with its name and hooks; NULL means all defaults. What `data`
 * points to must stay until the lane's last thread has ended (see gort_lane_close()). The caller owns the handle.
 * NULL: an unknown flag, a stack size over 1 GiB, a bad `size` (of the options or the hooks), a non-zero byte past the
 * fields known to this library, or no memory. Since 0.1.
 */
gort_lane_t *gort_lane_new(const gort_lane_options_t *opts);

/**
 * One more handle of a lane, which it returns.
 *
 * Does not block. NULL gives NULL. Since 0.1.
 */
gort_lane_t *gort_lane_retain(gort_lane_t *lane);

/**
 * Give a handle up. A lane without handles goes on until its last goroutine has ended.
 *
 * Does not block. NULL does nothing. Since 0.1.
 */
void gort_lane_release(gort_lane_t *lane);

/**
 * Close a lane: none of its goroutines starts or goes on any more, those that run do so until they next reach the
 * scheduler, and its threads end. Those that have not started are gone; the others stay parked for good, and nothing on
 * their stacks is undone. May be called again, to wait again.
 *
 * Blocks until the last thread has returned from `thread_end`, or until `deadline` (GORT_FOREVER: none). The handle stays
 * the caller's.
 * GORT_OK; GORT_ETIMEDOUT: some threads have not ended (the lane is closed all the same); GORT_EDEADLK: the caller is on a
 * thread of the lane, and nothing was done; GORT_EINVAL: `lane` is NULL. In a forked child, of a parent's lane: GORT_OK.
 * Since 0.1.
 */
int gort_lane_close(gort_lane_t *lane,
                    int64_t deadline);

/**
 * The lane of the calling goroutine, borrowed; NULL: it is in none, or the caller is no goroutine.
 *
 * Does not block and does not start the runtime. Since 0.1.
 */
gort_lane_t *gort_lane_current(void);

/**
 * The number of the calling goroutine, as dumps show it; 0 on a plain thread. Numbers are never used twice.
 *
 * Does not block and does not start the runtime. Since 0.1.
 */
uint64_t gort_id(void);

/**
 * Where the stack of the calling goroutine is: from `*low`, above its guard, up to `*high`.
 *
 * Does not block and does not start the runtime.
 * GORT_OK; GORT_EINVAL: the caller is no goroutine, or `low` or `high` is NULL. Then nothing is written. Since 0.1.
 */
int gort_stack_bounds(void **low,
                      void **high);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Channels
 *  @{ */

/**
 * A channel of elements of one size. A handle: reference counted by `gort_chan_retain` and
 * `gort_chan_release`.
 */
typedef struct gort_chan_t gort_chan_t;

/**
 * Make a channel for elements of `elem_size` bytes that holds up to `capacity` of them. Capacity 0 is a
 * rendezvous: a send waits for its receive. Elements of size 0 are signals: they are counted and take no
 * memory. NULL if the sizes overflow or there is no memory.
 *
 * Does not block. The caller owns the one reference, and gives it up with `gort_chan_release`. Since 0.1.
 */
gort_chan_t *gort_chan_new(size_t elem_size,
                                  size_t capacity);

/**
 * Add a reference and return `ch`; NULL returns NULL.
 *
 * Does not block. The caller owns the new reference, and gives it up with `gort_chan_release`. Since 0.1.
 */
gort_chan_t *gort_chan_retain(gort_chan_t *ch);

/**
 * Give up a reference; the last one frees the channel and what is left in its buffer (see gort_chan_new_with()),
 * without closing it. NULL does nothing.
 *
 * Does not block. `ch` must not be used any more on account of this reference, and while a call waits on the
 * channel somebody must hold one. Since 0.1.
 */
void gort_chan_release(gort_chan_t *ch);

/**
 * Send a copy of the element at `elem`.
 *
 * Blocks until a receiver has taken it or it has a place in the buffer; first come, first served. `elem` stays
 * the caller's; it may be NULL if elements have size 0.
 *
 * `GORT_OK`; `GORT_ECLOSED`: the channel is closed, or was closed during the wait, and nothing was sent;
 * `GORT_EINVAL`: a pointer is NULL. Since 0.1.
 */
int gort_chan_send(gort_chan_t *ch,
                   const void *elem);

/**
 * Send a copy of the element at `elem` if that can be done at once.
 *
 * Does not block. `elem` stays the caller's; it may be NULL if elements have size 0.
 *
 * `GORT_OK`; `GORT_EAGAIN`: the buffer is full, or without a buffer nobody waits to receive;
 * `GORT_ECLOSED`: the channel is closed; `GORT_EINVAL`: a pointer is NULL. Since 0.1.
 */
int gort_chan_try_send(gort_chan_t *ch, const void *elem);

/**
 * Send a copy of the element at `elem`; wait for that until `deadline` at the most. A deadline in the past:
 * try, and do not wait.
 *
 * Blocks as `gort_chan_send` does. `elem` stays the caller's; it may be NULL if elements have size 0.
 *
 * `GORT_OK`; `GORT_ETIMEDOUT`: the deadline passed, and nothing was sent; `GORT_ECLOSED`: the channel is
 * closed, or was closed during the wait, and nothing was sent; `GORT_EINVAL`: a pointer is NULL. Since 0.1.
 */
int gort_chan_send_until(gort_chan_t *ch,
                         const void *elem,
                         int64_t deadline);

/**
 * Receive an element into `elem`, or with `elem` NULL drop it.
 *
 * Blocks until there is one or the channel is closed; first come, first served. `elem` stays the caller's.
 *
 * `GORT_OK`; `GORT_ECLOSED`: the channel is closed and drained, and the element was zeroed; `GORT_EINVAL`:
 * `ch` is NULL. Since 0.1.
 */
int gort_chan_recv(gort_chan_t *ch,
                   void *elem);

/**
 * Receive an element into `elem` if there is one, or with `elem` NULL drop it.
 *
 * Does not block. `elem` stays the caller's.
 *
 * `GORT_OK`; `GORT_EAGAIN`: there is none, and `elem` is untouched; `GORT_ECLOSED`: the channel is closed and
 * drained, and the element was zeroed; `GORT_EINVAL`: `ch` is NULL. Since 0.1.
 */
int gort_chan_try_recv(gort_chan_t *ch,
                       void *elem);

/**
 * Receive an element into `elem`, or with `elem` NULL drop it; wait for one until `deadline` at the most. A
 * deadline in the past: try, and do not wait.
 *
 * Blocks as `gort_chan_recv` does. `elem` stays the caller's.
 *
 * `GORT_OK`; `GORT_ETIMEDOUT`: the deadline passed, and `elem` is untouched; `GORT_ECLOSED`: the channel is
 * closed and drained, and the element was zeroed; `GORT_EINVAL`: `ch` is NULL. Since 0.1.
 */
int gort_chan_recv_until(gort_chan_t *ch,
                         void *elem,
                         int64_t deadline);

/**
 * Close the channel. From now on sends fail; what is in the buffer can still be received. All who wait are
 * woken: receivers, as the channel is drained, and senders, whose elements are not sent.
 *
 * Does not block. Closing gives up no reference.
 *
 * `GORT_OK`; `GORT_ECLOSED`: it already was; `GORT_EINVAL`: `ch` is NULL. Since 0.1.
 */
int gort_chan_close(gort_chan_t *ch);

/**
 * How many elements are in the buffer just now. 0 for capacity 0, for the channel of a timer and for NULL.
 *
 * Does not block. Since 0.1.
 */
size_t gort_chan_len(const gort_chan_t *ch);

/**
 * The capacity that the channel was made with. 0 for the channel of a timer and for NULL.
 *
 * Does not block. Since 0.1.
 */
size_t gort_chan_cap(const gort_chan_t *ch);

/**
 * The size of the elements that the channel was made for. 0 for NULL.
 *
 * Does not block. Since 0.1.
 */
size_t gort_chan_elem_size(const gort_chan_t *ch);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Channels whose elements own something
 *  @{ */

/**
 * A function for an element that leaves a channel without being received: see gort_chan_new_with().
 */
typedef void (*gort_chan_drop_fn_t)(void *elem, void *data);

/**
 * How a channel is to be; for gort_chan_new_with(). Zero fields mean the default.
 */
typedef struct gort_chan_options_t {
    /**
     * sizeof(gort_chan_options_t)
     */
    size_t size;
    /**
     * Called for each element that leaves the channel without being received: one that lies in the buffer when the
     * last reference is released or gort_chan_clear() is called, and one that a receive drops whose `elem` is NULL.
     * Not for one whose send fails: that stays the sender's. NULL: nothing is called.
     */
    gort_chan_drop_fn_t drop;
    /**
     * For `drop`.
     */
    void *data;
} gort_chan_options_t;

/** All fields of a gort_chan_options_t at their defaults. */
#define GORT_CHAN_OPTIONS_INIT { sizeof(gort_chan_options_t), NULL, NULL }

/**
 * A function for each element in a channel's buffer: see gort_chan_visit().
 */
typedef int (*gort_chan_visit_fn_t)(void *elem, void *arg);

/**
 * Make a channel as gort_chan_new() does, whose elements may own something: `opts->drop` is called for each that
 * leaves it without being received. It is called with `data`, once, on the thread and stack of whoever releases, clears
 * or receives; never under a lock, so it may call gort; it must not panic. `elem` points to the element for the call
 * only, aligned as by malloc() if its size is a multiple of its alignment. NULL if the sizes overflow, there is no
 * memory, or `opts` has a bad `size` or a non-zero byte past the fields known to this library.
 *
 * Does not block. The caller owns the one reference, and gives it up with gort_chan_release(). `opts` stays the
 * caller's and is copied; NULL means all defaults. Since 0.1.
 */
gort_chan_t *gort_chan_new_with(size_t elem_size,
                                size_t capacity,
                                const gort_chan_options_t *opts);

/**
 * Call `visit(elem, arg)` for each element in the buffer, the first in line first, until it returns other than 0; for
 * garbage collectors. Elements of senders that wait are not in the buffer; the channel of a timer shows none.
 *
 * Blocks others who want the channel: `visit` is called under its lock, and must not call gort, block, or change an
 * element.
 *
 * What the last call returned, or 0 if there was none; `GORT_EINVAL`: a pointer is NULL. Since 0.1.
 */
int gort_chan_visit(gort_chan_t *ch,
                    gort_chan_visit_fn_t visit,
                    void *arg);

/**
 * Receive and drop as many elements as the buffer holds now, by the channel's `drop` if it has one. Senders that wait
 * for a place get one, as by any receive. The channel of a timer has none.
 *
 * Does not block. The caller holds a reference until this returns.
 *
 * How many elements were dropped; `GORT_EINVAL`: `ch` is NULL; `GORT_ENOMEM`: no memory for one element (up to 64 bytes
 * need none), and nothing was dropped. Since 0.1.
 */
int gort_chan_clear(gort_chan_t *ch);

/**
 * How many wait in the channel just now, to send or to receive: goroutines, threads and gort_select_async(). A select
 * counts once for each of its cases with this channel. 0 for NULL.
 *
 * Does not block; it counts them one by one, under the channel's lock. Since 0.1.
 */
size_t gort_chan_waiters(const gort_chan_t *ch);

/**
 * How many references there are to the channel just now. If all that there are are the caller's, nobody else can add
 * one. 0 for NULL.
 *
 * Does not block. Since 0.1.
 */
size_t gort_chan_refs(const gort_chan_t *ch);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Select
 *  @{ */

/**
 * As `op` of a case: send the element at `elem`.
 */
#define GORT_SEND 1

/**
 * As `op` of a case: receive an element into `elem`.
 */
#define GORT_RECV 2

/**
 * One case of a select.
 */
typedef struct gort_case_t {
    /**
     * The channel; NULL: this case is never ready.
     */
    gort_chan_t *chan;
    /**
     * `GORT_SEND`: read from, NULL only if elements have size 0. `GORT_RECV`: written to, NULL drops the
     * element. Untouched unless this case is chosen.
     */
    void *elem;
    /**
     * `GORT_SEND` or `GORT_RECV`.
     */
    int op;
    /**
     * Set in the chosen case: `GORT_OK`, or `GORT_ECLOSED` (to send: nothing was sent; to receive: the channel
     * is closed and drained, and the element was zeroed).
     */
    int status;
} gort_case_t;

/**
 * Wait until one of `n` cases can be carried out, carry out exactly that one, set its `status` and return its
 * index. Among several that are ready one is chosen with equal odds. A channel may stand in several cases, to
 * send and to receive; a select never meets itself. A case whose channel is closed is ready.
 *
 * Blocks; with no cases, or none that has a channel, for ever. Cases, elements and channels stay the caller's.
 *
 * The index, 0 or more; `GORT_EINVAL`: more than 65536 cases, `cases` is NULL and `n` is not 0, an `op` that
 * is neither `GORT_SEND` nor `GORT_RECV`, or nothing to send; `GORT_ENOMEM`: no memory for that many cases (up
 * to 8 need none). Since 0.1.
 */
int gort_select(gort_case_t *cases,
                size_t n);

/**
 * As `gort_select` if a case can be carried out at once. All cases are judged at one instant: if at every
 * moment some case is ready, this never says `GORT_EAGAIN`.
 *
 * Does not block. Cases, elements and channels stay the caller's.
 *
 * The index, 0 or more; `GORT_EAGAIN`: no case is ready (the `default` branch of Go); `GORT_EINVAL` and
 * `GORT_ENOMEM` as for `gort_select`. Since 0.1.
 */
int gort_try_select(gort_case_t *cases,
                    size_t n);

/**
 * As `gort_select`, but wait until `deadline` at the most. A deadline in the past: try, and do not wait.
 *
 * Blocks; with no cases, or none that has a channel, until the deadline. Cases, elements and channels stay the
 * caller's.
 *
 * The index, 0 or more; `GORT_ETIMEDOUT`: the deadline passed, and no case was carried out; `GORT_EINVAL` and
 * `GORT_ENOMEM` as for `gort_select`. Since 0.1.
 */
int gort_select_until(gort_case_t *cases,
                      size_t n,
                      int64_t deadline);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Select that calls a function
 *  @{ */

/**
 * A select that was started by gort_select_async(). A handle: reference counted by gort_async_retain() and
 * gort_async_release().
 */
typedef struct gort_async_t gort_async_t;

/**
 * The function that gort_select_async() calls when a case has been carried out.
 */
typedef void (*gort_async_fn_t)(void *arg);

/**
 * Start a select as gort_select() is, and return: `done(arg)` is called when one of its cases has been carried out and
 * has its `status`; gort_async_result() says which. For event loops, whose thread must not wait here: `done` tells the
 * loop. It stands in the channels' queues as a goroutine would, first come, first served.
 *
 * Does not block. `done` is called exactly once, unless gort_async_cancel() says true: on the thread and stack of
 * whoever carries the case out (before this returns if a case is ready at once), with no lock held. It may call what
 * does not block, and gort_async_release() too; it must not wait, panic, or need much stack. A select that is pending
 * keeps no deadlock (see gort_main()) from being one: it does nothing by itself, as a thread that waits in gort for ever.
 *
 * Cases and elements stay the caller's, and in place until `done` was called or gort_async_cancel() has said true.
 * A channel is kept in memory until then, but not by a reference: if nobody else holds one, nobody can complete this.
 * The caller owns the one reference to what is returned, and gives it up with gort_async_release().
 *
 * NULL on failure, with a status in `*err` unless `err` is NULL: `GORT_EINVAL`: as for gort_select(), or `done` is NULL;
 * `GORT_ENOMEM`: no memory. Else `*err` is `GORT_OK`. Since 0.1.
 */
gort_async_t *gort_select_async(gort_case_t *cases,
                                       size_t n,
                                       gort_async_fn_t done,
                                       void *arg,
                                       int *err);

/**
 * Which case was carried out.
 *
 * Does not block.
 *
 * The index, 0 or more; `GORT_EAGAIN`: none yet; `GORT_ECANCELED`: none, it was cancelled; `GORT_EINVAL`: `a` is NULL.
 * Since 0.1.
 */
int gort_async_result(gort_async_t *a);

/**
 * Give the select up, unless a case is being or was carried out. True: none was or will be, nothing was transferred,
 * `done` is not called, and gort touches the cases and elements no more. False: one was, and `done` was or will be
 * called; or `a` is NULL. May be called more than once.
 *
 * Does not block, and gives up no reference. Since 0.1.
 */
bool gort_async_cancel(gort_async_t *a);

/**
 * Add a reference and return `a`; NULL returns NULL.
 *
 * Does not block. The caller owns the new reference, and gives it up with gort_async_release(). Since 0.1.
 */
gort_async_t *gort_async_retain(gort_async_t *a);

/**
 * Give up a reference. That cancels nothing: a select that is pending goes on, and calls `done`. NULL does nothing.
 *
 * Does not block. Since 0.1.
 */
void gort_async_release(gort_async_t *a);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Mutexes, wait groups
 *  @{ */

/**
 * A mutex, as Go's `sync.Mutex`. Ready when zeroed (`= {0}`), needs no destroy, must not be copied after first
 * use. Not recursive, and not bound to who locked it: another goroutine or thread may unlock it. Waiters are
 * served roughly in order: one that has waited for 1 ms gets it next.
 *
 * Once a call has locked it, the unlock that made this possible touches it no more: who holds it last may free
 * the memory as soon as its own unlock has returned, though another's unlock has not yet. Since 0.1.
 */
typedef struct gort_mutex_t {
    /**
     * not for users
     */
    uint64_t _opaque[2];
} gort_mutex_t;

/**
 * Counts what is not yet done and lets others wait for it, as Go's `sync.WaitGroup`. Ready when zeroed
 * (`= {0}`), needs no destroy, must not be copied after first use. A call that may raise the counter from zero
 * must have returned before the waits for it begin. It may be used again once the waits have returned.
 *
 * When a wait has returned, no `gort_waitgroup_done` touches it any more: its memory may be freed at once,
 * though the call that made the counter zero has not yet returned. Since 0.1.
 */
typedef struct gort_waitgroup_t {
    /**
     * not for users
     */
    uint64_t _opaque[2];
} gort_waitgroup_t;

/**
 * Locks `m`, and waits until that is possible.
 *
 * Blocks. `m` stays yours. NULL is a fatal error. Locking a mutex that the caller holds already blocks for
 * ever. Since 0.1.
 */
void gort_mutex_lock(gort_mutex_t *m);

/**
 * Locks `m` if nobody holds it.
 *
 * Does not block. `m` stays yours. Returns `GORT_OK` if the caller holds it now; `GORT_EAGAIN` if somebody else
 * does; `GORT_EINVAL` if `m` is NULL. Since 0.1.
 */
int gort_mutex_try_lock(gort_mutex_t *m);

/**
 * Locks `m`, and waits until that is possible or `deadline` (on `gort_now()`) has passed. It tries before it
 * looks at the deadline, so one in the past makes it a `gort_mutex_try_lock`.
 *
 * Blocks. `m` stays yours. Returns `GORT_OK` if the caller holds it now, which may be just past the deadline;
 * `GORT_ETIMEDOUT` if not; `GORT_EINVAL` if `m` is NULL. Since 0.1.
 */
int gort_mutex_lock_until(gort_mutex_t *m,
                          int64_t deadline);

/**
 * Unlocks `m`. What was done before it is seen by whoever locks it next.
 *
 * Does not block. `m` stays yours, but another who locks it may free it before this call has returned. NULL is
 * a fatal error, and so is a mutex that is not locked ("sync: unlock of unlocked mutex"). Since 0.1.
 */
void gort_mutex_unlock(gort_mutex_t *m);

/**
 * Adds `delta`, which may be negative, to the counter of `wg`. If that makes it zero, all who wait go on.
 *
 * Does not block. `wg` stays yours; if the counter becomes zero, a waiter may free it before this call has
 * returned. NULL is a fatal error. A counter below zero is a panic ("sync: negative WaitGroup counter"); so is
 * one above 2147483647 ("sync: WaitGroup counter overflow"). Since 0.1.
 */
void gort_waitgroup_add(gort_waitgroup_t *wg,
                        int64_t delta);

/**
 * Takes one from the counter of `wg`: `gort_waitgroup_add` of -1. What was done before it is seen by whoever
 * has waited.
 *
 * Does not block. `wg` stays yours; if the counter becomes zero, a waiter may free it before this call has
 * returned. NULL is a fatal error. A counter below zero is a panic ("sync: negative WaitGroup counter").
 * Since 0.1.
 */
void gort_waitgroup_done(gort_waitgroup_t *wg);

/**
 * Waits until the counter of `wg` is zero.
 *
 * Blocks. `wg` stays yours, and may be freed or used again as soon as all waits have returned. NULL is a fatal
 * error. Since 0.1.
 */
void gort_waitgroup_wait(gort_waitgroup_t *wg);

/**
 * Waits until the counter of `wg` is zero or `deadline` (on `gort_now()`) has passed. It looks at the counter
 * before it looks at the deadline.
 *
 * Blocks. `wg` stays yours. Returns `GORT_OK` if the counter was zero; `GORT_ETIMEDOUT` if the deadline passed
 * first; `GORT_EINVAL` if `wg` is NULL. Since 0.1.
 */
int gort_waitgroup_wait_until(gort_waitgroup_t *wg,
                              int64_t deadline);

/**
 * Adds one to the counter of `wg` and starts a goroutine that runs `fn(arg)`; when it ends in any way, takes
 * one from the counter again.
 *
 * Does not block. `wg` and `arg` stay yours. Returns `GORT_OK`; `GORT_EINVAL` if `wg` or `fn` is NULL;
 * `GORT_ENOMEM`: nothing was started and the counter is as it was. Since 0.1.
 */
int gort_waitgroup_go(gort_waitgroup_t *wg,
                      gort_fn_t fn_,
                      void *arg);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Read-write mutexes
 *  @{ */

/**
 * A mutex that many may hold at once for reading, or one for writing, as Go's `sync.RWMutex`. Ready when zeroed
 * (`= {0}`), needs no destroy, must not be copied after first use. Not recursive, not even for reading, and not
 * bound to who locked it. A waiting writer holds off new readers; when a writer unlocks it, all readers that
 * wait by then get it before the next writer.
 *
 * Who holds it for writing may free the memory as soon as its own unlock has returned, though another's unlock
 * or runlock, which made room for it, has not yet. Since 0.1.
 */
typedef struct gort_rwmutex_t {
    /**
     * not for users
     */
    uint64_t _opaque[2];
} gort_rwmutex_t;

/**
 * Locks `rw` for writing, and waits until nobody else holds it. From the moment it waits, no new reader gets in.
 *
 * Blocks. `rw` stays yours. NULL is a fatal error. Since 0.1.
 */
void gort_rwmutex_lock(gort_rwmutex_t *rw);

/**
 * Locks `rw` for writing if nobody holds it.
 *
 * Does not block. `rw` stays yours. Returns `GORT_OK` if the caller holds it now; `GORT_EAGAIN` if others do;
 * `GORT_EINVAL` if `rw` is NULL. Since 0.1.
 */
int gort_rwmutex_try_lock(gort_rwmutex_t *rw);

/**
 * Locks `rw` for writing, and waits until that is possible or `deadline` (on `gort_now()`) has passed. It tries
 * before it looks at the deadline. If the deadline passes, the readers that it held off get in.
 *
 * Blocks. `rw` stays yours. Returns `GORT_OK` if the caller holds it now, which may be just past the deadline;
 * `GORT_ETIMEDOUT` if not; `GORT_EINVAL` if `rw` is NULL. Since 0.1.
 */
int gort_rwmutex_lock_until(gort_rwmutex_t *rw,
                            int64_t deadline);

/**
 * Unlocks `rw`, which somebody holds for writing. What was done before it is seen by whoever locks it next, for
 * reading too. All readers that wait get it; if there are none, the writer that has waited longest.
 *
 * Does not block. `rw` stays yours, but another who locks it may free it before this call has returned. NULL is
 * a fatal error, and so is one that is not locked for writing ("sync: Unlock of unlocked RWMutex"). Since 0.1.
 */
void gort_rwmutex_unlock(gort_rwmutex_t *rw);

/**
 * Locks `rw` for reading, and waits while a writer holds it or waits for it. So it may not be called by one who
 * holds it for reading already: a writer that came in between makes both wait for ever.
 *
 * Blocks. `rw` stays yours. NULL is a fatal error; so is a reader beyond 4294967295. Since 0.1.
 */
void gort_rwmutex_rlock(gort_rwmutex_t *rw);

/**
 * Locks `rw` for reading if no writer holds it or waits for it.
 *
 * Does not block. `rw` stays yours. Returns `GORT_OK` if the caller holds it now; `GORT_EAGAIN` if a writer
 * holds it or waits; `GORT_EINVAL` if `rw` is NULL. Since 0.1.
 */
int gort_rwmutex_try_rlock(gort_rwmutex_t *rw);

/**
 * Locks `rw` for reading, and waits until that is possible or `deadline` (on `gort_now()`) has passed. It tries
 * before it looks at the deadline.
 *
 * Blocks. `rw` stays yours. Returns `GORT_OK` if the caller holds it now, which may be just past the deadline;
 * `GORT_ETIMEDOUT` if not; `GORT_EINVAL` if `rw` is NULL. Since 0.1.
 */
int gort_rwmutex_rlock_until(gort_rwmutex_t *rw,
                             int64_t deadline);

/**
 * Gives up one `gort_rwmutex_rlock` of `rw`. What was done before it is seen by whoever locks it for writing
 * next.
 *
 * Does not block. `rw` stays yours, but a writer that locks it may free it before this call has returned. NULL
 * is a fatal error, and so is one that is not locked for reading ("sync: RUnlock of unlocked RWMutex"). Since
 * 0.1.
 */
void gort_rwmutex_runlock(gort_rwmutex_t *rw);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Condition variables
 *  @{ */

/**
 * Lets those who hold a mutex wait until something that it guards has changed, as Go's `sync.Cond`. Ready when
 * zeroed (`= {0}`), needs no destroy, must not be copied after first use. The mutex is named at each wait.
 *
 * A waiter is woken by a signal or a broadcast and by nothing else. But others may lock the mutex between the
 * signal and the waiter's return, so waits stand in a loop that looks at the condition.
 *
 * The memory may be freed once all waits have returned, though the signal or broadcast that ended them has not
 * yet. Since 0.1.
 */
typedef struct gort_cond_t {
    /**
     * not for users
     */
    uint64_t _opaque[2];
} gort_cond_t;

/**
 * Unlocks `m`, which the caller has locked, and waits for a signal or a broadcast on `c`, all in one step: one
 * that comes once the mutex is unlocked finds the caller waiting. Locks `m` again before it returns.
 *
 * Blocks. `c` and `m` stay yours. NULL is a fatal error, and so is a mutex that is not locked ("sync: unlock of
 * unlocked mutex"). Since 0.1.
 */
void gort_cond_wait(gort_cond_t *c,
                    gort_mutex_t *m);

/**
 * As `gort_cond_wait`, but waits no longer than until `deadline` (on `gort_now()`) has passed. The mutex is
 * locked again in either case, for which the caller may have to wait beyond the deadline. With a deadline that
 * is past when it is called, the mutex stays locked all the while.
 *
 * Blocks. `c` and `m` stay yours. Returns `GORT_OK` if a signal or broadcast woke the caller, which may be
 * just past the deadline: a signal that is told so is consumed, none is lost; `GORT_ETIMEDOUT` if the deadline
 * passed first; `GORT_EINVAL` if `c` or `m` is NULL. An unlocked mutex is a fatal error as for
 * `gort_cond_wait`. Since 0.1.
 */
int gort_cond_wait_until(gort_cond_t *c,
                         gort_mutex_t *m,
                         int64_t deadline);

/**
 * Wakes the one that has waited on `c` the longest; if nobody waits, nothing happens. The caller may hold the
 * mutex or not.
 *
 * Does not block. `c` stays yours; the last waiter may free it before this call has returned. NULL is a fatal
 * error. Since 0.1.
 */
void gort_cond_signal(gort_cond_t *c);

/**
 * Wakes all who wait on `c`. The caller may hold the mutex or not.
 *
 * Does not block. `c` stays yours; the last waiter may free it before this call has returned. NULL is a fatal
 * error. Since 0.1.
 */
void gort_cond_broadcast(gort_cond_t *c);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Once
 *  @{ */

/**
 * Runs a function once, whoever comes first, as Go's `sync.Once`. Ready when zeroed (`= {0}`), needs no
 * destroy, must not be copied after first use. Since 0.1.
 */
typedef struct gort_once_t {
    /**
     * not for users
     */
    uint64_t _opaque[2];
} gort_once_t;

/**
 * Calls `fn(arg)` if this is the first call for `o`, whatever `fn` and `arg` others give; else waits until the
 * first call's function has ended. When it returns, that function has ended and what it did is seen. A
 * function that ends its goroutine with `gort_exit` has ended too, and is not run again. A function that calls
 * gort_once_do for the same `o` waits for itself, for ever.
 *
 * Blocks while another's function runs. `o` and `arg` stay yours. NULL for `o` or `fn` is a fatal error. Since
 * 0.1.
 */
void gort_once_do(gort_once_t *o,
                  gort_fn_t fn_,
                  void *arg);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Semaphores
 *  @{ */

/**
 * A number of permits, which are taken and given any number at a time, as Go's `semaphore.Weighted`. Zeroed
 * (`= {0}`) it has none; gort_sem_init sets another number. Needs no destroy, must not be copied after first
 * use. First come, first served: who wants few permits does not pass one who waits for many. At most 2^62 - 1
 * permits can be free at once.
 *
 * Who has got its permits may free the memory, if no other call is to come, though the release that gave them
 * has not yet returned. Since 0.1.
 */
typedef struct gort_sem_t {
    /**
     * not for users
     */
    uint64_t _opaque[2];
} gort_sem_t;

/**
 * Makes `s`, in whatever state its memory is, a semaphore with `permits` free permits. To be called before
 * anybody else uses it.
 *
 * Does not block. `s` stays yours. NULL is a fatal error; so are less than 0 or more than 2^62 - 1 permits.
 * Since 0.1.
 */
void gort_sem_init(gort_sem_t *s,
                   int64_t permits);

/**
 * Takes `n` permits of `s`, and waits until there are so many and nobody waits who came before.
 *
 * Blocks. `s` stays yours. Returns `GORT_OK`; `GORT_EINVAL` if `s` is NULL or `n` is less than 1. Since 0.1.
 */
int gort_sem_acquire(gort_sem_t *s,
                     int64_t n);

/**
 * Takes `n` permits of `s` if there are so many and nobody waits.
 *
 * Does not block. `s` stays yours. Returns `GORT_OK`; `GORT_EAGAIN` if there are fewer, or somebody waits;
 * `GORT_EINVAL` if `s` is NULL or `n` is less than 1. Since 0.1.
 */
int gort_sem_try_acquire(gort_sem_t *s,
                         int64_t n);

/**
 * Takes `n` permits of `s`, and waits until that is possible or `deadline` (on `gort_now()`) has passed. It
 * tries before it looks at the deadline. If the deadline passes, those who waited behind it get what permits
 * there are.
 *
 * Blocks. `s` stays yours. Returns `GORT_OK` if the caller has the permits, which may be just past the deadline;
 * `GORT_ETIMEDOUT` if not, and then none; `GORT_EINVAL` if `s` is NULL or `n` is less than 1. Since 0.1.
 */
int gort_sem_acquire_until(gort_sem_t *s,
                           int64_t n,
                           int64_t deadline);

/**
 * Gives `n` permits to `s`, whoever took them and whether anybody did: there may be more than at the start.
 * Those who wait get them, in their order. What was done before it is seen by who gets them.
 *
 * Does not block. `s` stays yours, but who gets the permits may free it before this call has returned. NULL is
 * a fatal error; so is an `n` less than 1, and one that would make more than 2^62 - 1 permits free ("sync: too
 * many permits in a semaphore"). Since 0.1.
 */
void gort_sem_release(gort_sem_t *s,
                      int64_t n);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Timers, tickers
 *  @{ */

/**
 * A timer or a ticker, as Go's `time.Timer` and `time.Ticker`. A handle with one reference, which
 * gort_timer_release() gives up.
 *
 * A tick is an int64_t: the time, on the clock of gort_now(), at which it was due. It never comes before that.
 * A timer's channel (see gort_timer_chan) is for receiving only: it may be selected on, waited on until a
 * deadline, and retained. As in Go its length and capacity are 0, though a tick that is due stays there until it
 * is received.
 */
typedef struct gort_timer_t gort_timer_t;

/**
 * Make a channel that yields one tick, an int64_t, after `ns` nanoseconds: Go's `time.After`. `ns <= 0`: at
 * once; `GORT_FOREVER`: never. NULL if there is no memory.
 *
 * Does not block. The caller owns the one reference to the channel, and gives it up with
 * `gort_chan_release`, before the tick too: its timer goes with it. Since 0.1.
 */
gort_chan_t *gort_after(int64_t ns);

/**
 * Make a timer that sends one tick on its channel after `ns` nanoseconds: Go's `time.NewTimer`. `ns <= 0`: at
 * once; `GORT_FOREVER`: not before it is reset. NULL if there is no memory.
 *
 * Does not block. The caller owns the handle. Since 0.1.
 */
gort_timer_t *gort_timer_new(int64_t ns);

/**
 * Make a timer that after `ns` nanoseconds starts a goroutine which runs `fn(arg)`: Go's `time.AfterFunc`.
 * `ns` as for gort_timer_new(). NULL if `fn` is NULL or there is no memory.
 *
 * Does not block. The caller owns the handle; `arg` stays the caller's. Since 0.1.
 */
gort_timer_t *gort_timer_func(int64_t ns,
                                     gort_fn_t fn_,
                                     void *arg);

/**
 * Make a ticker, which sends a tick on its channel every `period_ns` nanoseconds: Go's `time.NewTicker`. Ticks
 * are due at whole periods from now on, however late one of them comes. While a tick has not been received,
 * those that follow are dropped. NULL if `period_ns <= 0` or there is no memory.
 *
 * Does not block. The caller owns the handle. Since 0.1.
 */
gort_timer_t *gort_ticker_new(int64_t period_ns);

/**
 * The channel on which `t` sends its ticks: Go's `t.C`. NULL for NULL and for a timer of gort_timer_func().
 *
 * Does not block. The channel is borrowed: it stays as long as the handle, or longer if it is retained. Since
 * 0.1.
 */
gort_chan_t *gort_timer_chan(gort_timer_t *t);

/**
 * Let `t` fire no more until it is reset. No receive that begins after this call gets a tick from before it. A
 * function that has been started is not waited for.
 *
 * Does not block.
 * True: it was active, or its tick had not been received. False: it had expired, or was stopped, or `t` is
 * NULL. Since 0.1.
 */
bool gort_timer_stop(gort_timer_t *t);

/**
 * Let `t` fire `ns` nanoseconds from now, whether it is active, stopped or has expired; a ticker, every `ns`
 * nanoseconds from now on. `ns` as for gort_timer_new(). No receive that begins after this call gets a tick
 * from before it.
 *
 * Does not block. For a ticker `ns <= 0` changes nothing and returns false.
 * True: it was active, or its tick had not been received. False: it had expired, or was stopped, or `t` is
 * NULL. Since 0.1.
 */
bool gort_timer_reset(gort_timer_t *t,
                      int64_t ns);

/**
 * Give up the handle. NULL does nothing. A timer of gort_timer_func() that is active still fires. Any other
 * goes on as long as somebody holds a reference to its channel, and then goes away.
 *
 * Does not block. `t` must not be used any more. Since 0.1.
 */
void gort_timer_release(gort_timer_t *t);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Contexts
 *  @{ */

/**
 * A deadline, a way to be told to stop, and values, handed down from call to call and from goroutine to
 * goroutine: Go's `context.Context`. A handle: reference counted by gort_ctx_retain() and gort_ctx_release().
 *
 * Contexts form a tree. When one is cancelled or its deadline passes, it is *done*, and so are all below it. A
 * child holds its parent, so the parent's handle may be released first. Releasing cancels nothing: as in Go, whoever
 * makes a context that can be cancelled cancels it when its work is over, and then releases it.
 */
typedef struct gort_ctx_t gort_ctx_t;

/**
 * A function for a value that nobody needs any more: see gort_ctx_with_value_owned().
 */
typedef void (*gort_ctx_destroy_fn_t)(void *value);

/**
 * The root of all contexts: never done, no deadline, no values. Go's `context.Background`.
 *
 * Does not block. There is one; retaining and releasing it does nothing. Never NULL. Since 0.1.
 */
gort_ctx_t *gort_ctx_background(void);

/**
 * Make a child of `parent` that gort_ctx_cancel() cancels: Go's `context.WithCancelCause`. It is done when it is
 * cancelled or `parent` is done, at once if `parent` is done already. NULL if `parent` is NULL or there is no
 * memory.
 *
 * Does not block. The caller owns the one reference. Since 0.1.
 */
gort_ctx_t *gort_ctx_with_cancel(gort_ctx_t *parent);

/**
 * Make a child of `parent` as gort_ctx_with_cancel() does, which is also done `ns` nanoseconds from now: Go's
 * `context.WithTimeout`. If `parent` has an earlier deadline, that holds. `ns <= 0`: it is done at once;
 * `GORT_FOREVER`: it has no deadline of its own. NULL if `parent` is NULL or there is no memory.
 *
 * Does not block. The caller owns the one reference. Since 0.1.
 */
gort_ctx_t *gort_ctx_with_timeout(gort_ctx_t *parent,
                                         int64_t ns);

/**
 * Make a child of `parent` as gort_ctx_with_cancel() does, which is also done at `deadline` on the clock of
 * gort_now(): Go's `context.WithDeadline`. If `parent` has an earlier deadline, that holds. A deadline in the
 * past: it is done at once; `GORT_FOREVER`: it has none of its own. NULL if `parent` is NULL or there is no
 * memory.
 *
 * Does not block. The caller owns the one reference. Since 0.1.
 */
gort_ctx_t *gort_ctx_with_deadline(gort_ctx_t *parent,
                                          int64_t deadline);

/**
 * Make a child of `parent` that has `value` for `key`: Go's `context.WithValue`. Keys are compared by their
 * addresses; that of a static variable of your own is nobody else's. It is done when `parent` is. NULL if `parent`
 * or `key` is NULL or there is no memory.
 *
 * Does not block. The caller owns the one reference; `key` and `value` stay the caller's, and are never read or
 * freed. Since 0.1.
 */
gort_ctx_t *gort_ctx_with_value(gort_ctx_t *parent,
                                       const void *key,
                                       void *value);

/**
 * Make a child of `parent` as gort_ctx_with_value() does, whose value is its own: `destroy(value)` is called once, when
 * the last reference to the context is gone, its children's included. It is called on the thread of whoever gave that
 * up, which may be any, with no lock held; it may call gort, and must not wait or panic. `destroy` NULL: as
 * gort_ctx_with_value(). NULL if `parent` or `key` is NULL or there is no memory: then `value` stays the caller's.
 *
 * Does not block. The caller owns the one reference; `key` stays the caller's, and is never read. Since 0.1.
 */
gort_ctx_t *gort_ctx_with_value_owned(gort_ctx_t *parent,
                                             const void *key,
                                             void *value,
                                             gort_ctx_destroy_fn_t destroy);

/**
 * Make a child of `parent` that has its values, but neither its deadline nor its end: Go's
 * `context.WithoutCancel`. For what must be finished though the rest is given up. NULL if `parent` is NULL or
 * there is no memory.
 *
 * Does not block. The caller owns the one reference. Since 0.1.
 */
gort_ctx_t *gort_ctx_without_cancel(gort_ctx_t *parent);

/**
 * Cancel `ctx` and all below it: they are done, with `GORT_ECANCELED` as err and cause. It is not waited for that
 * anybody stops. Does nothing if `ctx` is done already, or has no cancel of its own (one of gort_ctx_background(),
 * gort_ctx_with_value() or gort_ctx_without_cancel()).
 *
 * Does not block. When it returns, all below are done, whoever cancelled them. `ctx` stays yours; another who
 * sees that it is done may release it before this call has returned. NULL is a fatal error. Since 0.1.
 */
void gort_ctx_cancel(gort_ctx_t *ctx);

/**
 * Cancel `ctx` as gort_ctx_cancel() does, and say why: gort_ctx_cause() of `ctx` and all below it that were not done
 * gives `cause`, a status or any other number. 0 stands for `GORT_ECANCELED`. The first cancel decides.
 *
 * Does not block. As for gort_ctx_cancel(). Since 0.1.
 */
void gort_ctx_cancel_cause(gort_ctx_t *ctx,
                           int cause);

/**
 * The channel that is closed when `ctx` is done, for receiving and selecting on. NULL if it can never be done, or
 * is NULL: a case with it is never ready. Nothing is ever sent on it; do not send on it or close it.
 *
 * Does not block. The channel is borrowed: it stays as long as somebody holds `ctx`, or longer if it is retained;
 * then it is still closed when `ctx` would have been done by its deadline or a parent. Since 0.1.
 */
gort_chan_t *gort_ctx_done(gort_ctx_t *ctx);

/**
 * Is `ctx` done, and in which way? Whoever has seen its done channel closed gets an error here, and the other
 * way round.
 *
 * Does not block. GORT_OK: it is not done; GORT_ECANCELED: it was cancelled; GORT_ETIMEDOUT: its deadline has
 * passed; GORT_EINVAL: `ctx` is NULL. Since 0.1.
 */
int gort_ctx_err(gort_ctx_t *ctx);

/**
 * Why is `ctx` done? What gort_ctx_cancel_cause() was given, for it or for the context above through which it came to
 * be done; else what gort_ctx_err() says.
 *
 * Does not block. GORT_OK: it is not done; GORT_EINVAL: `ctx` is NULL; else the cause. Since 0.1.
 */
int gort_ctx_cause(gort_ctx_t *ctx);

/**
 * When will `ctx` be done at the latest, on the clock of gort_now()? What the calls that end in `_until` take.
 *
 * Does not block. `GORT_FOREVER` if it has no deadline; `GORT_EINVAL` if `ctx` is NULL. Since 0.1.
 */
int64_t gort_ctx_deadline(gort_ctx_t *ctx);

/**
 * The value that `ctx`, or the nearest above it, was given for `key`. NULL if there is none, or `ctx` is NULL.
 *
 * Does not block. The value belongs to whoever gave it. Since 0.1.
 */
void *gort_ctx_value(gort_ctx_t *ctx,
                     const void *key);

/**
 * Start a goroutine that runs `fn(arg)` once `ctx` is done, at once if it is: Go's `context.AfterFunc`. If `ctx` can
 * never be done, `fn` never runs. If `id` is not NULL, `*id` is set to a number for gort_ctx_after_func_stop(),
 * which no other call in this process gets, and which is never 0.
 *
 * Does not block. `arg` stays the caller's. Until `fn` is started or stopped, the context stays, whether it is
 * released or not: cancel it, or stop `fn`, before the last release.
 * GORT_OK; GORT_EINVAL: `ctx` or `fn` is NULL; GORT_ENOMEM: `fn` will not run. Since 0.1.
 */
int gort_ctx_after_func(gort_ctx_t *ctx,
                        gort_fn_t fn_,
                        void *arg,
                        uint64_t *id);

/**
 * Do not run the function that gort_ctx_after_func() gave `id` for, with this context or one with the same end.
 * One that was started is not waited for.
 *
 * Does not block. True: it will not run. False: it was started or stopped before, or `id` is not from there, or
 * `ctx` is NULL. (For a context that can never be done, where nothing ever runs: always true.) Since 0.1.
 */
bool gort_ctx_after_func_stop(gort_ctx_t *ctx,
                              uint64_t id);

/**
 * Take another reference to `ctx`. Returns `ctx`; NULL gives NULL.
 *
 * Does not block. Each reference is given up with gort_ctx_release(). Since 0.1.
 */
gort_ctx_t *gort_ctx_retain(gort_ctx_t *ctx);

/**
 * Give up a reference. NULL does nothing. Cancels nothing: when the last one is gone, the context goes, unless it
 * has children, somebody has retained its done channel, or a function waits for its end (gort_ctx_after_func):
 * these still see it end by its deadline or with its parent.
 *
 * Does not block. `ctx` must not be used any more on account of this reference. Since 0.1.
 */
void gort_ctx_release(gort_ctx_t *ctx);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Groups
 *  @{ */

/**
 * Goroutines that work on one task, of which the first failure counts: Go's `errgroup.Group`. A handle with one
 * reference, which gort_group_release() gives up.
 */
typedef struct gort_group_t gort_group_t;

/**
 * What a goroutine of a group runs. It returns GORT_OK, or why it failed: any other number. `ctx` is the group's
 * context, borrowed. No C++ exception may leave it.
 */
typedef int (*gort_group_fn_t)(gort_ctx_t *ctx, void *arg);

/**
 * Make a group, and for it a context that is a child of `parent` (NULL: of the background): Go's
 * `errgroup.WithContext`. It has no limit. NULL if there is no memory.
 *
 * Does not block. The caller owns the handle. Since 0.1.
 */
gort_group_t *gort_group_new(gort_ctx_t *parent);

/**
 * Let at most `n` goroutines of the group run at a time. 0 admits none; `SIZE_MAX` is no limit, as at the start. Those
 * who wait in gort_group_go() are let in as far as the new limit goes.
 *
 * Does not block. NULL is a fatal error. While goroutines of the group have not ended it is a panic ("errgroup:
 * modify limit while 3 goroutines in the group are still active"). Since 0.1.
 */
void gort_group_set_limit(gort_group_t *g,
                          size_t n);

/**
 * Start a goroutine of the group that runs `fn(ctx, arg)`, where `ctx` is the group's context. The first of them
 * that returns another number than 0 cancels that context, with the number as its cause, and the number is what
 * gort_group_wait() returns. One that ends by gort_exit() has not failed.
 *
 * Blocks while as many run as the limit allows; first come, first served. `arg` stays the caller's.
 * GORT_OK; GORT_EINVAL: `g` or `fn` is NULL; GORT_ENOMEM: nothing was started. Since 0.1.
 */
int gort_group_go(gort_group_t *g,
                  gort_group_fn_t fn_,
                  void *arg);

/**
 * Start a goroutine as gort_group_go() does, unless that would have to wait.
 *
 * Does not block. `arg` stays the caller's.
 * GORT_OK; GORT_EAGAIN: as many run as the limit allows, or others wait; GORT_EINVAL: `g` or `fn` is NULL;
 * GORT_ENOMEM. Nothing was started but with GORT_OK. Since 0.1.
 */
int gort_group_try_go(gort_group_t *g,
                      gort_group_fn_t fn_,
                      void *arg);

/**
 * The group's context: done when a goroutine of the group has failed, when a wait for it has returned, or when its
 * parent is done. NULL if `g` is NULL.
 *
 * Does not block. It is borrowed: it stays as long as the group, or longer if it is retained. Since 0.1.
 */
gort_ctx_t *gort_group_ctx(gort_group_t *g);

/**
 * Wait until all goroutines of the group have ended, and then cancel its context. Several may wait, and a wait may
 * come after another; a context that is done stays so.
 *
 * Blocks. Returns the first number other than 0 that one of them returned, else GORT_OK; GORT_EINVAL if `g` is
 * NULL. Since 0.1.
 */
int gort_group_wait(gort_group_t *g);

/**
 * Give up the handle. NULL does nothing. Cancels nothing: goroutines of the group go on, and the group goes with the
 * last of them.
 *
 * Does not block. `g` must not be used any more. Since 0.1.
 */
void gort_group_release(gort_group_t *g);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Blocking calls
 *  @{ */

/**
 * Calls `fn(arg)` on an OS thread's own stack, of the usual size, where it may block in any way: in system calls, in
 * other libraries, on locks that are not gort's. Returns what it returns. Other goroutines go on: the caller's worker
 * gives its place to another thread, and takes one again when `fn` has returned.
 *
 * Blocks until `fn` has returned. In `fn`, gort_in_goroutine() is false, and all of gort may be called as on any
 * thread: what would park blocks the thread. A locked or pinned goroutine's `fn` runs on that goroutine's thread.
 * errno is not carried out of it. A panic in `fn` continues in the caller; gort_exit() in it is a fatal error, as on
 * any thread; the child of a fork() in it ends, with status 0, when `fn` returns. `arg` and the result are yours. On a
 * plain thread `fn` is simply called. NULL if `fn` is NULL. Since 0.1.
 */
void *gort_blocking(void *(*fn_)(void *arg),
                    void *arg);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Panic, defer, recover
 *  @{ */

/**
 * Calls `fn(arg)` as Go calls a function: the calls that it defers with gort_defer() are run when it ends, the last
 * one first, however it ends. A panic in it that one of them recovers ends here; any other goes on, when they have
 * been run, and so does gort_exit().
 *
 * Does not block by itself. `arg` stays yours. From a plain thread too. GORT_OK: `fn` has returned; GORT_EPANIC: a
 * panic was recovered; GORT_EINVAL: `fn` is NULL. Since 0.1.
 */
int gort_try(gort_fn_t fn_,
             void *arg);

/**
 * Has `fn(arg)` called when the innermost gort_try(), or else the goroutine, ends in any way: Go's `defer`, for a
 * function that gort_try() or the go statement has called, or for another deferred call. Deferred calls run in
 * reverse order, each as if called by gort_try(): it may block, defer calls of its own, panic, or exit.
 *
 * Does not block. `arg` stays yours and must be valid until then; a pointer to a variable of the function that was
 * given to gort_try() is **not**, since its frame is gone by then. GORT_OK; GORT_EINVAL: `fn` is NULL; GORT_EPERM:
 * neither in a goroutine nor in gort_try(); GORT_ENOMEM. Since 0.1.
 */
int gort_defer(gort_fn_t fn_,
               void *arg);

/**
 * Panics with `message`: Go's `panic`. Does not return. The frames up to the innermost gort_try(), or of the
 * goroutine, are unwound, and their C cleanups (`__attribute__((cleanup))`, compiled with `-fexceptions`) and C++
 * destructors are run; then the deferred calls, one of which may recover. If none does, it goes on to the next
 * gort_try(), and at last ends the process: `panic: <message>` and a backtrace on stderr, status 2.
 *
 * Does not block. `message` stays yours and is copied; NULL is an empty one. From a plain thread too. A C++
 * `catch (...)` that does not end with `throw;` and a function that is `noexcept` end the process. Since 0.1.
 */
void gort_panic(const char *message);

/**
 * In a deferred call, or a function that it calls: stops the panic that the call is run for, and returns its
 * message. The deferred calls that are left are run as if nothing had happened; then gort_try() returns
 * GORT_EPANIC, or the goroutine ends. NULL: there is no panic to stop: the function had returned or called
 * gort_exit(), the panic was stopped already, or the caller is within a gort_try() in the deferred call.
 *
 * Does not block. The message is the library's, and valid until the deferred call returns. Since 0.1.
 */
const char *gort_recover(void);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Waiting for the world
 *  @{ */

/**
 * A descriptor of the system's that gort has taken over: a socket, a pipe, a terminal. A call that has to wait parks
 * the goroutine and not its thread. Any number of goroutines and threads may use it at the same time, but at most
 * one reads and one writes at a time: the others wait for their turn, in their order, so what several write is not
 * mixed up. Since 0.1.
 */
typedef struct gort_fd_t gort_fd_t;

/**
 * Takes over the descriptor `fd`, which must be one that can be waited for, as a socket, a pipe or a terminal (a
 * regular file cannot), and makes it non-blocking, for everybody who shares it. From then on it is to be used
 * through the handle alone, and closed by gort_fd_close() or the last gort_fd_release(). If it fails, the descriptor
 * is yours as before.
 *
 * Does not block. The handle is yours: gort_fd_release() gives it up. NULL if it fails; `*err`, unless `err` is
 * NULL, is `GORT_OK`, or why it failed: `GORT_EPERM`, it cannot be waited for; `GORT_EBADF`, it is not open;
 * `GORT_ENOMEM`; `GORT_EMFILE`, `GORT_ENFILE`, `GORT_ENOSPC`, the system has no more of what waiting takes. Since
 * 0.1.
 */
gort_fd_t *gort_fd_open(int fd,
                               int *err);

/**
 * The number of the descriptor, for calls that gort does not have, such as setsockopt(2). Not to be closed.
 *
 * Does not block. Returns the number; `GORT_ECLOSED` once it was closed; `GORT_EINVAL` if `f` is NULL. Since 0.1.
 */
int gort_fd_raw(gort_fd_t *f);

/**
 * Reads up to `n` bytes to `buf`, as soon as there are any.
 *
 * Blocks, until the read deadline at most. `f` and `buf` stay yours. Returns how many bytes were read, which is 0 at
 * the end of the stream (and if `n` is 0); `GORT_ECLOSED` if it is closed, also meanwhile; `GORT_ETIMEDOUT` if the
 * read deadline has passed, even if there is something to read; `GORT_EINVAL` if `f` is NULL, or `buf` is and `n` is
 * not 0; what read(2) failed with, such as `GORT_ECONNRESET`. Since 0.1.
 */
int64_t gort_fd_read(gort_fd_t *f,
                     void *buf,
                     size_t n);

/**
 * Writes all `n` bytes at `buf`, without those of another call in between. A reader that is gone is an error, and
 * never a SIGPIPE.
 *
 * Blocks, until the write deadline at most. `f` and `buf` stay yours. Returns `n`; or fewer, and then the next call
 * returns why; `GORT_ECLOSED` if it is closed, also meanwhile; `GORT_ETIMEDOUT` if the write deadline has passed,
 * even if there is room; `GORT_EINVAL` if `f` is NULL, or `buf` is and `n` is not 0; what write(2) failed with, such
 * as `GORT_EPIPE` and `GORT_ECONNRESET`. Since 0.1.
 */
int64_t gort_fd_write(gort_fd_t *f,
                      const void *buf,
                      size_t n);

/**
 * From `deadline` on (on `gort_now()`) calls that read from `f`, or accept on it, return `GORT_ETIMEDOUT`, those
 * that wait already included. A deadline in the past: at once. `GORT_FOREVER`, which it begins with: never. A call
 * that returned `GORT_ETIMEDOUT` has read nothing; with another deadline reading goes on.
 *
 * Does not block. `f` stays yours. Returns `GORT_OK`; `GORT_ECLOSED` if it is closed; `GORT_EINVAL` if `f` is NULL.
 * Since 0.1.
 */
int gort_fd_set_read_deadline(gort_fd_t *f,
                              int64_t deadline);

/**
 * As gort_fd_set_read_deadline(), of calls that write. One that has written a part returns how much.
 *
 * Does not block. `f` stays yours. Returns as gort_fd_set_read_deadline(). Since 0.1.
 */
int gort_fd_set_write_deadline(gort_fd_t *f,
                               int64_t deadline);

/**
 * Ends one direction of a connection, or both: `how` is SHUT_RD, SHUT_WR or SHUT_RDWR, as of shutdown(2). After
 * SHUT_WR the peer reads the end of the stream, and can still be read from.
 *
 * Does not block. `f` stays yours. Returns `GORT_OK`; `GORT_ECLOSED` if it is closed; `GORT_EINVAL` if `f` is NULL
 * or `how` is none of these; what shutdown(2) failed with, such as `GORT_ENOTCONN` and `GORT_ENOTSOCK`. Since 0.1.
 */
int gort_fd_shutdown(gort_fd_t *f,
                     int how);

/**
 * Closes the descriptor. Calls that wait in it return `GORT_ECLOSED`, and so do all later ones. When it returns, the
 * number has been closed and may be another file's.
 *
 * Blocks, for as long as calls that are in it take to leave, which do not wait any more. The handle stays yours, for
 * gort_fd_release(). Returns `GORT_OK`; `GORT_ECLOSED` if it was closed before; `GORT_EINVAL` if `f` is NULL. Since
 * 0.1.
 */
int gort_fd_close(gort_fd_t *f);

/**
 * One more handle to the same descriptor, to be given up by another gort_fd_release().
 *
 * Does not block. Returns `f`. Since 0.1.
 */
gort_fd_t *gort_fd_retain(gort_fd_t *f);

/**
 * Gives up a handle. The last one closes the descriptor, as gort_fd_close() does, if it is open.
 *
 * Blocks as gort_fd_close(), if it closes. NULL: does nothing. Since 0.1.
 */
void gort_fd_release(gort_fd_t *f);

/**
 * Waits until something of `events` (POLLIN, POLLOUT and the like, of poll.h) holds of the descriptor `fd`, as
 * poll(2) does for one: for libraries that own their descriptors. Several may wait for one. A deadline in the past:
 * does not wait.
 *
 * Blocks, until `deadline` (on `gort_now()`) at most. `fd` stays yours, and must stay open meanwhile. Returns what
 * holds, a number greater than
 * 0: of `events`, and POLLERR, POLLHUP and POLLNVAL (it is not open) even unasked; `GORT_ETIMEDOUT` if nothing did before the
 * deadline; `GORT_EINVAL` if `fd` is negative or `events` has bits that poll(2) does not know; `GORT_ENOMEM`;
 * `GORT_EMFILE`, `GORT_ENFILE`, `GORT_ENOSPC`, the system has no more of what waiting takes. Since 0.1.
 */
int gort_wait_fd(int fd,
                 int events,
                 int64_t deadline);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Signals
 *  @{ */

/**
 * Send `signo` to `ch`, whose elements are ints, each time the process gets that signal: Go's `signal.Notify` for one
 * signal. May be called for several signals with one channel, and for several channels with one signal; a second
 * call with the same two changes nothing. The send never waits: a channel that is full, or that nobody receives from
 * if its capacity is 0, misses the signal, and so does one that is closed.
 *
 * From the first channel on the signal's default action is not taken. A handler that the program had installed before
 * is called as before, with its flags and its mask, and the signal is sent too; one that it installs afterwards takes
 * the place of the library's, and then nothing is sent unless it passes on. The signal must reach a thread that
 * does not block it, and goroutines run on threads that block all: a signal for the process reaches its other
 * threads. If it comes several times before it is sent, it is sent as often as the kernel tells of it (standard
 * signals are merged while they are blocked). While a channel is registered, a wait in gort is no deadlock.
 *
 * Does not block. Keeps a reference to `ch` until gort_signal_stop(). Not to be called in a signal handler.
 * GORT_OK; GORT_EINVAL: `ch` is NULL or its elements are not of the size of an int, or `signo` is no signal, cannot
 * be caught (SIGKILL, SIGSTOP), belongs to the C library, or is one that an instruction causes (SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL, SIGTRAP, SIGSYS); GORT_EBUSY: for the eighth time handlers of the program have taken the place of
 * the library's for this signal; GORT_ENOMEM: no memory, or no thread can be started. Since 0.1.
 */
int gort_signal_notify(gort_chan_t *ch,
                       int signo);

/**
 * Send no signals to `ch` any more: Go's `signal.Stop`. What a handler had been told of when this was called is sent
 * first; when it returns, no more arrive. With the last channel of a signal, what handled the signal before the first
 * is put back, the default action included, unless the program has installed a handler since. A channel that no
 * signals are sent to is left as it is.
 *
 * Does not block. Gives up the library's reference to `ch`, of which the caller needs one of its own. Not to be
 * called in a signal handler.
 * GORT_OK; GORT_EINVAL: `ch` is NULL. Since 0.1.
 */
int gort_signal_stop(gort_chan_t *ch);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Sockets
 *  @{ */

/**
 * Room for any address that gort_fd_local_addr(), gort_fd_peer_addr() and gort_recv_from() write, its NUL included.
 */
#define GORT_ADDR_SIZE 128

/**
 * Listen at `address` of `network`, as Go's `net.Listen` and `net.ListenPacket`.
 *
 * | network | address |
 * |---|---|
 * | "tcp", "tcp4", "tcp6" | `host:port`, `[host]:port`, `:port`; port 0: one that is free; accept with gort_accept() |
 * | "udp", "udp4", "udp6" | the same; gort_recv_from() and gort_send_to() |
 * | "unix" | a path or, on Linux, an abstract name behind an `@` ("": one that is free); accept with gort_accept() |
 * | "unixgram" | the same; gort_recv_from() and gort_send_to() |
 *
 * A 4 or 6 restricts it to that version of IP. Without a host, or with "0.0.0.0" or "::", it is every address of this
 * machine, for "tcp" and "udp" of both versions where the system can do that. A host may be a name (its first IPv4
 * address, else its first), a port the name of a service, an IPv6 address may have a zone ("[fe80::1%eth0]:80").
 *
 * As many connections wait to be accepted as the system allows. Connections of TCP send small messages at once
 * (TCP_NODELAY) and ask a silent peer every 15 s whether it is there. The file of a Unix socket is removed when the
 * listener is closed, by the process that made it; one that is there already is GORT_EADDRINUSE.
 *
 * Does not block, unless a name must be looked up, and then only the caller. The handle is the caller's, to be closed
 * and released. NULL if it failed. `err` may be NULL and gets the status: GORT_OK; GORT_EINVAL: NULL, no such
 * network, or not an address; GORT_ENONAME: a name that does not resolve; GORT_EAFNOSUPPORT: an address of the other
 * version; GORT_EADDRINUSE, GORT_EADDRNOTAVAIL, GORT_EACCES, GORT_EMFILE, GORT_ENOMEM, and whatever else socket(2),
 * bind(2) and listen(2) say. Since 0.1.
 */
gort_fd_t *gort_listen(const char *network,
                       const char *address,
                       int *err);

/**
 * Wait for a connection to `listener` and take it, as Go's `Accept`. The read deadline of `listener` applies.
 *
 * Blocks the caller. Several may wait: they are served one by one, first come, first served. The handle is the
 * caller's, to be closed and released; `listener` stays yours. NULL if it failed. `err` may be NULL and gets the
 * status: GORT_OK; GORT_EINVAL: NULL, or it does not listen; GORT_ETIMEDOUT; GORT_ECLOSED: `listener` was closed,
 * also while the call waited; GORT_EMFILE or GORT_ENFILE: there are no descriptors left, and the connection waits on
 * (call again later, not at once: that would be a busy loop); GORT_ENOMEM; and whatever else accept(2) says. Since 0.1.
 */
gort_fd_t *gort_accept(gort_fd_t *listener,
                       int *err);

/**
 * Connect to `address` of `network` until `deadline` on the clock of gort_now(), as Go's `net.Dial`. Networks and
 * addresses are those of gort_listen(); no host, "0.0.0.0" and "::" are this machine itself.
 *
 * Names are looked up on other threads, so that no worker waits for them. If one stands for several addresses, they
 * are tried in turn, each with its share of the time that is left (at least two seconds if there are so many), and
 * the error is that of the first. A deadline in the past: only what needs no waiting can succeed. Datagrams ("udp",
 * "unixgram") have no connection: the peer's address is noted, for gort_fd_read() and gort_fd_write(). Connections
 * of TCP send small messages at once (TCP_NODELAY) and ask a silent peer every 15 s whether it is there.
 *
 * Blocks the caller. The handle is the caller's, to be closed and released. NULL if it failed. `err` may be NULL and
 * gets the status: GORT_OK; GORT_EINVAL: NULL, no such network, or not an address; GORT_ETIMEDOUT: the deadline, or
 * the system's own patience; GORT_ENONAME: a name that does not resolve; GORT_EAFNOSUPPORT: an address of the other
 * version; GORT_ECONNREFUSED, GORT_ENOENT (a Unix socket that is not there), GORT_EHOSTUNREACH, GORT_ENETUNREACH,
 * GORT_EMFILE, GORT_ENOMEM, and whatever else socket(2) and connect(2) say. Since 0.1.
 */
gort_fd_t *gort_dial(const char *network,
                     const char *address,
                     int64_t deadline,
                     int *err);

/**
 * Write the address of this end of a socket to `buf`, which has room for `n` bytes: `127.0.0.1:80`, `[::1]:80`, a path,
 * `@name` (`@`: a Unix socket without a name), as Go prints it; an IPv4 address as such, also if the socket is one for
 * both versions. GORT_ADDR_SIZE bytes are always enough.
 *
 * Does not block. `f` and `buf` stay yours. GORT_OK; GORT_EINVAL: NULL; GORT_ENOSPC: `n` is too small, and `buf` gets
 * the empty text; GORT_ECLOSED; GORT_ENOTSOCK. Since 0.1.
 */
int gort_fd_local_addr(gort_fd_t *f,
                       char *buf,
                       size_t n);

/**
 * Write the address of the other end of a socket to `buf`, which has room for `n` bytes, in the form of
 * gort_fd_local_addr().
 *
 * Does not block. `f` and `buf` stay yours. GORT_OK; GORT_EINVAL: NULL; GORT_ENOSPC: `n` is too small, and `buf` gets
 * the empty text; GORT_ENOTCONN: there is no other end; GORT_ECLOSED; GORT_ENOTSOCK. Since 0.1.
 */
int gort_fd_peer_addr(gort_fd_t *f,
                      char *buf,
                      size_t n);

/**
 * Receive one datagram on a socket of "udp" or "unixgram" into `buf`, and the address of its sender into `addr`, as
 * Go's `ReadFrom`. What does not fit into `n` bytes is lost. `addr` has room for `addr_size` bytes (GORT_ADDR_SIZE is
 * enough for any; it gets the empty text if the address does not fit, and the datagram is received all the same), or
 * is NULL. The read deadline of `f` applies.
 *
 * Blocks the caller until there is one; several are served one by one. `f` and the buffers stay yours. The number of
 * bytes, which may be 0; GORT_EINVAL: NULL; GORT_ETIMEDOUT; GORT_ECLOSED; GORT_ENOTSOCK; and whatever else
 * recvfrom(2) says. Since 0.1.
 */
int64_t gort_recv_from(gort_fd_t *f,
                       void *buf,
                       size_t n,
                       char *addr,
                       size_t addr_size);

/**
 * Send the `n` bytes at `buf` as one datagram to `addr`, on a socket of "udp" or "unixgram" that gort_listen() made, as
 * Go's `WriteTo`. `addr` is an address as for gort_dial(); if there is a name in it, it is looked up each time, whatever
 * the deadline. The write deadline of `f` applies.
 *
 * Blocks the caller while the system has no room for it. `f`, `buf` and `addr` stay yours. `n`; GORT_EINVAL: NULL, or
 * `addr` is not an address; GORT_EMSGSIZE: it is too long; GORT_ENONAME; GORT_EAFNOSUPPORT; GORT_ETIMEDOUT;
 * GORT_ECLOSED; GORT_ENOTSOCK; and whatever else sendto(2) says. Since 0.1.
 */
int64_t gort_send_to(gort_fd_t *f,
                     const void *buf,
                     size_t n,
                     const char *addr);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Seeing inside
 *  @{ */

/**
 * What the runtime has done and has; for gort_stats().
 */
typedef struct gort_stats_t {
    /**
     * sizeof(gort_stats_t)
     */
    size_t size;
    /**
     * Goroutines that there are, those that have not run yet included: gort_num_goroutines().
     */
    uint64_t goroutines;
    /**
     * Goroutines that were ever spawned.
     */
    uint64_t spawned;
    /**
     * OS threads that run goroutines, sleeping ones included.
     */
    uint64_t workers;
    /**
     * All OS threads of the library: the workers, one that watches for goroutines that keep theirs, one that gives
     * back the memory of unused stacks, one that sends signals on.
     */
    uint64_t threads;
    /**
     * How often a goroutine has begun to wait, for whatever it was.
     */
    uint64_t parks;
    /**
     * How often a worker has taken goroutines, one or several, from another's queue.
     */
    uint64_t steals;
    /**
     * How often a waiting goroutine was made ready to run. Yielding counts as neither park nor wake-up.
     */
    uint64_t wakeups;
    /**
     * Address space of all stacks that were made so far, in use or kept to be used again. Of it, memory is taken only
     * where a stack has been touched.
     */
    uint64_t stack_bytes;
} gort_stats_t;

/** All fields of a gort_stats_t at their defaults. */
#define GORT_STATS_INIT { sizeof(gort_stats_t), 0, 0, 0, 0, 0, 0, 0, 0 }

/**
 * A function to be called before the process is ended.
 */
typedef void (*gort_fatal_hook_t)(const char *message, void *arg);

/**
 * Write every goroutine to `fd`, as Go does: its number, its name if it has one, its state or what it waits for and,
 * from a minute on, for how long; then its backtrace, and where and by which goroutine it was created. The calling
 * goroutine comes first, then the others by number. Of more than 10 that are alike in all of this there is one
 * entry, with their count and numbers. One that runs on another thread has no backtrace. On other processors than
 * x86-64 no goroutine has one but the caller's, and where they were created is not known.
 *
 * Each is shown as it was at some moment during the call. Those that can never wake are marked, `[chan receive
 * (leaked)]`, if that can be found out: all threads are stopped for a moment, as by gort_leaks(). How long it has waited may be
 * shown too long, by as much as its processor took for 61 turns of goroutines.
 *
 * Blocks, its OS thread too, until all is written; not for another goroutine. May be called several times at once.
 * Not to be called in a signal handler. `fd` stays yours. If nobody reads from it any more, that is GORT_EPIPE and
 * not SIGPIPE.
 * GORT_OK; what write(2) failed with, such as GORT_EBADF or GORT_EPIPE. Since 0.1.
 */
int gort_dump(int fd);

/**
 * Find the goroutines that can never wake, write them to `fd` as gort_dump() does, and return how many they are:
 * those that wait, without a deadline, for something that nobody else can get to: no pointer to their channel, mutex,
 * read-write mutex, condition variable, once, semaphore or wait group, or to the memory it is part of, is left
 * anywhere but with goroutines that can never wake either. None is named that could still wake; some may be missed,
 * since old values count as pointers too. docs/leaks.md says what is seen, what is not, and what it costs.
 *
 * Blocks, its OS thread too: stops all other threads of the process while it searches its memory (about a second for a
 * gigabyte), then writes. Not to be called in a signal handler. `fd` stays yours.
 * The number, 0 or more; GORT_EPERM: the process may not be traced (a debugger or a sandbox), and so its threads not
 * be stopped; GORT_ENOTSUP: it uses io_uring or asynchronous I/O, which keep pointers that cannot be seen, or this
 * system has no /proc; GORT_EAGAIN: a thread did not stop in time; GORT_ENOMEM; what write(2) or ptrace(2) failed
 * with. Since 0.1.
 */
int gort_leaks(int fd);

/**
 * Fill in `out`. The numbers are counted up to the moment of the call; while goroutines run, each by itself. Before
 * the runtime has started they are 0.
 *
 * Does not block and does not start the runtime. `out` stays yours; `out->size` says how much of it there is to
 * fill in (GORT_STATS_INIT sets it). What a later version of the library may have added to it is set to 0.
 * GORT_OK; GORT_EINVAL: `out` is NULL, or `out->size` is smaller than the size itself. Since 0.1.
 */
int gort_stats(gort_stats_t *out);

/**
 * Have `hook(message, arg)` called before the library ends the process: after a fatal error, a panic that nobody
 * recovered, a deadlock, SIGQUIT. It replaces the hook set before; NULL: none.
 *
 * It is called once, when all has been written to stderr that is to be, on the thread that failed; when it returns,
 * the process ends with status 2, without exit handlers. `message` is the text without the backtrace, "fatal error:
 * sync: unlock of unlocked mutex", and valid until it returns. It must not wait for a goroutine, and may be called
 * while locks of the library are held: it should call nothing of it. If it fails fatally itself the process ends at
 * once. **After a stack overflow it is called in a signal handler**, and may do only what such a handler may.
 *
 * Does not block. `arg` stays yours. Since 0.1.
 */
void gort_set_fatal_hook(gort_fatal_hook_t hook,
                         void *arg);

/** @} */

/* ---------------------------------------------------------------------------------------------------------- */
/** @name Status codes from the system
 *  @{ */

#define GORT_ENOENT          (-ENOENT)          /**< no such file or directory */
#define GORT_ESRCH           (-ESRCH)           /**< no such process */
#define GORT_EINTR           (-EINTR)           /**< interrupted system call */
#define GORT_EIO             (-EIO)             /**< input/output error */
#define GORT_ENXIO           (-ENXIO)           /**< no such device or address */
#define GORT_E2BIG           (-E2BIG)           /**< argument list too long */
#define GORT_ENOEXEC         (-ENOEXEC)         /**< exec format error */
#define GORT_EBADF           (-EBADF)           /**< bad file descriptor */
#define GORT_ECHILD          (-ECHILD)          /**< no child processes */
#define GORT_EACCES          (-EACCES)          /**< permission denied */
#define GORT_EFAULT          (-EFAULT)          /**< bad address */
#define GORT_ENOTBLK         (-ENOTBLK)         /**< block device required */
#define GORT_EEXIST          (-EEXIST)          /**< file exists */
#define GORT_EXDEV           (-EXDEV)           /**< invalid cross-device link */
#define GORT_ENODEV          (-ENODEV)          /**< no such device */
#define GORT_ENOTDIR         (-ENOTDIR)         /**< not a directory */
#define GORT_EISDIR          (-EISDIR)          /**< is a directory */
#define GORT_ENFILE          (-ENFILE)          /**< too many open files in system */
#define GORT_EMFILE          (-EMFILE)          /**< too many open files */
#define GORT_ENOTTY          (-ENOTTY)          /**< inappropriate ioctl for device */
#define GORT_ETXTBSY         (-ETXTBSY)         /**< text file busy */
#define GORT_EFBIG           (-EFBIG)           /**< file too large */
#define GORT_ENOSPC          (-ENOSPC)          /**< no space left on device */
#define GORT_ESPIPE          (-ESPIPE)          /**< illegal seek */
#define GORT_EROFS           (-EROFS)           /**< read-only file system */
#define GORT_EMLINK          (-EMLINK)          /**< too many links */
#define GORT_EPIPE           (-EPIPE)           /**< broken pipe */
#define GORT_EDOM            (-EDOM)            /**< numerical argument out of domain */
#define GORT_ERANGE          (-ERANGE)          /**< numerical result out of range */
#define GORT_ENAMETOOLONG    (-ENAMETOOLONG)    /**< file name too long */
#define GORT_ENOLCK          (-ENOLCK)          /**< no locks available */
#define GORT_ENOSYS          (-ENOSYS)          /**< function not implemented */
#define GORT_ENOTEMPTY       (-ENOTEMPTY)       /**< directory not empty */
#define GORT_ELOOP           (-ELOOP)           /**< too many levels of symbolic links */
#define GORT_ENOMSG          (-ENOMSG)          /**< no message of desired type */
#define GORT_EIDRM           (-EIDRM)           /**< identifier removed */
#define GORT_EREMOTE         (-EREMOTE)         /**< object is remote */
#define GORT_ENOLINK         (-ENOLINK)         /**< link has been severed */
#define GORT_EPROTO          (-EPROTO)          /**< protocol error */
#define GORT_EMULTIHOP       (-EMULTIHOP)       /**< multihop attempted */
#define GORT_EBADMSG         (-EBADMSG)         /**< bad message */
#define GORT_EOVERFLOW       (-EOVERFLOW)       /**< value too large for defined data type */
#define GORT_EILSEQ          (-EILSEQ)          /**< invalid multibyte sequence */
#define GORT_EUSERS          (-EUSERS)          /**< too many users */
#define GORT_ENOTSOCK        (-ENOTSOCK)        /**< socket operation on non-socket */
#define GORT_EDESTADDRREQ    (-EDESTADDRREQ)    /**< destination address required */
#define GORT_EMSGSIZE        (-EMSGSIZE)        /**< message too long */
#define GORT_EPROTOTYPE      (-EPROTOTYPE)      /**< protocol wrong type for socket */
#define GORT_ENOPROTOOPT     (-ENOPROTOOPT)     /**< protocol not available */
#define GORT_EPROTONOSUPPORT (-EPROTONOSUPPORT) /**< protocol not supported */
#define GORT_ESOCKTNOSUPPORT (-ESOCKTNOSUPPORT) /**< socket type not supported */
#define GORT_ENOTSUP         (-ENOTSUP)         /**< operation not supported */
#define GORT_EOPNOTSUPP      (-EOPNOTSUPP)      /**< operation not supported on socket */
#define GORT_EPFNOSUPPORT    (-EPFNOSUPPORT)    /**< protocol family not supported */
#define GORT_EAFNOSUPPORT    (-EAFNOSUPPORT)    /**< address family not supported by protocol */
#define GORT_EADDRINUSE      (-EADDRINUSE)      /**< address already in use */
#define GORT_EADDRNOTAVAIL   (-EADDRNOTAVAIL)   /**< address not available */
#define GORT_ENETDOWN        (-ENETDOWN)        /**< network is down */
#define GORT_ENETUNREACH     (-ENETUNREACH)     /**< network is unreachable */
#define GORT_ENETRESET       (-ENETRESET)       /**< network dropped connection on reset */
#define GORT_ECONNABORTED    (-ECONNABORTED)    /**< software caused connection abort */
#define GORT_ECONNRESET      (-ECONNRESET)      /**< connection reset by peer */
#define GORT_ENOBUFS         (-ENOBUFS)         /**< no buffer space available */
#define GORT_EISCONN         (-EISCONN)         /**< transport endpoint is already connected */
#define GORT_ENOTCONN        (-ENOTCONN)        /**< transport endpoint is not connected */
#define GORT_ESHUTDOWN       (-ESHUTDOWN)       /**< cannot send after transport endpoint shutdown */
#define GORT_ETOOMANYREFS    (-ETOOMANYREFS)    /**< too many references: cannot splice */
#define GORT_ECONNREFUSED    (-ECONNREFUSED)    /**< connection refused */
#define GORT_EHOSTDOWN       (-EHOSTDOWN)       /**< host is down */
#define GORT_EHOSTUNREACH    (-EHOSTUNREACH)    /**< no route to host */
#define GORT_EALREADY        (-EALREADY)        /**< operation already in progress */
#define GORT_EINPROGRESS     (-EINPROGRESS)     /**< operation now in progress */
#define GORT_ESTALE          (-ESTALE)          /**< stale file handle */
#define GORT_EDQUOT          (-EDQUOT)          /**< disk quota exceeded */
#define GORT_EOWNERDEAD      (-EOWNERDEAD)      /**< owner died */
#define GORT_ENOTRECOVERABLE (-ENOTRECOVERABLE) /**< state not recoverable */
#ifdef __linux__
#define GORT_ECHRNG          (-ECHRNG)          /**< channel number out of range */
#define GORT_EL2NSYNC        (-EL2NSYNC)        /**< level 2 not synchronized */
#define GORT_EL3HLT          (-EL3HLT)          /**< level 3 halted */
#define GORT_EL3RST          (-EL3RST)          /**< level 3 reset */
#define GORT_ELNRNG          (-ELNRNG)          /**< link number out of range */
#define GORT_EUNATCH         (-EUNATCH)         /**< protocol driver not attached */
#define GORT_ENOCSI          (-ENOCSI)          /**< no CSI structure available */
#define GORT_EL2HLT          (-EL2HLT)          /**< level 2 halted */
#define GORT_EBADE           (-EBADE)           /**< invalid exchange */
#define GORT_EBADR           (-EBADR)           /**< invalid request descriptor */
#define GORT_EXFULL          (-EXFULL)          /**< exchange full */
#define GORT_ENOANO          (-ENOANO)          /**< no anode */
#define GORT_EBADRQC         (-EBADRQC)         /**< invalid request code */
#define GORT_EBADSLT         (-EBADSLT)         /**< invalid slot */
#define GORT_EBFONT          (-EBFONT)          /**< bad font file format */
#define GORT_ENOSTR          (-ENOSTR)          /**< device not a stream */
#define GORT_ENODATA         (-ENODATA)         /**< no data available */
#define GORT_ETIME           (-ETIME)           /**< timer expired */
#define GORT_ENOSR           (-ENOSR)           /**< out of streams resources */
#define GORT_ENONET          (-ENONET)          /**< machine is not on the network */
#define GORT_ENOPKG          (-ENOPKG)          /**< package not installed */
#define GORT_EADV            (-EADV)            /**< advertise error */
#define GORT_ESRMNT          (-ESRMNT)          /**< srmount error */
#define GORT_ECOMM           (-ECOMM)           /**< communication error on send */
#define GORT_EDOTDOT         (-EDOTDOT)         /**< RFS specific error */
#define GORT_ENOTUNIQ        (-ENOTUNIQ)        /**< name not unique on network */
#define GORT_EBADFD          (-EBADFD)          /**< file descriptor in bad state */
#define GORT_EREMCHG         (-EREMCHG)         /**< remote address changed */
#define GORT_ELIBACC         (-ELIBACC)         /**< cannot access a needed shared library */
#define GORT_ELIBBAD         (-ELIBBAD)         /**< accessing a corrupted shared library */
#define GORT_ELIBSCN         (-ELIBSCN)         /**< .lib section in a.out corrupted */
#define GORT_ELIBMAX         (-ELIBMAX)         /**< attempting to link in too many shared libraries */
#define GORT_ELIBEXEC        (-ELIBEXEC)        /**< cannot execute a shared library directly */
#define GORT_ERESTART        (-ERESTART)        /**< interrupted system call should be restarted */
#define GORT_ESTRPIPE        (-ESTRPIPE)        /**< streams pipe error */
#define GORT_EUCLEAN         (-EUCLEAN)         /**< structure needs cleaning */
#define GORT_ENOTNAM         (-ENOTNAM)         /**< not a XENIX named type file */
#define GORT_ENAVAIL         (-ENAVAIL)         /**< no XENIX semaphores available */
#define GORT_EISNAM          (-EISNAM)          /**< is a named type file */
#define GORT_EREMOTEIO       (-EREMOTEIO)       /**< remote I/O error */
#define GORT_ENOMEDIUM       (-ENOMEDIUM)       /**< no medium found */
#define GORT_EMEDIUMTYPE     (-EMEDIUMTYPE)     /**< wrong medium type */
#define GORT_ENOKEY          (-ENOKEY)          /**< required key not available */
#define GORT_EKEYEXPIRED     (-EKEYEXPIRED)     /**< key has expired */
#define GORT_EKEYREVOKED     (-EKEYREVOKED)     /**< key has been revoked */
#define GORT_EKEYREJECTED    (-EKEYREJECTED)    /**< key was rejected by service */
#define GORT_ERFKILL         (-ERFKILL)         /**< operation not possible due to RF-kill */
#define GORT_EHWPOISON       (-EHWPOISON)       /**< memory page has hardware error */
#endif

/** @} */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GORT_H */
