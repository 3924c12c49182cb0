/*
 * exchange: one client request from first byte to log line, and the only place that knows the order
 * of the steps: scan, route, resolve, attempt (and the next target when one fails before the answer
 * began), stream, end. Used by serve/downstream. An exchange lives and dies on one worker.
 */
#ifndef GATE_REQUEST_EXCHANGE_H
#define GATE_REQUEST_EXCHANGE_H

#include "request/stage.h"

struct gate_exchange;

/* The head of an answer to the client. */
struct gate_client_head {
    int status;
    struct gate_str content_type;
    const struct gate_header *headers; /* beside content-type; lent */
    size_t header_count;
    int64_t content_length; /* -1: not known, the body ends with the answer */
};

/* What an exchange asks of the client's side. */
struct gate_client_ops {
    void (*head)(void *client, const struct gate_client_head *head); /* once, first */
    void (*write)(void *client, struct gate_str bytes);              /* copies; sends nothing yet */
    void (*flush)(void *client); /* hands what was written to the socket */
    /* The answer is over and the exchange is gone. Not complete: the client must see that it was
     * cut. */
    void (*end)(void *client, bool complete);
    size_t (*backlog)(const void *client); /* bytes written and not yet taken by the socket */
};

/* All views must stay valid until end() or gate_exchange_client_gone; the array of headers is
 * copied. */
struct gate_exchange_input {
    struct gate_env *env;
    const struct gate_client_ops *ops;
    void *client;
    const struct gate_dialect_ops *dialect; /* the client's */
    struct gate_stage_pin *stage;           /* whose scripts and accounts; NULL: what serves */
    struct gate_str method, address;        /* as they may be logged */
    struct gate_str path;                   /* as scripts see it */
    enum gate_usage_kind kind;              /* CHAT, or SEARCH: body is not looked at, query is */
    struct gate_str body;
    struct gate_str query; /* of a search, decoded UTF-8 */
    uint32_t rows;         /* results of a search, 1 to 100 */
    struct gate_str request_id;
    struct gate_str key_name;
    struct gate_str peer;              /* the client's address, for the log */
    const struct gate_header *headers; /* those named in route_headers */
    size_t header_count;
    bool explain;        /* the client may see why, and wants to: x-gate-explain */
    uint64_t started_us; /* monotonic: when the request was complete */
};

struct gate_exchange *gate_exchange_create(const struct gate_exchange_input *input);
/* Runs the steps. end() may be called before this returns. */
void gate_exchange_run(struct gate_exchange *x);
/* The client's backlog is empty again. */
void gate_exchange_drained(struct gate_exchange *x);
/* The client left: the upstream is cancelled at once and x is freed; end() is not called. */
void gate_exchange_client_gone(struct gate_exchange *x);

#endif
