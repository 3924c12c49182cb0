#include "serve/serve_internal.h"
#include <stdlib.h>

enum {
    KEEP_BUFFER = 1024,    /* a drained buffer of up to this size is kept for the next event */
    MAX_PENDING = 1 << 30, /* the exchange pauses the upstream long before */
    CHUNK_HEAD = 18,       /* room for a chunk's size line: 16 digits, CR, LF */
    MAX_ROUTE_HEADERS = GATE_CONFIG_MAX_ROUTE_HEADERS,
};

/* ---- is the client still there? */

/* libh2o reads nothing while a request runs, so a client that leaves would be noticed only by a
 * failing write. */
static void on_client_event(h2o_socket_t *sock, const char *err)
{
    struct serve_conn *c = sock->on_close.data;
    struct pollfd p = {.fd = h2o_socket_get_fd(sock), .events = POLLRDHUP};
    (void)err;
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR))) {
        serve_conn_close(c);
        return;
    }
    /* Pipelined bytes: they stay in the kernel, and the sweep looks after the client from now on.
     */
    h2o_socket_read_stop(sock);
    if (c->request != NULL && c->request->watching) {
        c->request->watching = false;
        c->request->unwatched = true;
        c->listener->unwatched_count++;
    }
}

void serve_watch(struct serve_request *r)
{
    h2o_socket_t *sock = r->conn->sock;
    h2o_socket_dont_read(sock, 1);
    h2o_socket_read_start(sock, on_client_event);
    r->watching = true;
}

static void forget_unwatched(struct serve_request *r)
{
    if (r->unwatched)
        r->conn->listener->unwatched_count--;
    r->unwatched = false;
}

/* Gives the socket back to libh2o, which will read the next request from it. */
static void unwatch(struct serve_request *r)
{
    h2o_socket_t *sock = r->conn->sock;
    forget_unwatched(r);
    if (r->watching)
        h2o_socket_read_stop(sock);
    h2o_socket_dont_read(sock, 0);
    r->watching = false;
}

/* ---- answers */

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 204:
        return "No Content";
    case 302:
        return "Found";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Payload Too Large";
    case 429:
        return "Too Many Requests";
    case 500:
        return "Internal Server Error";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return status < 300   ? "OK"
               : status < 400 ? "Redirect"
               : status < 500 ? "Refused"
                              : "Failed";
    }
}

static void add_header(struct serve_request *r, struct gate_str name, struct gate_str value)
{
    h2o_req_t *req = r->req;
    h2o_iovec_t v = h2o_strdup(&req->pool, value.ptr, value.len);
    h2o_add_header_by_str(&req->pool, &req->res.headers, name.ptr, name.len, 0, NULL, v.base,
                          v.len);
}

static void add_static_header(struct serve_request *r, const h2o_token_t *token, const char *value)
{
    h2o_add_header(&r->req->pool, &r->req->res.headers, token, NULL, value, strlen(value));
}

static void start(struct serve_request *r, int status, struct gate_str type,
                  const struct gate_header *headers, size_t count, int64_t length)
{
    h2o_req_t *req = r->req;
    req->res.status = status;
    req->res.reason = reason_of(status);
    req->res.content_length = length < 0 ? SIZE_MAX : (size_t)length;
    if (type.len > 0) {
        h2o_iovec_t v = h2o_strdup(&req->pool, type.ptr, type.len);
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, v.base, v.len);
    }
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, NULL,
                          r->id.ptr, r->id.len);
    if (!r->own_origin) {
        add_static_header(r, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        h2o_add_header_by_str(&req->pool, &req->res.headers,
                              H2O_STRLIT("access-control-expose-headers"), 0, NULL,
                              H2O_STRLIT("x-request-id, retry-after"));
    }
    for (size_t i = 0; i < count; i++) {
        h2o_iovec_t name = h2o_strdup(&req->pool, headers[i].name.ptr, headers[i].name.len);
        add_header(r, serve_str(name), headers[i].value);
    }
    r->started = true;
    h2o_start_response(req, &r->gen);
}

/* libh2o's own chunked encoder prints a size and sends three pieces for each event. Here the size
 * line goes into room kept in front of the data, so that a chunk is one piece. Returns what to
 * send. */
