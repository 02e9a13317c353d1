/*
 * gort for Lua 5.4: goroutines, channels, select. `require "gort"`; README.md says what there is.
 *
 * How it works: each goroutine has a lua_State of its own (lua_newthread) and a C stack of its own (gort's), so that it
 * may wait anywhere: in a metamethod, in a comparison of table.sort, inside pcall or a coroutine. All goroutines of a
 * Lua universe run in one lane with limit 1 and GORT_LANE_STRICT: one at a time, which is all the locking that Lua needs.
 * While gort.run() goes on, its calling thread waits and touches nothing of Lua's.
 *
 * The one thing to know: any call that waits lets others of the universe run, so nothing of Lua's may be kept across it
 * but values on one's own Lua stack. And what other threads may cause (the drop of an element that refers to a Lua
 * value) must not touch Lua: it is noted, and done at the next turn of a goroutine.
 */
#include "gortlua.h"

#include <lualib.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

typedef struct universe universe;

/* A goroutine. Those of a universe are in a list, which only its lane touches, or gort.run() outside of it. */
typedef struct goroutine {
    universe *u;
    lua_State *L; /* kept alive by `ref`, in the registry */
    int ref;
    int status; /* of lua_pcall, once it has ended */
    uint64_t id;
    const char *waits; /* what for, if it does; NULL: it has not started */
    char where[LUA_IDSIZE + 16];
    struct goroutine **before, *after;
} goroutine;

/* A Lua value in a channel, kept alive by a reference in the registry. */
typedef struct held {
    gortlua_ref_t face;
    universe *u;
    int ref;
    struct held *after;
} held;

struct universe {
    lua_State *L;          /* the main one; only for its registry, and where nothing can fail */
    atomic_long owners;    /* the Lua state, and each `held` */
    _Atomic(held *) dropped;
    gort_lane_t *lane;     /* NULL: gort.run() does not go on */
    gort_detect_t *detect;
    goroutine *running;    /* the one that has the lane's only slot */
    goroutine *main, *failed;
    goroutine *all;
};

static void disown(universe *u)
{
    if (atomic_fetch_sub(&u->owners, 1) == 1)
        free(u);
}

static universe *universe_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- Values ---- */

/* On any thread, perhaps while Lua runs on another. Pairs with `sweep`. */
static void held_drop(gortlua_ref_t *face)
{
    held *h = (held *)face;
    universe *u = h->u;
    held *head = atomic_load_explicit(&u->dropped, memory_order_relaxed);
    do
        h->after = head;
    while (!atomic_compare_exchange_weak_explicit(&u->dropped, &head, h, memory_order_release, memory_order_relaxed));
}

/* Where Lua may be used, free what was dropped. luaL_unref allocates nothing and cannot fail. */
static void sweep(universe *u)
{
    if (!atomic_load_explicit(&u->dropped, memory_order_relaxed))
        return;
    held *h = atomic_exchange_explicit(&u->dropped, NULL, memory_order_acquire);
    while (h) {
        held *after = h->after;
        luaL_unref(u->L, LUA_REGISTRYINDEX, h->ref);
        free(h);
        disown(u);
        h = after;
    }
}

static void *allocated(lua_State *L, void *memory)
{
    if (!memory)
        luaL_error(L, "not enough memory");
    return memory;
}

/* The value at `index`, for a channel. */
static gortlua_value_t take(lua_State *L, universe *u, int index)
{
    gortlua_value_t v = { .type = GORTLUA_NIL };
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        break;
    case LUA_TBOOLEAN:
        v.type = GORTLUA_BOOLEAN;
        v.u.boolean = lua_toboolean(L, index);
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            v.type = GORTLUA_INTEGER;
            v.u.integer = lua_tointeger(L, index);
        } else {
            v.type = GORTLUA_NUMBER;
            v.u.number = lua_tonumber(L, index);
        }
        break;
    case LUA_TSTRING: {
        const char *bytes = lua_tolstring(L, index, &v.u.string.size);
        v.u.string.bytes = allocated(L, malloc(v.u.string.size + 1));
        memcpy(v.u.string.bytes, bytes, v.u.string.size + 1);
        v.type = GORTLUA_STRING;
        break;
    }
    default: {
        lua_pushvalue(L, index);
        int ref = luaL_ref(L, LUA_REGISTRYINDEX);
        held *h = malloc(sizeof *h);
        if (!h)
            luaL_unref(L, LUA_REGISTRYINDEX, ref);
        *(held *)allocated(L, h) = (held){ { held_drop }, u, ref, NULL };
        atomic_fetch_add(&u->owners, 1);
        v.type = GORTLUA_OTHER;
        v.u.other = &h->face;
    }
    }
    return v;
}

