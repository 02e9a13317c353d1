// Channels: gort::chan<T> for any T that can be moved, gort::chan<void> for signals.
//
// The one thing to know: a chan<T> is a counted handle, like a std::shared_ptr: copies are the same channel. What
// is in the buffer belongs to the channel; when the last handle goes, whatever is left in it is destroyed. Closing
// destroys nothing: what was sent can still be received.
#ifndef GORT_CHAN_HPP
#define GORT_CHAN_HPP

#include "element.hpp"

#include <atomic>
#include <iterator>
#include <optional>

namespace gort {

/// The channel that is none: never ready in a select. `gort::chan<int> off = gort::nil;`
struct nil_t {
    explicit constexpr nil_t() = default;
};
inline constexpr nil_t nil{};

namespace detail {

/// The handle, whatever its channel carries. Where elements must be destroyed with the channel, handles are counted
/// in an `owner` beside it, since only the last one may do that; else by gort itself.
class chan_handle {
public:
    chan_handle() noexcept = default;
    chan_handle(std::size_t size, std::size_t capacity, void (*drain)(gort_chan_t *), const char *call) {
        std::unique_ptr<owner> own(drain == nullptr ? nullptr : new owner{{1}, drain});
        raw_ = made(gort_chan_new(size, capacity), call);
        owner_ = own.release();
    }
    /// Takes over a reference.
    explicit chan_handle(gort_chan_t *raw) noexcept : raw_(raw) {}

    chan_handle(const chan_handle &other) noexcept : raw_(other.raw_), owner_(other.owner_) {
        // Relaxed: who passes the new handle on, orders it.
        if (owner_ != nullptr)
            owner_->handles.fetch_add(1, std::memory_order_relaxed);
        else
            gort_chan_retain(raw_);
    }
    chan_handle(chan_handle &&other) noexcept
        : raw_(std::exchange(other.raw_, nullptr)), owner_(std::exchange(other.owner_, nullptr)) {}
    chan_handle &operator=(chan_handle other) noexcept {
        std::swap(raw_, other.raw_);
        std::swap(owner_, other.owner_);
        return *this;
    }
    ~chan_handle() {
        if (owner_ != nullptr) {
            // Release and acquire: what was done under the other handles is over.
            if (owner_->handles.fetch_sub(1, std::memory_order_acq_rel) != 1)
                return;
            owner_->drain(raw_);
            delete owner_;
        }
        gort_chan_release(raw_);
    }

    gort_chan_t *raw() const noexcept { return raw_; }

private:
    struct owner {
        std::atomic<std::size_t> handles;
        void (*drain)(gort_chan_t *);
    };

    gort_chan_t *raw_ = nullptr;
    owner *owner_ = nullptr;
};

/// What chan<T> and chan<void> have in common.
class any_chan {
public:
    /// No more will be sent. Who waits is woken: receivers get what is left, then nothing; senders fail and keep
    /// their values. closed() if it already was.
    status close() const { return expected(gort_chan_close(raw()), "gort::chan::close"); }

    /// How many values are in the buffer just now.
    std::size_t size() const noexcept { return gort_chan_len(raw()); }
    std::size_t capacity() const noexcept { return gort_chan_cap(raw()); }

    /// Is this a channel, and not gort::nil or moved from?
    explicit operator bool() const noexcept { return raw() != nullptr; }
    /// The channel of gort.h, borrowed. Its elements are T's own bytes if T is trivially copyable; otherwise they are
    /// this header's business, and the reference count of gort.h must not outlive the handles.
    gort_chan_t *native_handle() const noexcept { return raw(); }

