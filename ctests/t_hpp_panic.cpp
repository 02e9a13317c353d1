// Exceptions and panics: at a goroutine's edge, through gort::try_, in deferred calls, and in flight across a park.
#include "hpp.h"

// ---- what ends the process ----

namespace app {
struct trouble : std::runtime_error {
    using runtime_error::runtime_error;
};
struct code {
    int value;
};
} // namespace app

template <class F> static void in_goroutine(F f) {
    gort::go(f);
    gort::sleep_for(60s);
}

static void a_std_exception() {
    in_goroutine([] { throw app::trouble("no bread"); });
}
static void any_exception() {
    in_goroutine([] { throw app::code{3}; });
}
static void an_int() {
    in_goroutine([] { throw 7; });
}
static void from_main() {
    gort::main([] { throw app::trouble("in main"); });
}
static void from_a_wait_group() {
    gort::waitgroup wg;
    wg.go([](int) { throw app::trouble("in a wait group"); }, 1);
    wg.wait();
    gort::sleep_for(60s);
}
static void from_a_timer() {
    gort::timer_func timer(1ms, [] { throw app::trouble("in a timer"); });
    gort::sleep_for(60s);
}
static void from_a_deferred_call() {
    in_goroutine([] { gort::deferred([] { throw app::trouble("deferred"); }); });
}
static void a_panic() {
    in_goroutine([] { gort::panic(std::string("very bad")); });
}
static void from_a_noexcept_function() {
    std::set_terminate([] { _exit(88); });
    in_goroutine([]() noexcept { gort::panic("no way out"); });
}

static void what_escapes_ends_the_process() {
    CHILD_DIES(a_std_exception, "panic: C++ exception app::trouble: no bread");
    CHILD_DIES(any_exception, "panic: C++ exception app::code");
    CHILD_DIES(an_int, "panic: C++ exception int");
    CHILD_DIES(from_main, "panic: C++ exception app::trouble: in main");
    CHILD_DIES(from_a_wait_group, "panic: C++ exception app::trouble: in a wait group");
    CHILD_DIES(from_a_timer, "panic: C++ exception app::trouble: in a timer");
    CHILD_DIES(from_a_deferred_call, "panic: C++ exception app::trouble: deferred");
    CHILD_DIES(a_panic, "panic: very bad");
    CHILD_EXITS(from_a_noexcept_function, 88);
}

// ---- what does not ----

// An exception that leaves a goroutine can be recovered there, as the panic that it is.
static void an_exception_is_recovered() {
    gort::chan<std::string> said(1);
    gort::waitgroup wg;
    wg.go([said, held = boxed(1)] {
        gort::deferred([said] { said.send(gort::recover().value_or("nothing")); });
        throw app::trouble("no bread");
    });
    wg.wait();
    CHECK(*said.recv() == "C++ exception app::trouble: no bread");
    all_gone();
}

// A panic runs the destructors on its way, and try_ throws it.
static void panics_become_exceptions() {
    std::string said;
    int left = 0;
    try {
        gort::try_([&] {
            const boxed held(1);
            const gort::defer leave([&] { left++; });
            [] {
                const relocated more(2);
                gort::panic("out of flour");
            }();
        });
        FAIL("try_ returned");
    } catch (const gort::panic_error &error) {
        said = error.what();
    }
    CHECK(said == "out of flour" && left == 1);
    CHECK_EQ(tracked_live.load(), 0);
    // Again, from deep down, in a loop: nothing is left over.
    for (int i = 0; i < 100; i++) {
        try {
            gort::try_([i] { gort::panic(std::to_string(i)); });
        } catch (const gort::panic_error &error) {
            CHECK(error.what() == std::to_string(i));
            continue;
        }
        FAIL("no panic_error");
    }
}

static void try_returns_and_throws() {
    int number = 5;
    CHECK_EQ(gort::try_([] { return 42; }), 42);
    CHECK_EQ(*gort::try_([] { return std::make_unique<int>(43); }), 43);
    int &same = gort::try_([&number]() -> int & { return number; });
    CHECK(&same == &number);
    gort::try_([&] { number = 6; });
    CHECK_EQ(number, 6);
    // A C++ exception passes through, as it is.
    int caught = 0;
    try {
        gort::try_([]() -> int { throw app::code{9}; });
    } catch (const app::code &code) {
        caught = code.value;
    }
    CHECK_EQ(caught, 9);
    // Nested: the inner one stops the panic, and only that.
    std::string inner, outer;
    try {
        gort::try_([&] {
            try {
                gort::try_([] { gort::panic("one"); });
            } catch (const gort::panic_error &error) {
                inner = error.what();
            }
            gort::panic("two");
        });
    } catch (const gort::panic_error &error) {
        outer = error.what();
    }
    CHECK(inner == "one" && outer == "two");
}

