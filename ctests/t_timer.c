/* Timers: never early; what stop and reset say; no stale tick after either; functions in goroutines of their
 * own; released while active; from threads too; a hundred thousand at once; no memory left behind. */
#include "t.h"

#define HOUR (60 * GORT_MINUTE)

static int64_t get(gort_chan_t *ch) {
    int64_t tick = -1;
    CHECK_EQ(gort_chan_recv(ch, &tick), GORT_OK);
    CHECK(tick <= gort_now());
    return tick;
}

static void check_no_tick(gort_timer_t *t) {
    int64_t tick = -1;
    int status = gort_chan_try_recv(gort_timer_chan(t), &tick);
    if (status != GORT_EAGAIN)
        FAIL("a stale tick: status %d, %lld ns old", status, (long long)(gort_now() - tick));
}

static void spin(uint64_t turns) {
    for (volatile uint64_t i = 0; i < turns; i++)
        ;
}

static void the_units_are_64_bit_nanoseconds(void) {
    _Static_assert(GORT_MICROSECOND == 1000, "");
    _Static_assert(GORT_MILLISECOND == 1000 * GORT_MICROSECOND, "");
    _Static_assert(GORT_SECOND == 1000 * GORT_MILLISECOND, "");
    _Static_assert(GORT_MINUTE == 60 * GORT_SECOND, "");
    _Static_assert(sizeof(GORT_MICROSECOND) == 8 && 100 * GORT_SECOND > INT32_MAX, "");
}

static void ignore(void *arg) { (void)arg; }

static void bad_arguments(void) {
    CHECK(gort_timer_func(1, NULL, NULL) == NULL);
    CHECK(gort_timer_chan(NULL) == NULL);
    CHECK(!gort_timer_stop(NULL));
    CHECK(!gort_timer_reset(NULL, 1));
    gort_timer_release(NULL);
    gort_timer_t *t = gort_timer_func(HOUR, ignore, NULL);
    CHECK(gort_timer_chan(t) == NULL);
    CHECK(gort_timer_stop(t));
    gort_timer_release(t);
}

/* ---- never early ---- */

static void tick_at_random(void *arg) {
    uint64_t random = *(uint64_t *)arg;
    gort_timer_t *t = gort_timer_new(HOUR);
    CHECK_EQ(gort_chan_elem_size(gort_timer_chan(t)), sizeof(int64_t));
    for (int i = 0; i < 20; i++) {
        int64_t ns = (int64_t)(t_random(&random) % (uint64_t)(5 * T_MS)), start = gort_now();
        CHECK_EQ(gort_timer_reset(t, ns), i == 0);
        int64_t tick = get(gort_timer_chan(t));
        if (tick < start + ns)
            FAIL("due after %lld of %lld ns", (long long)(tick - start), (long long)ns);
        check_no_tick(t);
    }
    CHECK(!gort_timer_stop(t));
    gort_timer_release(t);
}

static void a_tick_never_comes_early(void) {
    gort_waitgroup_t done = {0};
    uint64_t seeds[100];
    for (size_t i = 0; i < T_LEN(seeds); i++) {
        seeds[i] = t_seed(i);
        (i % 10 ? t_go : t_go_thread)(&done, tick_at_random, &seeds[i]);
    }
    static const int64_t at_once[] = {0, -1, INT64_MIN};
    for (size_t i = 0; i < T_LEN(at_once); i++) {
        int64_t start = gort_now();
        gort_timer_t *t = gort_timer_new(at_once[i]);
        CHECK(get(gort_timer_chan(t)) >= start);
        gort_timer_release(t);
    }
    gort_waitgroup_wait(&done);
}

static void a_timer_that_is_never_due_can_be_stopped_and_reset(void) {
    gort_timer_t *t = gort_timer_new(GORT_FOREVER);
    check_no_tick(t);
    CHECK(gort_timer_stop(t));
    CHECK(!gort_timer_reset(t, GORT_FOREVER - 1));
    CHECK(gort_timer_reset(t, GORT_FOREVER));
    CHECK(gort_timer_reset(t, 1));
    get(gort_timer_chan(t));
    gort_timer_release(t);
}

/* ---- stop and reset ---- */

