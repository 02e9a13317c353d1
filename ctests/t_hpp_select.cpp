// gort::select: exactly one case commits, and only that one has moved anything.
#include "hpp.h"

// Of two sends one is chosen: its value is moved from, the other's is not.
template <class T> static void only_the_chosen_is_moved() {
    gort::chan<T> full(1), room(1);
    full.send(T(0));
    T a(1), b(2);
    int sent = 0;
    const auto chosen = gort::select(gort::send(full, std::move(a), [&] { sent = 1; }),
                                     gort::send(room, std::move(b), [&] { sent = 2; }));
    CHECK(chosen == 1 && chosen.status && sent == 2);
    CHECK(a.value() == 1 && b.moved_from());
    CHECK_EQ(room.recv()->value(), 2);

    // None is chosen, or a receive is: both keep their values.
    b = T(3);
    room.send(T(4));
    CHECK(gort::select(gort::send(full, std::move(a)), gort::send(room, std::move(b)), gort::default_()) == 2);
    CHECK(a.value() == 1 && b.value() == 3);
    CHECK(gort::select(gort::send(full, std::move(a)), gort::send(room, std::move(b)), gort::timeout(1ms))
              .status.timed_out());
    CHECK(a.value() == 1 && b.value() == 3);
    int got = -1;
    gort::chan<T> other(1);
    other.send(T(5));
    CHECK(gort::select(gort::send(full, std::move(a)), gort::recv(other, [&](T value) { got = value.value(); }),
                       gort::send(room, std::move(b))) == 1);
    CHECK(got == 5 && a.value() == 1 && b.value() == 3);

    // A closed channel takes nothing.
    full.close();
    bool closed = false;
    const auto refused = gort::select(gort::send(full, std::move(a), [] { FAIL("sent to a closed channel"); },
                                                 [&] { closed = true; }));
    CHECK(refused.closed() && refused == 0 && closed && a.value() == 1);
}

// While a select waits in sends and receives, whichever comes first decides, and nothing is lost or doubled.
template <class T> static void selects_that_wait() {
    gort::chan<T> in, out;
    const int rounds = int(t_n(2000, 200));
    gort::waitgroup all;
    std::atomic<long> taken{0};
    all.go([in, rounds] {
        for (int i = 0; i < rounds; i++)
            in.send(T(1));
    });
    all.go([out, rounds, &taken] {
        for (int i = 0; i < rounds; i++)
            taken += out.recv()->value();
    });
    int received = 0, sent = 0;
    T mine(1);
    gort::chan<T> from = in, to = out;
    while (received < rounds || sent < rounds) {
        gort::select(gort::recv(from, [&](T &&value) { received += value.value(); }), gort::send(to, std::move(mine), [&] {
                         sent++;
                         mine = T(1);
                     }));
        if (received == rounds)
            from = gort::nil; // Go's way to switch a case off
        if (sent == rounds)
            to = gort::nil;
        CHECK_EQ(mine.value(), 1);
    }
    all.wait();
    CHECK_EQ(taken.load(), rounds);
    CHECK_EQ(tracked_live.load(), 1);
}

// A handler may throw: the value has found its owner before, and the other values are back.
template <class T> static void handlers_that_throw() {
    gort::chan<T> ready(1), full(1);
    full.send(T(0));
    ready.send(T(1));
    T kept(2);
    int caught = 0;
    try {
        gort::select(gort::send(full, std::move(kept)), gort::recv(ready, [&](T value) {
                         CHECK_EQ(kept.value(), 2);
                         throw value.value();
                     }));
    } catch (int value) {
        caught = value;
    }
    CHECK(caught == 1 && kept.value() == 2 && ready.size() == 0);
    CHECK_EQ(tracked_live.load(), 2); // kept, and what is in full
}

struct no_copy_today {
    int value;
    explicit no_copy_today(int v) : value(v) {}
    no_copy_today(const no_copy_today &) { throw std::runtime_error("no copy"); }
    no_copy_today &operator=(const no_copy_today &) = default;
};

// An exception while the cases are made: nothing is chosen, and what was prepared is back.
static void cases_that_throw() {
    gort::chan<boxed> first(1);
    gort::chan<no_copy_today> second(1);
    boxed value(1);
    const no_copy_today other(2);
    bool caught = false;
    try {
        gort::select(gort::send(first, std::move(value)), gort::send(second, other));
    } catch (const std::runtime_error &) {
        caught = true;
    }
    CHECK(caught && value.value() == 1 && first.size() == 0);
    CHECK_EQ(tracked_live.load(), 1);
}

