// gort::context and gort::group.
#include "hpp.h"

// ---- contexts ----

static void cancelling() {
    const gort::context background;
    CHECK(!background.done() && !background.is_done() && !background.deadline());
    gort::context parent = background.with_cancel(), child = parent.with_cancel(), copy = child;
    CHECK(parent.err() == GORT_OK && child.done().try_recv().would_block());
    gort::chan<void> ended(3);
    for (int i = 0; i < 3; i++)
        gort::go([copy, ended] {
            CHECK(copy.done().recv().closed());
            ended.send();
        });
    parent.cancel(-77);
    for (int i = 0; i < 3; i++)
        CHECK(ended.recv());
    CHECK(child.is_done() && child.err() == GORT_ECANCELED && child.cause() == -77);
    CHECK(parent.with_timeout(1h).is_done());
    CHECK(!parent.without_cancel().is_done() && !parent.without_cancel().done());
    {
        gort::cancel_scope scope(copy = background.with_cancel());
        CHECK(!copy.is_done());
    }
    CHECK(copy.err() == GORT_ECANCELED && copy.cause() == GORT_ECANCELED);
}

static void deadlines() {
    const gort::context background;
    gort::context soon = background.with_timeout(2ms);
    CHECK(soon.done().recv().closed() && soon.err() == GORT_ETIMEDOUT && gort::clock::now() >= *soon.deadline());
    gort::context later = background.with_deadline(std::chrono::steady_clock::now() + 1h);
    CHECK(!later.is_done() && *later.deadline() > gort::clock::now() + 59min);
    CHECK(*later.with_timeout(2h).deadline() == *later.deadline());
    CHECK(background.with_deadline(std::chrono::system_clock::now() - 1s).is_done());
    CHECK(!background.with_deadline(gort::forever).deadline());
    // As a case of a select.
    gort::chan<int> never;
    gort::context limit = background.with_timeout(1ms);
    CHECK(gort::select(gort::recv(never), gort::recv(limit.done())) == 1);
    later.cancel();
}

struct user {
    std::string name;
};
static const gort::context_key<user> key_of_user;
static const gort::context_key<const int> key_of_number, another_key;

static void values() {
    user alice{"alice"}, bob{"bob"};
    const int number = 5;
    const gort::context background;
    const gort::context with_alice = background.with_value(key_of_user, alice);
    const gort::context both = with_alice.with_cancel().with_value(key_of_number, number);
    CHECK(both.value(key_of_user) == &alice && *both.value(key_of_number) == 5);
    CHECK(both.value(another_key) == nullptr && background.value(key_of_user) == nullptr);
    CHECK(both.with_value(key_of_user, bob).value(key_of_user)->name == "bob");
}

static void after_the_end() {
    const gort::context background;
    gort::context ctx = background.with_cancel();
    gort::chan<int> called(4);
    gort::after_func run(ctx, [called, held = boxed(1)] { called.send(1); });
    {
        gort::after_func gone(ctx, [called, held = boxed(2)] { called.send(2); });
        gort::after_func stopped(ctx, [called, held = boxed(3)] { called.send(3); });
        CHECK(stopped.stop() && !stopped.stop());
        gort::after_func never(background, [held = boxed(4)] {});
    }
    CHECK_EQ(tracked_live.load(), 1);
    ctx.cancel();
    CHECK(*called.recv() == 1 && !run.stop());
    gort::after_func at_once(ctx, [called] { called.send(5); });
    CHECK(*called.recv() == 5 && called.size() == 0);
    all_gone();
}

// ---- groups ----

static void all_succeed() {
    std::atomic<int> sum{0};
    gort::group g;
    for (int i = 0; i < 20; i++)
        g.go([&sum, held = boxed(i)] { sum += held.value(); });
    g.go([] { return 0; });
    g.go([] { return gort::status(); });
    g.go([](const gort::context &ctx) { CHECK(!ctx.is_done()); });
    CHECK_EQ(g.wait(), 0);
    CHECK_EQ(sum.load(), 190);
    CHECK_EQ(tracked_live.load(), 0);
    CHECK(g.context().is_done());
}