    /// The same channel?
    friend bool operator==(const any_chan &a, const any_chan &b) noexcept { return a.raw() == b.raw(); }
    friend bool operator!=(const any_chan &a, const any_chan &b) noexcept { return a.raw() != b.raw(); }

protected:
    explicit any_chan(chan_handle handle) noexcept : handle_(std::move(handle)) {}
    gort_chan_t *raw() const noexcept { return handle_.raw(); }

private:
    chan_handle handle_;
};

/// A channel of gort.h whose elements have `size` bytes, which is NULL or checked.
inline gort_chan_t *of_size(gort_chan_t *raw, std::size_t size, const char *call) {
    if (raw != nullptr && gort_chan_elem_size(raw) != size)
        fail(GORT_EINVAL, call);
    return raw;
}

} // namespace detail

template <class T> class chan : public detail::any_chan {
    static_assert(std::is_object_v<T> && !std::is_array_v<T> && std::is_same_v<T, std::remove_cv_t<T>>,
                  "gort::chan<T>: T is an object type without const, and no array");

public:
    using value_type = T;

    /// A new channel that holds up to `capacity` values; without, a send waits for its receive.
    explicit chan(std::size_t capacity = 0) : any_chan(fresh(capacity)) {}
    chan(nil_t) noexcept : any_chan(detail::chan_handle()) {}

    /// Takes over a reference to a channel of gort.h whose elements are a T's bytes.
    static chan adopt(gort_chan_t *raw) {
        static_assert(std::is_trivially_copyable_v<T>, "gort::chan::adopt: a T is not its bytes");
        return chan(detail::chan_handle(detail::of_size(raw, sizeof(T), "gort::chan::adopt")));
    }
    /// The same with a reference of its own.
    static chan share(gort_chan_t *raw) {
        static_assert(std::is_trivially_copyable_v<T>, "gort::chan::share: a T is not its bytes");
        detail::of_size(raw, sizeof(T), "gort::chan::share");
        return chan(detail::chan_handle(gort_chan_retain(raw)));
    }

    // ---- send: true, or closed(). Unless it is true, the value is still the sender's, and not moved from ----

    /// Waits until a receiver has the value or it has a place in the buffer.
    status send(const T &value) const { return send_one(value, blocking_send, "gort::chan::send"); }
    status send(T &&value) const { return send_one(std::move(value), blocking_send, "gort::chan::send"); }

    /// Does not wait: would_block() if it would have to.
    [[nodiscard]] status try_send(const T &value) const {
        return send_one(value, gort_chan_try_send, "gort::chan::try_send");
    }
    [[nodiscard]] status try_send(T &&value) const {
        return send_one(std::move(value), gort_chan_try_send, "gort::chan::try_send");
    }

    /// Waits until that time at the most: timed_out().
    template <class Clock, class Duration>
    [[nodiscard]] status send_until(const T &value, const std::chrono::time_point<Clock, Duration> &when) const {
        return send_one(value, send_by(when), "gort::chan::send_until");
    }
    template <class Clock, class Duration>
    [[nodiscard]] status send_until(T &&value, const std::chrono::time_point<Clock, Duration> &when) const {
        return send_one(std::move(value), send_by(when), "gort::chan::send_until");
    }
    /// Waits so long at the most: timed_out().
    template <class Rep, class Period>
    [[nodiscard]] status send_for(const T &value, const std::chrono::duration<Rep, Period> &length) const {
        return send_until(value, from_now(length));
    }
    template <class Rep, class Period>
    [[nodiscard]] status send_for(T &&value, const std::chrono::duration<Rep, Period> &length) const {
        return send_until(std::move(value), from_now(length));
    }

    // ---- receive: a value, or none ----

    /// Waits for a value. None: the channel is closed and drained.
    std::optional<T> recv() const { return recv_one(gort_chan_recv, "gort::chan::recv"); }
    /// Does not wait. None: there is none now, or there will never be one again.
    std::optional<T> try_recv() const { return recv_one(gort_chan_try_recv, "gort::chan::try_recv"); }
    /// Waits until that time at the most.
    template <class Clock, class Duration>
    std::optional<T> recv_until(const std::chrono::time_point<Clock, Duration> &when) const {
        return recv_one(recv_by(when), "gort::chan::recv_until");
    }
    /// Waits so long at the most.
    template <class Rep, class Period>
    std::optional<T> recv_for(const std::chrono::duration<Rep, Period> &length) const {
        return recv_until(from_now(length));
    }

    // ---- receive into a variable, which is untouched unless the status, which says why, is true ----

    status recv(T &value) const { return recv_into(value, gort_chan_recv, "gort::chan::recv"); }
    [[nodiscard]] status try_recv(T &value) const {
        return recv_into(value, gort_chan_try_recv, "gort::chan::try_recv");
    }
    template <class Clock, class Duration>
    [[nodiscard]] status recv_until(T &value, const std::chrono::time_point<Clock, Duration> &when) const {
        return recv_into(value, recv_by(when), "gort::chan::recv_until");
    }
    template <class Rep, class Period>
    [[nodiscard]] status recv_for(T &value, const std::chrono::duration<Rep, Period> &length) const {
        return recv_until(value, from_now(length));
    }

    // ---- for (auto value : ch): until it is closed and drained ----

    /// Holds one received value, which `*` gives away.
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = T *;
        using reference = T &&;

        iterator() = default;
        explicit iterator(const chan &ch) : ch_(&ch) { ++*this; }
        T &&operator*() { return std::move(*value_); }
        T *operator->() { return std::addressof(*value_); }
        iterator &operator++() {
            value_.reset();
            std::optional<T> next = ch_->recv();
            if (next)
                value_.emplace(std::move(*next));
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator &a, const iterator &b) noexcept {
            return a.value_.has_value() == b.value_.has_value();
        }
        friend bool operator!=(const iterator &a, const iterator &b) noexcept { return !(a == b); }

    private:
        const chan *ch_ = nullptr;
        std::optional<T> value_{};
    };

    iterator begin() const { return iterator(*this); }
    iterator end() const { return iterator(); }

private:
    explicit chan(detail::chan_handle handle) noexcept : any_chan(std::move(handle)) {}