/* Push a value that was received, and clear it. */
static void give(lua_State *L, universe *u, gortlua_value_t *v)
{
    switch (v->type) {
    case GORTLUA_NIL: lua_pushnil(L); break;
    case GORTLUA_BOOLEAN: lua_pushboolean(L, v->u.boolean); break;
    case GORTLUA_INTEGER: lua_pushinteger(L, v->u.integer); break;
    case GORTLUA_NUMBER: lua_pushnumber(L, v->u.number); break;
    case GORTLUA_STRING: lua_pushlstring(L, v->u.string.bytes, v->u.string.size); break;
    case GORTLUA_OTHER: {
        held *h = (held *)v->u.other;
        if (h->u != u) {
            gortlua_clear(v);
            luaL_error(L, "received a value of another Lua state");
        }
        lua_rawgeti(L, LUA_REGISTRYINDEX, h->ref);
        break;
    }
    }
    gortlua_clear(v);
}

static void drop_element(void *elem, void *data)
{
    (void)data;
    gortlua_clear(elem);
}

/* ---- Waiting ---- */

/* Whether the call may wait: in a finalizer it must not, for Lua collects no garbage until that has returned. (That is
 * also how it is told: no other function of lua_gc answers -1.) */
static bool may_wait(lua_State *L, universe *u, const char *reason)
{
    if (lua_gc(L, LUA_GCCOUNT) < 0)
        return false;
    if (u->running)
        u->running->waits = reason;
    return true;
}

static int would_wait(lua_State *L)
{
    return luaL_error(L, "cannot wait in a finalizer");
}

static int64_t nanoseconds(lua_State *L, lua_Number seconds)
{
    luaL_argcheck(L, !isnan(seconds), 1, "not a number of seconds");
    return seconds <= 0 ? 0 : seconds >= 9e9 ? GORT_FOREVER : (int64_t)(seconds * 1e9);
}

static int l_sleep(lua_State *L)
{
    int64_t ns = nanoseconds(L, luaL_checknumber(L, 1));
    if (!may_wait(L, universe_of(L), "sleep"))
        return would_wait(L);
    gort_sleep(ns);
    return 0;
}

static int l_yield(lua_State *L)
{
    if (!may_wait(L, universe_of(L), "runnable"))
        return would_wait(L);
    gort_yield();
    return 0;
}

/* ---- Channels ---- */

static int l_chan(lua_State *L)
{
    lua_Integer capacity = luaL_optinteger(L, 1, 0);
    luaL_argcheck(L, capacity >= 0, 1, "negative capacity");
    gort_chan_t **ch = lua_newuserdatauv(L, sizeof *ch, 0);
    gort_chan_options_t options = GORT_CHAN_OPTIONS_INIT;
    options.drop = drop_element;
    *ch = allocated(L, gort_chan_new_with(sizeof(gortlua_value_t), (size_t)capacity, &options));
    luaL_setmetatable(L, GORTLUA_CHAN);
    return 1;
}

static int chan_send(lua_State *L)
{
    universe *u = universe_of(L);
    gort_chan_t *ch = gortlua_chan(L, 1);
    gortlua_value_t v = take(L, u, 2);
    int status = may_wait(L, u, "chan send") ? gort_chan_send(ch, &v) : gort_chan_try_send(ch, &v);
    if (status == GORT_OK)
        return 0;
    gortlua_clear(&v);
    return status == GORT_EAGAIN ? would_wait(L) : luaL_error(L, "send on closed channel");
}

static int chan_recv(lua_State *L)
{
    universe *u = universe_of(L);
    gort_chan_t *ch = gortlua_chan(L, 1);
    gortlua_value_t v = { .type = GORTLUA_NIL };
    int status = may_wait(L, u, "chan receive") ? gort_chan_recv(ch, &v) : gort_chan_try_recv(ch, &v);
    if (status == GORT_EAGAIN)
        return would_wait(L);
    give(L, u, &v); /* all zero, which is nil, if it is closed */
    lua_pushboolean(L, status == GORT_OK);
    return 2;
}

static int iter_next(lua_State *L)
{
    chan_recv(L);
    lua_pop(L, 1);
    return 1;
}