// The first failure cancels the rest, and is what wait throws: by its own type, again and again.
static void the_first_exception_counts() {
    gort::group g;
    std::atomic<int> cancelled{0};
    gort::chan<void> started;
    for (int i = 0; i < 5; i++)
        g.go([&, held = boxed(i)](const gort::context &ctx) {
            started.send();
            CHECK(ctx.done().recv().closed());
            cancelled++;
            throw std::logic_error("only because of the other");
        });
    for (int i = 0; i < 5; i++)
        started.recv();
    g.go([]() -> int { throw std::runtime_error("the first"); });
    for (int i = 0; i < 2; i++) {
        std::string said;
        try {
            g.wait();
        } catch (const std::runtime_error &error) {
            said = error.what();
        }
        CHECK(said == "the first");
    }
    CHECK(cancelled == 5 && g.context().cause() == GORT_EPANIC);
    CHECK_EQ(tracked_live.load(), 0);
}

static void the_first_number_counts() {
    gort::group g;
    g.go([](const gort::context &ctx) {
        ctx.done().recv();
        throw 1;
    });
    g.go([] { return 42; });
    CHECK_EQ(g.wait(), 42);
    CHECK_EQ(g.context().cause(), 42);

    gort::group by_status;
    by_status.go([](const gort::context &ctx) {
        gort::chan<int> ch;
        ch.close();
        const gort::status status = ch.send(1);
        CHECK(!ctx.is_done());
        return status;
    });
    CHECK_EQ(by_status.wait(), GORT_ECLOSED);
}

static void limits() {
    gort::group g;
    g.set_limit(2);
    gort::chan<void> go_on;
    std::atomic<int> inside{0}, most{0};
    const auto work = [&] {
        const int now = ++inside;
        if (now > most)
            most = now;
        go_on.recv();
        inside--;
    };
    g.go(work);
    g.go(work);
    EVENTUALLY(inside.load() == 2);
    CHECK(!g.try_go([held = boxed(1)] { FAIL("over the limit"); }));
    CHECK_EQ(tracked_live.load(), 0);
    gort::go([go_on] {
        for (int i = 0; i < 10; i++)
            go_on.send();
    });
    for (int i = 0; i < 8; i++)
        g.go(work);
    CHECK_EQ(g.wait(), 0);
    CHECK_EQ(most.load(), 2);
    CHECK(g.try_go([] {}));
}

// A group that is left by an exception stops its goroutines and waits for them.
static void a_group_is_left() {
    std::atomic<int> ended{0};
    try {
        gort::group g;
        for (int i = 0; i < 3; i++)
            g.go([&](const gort::context &ctx) {
                ctx.done().recv();
                gort::sleep_for(1ms);
                ended++;
            });
        throw 1;
    } catch (int) {
    }
    CHECK_EQ(ended.load(), 3);
    // Its context is the child of another.
    gort::context parent = gort::context().with_cancel();
    gort::group g(parent);
    g.go([](const gort::context &ctx) {
        ctx.done().recv();
        return ctx.cause();
    });
    parent.cancel(9);
    CHECK_EQ(g.wait(), 9);
}

// exit in a goroutine of a group is no failure; what the goroutine held is gone before the wait is over.
static void exit_is_no_failure() {
    gort::group g;
    for (int i = 0; i < 5; i++)
        g.go([held = boxed(i)] { gort::exit(); });
    CHECK_EQ(g.wait(), 0);
    all_gone();
}

static void failing_part() {
    gort::group g;
    g.go([] { gort::panic("not caught by the group"); });
    g.wait();
}
static void panics_are_not_caught() { CHILD_DIES(failing_part, "panic: not caught by the group"); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(failing_part);
    RUN_BOTH(cancelling);
    RUN_BOTH(deadlines);
    RUN_BOTH(values);
    RUN_BOTH(after_the_end);
    RUN_BOTH(all_succeed);
    RUN_BOTH(the_first_exception_counts);
    RUN_BOTH(the_first_number_counts);
    RUN_BOTH(limits);
    RUN_BOTH(a_group_is_left);
    RUN_BOTH(exit_is_no_failure);
    RUN(panics_are_not_caught);
    all_gone();
    return t_end();
}
