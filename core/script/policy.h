/*
 * policy: conf/accounts.lua, as pool and request see it: which account of a provider instance
 * serves a request, what it may use, and what happens when it fails. The file returns one table:
 *
 *     return {
 *         strategy = "round_robin",                   -- or a name of gate_strategy_names
 *         limits = { chat = { rpm = 60, rpd = 2000 }, search = { rpd = 100 } },
 *         accounts = {                                -- by id or alias
 *             ["qwen/0"] = { limits = { chat = { tpm = 100000 } }, weight = 3, tags = { "paid" } },
 *         },
 *         select = function(accounts, req) ... end,   -- nil: the strategy decides
 *         on_error = function(failure, attempt, req) ... end, -- nil: the gateway's own rule
 *         on_response = function(response, attempt, req) ... end, -- may rest an account
 *     }
 *
 * Every key may be missing, and so may the file. The table without its functions is data of the
 * generation; the functions live in each worker's state.
 */
#ifndef GATE_SCRIPT_POLICY_H
#define GATE_SCRIPT_POLICY_H

#include "base/limits.h"
#include "script/script.h"

enum {
    GATE_POLICY_MAX_RULES = 4096,  /* entries of `accounts` */
    GATE_POLICY_MAX_TAGS = 16,     /* tags of one account */
    GATE_POLICY_MAX_TAG = 64,      /* bytes of one tag: [A-Za-z0-9_.:-] */
    GATE_POLICY_MAX_WEIGHT = 1000, /* weight is a whole number from 0 (never) */
    GATE_POLICY_MAX_SELECTED = 64, /* accounts that select may order */
    GATE_POLICY_MAX_COOLDOWN_MS = 86400000,
};

enum gate_strategy {
    GATE_STRATEGY_ROUND_ROBIN = 0, /* each in turn */
    GATE_STRATEGY_LEAST_USED,      /* fewest requests today */
    GATE_STRATEGY_LEAST_INFLIGHT,  /* fewest running requests */
    GATE_STRATEGY_FASTEST,         /* shortest time to the first byte of late */
    GATE_STRATEGY_WEIGHTED,        /* in proportion to weight */
    GATE_STRATEGY_RESET_FIRST,     /* the quota that starts anew first is spent first */
    GATE_STRATEGY_STICKY,          /* a conversation stays with its account */
    GATE_STRATEGIES,
};
extern const char *const gate_strategy_names[GATE_STRATEGIES];

/* What accounts.lua says of one account. */
struct gate_account_rule {
    struct gate_str account; /* id or alias */
    struct gate_limits_rule limits;
    bool has_weight;
    uint32_t weight;
    const struct gate_str *tags; /* added to the account's own */
    size_t tag_count;
};

/* The data of accounts.lua. Never NULL; without the file strategy is round_robin and nothing else
 * is set. Any thread; valid as long as g. */
struct gate_account_policy {
    enum gate_strategy strategy;
    struct gate_limits_rule limits;        /* of every account */
    const struct gate_account_rule *rules; /* sorted by `account` */
    size_t rule_count;
};
const struct gate_account_policy *gate_generation_policy(const struct gate_generation *g);
/* The rule for an account, found by id first and then by alias; NULL: none. O(log n). */
const struct gate_account_rule *gate_policy_rule(const struct gate_account_policy *p,
                                                 struct gate_str id, struct gate_str alias);

/* ---- select(accounts, req) */

/* One account that could serve, as Lua sees it: a.id, a.alias, a.provider, a.kind ("api_key",
 * "oauth", "none"), a.tags (list; a:has_tag("x")), a.weight, a.in_flight, a.latency_ms (nil: not
 * known yet), a.requests_minute, a.requests_day, a.tokens_minute, a.tokens_day, a.resets_in_ms (to
 * the end of its day), a.limits.rpm .rpd .tpm .tpd .concurrency (0: none), a.cooling (true only for
 * accounts that are offered as a last resort), a.state, a.until_ms (nil: not known). Read-only. */
struct gate_account_facts {
    struct gate_str id, alias, provider;
    enum gate_credential_kind kind;
    const struct gate_str *tags;
    size_t tag_count;
    uint32_t weight;
    uint64_t latency_us; /* 0: not known */
    struct gate_quota_numbers numbers;
    struct gate_limits limits;
    uint64_t now_ms; /* Unix */
    bool cooling;
    const char *state; /* "serving", "cooling", "limited", "exhausted", "needs_sign_in",
                          "no_credential", "disabled"; a literal */
    uint64_t until_ms; /* Unix: when that ends by itself; 0: not known */
    uint64_t hash;     /* of the id; not for scripts */
    bool last_resort;  /* cooling, and asked all the same when nobody else can serve; in snapshots
                          (request/trace.h) only; not for scripts */
};

