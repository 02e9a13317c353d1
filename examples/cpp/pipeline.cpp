// A pipeline of values that can only be moved: each stage owns an order while it works on it, and hands it on. No
// order is copied, and none is lost: those that are still under way when the last stage stops go with their channel.
#include <gort.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

struct order {
    int number;
    std::vector<std::string> done;
};
using orders = gort::chan<std::unique_ptr<order>>;

// A stage: a goroutine that takes orders, works on them, and hands them on.
static orders stage(const std::string &name, orders in) {
    orders out(2);
    gort::go([=] {
        for (auto item : in) {
            item->done.push_back(name);
            out.send(std::move(item));
        }
        out.close();
    });
    return out;
}

int main() {
    return gort::main([] {
        orders in;
        gort::go([in] {
            for (int number = 1; number <= 5; number++)
                in.send(std::make_unique<order>(order{number, {}}));
            in.close();
        });
        for (auto item : stage("iced", stage("baked", stage("mixed", in)))) {
            std::printf("order %d:", item->number);
            for (const std::string &step : item->done)
                std::printf(" %s", step.c_str());
            std::puts("");
        }
    });
}
