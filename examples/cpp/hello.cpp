// A goroutine and a channel.
#include <gort.hpp>

#include <cstdio>
#include <string>

int main() {
    return gort::main([] {
        gort::chan<std::string> ch;
        gort::go([ch] {
            ch.send("hello");
            ch.send("goroutine");
            ch.close();
        });
        for (auto word : ch)
            std::puts(word.c_str());
    });
}
