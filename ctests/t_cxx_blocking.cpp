/* gort_blocking and C++: exceptions in flight stay with the caller, and none leaves the call.
 * ctest-cflags: -rdynamic
 */
#include "t_trail.h"

#include <exception>
#include <stdexcept>

extern "C" __attribute__((noinline)) void *throws_an_error(void *arg) {
    if (!arg)
        throw std::runtime_error("what it says");
    return arg;
}

namespace {

/* ---- exceptions that would leave the call ---- */

void call_what_throws(void *) {
    try {
        gort_blocking(throws_an_error, nullptr);
    } catch (...) {
        FAIL("an exception crossed the boundary");
    }
}

void in_a_goroutine() {
    CHECK_EQ(gort_spawn(call_what_throws, nullptr), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

void on_a_thread() { call_what_throws(nullptr); }

void none_leaves_the_call() {
    const char *text = "panic: C++ exception std::runtime_error: what it says\n\ngoroutine 0 [thread]:\n"
                       "throws_an_error(...)\n";
    const struct t_outcome *outcome = t_spawn_child("in_a_goroutine");
    t_check_exit("in_a_goroutine", outcome, 2);
    t_check_says("in_a_goroutine", outcome, text);
    outcome = t_spawn_child("on_a_thread");
    t_check_exit("on_a_thread", outcome, 2);
    t_check_says("on_a_thread", outcome, text);
}

/* ---- those of the caller's and those of the call's ---- */

void *throws_and_catches(void *arg) {
    /* Nothing is in flight here. */
    CHECK_EQ(std::uncaught_exceptions(), 0);
    CHECK(!std::current_exception());
    try {
        throws_an_error(nullptr);
    } catch (const std::runtime_error &) {
        gort_yield();
        CHECK(std::current_exception() != nullptr);
    }
    return arg;
}

struct calls_when_destroyed {
    int in_flight;
    ~calls_when_destroyed() {
        CHECK_EQ(std::uncaught_exceptions(), in_flight);
        CHECK(gort_blocking(throws_and_catches, this) == this);
        CHECK_EQ(std::uncaught_exceptions(), in_flight);
    }
};

void call_with_exceptions_in_flight(void *) {
    for (int i = 0; i < 20; i++) {
        try {
            try {
                calls_when_destroyed one{1};
                throw i;
            } catch (int caught) {
                CHECK(gort_blocking(throws_and_catches, &caught) == &caught);
                CHECK_EQ(caught, i);
                CHECK(std::current_exception() != nullptr);
                calls_when_destroyed two{1};
                throw;
            }
        } catch (int caught) {
            CHECK_EQ(caught, i);
        }
        CHECK_EQ(std::uncaught_exceptions(), 0);
        CHECK(!std::current_exception());
        calls_when_destroyed none{0};
        gort_yield();
    }
}

void exceptions_in_flight_stay_with_the_caller() {
    gort_waitgroup_t done = {};
    for (int i = 0; i < 10; i++)
        t_go(&done, call_with_exceptions_in_flight, nullptr);
    gort_waitgroup_wait(&done);
}

/* ---- panics ---- */

struct steps_when_destroyed {
    struct trail *trail;
    ~steps_when_destroyed() { t_step(trail, "d"); }
};

void *panics_in_a_handler(void *arg) {
    auto *trail = static_cast<struct trail *>(arg);
    steps_when_destroyed here{trail};
    try {
        throws_an_error(nullptr);
    } catch (const std::runtime_error &) {
        t_step(trail, "c");
        gort_panic("out of a handler");
    }
    return arg;
}

void call_what_panics(void *arg) {
    auto *trail = static_cast<struct trail *>(arg);
    steps_when_destroyed here{trail};
    try {
        gort_blocking(panics_in_a_handler, trail);
    } catch (...) {
        t_step(trail, "e");
        throw;
    }
    t_step(trail, "never");
}

void recover_it(void *arg) {
    const char *text = gort_recover();
    CHECK(text && strcmp(text, "out of a handler") == 0);
    t_step(static_cast<struct trail *>(arg), "r");
}

void call_and_recover(void *arg) {
    CHECK_EQ(gort_defer(recover_it, arg), GORT_OK);
    call_what_panics(arg);
}

void try_to_call(void *) {
    for (int i = 0; i < 20; i++) {
        t_try_trail(call_and_recover, i % 2, GORT_EPANIC, "cdedr");
        /* Nor is anything left on the thread that made the call. */
        CHECK_EQ(std::uncaught_exceptions(), 0);
        CHECK(!std::current_exception());
        CHECK(gort_blocking(throws_and_catches, &i) == &i);
    }
}

void a_panic_runs_the_destructors_of_the_call_and_of_the_caller() {
    gort_waitgroup_t done = {};
    for (int i = 0; i < 10; i++)
        t_go(&done, try_to_call, nullptr);
    gort_waitgroup_wait(&done);
}

} // namespace

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(in_a_goroutine);
    T_CHILD(on_a_thread);
    RUN(none_leaves_the_call);
    RUN_BOTH(exceptions_in_flight_stay_with_the_caller);
    RUN_BOTH(a_panic_runs_the_destructors_of_the_call_and_of_the_caller);
    return t_end();
}
