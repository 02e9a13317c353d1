/*
 * What travels through the channels of gort.c: for C code that shares a channel with Lua.
 *
 * The one thing to know: a value owns what it points to. It is given away by a send that succeeds and taken over by a
 * receive; whoever keeps one calls gortlua_clear(). A value that C cannot understand (a table, say) is a reference into
 * its Lua state, which C can pass on or clear, from any thread, but not look into.
 */
#ifndef GORTLUA_H
#define GORTLUA_H

#include <gort.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#define GORTLUA_CHAN "gort.chan" /* the type of a channel in Lua: a full userdata that holds a gort_chan_t * */

typedef struct gortlua_ref_t {
    void (*drop)(struct gortlua_ref_t *ref);
} gortlua_ref_t;

typedef struct gortlua_value_t {
    enum { GORTLUA_NIL, GORTLUA_BOOLEAN, GORTLUA_INTEGER, GORTLUA_NUMBER, GORTLUA_STRING, GORTLUA_OTHER } type;
    union {
        int boolean;
        lua_Integer integer;
        lua_Number number;
        struct {
            char *bytes; /* from malloc */
            size_t size;
        } string;
        gortlua_ref_t *other;
    } u;
} gortlua_value_t;

/* The channel at `index`, borrowed: retain it for what outlives the call. */
static inline gort_chan_t *gortlua_chan(lua_State *L, int index)
{
    return *(gort_chan_t **)luaL_checkudata(L, index, GORTLUA_CHAN);
}

/* Free what a value owns. */
static inline void gortlua_clear(gortlua_value_t *value)
{
    if (value->type == GORTLUA_STRING)
        free(value->u.string.bytes);
    else if (value->type == GORTLUA_OTHER)
        value->u.other->drop(value->u.other);
    value->type = GORTLUA_NIL;
}

#endif
