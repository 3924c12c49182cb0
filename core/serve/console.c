/* The console's addresses: /<key>/ui and /ui/enter/<link> open a session, /ui/ is the console. To
 * whoever has none of them, all of these are addresses at which there is nothing. */
#include "serve/serve_internal.h"

enum { MAX_KEY = 512, MAX_PAGE = 1 << 20, MAX_COOKIE = 160, MAX_HEADERS = 16, MAX_ETAG = 80 };

#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; "                 \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
#define PLAIN_POLICY                                                                               \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "         \
    "frame-ancestors 'none'"

struct headers {
    struct gate_header list[MAX_HEADERS];
    size_t count;
};

static void add(struct headers *h, struct gate_str name, struct gate_str value)
{
    h->list[h->count++] = (struct gate_header){name, value};
}

/* What every answer of the console carries. */
static void begin(struct headers *h, struct gate_str caching, struct gate_str policy)
{
    h->count = 0;
    add(h, GATE_STR("cache-control"), caching);
    add(h, GATE_STR("content-security-policy"), policy);
    add(h, GATE_STR("cross-origin-opener-policy"), GATE_STR("same-origin"));
    add(h, GATE_STR("cross-origin-resource-policy"), GATE_STR("same-origin"));
    add(h, GATE_STR("referrer-policy"), GATE_STR("no-referrer"));
    add(h, GATE_STR("x-content-type-options"), GATE_STR("nosniff"));
    add(h, GATE_STR("x-robots-tag"), GATE_STR("noindex"));
}

static void answer(struct serve_request *r, int status, struct gate_str type,
                   const struct headers *h, struct gate_str body)
{
    r->own_origin = true;
    serve_answer(r, status, type, h->list, h->count, body);
}

static bool is_head(const struct serve_request *r)
{
    return serve_method_is(r, "HEAD");
}

static bool is_read(const struct serve_request *r)
{
    return serve_method_is(r, "GET") || is_head(r);
}

/* The address as it came says the same as the decoded one: nothing is hidden in it. */
static bool is_plain(const struct serve_request *r)
{
    return gate_str_eq(serve_raw_path(r), serve_str(r->req->path_normalized));
}

/* ---- entering */

static void answer_plain_page(struct serve_request *r)
{
    const struct gate_listener *l = r->conn->listener;
    struct headers h;
    struct gate_buf page;
    gate_buf_init(&page, MAX_PAGE);
    l->console.plain_page(l->env, serve_str(r->req->authority), &page);
    begin(&h, GATE_STR("no-store"), GATE_STR(PLAIN_POLICY));
    answer(r, 200, GATE_STR("text/html; charset=utf-8"), &h, gate_buf_str(&page));
    gate_buf_finish(&page);
}

static struct gate_str agent_of(const struct serve_request *r)
{
    ssize_t i = h2o_find_header(&r->req->headers, H2O_TOKEN_USER_AGENT, -1);
    return i < 0 ? (struct gate_str){NULL, 0} : serve_str(r->req->headers.entries[i].value);
}

static void make_session(struct serve_request *r, char cookie[MAX_COOKIE])
{
    const struct gate_console *console = &r->conn->listener->console;
    char token[GATE_CONSOLE_TOKEN + 1];
    bool replaces = serve_find_session(r) == SERVE_SESSION_LIVES;
    const struct gate_console_client client = {
        .peer = gate_str_of(serve_conn_peer(r->conn)),
        .agent = agent_of(r),
        .replaces = replaces ? r->session : NULL,
    };
    bool tls = serve_came_by_tls(r);
    console->enter(console->ctx, &client, token);
    snprintf(cookie, MAX_COOKIE,
             "%sgate_session=%s; HttpOnly; SameSite=Strict; Path=/; "
             "Max-Age=43200%s",
             tls ? "__Host-" : "", token, tls ? "; Secure" : "");
    gate_wipe(token, sizeof token);
}

/* A page that moves on by itself, not a redirect: after one that began on another site, browsers
 * would keep the strict cookie back. `up` leads to /ui/ from here, whatever prefix a proxy has put
 * before it. Asking for the head makes no session. */
static void enter(struct serve_request *r, const char *up)
{
    char cookie[MAX_COOKIE], page[512];
    struct headers h;
    begin(&h, GATE_STR("no-store"), GATE_STR(PAGE_POLICY));
    if (!is_head(r)) {
        make_session(r, cookie);
        add(&h, GATE_STR("set-cookie"), gate_str_of(cookie));
    }
    int len = snprintf(page, sizeof page,
                       "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
                       "<meta http-equiv=refresh content=\"0;url=%s\">\n"
                       "<link rel=icon href=\"data:,\">\n<title>llm-gate</title>\n"
                       "<p><a href=\"%s\">Open the console</a></p>\n</html>\n",
                       up, up);
    answer(r, 200, GATE_STR("text/html; charset=utf-8"), &h, (struct gate_str){page, (size_t)len});
    gate_wipe(cookie, sizeof cookie);
}

static const struct gate_asset *find_asset(const struct serve_request *r, struct gate_str name)
{
    const struct gate_console *console = &r->conn->listener->console;
    return console->asset(console->ctx, name);
}

/* "/<key>/ui" or "/<key>/ui/". */
static bool has_key_form(struct gate_str path, struct gate_str *key)
{
    const char *slash = path.len > 1 ? memchr(path.ptr + 1, '/', path.len - 1) : NULL;
    if (slash == NULL)
        return false;
    *key = (struct gate_str){path.ptr + 1, (size_t)(slash - path.ptr - 1)};
    struct gate_str rest = {slash, path.len - key->len - 1};
    return key->len > 0 &&
           (gate_str_eq(rest, GATE_STR("/ui")) || gate_str_eq(rest, GATE_STR("/ui/")));
}

