/*
 * simulate: what a candidate would decide for one request, with the accounts as they are in a
 * snapshot; nothing is sent, reserved or remembered. Used by dry runs, policy tests, the samples
 * before a publish, `llm-gate route` and POST /admin/api/scripts/route. Control thread.
 */
#ifndef GATE_LIVE_SIMULATE_H
#define GATE_LIVE_SIMULATE_H

#include "live/candidate.h"
#include "request/trace.h"

/* What is given. */
struct gate_simulate_input {
    struct gate_route_view request;             /* its `accounts` is set by gate_simulate */
    const struct gate_trace_accounts *accounts; /* snapshot (request/trace.h) */
    uint64_t now_ms;                            /* Unix; 0: now */
    uint64_t sticky;                            /* hash of the conversation */
    uint64_t turn;                              /* of round_robin and weighted */
};

enum gate_simulate_outcome {
    GATE_SIMULATED_ROUTED = 0,
    GATE_SIMULATED_REJECTED,      /* by the script */
    GATE_SIMULATED_UNKNOWN_MODEL, /* nobody serves what was decided */
    GATE_SIMULATED_NO_ACCOUNT,    /* no account of any target could serve now */
    GATE_SIMULATED_ERROR,         /* the script failed */
};
extern const char *const gate_simulate_outcome_names[]; /* "routed", "rejected", ... */

struct gate_simulated_target {
    char provider[64]; /* "" : nobody serves the name */
    char name[GATE_SCRIPT_MAX_TARGET];  /* as the script said */
    char model[GATE_SCRIPT_MAX_TARGET]; /* that goes upstream */
};

struct gate_simulated {
    enum gate_simulate_outcome outcome;
    struct gate_simulated_target targets[GATE_SCRIPT_MAX_TARGETS]; /* in the order of trying */
    size_t target_count;
    size_t chosen;                      /* target of the account; target_count: none */
    char account[GATE_TRACE_ACCOUNT];   /* id of the account that would be asked first; "" */
    char order[GATE_SCRIPT_MAX_TARGETS][GATE_TRACE_ACCOUNT]; /* accounts of the chosen target, best
                                                                first, as far as they fit */
    size_t order_count;
    const char *strategy; /* name, or "select" when the script ordered; a literal */
    int status;           /* of a rejection */
    char reason[GATE_SCRIPT_REASON + 1];
    char message[GATE_SCRIPT_MESSAGE + 1]; /* of a rejection or an error ("file:line: ...") */
    char stack[GATE_SCRIPT_STACK];         /* of an error */
    uint64_t took_ns;                      /* of route, mapping and choice */
};

/* Decides. Never fails: what goes wrong is the outcome. */
void gate_simulate(const struct gate_candidate *c, const struct gate_simulate_input *in,
                   struct gate_simulated *out);
/* Writes it as a JSON object. */
void gate_simulated_json(const struct gate_simulated *s, struct gate_buf *out);

#endif
