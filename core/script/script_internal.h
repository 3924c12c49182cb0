/*
 * script_internal: one worker's Lua state, as script.c, decision.c, models.c and script_policy.c
 * share it. Nobody else includes it.
 */
#ifndef GATE_SCRIPT_SCRIPT_INTERNAL_H
#define GATE_SCRIPT_SCRIPT_INTERNAL_H

#include "script/api.h"
#include "script/generation.h"
#include "script/views.h"

/* A function that a file of conf/ gave to the gateway. */
struct gate_script_function {
    const char *file, *name; /* for messages; file NULL: there is no such function */
    int line;                /* where it is defined */
};

struct gate_script_functions {
    struct gate_script_function route, select, on_error, on_response;
};

struct gate_script {
    struct gate_generation *generation;
    struct gate_sandbox *sandbox; /* NULL: there is no file that it would hold */
    struct gate_api api;
    struct gate_script_host notes; /* what api has, but for the time in which files are loaded */
    uint64_t next_build_us;        /* monotonic: a poisoned state is not built anew before */
    bool owns_notes;               /* they belong to this state */
    struct gate_views views;
    struct gate_script_functions functions;
    struct gate_edits *edit_room;  /* of decision_edits.c; owned, NULL until a target has edits */
    char stack[GATE_SCRIPT_STACK]; /* of the last call that failed: `sandbox` may be a newer one */
};

/* Argument of the calls that load a file into a new state. */
struct gate_script_load {
    struct gate_generation *generation;
    struct gate_script_functions *functions; /* out */
};

/* Calls fn(L) with arg on behalf of a function of the file `file`; afterwards builds the state anew
 * if the script failed and holds most of its memory. Each is a new call for s->views: it begins
 * with gate_views_next. */
enum gate_status gate_script_call(struct gate_script *s, const char *file,
                                  const struct gate_sandbox_limits *limits, lua_CFunction fn,
                                  void *arg, struct gate_error *err);

/* ---- inside a call (all of these may raise) */

/* Takes the function on top of the stack off it and keeps it in the registry. */
void gate_script_keep(lua_State *L, struct gate_script_function *f, const char *file,
                      const char *name, const void *key);
/* Raises "file:line: name returned ...". */
__attribute__((noreturn, format(printf, 3, 4))) void
gate_script_refuse(lua_State *L, const struct gate_script_function *f, const char *format, ...);
/* The table on top of the stack is a list from 1 on: returns its last index, 0 if it is no list but
 * has other keys or none. A list with other keys raises; the items may still have holes. */
lua_Integer gate_script_list(lua_State *L, const struct gate_script_function *f);

/* Runs conf/models.lua in a new state and keeps its functions. While the generation is being loaded
 * its entries are checked and kept there. The argument is a struct gate_script_load. */
int gate_script_load_models(lua_State *L);

/* Runs conf/routing.lua in a new state and keeps route. The argument is a struct gate_script_load.
 */
int gate_script_load_routing(lua_State *L);

/* Runs conf/accounts.lua in a new state and keeps its functions. While the generation is being
 * loaded its data is checked and kept there. The argument is a struct gate_script_load. */
int gate_script_load_accounts(lua_State *L);

#endif
