// gort::chan: who owns a value at every moment.
#include "hpp.h"

#include <cstring>
#include <map>

// ---- each for every way in which a type may travel ----

// A value that was sent is destroyed by the receiver, once, and arrives as it was.
template <class T> static void values_arrive_once() {
    for (std::size_t capacity : {0u, 1u, 5u}) {
        gort::chan<T> ch(capacity);
        gort::go([ch] {
            for (int i = 0; i < 50; i++) {
                T value(i);
                CHECK(ch.send(std::move(value)));
                CHECK(value.moved_from());
            }
            ch.close();
        });
        for (int i = 0; i < 50; i++)
            CHECK_EQ(ch.recv().value().value(), i);
        CHECK(!ch.recv());
    }
    all_gone();
}

// What is left in a channel, open or closed, goes with its last handle, and not before.
template <class T> static void the_last_handle_destroys_what_is_left() {
    for (bool close : {false, true}) {
        gort::chan<T> last = gort::nil;
        {
            gort::chan<T> ch(4);
            for (int i = 0; i < 3; i++)
                CHECK(ch.send(T(i)));
            if (close)
                CHECK(ch.close());
            last = ch;
            gort::chan<T> other = std::move(ch);
            CHECK(!ch && other == last);
        }
        CHECK_EQ(tracked_live.load(), 3);
        CHECK_EQ(last.size(), 3);
        CHECK_EQ(last.recv()->value(), 0);
        CHECK_EQ(tracked_live.load(), 2);
        last = gort::nil;
        CHECK_EQ(tracked_live.load(), 0);
    }
}

// A value that was not sent is still the sender's.
template <class T> static void what_is_not_sent_stays() {
    gort::chan<T> ch(1);
    T first(1), second(2);
    CHECK(ch.send(std::move(first)) && first.moved_from());
    CHECK(ch.try_send(std::move(second)).would_block() && second.value() == 2);
    CHECK(ch.send_for(std::move(second), 1ms).timed_out() && second.value() == 2);
    CHECK(ch.send_until(std::move(second), gort::clock::now()).timed_out() && second.value() == 2);
    CHECK(ch.close() && ch.close().closed());
    CHECK(ch.send(std::move(second)).closed() && second.value() == 2);
    CHECK(ch.try_send(std::move(second)).closed() && second.value() == 2);
    CHECK(ch.send_for(std::move(second), 1h).closed() && second.value() == 2);
    CHECK_EQ(ch.recv()->value(), 1);
    CHECK_EQ(tracked_live.load(), 2);
}

// A close gives the values of waiting senders back to them.
template <class T> static void a_close_gives_back() {
    gort::chan<T> ch;
    gort::waitgroup senders;
    for (int i = 0; i < 5; i++)
        senders.go([ch, i] {
            T value(i);
            CHECK(ch.send(std::move(value)).closed());
            CHECK_EQ(value.value(), i);
        });
    EVENTUALLY(tracked_live.load() == 10); // each has its own, moved from, and the one that waits
    ch.close();
    senders.wait();
    all_gone();
}

// A value is received into a variable, or the variable is left alone.
template <class T> static void into_a_variable() {
    gort::chan<T> ch(1);
    T value(7);
    CHECK(ch.try_recv(value).would_block() && value.value() == 7);
    CHECK(ch.recv_for(value, 1ms).timed_out() && value.value() == 7);
    CHECK(ch.send(T(8)) && ch.recv(value) && value.value() == 8);
    CHECK(ch.send(T(9)) && ch.recv_until(value, gort::forever) && value.value() == 9);
    ch.close();
    CHECK(ch.recv(value).closed() && value.value() == 9);
    CHECK(ch.try_recv(value).closed() && ch.recv_for(value, 1h).closed());
    CHECK_EQ(tracked_live.load(), 1);
}

// A range takes all there is until the channel is closed and drained; leaving it early loses nothing but what it
// holds.
template <class T> static void ranges() {
    gort::chan<T> ch(3);
    gort::go([ch] {
        for (int i = 0; i < 20; i++)
            ch.send(T(i));
        ch.close();
    });
    int expected = 0;
    for (auto value : ch) {
        CHECK_EQ(value.value(), expected++);
        if (expected == 10)
            break;
    }
    for (auto &&value : ch)
        CHECK_EQ(value.value(), expected++);
    CHECK_EQ(expected, 20);
    for (const T &value : ch)
        FAIL("%d from a closed channel", value.value());
    all_gone();
}

