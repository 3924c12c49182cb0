#include "upstream/http1_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TLS_WRITE = 16 * 1024 };

/* ---- hosts and pooled connections */

static bool same_host(const struct gate_endpoint *a, const struct gate_endpoint *b)
{
    return a->id == b->id || (a->port == b->port && a->tls == b->tls &&
                              a->public_only == b->public_only && strcmp(a->host, b->host) == 0);
}

static struct h1_host *find_host(struct gate_http1 *t, struct gate_endpoint *endpoint)
{
    for (struct h1_host *h = t->hosts; h != NULL; h = h->next)
        if (same_host(h->endpoint, endpoint))
            return h;
    struct h1_host *h = gate_calloc(1, sizeof *h);
    gate_endpoint_retain(endpoint);
    h->endpoint = endpoint;
    h->next = t->hosts;
    t->hosts = h;
    return h;
}

int gate_tls_on_session(void *owner, SSL_SESSION *session)
{
    struct h1_conn *conn = owner;
    SSL_SESSION_free(conn->host->session);
    conn->host->session = session;
    return 1;
}

static void idle_unlink(struct h1_conn *conn)
{
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        conn->host->idle = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    conn->prev = conn->next = NULL;
    conn->host->idle_count--;
    conn->pooled = false;
    gate_timer_disarm(conn->transport->timers, &conn->idle_timer);
}

static void on_idle_timeout(struct gate_timer *timer)
{
    struct h1_conn *conn = H2O_STRUCT_FROM_MEMBER(struct h1_conn, idle_timer, timer);
    h1_conn_close(conn);
}

void h1_conn_pool(struct h1_conn *conn)
{
    struct h1_host *host = conn->host;
    if (host->idle_count >= H1_MAX_IDLE) {
        h1_conn_close(conn);
        return;
    }
    conn->call = NULL;
    conn->prev = NULL;
    conn->next = host->idle;
    if (host->idle != NULL)
        host->idle->prev = conn;
    host->idle = conn;
    host->idle_count++;
    conn->pooled = true;
    conn->idle_timer.cb = on_idle_timeout;
    gate_timer_arm(conn->transport->timers, &conn->idle_timer, H1_IDLE_MS);
    if (!h2o_socket_is_reading(conn->sock))
        h2o_socket_read_start(conn->sock, h1_on_readable);
}

void h1_conn_close(struct h1_conn *conn)
{
    if (conn->gone != NULL)
        *conn->gone = true;
    if (conn->pooled)
        idle_unlink(conn);
    if (conn->call != NULL)
        conn->call->conn = NULL;
    if (conn->ssl != NULL) {
        SSL_set_app_data(conn->ssl, NULL);
        SSL_set_quiet_shutdown(conn->ssl, 1);
        SSL_free(conn->ssl);
    }
    h2o_socket_close(conn->sock);
    free(conn->carry);
    free(conn);
}

/* ---- writing */

bool h1_call_is_written(const struct gate_upstream_call *call)
{
    return call->part > call->body_parts;
}

static struct iovec part_of(const struct gate_upstream_call *call, size_t part)
{
    if (part == 0)
        return (struct iovec){call->head, call->head_len};
    return call->body[part - 1];
}

static void advance(struct gate_upstream_call *call, size_t n)
{
    for (;;) {
        if (h1_call_is_written(call))
            return;
        size_t rest = part_of(call, call->part).iov_len - call->part_off;
        if (n < rest) {
            call->part_off += n;
            return;
        }
        n -= rest;
        call->part++;
        call->part_off = 0;
    }
}

/* Both return bytes written, 0 when the socket is full, -1 on failure. */
static ssize_t write_plain(struct gate_upstream_call *call, int fd)
{
    struct iovec iov[GATE_UPSTREAM_MAX_PARTS + 1];
    int count = 0;
    for (size_t i = call->part; i <= call->body_parts; i++) {
        iov[count] = part_of(call, i);
        if (i == call->part) {
            iov[count].iov_base = (char *)iov[count].iov_base + call->part_off;
            iov[count].iov_len -= call->part_off;
        }
        count++;
    }
    ssize_t n;
    do
        n = writev(fd, iov, count);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    return n;
}

