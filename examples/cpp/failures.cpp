// What becomes of failures: an exception inside a goroutine is caught there; one that would leave it is a panic; a
// panic runs the destructors, can be recovered by a deferred call, and turned into an exception by gort::try_.
#include <gort.hpp>

#include <cstdio>
#include <stdexcept>

struct file {
    const char *name;
    ~file() { std::printf("%s closed\n", name); }
};

static int divide(int a, int b) {
    if (b == 0)
        gort::panic("division by zero");
    return a / b;
}

int main() {
    return gort::main([] {
        std::printf("%d\n", gort::try_([] { return divide(84, 2); }));
        try {
            gort::try_([] {
                const file open{"ledger"};
                return divide(1, 0);
            });
        } catch (const gort::panic_error &error) {
            std::printf("caught: %s\n", error.what());
        }

        gort::waitgroup wg;
        wg.go([] {
            gort::deferred([] {
                if (auto message = gort::recover())
                    std::printf("recovered: %s\n", message->c_str());
            });
            const file open{"journal"};
            throw std::runtime_error("the disk is full");
        });
        wg.wait();
    });
}
