#include "upstream/upstream.h"
#include "base/buf.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { MAX_URL = 2048, MAX_HOST = 253 };

static bool cut_scheme(struct gate_str *url, bool *tls)
{
    if (url->len > 8 && strncasecmp(url->ptr, "https://", 8) == 0) {
        *tls = true;
        *url = (struct gate_str){url->ptr + 8, url->len - 8};
        return true;
    }
    if (url->len > 7 && strncasecmp(url->ptr, "http://", 7) == 0) {
        *tls = false;
        *url = (struct gate_str){url->ptr + 7, url->len - 7};
        return true;
    }
    return false;
}

static bool valid_host(struct gate_str host, bool bracketed)
{
    if (host.len == 0 || host.len > MAX_HOST)
        return false;
    if (bracketed) {
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;
        if (host.len >= sizeof text)
            return false;
        memcpy(text, host.ptr, host.len);
        text[host.len] = '\0';
        return inet_pton(AF_INET6, text, &address) == 1;
    }
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.ptr[i];
        if (!isalnum(c) && c != '-' && c != '.' && c != '_')
            return false;
    }
    return true;
}

static bool parse_port(struct gate_str text, uint16_t *port)
{
    unsigned value = 0;
    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text.ptr[i] - '0');
    }
    if (value == 0 || value > 65535)
        return false;
    *port = (uint16_t)value;
    return true;
}

/* Splits "host[:port][/path]"; *port keeps its default when none is given. */
static bool split_authority(struct gate_str rest, struct gate_str *host, bool *bracketed,
                            uint16_t *port, bool *has_port, struct gate_str *path)
{
    const char *slash = memchr(rest.ptr, '/', rest.len);
    struct gate_str authority = {rest.ptr, slash ? (size_t)(slash - rest.ptr) : rest.len};
    *path = (struct gate_str){rest.ptr + authority.len, rest.len - authority.len};
    *has_port = false;
    *bracketed = authority.len > 0 && authority.ptr[0] == '[';
    const char *colon;
    if (*bracketed) {
        const char *close = memchr(authority.ptr, ']', authority.len);
        if (close == NULL)
            return false;
        *host = (struct gate_str){authority.ptr + 1, (size_t)(close - authority.ptr - 1)};
        colon = close + 1 < authority.ptr + authority.len ? close + 1 : NULL;
        if (colon != NULL && *colon != ':')
            return false;
    } else {
        colon = memchr(authority.ptr, ':', authority.len);
        *host = (struct gate_str){authority.ptr,
                                  colon ? (size_t)(colon - authority.ptr) : authority.len};
    }
    if (colon != NULL) {
        *has_port = true;
        struct gate_str text = {colon + 1, (size_t)(authority.ptr + authority.len - colon - 1)};
        if (!parse_port(text, port))
            return false;
    }
    return valid_host(*host, *bracketed);
}

static bool valid_path(struct gate_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '?' || c == '#')
            return false;
    }
    return true;
}

static char *lower_copy(struct gate_str s)
{
    char *copy = gate_strdup(s);
    for (char *p = copy; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

static char *make_authority(const char *host, bool bracketed, bool with_port, uint16_t port)
{
    char text[MAX_HOST + 16];
    int n = snprintf(text, sizeof text, bracketed ? "[%s]" : "%s", host);
    if (with_port)
        snprintf(text + n, sizeof text - (size_t)n, ":%u", port);
    return gate_strdup(gate_str_of(text));
}

/* A foreign address that is a literal can be judged before anything resolves. */
static bool literal_is_private(const char *host)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, host, &in4.sin_addr) == 1)
        return gate_address_is_private((struct sockaddr *)&in4);
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
        return gate_address_is_private((struct sockaddr *)&in6);
    return strcmp(host, "localhost") == 0;
}

