#include "upstream/curl_internal.h"
#include "upstream/tls.h"
#include <ctype.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    MAX_URL_EXTRA = 16,
    FIRST_ANSWER = 16 << 10, /* most answers fit: growing leaves copies that nobody wipes */
};

/* ---- what curl calls: these only take notes, everything else happens behind curl_multi_perform */

static void reset_head(struct gate_control_call *call)
{
    gate_buf_finish(&call->head);
    call->header_count = 0;
    call->head_complete = false;
}

static bool stop_transfer(struct gate_control_call *call, const char *problem)
{
    call->problem = problem;
    return false;
}

static struct gate_str trim(struct gate_str s)
{
    while (s.len > 0 && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    while (s.len > 0 && isspace((unsigned char)s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    return s;
}

static bool store(struct gate_buf *head, struct gate_str text, struct gate_curl_span *where)
{
    *where = (struct gate_curl_span){(uint32_t)head->len, (uint32_t)text.len};
    return gate_buf_append(head, text);
}

static bool take_header(struct gate_control_call *call, struct gate_str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL || isspace((unsigned char)line.ptr[0]))
        return true; /* no header: left out */
    if (call->header_count == GATE_UPSTREAM_MAX_HEADERS)
        return stop_transfer(call, "the answer has too many headers");
    struct gate_str name = {line.ptr, (size_t)(colon - line.ptr)};
    struct gate_str value = {colon + 1, line.len - name.len - 1};
    struct gate_curl_span *at = &call->names[call->header_count];
    if (!store(&call->head, trim(name), at) ||
        !store(&call->head, trim(value), &call->values[call->header_count]))
        return stop_transfer(call, "the answer's head is too large");
    for (char *p = call->head.ptr + at->off, *end = p + at->len; p < end; p++)
        *p = (char)tolower((unsigned char)*p);
    call->header_count++;
    return true;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct gate_control_call *call = ctx;
    struct gate_str line = trim((struct gate_str){bytes, size * count});
    if (gate_str_starts(line, GATE_STR("HTTP/")))
        reset_head(call); /* an interim answer (100, 103) came before it */
    else if (line.len == 0)
        call->head_complete = true;
    else if (!call->head_complete && /* what follows it are trailers */
             !take_header(call, (struct gate_str){bytes, size * count}))
        return 0;
    return size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct gate_control_call *call = ctx;
    if (call->answer.ptr == NULL)
        gate_buf_reserve(&call->answer, FIRST_ANSWER);
    if (gate_buf_append(&call->answer, (struct gate_str){bytes, size * count}))
        return size * count;
    stop_transfer(call, "the answer is larger than 1 MiB");
    return 0;
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct gate_control_call *call = ctx;
    (void)purpose;
    if (call->endpoint->public_only && gate_address_is_private(&address->addr)) {
        stop_transfer(call, "the host has an address that is not public");
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* One trust store for the process: what the data path accepts is accepted here. */
static CURLcode on_tls_context(CURL *easy, void *context, void *ctx)
{
    (void)easy;
    (void)ctx;
    SSL_CTX_set1_cert_store(context, SSL_CTX_get_cert_store(gate_tls_client_context()));
    return CURLE_OK;
}

/* ---- preparing a request */

static void add_header(struct gate_control_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (longer == NULL)
        abort(); /* out of memory */
    call->headers = longer;
}

/* Splits "Name: value\r\n" lines. */
static void add_lines(struct gate_control_call *call, struct gate_str lines)
{
    char *copy = gate_strdup(lines), *line = copy, *end;
    for (; (end = strstr(line, "\r\n")) != NULL; line = end + 2) {
        *end = '\0';
        char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        /* To curl "Name:" means that it must not send one of its own; "Name;" is the header. */
        if (trim(gate_str_of(colon + 1)).len == 0) {
            colon[0] = ';';
            colon[1] = '\0';
        }
        add_header(call, line);
    }
    gate_wipe(copy, lines.len);
    free(copy);
}

static void copy_body(struct gate_control_call *call, const struct gate_built *request)
{
    size_t total = 0;
    for (size_t i = 0; i < request->part_count; i++)
        total += request->parts[i].iov_len;
    /* One allocation: see FIRST_ANSWER. */
    gate_buf_init(&call->body, total);
    gate_buf_reserve(&call->body, total);
    for (size_t i = 0; i < request->part_count; i++)
        gate_buf_append(&call->body,
                        (struct gate_str){request->parts[i].iov_base, request->parts[i].iov_len});
}

/* Each of these returns 0 or what curl did not like. */

static int set_target(struct gate_control_call *call, const struct gate_built *request)
{
    const struct gate_endpoint *e = call->endpoint;
    size_t cap = strlen(e->authority) + MAX_URL_EXTRA;
    char *text = gate_alloc(cap);
    snprintf(text, cap, "%s://%s/", e->tls ? "https" : "http", e->authority);
    int bad = curl_easy_setopt(call->easy, CURLOPT_URL, text);
    snprintf(text, cap, "Host: %s", e->authority);
    add_header(call, text);
    free(text);
    /* The path as it is: curl would resolve dots in it and cut it at '#'. */
    char *path = gate_strdup(gate_buf_str(&request->path));
    bad |= curl_easy_setopt(call->easy, CURLOPT_REQUEST_TARGET, path);
    gate_wipe(path, request->path.len);
    free(path);
    return bad;
}

static int set_transport(struct gate_control_call *call)
{
    CURL *easy = call->easy;
    int bad = 0;
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    /* A name server that does not answer would hold up whoever ends the call. */
    bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    bad |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
    return bad;
}

static int set_message(struct gate_control_call *call, const struct gate_built *request)
{
    CURL *easy = call->easy;
    int bad = 0;
    copy_body(call, request);
    if (call->body.len > 0) {
        bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.ptr);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    }
    if (request->method != NULL)
        bad |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    add_header(call, "Expect:");
    add_lines(call, request->lines);
    add_lines(call, gate_buf_str(&request->own_lines));
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text);
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    return bad;
}

bool gate_curl_call_prepare(struct gate_control_call *call, const struct gate_built *request)
{
    return (set_target(call, request) | set_transport(call) | set_message(call, request)) == 0;
}

/* ---- its end */

void gate_curl_call_tell(struct gate_control_call *call)
{
    struct gate_header headers[GATE_UPSTREAM_MAX_HEADERS];
    struct gate_answer answer = {.size = sizeof answer, .status = (int)call->status};
    if (call->status != 0) {
        for (size_t i = 0; i < call->header_count; i++) {
            const struct gate_curl_span *n = &call->names[i], *v = &call->values[i];
            headers[i].name = (struct gate_str){call->head.ptr + n->off, n->len};
            headers[i].value = (struct gate_str){call->head.ptr + v->off, v->len};
        }
        answer.headers = headers;
        answer.header_count = call->header_count;
        answer.body = gate_buf_str(&call->answer);
    } else {
        answer.reason = gate_str_of(call->reason);
    }
    call->done(call->ctx, &answer);
}

void gate_curl_call_free(struct gate_control_call *call)
{
    curl_easy_cleanup(call->easy);
    for (struct curl_slist *h = call->headers; h != NULL; h = h->next)
        gate_wipe(h->data, strlen(h->data));
    curl_slist_free_all(call->headers);
    gate_buf_wipe(&call->body);
    gate_buf_wipe(&call->answer);
    gate_buf_wipe(&call->head);
    gate_endpoint_release(call->endpoint);
    free(call);
}
