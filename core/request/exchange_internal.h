/* exchange_internal: what exchange.c (the steps), pick.c (which account), failing.c (what follows a
 * failure), answer.c (the answer to the client) and search.c (web search) share. */
#ifndef GATE_REQUEST_EXCHANGE_INTERNAL_H
#define GATE_REQUEST_EXCHANGE_INTERNAL_H

#include "base/buf.h"
#include "request/attempt.h"
#include "request/exchange.h"
#include "request/stream.h"

enum {
    EXCHANGE_HOLD_JSON =
        64 * 1024, /* a JSON answer up to this size is complete before the client sees any of it */
    EXCHANGE_HOLD_SEARCH = 1 << 20,  /* a search's answer is rewritten, so all of it is held */
    EXCHANGE_HIGH_WATER = 64 * 1024, /* backlog at which the upstream is paused */
    EXCHANGE_MAX_HEADERS = GATE_CONFIG_MAX_ROUTE_HEADERS,
};

/* One place that may answer. */
struct exchange_target {
    const struct gate_instance *instance;
    size_t position; /* in the pool of x->pin; EXCHANGE_GONE: it is there no more */
    char *model;     /* "" for a search */
    struct gate_clocks clocks;
    int16_t retries;       /* other attempts after the first; -1: no bound of its own */
    int16_t strategy;      /* -1: that of accounts.lua */
    uint32_t attempts;     /* that were made */
    struct gate_str *tags; /* one block with their text; NULL: none */
    size_t tag_count;
    struct gate_edits *edits; /* owned; NULL: none */
};

#define EXCHANGE_GONE SIZE_MAX

enum answer_mode { ANSWER_NONE = 0, ANSWER_STREAM, ANSWER_JSON };

/* Something on another thread that the exchange waits for. */
struct exchange_wait;

struct gate_exchange {
    struct gate_exchange_input in;
    struct gate_request_facts facts;
    struct gate_header *route_headers; /* those of in; owned, NULL: none */
    enum gate_usage_kind kind;
    char *model; /* as the client asked, decoded; "" for a search */
    struct exchange_target *targets;
    size_t target_count, target; /* how many, and which is being tried */
    size_t first_target;         /* those before it are out, whatever they could do */

    struct gate_script_pin *script; /* the generation that this request began with */
    const char *outcome;            /* of the audit, once it is known; lent */
    char *reason;                   /* what the script said of its decision; NULL: nothing */
    char *limits; /* "name\0value\0...\0": what on_response may see of the answer; NULL */

    struct gate_table_pin *born; /* the table that it began with, for its configuration */

    /* The account of the attempt at hand. */
    struct gate_table_pin *pin;     /* born, or a newer one */
    const struct gate_entry *entry; /* NULL: none is taken */
    struct gate_reservation reservation;
    bool probe, well;                  /* well: its answer has begun */
    struct gate_trace_attempt *traced; /* its line in the trace */
    struct gate_account **tried;       /* retained */
    size_t tried_count;
    struct gate_account *refreshed; /* whose token was renewed for this request; retained */
    struct exchange_wait *wait;
    struct gate_timer wait_timer; /* a wait must not hold the request for ever */
    bool last_resort;
    bool script_failed;  /* a function of the scripts did */
    bool wrong_form;     /* JSON came where a stream has begun: only a failure can be told */
    uint64_t free_at_ms; /* Unix: the earliest moment when an account frees that was passed by */
    uint64_t sticky;     /* hash of the conversation */

    struct gate_attempt *attempt;
    uint64_t attempt_us; /* when it began, monotonic */
    struct gate_stream stream;
    struct gate_buf hold;         /* a JSON answer that has not gone out yet */
    struct gate_buf content_type; /* of the answer at hand */
    struct gate_buf headers;      /* "name\0value\0" of the answer's headers that the client gets */
    struct gate_failure *last;    /* of the last attempt that failed; NULL: none has */
    struct gate_usage usage;
    bool has_usage;
    uint64_t text_bytes; /* of the answer, where no usage comes */
    struct gate_timer keepalive;
    uint64_t last_write_ms;
    int64_t content_length; /* upstream's, -1 unknown */
    int64_t first_us;       /* -1: nothing sent */
    uint64_t bytes_out;
    uint32_t attempts;
    int status, upstream_status;
    enum answer_mode mode;
    bool committed; /* the head has gone to the client */
    bool begun;     /* a part of an answer has gone to the client: no other attempt after this */
    bool paused;
    struct gate_steps steps;
};

static inline const struct gate_config *exchange_config(const struct gate_exchange *x)
{
    return x->born->table->config;
}

/* The table that a request of this kind begins with now. */
static inline struct gate_table_pin *exchange_newest_accounts(const struct gate_exchange *x)
{
    return x->in.stage != NULL ? x->in.stage->accounts : x->in.env->accounts;
}

static inline const struct exchange_target *exchange_target(const struct gate_exchange *x)
{
    return x->target < x->target_count ? &x->targets[x->target] : NULL;
}

/* exchange.c */
/* Ends the exchange: log line, audit, trace, x freed, the client's end(). outcome and code are for
 * the log; audit is the outcome that is counted. */
void exchange_finish(struct gate_exchange *x, bool complete, const char *outcome, const char *code,
                     const char *audit);
