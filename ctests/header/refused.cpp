// What gort.hpp must not let through: with REFUSED 0 this compiles, with any other number it does not.
#include <gort.hpp>

#include <string>

struct pinned {
    pinned() = default;
    pinned(pinned &&) = delete;
};

int main() {
    gort::chan<int> ints(4);
    gort::chan<std::string> texts(4);
    gort::chan<std::unique_ptr<int>> owners(4);
    gort::mutex m;
    const gort::context_key<int> key;
    int number = 1;
    auto owner = std::make_unique<int>(1);
#if REFUSED == 0
    ints.send(number);
    texts.send("text");
    owners.send(std::move(owner));
    ints.recv(number);
    gort::go([](int, std::string) {}, number, "text");
    gort::select(gort::recv(ints, [](int) {}), gort::send(texts, "text"), gort::default_());
    std::unique_lock<gort::mutex> lock(m);
    static_cast<void>(gort::context().with_value(key, number));
#elif REFUSED == 1 // a value of the wrong type
    ints.send("text");
#elif REFUSED == 2
    texts.send(owner);
#elif REFUSED == 3
    static_cast<void>(ints.try_send(std::string()));
#elif REFUSED == 4 // a copy of what can only be moved
    owners.send(owner);
#elif REFUSED == 5
    for (auto &value : owners)
        value.reset();
#elif REFUSED == 6 // the wrong channel
    ints = texts;
#elif REFUSED == 7
    gort::chan<long> longs = ints;
#elif REFUSED == 8 // a variable of the wrong type
    std::string text;
    ints.recv(text);
#elif REFUSED == 9 // in a select
    gort::select(gort::recv(texts, [](int) {}));
#elif REFUSED == 10
    gort::select(gort::send(ints, "text"));
#elif REFUSED == 11
    gort::select(gort::default_(), gort::timeout(std::chrono::seconds(1)));
#elif REFUSED == 12
    auto one = gort::recv(ints);
    gort::select(one);
#elif REFUSED == 13 // arguments of a goroutine
    gort::go([](int, std::string) {}, "text", number);
#elif REFUSED == 14
    gort::go([](int &) {}, number);
#elif REFUSED == 15
    gort::go([](std::unique_ptr<int>) {}, owner);
#elif REFUSED == 16 // types that cannot travel
    gort::chan<pinned> ch;
#elif REFUSED == 17
    gort::chan<int &> ch;
#elif REFUSED == 18
    gort::chan<std::string>::adopt(nullptr);
#elif REFUSED == 19 // copies of what stays in its place
    gort::mutex copy = m;
#elif REFUSED == 20
    gort::group a, b = a;
#elif REFUSED == 21 // a context's value that would be gone
    static_cast<void>(gort::context().with_value(key, 7));
#elif REFUSED == 22
    gort::group().go([] { return "text"; });
#endif
    static_cast<void>(number);
}