/* All accounts, for gate.accounts(provider) (a list as select gets it, with the same fields) and
 * gate.provider(provider) (sums: accounts, serving, in_flight, requests_minute, requests_day,
 * tokens_day, requests_left_today (of those that serve, cool down or are limited; nil: one of these
 * has no limit), latency_ms (of the fastest serving one; nil)). Lent for the call. At most 65,536
 * accounts of one instance. */
struct gate_accounts_view {
    /* Where the instance's accounts are; false: there is no such instance. */
    bool (*find)(void *ctx, struct gate_str provider, size_t *first, size_t *count);
    void (*read)(void *ctx, size_t index, struct gate_account_facts *out);
    void *ctx;
};

/* Lent for the call. read sets every field of the facts of one of `count` accounts; its strings
 * live as long as the call. It is called once in a call, and only for accounts that the script
 * looks at. At most 65,536 accounts. */
struct gate_select_view {
    size_t count;
    void (*read)(void *ctx, size_t index, struct gate_account_facts *out);
    void *ctx;
    /* Is this the id or alias of an account of the provider that is not on offer now? Such a name
     * is passed over. NULL: none is. */
    bool (*known)(void *ctx, struct gate_str name);
};

struct gate_selection {
    size_t order[GATE_POLICY_MAX_SELECTED]; /* indices, best first, none twice */
    size_t count;                           /* 0 and not only: nil, the strategy decides */
    bool only; /* the script named these and wants no other, also when none of them is on offer */
};

bool gate_script_has_select(const struct gate_script *s);
/* Worker. Calls select(accounts, req). It returns nil, an account, an id or alias, or a list of
 * these. An account that is not among those offered is a script error that says so.
 * GATE_EINTERNAL: the script failed; err says file:line and why; the state stays usable. */
enum gate_status gate_script_select(struct gate_script *s, const struct gate_select_view *accounts,
                                    const struct gate_route_view *req, struct gate_selection *out,
                                    struct gate_error *err);

/* ---- on_error(failure, attempt, req) */

enum gate_action {
    GATE_ACTION_DEFAULT = 0, /* nil: the gateway's own rule */
    GATE_ACTION_RETRY,       /* "retry": the same account once more */
    GATE_ACTION_NEXT_ACCOUNT,
    GATE_ACTION_NEXT_TARGET,
    GATE_ACTION_FAIL,
    GATE_ACTIONS,
};
extern const char *const gate_action_names[GATE_ACTIONS]; /* "default" first */

/* In Lua: failure.kind ("auth", "rate_limited", "quota_exhausted", "overloaded", "blocked",
 * "client_error", "network", "truncated", "timeout", "garbage"), .status (0: none), .code,
 * .message, .retry_after_ms (nil: not said); attempt.number (from 1), .account (id), .alias,
 * .provider, .model, .elapsed_ms (of the request), .default (what the gateway would do, as the name
 * of an action), .cooldown_ms (what it would set). */
struct gate_error_view {
    const struct gate_verdict *verdict;
    int status;
    uint32_t number;
    struct gate_str account, alias, provider, model;
    uint64_t elapsed_ms;
    enum gate_action fallback;
    uint64_t cooldown_ms;
};

struct gate_error_decision {
    enum gate_action action;
    bool has_cooldown;
    uint64_t cooldown_ms; /* 0: none */
};

bool gate_script_has_on_error(const struct gate_script *s);
/* Worker. Calls on_error. It returns nil, the name of an action, or a table {action = "...",
 * cooldown_ms = n} whose keys may be missing. Errors as gate_script_select. */
enum gate_status gate_script_on_error(struct gate_script *s, const struct gate_error_view *failure,
                                      const struct gate_route_view *req,
                                      struct gate_error_decision *out, struct gate_error *err);

/* ---- on_response(response, attempt, req) */

/* In Lua: response.status, .stream, .first_token_ms (nil: no byte came), .total_ms, .prompt_tokens,
 * .completion_tokens, .estimated (the tokens are), .headers["x-ratelimit-remaining-requests"] (only
 * headers that begin with x-ratelimit-; nil: not sent); attempt as for on_error, without .default
 * and .cooldown_ms. */
struct gate_response_view {
    int status;
    bool stream, estimated;
    int64_t first_us; /* -1: none */
    uint64_t total_us;
    struct gate_usage usage;
    const struct gate_header *headers; /* lower case names */
    size_t header_count;
    uint32_t number;
    struct gate_str account, alias, provider, model;
};

struct gate_response_decision {
    uint64_t cooldown_ms; /* 0: none */
};

bool gate_script_has_on_response(const struct gate_script *s);
/* Worker, after a good answer has ended. It returns nil or { cooldown_ms = n }: the account rests
 * that long. Errors as gate_script_select; the answer is not touched. */
enum gate_status gate_script_on_response(struct gate_script *s,
                                         const struct gate_response_view *response,
                                         const struct gate_route_view *req,
                                         struct gate_response_decision *out,
                                         struct gate_error *err);

/* "auth", "rate_limited", ...: the names of verdicts in Lua, JSON and the audit. */
const char *gate_verdict_name(enum gate_verdict_kind kind);

#endif