/* Ends it with an error of the gateway's own making. */
void exchange_refuse(struct gate_exchange *x, const struct gate_api_error *error,
                     const char *audit);
/* Finds an account for the target at hand or those behind it and starts an attempt; or waits; or
 * ends the exchange. */
void exchange_advance(struct gate_exchange *x);
/* The answer was good to its end. */
void exchange_answered(struct gate_exchange *x);

/* decide.c */
/* Asks the scripts where the request goes and finds who serves that. False: it is over. */
bool exchange_route(struct gate_exchange *x);
/* The same for a search: to every provider that has one, in the order of the configuration. */
bool exchange_route_search(struct gate_exchange *x);
void exchange_targets_finish(struct gate_exchange *x);
/* A newer table takes the place of the one that the request has: its targets are found again in
 * that table's pool. No attempt runs. */
void exchange_repin(struct gate_exchange *x);
/* What scripts see of the request. */
struct gate_route_view exchange_route_view(const struct gate_exchange *x,
                                           struct gate_accounts_view *accounts);
/* The script's call failed: said in the log, and counted at the end. */
void exchange_script_failed(struct gate_exchange *x, const char *function,
                            const struct gate_error *err);
/* Asks on_response what it makes of the answer. */
void exchange_respond(struct gate_exchange *x);

/* explain.c */
enum { EXCHANGE_EXPLAIN_HEADER = 6000 /* bytes of the explanation in a header */ };
/* Writes why the request went where it went, as JSON; ASCII only, so that it fits a header. header:
 * at most EXCHANGE_EXPLAIN_HEADER bytes, and less of it where all would be longer. */
void exchange_explain(const struct gate_exchange *x, bool header, struct gate_buf *out);
/* Writes it as a comment into a stream that has begun. */
void exchange_explain_in_stream(struct gate_exchange *x);
/* Fills everything of a trace but its steps. */
void exchange_fill_trace(const struct gate_exchange *x, uint64_t wall_ms, uint64_t total_us,
                         const char *outcome, struct gate_trace *t);

/* pick.c */
/* False: attempts or time of the request are used up. */
bool exchange_may_try_more(const struct gate_exchange *x);
enum exchange_pick { EXCHANGE_PICKED = 0, EXCHANGE_WAITS, EXCHANGE_NOBODY };
enum exchange_pick exchange_pick(struct gate_exchange *x, bool ready_only);
/* Runs an attempt with the account that was picked. */
void exchange_start_attempt(struct gate_exchange *x);
/* The same account once more, with the newest credential. */
enum exchange_pick exchange_pick_again(struct gate_exchange *x, struct gate_account *account);
/* wait.c */
/* Waits until the counts are on record, then starts the attempt. */
void exchange_wait_record(struct gate_exchange *x);
/* Waits for a credential newer than the one that was refused, then tries the account again. */
void exchange_wait_refresh(struct gate_exchange *x, const struct gate_entry *entry);
/* What the answer cost, into x->usage: as the upstream told it, or estimated. */
void exchange_take_usage(struct gate_exchange *x);
/* Gives back the account of the attempt at hand; once for each attempt. */
void exchange_settle(struct gate_exchange *x, enum gate_outcome outcome);
/* The answer has begun well. */
void exchange_note_well(struct gate_exchange *x);
/* Forgets the wait; its answer will find nobody. */
void exchange_abandon_wait(struct gate_exchange *x);
void exchange_add_tried(struct gate_exchange *x, struct gate_account *account);

/* failing.c */
/* The attempt failed: tries another account or target, or tells the client. */
void exchange_failed(void *ctx, struct gate_failure *f);
/* The stream has told the client itself that it failed: the account gets its due, and the exchange
 * ends. */
void exchange_told(struct gate_exchange *x);
/* No account is left for any target: says why. */
void exchange_give_up(struct gate_exchange *x);
/* "error:<code>", for the audit. */
const char *exchange_error_outcome(char out[GATE_AUDIT_MAX_OUTCOME], const char *code);

/* outcome.c */
/* The one honest error when accounts could not serve: status, code and text from what the trace
 * knows. *limited: the limit that all of them have in common, for the audit; NULL: not limited. */
struct exchange_outcome {
    int status;
    const char *type, *code, *limited;
    uint64_t retry_after_ms;
    char message[1024];
};
void exchange_outcome(const struct gate_exchange *x, struct exchange_outcome *out);

/* answer.c */
extern const struct gate_attempt_events exchange_attempt_events;
void exchange_write(struct gate_exchange *x, struct gate_str bytes);
/* Sends the head to the client: no other target after this. */
void exchange_commit(struct gate_exchange *x, int status, struct gate_str type, int64_t length);
/* Starts the keepalive comments of a stream client, if configured. */
void exchange_start_keepalive(struct gate_exchange *x);
/* Adds a header for the client; kept until the head goes out. */
void exchange_add_header(struct gate_exchange *x, struct gate_str name, struct gate_str value);
void exchange_add_retry_after(struct gate_exchange *x, uint64_t ms);

/* search.c */
/* The whole answer of a search is in x->hold: rewrites it for the client. */
void exchange_search_done(struct gate_exchange *x);

#endif
