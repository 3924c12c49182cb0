#include "upstream/http1_internal.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { READ_AGAIN = -1, READ_FAILED = -2 };

static const char *const garbage = "the answer is not HTTP/1.1 that can be trusted";

/* Bytes read, 0 at the end of the stream, READ_AGAIN or READ_FAILED. */
static ssize_t conn_read(struct h1_conn *conn, char *to, size_t size)
{
    if (conn->ssl == NULL) {
        ssize_t n;
        do
            n = recv(h2o_socket_get_fd(conn->sock), to, size,
                     0); /* cheaper than read on a socket */
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return errno == EAGAIN ? READ_AGAIN : READ_FAILED;
        return n;
    }
    size_t total = 0;
    while (total < size) { /* one call gives one record */
        ERR_clear_error();
        int n = SSL_read(conn->ssl, to + total, (int)(size - total));
        if (n > 0) {
            total += (size_t)n;
            continue;
        }
        if (total > 0)
            break; /* what follows shows again at the next read */
        int why = SSL_get_error(conn->ssl, n);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
            return READ_AGAIN;
        return why == SSL_ERROR_ZERO_RETURN ? 0 : READ_FAILED;
    }
    return (ssize_t)total;
}

/* ---- the head */

struct framing {
    int64_t length; /* -1: none given */
    bool chunked, bad, close, keep_alive;
};

static bool is_token_list_with(struct gate_str value, const char *token)
{
    size_t len = strlen(token);
    for (size_t i = 0; i + len <= value.len; i++)
        if ((i == 0 || value.ptr[i - 1] == ',' || value.ptr[i - 1] == ' ') &&
            strncasecmp(value.ptr + i, token, len) == 0 &&
            (i + len == value.len || value.ptr[i + len] == ',' || value.ptr[i + len] == ' '))
            return true;
    return false;
}

static bool parse_length(struct gate_str v, int64_t *out)
{
    int64_t value = 0;
    if (v.len == 0 || v.len > 15)
        return false;
    for (size_t i = 0; i < v.len; i++) {
        if (v.ptr[i] < '0' || v.ptr[i] > '9')
            return false;
        value = value * 10 + (v.ptr[i] - '0');
    }
    *out = value;
    return true;
}

static void note_framing(struct framing *f, const struct gate_header *h)
{
    if (gate_str_eq(h->name, GATE_STR("content-length"))) {
        int64_t length;
        if (!parse_length(h->value, &length) || (f->length >= 0 && f->length != length))
            f->bad = true;
        else
            f->length = length;
    } else if (gate_str_eq(h->name, GATE_STR("transfer-encoding"))) {
        if (f->chunked || h->value.len != 7 || strncasecmp(h->value.ptr, "chunked", 7) != 0)
            f->bad = true;
        f->chunked = true;
    } else if (gate_str_eq(h->name, GATE_STR("connection"))) {
        f->close |= is_token_list_with(h->value, "close");
        f->keep_alive |= is_token_list_with(h->value, "keep-alive");
    }
}

/* Copies the parsed headers out with names in lower case. False: a folded line. */
static bool take_headers(const struct phr_header *from, size_t count, struct gate_header *to,
                         struct framing *f)
{
    *f = (struct framing){.length = -1};
    for (size_t i = 0; i < count; i++) {
        if (from[i].name == NULL)
            return false;
        char *name = (char *)from[i].name; /* in our scratch buffer */
        for (size_t k = 0; k < from[i].name_len; k++)
            name[k] = (char)tolower((unsigned char)name[k]);
        size_t len = from[i].value_len;
        while (len > 0 && (from[i].value[len - 1] == ' ' || from[i].value[len - 1] == '\t'))
            len--;
        to[i] = (struct gate_header){{name, from[i].name_len}, {from[i].value, len}};
        note_framing(f, &to[i]);
    }
    return true;
}

static void start_body(struct h1_conn *conn, int status, int minor, const struct framing *f)
{
    conn->keep = minor >= 1 ? !f->close : f->keep_alive;
    if (status == 204 || status == 304) {
        conn->body = H1_LENGTH;
        conn->left = 0;
    } else if (f->chunked) {
        conn->body = H1_CHUNKED;
        conn->chunked = (struct phr_chunked_decoder){.consume_trailer = 1};
    } else if (f->length >= 0) {
        conn->body = H1_LENGTH;
        conn->left = (uint64_t)f->length;
    } else {
        conn->body = H1_UNTIL_CLOSE;
        conn->keep = false;
    }
}

/* Parses a head at buf. Returns its length; 0: incomplete; -1: garbage. A 1xx head leaves
 * conn->body at H1_HEAD. */
