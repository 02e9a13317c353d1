// gort::go, gort::main, and the timers: what starts a goroutine, and what becomes of what it was given.
#include "hpp.h"

// ---- go ----

static void free_function(int a, const std::string &text, gort::chan<std::string> out) {
    out.send(text + std::to_string(a));
}

struct object {
    int value;
    void method(int more, gort::chan<int> out) const { out.send(value + more); }
};

static void everything_that_can_be_called() {
    gort::chan<std::string> texts;
    gort::chan<int> numbers;
    gort::go(free_function, 1, "text", texts);
    CHECK(*texts.recv() == "text1");
    gort::go(&free_function, 2, std::string("moved"), texts);
    CHECK(*texts.recv() == "moved2");
    object one{40};
    gort::go(&object::method, &one, 2, numbers);
    CHECK_EQ(*numbers.recv(), 42);
    gort::go(&object::method, object{1}, 1, numbers);
    CHECK_EQ(*numbers.recv(), 2);
    int referred = 0;
    gort::go([numbers](int &value) { numbers.send(++value); }, std::ref(referred));
    CHECK(*numbers.recv() == 1 && referred == 1);
    gort::go(std::function<void()>([numbers] { numbers.send(5); }));
    CHECK_EQ(*numbers.recv(), 5);
    gort::go([numbers] { return numbers.send(6); }); // what it returns is dropped
    CHECK_EQ(*numbers.recv(), 6);
}

// The function and its arguments are moved in, live in the goroutine, and are destroyed at its end.
template <class T> static void arguments_move() {
    gort::chan<int> out;
    T given(1);
    gort::go([out, held = T(2)](T argument, T &&other) mutable {
        T mine = std::move(held);
        out.send(100 * mine.value() + 10 * argument.value() + other.value());
    }, std::move(given), T(3));
    CHECK(given.moved_from());
    CHECK_EQ(*out.recv(), 213);
    EVENTUALLY(tracked_live.load() == 1);
}

static void with_options() {
    gort::chan<long> out;
    gort::spawn_options options;
    options.name = "large";
    options.stack_size = 8 << 20;
    gort::go(options, [out](std::unique_ptr<int> p) {
        volatile char room[4 << 20];
        room[0] = static_cast<char>(*p);
        out.send(room[0]);
    }, std::make_unique<int>(9));
    CHECK_EQ(*out.recv(), 9);
    gort::spawn_options pinned;
    pinned.pinned = true;
    gort::go(pinned, [out] {
        const long before = t_tid();
        for (int i = 0; i < 100; i++)
            gort::yield();
        gort::sleep_for(1ms);
        out.send(t_tid() == before);
    });
    CHECK_EQ(*out.recv(), 1);
    options.stack_size = std::size_t(1) << 40;
    int code = 0;
    try {
        gort::go(options, [held = boxed(1)] {});
    } catch (const gort::error &error) {
        code = error.code();
    }
    CHECK_EQ(code, GORT_EINVAL);
    CHECK_EQ(tracked_live.load(), 0);
    gort::go([out] {
        gort::thread_lock locked;
        const long before = t_tid();
        gort::sleep_for(1ms);
        out.send(t_tid() == before);
    });
    CHECK_EQ(*out.recv(), 1);
}

static int main_with_arguments(int a, const std::string &b) { return a + int(b.size()); }

static void main_returns() {
    CHECK_EQ(gort::main([] {}), 0);
    CHECK_EQ(gort::main([] {
        CHECK(gort_in_goroutine());
        return 7;
    }), 7);
    CHECK_EQ(gort::main(main_with_arguments, 3, "four"), 7);
    boxed given(1);
    CHECK_EQ(gort::main([](boxed value) { return value.value(); }, std::move(given)), 1);
    CHECK_EQ(tracked_live.load(), 1);
}

// ---- time ----

