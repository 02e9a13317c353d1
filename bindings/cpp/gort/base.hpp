// What every part of gort.hpp stands on: the status of a call, what is thrown, the clock and its deadlines.
//
// The one thing to know: an outcome that a correct program must expect (a channel is closed, a deadline passed)
// is a value, a gort::status or an empty std::optional. Bad use (a negative number of permits) throws
// gort::error, and no memory throws std::bad_alloc. Without exceptions (-fno-exceptions) both are panics.
#ifndef GORT_BASE_HPP
#define GORT_BASE_HPP

#if __cplusplus < 201703L
#error "gort.hpp needs C++17 or later"
#endif

#include <gort.h>

#include <chrono>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#if defined(__cpp_exceptions)
#define GORT_HPP_EXCEPTIONS 1
#else
#define GORT_HPP_EXCEPTIONS 0
#endif

namespace gort {

// ---- outcomes ----

/// How a call ended: true in a condition if it did what it is for.
class status {
public:
    constexpr status() noexcept = default;
    /// From a status code of gort.h.
    explicit constexpr status(int code) noexcept : code_(code) {}

    explicit constexpr operator bool() const noexcept { return code_ == GORT_OK; }
    /// The channel is closed; for a receive: and drained.
    constexpr bool closed() const noexcept { return code_ == GORT_ECLOSED; }
    /// The deadline passed first.
    constexpr bool timed_out() const noexcept { return code_ == GORT_ETIMEDOUT; }
    /// A try_ form would have had to wait; a select took its default_.
    constexpr bool would_block() const noexcept { return code_ == GORT_EAGAIN; }
    /// GORT_OK, GORT_ECLOSED, ...
    constexpr int code() const noexcept { return code_; }
    /// "channel is closed"
    const char *what() const noexcept { return gort_strerror(code_); }

    friend constexpr bool operator==(status a, status b) noexcept { return a.code_ == b.code_; }
    friend constexpr bool operator!=(status a, status b) noexcept { return a.code_ != b.code_; }

private:
    int code_ = GORT_OK;
};

/// Bad use of gort: an argument that can never be right, a call where it may not be made.
class error : public std::runtime_error {
public:
    error(int code, const char *call)
        : std::runtime_error(std::string(call) + ": " + gort_strerror(code)), code_(code) {}
    /// GORT_EINVAL, GORT_EPERM, ...
    int code() const noexcept { return code_; }

private:
    int code_;
};

namespace detail {

/// `code` is no outcome that the caller of `call` must expect.
[[noreturn]] inline void fail(int code, const char *call) {
#if GORT_HPP_EXCEPTIONS
    if (code == GORT_ENOMEM)
        throw std::bad_alloc();
    throw error(code, call);
#else
    gort_panic((std::string(call) + ": " + gort_strerror(code)).c_str());
    __builtin_unreachable();
#endif
}

/// The status of `call`, if it is one to be expected.
inline status expected(int code, const char *call) {
    if (code != GORT_OK && code != GORT_ECLOSED && code != GORT_ETIMEDOUT && code != GORT_EAGAIN)
        fail(code, call);
    return status(code);
}

/// `pointer`, which gort returned from `call`: NULL is a lack of memory.
template <class T> T *made(T *pointer, const char *call) {
    if (pointer == nullptr)
        fail(GORT_ENOMEM, call);
    return pointer;
}

template <class T> struct as_is {
    using type = T;
};
/// Keeps a parameter out of the deduction of T: its type is the channel's.
template <class T> using same = typename as_is<T>::type;

} // namespace detail

// ---- time ----

/// The clock of all deadlines, gort_now(), as a clock of std::chrono. Deadlines may be given on any other clock.
struct clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<clock>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept { return time_point(duration(gort_now())); }
};

/// As a deadline: never.
inline constexpr clock::time_point forever = clock::time_point::max();

namespace detail {

static_assert(sizeof(clock::time_point) == sizeof(std::int64_t), "gort.hpp: ticks are int64_t");

/// `length` in nanoseconds, rounded up, and to the nearest there is if it does not fit.
template <class Rep, class Period>
std::int64_t nanoseconds_of(const std::chrono::duration<Rep, Period> &length) {
    using nanoseconds = std::chrono::nanoseconds;
    if constexpr (std::is_same_v<std::chrono::duration<Rep, Period>, nanoseconds>) {
        return length.count();
    } else {
        const long double wide = std::chrono::duration<long double, std::nano>(length).count();
        if (!(wide < 9223372036854775807.0L))
            return INT64_MAX;
        if (!(wide > -9223372036854775807.0L))
            return INT64_MIN;
        return std::chrono::ceil<nanoseconds>(length).count();
    }
}

/// The deadline that is `length` from now.
template <class Rep, class Period>
std::int64_t deadline_after(const std::chrono::duration<Rep, Period> &length) {
    const std::int64_t ns = nanoseconds_of(length);
    if (ns <= 0)
        return 0;
    const std::int64_t now = gort_now();
    return ns > GORT_FOREVER - now ? GORT_FOREVER : now + ns;
}

/// The deadline that is at `when`, as far as can be told now.
template <class Clock, class Duration>
std::int64_t deadline_at(const std::chrono::time_point<Clock, Duration> &when) {
    if constexpr (std::is_same_v<Clock, clock>) {
        return nanoseconds_of(when.time_since_epoch());
    } else {
        const auto now = Clock::now();
        return when <= now ? 0 : deadline_after(when - now);
    }
}

/// Calls `attempt(deadline)`, and again if it timed out though `when` has not come: a clock may be set back.
template <class Clock, class Duration, class Attempt>
int until(const std::chrono::time_point<Clock, Duration> &when, Attempt &&attempt) {
    for (;;) {
        const int code = attempt(deadline_at(when));
        if (std::is_same_v<Clock, clock> || code != GORT_ETIMEDOUT || Clock::now() >= when)
            return code;
    }
}

} // namespace detail
} // namespace gort

#endif
