// Locks, conditions, once, wait groups and semaphores of gort.hpp, with the locks of the standard library, in
// goroutines and threads mixed.
#include "hpp.h"

// `body(i)` in 4 goroutines and 2 threads.
template <class Body> static void everywhere(Body &&body) {
    gort::waitgroup all;
    for (int i = 0; i < 4; i++)
        all.go([&body, i] { body(i); });
    for (int i = 4; i < 6; i++)
        go_thread(all, [&body, i] { body(i); });
    all.wait();
}

// Every lock of the standard library locks out the others.
static void locks_exclude() {
    gort::mutex m, other;
    long count = 0;
    const int rounds = int(t_n(1000, 100));
    everywhere([&](int i) {
        for (int n = 0; n < rounds; n++) {
            if (n % 5 == 0) {
                std::lock_guard<gort::mutex> guard(m);
                count++;
            } else if (n % 5 == 1) {
                std::unique_lock<gort::mutex> lock(m);
                count++;
                lock.unlock();
                CHECK(!lock.owns_lock());
            } else if (n % 5 == 2) {
                if (i % 2) {
                    std::scoped_lock both(m, other);
                    count++;
                } else {
                    std::scoped_lock both(other, m);
                    count++;
                }
            } else if (n % 5 == 3) {
                std::unique_lock<gort::mutex> lock(m, 1h);
                CHECK(lock.owns_lock());
                count++;
            } else {
                std::unique_lock<gort::mutex> lock(m, std::defer_lock);
                while (!lock.try_lock())
                    gort::yield();
                count++;
            }
        }
    });
    CHECK_EQ(count, 6L * rounds);
}

// A time limit is kept on every clock, and a deadline in the past only tries.
static void time_limits() {
    gort::mutex m;
    CHECK(m.try_lock() && !m.try_lock());
    CHECK(!m.try_lock_for(1ms) && !m.try_lock_for(-1h) && !m.try_lock_for(0.25ms));
    CHECK(!m.try_lock_until(gort::clock::now() + 1ms));
    CHECK(!m.try_lock_until(std::chrono::steady_clock::now() + 1ms));
    CHECK(!m.try_lock_until(std::chrono::system_clock::now() + 1ms));
    CHECK(!m.try_lock_until(std::chrono::steady_clock::time_point::min()));
    const auto start = gort::clock::now();
    CHECK(!m.try_lock_for(std::chrono::duration<double, std::milli>(2.5)));
    CHECK(gort::clock::now() - start >= 2500us);
    m.unlock();
    CHECK(m.try_lock_until(std::chrono::system_clock::time_point::min()));
    m.unlock();
    // Deadlines that lie beyond all that an int64_t of nanoseconds can say.
    CHECK(m.try_lock_for(std::chrono::hours::max()));
    m.unlock();
    CHECK(m.try_lock_for(std::chrono::duration<double>(1e300)));
    gort::go([&m] { m.unlock(); }); // anybody may
    CHECK(m.try_lock_until(gort::forever));
    m.unlock();

    gort::rwmutex rw;
    rw.lock_shared();
    CHECK(rw.try_lock_shared() && !rw.try_lock() && !rw.try_lock_for(1ms));
    CHECK(rw.try_lock_shared_for(1ms) && rw.try_lock_shared_until(std::chrono::steady_clock::now()));
    CHECK(!rw.try_lock_until(std::chrono::system_clock::now() + 1ms));
    for (int i = 0; i < 4; i++)
        rw.unlock_shared();
    rw.lock();
    CHECK(!rw.try_lock_shared() && !rw.try_lock_shared_for(1ms));
    rw.unlock();
}

static void readers_and_writers() {
    gort::shared_mutex rw;
    long a = 0, b = 0;
    std::atomic<int> readers{0}, most{0};
    const int rounds = int(t_n(500, 100));
    everywhere([&](int i) {
        for (int n = 0; n < rounds; n++) {
            if (i % 3 == 0) {
                std::unique_lock<gort::shared_mutex> lock(rw);
                CHECK_EQ(readers.load(), 0);
                a++;
                gort::yield();
                b++;
            } else {
                std::shared_lock<gort::shared_mutex> lock(rw);
                const int now = ++readers;
                if (now > most)
                    most = now;
                CHECK_EQ(a, b);
                gort::yield();
                CHECK_EQ(a, b);
                readers--;
            }
        }
    });
    CHECK_EQ(a, 2L * rounds);
    CHECK(most.load() >= 1);
}