static ssize_t take_head(struct h1_conn *conn, char *buf, size_t len, bool *gone)
{
    struct phr_header raw[GATE_UPSTREAM_MAX_HEADERS];
    struct gate_header headers[GATE_UPSTREAM_MAX_HEADERS];
    size_t count = GATE_UPSTREAM_MAX_HEADERS, message_len;
    const char *message;
    int minor, status;
    int n = phr_parse_response(buf, len, &minor, &status, &message, &message_len, raw, &count, 0);
    if (n == -2)
        return len >= H1_MAX_HEAD ? -1 : 0;
    struct framing f;
    if (n < 0 || status < 100 || status > 599 || status == 101 ||
        !take_headers(raw, count, headers, &f))
        return -1;
    if (status < 200)
        return n;
    if (f.bad || (f.chunked && f.length >= 0))
        return -1;
    start_body(conn, status, minor, &f);
    struct gate_upstream_call *call = conn->call;
    if (h1_call_is_written(call)) { /* no retry after this: the head is not needed any more */
        gate_wipe(call->head, call->head_len);
        free(call->head);
        call->head = NULL;
        call->head_len = 0;
    }
    struct gate_upstream_head head = {
        .status = status,
        .headers = headers,
        .header_count = count,
        .content_length = f.chunked ? -1 : f.length,
    };
    call->told_head = true;
    call->events->on_head(call->ctx, &head);
    return *gone || conn->call != call ? -2 : n;
}

/* ---- the body */

static void complete(struct h1_conn *conn, size_t extra)
{
    struct gate_upstream_call *call = conn->call;
    if (conn->keep && extra == 0 && h1_call_is_written(call)) {
        call->conn = NULL;
        h1_conn_pool(conn);
    }
    h1_call_end(call, GATE_UPSTREAM_DONE, "");
}

/* Delivers body bytes. True: the connection still carries this call and wants more. */
static bool take_body(struct h1_conn *conn, char *p, size_t len, bool *gone)
{
    struct gate_upstream_call *call = conn->call;
    size_t take = len, extra = 0;
    bool done = false;
    if (conn->body == H1_LENGTH) {
        take = len < conn->left ? len : conn->left;
        conn->left -= take;
        done = conn->left == 0;
        extra = len - take;
    } else if (conn->body == H1_CHUNKED && len > 0) {
        ssize_t r = phr_decode_chunked(&conn->chunked, p, &take);
        if (r == -1) {
            h1_call_end(call, GATE_UPSTREAM_GARBAGE, garbage);
            return false;
        }
        done = r >= 0;
        extra = done ? (size_t)r : 0;
    }
    if (take > 0) {
        call->events->on_data(call->ctx, (struct gate_str){p, take});
        if (*gone || conn->call != call)
            return false;
    }
    if (done) {
        complete(conn, extra);
        return false;
    }
    return true;
}

static void keep_carry(struct h1_conn *conn, const char *buf, size_t len)
{
    conn->carry = gate_realloc(conn->carry, len);
    memcpy(conn->carry, buf, len);
    conn->carry_len = len;
}

/* Handles bytes just read (behind any carried head bytes). True: go on reading. */
static bool take_bytes(struct h1_conn *conn, char *buf, size_t len, bool *gone)
{
    conn->call->got_bytes = true;
    while (conn->body == H1_HEAD) {
        ssize_t n = len > 0 ? take_head(conn, buf, len, gone) : 0;
        if (n == -2)
            return false;
        if (n < 0) {
            h1_call_end(conn->call, GATE_UPSTREAM_GARBAGE, garbage);
            return false;
        }
        if (n == 0) {
            if (len > 0)
                keep_carry(conn, buf, len);
            else
                conn->carry_len = 0;
            return true;
        }
        buf += n;
        len -= (size_t)n;
    }
    free(conn->carry);
    conn->carry = NULL;
    conn->carry_len = 0;
    return take_body(conn, buf, len, gone);
}

static void on_end_of_stream(struct h1_conn *conn, bool failed)
{
    struct gate_upstream_call *call = conn->call;
    if (!failed && conn->body == H1_UNTIL_CLOSE) {
        h1_call_end(call, GATE_UPSTREAM_DONE, "");
        return;
    }
    h1_call_broken(call, GATE_UPSTREAM_RESET,
                   call->told_head   ? "the connection ended before the answer did"
                   : call->got_bytes ? "the connection ended inside the answer's head"
                                     : "the connection ended before an answer came");
}

void h1_on_readable(h2o_socket_t *sock, const char *err)
{
    struct h1_conn *conn = sock->data;
    struct gate_http1 *t = conn->transport;
    gate_timers_touch(t->timers, gate_clock_mono_ms());
    (void)err; /* the socket is read here, so h2o reports readiness only */
    if (conn->call == NULL) {
        /* Pooled: a session ticket is fine, anything else ends the connection. */
        if (conn_read(conn, t->scratch, H1_READ_SIZE) != READ_AGAIN)
            h1_conn_close(conn);
        return;
    }
    bool gone = false;
    conn->gone = &gone;
    for (int i = 0;; i++) {
        if (i == H1_READS_PER_EVENT) {
            h1_read_on(conn->call);
            break;
        }
        size_t carried = conn->body == H1_HEAD ? conn->carry_len : 0;
        ssize_t n = conn_read(conn, t->scratch + carried, H1_READ_SIZE);
        if (n == READ_AGAIN)
            break;
        if (n <= 0) {
            conn->gone = NULL;
            on_end_of_stream(conn, n < 0);
            return;
        }
        if (carried > 0)
            memcpy(t->scratch, conn->carry, carried);
        struct gate_upstream_call *call = conn->call;
        bool more = take_bytes(conn, t->scratch, carried + (size_t)n, &gone);
        if (gone)
            return;
        if (!more || conn->call != call || call->paused)
            break;
        if (conn->ssl == NULL && n < H1_READ_SIZE)
            break; /* the socket is empty */
    }
    conn->gone = NULL;
}
