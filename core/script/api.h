/*
 * api: what a script sees of the gateway: the request view and the `gate` table, and the parts that
 * other read-only objects (views.c) are made of. Used by script.c, views.c and generation.c. Worker
 * (or control thread while a generation is loaded); single-threaded.
 */
#ifndef GATE_SCRIPT_API_H
#define GATE_SCRIPT_API_H

#include "script/script.h"

#include <lua.h>

enum {
    GATE_API_LOG_LINES = 20,    /* lines of one state in one second; more are counted only */
    GATE_API_LOG_MESSAGE = 500, /* bytes of one message; the rest is cut */
    GATE_API_FIELDS = 32,       /* of one object */
};

/* One state's side of the API. Zeroed by its owner, who sets kv, counters and wall_ms; must outlive
 * the state. */
struct gate_api {
    const struct gate_route_view *view; /* set during a call of the script, else NULL */
    struct gate_kv *kv;                 /* lent; NULL: there are no notes, and their use raises */
    struct gate_counters *counters;     /* lent, as kv */
    bool silent;                        /* trying out: gate.log writes nothing */
    uint64_t wall_ms;                   /* what gate.now says; 0: the real time */
    uint64_t random[4];                 /* state of gate.random; seeded by gate_api_open */
    uint64_t log_second;
    uint32_t log_lines;
    uint32_t log_dropped; /* lines of log_second that were too many */
};

/* gate_sandbox_setup.globals: adds `gate` to the table on top of the stack and makes the request
 * object. ctx is a struct gate_api. */
void gate_api_open(lua_State *L, void *ctx);
/* Pushes the request object, the same at every call. It reads api->view. */
void gate_api_push_request(lua_State *L);
/* The function behind gate.hash. */
uint64_t gate_api_hash(struct gate_str s);

/* ---- read-only objects; all of these may raise */

void gate_api_push_str(lua_State *L, struct gate_str s);
void gate_api_push_count(lua_State *L, uint64_t n); /* at most math.maxinteger */
/* Pushes what gate_api_field finds fields by: names[i] is field i. At most GATE_API_FIELDS. */
void gate_api_push_fields(lua_State *L, const char *const *names, int count);
/* In an __index function: the number of the field that is asked for, by the upvalue that
 * gate_api_push_fields made. An unknown field raises "<owner> has no field '...'". */
int gate_api_field(lua_State *L, int upvalue, const char *owner);
/* Turns the __index function on top of the stack into a metatable that hides itself and refuses
 * writes. */
void gate_api_make_metatable(lua_State *L, const char *name);
/* Turns the __index function on top of the stack into an object with such a metatable. */
void gate_api_make_object(lua_State *L, const char *name);
/* In the __index function of an object with headers: pushes the value of the header that is asked
 * for, or nil. Their names are lower case; that of the script may be in any. */
void gate_api_push_header(lua_State *L, const struct gate_header *headers, size_t count);

/* ---- between api*.c: each adds its functions to the table on top of the stack */

void gate_api_add_time(lua_State *L, struct gate_api *api);
void gate_api_add_notes(lua_State *L, struct gate_api *api);
void gate_api_add_accounts(lua_State *L, struct gate_api *api);

#endif
