/*
 * decision: reads what route returned, between the decision*.c. Nobody else includes it. Everything
 * runs inside a call of the sandbox and may raise, so every block that is allocated belongs to the
 * decision or to the state at once.
 */
#ifndef GATE_SCRIPT_DECISION_H
#define GATE_SCRIPT_DECISION_H

#include "script/script_internal.h"

enum {
    GATE_DECISION_SHOWN = 64,       /* bytes of a foreign key in messages */
    GATE_DECISION_MAX_HEADER = 128, /* bytes of a header's name */
    GATE_DECISION_MAX_VALUE = 4096, /* bytes of its value */
    GATE_DECISION_MAX_FIELD = 128,  /* bytes of the name of a field of the body */
    GATE_DECISION_MAX_DEPTH = 16,   /* tables in each other that become JSON */
    GATE_DECISION_MAX_TOKENS = 1 << 30,
};

struct gate_decision_call {
    const struct gate_script_function *route;
    const struct gate_route_view *req;
    struct gate_decision *out;
    struct gate_edits **room; /* gate_script.edit_room */
    bool in_list;             /* the target that is being read is one of a list */
    bool has_edits;           /* it has headers or a body */
    size_t edit_len;          /* bytes of text of these */
};

/* Adds the string or target table on top of the stack to the decision. */
void gate_decision_read_target(lua_State *L, struct gate_decision_call *call);
/* The reason on top of the stack. The first one counts. */
void gate_decision_read_reason(lua_State *L, const struct gate_decision_call *call);

/* ---- of a target */

/* The value on top of the stack is a plain table. `what` is its key in a target. */
void gate_decision_check_table(lua_State *L, const struct gate_decision_call *call,
                               const char *what, const char *expected);
/* The whole number on top of the stack. what: "a target whose idle_ms"; expected: "whole
 * milliseconds". */
lua_Integer gate_decision_read_whole(lua_State *L, const struct gate_decision_call *call,
                                     const char *what, const char *expected, lua_Integer min,
                                     lua_Integer max);
/* Refuses the key at the place under the top: it is unknown, or no string. */
__attribute__((noreturn)) void gate_decision_refuse_key(lua_State *L,
                                                        const struct gate_decision_call *call,
                                                        const char *owner, const char *expected);

/* The fields `headers` and `body` of a target, on top of the stack. */
void gate_decision_read_headers(lua_State *L, struct gate_decision_call *call);
void gate_decision_read_body(lua_State *L, struct gate_decision_call *call);
/* When all fields of the target are read and has_edits is set: what they gave, in order, in a block
 * of its own. Owner: caller, who must let the decision have it before anything raises. NULL: they
 * said nothing. */
struct gate_edits *gate_decision_pack_edits(lua_State *L, const struct gate_decision_call *call);

/* ---- of its edits: append to their text; too much raises */

void gate_decision_put(lua_State *L, struct gate_decision_call *call, struct gate_edits *e,
                       struct gate_str bytes);
/* The value on top of the stack as JSON, whose members are in order of their names. `field` is that
 * of body.set. */
void gate_decision_put_json(lua_State *L, struct gate_decision_call *call, struct gate_edits *e,
                            const char *field);

#endif
