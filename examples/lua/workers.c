/*
 * Goroutines in C that work for Lua: ordinary ones, which run beside the Lua universe on all CPUs. They know nothing of
 * Lua but what a channel carries.
 */
#include "gortlua.h"

#include <lualib.h>

/* A worker: for each integer that comes in, how many primes are below it; a string backwards; else what came. */
struct worker {
    gort_chan_t *in, *out;
    gort_waitgroup_t *all;
};

static lua_Integer primes_below(lua_Integer limit)
{
    lua_Integer primes = 0;
    for (lua_Integer n = 2; n < limit; n++) {
        lua_Integer d = 2;
        while (d * d <= n && n % d != 0)
            d++;
        primes += d * d > n;
    }
    return primes;
}

static void work(void *arg)
{
    struct worker *w = arg;
    gortlua_value_t v;
    while (gort_chan_recv(w->in, &v) == GORT_OK) {
        if (v.type == GORTLUA_INTEGER)
            v.u.integer = primes_below(v.u.integer);
        else if (v.type == GORTLUA_STRING)
            for (size_t i = 0, j = v.u.string.size; i + 1 < j; i++) {
                char c = v.u.string.bytes[i];
                v.u.string.bytes[i] = v.u.string.bytes[--j];
                v.u.string.bytes[j] = c;
            }
        if (gort_chan_send(w->out, &v) != GORT_OK)
            gortlua_clear(&v); /* nobody wants it */
    }
    gort_waitgroup_done(w->all);
}

/* Closes the way out when all its workers have ended, and is the one that owns both channels. */
static void lead(void *arg)
{
    struct worker *w = arg;
    gort_waitgroup_wait(w->all);
    gort_chan_close(w->out);
    gort_chan_release(w->out);
    gort_chan_release(w->in);
    free(w->all);
}

/* workers.start(in, out, n) */
static int l_start(lua_State *L)
{
    gort_chan_t *in = gortlua_chan(L, 1), *out = gortlua_chan(L, 2);
    lua_Integer n = luaL_checkinteger(L, 3);
    struct worker w = { gort_chan_retain(in), gort_chan_retain(out), calloc(1, sizeof(gort_waitgroup_t)) };
    int status = w.all ? GORT_OK : GORT_ENOMEM;
    if (w.all)
        gort_waitgroup_add(w.all, 1);
    for (lua_Integer i = 0; i < n && status == GORT_OK; i++) {
        gort_waitgroup_add(w.all, 1);
        status = gort_spawn_copy(work, &w, sizeof w);
        if (status != GORT_OK)
            gort_waitgroup_done(w.all);
    }
    /* The leader last, so that there is one whatever failed before. */
    if (w.all) {
        int led = gort_spawn_copy(lead, &w, sizeof w);
        gort_waitgroup_done(w.all);
        status = status == GORT_OK ? led : status;
    }
    return status == GORT_OK ? 0 : luaL_error(L, "workers.start: %s", gort_strerror(status));
}

static void *compute(void *arg)
{
    lua_Integer *n = arg;
    *n = primes_below(*n);
    return NULL;
}

/* workers.primes(n): computed on the caller's own thread, while other goroutines of its universe go on. */
static int l_primes(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);
    gort_blocking(compute, &n);
    lua_pushinteger(L, n);
    return 1;
}

LUAMOD_API int luaopen_workers(lua_State *L)
{
    static const luaL_Reg functions[] = { { "start", l_start }, { "primes", l_primes }, { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}
