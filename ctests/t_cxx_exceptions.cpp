/* C++ exceptions in flight are the goroutine's: they survive parks, on whichever thread it goes on.
 */
#include "t.h"

#include <exception>
#include <stdexcept>
#include <string>

namespace {

struct numbered : std::runtime_error {
    long number;
    explicit numbered(long n) : std::runtime_error("numbered " + std::to_string(n)), number(n) {}
};

void check_none() {
    CHECK(std::current_exception() == nullptr);
    CHECK_EQ(std::uncaught_exceptions(), 0);
}

/* Any way to leave the thread. */
void park(uint64_t *random) {
    uint64_t way = t_random(random) % 4;
    if (way == 0)
        gort_sleep(static_cast<int64_t>(t_random(random) % 50000));
    else
        gort_yield();
}

struct job {
    long number;
    int depth;
    gort_mutex_t *mutex;
};

/* Catch, park in the handler, throw another within, rethrow. */
void catch_and_rethrow(const job &j, uint64_t *random, int depth) {
    try {
        if (depth == 0)
            throw numbered(j.number);
        catch_and_rethrow(j, random, depth - 1);
    } catch (const numbered &e) {
        for (int i = 0; i < 3; i++) {
            park(random);
            CHECK_EQ(e.number, j.number);
            CHECK_EQ(std::uncaught_exceptions(), 0);
            try {
                throw;
            } catch (const numbered &again) {
                park(random);
                CHECK(&again == &e);
            }
            try {
                throw std::string("another");
            } catch (const std::string &other) {
                park(random);
                CHECK(other == "another");
            }
        }
        gort_mutex_lock(j.mutex);
        gort_yield();
        gort_mutex_unlock(j.mutex);
        throw;
    }
}

/* Parks in a destructor that an exception runs. */
struct parks_as_it_dies {
    uint64_t *random;
    int expected;
    ~parks_as_it_dies() {
        CHECK_EQ(std::uncaught_exceptions(), expected);
        park(random);
        CHECK_EQ(std::uncaught_exceptions(), expected);
        try {
            parks_as_it_dies *none = nullptr;
            if (expected == 1)
                throw none;
        } catch (parks_as_it_dies *) {
            park(random);
            CHECK_EQ(std::uncaught_exceptions(), expected);
        }
    }
};

void throw_through_destructors(const job &j, uint64_t *random) {
    try {
        parks_as_it_dies one{random, 1};
        parks_as_it_dies two{random, 1};
        throw numbered(j.number);
    } catch (const numbered &e) {
        CHECK_EQ(e.number, j.number);
        parks_as_it_dies three{random, 0};
        park(random);
        CHECK_EQ(e.number, j.number);
    }
    check_none();
}

void work(void *arg) {
    const job &j = *static_cast<job *>(arg);
    uint64_t random = t_seed(static_cast<uint64_t>(j.number));
    for (int round = 0; round < 5; round++) {
        check_none();
        try {
            catch_and_rethrow(j, &random, j.depth);
            FAIL("it was not rethrown");
        } catch (const std::exception &e) {
            park(&random);
            CHECK(e.what() == "numbered " + std::to_string(j.number));
        }
        check_none();
        park(&random);
        throw_through_destructors(j, &random);
    }
}

void run_many(int n) {
    gort_waitgroup_t done = {};
    gort_mutex_t mutex = {};
    job *jobs = new job[static_cast<size_t>(n)];
    for (int i = 0; i < n; i++) {
        jobs[i] = job{i, i % 4, &mutex};
        if (i % 50 == 49)
            t_go_thread(&done, work, &jobs[i]);
        else
            t_go(&done, work, &jobs[i]);
    }
    gort_waitgroup_wait(&done);
    delete[] jobs;
}

void exceptions_in_flight_survive_parks() {
    for (int i = 0; i < 5; i++)
        run_many(static_cast<int>(t_n(100, 30)));
}

/* One that is caught and kept, handed to another goroutine and thrown there. */
struct handed {
    gort_chan_t *ch;
    gort_waitgroup_t done;
};

void throw_what_comes(void *arg) {
    auto h = static_cast<handed *>(arg);
    for (;;) {
        std::exception_ptr *p = nullptr;
        if (gort_chan_recv(h->ch, &p) != GORT_OK)
            return;
        try {
            std::rethrow_exception(*p);
        } catch (const numbered &e) {
            gort_yield();
            CHECK(e.what() == "numbered " + std::to_string(e.number));
        }
        check_none();
        delete p;
    }
}

void exceptions_may_be_handed_over() {
    handed h = {gort_chan_new(sizeof(std::exception_ptr *), 2), {}};
    for (int i = 0; i < 4; i++)
        t_go(&h.done, throw_what_comes, &h);
    for (int i = 0; i < t_n(2000, 300); i++) {
        std::exception_ptr *p = nullptr;
        try {
            throw numbered(i);
        } catch (...) {
            p = new std::exception_ptr(std::current_exception());
            CHECK_EQ(gort_chan_send(h.ch, &p), GORT_OK);
        }
        check_none();
    }
    gort_chan_close(h.ch);
    gort_waitgroup_wait(&h.done);
    gort_chan_release(h.ch);
}

} // namespace

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN_BOTH(exceptions_in_flight_survive_parks);
    RUN_BOTH(exceptions_may_be_handed_over);
    return t_end();
}
