#include "serve/serve_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <h2o/http1.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_EVENT = 16,
    SWEEP_MS = 250,
    WATCH_MS = 40, /* while a client cannot be watched by its socket alone */
    ACCEPT_PAUSE_MS = 200,
    MAX_LINGERING = 64,
    LINGER_MS = 2000,
    LINGER_READS = 16,
};

/* ---- connections */

static void on_conn_closed(void *ctx)
{
    struct serve_conn *c = ctx;
    struct gate_listener *l = c->listener;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        l->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    l->conn_count--;
    free(c);
}

void serve_conn_close(struct serve_conn *c)
{
    h2o_socket_t *sock = c->sock;
    h2o_socket_read_stop(sock);
    h2o_socket_dont_read(sock, 0);
    c->listener->h2o_read(sock, h2o_socket_error_closed);
}

const char *serve_conn_peer(struct serve_conn *c)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    if (c->peer[0] == '\0' &&
        getpeername(h2o_socket_get_fd(c->sock), (struct sockaddr *)&sa, &len) == 0) {
        if (sa.ss_family == AF_INET)
            inet_ntop(AF_INET, &((struct sockaddr_in *)&sa)->sin_addr, c->peer, sizeof c->peer);
        else if (sa.ss_family == AF_INET6)
            inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&sa)->sin6_addr, c->peer, sizeof c->peer);
    }
    return c->peer;
}

static void on_new_socket(struct gate_listener *l, h2o_socket_t *sock)
{
    struct serve_conn *c = gate_calloc(1, sizeof *c);
    c->listener = l;
    c->sock = sock;
    c->since_ms = l->env->timers->now_ms;
    c->next = l->conns;
    if (l->conns != NULL)
        l->conns->prev = c;
    l->conns = c;
    l->conn_count++;
    sock->on_close.cb = on_conn_closed;
    sock->on_close.data = c;
    struct timeval now = *h2o_get_timestamp(l->ctx, NULL, NULL);
    h2o_http1_accept(&l->accept, sock, now);
    if (l->h2o_read == NULL)
        l->h2o_read = sock->_cb.read;
}

/* ---- accepting */

static void on_accept(h2o_socket_t *listener, const char *err);

static void accept_on(struct gate_listener *l)
{
    if (l->sock != NULL && !l->accepting) {
        l->accepting = true;
        h2o_socket_read_start(l->sock, on_accept);
    }
}

static void accept_off(struct gate_listener *l)
{
    l->accepting = false;
    h2o_socket_read_stop(l->sock);
}

static void on_accept_pause_over(struct gate_timer *timer)
{
    accept_on(H2O_STRUCT_FROM_MEMBER(struct gate_listener, accept_pause, timer));
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    struct gate_listener *l = listener->data;
    if (err != NULL)
        return;
    gate_timers_touch(l->env->timers, gate_clock_mono_ms());
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        if (l->conn_count >= l->env->config->max_connections) {
            /* New clients wait in the kernel's queue until the sweep finds room. */
            accept_off(l);
            return;
        }
        errno = 0;
        h2o_socket_t *sock = h2o_evloop_socket_accept(listener);
        if (sock != NULL) {
            on_new_socket(l, sock);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            gate_log_warn("cannot accept connections: %s; raise the limit of open files",
                          strerror(errno));
            accept_off(l);
            gate_timer_arm(l->env->timers, &l->accept_pause, ACCEPT_PAUSE_MS);
        }
        return;
    }
}

/* ---- lingering close */

static void linger_end(struct serve_linger *g)
{
    struct gate_listener *l = g->listener;
    if (g->prev != NULL)
        g->prev->next = g->next;
    else
        l->lingering = g->next;
    if (g->next != NULL)
        g->next->prev = g->prev;
    l->linger_count--;
    h2o_socket_close(g->sock);
    free(g);
}

static void on_linger_readable(h2o_socket_t *sock, const char *err)
{
    char dropped[16 * 1024];
    (void)err;
    for (int i = 0; i < LINGER_READS; i++) {
        ssize_t n = read(h2o_socket_get_fd(sock), dropped, sizeof dropped);
        if (n > 0)
            continue;
        if (n == 0 || errno != EAGAIN)
            linger_end(sock->data);
        return;
    }
}

/* A close with unread bytes makes the kernel send a reset, which may destroy the answer before the
 * client has read it. A second descriptor keeps the connection open past libh2o's close. */