static void every_kind_of_case() {
    gort::chan<int> numbers(1);
    gort::chan<std::string> texts(1);
    gort::chan<void> signals(1);
    std::string said;
    // 0: receive a value, and learn of the end
    const auto receive = [&] {
        return gort::select(gort::recv(numbers, [&](int n) { said = std::to_string(n); }, [&] { said = "closed"; }),
                            gort::recv(signals, [&] { said = "signal"; }, [&] { said = "no more signals"; }),
                            gort::default_([&] { said = "default"; }));
    };
    auto chosen = receive();
    CHECK(chosen == 2 && chosen.status.would_block() && said == "default");
    numbers.send(17);
    CHECK(receive() == 0 && said == "17");
    signals.send();
    CHECK(receive() == 1 && said == "signal");
    signals.close();
    chosen = receive();
    CHECK(chosen == 1 && chosen.closed() && said == "no more signals");
    // into an optional; without a handler; a text made for the occasion
    std::optional<std::string> text = "old";
    CHECK(gort::select(gort::recv(numbers), gort::send(texts, "new", [&] { said = "sent"; })) == 1 && said == "sent");
    CHECK(gort::select(gort::recv(numbers), gort::recv(texts, text)) == 1 && text == "new");
    texts.close();
    CHECK(gort::select(gort::recv(texts, text)).closed() && !text);
    // a deadline anywhere among the cases; its index is its place
    CHECK(gort::select(gort::timeout(1ms, [&] { said = "late"; }), gort::recv(numbers)) == 0 && said == "late");
    CHECK(gort::select(gort::recv(numbers), gort::deadline(std::chrono::steady_clock::now() + 1ms)) == 1);
    CHECK(gort::select(gort::recv(numbers), gort::deadline(std::chrono::system_clock::now() + 1ms)) == 1);
    CHECK(gort::select(gort::timeout(1ms)).status.timed_out());
    CHECK(gort::select(gort::default_()).status.would_block());
    // it is asked for first what is ready
    numbers.send(1);
    CHECK(gort::select(gort::deadline(gort::clock::time_point()), gort::recv(numbers)) == 1);
    // a signal is sent; nil is never ready
    gort::chan<void> room(1);
    CHECK(gort::select(gort::recv(gort::chan<int>(gort::nil)), gort::send(room), gort::send(gort::chan<int>(gort::nil), 1)) == 1);
    CHECK_EQ(room.size(), 1);
    // the index goes into a switch
    switch (gort::select(gort::recv(numbers), gort::recv(room))) {
    case 1:
        said = "one";
        break;
    default:
        FAIL("the wrong case");
    }
    CHECK(said == "one");
}

// A handler may select again, block, and use the channels.
static void handlers_that_block() {
    gort::chan<int> a(1), b(1);
    a.send(1);
    int sum = 0;
    gort::go([b] {
        gort::sleep_for(1ms);
        b.send(2);
    });
    gort::select(gort::recv(a, [&](int x) {
        gort::select(gort::recv(b, [&](int y) { sum = 10 * x + y; }));
        a.send(3);
    }));
    CHECK_EQ(sum, 12);
    CHECK_EQ(*a.recv(), 3);
}

// Among cases that are always ready, none starves.
static void fairness() {
    gort::chan<int> a(1), b(1), c(1);
    int chosen[3] = {};
    for (int i = 0; i < 3000; i++) {
        if (a.size() == 0)
            a.send(1);
        if (b.size() == 0)
            b.send(1);
        const auto which = gort::select(gort::recv(a), gort::recv(b), gort::send(c, 1));
        chosen[which.index]++;
        if (c.size() == 1)
            c.recv();
    }
    for (const int n : chosen) // each is expected 1000 times; 700 is eleven deviations below
        if (n < 700)
            FAIL("chosen %d, %d and %d times", chosen[0], chosen[1], chosen[2]);
}

// A closed channel ends many selects.
static void quit() {
    gort::chan<void> stop;
    gort::chan<boxed> work;
    gort::waitgroup all;
    std::atomic<int> stopped{0};
    for (int i = 0; i < 20; i++)
        all.go([=, &stopped] {
            for (bool go_on = true; go_on;) {
                boxed value(i);
                gort::select(gort::send(work, std::move(value)), gort::recv(work, [](boxed) {}),
                             gort::recv(stop, [] {}, [&] { go_on = false; }));
            }
            stopped++;
        });
    gort::sleep_for(5ms);
    stop.close();
    all.wait();
    CHECK_EQ(stopped.load(), 20);
    all_gone();
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_FOR_EACH(only_the_chosen_is_moved);
    RUN_BOTH(selects_that_wait<boxed>);
    RUN_BOTH(selects_that_wait<relocated>);
    RUN_FOR_EACH(handlers_that_throw);
    RUN_BOTH(cases_that_throw);
    RUN_BOTH(every_kind_of_case);
    RUN_BOTH(handlers_that_block);
    RUN_BOTH(fairness);
    RUN_BOTH(quit);
    all_gone();
    return t_end();
}
