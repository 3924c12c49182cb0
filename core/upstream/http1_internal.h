/* http1_internal: what the files of the HTTP/1.1 transport share. Used by http1*.c only. */
#ifndef GATE_UPSTREAM_HTTP1_INTERNAL_H
#define GATE_UPSTREAM_HTTP1_INTERNAL_H

#include "base/buf.h"
#include "base/clock.h"
#include "upstream/http1.h"
#include "upstream/tls.h"
#include <h2o.h>
#include <openssl/err.h>

enum {
    H1_READ_SIZE = 64 * 1024, /* bytes of one read */
    H1_MAX_HEAD = 64 * 1024,  /* bytes of a response head */
    H1_MAX_ADDRESSES = 8,
    H1_MAX_IDLE = 256,         /* pooled connections of one host and worker */
    H1_IDLE_MS = 45 * 1000,    /* a pooled connection is closed after this */
    H1_RESOLVE_MS = 30 * 1000, /* resolved addresses are used this long */
    H1_READS_PER_EVENT = 4,    /* then other connections get their turn */
};

/* picohttpparser, which libh2o carries and exports without its header. */
struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};
struct phr_chunked_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer;
    char hex_count;
    char state;
};
int phr_parse_response(const char *buf, size_t len, int *minor_version, int *status,
                       const char **msg, size_t *msg_len, struct phr_header *headers,
                       size_t *num_headers, size_t last_len);
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *bufsz);

/* What one worker keeps for one host: pooled connections, addresses, a TLS session. */
struct h1_host {
    struct gate_endpoint
        *endpoint; /* retained; another endpoint of the same host shares this entry */
    struct h1_host *next;
    struct h1_conn *idle; /* last used first */
    size_t idle_count;
    struct sockaddr_storage addresses[H1_MAX_ADDRESSES];
    size_t address_count;
    uint64_t fresh_until_ms;
    SSL_SESSION *session;
};

enum h1_body { H1_HEAD = 0, H1_LENGTH, H1_CHUNKED, H1_UNTIL_CLOSE };

struct h1_conn {
    struct gate_http1 *transport;
    struct h1_host *host;
    struct gate_upstream_call *call; /* NULL: idle */
    h2o_socket_t *sock;
    SSL *ssl;                    /* NULL: plain */
    struct h1_conn *prev, *next; /* idle list */
    struct gate_timer idle_timer;
    bool *gone;  /* set to true when the connection is freed while its events are delivered */
    char *carry; /* head bytes of a response that is not complete yet */
    size_t carry_len;
    uint64_t left; /* H1_LENGTH */
    struct phr_chunked_decoder chunked;
    enum h1_body body;
    bool keep;   /* may be pooled after this response */
    bool reused; /* served a request before this one */
    bool pooled; /* in its host's idle list */
};

/* A name being looked up on libh2o's resolver threads. Outlives its call: a lookup cannot be taken
 * back. */
struct h1_lookup {
    struct gate_http1 *transport;
    struct gate_upstream_call *call; /* NULL: cancelled */
};

enum h1_stage { H1_START = 0, H1_RESOLVING, H1_CONNECTING, H1_HANDSHAKE, H1_ACTIVE };

struct gate_upstream_call {
    struct gate_http1 *transport;
    const struct gate_upstream_events *events;
    void *ctx;
    struct gate_endpoint *endpoint;
    struct h1_host *host;
    struct h1_conn *conn;
    char *head; /* request line and headers; freed when the response starts */
    size_t head_len;
    const struct iovec *body;
    size_t body_parts;
    size_t part, part_off;    /* what is written: part 0 is the head */
    struct h1_lookup *lookup; /* NULL: none running */
    size_t address;           /* next to try */
    struct gate_timer timer;  /* connect clock, or a result that waits to be told */
    uint64_t connect_deadline_ms;
    enum gate_upstream_result result;
    char *reason;
    enum h1_stage stage;
    bool got_bytes, retried, paused, told_head;
};

struct gate_http1 {
    h2o_evloop_t *loop;
    h2o_multithread_receiver_t *getaddr_receiver;
    struct gate_timers *timers;
    struct h1_host *hosts;
    size_t lookups; /* running, cancelled ones included */
    char scratch[H1_MAX_HEAD + H1_READ_SIZE];
};

/* http1.c */
void h1_conn_close(struct h1_conn *conn); /* frees it; its call, if any, is detached */
void h1_conn_pool(
    struct h1_conn *conn); /* detached from its call, complete: keep it for the next request */
bool h1_call_is_written(const struct gate_upstream_call *call);
void h1_call_write(struct gate_upstream_call *call); /* writes what the socket takes */
void h1_on_writable(h2o_socket_t *sock, const char *err);
/* Ends the call: detached, freed, then on_done is called. */
void h1_call_end(struct gate_upstream_call *call, enum gate_upstream_result result,
                 const char *reason);
/* The connection failed. Retries once on a new one if it was pooled and nothing was received; else
 * ends the call. */
void h1_call_broken(struct gate_upstream_call *call, enum gate_upstream_result result,
                    const char *reason);
/* TLS may hold bytes that no longer make the socket readable: read again from the loop. */
void h1_read_on(struct gate_upstream_call *call);
/* A connection is ready to carry the call. */
void h1_call_begin(struct gate_upstream_call *call, struct h1_conn *conn);

/* http1_connect.c */
void h1_connect(
    struct gate_upstream_call *call); /* stage H1_START; later h1_call_begin or h1_call_end */

/* http1_read.c */
void h1_on_readable(h2o_socket_t *sock, const char *err);

#endif