void serve_linger(struct gate_listener *l, h2o_socket_t *sock)
{
    if (l->linger_count >= MAX_LINGERING)
        return;
    int fd = fcntl(h2o_socket_get_fd(sock), F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return;
    struct serve_linger *g = gate_calloc(1, sizeof *g);
    g->listener = l;
    g->sock = h2o_evloop_socket_create(l->ctx->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    g->sock->data = g;
    g->until_ms = l->env->timers->now_ms + LINGER_MS;
    g->next = l->lingering;
    if (l->lingering != NULL)
        l->lingering->prev = g;
    l->lingering = g;
    l->linger_count++;
    h2o_socket_read_start(g->sock, on_linger_readable);
    gate_timer_arm(l->env->timers, &l->sweep, 0);
}

static void sweep_lingering(struct gate_listener *l, uint64_t now)
{
    for (struct serve_linger *g = l->lingering, *next; g != NULL; g = next) {
        next = g->next;
        if (!g->shut) {
            g->shut = true;
            shutdown(h2o_socket_get_fd(g->sock), SHUT_WR);
        } else if (now >= g->until_ms) {
            linger_end(g);
        }
    }
}

/* ---- the clocks of connections */

static void send_timeout(struct serve_conn *c)
{
    static const char body[] =
        "{\"error\":{\"message\":\"The request did not arrive in time. Send it without long "
        "pauses.\","
        "\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"request_timeout\"}}";
    char answer[512];
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\n"
                       "Connection: close\r\nAccess-Control-Allow-Origin: *\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       sizeof body - 1, body);
    int fd = h2o_socket_get_fd(c->sock);
    ssize_t n = send(fd, answer, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        serve_linger(c->listener, c->sock);
    gate_log_info("closed a connection whose request did not arrive in time (client=%s)",
                  serve_conn_peer(c));
    serve_conn_close(c);
}

static bool head_is_complete(const h2o_buffer_t *input)
{
    return memmem(input->bytes, input->size, "\r\n\r\n", 4) != NULL ||
           memmem(input->bytes, input->size, "\n\n", 2) != NULL;
}

static void check_reading(struct serve_conn *c, uint64_t now)
{
    const struct gate_config *config = c->listener->env->config;
    size_t size = c->sock->input->size;
    if (!c->reading || size < c->seen) {
        c->reading = true;
        c->since_ms = c->progress_ms = now;
        c->seen = size;
    } else if (size > c->seen) {
        c->seen = size;
        c->progress_ms = now;
    }
    bool late = head_is_complete(c->sock->input) ? now - c->progress_ms >= config->body_timeout_ms
                                                 : now - c->since_ms >= config->header_timeout_ms;
    if (late)
        send_timeout(c);
}

static void check_answering(struct serve_conn *c, uint64_t now)
{
    struct serve_request *r = c->request;
    if (r->in_flight && now - r->sending_since_ms >= c->listener->env->config->write_timeout_ms) {
        gate_log_info("request %.*s: the client took no byte for %u ms, closing", (int)r->id.len,
                      r->id.ptr, c->listener->env->config->write_timeout_ms);
        serve_conn_close(c);
    } else if (r->unwatched) {
        struct pollfd p = {.fd = h2o_socket_get_fd(c->sock), .events = POLLRDHUP};
        if (poll(&p, 1, 0) > 0)
            serve_conn_close(c);
    }
}

static void check_idle(struct serve_conn *c, uint64_t now)
{
    const struct gate_config *config = c->listener->env->config;
    c->reading = false;
    c->seen = 0;
    if (c->listener->draining || now - c->since_ms >= config->idle_timeout_ms)
        serve_conn_close(c);
}

static void on_sweep(struct gate_timer *timer)
{
    struct gate_listener *l = H2O_STRUCT_FROM_MEMBER(struct gate_listener, sweep, timer);
    uint64_t now = l->env->timers->now_ms;
    for (struct serve_conn *c = l->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (c->request != NULL)
            check_answering(c, now);
        else if (h2o_socket_is_writing(c->sock))
            continue; /* libh2o sends a refusal of its own and closes */
        else if (c->sock->input->size > 0)
            check_reading(c, now);
        else
            check_idle(c, now);
    }
    sweep_lingering(l, now);
    if (l->conn_count < l->env->config->max_connections && !gate_timer_is_armed(&l->accept_pause))
        accept_on(l);
    gate_timer_arm(l->env->timers, &l->sweep, l->unwatched_count > 0 ? WATCH_MS : SWEEP_MS);
}

/* ---- life */

struct gate_listener *gate_listener_create(h2o_context_t *ctx, struct gate_env *env,
                                           const struct gate_auth *auth,
                                           const struct gate_console *console, int fd)
{
    struct gate_listener *l = gate_calloc(1, sizeof *l);
    l->ctx = ctx;
    l->env = env;
    l->auth = auth;
    if (env->config->admin_key != NULL)
        l->admin_auth = gate_auth_create(gate_str_of(env->config->admin_key));
    l->console = *console;
    l->accept.ctx = ctx;
    l->accept.hosts = ctx->globalconf->hosts;
    h2o_vector_reserve(NULL, &ctx->storage, 1);
    ctx->storage.entries[0] = (h2o_context_storage_item_t){NULL, l};
    ctx->storage.size = 1;
    l->sock = h2o_evloop_socket_create(ctx->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    l->sock->data = l;
    l->sweep.cb = on_sweep;
    l->accept_pause.cb = on_accept_pause_over;
    gate_timer_arm(env->timers, &l->sweep, SWEEP_MS);
    accept_on(l);
    return l;
}

void gate_listener_drain(struct gate_listener *l)
{
    if (l->draining)
        return;
    l->draining = true;
    h2o_socket_close(l->sock);
    l->sock = NULL;
    /* Not h2o_context_request_shutdown: it also starts a clock of HTTP/2, which is not spoken here.
     */
    l->ctx->shutdown_requested = 1;
    serve_events_end(l);
    gate_timer_arm(l->env->timers, &l->sweep, 0);
}

size_t gate_listener_active(const struct gate_listener *l)
{
    return l->active;
}

void gate_listener_destroy(struct gate_listener *l)
{
    if (l == NULL)
        return;
    while (l->conns != NULL)
        serve_conn_close(l->conns);
    while (l->lingering != NULL)
        linger_end(l->lingering);
    if (l->sock != NULL)
        h2o_socket_close(l->sock);
    gate_timer_disarm(l->env->timers, &l->sweep);
    gate_timer_disarm(l->env->timers, &l->accept_pause);
    l->ctx->storage.entries[0].data = NULL;
    gate_auth_destroy(l->admin_auth);
    free(l);
}
