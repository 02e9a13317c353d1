// Once, wait groups, semaphores.
//
// The one thing to know: they are 16 bytes in your memory, are never copied, and may go away as soon as those who
// waited have gone on, though the call that let them has not yet returned.
#ifndef GORT_SYNC_HPP
#define GORT_SYNC_HPP

#include "go.hpp"

namespace gort {

/// Go's sync.Once.
class once {
public:
    constexpr once() noexcept = default;
    once(const once &) = delete;
    once &operator=(const once &) = delete;

    /// Calls f(args...) if this is the first call; else waits for the end of the first. A call that ends in an
    /// exception, which goes to its caller, or in a panic counts as done, as in Go: there is no second try.
    template <class F, class... Args> void do_(F &&f, Args &&...args) {
        const auto body = [&] { static_cast<void>(std::invoke(std::forward<F>(f), std::forward<Args>(args)...)); };
        shared<decltype(body)> call{body};
        gort_once_do(&raw_, call.run, &call);
#if GORT_HPP_EXCEPTIONS
        if (call.thrown)
            std::rethrow_exception(call.thrown);
#endif
    }
    gort_once_t *native_handle() noexcept { return &raw_; }

private:
    template <class Body> struct shared {
        const Body &body;
#if GORT_HPP_EXCEPTIONS
        std::exception_ptr thrown{};
#endif
        static void run(void *arg) {
            shared &self = *static_cast<shared *>(arg);
#if GORT_HPP_EXCEPTIONS
            detail::caught(self.body, [&self] { self.thrown = std::current_exception(); });
#else
            self.body();
#endif
        }
    };

    gort_once_t raw_{};
};

/// As std::call_once; but see once::do_ about exceptions.
template <class F, class... Args> void call_once(once &o, F &&f, Args &&...args) {
    o.do_(std::forward<F>(f), std::forward<Args>(args)...);
}

/// Go's sync.WaitGroup.
class waitgroup {
public:
    constexpr waitgroup() noexcept = default;
    waitgroup(const waitgroup &) = delete;
    waitgroup &operator=(const waitgroup &) = delete;

    /// A counter below zero is a panic.
    void add(std::int64_t delta = 1) { gort_waitgroup_add(&raw_, delta); }
    void done() { gort_waitgroup_done(&raw_); }
    void wait() { gort_waitgroup_wait(&raw_); }
    /// True if the counter is zero, false if the deadline passed.
    template <class Clock, class Duration>
    [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration> &when) {
        return detail::until(when, [this](std::int64_t at) { return gort_waitgroup_wait_until(&raw_, at); }) == GORT_OK;
    }
    template <class Rep, class Period> [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period> &length) {
        return gort_waitgroup_wait_until(&raw_, detail::deadline_after(length)) == GORT_OK;
    }

    /// gort::go, counted until it ends in any way; its function and arguments are destroyed before that.
    template <class F, class... Args> void go(F &&f, Args &&...args) {
        static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>,
                      "gort::waitgroup::go: the function cannot be called with these arguments");
        detail::start_owned<detail::call_of<F, Args...>>(
            "gort::waitgroup::go", [this](gort_fn_t fn, void *arg) { return gort_waitgroup_go(&raw_, fn, arg); },
            std::forward<F>(f), std::forward<Args>(args)...);
    }
    gort_waitgroup_t *native_handle() noexcept { return &raw_; }

private:
    gort_waitgroup_t raw_{};
};

/// Go's semaphore.Weighted: a number of permits, taken and given any number at a time, first come first served.
class semaphore {
public:
    /// Less than 0 permits are a fatal error.
    explicit semaphore(std::int64_t permits) noexcept { gort_sem_init(&raw_, permits); }
    semaphore(const semaphore &) = delete;
    semaphore &operator=(const semaphore &) = delete;

    // Taking less than 1 throws gort::error.

    void acquire(std::int64_t n = 1) { detail::expected(gort_sem_acquire(&raw_, n), "gort::semaphore::acquire"); }
    /// False also if somebody waits who came before.
    [[nodiscard]] bool try_acquire(std::int64_t n = 1) {
        return bool(detail::expected(gort_sem_try_acquire(&raw_, n), "gort::semaphore::try_acquire"));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_acquire_until(std::int64_t n, const std::chrono::time_point<Clock, Duration> &when) {
        const int code =
            detail::until(when, [this, n](std::int64_t at) { return gort_sem_acquire_until(&raw_, n, at); });
        return bool(detail::expected(code, "gort::semaphore::try_acquire_until"));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_acquire_until(const std::chrono::time_point<Clock, Duration> &when) {
        return try_acquire_until(1, when);
    }
    template <class Rep, class Period>
    [[nodiscard]] bool try_acquire_for(std::int64_t n, const std::chrono::duration<Rep, Period> &length) {
        return bool(detail::expected(gort_sem_acquire_until(&raw_, n, detail::deadline_after(length)),
                                     "gort::semaphore::try_acquire_for"));
    }
    template <class Rep, class Period>
    [[nodiscard]] bool try_acquire_for(const std::chrono::duration<Rep, Period> &length) {
        return try_acquire_for(1, length);
    }
    /// There may be more than at the start. Less than 1 is a fatal error.
    void release(std::int64_t n = 1) { gort_sem_release(&raw_, n); }
    gort_sem_t *native_handle() noexcept { return &raw_; }

private:
    gort_sem_t raw_{};
};

} // namespace gort

#endif
