/*
 * admin_internal: what the files of the admin API share.
 *
 *     admin.c           life, requests that wait for something
 *     api.c             the table of addresses
 *     api_input.c       queries and bodies as people send them
 *     api_json.c        writing JSON
 *     api_view.c        an account as JSON
 *     api_accounts.c    GET /accounts
 *     api_change.c      adding, changing and deleting one account
 *     api_bulk.c        many accounts at once
 *     api_import.c      logins from elsewhere
 *     api_test.c        a tiny real request
 *     api_models.c      what the service lists
 *     api_logins.c      device logins
 *     reading.c         questions to storage that may take long
 *     api_stats.c       GET /stats
 *     api_audit.c       GET /audit
 *     api_series.c      GET /series
 *     api_requests.c    GET /requests
 *     api_info.c        providers, settings, alerts
 *     api_backup.c      POST /backup
 *     api_scripts.c     what runs, history, differences
 *     api_drafts.c      drafts: read, check, publish, go back
 *     api_tries.c       drafts: dry runs, single decisions
 *     api_stage.c       drafts that chats can try
 *     api_events.c      the live stream: its snapshot, sending
 *     feed.c            the live stream: what is sent while somebody listens
 *     feed_accounts.c   accounts that changed
 *     feed_requests.c   requests that ended
 *     api_sessions.c    sessions of the console, links into it
 */
#ifndef GATE_ADMIN_INTERNAL_H
#define GATE_ADMIN_INTERNAL_H

#include "admin/admin.h"
#include "base/json_tree.h"
#include "record/audit_series.h"
#include <stdatomic.h>
#include <stdlib.h>

enum {
    ADMIN_MAX_QUERY = 8192, /* bytes of a query */
    ADMIN_MAX_PARAMS = 16,
    ADMIN_MAX_BULK = 1000, /* ids of one bulk request, accounts of one import */
    ADMIN_MESSAGE = 768,
};

struct admin_test;
struct admin_listing;
struct admin_backup;
struct admin_feed;

struct gate_admin {
    struct gate_admin_parts parts;
    struct admin_wait *waits; /* requests that are not answered yet */
    size_t wait_count;
    struct admin_test *tests;       /* that run now */
    struct admin_listing *listings; /* that run now */
    struct admin_backup *backup;    /* that runs now, or NULL */
    struct admin_feed *feed;        /* of the live stream */
    atomic_size_t readings;         /* that run on the store thread */
    atomic_bool ending;             /* they must come to their end */
};

/* One request at hand. Its views are valid until the handler returns. */
struct admin_call {
    struct gate_admin *admin;
    struct gate_str name; /* what '*' of the address stands for, decoded */
    struct gate_str query, body;
    struct gate_str session; /* id; empty: whoever asks has the key */
    gate_admin_reply_cb reply;
    void *ctx;
};

/* ---------------------------------------------------------------- admin.c: answers */

void admin_reply(struct admin_call *c, int status, struct gate_str json);
/* An error in the API's shape. param: the member at fault, or NULL. */
__attribute__((format(printf, 5, 6))) void admin_refuse(struct admin_call *c, int status,
                                                        const char *code, const char *param,
                                                        const char *format, ...);
/* What a part of the gateway refused. */
void admin_refuse_error(struct admin_call *c, const struct gate_error *err);
int admin_http_status(enum gate_status status);
const char *admin_error_code(enum gate_status status);

/* A request whose answer comes later. Whoever has it ends it exactly once; that the API was
 * destroyed meanwhile does not matter to him. */
struct admin_wait {
    struct admin_wait *prev, *next;
    struct gate_admin *admin; /* NULL: destroyed, and the request was answered */
    gate_admin_reply_cb reply;
    void *ctx;
};
/* NULL: too many wait; the request was refused. */
struct admin_wait *admin_wait_begin(struct admin_call *c);
void admin_wait_end(struct admin_wait *w, int status, struct gate_str json);
__attribute__((format(printf, 4, 5))) void
admin_wait_refuse(struct admin_wait *w, int status, const char *code, const char *format, ...);