// Many goroutines and threads: nothing is lost, doubled or leaked, with a close in the middle.
template <class T> static void crowds() {
    for (std::size_t capacity : {0u, 3u}) {
        gort::chan<T> ch(capacity);
        std::atomic<long> sent{0}, received{0};
        gort::waitgroup all;
        const int rounds = int(t_n(2000, 200));
        const auto send = [ch, rounds, &sent] {
            for (int i = 0; i < rounds; i++) {
                T value(1);
                if (!ch.send(std::move(value)))
                    return CHECK_EQ(value.value(), 1);
                sent++;
            }
        };
        const auto receive = [ch, rounds, &received] {
            for (auto value : ch)
                if ((received += value.value()) == 3 * rounds)
                    ch.close();
        };
        for (int i = 0; i < 3; i++) {
            all.go(send);
            all.go(receive);
        }
        go_thread(all, send);
        go_thread(all, receive);
        all.wait();
        CHECK_EQ(sent.load(), received.load());
        CHECK(received.load() >= 3 * rounds);
    }
    all_gone();
}

// ---- all kinds of types ----

struct node {
    int value;
    gort::chan<node> next; // of a type that is not complete yet
};

static void channels_of_channels() {
    gort::chan<node> first(1);
    first.send(node{1, gort::chan<node>(1)});
    auto got = first.recv();
    CHECK(got && got->value == 1);
    got->next.send(node{2, gort::nil});
    CHECK_EQ(got->next.recv()->value, 2);

    // A reply comes on the channel that the request carried.
    gort::chan<gort::chan<std::string>> requests;
    gort::go([requests] {
        for (auto reply : requests)
            reply.send("for you");
    });
    gort::chan<std::string> mine;
    requests.send(mine);
    CHECK(*mine.recv() == "for you");
    requests.close();
    // A channel left in a channel takes along what is left in it.
    gort::chan<gort::chan<boxed>> outer(2);
    gort::chan<boxed> inner(2);
    inner.send(boxed(1));
    outer.send(std::move(inner));
    CHECK_EQ(tracked_live.load(), 1);
    outer = gort::nil;
    CHECK_EQ(tracked_live.load(), 0);
}

struct only_constant {
    const std::string text;
};

struct not_default {
    int value;
    explicit not_default(int v) : value(v) {}
};

struct big {
    unsigned char bytes[100000];
};

static void types() {
    gort::chan<std::string> strings(3);
    const std::string text(100, 'x');
    CHECK(strings.send("short") && strings.send(text) && strings.send(std::string("moved")));
    CHECK(*strings.recv() == "short" && *strings.recv() == text && *strings.recv() == "moved");

    gort::chan<std::vector<std::unique_ptr<int>>> vectors(1);
    std::vector<std::unique_ptr<int>> numbers;
    numbers.push_back(std::make_unique<int>(5));
    vectors.send(std::move(numbers));
    CHECK_EQ(*vectors.recv()->at(0), 5);

    gort::chan<std::function<int()>> functions(1);
    functions.send([n = 41] { return n + 1; });
    CHECK_EQ((*functions.recv())(), 42);

    gort::chan<std::map<int, std::string>> maps(1);
    maps.send({{1, "one"}});
    CHECK((*maps.recv())[1] == "one");

    gort::chan<not_default> plain(1);
    plain.send(not_default(3));
    CHECK_EQ(plain.recv()->value, 3);

    gort::chan<std::tuple<std::unique_ptr<int>, std::shared_ptr<int>>> tuples(1);
    const auto shared = std::make_shared<int>(9);
    tuples.send({std::make_unique<int>(8), shared});
    CHECK_EQ(shared.use_count(), 2);
    tuples = gort::nil;
    CHECK_EQ(shared.use_count(), 1);

    struct empty {};
    gort::chan<empty> empties(2);
    CHECK(empties.send(empty{}) && empties.send({}) && empties.recv() && empties.size() == 1);

    gort::chan<int *> pointers(1);
    int target = 0;
    pointers.send(&target);
    CHECK(*pointers.recv() == &target);

    // Too large for a goroutine's stack to hold twice.
    gort::chan<big> large(2);
    auto one = std::make_unique<big>();
    for (std::size_t i = 0; i < sizeof one->bytes; i++)
        one->bytes[i] = static_cast<unsigned char>(i * 7);
    large.send(*one);
    auto two = std::make_unique<big>();
    CHECK(large.recv(*two) && std::memcmp(one.get(), two.get(), sizeof *one) == 0);

    // What cannot be assigned goes back by construction.
    gort::chan<std::unique_ptr<const only_constant>> constants(1);
    constants.send(std::make_unique<const only_constant>(only_constant{"fixed"}));
    CHECK((*constants.recv())->text == "fixed");
    struct lambda_like {
        std::unique_ptr<int> held;
        lambda_like(int v) : held(new int(v)) {}
        lambda_like(lambda_like &&) = default;
        lambda_like &operator=(lambda_like &&) = delete;
    };
    gort::chan<lambda_like> constructed(1);
    lambda_like keep(4);
    constructed.close();
    CHECK(constructed.send(std::move(keep)).closed() && *keep.held == 4);
}