static void conditions() {
    gort::mutex m;
    gort::cond changed;
    int turn = 0, rounds = int(t_n(300, 50));
    everywhere([&](int i) {
        for (int n = 0; n < rounds; n++) {
            std::unique_lock<gort::mutex> lock(m);
            changed.wait(lock, [&] { return turn % 6 == i; });
            turn++;
            changed.notify_all();
        }
    });
    CHECK_EQ(turn, 6 * rounds);

    std::unique_lock<gort::mutex> lock(m);
    CHECK(changed.wait_for(lock, 1ms) == std::cv_status::timeout);
    CHECK(changed.wait_until(lock, std::chrono::system_clock::now() + 1ms) == std::cv_status::timeout);
    CHECK(!changed.wait_for(lock, 1ms, [] { return false; }));
    CHECK(changed.wait_until(lock, gort::forever, [] { return true; }));
    CHECK(lock.owns_lock() && !m.try_lock());
    bool ready = false;
    gort::go([&] {
        std::lock_guard<gort::mutex> guard(m);
        ready = true;
        changed.notify_one();
    });
    CHECK(changed.wait_for(lock, 1h, [&] { return ready; }));
}

static void once_only() {
    gort::once o;
    std::atomic<int> calls{0};
    int prepared = 0;
    everywhere([&](int) {
        gort::call_once(o, [&](int value) {
            gort::sleep_for(1ms);
            calls++;
            prepared = value;
        }, 7);
        CHECK_EQ(prepared, 7);
    });
    CHECK_EQ(calls.load(), 1);

    // As in Go, a call that failed was the call.
    gort::once failing;
    std::string said;
    try {
        failing.do_([] { throw std::runtime_error("first"); });
    } catch (const std::runtime_error &error) {
        said = error.what();
    }
    CHECK(said == "first");
    failing.do_([] { FAIL("called a second time"); });
}

// What a wait group has started is over when the wait returns: the function and what it held.
static void wait_groups() {
    for (int i = 0; i < 100; i++) {
        gort::waitgroup wg;
        std::atomic<int> sum{0};
        for (int n = 0; n < 5; n++)
            wg.go([&sum, held = boxed(n)](int more) { sum += held.value() + more; }, 1);
        wg.wait();
        CHECK_EQ(sum.load(), 15);
        CHECK_EQ(tracked_live.load(), 0);
    }
    gort::waitgroup wg;
    wg.add(2);
    CHECK(!wg.wait_for(1ms) && !wg.wait_until(std::chrono::steady_clock::now()));
    wg.done();
    wg.add(-1);
    CHECK(wg.wait_for(1h) && wg.wait_until(gort::forever));
}

static void semaphores() {
    gort::semaphore permits(3);
    std::atomic<int> inside{0};
    everywhere([&](int i) {
        for (int n = 0; n < 50; n++) {
            permits.acquire(1 + i % 2);
            CHECK((inside += 1 + i % 2) <= 3);
            gort::yield();
            inside -= 1 + i % 2;
            permits.release(1 + i % 2);
        }
    });
    CHECK(permits.try_acquire(3) && !permits.try_acquire() && !permits.try_acquire_for(1ms));
    CHECK(!permits.try_acquire_until(2, std::chrono::steady_clock::now() + 1ms));
    permits.release(4);
    CHECK(permits.try_acquire_for(4, 1h));
    int code = 0;
    try {
        permits.acquire(0);
    } catch (const gort::error &error) {
        code = error.code();
    }
    CHECK_EQ(code, GORT_EINVAL);
}

// Values are handed between goroutines and threads with no other order than the channel's.
static void goroutines_and_threads() {
    gort::chan<std::string> to_threads, back(4);
    gort::waitgroup threads, wg;
    for (int i = 0; i < 3; i++)
        go_thread(threads, [=] {
            for (auto text : to_threads)
                back.send(text + "!");
        });
    std::atomic<int> good{0};
    for (int i = 0; i < 4; i++)
        wg.go([=, &good] {
            for (int n = 0; n < 100; n++) {
                to_threads.send(std::string(50, 'a'));
                good += *back.recv() == std::string(50, 'a') + "!";
            }
        });
    wg.wait();
    to_threads.close();
    threads.wait();
    CHECK_EQ(good.load(), 400);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(locks_exclude);
    RUN_BOTH(time_limits);
    RUN_BOTH(readers_and_writers);
    RUN_BOTH(conditions);
    RUN_BOTH(once_only);
    RUN_BOTH(wait_groups);
    RUN_BOTH(semaphores);
    RUN_BOTH(goroutines_and_threads);
    all_gone();
    return t_end();
}
