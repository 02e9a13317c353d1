// Goroutines: gort::go, gort::main, and what a goroutine does to itself.
//
// The one thing to know: the function and its arguments are moved or copied into the goroutine, as std::thread
// does; what they refer to must outlive it. An exception that leaves the function is a panic.
#ifndef GORT_GO_HPP
#define GORT_GO_HPP

#include "element.hpp"
#include "panic.hpp"

#include <cstddef>
#include <tuple>

namespace gort {

namespace detail {

/// A function and its arguments, to be called once.
template <class F, class... Args> struct call {
    std::tuple<F, Args...> parts;

    template <class G, class... Given>
    explicit call(std::in_place_t, G &&f, Given &&...args)
        : parts(std::forward<G>(f), std::forward<Given>(args)...) {}

    decltype(auto) operator()() { return std::apply(invoke, std::move(parts)); }

    static constexpr auto invoke = [](F &&f, Args &&...args) -> decltype(auto) {
        return std::invoke(std::move(f), std::move(args)...);
    };
};

template <class F, class... Args> using call_of = call<std::decay_t<F>, std::decay_t<Args>...>;

/// For gort_spawn_copy: runs the `Call` that was relocated to `arg`, and destroys it.
template <class Call> void run_copied(void *arg) {
    at_edge([arg] {
        struct destroy {
            Call *call;
            ~destroy() { call->~Call(); }
        };
        const destroy guard{static_cast<Call *>(arg)};
        (*guard.call)();
    });
}

/// Hands a new `Call` to `start(function, arg)`, which starts a goroutine or fails with a status code.
template <class Call, class Start, class... Given>
void start_owned(const char *what, Start &&start, Given &&...given) {
    std::unique_ptr<Call> owned(new Call(std::in_place, std::forward<Given>(given)...));
    const int code = start(run_owned<Call>, static_cast<void *>(owned.get()));
    if (code != GORT_OK)
        fail(code, what);
    owned.release(); // the goroutine's; it may have run by now
}

} // namespace detail

// ---- starting goroutines ----

/// How a goroutine is to be started; what is zero is the default.
struct spawn_options {
    /// Bytes reserved for its stack.
    std::size_t stack_size = 0;
    /// Shown in reports; copied.
    const char *name = nullptr;
    /// It never changes its OS thread once it has started.
    bool pinned = false;
};

/// Go's `go f(args...)`: starts a goroutine that calls f(args...) with copies, or with what was moved in.
template <class F, class... Args,
          class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, spawn_options>>>
void go(F &&f, Args &&...args) {
    static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>,
                  "gort::go: the function cannot be called with these arguments");
    using call = detail::call_of<F, Args...>;
    if constexpr ((is_relocatable<std::decay_t<F>>::value && ... && is_relocatable<std::decay_t<Args>>::value) &&
                  alignof(call) <= 16 && sizeof(call) <= 1024) {
        // The library copies the bytes; there is one allocation less.
        alignas(call) unsigned char bytes[sizeof(call)];
        call *made = ::new (static_cast<void *>(bytes))
            call(std::in_place, std::forward<F>(f), std::forward<Args>(args)...);
        if constexpr (std::is_empty_v<std::decay_t<F>> && sizeof...(Args) == 0)
            bytes[0] = 0; // nothing is captured, but a byte is copied
        const int code = gort_spawn_copy(detail::run_copied<call>, bytes, sizeof(call));
        if (code != GORT_OK) {
            made->~call();
            detail::fail(code, "gort::go");
        }
    } else {
        detail::start_owned<call>("gort::go", gort_spawn, std::forward<F>(f), std::forward<Args>(args)...);
    }
}

/// The same with a name, a stack size, or bound to one thread.
template <class F, class... Args> void go(const spawn_options &options, F &&f, Args &&...args) {
    static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>,
                  "gort::go: the function cannot be called with these arguments");
    gort_spawn_options_t raw = GORT_SPAWN_OPTIONS_INIT;
    raw.stack_size = options.stack_size;
    raw.name = options.name;
    raw.flags = options.pinned ? GORT_SPAWN_PINNED : 0;
    detail::start_owned<detail::call_of<F, Args...>>(
        "gort::go", [&raw](gort_fn_t fn, void *arg) { return gort_spawn_with(&raw, fn, arg); },
        std::forward<F>(f), std::forward<Args>(args)...);
}

/// Runs f(args...) as the main goroutine and returns its int; 0 if it returns void. Other goroutines are not
/// waited for.
///
///     int main() { return gort::main([] { ... }); }
template <class F, class... Args> int main(F &&f, Args &&...args) {
    static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>,
                  "gort::main: the function cannot be called with these arguments");
    struct shared {
        detail::call_of<F, Args...> call;
        int result;

        static int run(void *arg) {
            shared &self = *static_cast<shared *>(arg);
            detail::at_edge([&self] {
                if constexpr (std::is_void_v<decltype(self.call())>)
                    self.call();
                else
                    self.result = static_cast<int>(self.call());
            });
            return self.result;
        }
    };
    shared body{detail::call_of<F, Args...>(std::in_place, std::forward<F>(f), std::forward<Args>(args)...), 0};
    return gort_main(shared::run, &body);
}

// ---- what a goroutine does to itself ----

/// Let other goroutines run first: Go's runtime.Gosched.
inline void yield() { gort_yield(); }

/// End this goroutine: Go's runtime.Goexit. Destructors and deferred calls run.
[[noreturn]] inline void exit() {
    gort_exit();
    __builtin_unreachable();
}

/// Wait for so long; nothing or less returns at once.
template <class Rep, class Period> void sleep_for(const std::chrono::duration<Rep, Period> &length) {
    gort_sleep(detail::nanoseconds_of(length));
}

/// Wait until that time.
template <class Clock, class Duration>
void sleep_until(const std::chrono::time_point<Clock, Duration> &when) {
    detail::until(when, [](std::int64_t deadline) {
        if (deadline == GORT_FOREVER)
            gort_sleep(GORT_FOREVER);
        const std::int64_t now = gort_now();
        if (deadline > now)
            gort_sleep(deadline - now);
        return GORT_ETIMEDOUT;
    });
}

/// Keeps the goroutine on its OS thread, and everybody else off it, for a block: Go's runtime.LockOSThread.
class [[nodiscard]] thread_lock {
public:
    thread_lock() { gort_lock_thread(); }
    thread_lock(const thread_lock &) = delete;
    thread_lock &operator=(const thread_lock &) = delete;
    ~thread_lock() { gort_unlock_thread(); }
};

} // namespace gort

#endif