static int chan_iter(lua_State *L)
{
    gortlua_chan(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, iter_next, 1);
    lua_pushvalue(L, 1);
    return 2;
}

static int chan_close(lua_State *L)
{
    return gort_chan_close(gortlua_chan(L, 1)) == GORT_OK ? 0 : luaL_error(L, "close of closed channel");
}

static int chan_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)gort_chan_len(gortlua_chan(L, 1)));
    return 1;
}

static int chan_gc(lua_State *L)
{
    gort_chan_t **ch = luaL_checkudata(L, 1, GORTLUA_CHAN);
    gort_chan_release(*ch);
    *ch = NULL; /* another finalizer may revive it: gort refuses NULL */
    sweep(universe_of(L));
    return 0;
}

enum { FEW = 8, MANY = 60000 };
static const char receives; /* stands where a case that receives has no value */

/* select{ {recv = ch}, {send = ch, value = v}, ..., timeout = s, default = true }: the index, and of a receive the
 * value and ok; nil and "timeout" or "default". */
static int l_select(lua_State *L)
{
    universe *u = universe_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "default");
    bool has_default = lua_toboolean(L, -1);
    int64_t until = GORT_FOREVER;
    if (lua_getfield(L, 1, "timeout") != LUA_TNIL) {
        int64_t ns = nanoseconds(L, luaL_checknumber(L, -1));
        until = ns == GORT_FOREVER ? ns : gort_now() + ns;
    }
    lua_Integer n = luaL_len(L, 1);
    luaL_argcheck(L, n >= 0 && n <= MANY, 1, "too many cases");
    luaL_checkstack(L, 2 * (int)n + LUA_MINSTACK, "too many cases");
    lua_settop(L, 1);
    /* First all that may raise an error. Each channel stays at [2 + 2 * i] and each value above it, whatever others do
     * to the tables meanwhile. */
    for (int i = 0; i < n; i++) {
        lua_geti(L, 1, i + 1);
        luaL_argcheck(L, lua_istable(L, -1), 1, "a case is no table");
        bool sends = lua_getfield(L, -1, "send") != LUA_TNIL;
        if (!sends) {
            lua_pop(L, 1);
            lua_getfield(L, -1, "recv");
        }
        if (!luaL_testudata(L, -1, GORTLUA_CHAN))
            return luaL_error(L, "gort.select: case %d has no channel", i + 1);
        if (sends)
            lua_getfield(L, -2, "value");
        else
            lua_pushlightuserdata(L, (void *)&receives);
        lua_remove(L, -3);
    }
    /* Not in memory of Lua's: a goroutine that gort.run() leaves behind stays in its channels' queues. */
    struct { gort_case_t c[FEW]; gortlua_value_t v[FEW]; } few;
    gort_case_t *cases = n <= FEW ? few.c : allocated(L, malloc((size_t)n * (sizeof *cases + sizeof(gortlua_value_t))));
    gortlua_value_t *values = n <= FEW ? few.v : (gortlua_value_t *)(cases + n);
    for (int i = 0; i < n; i++) {
        bool sends = lua_touserdata(L, 3 + 2 * i) != &receives;
        values[i] = sends ? take(L, u, 3 + 2 * i) : (gortlua_value_t){ .type = GORTLUA_NIL };
        cases[i] = (gort_case_t){ gortlua_chan(L, 2 + 2 * i), &values[i], sends ? GORT_SEND : GORT_RECV, GORT_OK };
    }
    bool wait = may_wait(L, u, n ? "select" : "select (no cases)");
    int chosen = has_default || !wait ? gort_try_select(cases, (size_t)n) : gort_select_until(cases, (size_t)n, until);
    int op = chosen >= 0 ? cases[chosen].op : 0, status = chosen >= 0 ? cases[chosen].status : chosen;
    gortlua_value_t got = { .type = GORTLUA_NIL };
    for (int i = 0; i < n; i++) {
        if (i == chosen && op == GORT_RECV)
            got = values[i];
        else if (cases[i].op == GORT_SEND && (i != chosen || status != GORT_OK))
            gortlua_clear(&values[i]);
    }
    if (n > FEW)
        free(cases);
    if (chosen == GORT_ETIMEDOUT || (chosen == GORT_EAGAIN && has_default)) {
        lua_pushnil(L);
        lua_pushstring(L, chosen == GORT_EAGAIN ? "default" : "timeout");
        return 2;
    }
    if (chosen < 0)
        return chosen == GORT_EAGAIN ? would_wait(L) : luaL_error(L, "gort.select: %s", gort_strerror(chosen));
    lua_pushinteger(L, chosen + 1);
    if (op == GORT_SEND)
        return status == GORT_OK ? 1 : luaL_error(L, "send on closed channel");
    give(L, u, &got);
    lua_pushboolean(L, status == GORT_OK);
    return 3;
}

