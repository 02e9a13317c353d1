// gort::select: one of several sends and receives.
//
//     gort::select(
//         gort::recv(numbers, [&](int n) { sum += n; }),
//         gort::send(replies, std::move(reply), [] { puts("sent"); }),
//         gort::recv(quit),
//         gort::timeout(50ms, [] { puts("too late"); }));
//
// The one thing to know: exactly one case commits. Its handler is called when everything is over, so it may block,
// throw, or select again; a value that was to be sent by another case has not been moved from.
#ifndef GORT_SELECT_HPP
#define GORT_SELECT_HPP

#include "chan.hpp"

#include <functional>

namespace gort {

/// Which case of a select was chosen: its place among the arguments, to which it converts, and how it ended.
struct selected {
    std::size_t index;
    /// True; or closed(), would_block() for default_, timed_out() for timeout and deadline.
    gort::status status;

    constexpr operator std::size_t() const noexcept { return index; }
    constexpr bool closed() const noexcept { return status.closed(); }
};

namespace detail {

/// The handler that is not there.
struct nothing {
    template <class... Any> void operator()(Any &&...) const noexcept {}
};

struct case_base {
    static constexpr bool is_default = false, is_deadline = false, is_channel = false;

    case_base() = default;
    case_base(const case_base &) = delete;
    case_base &operator=(const case_base &) = delete;
};

// A case is asked for its gort_case_t; when gort has chosen, `settle` says of each whether it was the one, and last
// `run` calls the handler of that one.

template <class T, class OnValue, class OnClosed> class recv_case : case_base {
public:
    static constexpr bool is_default = false, is_deadline = false, is_channel = true;

    recv_case(gort_chan_t *ch, OnValue on_value, OnClosed on_closed)
        : ch_(ch), on_value_(std::move(on_value)), on_closed_(std::move(on_closed)) {}

    gort_case_t raw() noexcept { return gort_case_t{ch_, in_.data(), GORT_RECV, GORT_OK}; }
    void settle(bool chosen, status how) {
        if (chosen && how)
            in_.received();
    }
    void run(status how) {
        if (how)
            std::invoke(on_value_, in_.value());
        else
            std::invoke(on_closed_);
    }

private:
    gort_chan_t *ch_;
    OnValue on_value_;
    OnClosed on_closed_;
    incoming<T> in_;
};

template <class OnValue, class OnClosed> class recv_case<void, OnValue, OnClosed> : case_base {
public:
    static constexpr bool is_default = false, is_deadline = false, is_channel = true;

    recv_case(gort_chan_t *ch, OnValue on_value, OnClosed on_closed)
        : ch_(ch), on_value_(std::move(on_value)), on_closed_(std::move(on_closed)) {}

    gort_case_t raw() noexcept { return gort_case_t{ch_, nullptr, GORT_RECV, GORT_OK}; }
    void settle(bool, status) noexcept {}
    void run(status how) {
        if (how)
            std::invoke(on_value_);
        else
            std::invoke(on_closed_);
    }

private:
    gort_chan_t *ch_;
    OnValue on_value_;
    OnClosed on_closed_;
};

/// A signal to be sent.
struct no_value {
    void *data() noexcept { return nullptr; }
    void sent() noexcept {}
    void keep() noexcept {}
};

template <class Out, class OnSent, class OnClosed> class send_case : case_base {
public:
    static constexpr bool is_default = false, is_deadline = false, is_channel = true;

    template <class... Value>
    send_case(gort_chan_t *ch, OnSent on_sent, OnClosed on_closed, Value &&...value)
        : ch_(ch), on_sent_(std::move(on_sent)), on_closed_(std::move(on_closed)),
          out_(std::forward<Value>(value)...) {}

    gort_case_t raw() noexcept { return gort_case_t{ch_, out_.data(), GORT_SEND, GORT_OK}; }
    void settle(bool chosen, status how) {
        if (chosen && how)
            out_.sent();
        else
            out_.keep();
    }
    void run(status how) {
        if (how)
            std::invoke(on_sent_);
        else
            std::invoke(on_closed_);
    }

private:
    gort_chan_t *ch_;
    OnSent on_sent_;
    OnClosed on_closed_;
    Out out_;
};

template <class F> class default_case : case_base {
public:
    static constexpr bool is_default = true, is_deadline = false, is_channel = false;

    explicit default_case(F f) : f_(std::move(f)) {}
    void settle(bool, status) noexcept {}
    void run(status) { std::invoke(f_); }

private:
    F f_;
};

template <class Time, class F> class deadline_case : case_base {
public:
    static constexpr bool is_default = false, is_deadline = true, is_channel = false;

    deadline_case(const Time &when, F f) : when_(when), f_(std::move(f)) {}
    const Time &when() const noexcept { return when_; }
    void settle(bool, status) noexcept {}
    void run(status) { std::invoke(f_); }

private:
    Time when_;
    F f_;
};

/// Waits as the cases ask for it.
inline int wait_for_case(gort_case_t *cases, std::size_t n) { return gort_select(cases, n); }

template <class Case, class... Cases>
int wait_for_case(gort_case_t *cases, std::size_t n, const Case &first, const Cases &...rest) {
    if constexpr (Case::is_default)
        return gort_try_select(cases, n);
    else if constexpr (Case::is_deadline)
        return until(first.when(), [&](std::int64_t at) { return gort_select_until(cases, n, at); });
    else
        return wait_for_case(cases, n, rest...);
}

} // namespace detail

// ---- the cases ----

/// Receive from `ch`: on_value(T &&) is called with the value, on_closed() if the channel is closed and drained.
/// Without on_closed, a closed channel only shows in what select returns.
template <class T, class OnValue = detail::nothing, class OnClosed = detail::nothing>
[[nodiscard]] auto recv(const chan<T> &ch, OnValue on_value = {}, OnClosed on_closed = {}) {
    if constexpr (std::is_void_v<T>)
        static_assert(std::is_invocable_v<OnValue &>, "gort::recv: the handler of a signal takes nothing");
    else
        static_assert(std::is_invocable_v<OnValue &, T &&>, "gort::recv: the handler does not take the channel's T");
    static_assert(std::is_invocable_v<OnClosed &>, "gort::recv: the handler of a closed channel takes nothing");
    return detail::recv_case<T, OnValue, OnClosed>(ch.native_handle(), std::move(on_value), std::move(on_closed));
}

/// Receive from `ch` into `value`, which becomes empty if the channel is closed and drained.
template <class T> [[nodiscard]] auto recv(const chan<T> &ch, std::optional<T> &value) {
    return recv(ch, [&value](T &&got) { value.emplace(std::move(got)); }, [&value] { value.reset(); });
}

/// Send `value` to `ch`: on_sent() is called when that was done, on_closed() if the channel is closed. An rvalue has
/// been moved from after the select if it was sent, and not otherwise.
template <class T, class OnSent = detail::nothing, class OnClosed = detail::nothing>
[[nodiscard]] auto send(const chan<T> &ch, const detail::same<T> &value, OnSent on_sent = {}, OnClosed on_closed = {}) {
    return detail::send_case<detail::outgoing<T>, OnSent, OnClosed>(ch.native_handle(), std::move(on_sent),
                                                                    std::move(on_closed), value);
}
template <class T, class OnSent = detail::nothing, class OnClosed = detail::nothing>
[[nodiscard]] auto send(const chan<T> &ch, detail::same<T> &&value, OnSent on_sent = {}, OnClosed on_closed = {}) {
    return detail::send_case<detail::outgoing<T>, OnSent, OnClosed>(ch.native_handle(), std::move(on_sent),
                                                                    std::move(on_closed), std::move(value));
}
/// Send a signal.
template <class OnSent = detail::nothing, class OnClosed = detail::nothing>
[[nodiscard]] auto send(const chan<void> &ch, OnSent on_sent = {}, OnClosed on_closed = {}) {
    return detail::send_case<detail::no_value, OnSent, OnClosed>(ch.native_handle(), std::move(on_sent),
                                                                 std::move(on_closed));
}

/// Go's default: chosen at once if no other case is ready.
template <class F = detail::nothing> [[nodiscard]] auto default_(F f = {}) {
    return detail::default_case<F>(std::move(f));
}

/// Chosen if no other case has been ready until that time.
template <class Clock, class Duration, class F = detail::nothing>
[[nodiscard]] auto deadline(const std::chrono::time_point<Clock, Duration> &when, F f = {}) {
    return detail::deadline_case<std::chrono::time_point<Clock, Duration>, F>(when, std::move(f));
}

/// Chosen if no other case has been ready for so long.
template <class Rep, class Period, class F = detail::nothing>
[[nodiscard]] auto timeout(const std::chrono::duration<Rep, Period> &length, F f = {}) {
    return deadline(clock::time_point(clock::duration(detail::deadline_after(length))), std::move(f));
}

// ---- select ----

/// Waits until one of the cases can be carried out, carries out that one, and calls its handler. Among several that
/// are ready each has equal odds. A case on gort::nil is never ready; with nothing else, this waits for ever. The
/// cases are made in the call, as above.
template <class... Cases> selected select(Cases &&...cases) {
    static_assert((!std::is_lvalue_reference_v<Cases> && ...), "gort::select: make the cases in the call");
    static_assert((Cases::is_default + ... + 0) + (Cases::is_deadline + ... + 0) <= 1,
                  "gort::select: one default_, timeout or deadline at the most");
    constexpr std::size_t channels = (std::size_t(Cases::is_channel) + ... + 0);

    gort_case_t raw[channels + 1] = {};
    std::size_t place[channels + 1] = {}; // among the arguments; last, that of the case without a channel
    std::size_t n = 0, at = 0;
    const auto enter = [&](auto &one) {
        if constexpr (std::remove_reference_t<decltype(one)>::is_channel) {
            raw[n] = one.raw();
            place[n++] = at++;
        } else {
            place[channels] = at++;
        }
    };
    (enter(cases), ...);

    const int got = detail::wait_for_case(raw, channels, cases...);
    const bool late = got == GORT_EAGAIN || got == GORT_ETIMEDOUT;
    if (got < 0 && !late)
        detail::fail(got, "gort::select");
    const selected chosen = late ? selected{place[channels], status(got)}
                                 : selected{place[got], status(raw[got].status)};

    // First every value finds its owner again, then the one handler is called.
    std::size_t i = 0;
    (cases.settle(i++ == chosen.index, chosen.status), ...);
    i = 0;
    (static_cast<void>(i++ == chosen.index ? (cases.run(chosen.status), 0) : 0), ...);
    return chosen;
}

} // namespace gort

#endif
