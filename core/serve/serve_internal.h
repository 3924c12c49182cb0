/* serve_internal: what the files of the serve wing share. */
#ifndef GATE_SERVE_INTERNAL_H
#define GATE_SERVE_INTERNAL_H

#include "base/clock.h"
#include "request/console.h"
#include "request/exchange.h"
#include "request/refusal.h"
#include "serve/serve.h"
#include <h2o.h>
#include <poll.h>

enum { SERVE_REQUEST_ID_MAX = 128 };

/* One accepted connection. Lives as long as its socket. */
struct serve_conn {
    struct serve_conn *prev, *next;
    struct gate_listener *listener;
    h2o_socket_t *sock;
    struct serve_request *request; /* the one being answered, or NULL */
    uint64_t since_ms; /* when the connection became idle, or its request's first bytes were seen */
    uint64_t progress_ms; /* when `seen` last grew */
    size_t seen;          /* bytes of the unfinished request */
    bool reading;         /* an unfinished request is here */
    char peer[48];        /* numeric address, "" until asked for */
};

/* A connection that was refused while its client still sends: read and dropped until the client has
 * seen why. */
struct serve_linger {
    struct serve_linger *prev, *next;
    struct gate_listener *listener;
    h2o_socket_t *sock;
    uint64_t until_ms;
    bool shut;
};

struct gate_listener {
    h2o_context_t *ctx;
    struct gate_env *env;
    const struct gate_auth *auth;
    struct gate_auth *admin_auth; /* NULL: auth opens the admin API too */
    struct gate_console console;
    h2o_accept_ctx_t accept;
    h2o_socket_t *sock; /* NULL when draining */
    h2o_socket_cb
        h2o_read; /* libh2o's read callback: called with an error it closes the connection */
    struct serve_conn *conns;
    struct serve_linger *lingering;
    size_t conn_count, linger_count, active;
    size_t
        unwatched_count; /* requests whose client cannot be watched because pipelined bytes wait */
    struct gate_timer sweep, accept_pause;
    uint64_t unknown_until_ms; /* the place in time of the next refusal of what is unknown */
    bool draining, accepting;
};

/* One request being answered; memory of the h2o request pool, freed with it whatever happens. */
struct serve_request {
    h2o_generator_t gen; /* first */
    h2o_req_t *req;
    struct serve_conn *conn;
    struct gate_exchange *exchange;         /* NULL: answered here, or over */
    struct serve_forward *forward;          /* NULL: does not wait for the admin API */
    struct serve_events *events;            /* NULL: is not the live stream */
    struct gate_timer delay;                /* armed: the answer waits for it */
    char session[GATE_CONSOLE_SESSION + 1]; /* id of the console's session that asks; "": none */
    struct gate_buf sending, pending;
    uint64_t started_us;
    uint64_t sending_since_ms;
    struct gate_str id;       /* request id, in the pool */
    struct gate_str log_path; /* path without query and keys, in the pool */
    bool started, in_flight, ended, complete;
    bool chunked;    /* the body is framed here, one chunk for each send */
    bool watching;   /* the socket tells when the client leaves */
    bool unwatched;  /* it cannot: the sweep looks instead */
    bool explain;    /* the client may see why its request went where it went, and wants to */
    bool own_origin; /* no page of another origin may read the answer */
};

/* listener.c */
void serve_conn_close(struct serve_conn *conn); /* as if the client had closed it */
void serve_linger(struct gate_listener *l, h2o_socket_t *sock);
const char *serve_conn_peer(struct serve_conn *conn);

/* downstream.c */
int serve_on_request(h2o_handler_t *handler, h2o_req_t *req);
/* Answers at once. Extra headers may be NULL. The strings are copied. */
void serve_answer(struct serve_request *r, int status, struct gate_str content_type,
                  const struct gate_header *headers, size_t header_count, struct gate_str body);
void serve_refuse(struct serve_request *r, const struct gate_api_error *error,
                  const struct gate_header *headers, size_t header_count);
/* What a web search asks for; query lies in the request's pool. */
struct serve_search {
    struct gate_str query;
    uint32_t rows;
};
/* How a request goes on its way. Zeroed members are what they say. */
struct serve_start {
    const struct gate_dialect_ops *dialect;
    const struct serve_search *search; /* NULL: a chat request */
    struct gate_stage_pin *stage;      /* NULL: what serves decides */
    struct gate_str path;              /* that scripts and traces have; empty: the address */
    struct gate_str key_name;          /* empty: "default" */
};
void serve_start_exchange(struct serve_request *r, const struct serve_start *how);
/* How answers that come piece by piece are written; the client is the request. */
extern const struct gate_client_ops serve_client_ops;
/* From now on it is noticed when the client leaves. For requests whose answer comes later. */
void serve_watch(struct serve_request *r);

/* endpoints.c */
void serve_dispatch(struct serve_request *r);
bool serve_method_is(const struct serve_request *r, const char *method);
void serve_refuse_method(struct serve_request *r, const char *allow);
/* True: go on. Else the request has been answered. */
bool serve_check_key(struct serve_request *r, const struct gate_auth *auth);

/* console.c: entry and files of the console. False: to this client there is nothing at that
 * address.
 */
bool serve_console(struct serve_request *r, struct gate_str path);

/* session.c */
enum serve_session {
    SERVE_SESSION_NONE = 0, /* there is no cookie of ours */
    SERVE_SESSION_OVER,     /* there is, but no session of it */
    SERVE_SESSION_LIVES,    /* r->session is its id */
};
enum serve_session serve_find_session(struct serve_request *r);
/* A proxy in front says that the client came to it by https. */
bool serve_came_by_tls(const struct serve_request *r);
/* Of a request that a session's cookie alone has let in: is it the console's own? True: go on. Else
 * the request has been answered. */
bool serve_check_origin(struct serve_request *r);

/* unknown.c: 404, perhaps a while later. */
void serve_refuse_unknown(struct serve_request *r);

/* admin.c: everything below /admin/api */
bool serve_is_admin(struct gate_str path);
/* The address as it came, without the query, so that an encoded slash stays one. */
struct gate_str serve_raw_path(const struct serve_request *r);
void serve_admin(struct serve_request *r);
/* The client is gone, or the answer is on its way. */
void serve_forward_forget(struct serve_request *r);

/* events.c: GET /admin/api/events */
void serve_events(struct serve_request *r);
/* The client is gone. */
void serve_events_forget(struct serve_request *r);
/* All streams of the worker end: it drains. */
void serve_events_end(struct gate_listener *l);

/* chat.c: POST /admin/api/chat, from somebody who may ask */
void serve_chat(struct serve_request *r);

/* search.c: POST /v1/tools/web_search */
void serve_web_search(struct serve_request *r);

/* http_errors.c */
void serve_http_errors_register(h2o_pathconf_t *pathconf, size_t max_body);

static inline struct gate_str serve_str(h2o_iovec_t v)
{
    return (struct gate_str){v.base, v.len};
}
static inline struct gate_listener *serve_listener_of(h2o_context_t *ctx)
{
    return ctx->storage.entries[0].data;
}

#endif
