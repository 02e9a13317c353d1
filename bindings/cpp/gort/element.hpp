// How a value of a C++ type travels through a channel of gort.h, which copies bytes.
//
// The one thing to know: a value on its way is owned by exactly one of sender, channel and receiver. What may be
// moved by copying its bytes (gort::is_relocatable) goes as its bytes, and the sender forgets its own; anything
// else goes as a pointer to a copy on the heap. A value that could not be sent goes back to the sender.
#ifndef GORT_ELEMENT_HPP
#define GORT_ELEMENT_HPP

#include "base.hpp"

#include <array>
#include <cstddef>
#include <exception>
#include <memory>
#include <tuple>

namespace gort {

// ---- which types are their bytes ----

/// May a T be moved by copying its bytes and forgetting the original? Yes for what the compiler knows to be so and
/// for the types below. You may say so for a type of yours: it must hold no pointer into itself, and nobody may
/// keep its address.
///
///     template <> struct gort::is_relocatable<image> : std::true_type {};
template <class T, class = void>
struct is_relocatable
    : std::bool_constant<std::is_trivially_copyable_v<T> ||
                         (std::is_trivially_move_constructible_v<T> && std::is_trivially_destructible_v<T>)> {};

template <class T> struct is_relocatable<std::unique_ptr<T>> : std::true_type {};
template <class T> struct is_relocatable<std::shared_ptr<T>> : std::true_type {};
template <class T> struct is_relocatable<std::weak_ptr<T>> : std::true_type {};
template <class A, class B>
struct is_relocatable<std::pair<A, B>> : std::bool_constant<(is_relocatable<A>::value && is_relocatable<B>::value)> {};
template <class... T>
struct is_relocatable<std::tuple<T...>> : std::bool_constant<(is_relocatable<T>::value && ...)> {};
template <class T, std::size_t N> struct is_relocatable<std::array<T, N>> : is_relocatable<T> {};

namespace detail {

// ---- where a value on its way is kept ----

/// Room for a T that is, or will be, its bytes.
template <class T> class as_bytes {
public:
    static constexpr std::size_t size = sizeof(T);

    void *data() noexcept { return bytes_; }
    T *value() noexcept { return std::launder(reinterpret_cast<T *>(bytes_)); }
    template <class From> void construct(From &&from) { ::new (data()) T(std::forward<From>(from)); }
    void destroy() noexcept { value()->~T(); }

private:
    alignas(T) unsigned char bytes_[sizeof(T)];
};

/// The same where a T is too large for a goroutine's stack.
template <class T> class as_far_bytes {
public:
    static constexpr std::size_t size = sizeof(T);

    as_far_bytes() : room_(new as_bytes<T>) {}
    void *data() noexcept { return room_->data(); }
    T *value() noexcept { return room_->value(); }
    template <class From> void construct(From &&from) { room_->construct(std::forward<From>(from)); }
    void destroy() noexcept { room_->destroy(); }

private:
    std::unique_ptr<as_bytes<T>> room_;
};

/// A pointer to a T on the heap.
template <class T> class as_box {
public:
    static constexpr std::size_t size = sizeof(T *);

    void *data() noexcept { return &box_; }
    T *value() noexcept { return box_; }
    template <class From> void construct(From &&from) { box_ = new T(std::forward<From>(from)); }
    void destroy() noexcept { delete box_; }

private:
    T *box_ = nullptr;
};

template <class T>
using carrier = std::conditional_t<is_relocatable<T>::value,
                                   std::conditional_t<(sizeof(T) > 1024), as_far_bytes<T>, as_bytes<T>>, as_box<T>>;

/// Puts back what was moved out of `to`.
template <class T> void give_back(T &to, T &&from) {
    if constexpr (std::is_nothrow_move_assignable_v<T> || !std::is_nothrow_move_constructible_v<T>) {
        static_assert(std::is_move_assignable_v<T>,
                      "gort::chan<T>: T can be moved neither without throwing nor by assignment, so a value that "
                      "was not sent cannot be given back: send a std::unique_ptr<T>");
        to = std::move(from);
    } else {
        to.~T();
        ::new (static_cast<void *>(std::addressof(to))) T(std::move(from));
    }
}

// ---- the two ends ----

/// A value on its way into a channel.
template <class T, bool Plain = std::is_trivially_copyable_v<T>> class outgoing {
public:
    explicit outgoing(const T &value) { carrier_.construct(value); }
    explicit outgoing(T &&value) : source_(std::addressof(value)) { carrier_.construct(std::move(value)); }
    outgoing(const outgoing &) = delete;
    outgoing &operator=(const outgoing &) = delete;
    ~outgoing() noexcept(std::is_nothrow_move_constructible_v<T>) { keep(); }

    void *data() noexcept { return carrier_.data(); }
    /// The channel has it.
    void sent() noexcept { here_ = false; }
    /// The channel does not want it.
    void keep() {
        if (!here_)
            return;
        here_ = false;
        struct destroy {
            carrier<T> &carrier_;
            ~destroy() { carrier_.destroy(); }
        };
        const destroy guard{carrier_};
        if (source_ != nullptr)
            give_back(*source_, std::move(*carrier_.value()));
    }

private:
    carrier<T> carrier_;
    T *source_ = nullptr;
    bool here_ = true;
};

/// The same where the sender's own is as good as a copy.
template <class T> class outgoing<T, true> {
public:
    explicit outgoing(const T &value) noexcept : value_(std::addressof(value)) {}
    void *data() noexcept { return const_cast<T *>(value_); } // gort only reads it
    void sent() noexcept {}
    void keep() noexcept {}

private:
    const T *value_;
};

/// A value on its way out of a channel.
template <class T> class incoming {
public:
    incoming() = default;
    incoming(const incoming &) = delete;
    incoming &operator=(const incoming &) = delete;
    ~incoming() {
        if (here_)
            carrier_.destroy();
    }

    void *data() noexcept { return carrier_.data(); }
    /// The channel gave it.
    void received() noexcept { here_ = true; }
    T &&value() noexcept { return std::move(*carrier_.value()); }

private:
    carrier<T> carrier_;
    bool here_ = false;
};

/// For the last handle of a channel: destroys what is in its buffer.
template <class T> void drain(gort_chan_t *ch) {
    for (;;) {
        carrier<T> left;
        if (gort_chan_try_recv(ch, left.data()) != GORT_OK)
            return;
        left.destroy();
    }
}

} // namespace detail
} // namespace gort

#endif
