// gort.hpp: Go's concurrency for C++17, over gort.h.
//
//     #include <gort.hpp>
//
//     int main() {
//         return gort::main([] {
//             gort::chan<std::string> ch;
//             gort::go([ch] { ch.send("hello"); });
//             std::puts(ch.recv()->c_str());
//         });
//     }
//
// Link with -lgort (pkg-config --cflags --libs gort). Header only: no library of its own, no state. What holds for
// gort.h holds here: goroutines and plain threads may call everything; deadlines are on any clock of std::chrono.
//
// The one thing to know: what a correct program must expect is a value (gort::status, an empty std::optional);
// gort::error is thrown for bad use, std::bad_alloc for want of memory; an exception that leaves a goroutine is a
// panic, and ends the process with "panic: C++ exception <type>: <what>".
#ifndef GORT_HPP
#define GORT_HPP

#include "gort/base.hpp"    // status, error, clock
#include "gort/panic.hpp"   // panic, try_, recover, defer
#include "gort/go.hpp"      // go, main, sleep_for
#include "gort/chan.hpp"    // chan<T>
#include "gort/select.hpp"  // select, recv, send, default_, timeout
#include "gort/lock.hpp"    // mutex, rwmutex, cond
#include "gort/sync.hpp"    // once, waitgroup, semaphore
#include "gort/timer.hpp"   // after, timer, ticker, timer_func
#include "gort/context.hpp" // context, cancel_scope, after_func
#include "gort/group.hpp"   // group

#endif
