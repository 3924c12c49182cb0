/*
 * views: what the functions of conf/ are given to read besides the request: accounts, a failure, a
 * response, an attempt. Used by script_policy.c, script.c and api_accounts.c. Worker;
 * single-threaded.
 *
 * An account in Lua is a light userdata: the number of the call, the list that the account is in,
 * its place there and what is meant (the account, its limits, its tags) in one word. So a call
 * makes no garbage, and an account that was kept from an earlier call is known by its number. The
 * list of all accounts of a provider, and the provider, are such words, too. Scripts get no light
 * userdata from elsewhere and cannot make one.
 */
#ifndef GATE_SCRIPT_VIEWS_H
#define GATE_SCRIPT_VIEWS_H

#include "script/policy.h"

#include <lua.h>

enum {
    GATE_VIEWS_SOURCES = 64,     /* lists of accounts in one call */
    GATE_VIEWS_ACCOUNTS = 65536, /* of one list */
};

/* What gate.provider tells. */
struct gate_provider_sums {
    size_t accounts, serving;
    uint64_t in_flight, requests_minute, requests_day, tokens_day;
    uint64_t left_today; /* of those that can serve today; UINT64_MAX: one has no limit */
    uint64_t latency_us; /* 0: not known */
};

struct gate_view_slot;

/* A list of accounts that scripts can see in one call. */
struct gate_view_source {
    const struct gate_accounts_view *all; /* NULL: what select was offered */
    size_t first, count;                  /* of `all` */
    struct gate_view_slot *slots;         /* owned; facts that were read, by place */
    size_t slot_count;
    uint64_t sums_serial; /* of the call whose sums these are */
    struct gate_provider_sums sums;
};

/* One state's side of the views. Zeroed by its owner; must outlive the state. */
struct gate_views {
    const struct gate_select_view *accounts;   /* set during a call of select, else NULL */
    const struct gate_error_view *failure;     /* set during a call of on_error, else NULL */
    const struct gate_response_view *response; /* set during a call of on_response, else NULL */
    uint64_t serial;                           /* of the call */
    size_t source_count;                       /* in use in this call; 0 is that of select */
    struct gate_view_source sources[GATE_VIEWS_SOURCES];
};

/* Makes the objects in a new state. Inside a call of the sandbox; may raise. */
void gate_views_open(lua_State *L, struct gate_views *views);
void gate_views_finish(struct gate_views *views);

/* At the start of every call of the sandbox: accounts of earlier calls become unreadable. */
void gate_views_next(struct gate_views *views);

/* Around a call of select. GATE_ELIMIT: more accounts than an account's word can number. */
enum gate_status gate_views_begin(struct gate_views *views, const struct gate_select_view *accounts,
                                  struct gate_error *err);
void gate_views_end(struct gate_views *views);

/* ---- inside a call (all of these may raise) */

/* Push the arguments, the same objects at every call. */
void gate_views_push_accounts(lua_State *L, const struct gate_views *views);
void gate_views_push_failure(lua_State *L);
void gate_views_push_attempt(lua_State *L);
void gate_views_push_response(lua_State *L);
void gate_views_push_response_attempt(lua_State *L);

/* The account on the stack at `at`; raises for one of an earlier call. False: the value is no
 * account. *source 0: one of those that select was offered. */
bool gate_views_account(lua_State *L, const struct gate_views *views, int at, size_t *source,
                        size_t *place);
/* Facts of an account, read once in each call. place is below the count of the source. */
const struct gate_account_facts *gate_views_facts(struct gate_views *views, size_t source,
                                                  size_t place);

/* Push all accounts of a provider, or its sums, as gate.accounts and gate.provider do; nil when
 * there is no such provider. The views are those that were opened in this state. */
void gate_views_push_list(lua_State *L, const struct gate_accounts_view *all,
                          struct gate_str provider);
void gate_views_push_provider(lua_State *L, const struct gate_accounts_view *all,
                              struct gate_str provider);

#endif