/* ---------------------------------------------------------------- reading.c */

/* Has read(s, arg) run on the store thread, again as long as it returns true (a bounded slice each
 * time), then done(arg) on the control thread. When the API is destroyed meanwhile the reading is
 * cut short and done still called, after that: it must not touch the API then. */
void admin_read(struct gate_admin *a, bool (*read)(struct gate_storage *s, void *arg),
                void (*done)(void *arg), void *arg);
/* Cuts all of them short and waits until none touches the API any more. */
void admin_readings_end(struct gate_admin *a);

/* ---------------------------------------------------------------- api_json.c: writing */

/* Each writes one member, or with name NULL one element; commas come by themselves. What does not
 * fit the cap of out is left out, so whoever writes lists watches out->len. */
void json_open(struct gate_buf *out, const char *name, char bracket);
void json_close(struct gate_buf *out, char bracket);
void json_str(struct gate_buf *out, const char *name, struct gate_str value);
void json_text(struct gate_buf *out, const char *name, const char *value);
/* NULL and "" become null. */
void json_text_or_null(struct gate_buf *out, const char *name, const char *value);
void json_num(struct gate_buf *out, const char *name, uint64_t value);
/* 0 becomes null. */
void json_num_or_null(struct gate_buf *out, const char *name, uint64_t value);
void json_bool(struct gate_buf *out, const char *name, bool value);
void json_null(struct gate_buf *out, const char *name);
/* Text that is JSON already. */
void json_raw(struct gate_buf *out, const char *name, struct gate_str json);
/* The members of the object "error". */
void json_error(struct gate_buf *out, int status, const char *code, const char *param,
                const char *message);

/* ---------------------------------------------------------------- api_input.c: reading */

/* Decodes %XX ('+' too in queries). False: broken, or a NUL byte. */
bool admin_decode(struct gate_str in, bool plus, struct gate_buf *out);

struct admin_params {
    struct gate_buf text;
    size_t count;
    struct admin_param {
        struct gate_str name, value;
    } list[ADMIN_MAX_PARAMS];
};
/* Reads the query; allowed: names parted by '|'. False: refused. On success the caller ends it with
 * admin_params_finish. */
bool admin_params_read(struct admin_call *c, const char *allowed, struct admin_params *p);
void admin_params_finish(struct admin_params *p);
/* Empty: not given. */
struct gate_str admin_param(const struct admin_params *p, const char *name);
/* A whole number; not given: fallback. False: refused. */
bool admin_param_number(struct admin_call *c, const struct admin_params *p, const char *name,
                        uint64_t low, uint64_t high, uint64_t fallback, uint64_t *out);
/* A time in Unix ms or as ISO 8601. False: refused. */
bool admin_param_time(struct admin_call *c, const struct admin_params *p, const char *name,
                      uint64_t fallback, uint64_t *out);
/* The parameter "account": the id of the account of that id or alias, or what was given. Lent by p
 * or the roster. False: refused. */
bool admin_param_account(struct admin_call *c, const struct admin_params *p, struct gate_str *out);
/* Does an outcome fit the parameter of that name? "error" stands for every error, "limited" for
 * every limit, nothing for all. Any thread. */
bool admin_is_outcome(struct gate_str outcome, struct gate_str wanted);
/* Refuses a query where there must be none. */
bool admin_no_params(struct admin_call *c);

/* The body as an object whose members are among `allowed`; NULL: refused. The caller frees it with
 * gate_json_tree_free. An empty body counts as {} when it may. */
cJSON *admin_body(struct admin_call *c, const char *allowed, bool may_be_empty);
/* A string member of 1 to max bytes. absent: *out is empty. False: refused. */
bool admin_body_str(struct admin_call *c, const cJSON *body, const char *name, size_t max,
                    struct gate_str *out);
