// Panics and exceptions: gort::panic, gort::try_, gort::recover, deferred calls, and the edge of a goroutine.
//
// The one thing to know: a panic runs the deferred calls and, if one of them recovers, unwinds the stack by
// force: destructors run, and no handler may stop it. So a `catch (...)` around anything that may panic must
// end in `throw;`, and a panic that meets a noexcept function ends the process. What is in this header passes
// panics on. The other way round, an exception that would leave a goroutine's function becomes a panic.
#ifndef GORT_PANIC_HPP
#define GORT_PANIC_HPP

#include "base.hpp"

#include <cstdlib>
#include <cxxabi.h>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <typeinfo>

namespace gort {

/// Go's panic. Does not return: the deferred calls run, and if none recovers, the process ends with status 2.
[[noreturn]] inline void panic(const char *message) {
    gort_panic(message);
    __builtin_unreachable(); // gort.h does not say "noreturn": gcc would take deep recursion for an endless one
}
[[noreturn]] inline void panic(const std::string &message) { panic(message.c_str()); }

/// In a deferred call: the message of the panic that it stops. Else nothing. Go's recover.
inline std::optional<std::string> recover() {
    const char *message = gort_recover();
    return message == nullptr ? std::nullopt : std::optional<std::string>(message);
}

// ---- exceptions at the edge ----

namespace detail {

#if GORT_HPP_EXCEPTIONS

/// Calls `body()`. If an exception comes out of it, calls `handler()` where std::current_exception() is that one, and
/// returns true. A panic goes on: libstdc++ would have `catch (...)` stop it, libc++ never does.
template <class Body, class Handler>
#if defined(__GLIBCXX__)
__attribute__((no_sanitize("undefined"))) // __forced_unwind is a mark: there is no object to refer to
#endif
bool caught(Body &&body, Handler &&handler) {
    try {
        body();
        return false;
    }
#if defined(__GLIBCXX__)
    catch (abi::__forced_unwind &) {
        throw;
    }
#endif
    catch (...) {
        handler();
        return true;
    }
}

/// In a handler: "C++ exception std::runtime_error: no such file". Empty if there is no memory.
inline std::string describe() noexcept {
    try {
        std::string text = "C++ exception";
        const auto add_name = [&text](const std::type_info *type) {
            if (type == nullptr)
                return;
            int status = 0;
            const std::unique_ptr<char, void (*)(void *)> name(
                abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), std::free);
            text.append(" ").append(name ? name.get() : type->name());
        };
        try {
            throw;
        } catch (const std::exception &exception) {
            add_name(abi::__cxa_current_exception_type());
            text.append(": ").append(exception.what());
        } catch (...) {
            add_name(abi::__cxa_current_exception_type());
        }
        return text;
    } catch (const std::exception &) {
        return std::string();
    }
}

#endif

/// Calls `body`, on which gort stands: an exception must not go further, and becomes a panic.
template <class Body> void at_edge(Body &&body) {
#if GORT_HPP_EXCEPTIONS
    std::string text;
    if (caught(body, [&text] { text = describe(); }))
        // Outside the handler: the exception is gone, and deferred calls may throw and catch as they like.
        panic(text.empty() ? "C++ exception" : text.c_str());
#else
    body();
#endif
}

/// For gort: runs the `Call` at `arg`, which it owns.
template <class Call> void run_owned(void *arg) {
    at_edge([arg] {
        const std::unique_ptr<Call> call(static_cast<Call *>(arg));
        (*call)();
    });
}

} // namespace detail

// ---- deferred calls ----

/// Go's defer for one block: calls the function when the block is left, by its end, return, an exception, a
/// panic or gort_exit. It cannot recover a panic: see gort::deferred. It must not throw.
///
///     gort::defer close([&] { fclose(file); });
template <class F> class [[nodiscard]] defer {
public:
    explicit defer(F f) : f_(std::move(f)) {}
    defer(const defer &) = delete;
    defer &operator=(const defer &) = delete;
    ~defer() { f_(); }

private:
    F f_;
};

/// Go's defer for the whole goroutine or the innermost gort::try_: calls `f` when it ends, in whatever way, last
/// in first out. `f` may call gort::recover. The blocks that it was deferred in may be gone by then: capture by
/// value. Throws gort::error outside a goroutine and outside gort::try_.
template <class F> void deferred(F &&f) {
    using call = std::decay_t<F>;
    std::unique_ptr<call> owned(new call(std::forward<F>(f)));
    const int code = gort_defer(detail::run_owned<call>, owned.get());
    if (code != GORT_OK)
        detail::fail(code, "gort::deferred");
    owned.release();
}

#if GORT_HPP_EXCEPTIONS

// ---- panics as exceptions ----

/// A panic that gort::try_ has stopped; what() is its message.
class panic_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

/// What gort_try's function, its deferred recovery and the caller of try_ share.
template <class F> struct attempt {
    using result_type = std::invoke_result_t<F>;
    using held = std::conditional_t<std::is_void_v<result_type>, bool,
                                    std::conditional_t<std::is_reference_v<result_type>,
                                                       std::remove_reference_t<result_type> *, result_type>>;
    F &&f;
    std::optional<held> result{};
    std::exception_ptr thrown{};
    std::optional<std::string> panicked{};
    int refused = GORT_OK;

    static void run(void *arg) {
        attempt &self = *static_cast<attempt *>(arg);
        // The first to be deferred is the last to run: what `f` defers may recover before it.
        self.refused = gort_defer(recover, arg);
        if (self.refused != GORT_OK)
            return;
        const auto call = [&self] {
            if constexpr (std::is_void_v<result_type>) {
                std::invoke(std::forward<F>(self.f));
                self.result.emplace(true);
            } else if constexpr (std::is_reference_v<result_type>) {
                self.result.emplace(std::addressof(std::invoke(std::forward<F>(self.f))));
            } else {
                self.result.emplace(std::invoke(std::forward<F>(self.f)));
            }
        };
        caught(call, [&self] { self.thrown = std::current_exception(); });
    }

    static void recover(void *arg) {
        at_edge([arg] {
            if (const char *message = gort_recover())
                static_cast<attempt *>(arg)->panicked.emplace(message);
        });
    }
};

} // namespace detail

/// Calls `f()` as Go calls a function: what it defers with gort::deferred runs when it ends. Returns what `f`
/// returns, and throws what `f` throws; a panic that nothing in `f` recovers is thrown as gort::panic_error. If
/// something did recover, `f` has no result: then it is a R(), or panic_error if there is no such thing.
template <class F> std::invoke_result_t<F> try_(F &&f) {
    using result_type = std::invoke_result_t<F>;
    static_assert(!std::is_rvalue_reference_v<result_type>, "gort::try_: the result would dangle");
    detail::attempt<F> attempt{std::forward<F>(f)};
    gort_try(attempt.run, &attempt);
    if (attempt.refused != GORT_OK)
        detail::fail(attempt.refused, "gort::try_");
    if (attempt.panicked)
        throw panic_error(*attempt.panicked);
    if (attempt.thrown)
        std::rethrow_exception(attempt.thrown);
    if constexpr (std::is_void_v<result_type>) {
        return;
    } else {
        if (attempt.result) {
            if constexpr (std::is_reference_v<result_type>)
                return **attempt.result;
            else
                return std::move(*attempt.result);
        }
        if constexpr (std::is_default_constructible_v<result_type>)
            return result_type();
        else
            throw panic_error("gort::try_: a panic was recovered, and there is no result");
    }
}

#endif // GORT_HPP_EXCEPTIONS

} // namespace gort

#endif