static h2o_iovec_t frame_chunk(struct gate_buf *b, bool last)
{
    static const char hex[] = "0123456789abcdef";
    if (b->len == 0) {
        if (last)
            gate_buf_append(b, GATE_STR("0\r\n\r\n"));
        return h2o_iovec_init(b->ptr, b->len);
    }
    size_t size = b->len - CHUNK_HEAD, at = CHUNK_HEAD;
    gate_buf_append(b, last ? GATE_STR("\r\n0\r\n\r\n") : GATE_STR("\r\n"));
    b->ptr[--at] = '\n';
    b->ptr[--at] = '\r';
    do {
        b->ptr[--at] = hex[size & 15];
        size >>= 4;
    } while (size > 0);
    return h2o_iovec_init(b->ptr + at, b->len - at);
}

/* Hands what is pending to libh2o. Never called while a send is in flight. */
static void push(struct serve_request *r)
{
    struct gate_buf out = r->sending;
    r->sending = r->pending;
    r->pending = out;
    r->pending.len = 0;
    h2o_iovec_t v = r->chunked ? frame_chunk(&r->sending, r->ended && r->complete)
                               : h2o_iovec_init(r->sending.ptr, r->sending.len);
    size_t count = v.len > 0 ? 1 : 0;
    if (r->ended) {
        unwatch(r);
        h2o_send(r->req, &v, count, r->complete ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_ERROR);
        return; /* r may be gone */
    }
    r->in_flight = true;
    r->sending_since_ms = r->conn->listener->env->timers->now_ms;
    h2o_send(r->req, &v, count, H2O_SEND_STATE_IN_PROGRESS);
}

static void drop_if_large(struct gate_buf *b)
{
    b->len = 0;
    if (b->cap > KEEP_BUFFER)
        gate_buf_finish(b);
}

static void on_proceed(h2o_generator_t *gen, h2o_req_t *req)
{
    struct serve_request *r = (struct serve_request *)gen;
    (void)req;
    r->in_flight = false;
    if (r->pending.len > 0 || r->ended) {
        push(r);
        return;
    }
    drop_if_large(&r->sending);
    drop_if_large(&r->pending);
    if (r->exchange != NULL)
        gate_exchange_drained(r->exchange);
}

/* ---- what the exchange asks for */

static void client_head(void *client, const struct gate_client_head *head)
{
    struct serve_request *r = client;
    struct gate_header headers[16];
    size_t count = 0;
    for (; count < head->header_count && count < 14; count++)
        headers[count] = head->headers[count];
    if (head->content_length < 0) {
        /* For proxies in front: an event stream must not be stored or held back. */
        headers[count++] = (struct gate_header){GATE_STR("cache-control"), GATE_STR("no-cache")};
        headers[count++] = (struct gate_header){GATE_STR("x-accel-buffering"), GATE_STR("no")};
    }
    if (head->content_length < 0 && r->req->version == 0x101) {
        /* With the header set, libh2o leaves the framing to us. */
        add_static_header(r, H2O_TOKEN_TRANSFER_ENCODING, "chunked");
        r->chunked = true;
    } else if (head->content_length < 0) {
        r->req->http1_is_persistent = 0; /* HTTP/1.0: the body ends with the connection */
    }
    start(r, head->status, head->content_type, headers, count, head->content_length);
}

static void client_write(void *client, struct gate_str bytes)
{
    struct serve_request *r = client;
    if (r->chunked && r->pending.len == 0 && bytes.len > 0 &&
        gate_buf_reserve(&r->pending, CHUNK_HEAD + bytes.len + CHUNK_HEAD) != NULL)
        r->pending.len = CHUNK_HEAD;
    gate_buf_append(&r->pending, bytes);
}

static void client_flush(void *client)
{
    struct serve_request *r = client;
    if (!r->in_flight && r->pending.len > 0)
        push(r);
}

static void client_end(void *client, bool complete)
{
    struct serve_request *r = client;
    r->exchange = NULL;
    r->ended = true;
    r->complete = complete;
    if (!r->in_flight)
        push(r);
}

static size_t client_backlog(const void *client)
{
    const struct serve_request *r = client;
    return r->pending.len + (r->in_flight ? r->sending.len : 0);
}

