// A bank: transfers lock two accounts at once with std::scoped_lock, in whichever order they come, and cannot
// deadlock; a condition variable lets who is short of money wait for it.
#include <gort.hpp>

#include <cstdio>
#include <mutex>
#include <vector>

struct account {
    gort::mutex m;
    gort::cond deposited;
    long balance = 100;
};

static bool transfer(account &from, account &to, long amount) {
    std::scoped_lock both(from.m, to.m);
    if (from.balance < amount)
        return false;
    from.balance -= amount;
    to.balance += amount;
    to.deposited.broadcast();
    return true;
}

static void withdraw(account &a, long amount) {
    std::unique_lock<gort::mutex> lock(a.m);
    a.deposited.wait(lock, [&] { return a.balance >= amount; });
    a.balance -= amount;
}

int main() {
    return gort::main([] {
        std::vector<account> accounts(10);
        const auto at = [&](int i) -> account & { return accounts[static_cast<std::size_t>(i) % accounts.size()]; };
        gort::waitgroup clerks;
        for (int clerk = 0; clerk < 50; clerk++)
            clerks.go([&, clerk] {
                for (int i = 1; i < 200; i++)
                    if ((clerk + i) % 10 != (clerk * i) % 10)
                        transfer(at(clerk + i), at(clerk * i), 1 + i % 7);
            });
        clerks.wait();
        long total = 0;
        for (account &a : accounts)
            total += a.balance;
        std::printf("total %ld\n", total);

        gort::waitgroup customer;
        account saver, spender;
        customer.go([&] {
            withdraw(spender, 150);
            std::puts("withdrew 150");
        });
        transfer(saver, spender, 70);
        customer.wait();
        std::printf("left %ld and %ld\n", saver.balance, spender.balance);
    });
}
