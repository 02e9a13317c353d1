/* gort_try: a call that one comes back from, whatever happens in it. */
#include "t_trail.h"

static void nothing(void *arg) { (void)arg; }

static void add_one(void *arg) { ++*(long *)arg; }

static void a_function_that_returns_is_just_called(void) {
    long n = 0;
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(gort_try(add_one, &n), GORT_OK);
    CHECK_EQ(n, 1000);
}

static void recover(void *arg) {
    (void)arg;
    CHECK(gort_recover() != NULL);
}

/* Uses all registers that a function must preserve. */
static __attribute__((noinline)) void overwrite_registers(void) {
#ifdef __x86_64__
    __asm__ volatile("xor %%ebx, %%ebx\n xor %%r12d, %%r12d\n xor %%r13d, %%r13d\n xor %%r14d, %%r14d\n"
                     "xor %%r15d, %%r15d" ::
                         : "rbx", "r12", "r13", "r14", "r15", "memory");
#endif
}

static void panics(void *arg) {
    T_DEFER(recover, arg);
    overwrite_registers();
    gort_yield();
    overwrite_registers();
    gort_panic("x");
}

static __attribute__((noinline)) long try_with_registers(long a, long b, long c, long d, long e, long f) {
    long sum = 0;
    for (int i = 0; i < 20; i++) {
        sum += gort_try(i % 2 ? panics : nothing, NULL) == GORT_OK ? a + b + c : d + e + f;
        a++, b++, c++, d--, e--, f--;
    }
    return sum + a * b + c * d + e * f;
}

static void the_caller_finds_its_registers_as_they_were(void) {
    long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, sum = 0;
    for (int i = 0; i < 20; i++) {
        sum += i % 2 == 0 ? a + b + c : d + e + f;
        a++, b++, c++, d--, e--, f--;
    }
    sum += a * b + c * d + e * f;
    CHECK_EQ(try_with_registers(1, 2, 3, 4, 5, 6), sum);
}

static void tries_panics(void *arg) { CHECK_EQ(gort_try(panics, arg), GORT_EPANIC); }

static void calls_itself(void *arg) {
    long *depth = arg;
    if (++*depth < 300)
        CHECK_EQ(gort_try(calls_itself, arg), GORT_OK);
    else
        CHECK_EQ(gort_try(panics, NULL), GORT_EPANIC);
}

static void they_nest(void) {
    long depth = 0;
    CHECK_EQ(gort_try(tries_panics, NULL), GORT_OK);
    CHECK_EQ(gort_try(calls_itself, &depth), GORT_OK);
    CHECK_EQ(depth, 300);
}

static void *tries_on_a_thread(void *arg) {
    for (int i = 0; i < 100; i++)
        tries_panics(arg);
    return NULL;
}

static void many_at_once(void) {
    pthread_t threads[4];
    gort_waitgroup_t done = {0};
    for (int i = 0; i < 4; i++)
        threads[i] = t_thread(tries_on_a_thread, NULL);
    for (int i = 0; i < t_n(1000, 200); i++)
        t_go(&done, tries_panics, NULL);
    gort_waitgroup_wait(&done);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

/* For those who read the log; nothing is asserted. */
static void what_they_cost(void) {
    enum { N = 200000 };
    int64_t start = gort_now();
    for (int i = 0; i < N; i++)
        gort_try(nothing, NULL);
    double try_ns = (double)(gort_now() - start) / N;
    start = gort_now();
    for (int i = 0; i < N / 100; i++)
        gort_try(panics, NULL);
    printf("gort_try %.1f ns; with a panic that is recovered %.0f ns\n", try_ns,
           (double)(gort_now() - start) / (N / 100));
}

/* ---- a child that forked in a goroutine is a plain thread, with the scopes that it was in ---- */

static void say(void *text) {
    ssize_t written = write(2, text, strlen(text));
    (void)written;
}

static void forks(void *arg) {
    (void)arg;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid) {
        int status = 0;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        return;
    }
    CHECK(!gort_in_goroutine());
    CHECK_EQ(gort_try(panics, NULL), GORT_EPANIC);
    T_DEFER(recover, NULL);
    gort_panic("in the child");
}

static int main_that_forks_in_a_try(void *arg) {
    T_DEFER(say, "root ");
    int status = gort_try(forks, arg);
    if (gort_in_goroutine()) {
        CHECK_EQ(status, GORT_OK);
    } else {
        CHECK_EQ(status, GORT_EPANIC);
        say("child ");
        CHECK_EQ(gort_try(panics, NULL), GORT_EPANIC);
    }
    return 0;
}

static void forking(void) { CHECK_EQ(gort_main(main_that_forks_in_a_try, NULL), 0); }

static void a_forked_child_is_still_in_its_tries(void) {
    const struct t_outcome *outcome = t_spawn_child("forking");
    t_check_exit("forking", outcome, 0);
    t_check_says("forking", outcome, "child ");
    t_check_says("forking", outcome, "root ");
}

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    T_CHILD(forking);
    RUN_BOTH(a_function_that_returns_is_just_called);
    RUN_BOTH(the_caller_finds_its_registers_as_they_were);
    RUN_BOTH(they_nest);
    RUN_BOTH(many_at_once);
    RUN_BOTH(what_they_cost);
    RUN(a_forked_child_is_still_in_its_tries);
    return t_end();
}