/* It was due long ago: the tick lies there (or is about to, on a busy machine, which is to make no difference). */
static void until_ticked(gort_timer_t *t) {
    gort_sleep(T_MS);
    CHECK_EQ(gort_chan_len(gort_timer_chan(t)), 0); /* as in Go, whatever lies there */
    CHECK_EQ(gort_chan_cap(gort_timer_chan(t)), 0);
}

static void stop_and_reset_are_true_if_it_was_active_or_its_tick_not_received(void) {
    gort_timer_t *t = gort_timer_new(HOUR);
    CHECK(gort_timer_stop(t));
    CHECK(!gort_timer_stop(t));
    CHECK(!gort_timer_reset(t, HOUR));
    CHECK(gort_timer_reset(t, 1));
    until_ticked(t);
    CHECK(gort_timer_stop(t)); /* expired, but not received */
    check_no_tick(t);
    CHECK(!gort_timer_stop(t));
    CHECK(!gort_timer_reset(t, 1));
    until_ticked(t);
    CHECK(gort_timer_reset(t, 1));
    until_ticked(t);
    get(gort_timer_chan(t));
    CHECK(!gort_timer_stop(t)); /* received */
    CHECK(!gort_timer_reset(t, HOUR));
    check_no_tick(t);
    gort_timer_release(t);
}

/* Every time it is armed, either stop says that it was in time, or there was a tick, and just one. */
static void every_tick_is_either_received_or_stopped(void) {
    gort_timer_t *t = gort_timer_new(GORT_FOREVER);
    gort_timer_stop(t);
    uint64_t random = t_seed(1);
    int64_t until = 0;
    for (long i = 0; t_again(i, t_n(20000, 1000), &until); i++) {
        CHECK(!gort_timer_reset(t, (int64_t)(t_random(&random) % 30000)));
        if (t_random(&random) % 2)
            spin(t_random(&random) % 10000);
        else
            gort_yield();
        bool received = gort_chan_try_recv(gort_timer_chan(t), NULL) == GORT_OK;
        bool stopped = gort_timer_stop(t);
        CHECK(received != stopped);
        check_no_tick(t);
    }
    gort_timer_release(t);
}

static void after_stop_and_reset_no_stale_tick_comes(void) {
    gort_timer_t *t = gort_timer_new(1);
    uint64_t random = t_seed(2);
    int64_t until = 0;
    for (long i = 0; t_again(i, t_n(100000, 3000), &until); i++) {
        spin(t_random(&random) % 3000);
        if (t_random(&random) % 3 == 0)
            gort_yield();
        if (t_random(&random) % 2)
            gort_timer_stop(t);
        else
            CHECK(gort_timer_reset(t, HOUR)); /* nobody has received */
        check_no_tick(t);
        if (t_random(&random) % 64 == 0)
            gort_sleep(T_MS / 10);
        check_no_tick(t);
        int64_t start = gort_now(), ns = (int64_t)(t_random(&random) % 2000);
        gort_timer_reset(t, ns);
        if (t_random(&random) % 8 == 0) {
            CHECK(get(gort_timer_chan(t)) >= start + ns); /* the new tick, not an old one */
            gort_timer_reset(t, 1);
        }
    }
    gort_timer_release(t);
}

struct crowd {
    gort_timer_t *t;
    uint64_t seed;
};

static void stop_reset_and_receive(void *arg) {
    struct crowd *c = arg;
    int64_t until = 0;
    for (long i = 0; t_again(i, t_n(3000, 300), &until); i++) {
        switch (t_random(&c->seed) % 5) {
        case 0: gort_timer_stop(c->t); break;
        case 1: case 2: gort_timer_reset(c->t, (int64_t)(t_random(&c->seed) % 5000)); break;
        case 3: gort_chan_recv_until(gort_timer_chan(c->t), NULL, gort_now() + 5000); break;
        default: gort_yield(); break;
        }
    }
}

static void many_may_stop_and_reset_one_timer(void) {
    gort_waitgroup_t done = {0};
    gort_timer_t *t = gort_timer_new(1);
    struct crowd crowd[8];
    for (size_t i = 0; i < T_LEN(crowd); i++) {
        crowd[i] = (struct crowd){t, t_seed(i)};
        (i % 3 ? t_go : t_go_thread)(&done, stop_reset_and_receive, &crowd[i]);
    }
    gort_waitgroup_wait(&done);
    gort_timer_stop(t);
    check_no_tick(t);
    CHECK(!gort_timer_stop(t));
    gort_timer_release(t);
}

