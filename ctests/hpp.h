// What the tests of gort.hpp share: t.h, and values that know how many of them there are.
//
// The one thing to know: a `tracked` that is read after its end, destroyed twice, or copied byte by byte without
// having said that it may be, fails the test at once; at the end of a test `all_gone` finds what was leaked.
#ifndef GORT_CTESTS_HPP_H
#define GORT_CTESTS_HPP_H

#include "t.h"

#include <gort.hpp>

#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

// In a class of its own for each test that wants one: how many there are.
inline std::atomic<long> tracked_live{0};

enum class travel { bytes, box };

/// Move-only. As a box it points to itself, and as bytes it does not; moved from, it holds -1.
template <travel How, std::size_t Bytes = 1, std::size_t Align = 8> class tracked {
public:
    explicit tracked(int value) : value_(value) { begin(); }
    tracked(tracked &&other) noexcept : value_(other.value()) {
        other.value_ = -1;
        begin();
    }
    tracked &operator=(tracked &&other) noexcept {
        check();
        value_ = other.value();
        other.value_ = -1;
        return *this;
    }
    ~tracked() {
        check();
        alive_ = 0;
        tracked_live.fetch_sub(1);
    }
    int value() const {
        check();
        return value_;
    }
    bool moved_from() const { return value() == -1; }

private:
    void begin() {
        if (How == travel::box)
            self_ = this;
        tracked_live.fetch_add(1);
        check();
    }
    void check() const {
        if (alive_ != 0x1234567)
            FAIL("a value is used that is none");
        if (How == travel::box && self_ != this)
            FAIL("a value was copied byte by byte");
        if (reinterpret_cast<std::uintptr_t>(this) % Align != 0)
            FAIL("a value is not aligned");
    }

    alignas(Align) int value_;
    int alive_ = 0x1234567;
    const tracked *self_ = nullptr;
    char ballast_[Bytes] = {};
};

template <std::size_t Bytes, std::size_t Align>
struct gort::is_relocatable<tracked<travel::bytes, Bytes, Align>> : std::true_type {};

using boxed = tracked<travel::box>;
using relocated = tracked<travel::bytes>;
using boxed_wide = tracked<travel::box, 1, 256>;
using relocated_wide = tracked<travel::bytes, 1, 256>;
using boxed_huge = tracked<travel::box, 60000>;
using relocated_huge = tracked<travel::bytes, 60000>;

static_assert(!std::is_copy_constructible_v<boxed>);
static_assert(gort::is_relocatable<relocated>::value && !gort::is_relocatable<boxed>::value);

inline void all_gone() {
    EVENTUALLY(tracked_live.load() == 0);
    CHECK_EQ(tracked_live.load(), 0);
}

/// waitgroup::go, but on a plain thread. (To join a thread would hold up a worker, perhaps the only one.)
template <class F> void go_thread(gort::waitgroup &wg, F f) {
    wg.add();
    std::thread([&wg, f = std::move(f)]() mutable {
        {
            F mine = std::move(f);
            CHECK(!gort_in_goroutine());
            mine();
        }
        wg.done();
    }).detach();
}

#define RUN_FOR_EACH(test)                                                                                   \
    do {                                                                                                     \
        RUN_BOTH(test<boxed>);                                                                               \
        RUN_BOTH(test<relocated>);                                                                           \
        RUN_BOTH(test<boxed_wide>);                                                                          \
        RUN_BOTH(test<relocated_wide>);                                                                      \
        RUN_BOTH(test<boxed_huge>);                                                                          \
        RUN_BOTH(test<relocated_huge>);                                                                      \
    } while (0)

#endif
