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
    const struct gate_trace_accounts *accounts; /* snapshot (request/trace.h); NULL: accounts are
                                                   not judged, the first target is taken */
    /* accounts.lua that the snapshot was made under: where the candidate's differs, its weights,
     * tags and limits are laid over it (live/rules.h). NULL: none has touched it. */
    const struct gate_account_policy *policy;
    uint64_t now_ms; /* Unix; 0: now */
    uint64_t sticky; /* hash of the conversation */
    uint64_t turn;   /* of round_robin and weighted */
};

/* The request of a trace as input (turn 0). facts and headers (GATE_CONFIG_MAX_ROUTE_HEADERS) are
 * the caller's room; everything else is lent by the trace. False: it cannot be replayed. */
bool gate_simulate_of_trace(const struct gate_trace *t, struct gate_request_facts *facts,
                            struct gate_header *headers, struct gate_simulate_input *out);

enum gate_simulate_outcome {
    GATE_SIMULATED_ROUTED = 0,
    GATE_SIMULATED_REJECTED,      /* by the script */
    GATE_SIMULATED_UNKNOWN_MODEL, /* nobody serves what was decided */
    GATE_SIMULATED_NO_ACCOUNT,    /* no account of any target could serve now */
    GATE_SIMULATED_ERROR,         /* the script failed */
};
extern const char *const gate_simulate_outcome_names[]; /* "routed", "rejected", ... */

struct gate_simulated_target {
    char provider[64];                  /* "" : nobody serves the name */
    char name[GATE_SCRIPT_MAX_TARGET];  /* as the script said */
    char model[GATE_SCRIPT_MAX_TARGET]; /* that goes upstream */
};

struct gate_simulated {
    enum gate_simulate_outcome outcome;
    struct gate_simulated_target targets[GATE_SCRIPT_MAX_TARGETS]; /* in the order of trying */
    size_t target_count;
    size_t chosen;                    /* target of the account; target_count: none */
    char account[GATE_TRACE_ACCOUNT]; /* id of the account that would be asked first; "": none, or
                                         the snapshot knows none of that provider */
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

/* Decides, as a worker would at the first attempt: the scripts route, map and select; accounts that
 * are not serving, or have no room by the numbers of the snapshot, are passed by; when nobody is
 * ready, those that are asked as a last resort come. Not asked: whether an account serves the model
 * (only its provider's credential knows). A candidate's select that fails is an error here, though
 * live the strategy would step in. Never fails: what goes wrong is the outcome. */
void gate_simulate(const struct gate_candidate *c, const struct gate_simulate_input *in,
                   struct gate_simulated *out);
/* Writes it as a JSON object. */
void gate_simulated_json(const struct gate_simulated *s, struct gate_buf *out);

#endif
