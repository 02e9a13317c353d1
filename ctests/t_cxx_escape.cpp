/* C++ exceptions that leave a function that gort has called: said what they are, status 2.
 * ctest-cflags: -rdynamic
 */
#include "t_trail.h"

#include <exception>
#include <stdexcept>
#include <string>

extern "C" __attribute__((noinline)) void throws_an_error(void *) {
    throw std::runtime_error("what it says");
    gort_yield();
}

namespace {

namespace own {
struct exception_of_ours : virtual std::exception {
    std::string text{"two\nlines"};
    const char *what() const noexcept override { return text.c_str(); }
};
template <class T> struct no_exception {
    T value;
};
} // namespace own

void say(const char *text) {
    ssize_t written = write(2, text, strlen(text));
    (void)written;
}

struct says_so {
    ~says_so() { say("[destroyed]"); }
};

void throws_ours(void *) { throw own::exception_of_ours(); }
void throws_another(void *) { throw own::no_exception<long>{7}; }
void throws_int(void *) { throw 7; }
void throws_pointer(void *) { throw "a text"; }

void rethrows(void *) {
    says_so kept;
    try {
        throws_an_error(nullptr);
    } catch (...) {
        throw;
    }
}

void throws_kept(void *) {
    std::exception_ptr kept;
    try {
        throws_an_error(nullptr);
    } catch (...) {
        kept = std::current_exception();
    }
    std::rethrow_exception(kept);
}

void in_a_goroutine(gort_fn_t fn) {
    CHECK_EQ(gort_spawn(fn, nullptr), GORT_OK);
    for (;;)
        gort_sleep(T_MS);
}

void error() { in_a_goroutine(throws_an_error); }
void ours() { in_a_goroutine(throws_ours); }
void another() { in_a_goroutine(throws_another); }
void an_int() { in_a_goroutine(throws_int); }
void a_pointer() { in_a_goroutine(throws_pointer); }
void rethrown() { in_a_goroutine(rethrows); }
void kept() { in_a_goroutine(throws_kept); }

void what_it_was_is_said() {
    CHILD_DIES(error, "panic: C++ exception std::runtime_error: what it says\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(ours, "::own::exception_of_ours: two\n\tlines\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(another, "::own::no_exception<long>\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(an_int, "panic: C++ exception int\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(a_pointer, "panic: C++ exception char const*\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(rethrown, "panic: C++ exception std::runtime_error: what it says\n\ngoroutine 1 [running]:\n");
    CHILD_DIES(kept, "panic: C++ exception std::runtime_error: what it says\n\ngoroutine 1 [running]:\n");
}

void the_backtrace_begins_where_it_was_thrown() {
    CHILD_DIES(error, "[running]:\nthrows_an_error(");
    const t_outcome *outcome = t_spawn_child("rethrown");
    CHECK(strstr(outcome->err, "[destroyed]") == nullptr);
}

void in_main() {
    gort_main([](void *) { throws_an_error(nullptr); return 0; }, nullptr);
}

void in_try() { gort_try(throws_an_error, nullptr); }

/* A handler further out does not count. */
void in_try_in_a_handler() {
    try {
        gort_try(throws_an_error, nullptr);
    } catch (...) {
        say("caught");
    }
}

void tries(void *) { in_try_in_a_handler(); }
void in_try_in_a_goroutine() { in_a_goroutine(tries); }

void defers(void *) { T_DEFER(throws_an_error, nullptr); }
void in_a_deferred_call() { in_a_goroutine(defers); }

void defers_and_panics(void *) {
    T_DEFER(throws_an_error, nullptr);
    gort_panic("x");
}

/* After the stack was started over for the deferred calls of the root. */
void in_a_deferred_call_of_a_panic() { in_a_goroutine(defers_and_panics); }

void once(void *) {
    gort_once_t o = {};
    try {
        gort_once_do(&o, throws_an_error, nullptr);
    } catch (...) {
        say("caught");
    }
}

void in_a_once() { in_a_goroutine(once); }

void counted() {
    gort_waitgroup_t group = {};
    t_go(&group, throws_an_error, nullptr);
    gort_waitgroup_wait(&group);
}

void timed() {
    gort_timer_release(gort_timer_func(1, throws_an_error, nullptr));
    for (;;)
        gort_sleep(T_MS);
}

void it_is_the_same_for_every_function_that_gort_calls() {
    const char *text = "panic: C++ exception std::runtime_error: what it says\n\ngoroutine ";
    const char *parts[] = {"in_main",   "in_try", "in_try_in_a_handler", "in_try_in_a_goroutine", "in_a_deferred_call",
                           "in_a_deferred_call_of_a_panic", "in_a_once", "counted",               "timed"};
    for (const char *part : parts) {
        const t_outcome *outcome = t_spawn_child(part);
        t_check_exit(part, outcome, 2);
        t_check_says(part, outcome, text);
        if (strncmp(outcome->err, text, strlen(text)) != 0)
            FAIL("child %s: says more:\n%.600s", part, outcome->err);
    }
}

/* ---- what is raised by gort ---- */

void swallows(void *) {
    try {
        gort_panic("swallowed");
    } catch (...) {
    }
    say("[not reached]");
}

void swallows_exit(void *) {
    try {
        gort_exit();
    } catch (...) {
    }
    say("[not reached]");
}

void swallowed() { in_a_goroutine(swallows); }
void swallowed_exit() { in_a_goroutine(swallows_exit); }

void a_handler_that_swallows_a_panic_ends_the_process() {
    CHILD_DIES(swallowed, "fatal error: a C++ catch (...) swallowed gort_panic (\"swallowed\")");
    CHILD_DIES(swallowed_exit, "fatal error: a C++ catch (...) swallowed gort_exit");
}

} // namespace

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(error);
    T_CHILD(ours);
    T_CHILD(another);
    T_CHILD(an_int);
    T_CHILD(a_pointer);
    T_CHILD(rethrown);
    T_CHILD(kept);
    T_CHILD(in_main);
    T_CHILD(in_try);
    T_CHILD(in_try_in_a_handler);
    T_CHILD(in_try_in_a_goroutine);
    T_CHILD(in_a_deferred_call);
    T_CHILD(in_a_deferred_call_of_a_panic);
    T_CHILD(in_a_once);
    T_CHILD(counted);
    T_CHILD(timed);
    T_CHILD(swallowed);
    T_CHILD(swallowed_exit);
    RUN(what_it_was_is_said);
    RUN(the_backtrace_begins_where_it_was_thrown);
    RUN(it_is_the_same_for_every_function_that_gort_calls);
    RUN(a_handler_that_swallows_a_panic_ends_the_process);
    return t_end();
}
