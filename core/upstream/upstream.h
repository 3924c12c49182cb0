/*
 * upstream: one interface to whatever the gateway calls, over two transports. http1.c speaks
 * HTTP/1.1 on the worker's own event loop and carries the data path; a transport on libcurl serves
 * control calls, proxies and HTTP/2 behind the same functions. Used by request/attempt.c.
 * Everything here runs on one worker and never blocks.
 */
#ifndef GATE_UPSTREAM_UPSTREAM_H
#define GATE_UPSTREAM_UPSTREAM_H

#include "gate/plugin.h"
#include <sys/uio.h>

enum { GATE_UPSTREAM_MAX_PARTS = 64, GATE_UPSTREAM_MAX_HEADERS = 96 };

/* A parsed base address. Immutable, reference-counted; any thread. */
struct gate_endpoint {
    char *host;      /* lower case, without brackets */
    char *authority; /* as it stands in Host: "host" or "host:port" */
    char *base_path; /* "" or "/compatible-mode/v1": no slash at the end */
    uint16_t port;
    bool tls;
    bool public_only; /* refuse private, loopback and link-local addresses after resolving */
    uint32_t id;      /* unique; key of connection pools */
    _Atomic uint32_t refs;
};

/* base_url is "http[s]://host[:port][/path]". See gate_host.endpoint_create. */
enum gate_status gate_endpoint_create(struct gate_str base_url, enum gate_endpoint_origin origin,
                                      bool allow_private, struct gate_endpoint **out,
                                      struct gate_error *err);
void gate_endpoint_retain(struct gate_endpoint *e);
void gate_endpoint_release(struct gate_endpoint *e);
/* True for loopback, private, link-local, shared, multicast, documentation and unspecified
 * addresses, IPv4-mapped ones included. */
struct sockaddr;
bool gate_address_is_private(const struct sockaddr *address);

enum gate_upstream_result {
    GATE_UPSTREAM_DONE = 0, /* the message is complete */
    GATE_UPSTREAM_RESOLVE,  /* the name did not resolve */
    GATE_UPSTREAM_CONNECT,  /* no address accepted a connection */
    GATE_UPSTREAM_TLS,      /* handshake or verification failed */
    GATE_UPSTREAM_DENIED,   /* the address is not allowed */
    GATE_UPSTREAM_RESET,    /* the connection ended before the message did */
    GATE_UPSTREAM_GARBAGE,  /* not HTTP, or framing that cannot be trusted */
    GATE_UPSTREAM_TIMEOUT,  /* connect_ms ran out */
};

struct gate_upstream_head {
    int status;
    const struct gate_header *headers; /* names in lower case; lent */
    size_t header_count;
    int64_t content_length; /* -1: chunked or until close */
};

/* Called by the transport. None is called from inside send, and none after done or cancel. Any of
 * them may cancel. */
struct gate_upstream_events {
    /* A final head (1xx are skipped). */
    void (*on_head)(void *ctx, const struct gate_upstream_head *head);
    /* A piece of the body, lent. The callee may pause. */
    void (*on_data)(void *ctx, struct gate_str bytes);
    /* The end, once. reason is text for people, no secret; empty for DONE. */
    void (*on_done)(void *ctx, enum gate_upstream_result result, const char *reason);
};

struct gate_upstream_request {
    struct gate_endpoint *endpoint; /* retained by the transport until the end */
    struct gate_str method;
    struct gate_str path;                /* whole path with the endpoint's base */
    const struct gate_str *header_lines; /* ready "name: value\r\n" blocks, without Host,
                                            Content-Length and Connection */
    size_t header_line_count;
    const struct iovec
        *body; /* must stay valid until on_done or cancel: a stale connection is retried once */
    size_t body_parts;
    uint32_t connect_ms;
};

struct gate_upstream_call; /* one request in flight; opaque */

/* A transport's operations. */
struct gate_transport_ops {
    struct gate_upstream_call *(*send)(void *transport, const struct gate_upstream_request *request,
                                       const struct gate_upstream_events *events, void *ctx);
    /* After pause nothing more is read until resume; what one read had brought (64 KiB) may still
     * be delivered. */
    void (*pause)(struct gate_upstream_call *call);
    void (*resume)(struct gate_upstream_call *call);
    /* Ends the call without on_done. Closes its connection unless the message was complete. */
    void (*cancel)(struct gate_upstream_call *call);
};

/* One worker's way out. */
struct gate_upstream {
    const struct gate_transport_ops *ops;
    void *transport;
};

static inline struct gate_upstream_call *
gate_upstream_send(struct gate_upstream *u, const struct gate_upstream_request *request,
                   const struct gate_upstream_events *events, void *ctx)
{
    return u->ops->send(u->transport, request, events, ctx);
}

#endif
