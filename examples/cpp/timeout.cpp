// select: the first of two answers, a time limit, a value that is only moved when its case is chosen, and a case that
// is switched off.
#include <gort.hpp>

#include <cstdio>
#include <memory>
#include <string>

using namespace std::chrono_literals;

int main() {
    return gort::main([] {
        // Whoever answers first; nobody does.
        gort::chan<std::string> one, other;
        gort::select(
            gort::recv(one, [](std::string answer) { std::printf("one: %s\n", answer.c_str()); }),
            gort::recv(other, [](std::string answer) { std::printf("other: %s\n", answer.c_str()); }),
            gort::timeout(10ms, [] { std::puts("no answer in 10 ms"); }));

        // A letter that is not taken stays here.
        gort::chan<std::unique_ptr<std::string>> post;
        auto letter = std::make_unique<std::string>("a letter");
        gort::select(
            gort::send(post, std::move(letter), [] { std::puts("sent"); }),
            gort::default_([] { std::puts("nobody takes it"); }));
        std::printf("still here: %s\n", letter->c_str());

        // Two sources until both are dry; the one that is closed is switched off.
        gort::chan<int> odd, even;
        const auto count = [](gort::chan<int> ch, int from) {
            for (int n = from; n < 100; n += 2)
                ch.send(n);
            ch.close();
        };
        gort::go(count, odd, 1);
        gort::go(count, even, 0);
        int sum = 0;
        while (odd || even) {
            gort::select(
                gort::recv(odd, [&](int n) { sum += n; }, [&] { odd = gort::nil; }),
                gort::recv(even, [&](int n) { sum += n; }, [&] { even = gort::nil; }));
        }
        std::printf("sum %d\n", sum);
    });
}