/* ---- who looks without waiting ---- */

/* Whoever looks when the time has come finds the tick, though it has never left its worker, which therefore has had
 * no time for timers: each way to look. */
static void a_look_finds_what_is_due(void) {
    int64_t until = 0;
    for (long i = 0; t_again(i, t_n(2000, 200), &until); i++) {
        bool ticker = i % 3 == 0;
        int64_t ns = 1 + i % 50 * 1000;
        gort_timer_t *t = ticker ? gort_ticker_new(ns) : gort_timer_new(ns);
        gort_chan_t *ch = gort_timer_chan(t);
        int64_t due = gort_now() + ns, tick = -1;
        while (gort_now() <= due)
            ;
        gort_case_t cases[] = {{NULL, NULL, GORT_RECV, 0}, {ch, &tick, GORT_RECV, 0}};
        switch (i / 3 % 5) {
        case 0: CHECK_EQ(gort_chan_try_recv(ch, &tick), GORT_OK); break;
        case 1: CHECK_EQ(gort_chan_recv_until(ch, &tick, 0), GORT_OK); break;
        case 2: CHECK_EQ(gort_try_select(cases, 2), 1); break;
        case 3: CHECK_EQ(gort_try_select(cases + 1, 1), 0); break;
        default: CHECK_EQ(gort_select_until(cases, 2, 0), 1); break;
        }
        CHECK(tick > 0 && tick <= due);
        if (ticker) {
            due = gort_now() + ns; /* it goes on: another is due within a period */
            while (gort_now() <= due)
                ;
            int64_t next = -1;
            CHECK_EQ(gort_chan_try_recv(ch, &next), GORT_OK);
            CHECK(next > tick && (next - tick) % ns == 0);
        } else {
            check_no_tick(t);
            CHECK(!gort_timer_stop(t));
        }
        gort_timer_release(t);
    }
}

/* ---- functions ---- */

struct call {
    int64_t due, called;
    gort_chan_t *go_on;
    gort_waitgroup_t *done;
};

static void be_called(void *arg) {
    struct call *call = arg;
    CHECK(gort_in_goroutine());
    call->called = gort_now();
    gort_chan_t *go_on = call->go_on; /* with a reference of its own */
    gort_waitgroup_done(call->done);
    if (go_on) { /* it may block: it is nobody else's goroutine */
        CHECK_EQ(gort_chan_recv(go_on, NULL), GORT_ECLOSED);
        gort_chan_release(go_on);
    }
}

static void a_function_runs_in_a_goroutine_of_its_own_and_not_early(void) {
    static struct call calls[200];
    gort_waitgroup_t done = {0};
    gort_chan_t *go_on = gort_chan_new(0, 0);
    gort_timer_t *timers[T_LEN(calls)];
    gort_waitgroup_add(&done, (int)T_LEN(calls));
    uint64_t random = t_seed(3);
    for (size_t i = 0; i < T_LEN(calls); i++) {
        int64_t ns = (int64_t)(t_random(&random) % (uint64_t)(10 * T_MS));
        calls[i] = (struct call){gort_now() + ns, 0, i % 2 ? gort_chan_retain(go_on) : NULL, &done};
        timers[i] = gort_timer_func(ns, be_called, &calls[i]);
        CHECK(timers[i] != NULL);
    }
    gort_waitgroup_wait(&done);
    gort_chan_close(go_on);
    for (size_t i = 0; i < T_LEN(calls); i++) {
        CHECK(calls[i].called >= calls[i].due);
        CHECK(!gort_timer_stop(timers[i]));
        gort_timer_release(timers[i]);
    }
    gort_chan_release(go_on);
}

static void add_one(void *arg) { atomic_fetch_add((atomic_long *)arg, 1); }

static void a_stopped_function_is_not_called_and_a_reset_one_again(void) {
    atomic_long calls = 0;
    long expected = 0;
    gort_timer_t *t = gort_timer_func(HOUR, add_one, &calls);
    CHECK(gort_timer_stop(t));
    uint64_t random = t_seed(4);
    int64_t until = 0;
    for (long i = 0; t_again(i, t_n(20000, 1000), &until); i++) {
        gort_timer_reset(t, (int64_t)(t_random(&random) % 5000));
        spin(t_random(&random) % 5000);
        if (t_random(&random) % 4 == 0)
            gort_yield();
        if (!gort_timer_stop(t))
            expected++;
    }
    EVENTUALLY(atomic_load(&calls) >= expected);
    gort_sleep(20 * T_MS);
    CHECK_EQ(atomic_load(&calls), expected);
    gort_timer_release(t);
}

