/* Which session of the console a request belongs to, and whether what it asks for comes from the
 * console's own pages. */
#include "serve/serve_internal.h"

enum { MAX_TRIES = 8 /* cookies of our name that are looked at */ };

static const struct gate_str cookie_name = GATE_STR("gate_session");
static const struct gate_str tls_cookie_name = GATE_STR("__Host-gate_session");

/* One that was sent twice says nothing that anybody could rely on. */
static struct gate_str header(const struct serve_request *r, const char *name, size_t len)
{
    ssize_t i = h2o_find_header_by_str(&r->req->headers, name, len, -1);
    if (i >= 0 && h2o_find_header_by_str(&r->req->headers, name, len, i) >= 0)
        return GATE_STR("twice");
    return i < 0 ? (struct gate_str){NULL, 0} : serve_str(r->req->headers.entries[i].value);
}

static struct gate_str trim(struct gate_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = (struct gate_str){s.ptr + 1, s.len - 1};
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Takes the first "name=value" off a Cookie header. */
static bool next_cookie(struct gate_str *rest, struct gate_str *name, struct gate_str *value)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->ptr, ';', rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    const char *equals = memchr(rest->ptr, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - rest->ptr) : len;
    *name = trim((struct gate_str){rest->ptr, name_len});
    *value = equals != NULL ? trim((struct gate_str){equals + 1, len - name_len - 1})
                            : (struct gate_str){NULL, 0};
    size_t taken = end != NULL ? len + 1 : len;
    *rest = (struct gate_str){rest->ptr + taken, rest->len - taken};
    return true;
}

/* A page on another path or host name may have planted a cookie of our name: any that is good
 * counts. */
enum serve_session serve_find_session(struct serve_request *r)
{
    const struct gate_console *console = &r->conn->listener->console;
    const h2o_headers_t *headers = &r->req->headers;
    unsigned tries = 0;
    for (ssize_t i = -1; (i = h2o_find_header(headers, H2O_TOKEN_COOKIE, i)) >= 0;) {
        struct gate_str rest = serve_str(headers->entries[i].value), name, value;
        while (tries < MAX_TRIES && next_cookie(&rest, &name, &value)) {
            if (!gate_str_eq(name, cookie_name) && !gate_str_eq(name, tls_cookie_name))
                continue;
            tries++;
            if (value.len == GATE_CONSOLE_TOKEN && console->find(console->ctx, value, r->session))
                return SERVE_SESSION_LIVES;
        }
    }
    return tries > 0 ? SERVE_SESSION_OVER : SERVE_SESSION_NONE;
}

/* Whoever says so about himself spoils his own cookie at worst: the header needs no trust. */
bool serve_came_by_tls(const struct serve_request *r)
{
    struct gate_str scheme = header(r, H2O_STRLIT("x-forwarded-proto"));
    return scheme.len == 5 && strncasecmp(scheme.ptr, "https", 5) == 0;
}

/* ---- writes */

static bool is_json(struct gate_str type)
{
    static const char json[] = "application/json";
    const char *end = type.len > 0 ? memchr(type.ptr, ';', type.len) : NULL;
    if (end != NULL)
        type.len = (size_t)(end - type.ptr);
    type = trim(type);
    return type.len == sizeof json - 1 && strncasecmp(type.ptr, json, type.len) == 0;
}

/* Origin names the host and port that the request was sent to. Its scheme is the browser's: where
 * somebody in front speaks TLS, ours is another. */
static bool is_own_origin(const struct serve_request *r, struct gate_str origin)
{
    struct gate_str host = serve_str(r->req->authority);
    if (gate_str_starts(origin, GATE_STR("http://")))
        origin = (struct gate_str){origin.ptr + 7, origin.len - 7};
    else if (gate_str_starts(origin, GATE_STR("https://")))
        origin = (struct gate_str){origin.ptr + 8, origin.len - 8};
    else
        return false;
    return host.len > 0 && origin.len == host.len &&
           strncasecmp(origin.ptr, host.ptr, host.len) == 0;
}

/* NULL: it may go on. Else what is wrong. A strict cookie is sent along from other ports of this
 * host, so those are told apart here: for reads too where the browser says who asks, as they cost
 * something. */
static const char *foreign(const struct serve_request *r, bool writes)
{
    struct gate_str site = header(r, H2O_STRLIT("sec-fetch-site"));
    bool same = gate_str_eq(site, GATE_STR("same-origin"));
    if (site.ptr != NULL && !same && (writes || !gate_str_eq(site, GATE_STR("none"))))
        return "This request comes from a page of another origin.";
    if (!writes)
        return NULL;
    if (site.ptr == NULL && !is_own_origin(r, header(r, H2O_STRLIT("origin"))))
        return "This request does not come from a page of this origin: Origin is not the address "
               "in Host.";
    if (!gate_str_eq(header(r, H2O_STRLIT("x-gate-ui")), GATE_STR("1")))
        return "With a session instead of the key, writing wants the header X-Gate-UI: 1.";
    if (!is_json(header(r, H2O_STRLIT("content-type"))))
        return "With a session instead of the key, writing wants Content-Type: application/json.";
    return NULL;
}

bool serve_check_origin(struct serve_request *r)
{
    const char *why = foreign(r, !serve_method_is(r, "GET") && !serve_method_is(r, "HEAD"));
    if (why == NULL)
        return true;
    const struct gate_api_error error = {
        .status = 403,
        .type = GATE_STR("permission_error"),
        .code = GATE_STR("csrf"),
        .message = gate_str_of(why),
    };
    serve_refuse(r, &error, NULL, 0);
    return false;
}