    static detail::chan_handle fresh(std::size_t capacity) {
        static_assert(std::is_move_constructible_v<T>, "gort::chan<T>: T cannot be moved");
        static_assert(std::is_nothrow_destructible_v<T>, "gort::chan<T>: the destructor of T may throw");
        return detail::chan_handle(detail::carrier<T>::size, capacity,
                                   std::is_trivially_copyable_v<T> ? nullptr : detail::drain<T>,
                                   "gort::chan::chan");
    }

    static int blocking_send(gort_chan_t *raw, const void *data) { return gort_chan_send(raw, data); }

    template <class Time> static auto send_by(const Time &when) {
        return [&when](gort_chan_t *raw, const void *data) {
            return detail::until(when, [&](std::int64_t at) { return gort_chan_send_until(raw, data, at); });
        };
    }
    template <class Time> static auto recv_by(const Time &when) {
        return [&when](gort_chan_t *raw, void *data) {
            return detail::until(when, [&](std::int64_t at) { return gort_chan_recv_until(raw, data, at); });
        };
    }
    template <class Length> static clock::time_point from_now(const Length &length) {
        return clock::time_point(clock::duration(detail::deadline_after(length)));
    }

    // Once gort has the value, a receiver may destroy this handle: `this` is not touched any more.
    template <class Value, class Send> status send_one(Value &&value, Send &&send, const char *call) const {
        detail::outgoing<T> out(std::forward<Value>(value));
        const status sent = status(send(raw(), out.data()));
        if (sent)
            out.sent();
        else
            out.keep();
        return detail::expected(sent.code(), call);
    }

    template <class Recv> std::optional<T> recv_one(Recv &&recv, const char *call) const {
        std::optional<T> value;
        detail::incoming<T> in;
        if (detail::expected(recv(raw(), in.data()), call)) {
            in.received();
            value.emplace(in.value());
        }
        return value;
    }

    template <class Recv> status recv_into(T &value, Recv &&recv, const char *call) const {
        detail::incoming<T> in;
        const status got = detail::expected(recv(raw(), in.data()), call);
        if (got) {
            in.received();
            value = in.value();
        }
        return got;
    }
};

/// Signals without a value: they are counted, and take no memory.
template <> class chan<void> : public detail::any_chan {
public:
    using value_type = void;

    explicit chan(std::size_t capacity = 0)
        : any_chan(detail::chan_handle(0, capacity, nullptr, "gort::chan::chan")) {}
    chan(nil_t) noexcept : any_chan(detail::chan_handle()) {}

    /// Takes over a reference to a channel of gort.h whose elements have size 0.
    static chan adopt(gort_chan_t *raw) {
        return chan(detail::chan_handle(detail::of_size(raw, 0, "gort::chan::adopt")));
    }
    /// The same with a reference of its own.
    static chan share(gort_chan_t *raw) {
        detail::of_size(raw, 0, "gort::chan::share");
        return chan(detail::chan_handle(gort_chan_retain(raw)));
    }

    status send() const { return detail::expected(gort_chan_send(raw(), nullptr), "gort::chan::send"); }
    [[nodiscard]] status try_send() const {
        return detail::expected(gort_chan_try_send(raw(), nullptr), "gort::chan::try_send");
    }
    template <class Clock, class Duration>
    [[nodiscard]] status send_until(const std::chrono::time_point<Clock, Duration> &when) const {
        return detail::expected(
            detail::until(when, [&](std::int64_t at) { return gort_chan_send_until(raw(), nullptr, at); }),
            "gort::chan::send_until");
    }
    template <class Rep, class Period>
    [[nodiscard]] status send_for(const std::chrono::duration<Rep, Period> &length) const {
        return detail::expected(gort_chan_send_until(raw(), nullptr, detail::deadline_after(length)),
                                "gort::chan::send_for");
    }

    /// True if there was a signal; closed() if the channel is closed and drained.
    status recv() const { return detail::expected(gort_chan_recv(raw(), nullptr), "gort::chan::recv"); }
    [[nodiscard]] status try_recv() const {
        return detail::expected(gort_chan_try_recv(raw(), nullptr), "gort::chan::try_recv");
    }
    template <class Clock, class Duration>
    [[nodiscard]] status recv_until(const std::chrono::time_point<Clock, Duration> &when) const {
        return detail::expected(
            detail::until(when, [&](std::int64_t at) { return gort_chan_recv_until(raw(), nullptr, at); }),
            "gort::chan::recv_until");
    }
    template <class Rep, class Period>
    [[nodiscard]] status recv_for(const std::chrono::duration<Rep, Period> &length) const {
        return detail::expected(gort_chan_recv_until(raw(), nullptr, detail::deadline_after(length)),
                                "gort::chan::recv_for");
    }

private:
    explicit chan(detail::chan_handle handle) noexcept : any_chan(std::move(handle)) {}
};

/// A handle does not know where it lies.
template <class T> struct is_relocatable<chan<T>> : std::true_type {};

} // namespace gort

#endif
