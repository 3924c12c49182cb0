/*
 * policy_case: one case of conf/tests/<name>.lua as data: reads it from what the file returned
 * (policy_case.c, policy_account.c), and says what it expects (policy_expect.c). Used by
 * policy_test.c. Control thread.
 *
 * Everything that does not fit (an unknown key, a wrong type) is told with the case's number and
 * name and what is allowed; the case has then failed.
 */
#ifndef GATE_LIVE_POLICY_CASE_H
#define GATE_LIVE_POLICY_CASE_H

#include "base/json_tree.h"
#include "live/policy_test.h"

enum {
    POLICY_CASE_TEXT = 1024,    /* bytes of any text of a case */
    POLICY_CASE_ACCOUNTS = 256, /* of one case */
    POLICY_CASE_NAME = 120,     /* bytes of its name in messages; the rest is cut */
};

enum policy_case_kind { POLICY_CASE_ROUTE = 0, POLICY_CASE_FAILURE, POLICY_CASE_MAP };

/* Where problems go, and what they are about. */
struct policy_report {
    struct gate_problems *problems;
    const char *file;
    uint32_t line;                   /* of the case; 0: not known */
    size_t number;                   /* of the case in its file, from 1 */
    char name[POLICY_CASE_NAME + 1]; /* of the case */
    bool failed;                     /* the case has a problem */
};

/* Adds a problem of the case. */
__attribute__((format(printf, 2, 3))) struct gate_problem *policy_complain(struct policy_report *r,
                                                                           const char *format, ...);

struct policy_account;

/* One case. Texts point into the tree that it was read from. Zeroed: empty. */
struct policy_case {
    enum policy_case_kind kind;
    struct gate_route_view request;
    struct gate_request_facts facts;
    struct gate_header headers[GATE_CONFIG_MAX_ROUTE_HEADERS];
    uint64_t now_ms;                      /* 0: the real time */
    struct policy_account *accounts;      /* owned; NULL: accounts are not judged */
    struct gate_trace_accounts *snapshot; /* of them; owned */
    size_t account_count;
    struct gate_verdict verdict; /* of POLICY_CASE_FAILURE */
    struct gate_error_view failure;
    struct gate_str name; /* of POLICY_CASE_MAP */
    const cJSON *expect;
};

/* Reads a case. False: something does not fit, and was told. Finish it in either case. */
bool policy_case_read(struct policy_case *t, const struct gate_candidate *c, const cJSON *from,
                      struct policy_report *r);
void policy_case_finish(struct policy_case *t);

/* ---- policy_account.c */

/* Reads the list of accounts. What the case does not say of an account comes from accounts.lua. */
bool policy_accounts_read(struct policy_case *t, const struct gate_candidate *c, const cJSON *list,
                          struct policy_report *r);
void policy_accounts_free(struct policy_case *t);
/* The id of an account of the case, by its id or alias; NULL: it has none of that name. */
const char *policy_account_id(const struct policy_case *t, const char *name);

/* ---- policy_expect.c */

/* Are the expectations of this kind well-formed? */
bool policy_expect_check(const struct policy_case *t, struct policy_report *r);
/* Compare what came with what was expected, and tell the differences. */
void policy_expect_route(const struct policy_case *t, const struct gate_simulated *s,
                         struct policy_report *r);
struct policy_failed {
    const char *message; /* "": the call did well */
    const char *stack;
};
void policy_expect_failure(const struct policy_case *t, const struct gate_error_decision *d,
                           const struct policy_failed *failed, struct policy_report *r);
/* mapped: what models.lua says, else the name itself; resolved: NULL: nobody serves it. */
void policy_expect_map(const struct policy_case *t, struct gate_str mapped,
                       const struct gate_resolved *resolved, const struct policy_failed *failed,
                       struct policy_report *r);

/* ---- reading members of a table (policy_case.c); each tells what does not fit, returns false
 * then, and leaves *out alone where the member is missing. `where` names the table: "request". */

bool policy_keys(const cJSON *table, const char *where, const char *allowed,
                 struct policy_report *r);
bool policy_text(const cJSON *table, const char *where, const char *key, const char **out,
                 struct policy_report *r);
bool policy_whole(const cJSON *table, const char *where, const char *key, uint64_t max,
                  uint64_t *out, struct policy_report *r);
bool policy_boolean(const cJSON *table, const char *where, const char *key, bool *out,
                    struct policy_report *r);
/* A number of ms since 1970, or a text as "2026-11-23T09:00:00+08:00". */
bool policy_time(const cJSON *table, const char *where, const char *key, uint64_t *out,
                 struct policy_report *r);
/* An empty table is a list and an object. */
bool policy_is_list(const cJSON *value);
bool policy_is_table(const cJSON *value);
/* A value as messages show it. */
struct policy_shown {
    char text[80];
};
struct policy_shown policy_show(const cJSON *value);

#endif
