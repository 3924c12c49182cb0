/*
 * views: what select and on_error of conf/accounts.lua are given: the accounts that could serve, a
 * failure, an attempt. Used by script_policy.c and script.c. Worker; single-threaded.
 *
 * An account in Lua is a light userdata: the number of the call, the account's place and what is
 * meant (the account, its limits, its tags) in one word. So a call makes no garbage, and an account
 * that was kept from an earlier call is known by its number. Scripts get no light userdata from
 * elsewhere and cannot make one.
 */
#ifndef GATE_SCRIPT_VIEWS_H
#define GATE_SCRIPT_VIEWS_H

#include "script/policy.h"

#include <lua.h>

struct gate_view_slot;

/* One state's side of the views. Zeroed by its owner; must outlive the state. */
struct gate_views {
    const struct gate_select_view *accounts; /* set during a call of select, else NULL */
    const struct gate_error_view *failure;   /* set during a call of on_error, else NULL */
    uint64_t serial;                         /* of the call of select */
    struct gate_view_slot *slots;            /* owned; facts that were read, by place */
    size_t slot_count;
};

/* Makes the objects in a new state. Inside a call of the sandbox; may raise. */
void gate_views_open(lua_State *L, struct gate_views *views);
void gate_views_finish(struct gate_views *views);

/* Around a call of select. GATE_ELIMIT: more accounts than an account's word can number. */
enum gate_status gate_views_begin(struct gate_views *views, const struct gate_select_view *accounts,
                                  struct gate_error *err);
void gate_views_end(struct gate_views *views);

/* Push the arguments, the same objects at every call. */
void gate_views_push_accounts(lua_State *L, const struct gate_views *views);
void gate_views_push_failure(lua_State *L);
void gate_views_push_attempt(lua_State *L);

/* The place of the account on the stack at `at`; raises for one of an earlier call. False: the
 * value is no account. */
bool gate_views_account(lua_State *L, const struct gate_views *views, int at, size_t *place);
/* Facts of an account, read once in each call. place < accounts->count. */
const struct gate_account_facts *gate_views_facts(struct gate_views *views, size_t place);

/* Between views.c and views_failure.c: makes the failure and the attempt. */
void gate_views_open_failure(lua_State *L, struct gate_views *views);

#endif