// Deferred calls run when try_ ends, last in first out, however it ends; one of them may recover.
static void deferred_calls() {
    std::string order;
    gort::try_([&] {
        gort::deferred([&] { order += "a"; });
        gort::deferred([&, held = boxed(1)] { order += "b"; });
        order += "-";
    });
    CHECK(order == "-ba");
    try {
        gort::try_([&] {
            gort::deferred([&] { order += "c"; });
            throw 1;
        });
        FAIL("no exception");
    } catch (int) {
        order += "d";
    }
    CHECK(order == "-bacd");
    // Recovered inside: no panic_error, and the result is that of a function that has none.
    const int result = gort::try_([&]() -> int {
        gort::deferred([&] { order = gort::recover().value_or("nothing"); });
        gort::panic("stopped");
    });
    CHECK(result == 0 && order == "stopped");
    CHECK(!gort::recover());
    // A deferred call that throws is a panic of its own.
    try {
        gort::try_([] { gort::deferred([] { throw app::trouble("late"); }); });
        FAIL("no panic");
    } catch (const gort::panic_error &error) {
        CHECK(std::string(error.what()) == "C++ exception app::trouble: late");
    }
    CHECK_EQ(tracked_live.load(), 0);
}

// Outside a goroutine and outside try_ there is nothing to defer to.
static void nothing_to_defer_to() {
    int code = 0;
    try {
        gort::deferred([held = boxed(1)] {});
    } catch (const gort::error &error) {
        code = error.code();
    }
    CHECK_EQ(code, GORT_EPERM);
    CHECK_EQ(tracked_live.load(), 0);
}

// gort::defer runs at the end of its block, however that is left.
static void defer_in_a_block() {
    std::string order;
    {
        gort::defer first([&] { order += "1"; });
        gort::defer second([&] { order += "2"; });
        order += "0";
    }
    try {
        gort::defer third([&] { order += "3"; });
        throw 1;
    } catch (int) {
        order += "4";
    }
    CHECK(order == "02134");
}

// exit runs the destructors, those of the goroutine's function and arguments too, and passes through try_.
static void exit_destroys() {
    std::atomic<int> steps{0};
    gort::waitgroup wg;
    wg.go([&steps, held = boxed(1)](relocated) {
        const boxed local(2);
        gort::deferred([&steps] { steps += 10; });
        gort::try_([&] {
            const gort::defer leave([&] { steps += 1; });
            gort::exit();
        });
        FAIL("exit returned");
    }, relocated(3));
    wg.wait();
    CHECK_EQ(steps.load(), 11);
    all_gone();
    // In each kind of goroutine: what the library owns goes too.
    gort::go([held = boxed(1)] { gort::exit(); });
    gort::go([held = relocated(1)] { gort::exit(); });
    gort::go(gort::spawn_options{}, [held = boxed(1)] { gort::exit(); });
    all_gone();
}

// The wrapper's own handlers let panics and exits through: those of try_, once, and a group.
static void panics_pass_the_wrapper() {
    std::string said;
    gort::once o;
    try {
        gort::try_([&] { o.do_([held = boxed(1)] { gort::panic("in once"); }); });
    } catch (const gort::panic_error &error) {
        said = error.what();
    }
    CHECK(said == "in once");
    o.do_([] { FAIL("called a second time"); });
    try {
        gort::try_([] {
            gort::chan<int> ch(1);
            ch.send(1);
            const boxed local(1);
            gort::select(gort::recv(ch, [held = boxed(2)](int) { gort::panic("in a handler"); }));
        });
    } catch (const gort::panic_error &error) {
        said = error.what();
    }
    CHECK(said == "in a handler");
    // What Go panics with is caught too.
    try {
        gort::try_([] { gort::waitgroup().done(); });
    } catch (const gort::panic_error &error) {
        said = error.what();
    }
    CHECK(said == "sync: negative WaitGroup counter");
    CHECK_EQ(tracked_live.load(), 0);
}