static bool enter_by_key(struct serve_request *r, struct gate_str path, struct gate_str key)
{
    const struct gate_listener *l = r->conn->listener;
    const struct gate_auth *auth = l->admin_auth != NULL ? l->admin_auth : l->auth;
    if (key.len > MAX_KEY || !gate_auth_key_matches(auth, key) || !is_read(r))
        return false;
    if (find_asset(r, GATE_STR("index.html")) == NULL)
        answer_plain_page(r);
    else
        enter(r, path.ptr[path.len - 1] == '/' ? "../../ui/" : "../ui/");
    return true;
}

static bool enter_by_link(struct serve_request *r, struct gate_str token)
{
    const struct gate_console *console = &r->conn->listener->console;
    if (token.len != GATE_CONSOLE_TOKEN || !is_plain(r) || !is_read(r) ||
        find_asset(r, GATE_STR("index.html")) == NULL ||
        !console->take_link(console->ctx, token, !is_head(r)))
        return false;
    enter(r, "../");
    return true;
}

/* ---- the console */

/* True where Accept-Encoding names br, and not to refuse it. */
static bool takes_brotli(const struct serve_request *r)
{
    ssize_t i = h2o_find_header(&r->req->headers, H2O_TOKEN_ACCEPT_ENCODING, -1);
    struct gate_str rest =
        i < 0 ? (struct gate_str){NULL, 0} : serve_str(r->req->headers.entries[i].value);
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, ',', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        char word[32];
        size_t used = 0;
        for (size_t at = 0; at < len && used < sizeof word - 1; at++)
            if (rest.ptr[at] != ' ' && rest.ptr[at] != '\t')
                word[used++] = rest.ptr[at];
        word[used] = '\0';
        if (strcasecmp(word, "br") == 0)
            return true;
        if (strncasecmp(word, "br;q=", 5) == 0)
            return strspn(word + 5, "0.") != strlen(word + 5);
        size_t taken = end != NULL ? len + 1 : len;
        rest = (struct gate_str){rest.ptr + taken, rest.len - taken};
    }
    return false;
}

static bool has_already(const struct serve_request *r, struct gate_str etag)
{
    ssize_t i = h2o_find_header(&r->req->headers, H2O_TOKEN_IF_NONE_MATCH, -1);
    struct gate_str sent =
        i < 0 ? (struct gate_str){NULL, 0} : serve_str(r->req->headers.entries[i].value);
    return sent.len > 0 && memmem(sent.ptr, sent.len, etag.ptr, etag.len) != NULL;
}

static void answer_asset(struct serve_request *r, const struct gate_asset *a)
{
    bool page = gate_str_eq(a->path, GATE_STR("index.html"));
    bool packed = a->br.len > 0 && takes_brotli(r);
    struct gate_str caching = page           ? GATE_STR("no-store")
                              : a->immutable ? GATE_STR("private, max-age=31536000, immutable")
                                             : GATE_STR("private, no-cache");
    char text[MAX_ETAG];
    struct headers h;
    int len = snprintf(text, sizeof text, "\"%.32s%s\"", a->hash.ptr, packed ? "-br" : "");
    struct gate_str etag = {text, (size_t)len};
    begin(&h, caching, GATE_STR(PAGE_POLICY));
    if (a->br.len > 0)
        add(&h, GATE_STR("vary"), GATE_STR("accept-encoding"));
    if (packed)
        add(&h, GATE_STR("content-encoding"), GATE_STR("br"));
    if (!page)
        add(&h, GATE_STR("etag"), etag);
    answer(r, !page && has_already(r, etag) ? 304 : 200, a->type, &h, packed ? a->br : a->raw);
}

static void move_to_console(struct serve_request *r)
{
    struct headers h;
    begin(&h, GATE_STR("no-store"), GATE_STR(PAGE_POLICY));
    add(&h, GATE_STR("location"), GATE_STR("ui/"));
    answer(r, 302, (struct gate_str){NULL, 0}, &h, (struct gate_str){NULL, 0});
}

/* path: "/ui" or below. */
static bool answer_console(struct serve_request *r, struct gate_str path)
{
    static const struct gate_str root = GATE_STR("/ui/");
    const struct gate_asset *asset = NULL;
    if (!is_read(r) || !is_plain(r) || serve_find_session(r) != SERVE_SESSION_LIVES)
        return false;
    if (path.len > root.len)
        asset = find_asset(r, (struct gate_str){path.ptr + root.len, path.len - root.len});
    else if (path.len == root.len)
        asset = find_asset(r, GATE_STR("index.html"));
    if (asset == NULL && path.len >= root.len)
        return false;
    r->log_path = path; /* lives as long as the request */
    if (asset != NULL)
        answer_asset(r, asset);
    else
        move_to_console(r);
    return true;
}

bool serve_console(struct serve_request *r, struct gate_str path)
{
    static const struct gate_str link = GATE_STR("/ui/enter/");
    struct gate_str key;
    if (gate_str_starts(path, link)) {
        r->log_path = GATE_STR("/ui/enter/[redacted]");
        return enter_by_link(r, (struct gate_str){path.ptr + link.len, path.len - link.len});
    }
    if (gate_str_eq(path, GATE_STR("/ui")) || gate_str_starts(path, GATE_STR("/ui/")))
        return answer_console(r, path);
    if (!has_key_form(path, &key))
        return false;
    r->log_path = GATE_STR("/[redacted]/ui");
    return enter_by_key(r, path, key);
}