static ssize_t write_tls(struct gate_upstream_call *call, SSL *ssl)
{
    char gathered[TLS_WRITE];
    struct iovec first = part_of(call, call->part);
    const char *from = (char *)first.iov_base + call->part_off;
    size_t len = first.iov_len - call->part_off;
    if (len < TLS_WRITE && call->part < call->body_parts) {
        /* Small parts share a record. */
        memcpy(gathered, from, len);
        for (size_t i = call->part + 1; i <= call->body_parts && len < TLS_WRITE; i++) {
            struct iovec v = part_of(call, i);
            size_t take = v.iov_len < TLS_WRITE - len ? v.iov_len : TLS_WRITE - len;
            memcpy(gathered + len, v.iov_base, take);
            len += take;
        }
        from = gathered;
    }
    if (len > INT32_MAX)
        len = INT32_MAX;
    int n = SSL_write(ssl, from, (int)len);
    if (n > 0)
        return n;
    int why = SSL_get_error(ssl, n);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : -1;
}

void h1_on_writable(h2o_socket_t *sock, const char *err)
{
    struct h1_conn *conn = sock->data;
    /* An error shows on the read side too, where an early answer may still be waiting. */
    if (err == NULL && conn->call != NULL)
        h1_call_write(conn->call);
}

void h1_call_write(struct gate_upstream_call *call)
{
    struct h1_conn *conn = call->conn;
    while (!h1_call_is_written(call)) {
        ssize_t n = conn->ssl != NULL ? write_tls(call, conn->ssl)
                                      : write_plain(call, h2o_socket_get_fd(conn->sock));
        if (n < 0) {
            conn->keep = false;
            return;
        }
        if (n == 0) {
            if (!h2o_socket_is_writing(conn->sock))
                h2o_socket_notify_write(conn->sock, h1_on_writable);
            return;
        }
        advance(call, (size_t)n);
    }
}

/* ---- calls */

static char *build_head(const struct gate_upstream_request *r, size_t *len)
{
    size_t body = 0;
    for (size_t i = 0; i < r->body_parts; i++)
        body += r->body[i].iov_len;
    char length[48];
    int n = snprintf(length, sizeof length, "content-length: %zu\r\n\r\n", body);
    struct gate_str host = gate_str_of(r->endpoint->authority);
    size_t total = r->method.len + r->path.len + host.len + (size_t)n + 32;
    for (size_t i = 0; i < r->header_line_count; i++)
        total += r->header_lines[i].len;

    char *head = gate_alloc(total), *p = head;
#define PUT(bytes, count) (memcpy(p, (bytes), (count)), p += (count))
    PUT(r->method.ptr, r->method.len);
    *p++ = ' ';
    PUT(r->path.ptr, r->path.len);
    PUT(" HTTP/1.1\r\nhost: ", 17);
    PUT(host.ptr, host.len);
    PUT("\r\n", 2);
    for (size_t i = 0; i < r->header_line_count; i++)
        PUT(r->header_lines[i].ptr, r->header_lines[i].len);
    PUT(length, (size_t)n);
#undef PUT
    *len = (size_t)(p - head);
    return head;
}

static void call_free(struct gate_upstream_call *call)
{
    if (call->lookup != NULL)
        call->lookup->call = NULL;
    gate_timer_disarm(call->transport->timers, &call->timer);
    gate_endpoint_release(call->endpoint);
    if (call->head != NULL)
        gate_wipe(call->head, call->head_len); /* carries the credential */
    free(call->head);
    free(call->reason);
    free(call);
}

void h1_call_end(struct gate_upstream_call *call, enum gate_upstream_result result,
                 const char *reason)
{
    const struct gate_upstream_events *events = call->events;
    void *ctx = call->ctx;
    char text[256];
    snprintf(text, sizeof text, "%s", reason);
    if (call->conn != NULL) {
        call->conn->call = NULL;
        h1_conn_close(call->conn);
    }
    call_free(call);
    events->on_done(ctx, result, text);
}

