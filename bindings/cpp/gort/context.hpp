// Contexts: gort::context, as Go's package context.
//
// The one thing to know: a context is a counted handle; letting go of it cancels nothing. `gort::cancel_scope`, or a
// gort::defer that calls cancel(), is Go's `defer cancel()`.
#ifndef GORT_CONTEXT_HPP
#define GORT_CONTEXT_HPP

#include "chan.hpp"
#include "panic.hpp"

namespace gort {

/// The key of a context's value. Its address is what counts: let it be a global or a static constant.
template <class T> class context_key {
public:
    constexpr context_key() noexcept = default;
    context_key(const context_key &) = delete;
    context_key &operator=(const context_key &) = delete;

private:
    char unique_ = 0; // so that no two keys share an address
};

class context {
public:
    /// The background: never done.
    context() : context(gort_ctx_background(), "gort::context") {}
    /// Takes over a reference of gort.h.
    static context adopt(gort_ctx_t *raw) { return context(raw, "gort::context::adopt"); }
    /// The same with a reference of its own.
    static context share(gort_ctx_t *raw) { return context(gort_ctx_retain(raw), "gort::context::share"); }

    context(const context &other) noexcept : raw_(gort_ctx_retain(other.raw_)) {}
    context(context &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    context &operator=(context other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~context() { gort_ctx_release(raw_); }

    // ---- children: done when this is, and for a reason of their own ----

    [[nodiscard]] context with_cancel() const {
        return context(gort_ctx_with_cancel(raw_), "gort::context::with_cancel");
    }
    template <class Rep, class Period>
    [[nodiscard]] context with_timeout(const std::chrono::duration<Rep, Period> &length) const {
        return context(gort_ctx_with_timeout(raw_, detail::nanoseconds_of(length)), "gort::context::with_timeout");
    }
    /// On a clock that can be set, the deadline is where it is now.
    template <class Clock, class Duration>
    [[nodiscard]] context with_deadline(const std::chrono::time_point<Clock, Duration> &when) const {
        return context(gort_ctx_with_deadline(raw_, detail::deadline_at(when)), "gort::context::with_deadline");
    }
    /// `value` is only referred to: it must outlive the context and its children.
    template <class T> [[nodiscard]] context with_value(const context_key<T> &key, detail::same<T> &value) const {
        void *address = const_cast<std::remove_cv_t<T> *>(std::addressof(value));
        return context(gort_ctx_with_value(raw_, &key, address), "gort::context::with_value");
    }
    template <class T> context with_value(const context_key<T> &, const detail::same<T> &&) const = delete;
    [[nodiscard]] context without_cancel() const {
        return context(gort_ctx_without_cancel(raw_), "gort::context::without_cancel");
    }

    // ---- the end ----

    /// Make it done, and all its children. A context without a cancel of its own is left as it is.
    void cancel() const { gort_ctx_cancel(raw_); }
    /// The same with a cause, which is not 0.
    void cancel(int cause) const { gort_ctx_cancel_cause(raw_, cause); }

    /// Closed when the context is done; gort::nil if it never will be.
    [[nodiscard]] chan<void> done() const { return chan<void>::share(gort_ctx_done(raw_)); }
    /// GORT_OK until it is done; then GORT_ECANCELED or GORT_ETIMEDOUT.
    int err() const noexcept { return gort_ctx_err(raw_); }
    bool is_done() const noexcept { return err() != GORT_OK; }
    /// Why it is done: what cancel was given; else err().
    int cause() const noexcept { return gort_ctx_cause(raw_); }
    /// None if there is no deadline.
    std::optional<clock::time_point> deadline() const noexcept {
        const std::int64_t at = gort_ctx_deadline(raw_);
        if (at == GORT_FOREVER)
            return std::nullopt;
        return clock::time_point(clock::duration(at));
    }
    /// What with_value has put under this key, here or in a parent; else nullptr.
    template <class T> T *value(const context_key<T> &key) const noexcept {
        return static_cast<T *>(gort_ctx_value(raw_, &key));
    }

    gort_ctx_t *native_handle() const noexcept { return raw_; }

private:
    context(gort_ctx_t *raw, const char *call) : raw_(detail::made(raw, call)) {}

    gort_ctx_t *raw_;
};

/// A handle does not know where it lies.
template <> struct is_relocatable<context> : std::true_type {};

/// Go's `ctx, cancel := context.WithCancel(parent); defer cancel()`: cancels a context when the block is left.
class [[nodiscard]] cancel_scope {
public:
    explicit cancel_scope(context ctx) noexcept : ctx_(std::move(ctx)) {}
    cancel_scope(const cancel_scope &) = delete;
    cancel_scope &operator=(const cancel_scope &) = delete;
    ~cancel_scope() { ctx_.cancel(); }

private:
    context ctx_;
};

/// Go's context.AfterFunc: calls `f()` in a goroutine of its own once the context is done; never, if the after_func
/// goes away before that (as std::stop_callback).
///
///     gort::after_func wake(ctx, [&] { ready.broadcast(); });
class [[nodiscard]] after_func {
public:
    template <class F> after_func(const context &ctx, F &&f) : ctx_(ctx) {
        using call = std::decay_t<F>;
        std::unique_ptr<call> owned(new call(std::forward<F>(f)));
        const int code = gort_ctx_after_func(ctx_.native_handle(), detail::run_owned<call>, owned.get(), &id_);
        if (code != GORT_OK)
            detail::fail(code, "gort::after_func");
        call_ = owned.release();
        destroy_ = [](void *it) { delete static_cast<call *>(it); };
    }
    after_func(const after_func &) = delete;
    after_func &operator=(const after_func &) = delete;
    ~after_func() { stop(); }

    /// True: `f` will not be called, because of this stop. Does not wait for an `f` that has been started.
    bool stop() noexcept {
        if (call_ == nullptr)
            return false;
        void *it = std::exchange(call_, nullptr);
        const bool stopped = gort_ctx_after_func_stop(ctx_.native_handle(), id_);
        if (stopped)
            destroy_(it);
        return stopped;
    }

private:
    context ctx_;
    std::uint64_t id_ = 0;
    void *call_ = nullptr; // its own only if the stop succeeds
    void (*destroy_)(void *) = nullptr;
};

} // namespace gort

#endif