struct again {
    gort_timer_t *t;
    int left;
    gort_waitgroup_t done;
};

static void reset_myself(void *arg) {
    struct again *a = arg;
    if (a->left-- > 0) {
        CHECK(!gort_timer_reset(a->t, 1000));
    } else {
        gort_timer_release(a->t);
        gort_waitgroup_done(&a->done);
    }
}

static void a_function_may_reset_and_release_its_own_timer(void) {
    struct again a = {.t = NULL, .left = 200};
    gort_waitgroup_add(&a.done, 1);
    a.t = gort_timer_func(GORT_FOREVER, reset_myself, &a);
    CHECK(gort_timer_reset(a.t, 1));
    gort_waitgroup_wait(&a.done);
}

/* ---- release ---- */

static void a_released_function_is_still_called(void) {
    atomic_long calls = 0;
    long n = t_n(2000, 200);
    for (long i = 0; i < n; i++)
        gort_timer_release(gort_timer_func(i % 100 * 20000, add_one, &calls));
    EVENTUALLY(atomic_load(&calls) == n);
}

static void a_released_timer_ticks_for_who_has_its_channel(void) {
    for (int i = 0; i < 200; i++) {
        gort_timer_t *t = gort_timer_new(i % 10 * 20000);
        gort_chan_t *ch = gort_chan_retain(gort_timer_chan(t));
        gort_timer_release(t);
        if (i % 3)
            get(ch);
        gort_chan_release(ch);
    }
}

static void release_in_a_race(void *arg) {
    uint64_t random = *(uint64_t *)arg;
    int64_t until = 0;
    for (long i = 0; t_again(i, t_n(20000, 1000), &until); i++) {
        int64_t ns = (int64_t)(t_random(&random) % 20000);
        gort_timer_t *t = t_random(&random) % 2 ? gort_timer_new(ns) : gort_ticker_new(1 + ns);
        if (t_random(&random) % 2)
            spin(t_random(&random) % 5000);
        else
            gort_chan_recv_until(gort_timer_chan(t), NULL, gort_now() + ns);
        gort_timer_release(t);
    }
}

static void timers_may_be_released_at_any_moment_by_goroutines_and_threads(void) {
    gort_waitgroup_t done = {0};
    uint64_t seeds[6];
    for (size_t i = 0; i < T_LEN(seeds); i++) {
        seeds[i] = t_seed(i);
        (i % 2 ? t_go : t_go_thread)(&done, release_in_a_race, &seeds[i]);
    }
    gort_waitgroup_wait(&done);
}

/* ---- many ---- */

static void a_hundred_thousand_timers_are_outstanding(void) {
    long n = t_n(100000, 5000);
    gort_timer_t **timers = malloc((size_t)n * sizeof *timers);
    int64_t *due = malloc((size_t)n * sizeof *due);
    uint64_t random = t_seed(5);
    CHECK(timers && due);
    for (long i = 0; i < n; i++) {
        int64_t ns = (int64_t)(t_random(&random) % (uint64_t)(300 * T_MS));
        due[i] = gort_now() + ns;
        timers[i] = gort_timer_new(i % 10 == 9 ? HOUR : ns);
        CHECK(timers[i] != NULL);
    }
    for (long i = 0; i < n; i++) {
        if (i % 10 == 9) {
            CHECK(gort_timer_stop(timers[i]));
        } else {
            CHECK(get(gort_timer_chan(timers[i])) >= due[i]);
            CHECK(!gort_timer_stop(timers[i]));
        }
        gort_timer_release(timers[i]);
    }
    free(timers);
    free(due);
}

static void a_hundred_thousand_functions_are_called(void) {
    atomic_long calls = 0;
    long n = t_n(100000, 5000);
    uint64_t random = t_seed(6);
    for (long i = 0; i < n; i++)
        gort_timer_release(gort_timer_func((int64_t)(t_random(&random) % (uint64_t)(100 * T_MS)), add_one, &calls));
    EVENTUALLY(atomic_load(&calls) == n);
}

