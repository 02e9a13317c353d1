// Timers and tickers.
//
// The one thing to know: a tick is a gort::clock::time_point, the time at which it was due, and ticks come on an
// ordinary channel, for ranges and selects. After stop or reset no older tick is received (Go 1.23).
#ifndef GORT_TIMER_HPP
#define GORT_TIMER_HPP

#include "chan.hpp"
#include "panic.hpp"

namespace gort {

/// Go's time.After: a channel that yields one tick, after `length`.
template <class Rep, class Period>
[[nodiscard]] chan<clock::time_point> after(const std::chrono::duration<Rep, Period> &length) {
    return chan<clock::time_point>::adopt(
        detail::made(gort_after(detail::nanoseconds_of(length)), "gort::after"));
}

namespace detail {

/// A timer of gort.h with one owner.
class timer_handle {
public:
    explicit timer_handle(gort_timer_t *raw) noexcept : raw_(raw) {}
    timer_handle(timer_handle &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    timer_handle &operator=(timer_handle other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~timer_handle() { gort_timer_release(raw_); }
    gort_timer_t *raw() const noexcept { return raw_; }

private:
    gort_timer_t *raw_;
};

/// What a timer and a ticker have in common.
class ticking {
public:
    /// The channel on which it ticks: Go's `t.C`. It may outlive the timer, and then still ticks.
    const chan<clock::time_point> &ticks() const & noexcept { return ticks_; }
    chan<clock::time_point> ticks() && noexcept { return std::move(ticks_); }
    /// No tick from before is received any more. True: it was active, or its tick had not been received.
    bool stop() noexcept { return gort_timer_stop(handle_.raw()); }
    gort_timer_t *native_handle() const noexcept { return handle_.raw(); }

protected:
    explicit ticking(gort_timer_t *raw)
        : handle_(raw), ticks_(chan<clock::time_point>::share(gort_timer_chan(raw))) {}
    timer_handle handle_;

private:
    chan<clock::time_point> ticks_;
};

} // namespace detail

/// Go's time.Timer: one tick after `length`, at once if that is nothing or less.
class timer : public detail::ticking {
public:
    template <class Rep, class Period>
    explicit timer(const std::chrono::duration<Rep, Period> &length)
        : ticking(detail::made(gort_timer_new(detail::nanoseconds_of(length)), "gort::timer")) {}

    /// Let it tick `length` from now. True: it was active, or its tick had not been received.
    template <class Rep, class Period> bool reset(const std::chrono::duration<Rep, Period> &length) {
        return gort_timer_reset(handle_.raw(), detail::nanoseconds_of(length));
    }
};

/// Go's time.Ticker: a tick every `period`; those that nobody receives in time are dropped.
class ticker : public detail::ticking {
public:
    /// A period that is not above zero throws gort::error.
    template <class Rep, class Period>
    explicit ticker(const std::chrono::duration<Rep, Period> &period)
        : ticking(detail::made(gort_ticker_new(checked(detail::nanoseconds_of(period))), "gort::ticker")) {}

    /// Let it tick every `period` from now on.
    template <class Rep, class Period> bool reset(const std::chrono::duration<Rep, Period> &period) {
        return gort_timer_reset(handle_.raw(), checked(detail::nanoseconds_of(period)));
    }

private:
    static std::int64_t checked(std::int64_t period) {
        if (period <= 0)
            detail::fail(GORT_EINVAL, "gort::ticker");
        return period;
    }
};

/// Go's time.AfterFunc: calls `f()` in a goroutine of its own after `length`. If the timer_func goes away while it
/// is active, `f` is still called.
class timer_func {
public:
    template <class Rep, class Period, class F>
    timer_func(const std::chrono::duration<Rep, Period> &length, F &&f)
        : timer_func(detail::nanoseconds_of(length), new body<std::decay_t<F>>(std::forward<F>(f))) {}
    timer_func(timer_func &&) noexcept = default;
    timer_func &operator=(timer_func &&) noexcept = default;

    /// True: it was active, and `f` will not be called. Does not wait for an `f` that has been started.
    bool stop() noexcept {
        const bool active = gort_timer_stop(handle_.raw());
        if (active)
            drop(body_.get());
        return active;
    }
    /// Let `f` be called `length` from now. True: it was active, and that call is replaced by this.
    template <class Rep, class Period> bool reset(const std::chrono::duration<Rep, Period> &length) {
        hold(body_.get()); // before it can run
        const bool active = gort_timer_reset(handle_.raw(), detail::nanoseconds_of(length));
        if (active)
            drop(body_.get());
        return active;
    }
    gort_timer_t *native_handle() const noexcept { return handle_.raw(); }

private:
    /// Owned by the timer_func, and by each call that is due or running.
    struct shared {
        std::atomic<std::size_t> owners{2};
        shared() = default;
        shared(const shared &) = delete;
        shared &operator=(const shared &) = delete;
        virtual ~shared() = default;
        virtual void run() = 0;
    };
    template <class F> struct body final : shared {
        F f;
        template <class G> explicit body(G &&g) : f(std::forward<G>(g)) {}
        void run() override { std::invoke(f); }
    };
    static void hold(shared *body) noexcept { body->owners.fetch_add(1, std::memory_order_relaxed); }
    static void drop(shared *body) noexcept {
        // Release and acquire: what the other owners did is over.
        if (body->owners.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete body;
    }
    struct dropper {
        void operator()(shared *body) const noexcept { drop(body); }
    };
    using owner = std::unique_ptr<shared, dropper>;

    static void fire(void *arg) {
        detail::at_edge([arg] {
            const owner due(static_cast<shared *>(arg));
            due->run();
        });
    }

    timer_func(std::int64_t ns, shared *fresh) : handle_(nullptr), body_(fresh) {
        gort_timer_t *raw = gort_timer_func(ns, fire, fresh);
        if (raw == nullptr) {
            drop(fresh); // no call is due
            detail::fail(GORT_ENOMEM, "gort::timer_func");
        }
        handle_ = detail::timer_handle(raw);
    }

    detail::timer_handle handle_;
    owner body_;
};

} // namespace gort

#endif
