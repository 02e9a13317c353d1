/* Panic and exit in C++: destructors run, handlers see them pass.
 */
#include "t_trail.h"

#include <cxxabi.h>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

struct letter {
    trail *t;
    const char *text;
    letter(trail *to, const char *what) : t(to), text(what) {}
    letter(const letter &) = delete;
    ~letter() { t_step(t, text); }
};

void recover_r(void *t) {
    const char *message = gort_recover();
    t_step(static_cast<trail *>(t), message ? "R" : "r");
}

void a(void *t) { t_step(static_cast<trail *>(t), "a"); }

__attribute__((noinline)) void inner(trail *t, void (*how)()) {
    letter one(t, "1");
    std::string owned(100, 'x');
    letter two(t, "2");
    how();
    t_step(t, "!");
}

void panic_now() { gort_panic("x"); }
void exit_now() { gort_exit(); }

template <void (*how)()> void runs_destructors(void *arg) {
    auto t = static_cast<trail *>(arg);
    T_DEFER(recover_r, t);
    T_DEFER(a, t);
    letter outer(t, "o");
    auto shared = std::make_shared<letter>(t, "s");
    inner(t, how);
}

void destructors_run_innermost_first_then_deferred_calls() {
    t_try_trail(runs_destructors<panic_now>, false, GORT_EPANIC, "21soaR");
    t_go_trail(runs_destructors<panic_now>, true, "21soaR");
    t_go_trail(runs_destructors<exit_now>, true, "21soar");
}

void throws_and_catches(trail *t) {
    try {
        letter within(t, "w");
        throw std::runtime_error("thrown");
    } catch (const std::exception &e) {
        CHECK(std::string(e.what()) == "thrown");
        t_step(t, "e");
    }
}

template <void (*how)()> void passes_handlers(void *arg) {
    auto t = static_cast<trail *>(arg);
    T_DEFER(recover_r, t);
    letter outer(t, "o");
    try {
        letter within(t, "w");
        try {
            inner(t, how);
        } catch (const std::exception &) {
            t_step(t, "!");
        } catch (int) {
            t_step(t, "!");
        }
    } catch (...) {
        t_step(t, "(");
        letter handling(t, ")");
        throws_and_catches(t);
        throw;
    }
    t_step(t, "!");
}

void a_handler_for_everything_that_rethrows_lets_it_pass() {
    t_try_trail(passes_handlers<panic_now>, false, GORT_EPANIC, "21w(we)oR");
    CHECK_EQ(std::uncaught_exceptions(), 0);
    t_go_trail(passes_handlers<panic_now>, true, "21w(we)oR");
    t_go_trail(passes_handlers<exit_now>, true, "21w(we)or");
}

#ifdef __GLIBCXX__
template <void (*how)()> void passes_forced(void *arg) {
    auto t = static_cast<trail *>(arg);
    T_DEFER(recover_r, t);
    try {
        inner(t, how);
    } catch (abi::__forced_unwind &) {
        t_step(t, "f");
        throw;
    } catch (...) {
        t_step(t, "!");
        throw;
    }
}

void it_can_be_told_from_an_exception() {
    t_try_trail(passes_forced<panic_now>, false, GORT_EPANIC, "21fR");
    t_go_trail(passes_forced<exit_now>, true, "21fr");
}
#endif

/* Exceptions and panics in each other's way. */
struct thrower {
    trail *t;
    ~thrower() { throws_and_catches(t); }
};

void panics_in_a_handler(void *arg) {
    auto t = static_cast<trail *>(arg);
    T_DEFER(recover_r, t);
    thrower last{t};
    try {
        throw std::runtime_error("outer");
    } catch (const std::exception &e) {
        throws_and_catches(t);
        CHECK_EQ(std::uncaught_exceptions(), 0);
        CHECK(std::string(e.what()) == "outer");
        gort_panic("x");
    }
}

