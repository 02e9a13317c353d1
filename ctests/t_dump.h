/* What the tests of gort_dump share: dumps as texts, what must be in them, and goroutines to be shown. */
#ifndef GORT_CTESTS_T_DUMP_H
#define GORT_CTESTS_T_DUMP_H

#include "t.h"

#include <fcntl.h>
#include <sys/mman.h>

/* A program needs some of these. */
#define T_DUMP_UNUSED __attribute__((unused))
/* A call that the compiler can neither inline nor turn into a jump. */
#define NOINLINE __attribute__((noinline))
#define STAY __asm__ volatile("" ::: "memory")

/* A dump as a text; to be freed. */
static T_DUMP_UNUSED char *dump(void) {
    int fd = memfd_create("dump", 0);
    CHECK(fd >= 0);
    CHECK_EQ(gort_dump(fd), GORT_OK);
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    CHECK(text && pread(fd, text, (size_t)size, 0) == size);
    close(fd);
    return text;
}

/* The entry that begins with a line with `what` in it, as a text; to be freed. NULL: there is none. */
static T_DUMP_UNUSED char *entry(const char *text, const char *what) {
    const char *found = text;
    while ((found = strstr(found, what))) {
        const char *start = found;
        while (start > text && start[-1] != '\n')
            start--;
        if (start == text || (start >= text + 2 && start[-2] == '\n')) {
            const char *end = strstr(start, "\n\n");
            return strndup(start, end ? (size_t)(end - start) + 1 : strlen(start));
        }
        found++;
    }
    return NULL;
}

static T_DUMP_UNUSED void says(const char *entry, const char *what) {
    if (!entry || !strstr(entry, what))
        FAIL("the dump lacks \"%s\": %s", what, entry ? entry : "(no such entry)");
}

static T_DUMP_UNUSED void says_not(const char *text, const char *what) {
    if (strstr(text, what))
        FAIL("the dump has \"%s\": %s", what, text);
}

static T_DUMP_UNUSED bool has_backtraces(const char *text) { return !strstr(text, "(no backtraces"); }

static T_DUMP_UNUSED void spawn_named(const char *name, gort_fn_t fn, void *arg) {
    gort_spawn_options_t options = GORT_SPAWN_OPTIONS_INIT;
    options.name = name;
    CHECK_EQ(gort_spawn_with(&options, fn, arg), GORT_OK);
}

/* Wait until the goroutine of this name is shown with this state, and return its entry. */
static T_DUMP_UNUSED char *eventually(const char *name, const char *state) {
    char what[128];
    snprintf(what, sizeof what, " \"%s\" [%s", name, state);
    for (int64_t give_up = gort_now() + T_PATIENCE;; gort_sleep(T_MS)) {
        char *text = dump(), *found = entry(text, what);
        if (found || gort_now() > give_up) {
            if (!found)
                FAIL("never shown: %s\n%s", what, text);
            free(text);
            return found;
        }
        free(text);
    }
}

/* ---- goroutines that wait at a gate ---- */

static gort_chan_t *gate;
static gort_waitgroup_t gone;
enum { LINE_OF_RECV = __LINE__ + 3 };

static NOINLINE void waits_in_a_static_function(gort_chan_t *ch) {
    gort_chan_recv(ch, NULL);
    STAY;
}

static void waiter(void *ch) {
    waits_in_a_static_function(ch);
    gort_waitgroup_done(&gone);
}

static NOINLINE void starts_one(const char *name, gort_chan_t *ch) {
    gort_waitgroup_add(&gone, 1);
    spawn_named(name, waiter, ch);
    STAY;
}

static T_DUMP_UNUSED uint64_t number(const char *entry) {
    unsigned long long id = 0;
    CHECK(sscanf(entry, "goroutine %llu", &id) == 1 && id > 0);
    return id;
}

static T_DUMP_UNUSED void open_gate(void) {
    gort_chan_close(gate);
    gort_waitgroup_wait(&gone);
    gort_chan_release(gate);
    gate = NULL;
}

#endif
