// Everything in gort.hpp once: for strict warnings, for -fno-exceptions, and for a program against the installed
// headers. Prints "gort.hpp works".
#include <gort.hpp>
#include <gort.hpp> // twice does no harm

#include <cstdio>
#include <shared_mutex>
#include <string>
#include <vector>

using namespace std::chrono_literals;

static int failures = 0;

static void check(bool good, const char *what) {
    if (!good) {
        std::fprintf(stderr, "everything.cpp: %s\n", what);
        failures++;
    }
}
#define CHECK(condition) check(condition, #condition)

struct wide {
    alignas(64) std::string text;
};

static const gort::context_key<int> key;

static void channels() {
    gort::chan<std::string> texts(1);
    CHECK(texts.send("a") && texts.try_send("b").would_block() && texts.send_for("c", 1ms).timed_out());
    std::string text;
    CHECK(texts.recv(text) && text == "a" && texts.try_recv(text).would_block() && !texts.try_recv());
    CHECK(texts.recv_for(text, 1us).timed_out() && !texts.recv_until(gort::clock::now()));

    gort::chan<std::unique_ptr<wide>> owners;
    gort::go([owners](int n) {
        for (int i = 0; i < n; i++)
            owners.send(std::make_unique<wide>(wide{std::to_string(i)}));
        owners.close();
    }, 3);
    for (auto owner : owners)
        text += owner->text;
    CHECK(text == "a012" && owners.send(nullptr).closed() && !owners.recv());

    gort::chan<wide> wides(2);
    wides.send(wide{"left in the channel"});
    gort::chan<void> signals(1);
    std::optional<std::string> got;
    std::string chosen;
    for (int i = 0; i < 2; i++)
        gort::select(gort::recv(texts, got), gort::send(signals, [&] { chosen += "signal "; }),
                     gort::recv(gort::chan<int>(gort::nil), [](int) {}, [] {}),
                     gort::deadline(std::chrono::steady_clock::now() + 1ms, [&] { chosen += "late"; }));
    CHECK(chosen == "signal late");
    CHECK(gort::select(gort::send(texts, "x"), gort::default_()) == 0);
    CHECK(gort::select(gort::recv(texts, [&](std::string &&value) { text = value; })).status && text == "x");
}

static void locks() {
    gort::mutex a, b;
    gort::rwmutex rw;
    gort::cond changed;
    {
        std::scoped_lock both(a, b);
        std::shared_lock<gort::rwmutex> reader(rw, 1ms);
        CHECK(reader.owns_lock() && !rw.try_lock());
    }
    std::unique_lock<gort::mutex> lock(a);
    CHECK(!changed.wait_for(lock, 1ms, [] { return false; }));
    gort::once o;
    int calls = 0;
    gort::call_once(o, [&] { calls++; });
    o.do_([&] { calls++; });
    CHECK(calls == 1);
    gort::waitgroup wg;
    wg.go([&] { calls++; });
    wg.wait();
    gort::semaphore permits(2);
    permits.acquire();
    CHECK(permits.try_acquire() && !permits.try_acquire_for(1ms) && calls == 2);
    permits.release(2);
}

static void times() {
    CHECK(bool(gort::after(1ms).recv()));
    gort::timer timer(1h);
    CHECK(timer.reset(1ms) && timer.ticks().recv());
    gort::ticker ticker(1ms);
    CHECK(bool(ticker.ticks().recv()));
    gort::chan<int> called(1);
    gort::timer_func f(1ms, [called] { called.send(1); });
    CHECK(called.recv() == 1 && !f.stop());
    gort::sleep_for(1us);
    gort::sleep_until(std::chrono::system_clock::now() + 1us);
}

static void contexts() {
    int value = 5;
    gort::context ctx = gort::context().with_value(key, value).with_timeout(1h);
    gort::cancel_scope scope(ctx);
    gort::after_func never(ctx, [] {});
    CHECK(*ctx.value(key) == 5 && !ctx.is_done() && ctx.deadline());
    gort::group g(ctx);
    g.go([](const gort::context &mine) { CHECK(mine.done().recv().closed()); });
    g.go([] { return 7; });
    CHECK(g.wait() == 7 && g.context().is_done());
}

static void panics() {
    std::string order;
    {
        gort::defer last([&] { order += "!"; });
#if GORT_HPP_EXCEPTIONS
        try {
            gort::try_([&] {
                gort::deferred([&] { order += "deferred "; });
                gort::panic("trouble");
            });
        } catch (const gort::panic_error &error) {
            order += error.what();
        }
#else
        order = "deferred trouble";
#endif
    }
    CHECK(order == "deferred trouble!" && !gort::recover());
}

int main() {
    return gort::main([] {
        gort::thread_lock locked;
        channels();
        locks();
        times();
        contexts();
        panics();
        if (failures == 0)
            std::puts("gort.hpp works");
        return failures;
    });
}
