#include "upstream/http1_internal.h"
#include <arpa/inet.h>
#include <stdlib.h>

static void try_next_address(struct gate_upstream_call *call);

/* ---- a result found inside send() is told from the loop */

static void on_deferred_end(struct gate_timer *timer)
{
    struct gate_upstream_call *call =
        H2O_STRUCT_FROM_MEMBER(struct gate_upstream_call, timer, timer);
    char *reason = call->reason;
    call->reason = NULL;
    h1_call_end(call, call->result, reason);
    free(reason);
}

static void end_later(struct gate_upstream_call *call, enum gate_upstream_result result,
                      const char *reason)
{
    call->result = result;
    free(call->reason);
    call->reason = gate_strdup(gate_str_of(reason));
    call->timer.cb = on_deferred_end;
    gate_timer_arm(call->transport->timers, &call->timer, 0);
}

static void on_connect_timeout(struct gate_timer *timer)
{
    struct gate_upstream_call *call =
        H2O_STRUCT_FROM_MEMBER(struct gate_upstream_call, timer, timer);
    char reason[320];
    if (call->stage == H1_CONNECTING && call->address < call->host->address_count &&
        call->transport->timers->now_ms < call->connect_deadline_ms) {
        struct h1_conn *conn = call->conn;
        conn->call = NULL;
        call->conn = NULL;
        h1_conn_close(conn);
        try_next_address(call);
        return;
    }
    snprintf(reason, sizeof reason, "%s did not accept a connection in time",
             call->endpoint->authority);
    call->host->fresh_until_ms = 0;
    h1_call_end(call, GATE_UPSTREAM_TIMEOUT, reason);
}

/* Arms the connect clock: what is left, shared among the addresses that remain. */
static void arm_connect_clock(struct gate_upstream_call *call, size_t shares)
{
    uint64_t now = call->transport->timers->now_ms;
    uint64_t left = call->connect_deadline_ms > now ? call->connect_deadline_ms - now : 0;
    call->timer.cb = on_connect_timeout;
    gate_timer_arm(call->transport->timers, &call->timer, shares > 1 ? left / shares : left);
}

/* ---- TLS */

static void proceed_handshake(h2o_socket_t *sock, const char *err);

static void handshake_failed(struct gate_upstream_call *call)
{
    char why[200], reason[512];
    gate_tls_reason(call->conn->ssl, why, sizeof why);
    snprintf(reason, sizeof reason, "TLS with %s failed: %s", call->endpoint->authority, why);
    /* A session that the server no longer likes must not be offered again. */
    SSL_SESSION_free(call->host->session);
    call->host->session = NULL;
    h1_call_end(call, GATE_UPSTREAM_TLS, reason);
}

static void proceed_handshake(h2o_socket_t *sock, const char *err)
{
    struct h1_conn *conn = sock->data;
    struct gate_upstream_call *call = conn->call;
    (void)err; /* a dead socket fails in SSL_do_handshake */
    if (call == NULL || call->stage != H1_HANDSHAKE) {
        h1_on_writable(sock, NULL); /* the other direction has completed it already */
        return;
    }
    ERR_clear_error();
    int n = SSL_do_handshake(conn->ssl);
    if (n == 1) {
        h2o_socket_read_stop(sock);
        h1_call_begin(call, conn);
        return;
    }
    int why = SSL_get_error(conn->ssl, n);
    if (why == SSL_ERROR_WANT_READ) {
        if (!h2o_socket_is_reading(sock))
            h2o_socket_read_start(sock, proceed_handshake);
    } else if (why == SSL_ERROR_WANT_WRITE) {
        if (!h2o_socket_is_writing(sock))
            h2o_socket_notify_write(sock, proceed_handshake);
    } else {
        handshake_failed(call);
    }
}

/* ---- TCP */

static void on_connect(h2o_socket_t *sock, const char *err)
{
    struct h1_conn *conn = sock->data;
    struct gate_upstream_call *call = conn->call;
    if (err != NULL) {
        conn->call = NULL;
        call->conn = NULL;
        h1_conn_close(conn);
        try_next_address(call);
        return;
    }
    h2o_socket_dont_read(sock, 1);
    if (!call->endpoint->tls) {
        h1_call_begin(call, conn);
        return;
    }
    call->stage = H1_HANDSHAKE;
    arm_connect_clock(call, 1);
    conn->ssl =
        gate_tls_client(h2o_socket_get_fd(sock), call->endpoint->host, call->host->session, conn);
    proceed_handshake(sock, NULL);
}