void a_panic_may_leave_a_handler() {
    t_try_trail(panics_in_a_handler, false, GORT_EPANIC, "weweR");
    t_go_trail(panics_in_a_handler, true, "weweR");
    CHECK(std::current_exception() == nullptr);
}

void check_no_exception(void *) {
    CHECK(std::current_exception() == nullptr);
    CHECK_EQ(std::uncaught_exceptions(), 0);
}

void throws_in_a_deferred_call(void *arg) {
    auto t = static_cast<trail *>(arg);
    check_no_exception(nullptr);
    CHECK(gort_recover() != nullptr);
    throws_and_catches(t);
    check_no_exception(nullptr);
}

void handles_in_a_deferred_call(void *arg) {
    auto t = static_cast<trail *>(arg);
    T_DEFER(throws_in_a_deferred_call, t);
    inner(t, panic_now);
}

void deferred_calls_may_throw_and_catch() {
    t_try_trail(handles_in_a_deferred_call, false, GORT_EPANIC, "21we");
    t_go_trail(handles_in_a_deferred_call, true, "21we");
}

/* Try in a handler, while exceptions are in flight: they stay. */
void handles_and_tries(void *arg) {
    auto t = static_cast<trail *>(arg);
    try {
        throw std::string("in flight");
    } catch (const std::string &text) {
        t_try_trail(runs_destructors<panic_now>, true, GORT_EPANIC, "21soaR");
        try {
            throw;
        } catch (const std::string &again) {
            CHECK(&again == &text && again == "in flight");
        }
        t_step(t, "h");
    }
    check_no_exception(nullptr);
}

void an_exception_in_flight_outlives_a_recovered_panic() {
    t_try_trail(handles_and_tries, false, GORT_OK, "h");
    t_go_trail(handles_and_tries, true, "h");
}

/* The exception in whose handler gort_try was called does not get in the way of a handler for everything within. */
void handles_and_tries_handlers(void *arg) {
    auto t = static_cast<trail *>(arg);
    try {
        throw std::string("in flight");
    } catch (const std::string &text) {
        t_try_trail(passes_handlers<panic_now>, true, GORT_EPANIC, "21w(we)oR");
        try {
            throw;
        } catch (const std::string &again) {
            CHECK(&again == &text && again == "in flight");
        }
        t_step(t, "h");
    }
    check_no_exception(nullptr);
}

void handlers_within_a_try_in_a_handler() {
    t_try_trail(handles_and_tries_handlers, false, GORT_OK, "h");
    t_go_trail(handles_and_tries_handlers, true, "h");
}

void many_at_once() {
    gort_waitgroup_t done = {};
    struct one {
        trail t;
        gort_fn_t fn;
    };
    int n = static_cast<int>(t_n(300, 60));
    std::unique_ptr<one[]> all(new one[static_cast<size_t>(n)]());
    for (int i = 0; i < n; i++) {
        one &o = all[static_cast<size_t>(i)];
        o.t.parks = true;
        o.fn = i % 3 == 0   ? runs_destructors<exit_now>
               : i % 3 == 1 ? passes_handlers<panic_now>
                            : panics_in_a_handler;
        t_go(&done, o.fn, &o.t);
    }
    gort_waitgroup_wait(&done);
    for (int i = 0; i < n; i++)
        CHECK_TRAIL(&all[static_cast<size_t>(i)].t, i % 3 == 0 ? "21soar" : i % 3 == 1 ? "21w(we)oR" : "weweR");
}

} // namespace

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(destructors_run_innermost_first_then_deferred_calls);
    RUN_BOTH(a_handler_for_everything_that_rethrows_lets_it_pass);
#ifdef __GLIBCXX__
    RUN_BOTH(it_can_be_told_from_an_exception);
#endif
    RUN_BOTH(a_panic_may_leave_a_handler);
    RUN_BOTH(deferred_calls_may_throw_and_catch);
    RUN_BOTH(an_exception_in_flight_outlives_a_recovered_panic);
    RUN_BOTH(handlers_within_a_try_in_a_handler);
    RUN_BOTH(many_at_once);
    return t_end();
}
