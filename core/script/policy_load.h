/*
 * policy_load: checks what conf/accounts.lua returned and keeps its data in C memory. Used by
 * script_policy.c while generation.c loads a generation. Control thread.
 */
#ifndef GATE_SCRIPT_POLICY_LOAD_H
#define GATE_SCRIPT_POLICY_LOAD_H

#include "script/policy.h"

#include <lua.h>

struct gate_policy_block;

/* The data of accounts.lua and the memory that it lies in. Zeroed by its owner, the generation. */
struct gate_policy_store {
    struct gate_account_policy policy;
    struct gate_policy_block *blocks; /* owned; all memory that policy points to */
};

/* Inside a call of the sandbox. The value on top of the stack is what the file returned; it stays
 * there. Raises an error that names the key, what it says and what was expected; `out` is then to
 * be finished like any other. */
void gate_policy_read(lua_State *L, struct gate_policy_store *out);
void gate_policy_store_finish(struct gate_policy_store *store);

#endif