static void signals() {
    gort::chan<void> ch(2);
    CHECK(ch.send() && ch.try_send() && ch.try_send().would_block() && ch.send_for(1ms).timed_out());
    CHECK_EQ(ch.size(), 2);
    CHECK(ch.recv() && ch.try_recv() && ch.try_recv().would_block() && ch.recv_for(1ms).timed_out());
    CHECK(ch.recv_until(std::chrono::system_clock::now() + 1ms).timed_out());
    ch.close();
    CHECK(ch.send().closed() && ch.recv().closed() && ch.recv_until(gort::forever).closed());
}

// A channel of a trivially copyable type is the C channel of that type.
static void with_c() {
    gort_chan_t *raw = gort_chan_new(sizeof(int), 2);
    {
        gort::chan<int> shared = gort::chan<int>::share(raw), same = shared;
        int value = 5;
        CHECK_EQ(gort_chan_send(raw, &value), GORT_OK);
        CHECK_EQ(*same.recv(), 5);
        CHECK(same.send(6) && same.native_handle() == raw);
        CHECK_EQ(gort_chan_recv(shared.native_handle(), &value), GORT_OK);
        CHECK_EQ(value, 6);
    }
    gort::chan<int> owner = gort::chan<int>::adopt(raw);
    CHECK(owner.send(1) && owner.capacity() == 2);
    CHECK(!gort::chan<int>::adopt(nullptr) && !gort::chan<void>::share(nullptr));
    int wrong = 0;
    try {
        gort::chan<long>::share(raw);
    } catch (const gort::error &error) {
        wrong = error.code();
        CHECK(std::string(error.what()) == "gort::chan::share: invalid argument");
    }
    CHECK_EQ(wrong, GORT_EINVAL);
    try {
        gort::chan<void>::share(raw);
        FAIL("a channel of int is no channel of signals");
    } catch (const gort::error &) {
    }
}

// ---- bad use and no memory ----

template <class Call> static int error_of(Call &&call) {
    try {
        call();
    } catch (const gort::error &error) {
        return error.code();
    } catch (const std::bad_alloc &) {
        return GORT_ENOMEM;
    }
    return GORT_OK;
}

static void bad_use_throws() {
    gort::chan<int> none = gort::nil;
    gort::chan<boxed> none_boxed = gort::nil;
    CHECK(!none && none.size() == 0 && none.capacity() == 0);
    CHECK_EQ(error_of([&] { none.send(1); }), GORT_EINVAL);
    CHECK_EQ(error_of([&] { none.recv(); }), GORT_EINVAL);
    CHECK_EQ(error_of([&] { none.close(); }), GORT_EINVAL);
    boxed value(3);
    CHECK_EQ(error_of([&] { none_boxed.send(std::move(value)); }), GORT_EINVAL);
    CHECK_EQ(value.value(), 3);
    CHECK_EQ(error_of([&] { none_boxed.recv(value); }), GORT_EINVAL);
    CHECK_EQ(error_of([] { gort::chan<int> ch(SIZE_MAX); }), GORT_ENOMEM);
    CHECK_EQ(error_of([] { gort::chan<boxed> ch(SIZE_MAX); }), GORT_ENOMEM);
}

struct throws_when_copied {
    std::string text;
    explicit throws_when_copied(const char *t) : text(t) {}
    throws_when_copied(const throws_when_copied &) { throw std::runtime_error("no copy"); }
    throws_when_copied(throws_when_copied &&other) noexcept : text(std::move(other.text)) {}
    throws_when_copied &operator=(throws_when_copied &&) = default;
};

// What a copy throws comes out of send, and nothing was sent.
static void copies_that_throw() {
    gort::chan<throws_when_copied> ch(2);
    const throws_when_copied value("mine");
    std::string said;
    try {
        ch.send(value);
    } catch (const std::runtime_error &error) {
        said = error.what();
    }
    CHECK(said == "no copy" && ch.size() == 0 && value.text == "mine");
    CHECK(ch.send(throws_when_copied("moved")) && ch.recv()->text == "moved");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_FOR_EACH(values_arrive_once);
    RUN_FOR_EACH(the_last_handle_destroys_what_is_left);
    RUN_FOR_EACH(what_is_not_sent_stays);
    all_gone();
    RUN_FOR_EACH(a_close_gives_back);
    RUN_FOR_EACH(into_a_variable);
    RUN_FOR_EACH(ranges);
    RUN_BOTH(crowds<boxed>);
    RUN_BOTH(crowds<relocated>);
    RUN_BOTH(channels_of_channels);
    RUN_BOTH(types);
    RUN_BOTH(signals);
    RUN_BOTH(with_c);
    RUN_BOTH(bad_use_throws);
    RUN_BOTH(copies_that_throw);
    all_gone();
    return t_end();
}