// The clock and the conversions: never early, and no overflow.
static void durations() {
    using gort::detail::nanoseconds_of;
    CHECK_EQ(nanoseconds_of(1500us), 1500000);
    CHECK_EQ(nanoseconds_of(std::chrono::duration<double>(1e-10)), 1);
    CHECK_EQ(nanoseconds_of(std::chrono::duration<std::int64_t, std::pico>(1001)), 2);
    CHECK_EQ(nanoseconds_of(std::chrono::duration<std::int64_t, std::pico>(-1001)), -1);
    CHECK_EQ(nanoseconds_of(std::chrono::hours::max()), INT64_MAX);
    CHECK_EQ(nanoseconds_of(std::chrono::hours::min()), INT64_MIN);
    CHECK_EQ(nanoseconds_of(std::chrono::duration<float>(1e30f)), INT64_MAX);
    CHECK_EQ(nanoseconds_of(std::chrono::nanoseconds::max()), INT64_MAX);
    CHECK_EQ(gort::detail::deadline_after(std::chrono::nanoseconds::max()), GORT_FOREVER);
    CHECK_EQ(gort::detail::deadline_after(0s), 0);
    CHECK_EQ(gort::detail::deadline_at(gort::forever), GORT_FOREVER);
    CHECK_EQ(gort::detail::deadline_at(std::chrono::steady_clock::time_point::max()), GORT_FOREVER);
    CHECK_EQ(gort::detail::deadline_at(std::chrono::steady_clock::time_point::min()), 0);
    const auto start = gort::clock::now();
    gort::sleep_for(2ms);
    CHECK(gort::clock::now() - start >= 2ms);
    const auto when = std::chrono::system_clock::now() + 2ms;
    gort::sleep_until(when);
    CHECK(std::chrono::system_clock::now() >= when);
    gort::sleep_until(std::chrono::system_clock::now() - 1h);
    gort::sleep_for(-1s);
}

static void timers() {
    const auto start = gort::clock::now();
    CHECK(*gort::after(1ms).recv() >= start + 1ms);
    gort::timer timer(2ms);
    CHECK(*timer.ticks().recv() >= start + 2ms);
    CHECK(!timer.stop() && !timer.reset(1h) && timer.reset(1ms));
    CHECK(timer.ticks().recv() && !timer.ticks().try_recv());
    gort::timer moved = std::move(timer);
    CHECK(!moved.reset(1h) && moved.stop());

    int ticks = 0;
    gort::clock::time_point last{};
    for (auto at : gort::ticker(1ms).ticks()) { // the channel outlives the ticker
        CHECK(at > last && at <= gort::clock::now());
        last = at;
        if (++ticks == 3)
            break;
    }
    gort::ticker ticker(1h);
    ticker.reset(1ms);
    CHECK(gort::select(gort::timeout(60s), gort::recv(ticker.ticks())) == 1);
    ticker.stop();
    int code = 0;
    try {
        gort::ticker none(0s);
    } catch (const gort::error &error) {
        code = error.code();
    }
    CHECK_EQ(code, GORT_EINVAL);
}

// A timer_func owns its function as long as it may be called, and no longer.
static void functions_of_timers() {
    gort::chan<int> called(8);
    {
        gort::timer_func once(1ms, [called, held = boxed(1)] { called.send(held.value()); });
        CHECK_EQ(*called.recv(), 1);
        CHECK(!once.stop() && !once.reset(1ms));
        CHECK_EQ(*called.recv(), 1); // a second time
        CHECK(!once.reset(1h) && once.reset(1h) && once.stop() && !once.stop());
        CHECK_EQ(tracked_live.load(), 1);
    }
    all_gone();
    { gort::timer_func left(1ms, [called, held = boxed(2)] { called.send(held.value()); }); }
    CHECK_EQ(*called.recv(), 2); // though the handle is gone
    all_gone();
    gort::timer_func first(1h, [held = boxed(3)] {});
    gort::timer_func second = std::move(first);
    first = gort::timer_func(1h, [held = boxed(4)] {});
    CHECK(second.stop() && first.stop());
    first = std::move(second);
    CHECK(!second.stop() && !first.stop());
    CHECK_EQ(tracked_live.load(), 1);
}

// A timer_func that is stopped and reset while it fires: its function is freed once, when all is over.
static void timers_that_race() {
    std::atomic<long> calls{0};
    int64_t until;
    for (long i = 0; t_again(i, t_n(2000, 200), &until); i++) {
        gort::timer_func timer(std::chrono::microseconds(i % 50), [&calls, held = boxed(1)] { calls += held.value(); });
        if (i % 2)
            gort::sleep_for(std::chrono::microseconds(i % 50));
        timer.reset(std::chrono::microseconds(i % 20));
        if (i % 3)
            timer.stop();
    }
    all_gone();
    CHECK(calls.load() > 0);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(everything_that_can_be_called);
    RUN_BOTH(arguments_move<boxed>);
    RUN_BOTH(arguments_move<relocated>);
    RUN_BOTH(arguments_move<boxed_wide>);
    RUN_BOTH(arguments_move<relocated_wide>);
    RUN_BOTH(with_options);
    RUN(main_returns);
    RUN_BOTH(durations);
    RUN_BOTH(timers);
    RUN_BOTH(functions_of_timers);
    RUN_BOTH(timers_that_race);
    all_gone();
    return t_end();
}
