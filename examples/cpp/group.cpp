// Several fetches at once, as one task: the first failure stops the rest and is what the caller gets, an exception
// like any other.
#include <gort.hpp>

#include <cstdio>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;

// "Fetches" a page; gives up when the context is done.
static std::string fetch(const gort::context &ctx, const std::string &name) {
    if (name == "missing")
        throw std::runtime_error("no page " + name);
    std::string page;
    gort::select(
        gort::recv(gort::after(name == "slow" ? 1h : 1ms), [&](auto) { page = "<" + name + ">"; }),
        gort::recv(ctx.done(), [] {}, [&] { throw std::runtime_error("given up: " + name); }));
    return page;
}

static std::map<std::string, std::string> fetch_all(const std::vector<std::string> &names) {
    std::map<std::string, std::string> pages;
    gort::mutex m;
    gort::group g;
    g.set_limit(3); // so many at a time
    for (const std::string &name : names)
        g.go([&](const gort::context &ctx) {
            std::string page = fetch(ctx, name);
            std::lock_guard<gort::mutex> lock(m);
            pages[name] = std::move(page);
        });
    g.wait();
    return pages;
}

int main() {
    return gort::main([] {
        for (const auto &[name, page] : fetch_all({"home", "news", "about", "contact"}))
            std::printf("%s: %s\n", name.c_str(), page.c_str());
        try {
            fetch_all({"home", "slow", "missing"});
        } catch (const std::runtime_error &error) {
            std::printf("failed: %s\n", error.what());
        }
    });
}