const struct gate_client_ops serve_client_ops = {
    .head = client_head,
    .write = client_write,
    .flush = client_flush,
    .end = client_end,
    .backlog = client_backlog,
};

/* ---- one request */

/* Fires when libh2o clears the request's pool: the answer is sent, or the connection is gone. */
static void on_dispose(void *p)
{
    struct serve_request *r = p;
    struct gate_listener *l = r->conn->listener;
    if (r->exchange != NULL) {
        struct gate_exchange *x = r->exchange;
        r->exchange = NULL;
        gate_exchange_client_gone(x);
    }
    serve_forward_forget(r);
    serve_events_forget(r);
    gate_timer_disarm(l->env->timers, &r->delay);
    forget_unwatched(r);
    gate_buf_finish(&r->sending);
    gate_buf_finish(&r->pending);
    r->conn->request = NULL;
    r->conn->since_ms = l->env->timers->now_ms;
    r->conn->reading = false;
    l->active--;
}

static bool is_id_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

static struct gate_str find_header(const h2o_req_t *req, const char *name, size_t len)
{
    ssize_t i = h2o_find_header_by_str(&req->headers, name, len, -1);
    return i < 0 ? (struct gate_str){NULL, 0} : serve_str(req->headers.entries[i].value);
}

/* The client's own id when it is harmless to log and to send back, else a new one. */
static struct gate_str request_id(struct serve_request *r)
{
    struct gate_str given = find_header(r->req, H2O_STRLIT("x-request-id"));
    bool good = given.len > 0 && given.len <= SERVE_REQUEST_ID_MAX;
    for (size_t i = 0; good && i < given.len; i++)
        good = is_id_byte(given.ptr[i]);
    if (good)
        return serve_str(h2o_strdup(&r->req->pool, given.ptr, given.len));
    static const char hex[] = "0123456789abcdef";
    char *id = h2o_mem_alloc_pool(&r->req->pool, 4 + 32);
    memcpy(id, "req_", 4);
    for (size_t part = 0; part < 2; part++) {
        uint64_t bits = gate_env_random(r->conn->listener->env);
        for (size_t i = 0; i < 16; i++, bits >>= 4)
            id[4 + part * 16 + i] = hex[bits & 15];
    }
    return (struct gate_str){id, 4 + 32};
}

/* Two framings in one request, or a folded header, can be read differently by whoever stands before
 * or behind us. libh2o takes them; its copy of the head still shows them. */
static const char *framing_problem(const h2o_socket_t *sock)
{
    const char *p = sock->input->bytes, *end = p + sock->input->size;
    unsigned lengths = 0, encodings = 0;
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        p++;
        size_t left = (size_t)(end - p);
        if (left == 0 || *p == '\r' || *p == '\n')
            break;
        if (*p == ' ' || *p == '\t')
            return "A header line is folded, which HTTP no longer allows.";
        if (left > 15 && (*p | 0x20) == 'c' && strncasecmp(p, "content-length:", 15) == 0)
            lengths++;
        else if (left > 18 && (*p | 0x20) == 't' && strncasecmp(p, "transfer-encoding:", 18) == 0)
            encodings++;
    }
    if (lengths > 1)
        return "Content-Length was sent more than once.";
    if (encodings > 1)
        return "Transfer-Encoding was sent more than once.";
    if (lengths > 0 && encodings > 0)
        return "Content-Length and Transfer-Encoding were sent together.";
    return NULL;
}

int serve_on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    struct gate_listener *l = serve_listener_of(req->conn->ctx);
    h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    (void)handler;
    gate_timers_touch(l->env->timers, gate_clock_mono_ms());
    struct serve_request *r = h2o_mem_alloc_shared(&req->pool, sizeof *r, on_dispose);
    memset(r, 0, sizeof *r);
    r->gen.proceed = on_proceed;
    r->req = req;
    r->conn = sock->on_close.data;
    r->conn->request = r;
    r->started_us = gate_clock_mono_us();
    gate_buf_init(&r->sending, MAX_PENDING);
    gate_buf_init(&r->pending, MAX_PENDING);
    l->active++;
    r->id = request_id(r);

    const char *problem = framing_problem(sock);
    if (problem != NULL) {
        struct gate_api_error error;
        req->http1_is_persistent = 0;
        r->log_path = GATE_STR("-");
        gate_refusal_framing(problem, &error);
        serve_refuse(r, &error, NULL, 0);
        return 0;
    }
    serve_dispatch(r);
    return 0;
}

