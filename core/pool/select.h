/*
 * select: which account of a target's instance serves a request, and why the others do not. Used by
 * request/exchange; worker thread. Looks at every account of the instance once, picks by strategy
 * (or by the order that a script gave), reserves quota for the pick, and goes on to the next one
 * when that is refused, so an account that is full costs no time.
 */
#ifndef GATE_POOL_SELECT_H
#define GATE_POOL_SELECT_H

#include "pool/health.h"
#include "script/policy.h"

enum gate_skip {
    GATE_SKIP_NONE = 0, /* it could serve */
    GATE_SKIP_DISABLED,
    GATE_SKIP_NO_CREDENTIAL,
    GATE_SKIP_SIGN_IN,
    GATE_SKIP_COOLING,
    GATE_SKIP_LIMITED,
    GATE_SKIP_EXHAUSTED,
    GATE_SKIP_PROBING,      /* another request probes it just now */
    GATE_SKIP_QUOTA,        /* `limit` is full */
    GATE_SKIP_EXPIRED,      /* its token must be refreshed first */
    GATE_SKIP_MODEL,        /* it does not serve the model */
    GATE_SKIP_TRIED,        /* this request has tried it */
    GATE_SKIP_TAGS,         /* it does not have the tags that the target asks for */
    GATE_SKIP_NOT_SELECTED, /* select(accounts, req) did not name it, or its weight is 0 */
};
extern const char *const gate_skip_names[];

/* One account that was looked at and passed by. */
struct gate_skipped {
    uint32_t index; /* in the table */
    enum gate_skip skip;
    enum gate_limit_name limit; /* for GATE_SKIP_QUOTA */
    uint64_t until_ms;          /* Unix: when it may serve again; 0: not known */
};

enum { GATE_SELECT_MAX_TRIED = GATE_ACCOUNT_MAX, GATE_SELECT_MAX_SKIPPED = 64 };

#define GATE_SELECT_NOBODY SIZE_MAX

/* The question. */
struct gate_select {
    const struct gate_table *table;
    const struct gate_quota *quota;
    size_t instance;       /* position in the pool */
    struct gate_str model; /* upstream name; empty for search */
    enum gate_usage_kind kind;
    enum gate_strategy strategy;
    const struct gate_str *tags; /* only accounts that have all of these */
    size_t tag_count;
    uint64_t sticky;        /* hash of the conversation */
    _Atomic uint64_t *turn; /* of the instance: round_robin and weighted count on it */
    uint64_t tokens;        /* estimate to reserve */
    uint64_t now_ms;
    struct gate_account *const *tried; /* not asked again */
    size_t tried_count;
    bool ready_only; /* no refresh and no last resort: another target may have better */
    /* Orders candidates instead of the strategy; NULL: none. Gets the table's indices of those that
     * could serve, and puts those that it wants to the front, in its order; returns how many, 0:
     * the strategy decides, GATE_SELECT_NOBODY: none of them will do. */
    size_t (*order)(void *ctx, uint32_t *indices, size_t count, bool last_resort);
    void *order_ctx;
};

enum gate_select_result {
    GATE_SELECT_CHOSEN = 0, /* reserved and begun: gate_select_release gives back */
    GATE_SELECT_REFRESH, /* only accounts with an expired token are left: refresh `entry` first */
    GATE_SELECT_NONE,
};

/* The answer. */
struct gate_choice {
    const struct gate_entry *entry;
    struct gate_reservation reservation;
    bool probe;
    bool last_resort;
    uint64_t free_at_ms; /* for NONE: the earliest moment when an account frees by itself; 0: none
                            does */
    struct gate_skipped skipped[GATE_SELECT_MAX_SKIPPED];
    size_t skipped_count; /* those that fit; all accounts that did not serve */
};

enum gate_select_result gate_select(const struct gate_select *s, struct gate_choice *out);

/* Takes one account (a retry of the same): reserves and begins it. */
enum gate_select_result gate_select_one(const struct gate_select *s, const struct gate_entry *entry,
                                        struct gate_choice *out);

#endif
