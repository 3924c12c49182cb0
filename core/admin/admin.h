/*
 * admin: /admin/api. Workers check the key and hand each request to the control thread, where the
 * whole API runs: it is rare, may block on storage, and can so never slow a chat request. Also used
 * by the command line (llm-gate login, backup) without HTTP when no gateway runs.
 *
 * Control thread throughout.
 */
#ifndef GATE_ADMIN_ADMIN_H
#define GATE_ADMIN_ADMIN_H

#include "admin/session.h"
#include "live/live.h"
#include "pool/credentials.h"
#include "pool/login.h"
#include "record/alerts.h"
#include "record/audit.h"
#include "record/journal.h"
#include "request/auth.h"
#include "request/env.h"

enum {
    GATE_ADMIN_MAX_ANSWER = 16 << 20,
    GATE_ADMIN_MAX_WAITING = 256, /* requests that are not answered yet; more get 503 */
};

/* What the API works on. The parts outlive it. workers.visit NULL: there are none (command line).
 */
struct gate_admin_parts {
    const struct gate_config *config; /* that the process started with */
    struct gate_live *live;
    struct gate_roster *roster;
    struct gate_credentials *credentials;
    struct gate_logins *logins;
    struct gate_alerts *alerts;
    struct gate_audit *audit;
    struct gate_journal *journal;
    struct gate_store *store;
    struct gate_sessions *sessions;
    struct gate_auth *auth; /* NULL: there is no key (command line) */
    struct gate_control *control;
    struct gate_workers workers;
    uint64_t started_ms;  /* wall clock */
    uint16_t listen_port; /* that workers listen on; 0: there are none */
};

struct gate_admin;
struct gate_admin *gate_admin_create(const struct gate_admin_parts *parts);
/* Requests that wait are answered with 503 first. NULL is fine. */
void gate_admin_destroy(struct gate_admin *a);

/* The answer: always JSON, errors as {"error":{"message","type","code"}}. Called once, perhaps
 * before handle returns. json is lent. */
typedef void (*gate_admin_reply_cb)(void *ctx, int status, struct gate_str json);

void gate_admin_handle(struct gate_admin *a, const struct gate_admin_request *request,
                       gate_admin_reply_cb reply, void *ctx);

#endif
