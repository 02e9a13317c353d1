// Groups: gort::group, as Go's errgroup: goroutines that work on one task, of which the first to fail stops the rest.
//
// The one thing to know: wait() returns or throws what the first failure was, and no sooner than all have ended. A
// group that goes away without a wait() cancels its goroutines and waits for them, so they may refer to what was
// there before the group.
#ifndef GORT_GROUP_HPP
#define GORT_GROUP_HPP

#include "context.hpp"

#include <functional>

namespace gort {

class group {
public:
    /// Its context is a child of `parent`.
    explicit group(const gort::context &parent = gort::context())
        : raw_(detail::made(gort_group_new(parent.native_handle()), "gort::group")) {}
    group(const group &) = delete;
    group &operator=(const group &) = delete;
    ~group() {
        // Nothing to do if somebody has waited.
        gort_ctx_cancel(gort_group_ctx(raw_));
        gort_group_wait(raw_);
        gort_group_release(raw_);
    }

    /// At most `n` goroutines at a time; 0 admits none. Only while none is running.
    void set_limit(std::size_t n) { gort_group_set_limit(raw_, n); }

    /// Start `f` in a goroutine; at the limit, wait first. `f` takes nothing or a const gort::context &, and returns
    /// nothing, or an int or a gort::status, which is a failure unless it is 0. An exception is a failure too; a
    /// panic is not caught.
    template <class F> void go(F &&f) { start(gort_group_go, std::forward<F>(f), "gort::group::go"); }
    /// The same, but at the limit start nothing and return false.
    template <class F> [[nodiscard]] bool try_go(F &&f) {
        return start(gort_group_try_go, std::forward<F>(f), "gort::group::try_go");
    }

    /// Done with the first failure, and with wait(). The cause after an exception is GORT_EPANIC.
    [[nodiscard]] gort::context context() const { return gort::context::share(gort_group_ctx(raw_)); }

    /// Waits until all have ended. Throws the exception of the first failure, or returns its int; 0 if none failed.
    int wait() {
        const int code = gort_group_wait(raw_);
        if (!failed_.load(std::memory_order_relaxed)) // ordered by the wait
            return code;
#if GORT_HPP_EXCEPTIONS
        if (thrown_)
            std::rethrow_exception(thrown_);
#endif
        return code_;
    }

private:
    template <class F> struct task {
        group &owner;
        F f;
        template <class G> task(group &g, G &&from) : owner(g), f(std::forward<G>(from)) {}
    };

    template <class F, class Start> bool start(Start &&admit, F &&f, const char *call) {
        using task_type = task<std::decay_t<F>>;
        std::unique_ptr<task_type> owned(new task_type(*this, std::forward<F>(f)));
        const status admitted = detail::expected(admit(raw_, run<task_type>, owned.get()), call);
        if (admitted)
            owned.release(); // the goroutine's; it may have run by now
        return bool(admitted);
    }

    /// For gort: what it returns is a failure to gort too, which cancels the context.
    template <class Task> static int run(gort_ctx_t *ctx, void *arg) {
        const std::unique_ptr<Task> mine(static_cast<Task *>(arg)); // gone before gort says that it is done
        group &owner = mine->owner;
        int code = GORT_OK;
#if GORT_HPP_EXCEPTIONS
        const bool threw = detail::caught([&] { code = result(ctx, *mine); }, [&] {
            if (!owner.failed_.exchange(true, std::memory_order_relaxed))
                owner.thrown_ = std::current_exception();
        });
        if (threw)
            return GORT_EPANIC;
#else
        code = result(ctx, *mine);
#endif
        if (code != GORT_OK && !owner.failed_.exchange(true, std::memory_order_relaxed))
            owner.code_ = code;
        return code;
    }

    template <class Task> static int result(gort_ctx_t *ctx, Task &mine) {
        const auto call = [&]() -> decltype(auto) {
            if constexpr (std::is_invocable_v<decltype((mine.f)), const gort::context &>)
                return std::invoke(mine.f, gort::context::share(ctx));
            else
                return std::invoke(mine.f);
        };
        using result_type = decltype(call());
        static_assert(std::is_void_v<result_type> || std::is_same_v<result_type, int> ||
                          std::is_same_v<result_type, status>,
                      "gort::group: a function returns nothing, an int or a gort::status");
        if constexpr (std::is_void_v<result_type>) {
            call();
            return GORT_OK;
        } else if constexpr (std::is_same_v<result_type, status>) {
            return call().code();
        } else {
            return call();
        }
    }

    gort_group_t *raw_;
    // The first failure; written by who sets `failed_`, read after the wait.
    std::atomic<bool> failed_{false};
    int code_ = GORT_OK;
#if GORT_HPP_EXCEPTIONS
    std::exception_ptr thrown_{};
#endif
};

} // namespace gort

#endif