void h1_call_broken(struct gate_upstream_call *call, enum gate_upstream_result result,
                    const char *reason)
{
    struct h1_conn *conn = call->conn;
    if (conn == NULL || !conn->reused || call->got_bytes || call->retried) {
        h1_call_end(call, result, reason);
        return;
    }
    /* The server closed a pooled connection while the request was on its way: it has seen none of
     * it. */
    call->retried = true;
    conn->call = NULL;
    call->conn = NULL;
    h1_conn_close(conn);
    call->part = call->part_off = 0;
    call->stage = H1_START;
    h1_connect(call);
}

void h1_call_begin(struct gate_upstream_call *call, struct h1_conn *conn)
{
    gate_timer_disarm(call->transport->timers, &call->timer);
    call->conn = conn;
    call->stage = H1_ACTIVE;
    conn->call = call;
    conn->keep = true;
    conn->body = H1_HEAD;
    conn->carry_len = 0;
    if (!h2o_socket_is_reading(conn->sock))
        h2o_socket_read_start(conn->sock, h1_on_readable);
    h1_call_write(call);
}

static struct gate_upstream_call *http1_send(void *transport,
                                             const struct gate_upstream_request *request,
                                             const struct gate_upstream_events *events, void *ctx)
{
    struct gate_http1 *t = transport;
    struct gate_upstream_call *call = gate_calloc(1, sizeof *call);
    call->transport = t;
    call->events = events;
    call->ctx = ctx;
    call->endpoint = request->endpoint;
    gate_endpoint_retain(call->endpoint);
    call->host = find_host(t, call->endpoint);
    call->body = request->body;
    call->body_parts = request->body_parts;
    call->head = build_head(request, &call->head_len);
    call->connect_deadline_ms = t->timers->now_ms + request->connect_ms;

    struct h1_conn *conn = call->host->idle;
    if (conn != NULL) {
        idle_unlink(conn);
        conn->reused = true;
        h1_call_begin(call, conn);
    } else {
        h1_connect(call);
    }
    return call;
}

static void http1_pause(struct gate_upstream_call *call)
{
    if (call->paused)
        return;
    call->paused = true;
    if (call->conn != NULL && call->stage == H1_ACTIVE)
        h2o_socket_read_stop(call->conn->sock);
}

static void on_read_on(struct gate_timer *timer)
{
    struct gate_upstream_call *call =
        H2O_STRUCT_FROM_MEMBER(struct gate_upstream_call, timer, timer);
    if (!call->paused && call->conn != NULL)
        h1_on_readable(call->conn->sock, NULL);
}

void h1_read_on(struct gate_upstream_call *call)
{
    if (call->conn->ssl == NULL)
        return;
    call->timer.cb = on_read_on;
    gate_timer_arm(call->transport->timers, &call->timer, 0);
}

static void http1_resume(struct gate_upstream_call *call)
{
    if (!call->paused)
        return;
    call->paused = false;
    if (call->conn == NULL || call->stage != H1_ACTIVE)
        return;
    h2o_socket_read_start(call->conn->sock, h1_on_readable);
    h1_read_on(call);
}

static void http1_cancel(struct gate_upstream_call *call)
{
    if (call->conn != NULL) {
        call->conn->call = NULL;
        h1_conn_close(call->conn);
    }
    call_free(call);
}

const struct gate_transport_ops gate_http1_transport = {
    .send = http1_send,
    .pause = http1_pause,
    .resume = http1_resume,
    .cancel = http1_cancel,
};

struct gate_http1 *gate_http1_create(h2o_evloop_t *loop, h2o_multithread_receiver_t *receiver,
                                     struct gate_timers *timers)
{
    struct gate_http1 *t = gate_alloc(sizeof *t);
    t->loop = loop;
    t->getaddr_receiver = receiver;
    t->timers = timers;
    t->hosts = NULL;
    t->lookups = 0;
    return t;
}

size_t gate_http1_lookups(const struct gate_http1 *t)
{
    return t->lookups;
}

void gate_http1_destroy(struct gate_http1 *t)
{
    if (t == NULL)
        return;
    for (struct h1_host *h = t->hosts, *next; h != NULL; h = next) {
        next = h->next;
        while (h->idle != NULL)
            h1_conn_close(h->idle);
        SSL_SESSION_free(h->session);
        gate_endpoint_release(h->endpoint);
        free(h);
    }
    free(t);
}