enum gate_status gate_endpoint_create(struct gate_str base_url, enum gate_endpoint_origin origin,
                                      bool allow_private, struct gate_endpoint **out,
                                      struct gate_error *err)
{
    static _Atomic uint32_t next_id = 1;
    struct gate_str rest = base_url, host, path;
    bool tls, bracketed, has_port;
    int shown = (int)(base_url.len < 200 ? base_url.len : 200);
    if (base_url.len > MAX_URL || !cut_scheme(&rest, &tls))
        return gate_fail(err, GATE_EINVAL,
                         "\"%.*s\" is not a base URL: expected http://host[:port][/path] or "
                         "https://host[:port][/path]",
                         shown, base_url.ptr ? base_url.ptr : "");
    uint16_t port = tls ? 443 : 80, default_port = port;
    if (!split_authority(rest, &host, &bracketed, &port, &has_port, &path) || !valid_path(path))
        return gate_fail(err, GATE_EINVAL,
                         "\"%.*s\" is not a base URL: its host, port or path is malformed (no "
                         "user, query or fragment)",
                         shown, base_url.ptr);
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;

    bool guarded = origin == GATE_ENDPOINT_FOREIGN && !allow_private;
    if (guarded && !tls)
        return gate_fail(err, GATE_EDENIED,
                         "\"%.*s\" came from outside and is not https; LLM_GATE_ALLOW_PRIVATE=1 "
                         "allows it",
                         shown, base_url.ptr);
    struct gate_endpoint *e = gate_calloc(1, sizeof *e);
    e->host = lower_copy(host);
    e->port = port;
    e->tls = tls;
    e->public_only = guarded;
    e->id = atomic_fetch_add(&next_id, 1);
    e->base_path = gate_strdup(path);
    e->authority = make_authority(e->host, bracketed, has_port && port != default_port, port);
    atomic_init(&e->refs, 1);
    if (guarded && literal_is_private(e->host)) {
        gate_endpoint_release(e);
        return gate_fail(err, GATE_EDENIED,
                         "\"%.*s\" came from outside and is not a public address; "
                         "LLM_GATE_ALLOW_PRIVATE=1 allows it",
                         shown, base_url.ptr);
    }
    *out = e;
    return GATE_OK;
}

void gate_endpoint_retain(struct gate_endpoint *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
}

void gate_endpoint_release(struct gate_endpoint *e)
{
    if (e == NULL || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(e->host);
    free(e->authority);
    free(e->base_path);
    free(e);
}

struct block {
    uint32_t network;
    unsigned prefix;
};

static bool v4_is_private(uint32_t a)
{
    /* IANA special-purpose registry: what no public service answers on. */
    static const struct block blocks[] = {
        {0x00000000, 8},  /* this network */
        {0x0a000000, 8},  /* private */
        {0x64400000, 10}, /* shared (carrier NAT) */
        {0x7f000000, 8},  /* loopback */
        {0xa9fe0000, 16}, /* link local, cloud metadata */
        {0xac100000, 12}, /* private */
        {0xc0000000, 24}, /* protocol assignments */
        {0xc0000200, 24}, /* documentation */
        {0xc0586300, 24}, /* 6to4 relay */
        {0xc0a80000, 16}, /* private */
        {0xc6120000, 15}, /* benchmarking */
        {0xc6336400, 24}, /* documentation */
        {0xcb007100, 24}, /* documentation */
        {0xe0000000, 4},  /* multicast */
        {0xf0000000, 4},  /* reserved, broadcast */
    };
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        uint32_t mask = 0xffffffffu << (32 - blocks[i].prefix);
        if ((a & mask) == blocks[i].network)
            return true;
    }
    return false;
}

static uint32_t load_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* a: 16 bytes in network order */
static bool v6_is_private(const unsigned char *a)
{
    static const unsigned char zero[12], mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(a, zero, 12) == 0)
        return true; /* unspecified, loopback, IPv4-compatible */
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
        return v4_is_private(load_be32(a + 12));
    if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 carries an IPv4 address */
        return v4_is_private(load_be32(a + 2));
    if (a[0] == 0x20 && a[1] == 0x01 && (a[2] == 0x0d && a[3] == 0xb8))
        return true; /* documentation */
    if (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0 && a[3] == 0)
        return true; /* Teredo */
    /* Only 2000::/3 is global unicast. */
    return (a[0] & 0xe0) != 0x20;
}

bool gate_address_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return v4_is_private(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return v6_is_private(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
    return true;
}