static void create_and_stop(long turns) {
    for (long i = 0; i < turns; i++) {
        gort_timer_t *t = i % 2 ? gort_timer_new(HOUR) : gort_timer_func(HOUR, ignore, NULL);
        CHECK(gort_timer_stop(t));
        if (i % 16 == 0)
            CHECK(!gort_timer_reset(t, HOUR) && (i % 2 == 0 || gort_timer_reset(t, HOUR)) && gort_timer_stop(t));
        gort_timer_release(t);
    }
}

static void a_million_timers_created_and_stopped_leave_nothing_behind(void) {
    create_and_stop(1000);
    size_t before = t_memory();
    create_and_stop(t_n(1000000, 30000));
    t_check_growth("timers", before, t_memory(), 1600000);
}

static void a_million_active_timers_released_leave_nothing_behind(void) {
    for (long i = 0; i < 1000; i++)
        gort_timer_release(gort_timer_new(HOUR));
    size_t before = t_memory();
    for (long i = 0, n = t_n(1000000, 30000); i < n; i++)
        gort_timer_release(i % 2 ? gort_timer_new(HOUR) : gort_ticker_new(HOUR));
    t_check_growth("timers", before, t_memory(), 1600000);
}

/* ---- processors that retire ---- */

struct spread {
    gort_timer_t *timers[50];
    int64_t due[50];
    atomic_int *armed;
};

static void arm_some(void *arg) {
    struct spread *s = arg;
    for (size_t i = 0; i < T_LEN(s->timers); i++) {
        int64_t ns = (int64_t)(20 + i) * T_MS;
        s->due[i] = gort_now() + ns;
        s->timers[i] = gort_timer_new(ns);
        if (i % 8 == 0)
            gort_yield();
    }
    atomic_fetch_add(s->armed, 1);
}

static void timers_outlive_the_processor_they_were_made_on(void) {
    static struct spread spread[32];
    int procs = gort_max_procs(0);
    for (int round = 0; round < t_n(5, 1); round++) {
        gort_waitgroup_t done = {0};
        atomic_int armed = 0;
        gort_max_procs(16);
        for (size_t i = 0; i < T_LEN(spread); i++) {
            spread[i].armed = &armed;
            t_go(&done, arm_some, &spread[i]);
        }
        for (int n = 15; n >= 1; n -= 2) {
            gort_max_procs(n);
            gort_yield();
        }
        gort_waitgroup_wait(&done);
        for (size_t i = 0; i < T_LEN(spread); i++) {
            for (size_t k = 0; k < T_LEN(spread[i].timers); k++) {
                gort_timer_t *t = spread[i].timers[k];
                if (k % 7 == 3)
                    gort_timer_stop(t);
                else
                    CHECK(get(gort_timer_chan(t)) >= spread[i].due[k]);
                check_no_tick(t);
                gort_timer_release(t);
            }
        }
    }
    gort_max_procs(procs);
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(the_units_are_64_bit_nanoseconds);
    RUN_BOTH(bad_arguments);
    RUN_BOTH(a_tick_never_comes_early);
    RUN_BOTH(a_timer_that_is_never_due_can_be_stopped_and_reset);
    RUN_BOTH(stop_and_reset_are_true_if_it_was_active_or_its_tick_not_received);
    RUN_BOTH(every_tick_is_either_received_or_stopped);
    RUN_BOTH(after_stop_and_reset_no_stale_tick_comes);
    RUN_BOTH(a_look_finds_what_is_due);
    RUN_BOTH(many_may_stop_and_reset_one_timer);
    RUN_BOTH(a_function_runs_in_a_goroutine_of_its_own_and_not_early);
    RUN_BOTH(a_stopped_function_is_not_called_and_a_reset_one_again);
    RUN_BOTH(a_function_may_reset_and_release_its_own_timer);
    RUN_BOTH(a_released_function_is_still_called);
    RUN_BOTH(a_released_timer_ticks_for_who_has_its_channel);
    RUN_BOTH(timers_may_be_released_at_any_moment_by_goroutines_and_threads);
    RUN_BOTH(a_hundred_thousand_timers_are_outstanding);
    RUN_BOTH(a_hundred_thousand_functions_are_called);
    RUN_BOTH(a_million_timers_created_and_stopped_leave_nothing_behind);
    RUN_BOTH(a_million_active_timers_released_leave_nothing_behind);
    RUN_BOTH(timers_outlive_the_processor_they_were_made_on);
    return t_end();
}
