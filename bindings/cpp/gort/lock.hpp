// Mutexes and condition variables, for the locks of the standard library.
//
// The one thing to know: gort::mutex is Lockable and TimedLockable, gort::rwmutex is SharedLockable too, so
// std::lock_guard, std::unique_lock, std::scoped_lock and std::shared_lock work with them. A goroutine that waits
// for one of them parks, where a std::mutex would hold up its whole worker. Any goroutine or thread may unlock.
#ifndef GORT_LOCK_HPP
#define GORT_LOCK_HPP

#include "base.hpp"

#include <condition_variable>
#include <mutex>

namespace gort {

/// Go's sync.Mutex. Not recursive.
class mutex {
public:
    using native_handle_type = gort_mutex_t *;

    constexpr mutex() noexcept = default;
    mutex(const mutex &) = delete;
    mutex &operator=(const mutex &) = delete;

    void lock() { gort_mutex_lock(&raw_); }
    [[nodiscard]] bool try_lock() noexcept { return gort_mutex_try_lock(&raw_) == GORT_OK; }
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period> &length) {
        return gort_mutex_lock_until(&raw_, detail::deadline_after(length)) == GORT_OK;
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration> &when) {
        return detail::until(when, [this](std::int64_t at) { return gort_mutex_lock_until(&raw_, at); }) == GORT_OK;
    }
    /// One that nobody holds is a fatal error.
    void unlock() { gort_mutex_unlock(&raw_); }
    gort_mutex_t *native_handle() noexcept { return &raw_; }

private:
    gort_mutex_t raw_{};
};

/// Go's sync.RWMutex: many readers (lock_shared) or one writer. A waiting writer holds off new readers, so who
/// reads must not lock it again.
class rwmutex {
public:
    using native_handle_type = gort_rwmutex_t *;

    constexpr rwmutex() noexcept = default;
    rwmutex(const rwmutex &) = delete;
    rwmutex &operator=(const rwmutex &) = delete;

    void lock() { gort_rwmutex_lock(&raw_); }
    [[nodiscard]] bool try_lock() noexcept { return gort_rwmutex_try_lock(&raw_) == GORT_OK; }
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period> &length) {
        return gort_rwmutex_lock_until(&raw_, detail::deadline_after(length)) == GORT_OK;
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration> &when) {
        return detail::until(when, [this](std::int64_t at) { return gort_rwmutex_lock_until(&raw_, at); }) == GORT_OK;
    }
    void unlock() { gort_rwmutex_unlock(&raw_); }

    void lock_shared() { gort_rwmutex_rlock(&raw_); }
    [[nodiscard]] bool try_lock_shared() noexcept { return gort_rwmutex_try_rlock(&raw_) == GORT_OK; }
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period> &length) {
        return gort_rwmutex_rlock_until(&raw_, detail::deadline_after(length)) == GORT_OK;
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration> &when) {
        return detail::until(when, [this](std::int64_t at) { return gort_rwmutex_rlock_until(&raw_, at); }) == GORT_OK;
    }
    void unlock_shared() { gort_rwmutex_runlock(&raw_); }
    gort_rwmutex_t *native_handle() noexcept { return &raw_; }

private:
    gort_rwmutex_t raw_{};
};

/// What the standard library calls it.
using shared_mutex = rwmutex;

/// Go's sync.Cond. First come, first served; no spurious wake-ups, but others may lock the mutex between the signal
/// and the waiter's return, so wait with a predicate or in a loop. The lock must be held.
class cond {
public:
    using lock_type = std::unique_lock<mutex>;
    using native_handle_type = gort_cond_t *;

    constexpr cond() noexcept = default;
    cond(const cond &) = delete;
    cond &operator=(const cond &) = delete;

    void wait(lock_type &lock) { gort_cond_wait(&raw_, lock.mutex()->native_handle()); }
    template <class Predicate> void wait(lock_type &lock, Predicate ready) {
        while (!ready())
            wait(lock);
    }

    template <class Clock, class Duration>
    std::cv_status wait_until(lock_type &lock, const std::chrono::time_point<Clock, Duration> &when) {
        // Not again if the clock was set back: what was signalled meanwhile would be lost.
        const int code = gort_cond_wait_until(&raw_, lock.mutex()->native_handle(), detail::deadline_at(when));
        return code == GORT_OK ? std::cv_status::no_timeout : std::cv_status::timeout;
    }
    /// What `ready()` says when the wait is over.
    template <class Clock, class Duration, class Predicate>
    bool wait_until(lock_type &lock, const std::chrono::time_point<Clock, Duration> &when, Predicate ready) {
        while (!ready())
            if (wait_until(lock, when) == std::cv_status::timeout)
                return ready();
        return true;
    }
    template <class Rep, class Period>
    std::cv_status wait_for(lock_type &lock, const std::chrono::duration<Rep, Period> &length) {
        return wait_until(lock, clock::time_point(clock::duration(detail::deadline_after(length))));
    }
    template <class Rep, class Period, class Predicate>
    bool wait_for(lock_type &lock, const std::chrono::duration<Rep, Period> &length, Predicate ready) {
        return wait_until(lock, clock::time_point(clock::duration(detail::deadline_after(length))), std::move(ready));
    }

    /// Wake the one that has waited longest. The mutex may be held or not.
    void signal() noexcept { gort_cond_signal(&raw_); }
    /// Wake all.
    void broadcast() noexcept { gort_cond_broadcast(&raw_); }
    /// The same under the names of std::condition_variable.
    void notify_one() noexcept { signal(); }
    void notify_all() noexcept { broadcast(); }
    gort_cond_t *native_handle() noexcept { return &raw_; }

private:
    gort_cond_t raw_{};
};

} // namespace gort

#endif