/* A list of strings (tags, ids), at most max. False: refused. */
bool admin_body_list(struct admin_call *c, const cJSON *body, const char *name, size_t max,
                     struct gate_str *out, size_t *count);
/* {"chat": {"rpm": 60, ...}, "search": {...}}, or null for none. False: refused. */
bool admin_body_limits(struct admin_call *c, const cJSON *value, struct gate_limits_rule *out);
/* The credential of a body: api_key (a string) or oauth (an object, or a string with its JSON).
 * *kind is GATE_CREDENTIAL_NONE when it has neither. The secret is wiped by the caller. False:
 * refused. */
bool admin_body_secret(struct admin_call *c, const cJSON *body, enum gate_credential_kind *kind,
                       struct gate_buf *secret);

/* The account that the address names (id or alias). NULL: refused. */
struct gate_member *admin_member(struct admin_call *c);

/* ---------------------------------------------------------------- api_view.c */

/* One word for people; those that are conditions come first and in their order. */
enum admin_state {
    ADMIN_STATE_LIMITED = GATE_CONDITION_LIMITED,
    ADMIN_STATE_SIGN_IN = GATE_CONDITION_SIGN_IN,
    ADMIN_STATE_NO_CREDENTIAL,
    ADMIN_STATE_DISABLED,
    ADMIN_STATE_DELETED,
    ADMIN_STATES,
};
const char *admin_state_name(enum admin_state state);
enum admin_state admin_state(const struct gate_admin *a, const struct gate_member *m,
                             uint64_t now_ms);
/* The member's entry in the newest table, or NULL (deleted). t stays the caller's. */
const struct gate_entry *admin_entry(const struct gate_table *t, const struct gate_member *m);
void admin_put_account(struct gate_admin *a, const struct gate_table *t,
                       const struct gate_member *m, struct gate_buf *out, const char *name);
/* {"account": ...}; warning: NULL or a text. The caller finishes out, which this begins. */
void admin_account_json(struct gate_admin *a, const struct gate_member *m, const char *warning,
                        struct gate_buf *out);
void admin_reply_account(struct admin_call *c, int status, const struct gate_member *m,
                         const char *warning);
void admin_put_limits(struct gate_buf *out, const char *name, const struct gate_limits *limits);
/* Before many accounts are written: what they show of the last two hours is read at once. */
void admin_sparks_load(struct gate_admin *a);

/* ---------------------------------------------------------------- api_stats.c */

/* Exchanges of one worker. */
struct admin_load {
    uint64_t active, served;
};
/* How the gateway is, but for the time. problem: of reading storage. */
void admin_put_now(struct gate_admin *a, const struct admin_load *loads, size_t count,
                   const struct gate_error *problem, uint64_t now_ms, struct gate_buf *out);
/* The members of sums. */
void admin_put_point(struct gate_buf *out, const struct gate_series_point *p);

/* --------------------------------------------------------------- api_change.c */

/* Refuses when the member is deleted. */
bool admin_is_there(struct admin_call *c, const struct gate_member *m);
/* What a refresh that a person asked for came to, as HTTP status and code; 200 and NULL: done. */
int admin_refresh_status(enum gate_status status, const char **code);

/* ---------------------------------------------------------------- api_import.c */

/* Fingerprints of the credentials that accounts have, to notice one that is there already. */
struct admin_known;
struct admin_known *admin_known_create(struct gate_admin *a, const struct gate_instance *instance);
void admin_known_destroy(struct admin_known *k);
/* The account that has this credential, or NULL. */
const struct gate_member *admin_known_find(const struct admin_known *k, struct gate_str secret);
void admin_known_add(struct admin_known *k, const struct gate_member *m, struct gate_str secret);

const struct gate_instance *admin_instance(const struct gate_admin *a, struct gate_str name);

/* ---------------------------------------------------------------- api_scripts.c, api_drafts.c */