static void log_answer(struct serve_request *r, int status, size_t bytes, struct gate_str code)
{
    uint64_t us = gate_clock_mono_us() - r->started_us;
    struct gate_log_request line = {
        .request_id = r->id,
        .method = serve_str(r->req->method),
        .path = r->log_path,
        .outcome = status < 400 ? GATE_STR("ok") : GATE_STR("refused"),
        .error_code = code,
        .client = gate_str_of(serve_conn_peer(r->conn)),
        .status = status,
        .bytes_in = r->req->entity.len,
        .bytes_out = bytes,
        .total_us = us,
        .first_us = (int64_t)us,
    };
    gate_log_batch_request(r->conn->listener->env->log, &line);
}

static void answer(struct serve_request *r, int status, struct gate_str type,
                   const struct gate_header *headers, size_t count, struct gate_str body,
                   struct gate_str code)
{
    bool head =
        h2o_memis(r->req->method.base, r->req->method.len, H2O_STRLIT("HEAD")) || status == 304;
    log_answer(r, status, head ? 0 : body.len, code);
    start(r, status, type, headers, count, (int64_t)body.len);
    if (!head)
        gate_buf_append(&r->pending, body);
    r->ended = r->complete = true;
    push(r);
}

void serve_answer(struct serve_request *r, int status, struct gate_str type,
                  const struct gate_header *headers, size_t count, struct gate_str body)
{
    answer(r, status, type, headers, count, body, (struct gate_str){NULL, 0});
}

void serve_refuse(struct serve_request *r, const struct gate_api_error *error,
                  const struct gate_header *headers, size_t count)
{
    struct gate_buf body;
    gate_buf_init(&body, GATE_REFUSAL_MAX);
    struct gate_writer w = gate_buf_writer(&body);
    gate_pool_default_dialect(gate_env_pool(r->conn->listener->env))->render_error(error, &w);
    answer(r, error->status, GATE_STR("application/json"), headers, count, gate_buf_str(&body),
           error->code);
    gate_buf_finish(&body);
}

static size_t route_headers(const struct serve_request *r, const struct gate_config *config,
                            struct gate_header *out)
{
    size_t count = 0;
    for (size_t i = 0; i < config->route_header_count && i < MAX_ROUTE_HEADERS; i++) {
        struct gate_str name = gate_str_of(config->route_headers[i]);
        struct gate_str value = find_header(r->req, name.ptr, name.len);
        if (value.ptr != NULL)
            out[count++] = (struct gate_header){name, value};
    }
    return count;
}

void serve_start_exchange(struct serve_request *r, const struct serve_start *how)
{
    const struct serve_search *search = how->search;
    struct gate_env *env = r->conn->listener->env;
    struct gate_table_pin *accounts = how->stage != NULL ? how->stage->accounts : env->accounts;
    struct gate_header headers[MAX_ROUTE_HEADERS];
    struct gate_exchange_input input = {
        .env = env,
        .ops = &serve_client_ops,
        .client = r,
        .dialect = how->dialect,
        .stage = how->stage,
        .method = serve_str(r->req->method),
        .address = r->log_path,
        .path = how->path.len > 0 ? how->path : r->log_path,
        .kind = search != NULL ? GATE_USAGE_SEARCH : GATE_USAGE_CHAT,
        .body = serve_str(r->req->entity),
        .query = search != NULL ? search->query : (struct gate_str){NULL, 0},
        .rows = search != NULL ? search->rows : 0,
        .request_id = r->id,
        .key_name = how->key_name.len > 0 ? how->key_name : GATE_STR("default"),
        .peer = gate_str_of(serve_conn_peer(r->conn)),
        .headers = headers,
        .header_count = route_headers(r, accounts->table->config, headers),
        .explain = r->explain,
        .started_us = r->started_us,
    };
    serve_watch(r);
    r->exchange = gate_exchange_create(&input);
    gate_exchange_run(r->exchange);
}