// An exception in flight is the goroutine's own: across a park in a handler, `throw;` throws the same again.
static void exceptions_in_flight() {
    gort::waitgroup wg;
    std::atomic<int> good{0};
    for (int i = 0; i < 16; i++)
        wg.go([i, &good] {
            for (int n = 0; n < 20; n++) {
                try {
                    try {
                        throw app::code{100 * i + n};
                    } catch (const app::code &) {
                        gort::yield();
                        gort::sleep_for(10us);
                        throw;
                    }
                } catch (const app::code &code) {
                    good += code.value == 100 * i + n;
                }
                // in a destructor while an exception is on its way
                try {
                    const gort::defer wait([] {
                        CHECK_EQ(std::uncaught_exceptions(), 1);
                        gort::yield();
                        CHECK_EQ(std::uncaught_exceptions(), 1);
                    });
                    throw app::code{n};
                } catch (const app::code &code) {
                    CHECK_EQ(code.value, n);
                    CHECK_EQ(std::uncaught_exceptions(), 0);
                }
            }
        });
    wg.wait();
    CHECK_EQ(good.load(), 16 * 20);
}

// In the handler of an exception, a try_ is none the worse for a panic in it, however it gets there, and the
// exception stays what it is: in the try_, and after it.
static void panics_tried_in_a_handler() {
    const auto said = [](auto f) -> std::string {
        try {
            gort::try_(f);
        } catch (const gort::panic_error &error) {
            return error.what();
        }
        return "nothing";
    };
    for (int n = 0; n < 20; n++) {
        try {
            throw app::code{n};
        } catch (const app::code &mine) {
            const std::exception_ptr handled = std::current_exception();
            CHECK(said([] { gort::panic("plain"); }) == "plain");
            CHECK(said([&] {
                      CHECK(std::current_exception() == handled);
                      gort::deferred([] { gort::panic("deferred"); });
                      throw 2;
                  }) == "deferred");
            CHECK(said([&] {
                      try {
                          try {
                              throw 2;
                          } catch (int) {
                              gort::yield();
                              try {
                                  throw std::string("3");
                              } catch (const std::string &) {
                                  gort::panic("deeper");
                              }
                          }
                      } catch (...) {
                          gort::yield();
                          CHECK(said([] { gort::panic("on the way"); }) == "on the way");
                          throw;
                      }
                  }) == "deeper");
            try {
                throw;
            } catch (const app::code &again) {
                CHECK(&again == &mine);
            }
            CHECK(std::current_exception() == handled);
            CHECK_EQ(mine.value, n);
        }
        CHECK(std::current_exception() == nullptr);
        CHECK_EQ(std::uncaught_exceptions(), 0);
    }
}

// The same for an exit.
static void exits_tried_in_a_handler() {
    for (int n = 0; n < 20; n++) {
        gort::chan<bool> clean;
        gort::go([clean] {
            gort::deferred([clean] { clean.send(std::current_exception() == nullptr); });
            try {
                throw 1;
            } catch (int) {
                gort::try_([] {
                    try {
                        throw 2;
                    } catch (int) {
                        gort::yield();
                        gort::exit();
                    }
                });
            }
        });
        CHECK(*clean.recv());
    }
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(a_std_exception);
    T_CHILD(any_exception);
    T_CHILD(an_int);
    T_CHILD(from_main);
    T_CHILD(from_a_wait_group);
    T_CHILD(from_a_timer);
    T_CHILD(from_a_deferred_call);
    T_CHILD(a_panic);
    T_CHILD(from_a_noexcept_function);
    RUN(what_escapes_ends_the_process);
    RUN_BOTH(an_exception_is_recovered);
    RUN_BOTH(panics_become_exceptions);
    RUN_BOTH(try_returns_and_throws);
    RUN_BOTH(deferred_calls);
    RUN(nothing_to_defer_to);
    RUN_BOTH(defer_in_a_block);
    RUN_BOTH(exit_destroys);
    RUN_BOTH(panics_pass_the_wrapper);
    RUN_BOTH(exceptions_in_flight);
    RUN_BOTH(panics_tried_in_a_handler);
    RUN_BOTH(exits_tried_in_a_handler);
    all_gone();
    return t_end();
}