/* ---- Goroutines ---- */

static void forget(goroutine *g)
{
    if ((*g->before = g->after))
        g->after->before = g->before;
    luaL_unref(g->u->L, LUA_REGISTRYINDEX, g->ref);
    free(g);
}

/* What pcall makes of an error: its text, and where. */
static int explain(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

static void body(void *arg)
{
    goroutine *g = arg;
    universe *u = g->u;
    g->id = gort_id();
    g->waits = "running";
    g->status = lua_pcall(g->L, lua_gettop(g->L) - 2, g == u->main ? LUA_MULTRET : 0, 1);
    if (g->status != LUA_OK && !u->failed)
        u->failed = g;
    if (g == u->main || g == u->failed)
        gort_detect_done(u->detect);
}

static void hook_turn(void *data, void *arg)
{
    universe *u = data;
    u->running = arg;
    sweep(u);
}

static void hook_leave(void *data, void *arg)
{
    (void)arg;
    ((universe *)data)->running = NULL;
}

static void hook_end(void *data, void *arg)
{
    universe *u = data;
    u->running = NULL;
    ((goroutine *)arg)->waits = "ended"; /* by gort_exit(), if body() did not get there */
    if (arg != u->main && arg != u->failed) /* gort.run() wants to see those */
        forget(arg);
}

/* Start the function at the bottom of L with what is above it. */
static goroutine *start(lua_State *L, universe *u)
{
    lua_Debug here;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    int n = lua_gettop(L);
    luaL_checkstack(L, 2, NULL);
    lua_State *co = lua_newthread(L);
    if (!lua_checkstack(co, n + LUA_MINSTACK))
        luaL_error(L, "too many arguments");
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    goroutine *g = malloc(sizeof *g);
    if (!g) {
        luaL_unref(L, LUA_REGISTRYINDEX, ref);
        luaL_error(L, "not enough memory");
    }
    *g = (goroutine){ .u = u, .L = co, .ref = ref, .before = &u->all, .after = u->all };
    if (g->after)
        g->after->before = &g->after;
    u->all = g;
    lua_pushcfunction(co, explain);
    lua_xmove(L, co, n);
    lua_pushvalue(co, 2);
    lua_getinfo(co, ">S", &here);
    snprintf(g->where, sizeof g->where, "%s:%d", here.short_src, here.linedefined);
    gort_spawn_options_t options = GORT_SPAWN_OPTIONS_INIT;
    options.lane = u->lane;
    options.name = g->where;
    if (!u->main)
        u->main = g;
    int status = gort_spawn_with(&options, body, g);
    if (status != GORT_OK) {
        forget(g);
        luaL_error(L, "gort.go: %s", gort_strerror(status));
    }
    return g;
}

static int l_go(lua_State *L)
{
    universe *u = universe_of(L);
    if (!u->lane)
        return luaL_error(L, "gort.go outside of gort.run, or not enough memory for that");
    start(L, u);
    return 0;
}

/* ---- gort.run ---- */

static void describe(lua_State *L, luaL_Buffer *text, goroutine *g)
{
    lua_pushfstring(L, "\n\ngoroutine %I [%s] of %s\n", (LUAI_UACINT)g->id, g->waits, g->where);
    luaL_addvalue(text);
    luaL_traceback(L, g->L, NULL, 0);
    luaL_addvalue(text);
}

/* Nobody can wake anybody: say where each is. The newest is the first of the list. */
static int deadlock(lua_State *L, universe *u)
{
    luaL_Buffer text;
    int shown = 0, more = 0;
    luaL_buffinit(L, &text);
    luaL_addstring(&text, "all goroutines are asleep - deadlock!");
    for (goroutine *g = u->all; g; g = g->after)
        if (g == u->main)
            describe(L, &text, g);
    for (goroutine *g = u->all; g; g = g->after) {
        if (g == u->main)
            continue;
        if (shown++ < 20)
            describe(L, &text, g);
        else
            more++;
    }
    if (more) {
        lua_pushfstring(L, "\n\n... and %d more", more);
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    return 1;
}

static int outcome(lua_State *L)
{
    universe *u = lua_touserdata(L, 1);
    int status = (int)lua_tointeger(L, 2);
    if (u->failed) {
        const char *said = lua_tostring(u->failed->L, -1);
        lua_pushfstring(L, "goroutine %I (%s): %s", (LUAI_UACINT)u->failed->id, u->failed->where, said ? said : "?");
    } else if (status == GORT_EDEADLK) {
        deadlock(L, u);
    } else {
        lua_pushstring(L, "interrupted");
    }
    return 1;
}

/* Run a function as the main goroutine, with this thread waiting: in slices, for the interpreter's handler of SIGINT
 * leaves a hook for this thread to find. */
static int l_run(lua_State *L)
{
    universe *u = universe_of(L);
    int err, failed;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (u->lane)
        return luaL_error(L, "gort.run inside of gort.run");
    gort_lane_hooks_t hooks = GORT_LANE_HOOKS_INIT;
    hooks.goroutine_start = hooks.goroutine_resume = hook_turn;
    hooks.goroutine_leave = hook_leave;
    hooks.goroutine_end = hook_end;
    gort_lane_options_t options = GORT_LANE_OPTIONS_INIT;
    options.limit = 1;
    options.flags = GORT_LANE_STRICT;
    options.stack_size = 1 << 20; /* Lua allows 200 C calls within each other; only touched pages cost anything */
    options.name = "lua";
    options.hooks = &hooks;
    options.data = u;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, l_go, 1);
    lua_insert(L, 1);
    u->main = u->failed = NULL;
    u->detect = gort_detect_begin(&err);
    if (!u->detect)
        return luaL_error(L, "gort.run: %s", gort_strerror(err));
    u->lane = gort_lane_new(&options);
    lua_Hook hook = lua_gethook(u->L); /* before anything runs that could have the signal sent */
    /* In a protected call, for what was begun must be ended. */
    failed = lua_pcall(L, lua_gettop(L) - 1, 0, 0);
    err = GORT_OK;
    if (!failed) {
        do
            err = gort_detect_wait(u->detect, gort_now() + 50 * GORT_MILLISECOND, -1);
        while (err == GORT_ETIMEDOUT && lua_gethook(u->L) == hook);
    }
    /* From here on nothing of the lane runs: Lua is this thread's again. */
    gort_lane_close(u->lane, GORT_FOREVER);
    gort_lane_release(u->lane);
    u->lane = NULL;
    gort_detect_release(u->detect);
    sweep(u);
    int results = 0;
    if (!failed) {
        if (err == GORT_OK && !u->failed) {
            results = lua_gettop(u->main->L) - 1;
            failed = !lua_checkstack(L, results + LUA_MINSTACK);
            if (failed)
                lua_pushliteral(L, "too many results");
            else
                lua_xmove(u->main->L, L, results);
        } else {
            failed = 1;
            lua_pushcfunction(L, outcome);
            lua_pushlightuserdata(L, u);
            lua_pushinteger(L, err);
            lua_pcall(L, 2, 1, 0);
        }
    }
    /* Those that still wait go on no more; their Lua values are garbage. */
    while (u->all)
        forget(u->all);
    return failed ? lua_error(L) : results;
}

/* ---- The module ---- */

static int universe_gc(lua_State *L)
{
    universe *u = *(universe **)lua_touserdata(L, 1);
    sweep(u);
    disown(u);
    return 0;
}

static const luaL_Reg functions[] = { { "go", l_go },       { "run", l_run },     { "chan", l_chan }, { "select", l_select },
                                      { "sleep", l_sleep }, { "yield", l_yield }, { NULL, NULL } };
static const luaL_Reg methods[] = { { "send", chan_send },   { "recv", chan_recv }, { "iter", chan_iter }, { "close", chan_close },
                                    { "__len", chan_len }, { "__gc", chan_gc },   { NULL, NULL } };

LUAMOD_API int luaopen_gort(lua_State *L)
{
    universe **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    universe *u = *slot = allocated(L, calloc(1, sizeof *u));
    atomic_init(&u->owners, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    u->L = lua_tothread(L, -1);
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, universe_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    luaL_ref(L, LUA_REGISTRYINDEX); /* to the end of the Lua state */

    luaL_newmetatable(L, GORTLUA_CHAN);
    lua_pushlightuserdata(L, u);
    luaL_setfuncs(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);

    luaL_newlibtable(L, functions);
    lua_pushlightuserdata(L, u);
    luaL_setfuncs(L, functions, 1);
    return 1;
}