/* {"name": "text", ...}. */
void admin_put_sources(struct gate_buf *out, const char *name, const struct gate_sources *s);
void admin_put_problems(struct gate_buf *out, const char *name, const struct gate_problems *p);
void admin_put_report(struct gate_buf *out, const char *name, const struct gate_live_report *r);
void admin_put_entry(struct gate_buf *out, const char *name, const struct gate_history_entry *e);
/* The member "files" of a body over the texts that run: what it does not name stays, null removes.
 * With "complete": true nothing else is there. False: refused. */
bool admin_body_sources(struct admin_call *c, const cJSON *body, struct gate_sources *out);

/* ---------------------------------------------------------------- ends that need not wait */

void admin_tests_cancel(struct gate_admin *a);    /* api_test.c */
void admin_listings_cancel(struct gate_admin *a); /* api_models.c */
void admin_backup_finish(struct gate_admin *a);   /* api_backup.c: waits for the thread */

/* ---------------------------------------------------------------- the handlers */

typedef void (*admin_handler)(struct admin_call *c);

void admin_accounts_list(struct admin_call *c);
void admin_accounts_get(struct admin_call *c);
void admin_accounts_add(struct admin_call *c);
void admin_accounts_patch(struct admin_call *c);
void admin_accounts_delete(struct admin_call *c);
void admin_accounts_restore(struct admin_call *c);
void admin_accounts_clear(struct admin_call *c);
void admin_accounts_refresh(struct admin_call *c);
void admin_accounts_test(struct admin_call *c);
void admin_accounts_models(struct admin_call *c);
void admin_accounts_bulk(struct admin_call *c);
void admin_accounts_import(struct admin_call *c);
void admin_logins_start(struct admin_call *c);
void admin_logins_list(struct admin_call *c);
void admin_logins_get(struct admin_call *c);
void admin_logins_cancel(struct admin_call *c);
void admin_stats(struct admin_call *c);
void admin_audit(struct admin_call *c);
void admin_series(struct admin_call *c);
void admin_requests_list(struct admin_call *c);
void admin_requests_get(struct admin_call *c);
void admin_providers(struct admin_call *c);
void admin_config(struct admin_call *c);
void admin_alerts(struct admin_call *c);
void admin_alerts_test(struct admin_call *c);
void admin_backup(struct admin_call *c);
void admin_events_snapshot(struct admin_call *c);
void admin_scripts(struct admin_call *c);
void admin_scripts_history(struct admin_call *c);
void admin_scripts_generation(struct admin_call *c);
void admin_scripts_diff(struct admin_call *c);
void admin_scripts_check(struct admin_call *c);
void admin_scripts_publish(struct admin_call *c);
void admin_scripts_rollback(struct admin_call *c);
void admin_scripts_dry_run(struct admin_call *c);
void admin_scripts_stage(struct admin_call *c);
void admin_scripts_unstage(struct admin_call *c);
void admin_scripts_route(struct admin_call *c);

void admin_session(struct admin_call *c);
void admin_sessions_list(struct admin_call *c);
void admin_sessions_end(struct admin_call *c);
void admin_sessions_end_others(struct admin_call *c);
void admin_links_add(struct admin_call *c);

/* api_key.c */
void admin_key_change(struct admin_call *c);

/* api_sessions.c: begins and ends telling that sessions have changed. */
void admin_sessions_start(struct gate_admin *a);
void admin_sessions_stop(struct gate_admin *a);
/* api_events.c: begins and ends sending events. */
void admin_events_start(struct gate_admin *a);
void admin_events_stop(struct gate_admin *a);
/* One event for everybody who listens. */
void admin_events_send(struct gate_admin *a, const char *type, struct gate_str json);

/* feed.c */
void admin_feed_start(struct gate_admin *a);
void admin_feed_stop(struct gate_admin *a);
/* Somebody new listens. */
void admin_feed_listen(struct gate_admin *a);

#endif