static void try_next_address(struct gate_upstream_call *call)
{
    struct h1_host *host = call->host;
    char reason[320];
    bool denied = false;
    while (call->address < host->address_count) {
        struct sockaddr *address = (struct sockaddr *)&host->addresses[call->address++];
        socklen_t len = address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                      : sizeof(struct sockaddr_in6);
        if (call->endpoint->public_only && gate_address_is_private(address)) {
            denied = true;
            continue;
        }
        h2o_socket_t *sock = h2o_socket_connect(call->transport->loop, address, len, on_connect);
        if (sock == NULL)
            continue;
        struct h1_conn *conn = gate_calloc(1, sizeof *conn);
        conn->transport = call->transport;
        conn->host = host;
        conn->sock = sock;
        conn->call = call;
        sock->data = conn;
        call->conn = conn;
        call->stage = H1_CONNECTING;
        arm_connect_clock(call, host->address_count - call->address + 1);
        return;
    }
    host->fresh_until_ms = 0;
    if (denied)
        snprintf(reason, sizeof reason, "%s resolves to an address that is not public",
                 call->endpoint->authority);
    else
        snprintf(reason, sizeof reason, "%s refused the connection or cannot be reached",
                 call->endpoint->authority);
    end_later(call, denied ? GATE_UPSTREAM_DENIED : GATE_UPSTREAM_CONNECT, reason);
}

/* ---- names */

static bool literal_address(const struct gate_endpoint *e, struct sockaddr_storage *out)
{
    struct sockaddr_in *in4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, e->host, &in4->sin_addr) == 1) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons(e->port);
        return true;
    }
    if (inet_pton(AF_INET6, e->host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(e->port);
        return true;
    }
    return false;
}

static void on_resolved(h2o_hostinfo_getaddr_req_t *req, const char *errstr,
                        struct addrinfo *result, void *ctx)
{
    struct h1_lookup *lookup = ctx;
    struct gate_upstream_call *call = lookup->call;
    (void)req;
    lookup->transport->lookups--;
    free(lookup);
    if (call == NULL)
        return;
    struct h1_host *host = call->host;
    call->lookup = NULL;
    if (errstr != NULL || result == NULL) {
        char reason[400];
        snprintf(reason, sizeof reason, "%s does not resolve: %s", call->endpoint->host,
                 errstr != NULL ? errstr : "no address");
        h1_call_end(call, GATE_UPSTREAM_RESOLVE, reason);
        return;
    }
    host->address_count = 0;
    for (struct addrinfo *a = result; a != NULL && host->address_count < H1_MAX_ADDRESSES;
         a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
            continue;
        memcpy(&host->addresses[host->address_count++], a->ai_addr, a->ai_addrlen);
    }
    host->fresh_until_ms = call->transport->timers->now_ms + H1_RESOLVE_MS;
    try_next_address(call);
}

void h1_connect(struct gate_upstream_call *call)
{
    struct h1_host *host = call->host;
    uint64_t now = call->transport->timers->now_ms;
    call->address = 0;
    if (host->address_count == 0 && literal_address(call->endpoint, &host->addresses[0])) {
        host->address_count = 1;
        host->fresh_until_ms = UINT64_MAX;
    }
    if (host->address_count > 0 &&
        (host->fresh_until_ms > now || literal_address(call->endpoint, &host->addresses[0]))) {
        try_next_address(call);
        return;
    }
    char port[8];
    int n = snprintf(port, sizeof port, "%u", call->endpoint->port);
    call->stage = H1_RESOLVING;
    arm_connect_clock(call, 1);
    call->lookup = gate_calloc(1, sizeof *call->lookup);
    call->lookup->transport = call->transport;
    call->lookup->call = call;
    call->transport->lookups++;
    h2o_hostinfo_getaddr(call->transport->getaddr_receiver,
                         h2o_iovec_init(call->endpoint->host, strlen(call->endpoint->host)),
                         h2o_iovec_init(port, (size_t)n), AF_UNSPEC, SOCK_STREAM, IPPROTO_TCP,
                         AI_ADDRCONFIG | AI_NUMERICSERV, on_resolved, call->lookup);
}
