/*
 * oauth_fixture: a token service on a local port, a provider that speaks with it, and gateways
 * (store, roster, control thread, credentials, logins) over one storage in memory. Used by
 * test_credentials.c and test_login.c.
 *
 * A credential reads "<name> <access> <refresh> <ends>": the account's name at the service, two
 * numbers that the service counts up for each name, and the end of the access token in Unix ms. Its
 * tokens as the provider sends and shows them are "access-<name>-<number>" and
 * "refresh-<name>-<number>".
 */
#ifndef GATE_TESTS_OAUTH_FIXTURE_H
#define GATE_TESTS_OAUTH_FIXTURE_H

#include "base/clock.h"
#include "base/log.h"
#include "memory_storage.h"
#include "pool/credentials.h"
#include "pool/health.h"
#include "pool/login.h"
#include "tiny_http.h"

/* Instead of those of instances.c, which need plugins in files: pools of one instance or of none.
 */
struct gate_pool {
    _Atomic uint32_t refs;
    struct gate_instance *instance; /* retained; NULL: there is none */
};

struct gate_instance *const *gate_pool_instances(const struct gate_pool *pool, size_t *count)
{
    *count = pool->instance != NULL;
    return &pool->instance;
}

struct gate_instance *gate_pool_find(const struct gate_pool *pool, struct gate_str name,
                                     size_t *position)
{
    if (pool->instance == NULL || !gate_str_eq(name, gate_str_of(pool->instance->name)))
        return NULL;
    if (position != NULL)
        *position = 0;
    return pool->instance;
}

void gate_instance_retain(struct gate_instance *i)
{
    atomic_fetch_add(&i->refs, 1);
}

void gate_instance_release(struct gate_instance *i)
{
    if (atomic_fetch_sub(&i->refs, 1) == 1)
        free(i);
}

void gate_pool_set_accounts(const struct gate_pool *pool, size_t position, uint32_t count)
{
    (void)pool;
    (void)position;
    (void)count;
}

void gate_pool_retain(struct gate_pool *pool)
{
    atomic_fetch_add(&pool->refs, 1);
}

void gate_pool_release(struct gate_pool *pool)
{
    if (pool == NULL || atomic_fetch_sub(&pool->refs, 1) != 1)
        return;
    if (pool->instance != NULL)
        gate_instance_release(pool->instance);
    free(pool);
}

/* ---- the service */

enum service_mode {
    SERVICE_GRANTS = 0,
    SERVICE_HOLDS,   /* answers nothing until tiny_release; then see provider.held */
    SERVICE_REFUSES, /* the refresh token is dead */
    SERVICE_PAGE,    /* a firewall's page */
    SERVICE_CLOSES,  /* the connection, without an answer */
};

enum { SERVICE_NAMES = 16, MAX_TEXT = 256 };

/* Guarded by the server's lock. */
struct service {
    struct tiny_http *http;
    enum service_mode mode;
    bool rotates;
    unsigned life_ms;
    struct {
        unsigned access, refresh;
    } names[SERVICE_NAMES]; /* by letter */
    const char *login;      /* the answer to polls of a device login */
    const char *code;       /* the answer to a request for a code */
    char verifier[64];      /* as it came with the request for a code, and with each poll */
    bool same_verifier;
    unsigned spoilt; /* access tokens of this number are not taken by the provider; 0: none */
};

static struct service service;
static struct memory_storage memory;

static void service_grant(struct service *s, struct gate_str body, struct gate_buf *out)
{
    char name;
    unsigned number, at;
    char text[MAX_TEXT];
    snprintf(text, sizeof text, "%.*s", (int)body.len, body.ptr);
    if (sscanf(text, "refresh-%c-%u", &name, &number) != 2 ||
        (at = (unsigned)(name - 'a')) >= SERVICE_NAMES || s->names[at].refresh != number) {
        gate_buf_printf(out, "dead");
        return;
    }
    s->names[at].access++;
    if (s->rotates)
        s->names[at].refresh++;
    gate_buf_printf(out, "granted %u %u %u", s->names[at].access, s->rotates ? number + 1 : 0,
                    s->life_ms);
}

static void service_login(struct service *s, const struct tiny_request *r, struct gate_buf *out)
{
    if (gate_str_eq(r->target, GATE_STR("/code"))) {
        snprintf(s->verifier, sizeof s->verifier, "%.*s", (int)r->body.len, r->body.ptr);
        s->same_verifier = true;
        gate_buf_printf(out, "%s", s->code);
        return;
    }
    if (!gate_str_eq(r->body, gate_str_of(s->verifier)))
        s->same_verifier = false;
    gate_buf_printf(out, "%s", s->login);
}

static enum tiny_end service_answer(void *ctx, const struct tiny_request *r, struct gate_buf *out)
{
    struct service *s = ctx;
    struct gate_buf body;
    if (s->mode == SERVICE_CLOSES)
        return TINY_CLOSE;
    if (s->mode == SERVICE_HOLDS)
        return TINY_HOLD;
    gate_buf_init(&body, 4096);
    if (s->mode == SERVICE_PAGE)
        gate_buf_printf(&body, "<html>blocked</html>");
    else if (s->mode == SERVICE_REFUSES)
        gate_buf_printf(&body, "dead");
    else if (gate_str_eq(r->target, GATE_STR("/refresh")))
        service_grant(s, r->body, &body);
    else
        service_login(s, r, &body);
    gate_buf_printf(out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%.*s", body.len,
                    (int)body.len, body.ptr);
    gate_buf_finish(&body);
    return TINY_CLOSE;
}

static void service_set(struct service *s, enum service_mode mode)
{
    pthread_mutex_lock(&s->http->lock);
    s->mode = mode;
    pthread_mutex_unlock(&s->http->lock);
}

static size_t service_requests(struct service *s)
{
    return tiny_read_number(s->http, &s->http->requests);
}

/* ---- the provider */

struct provider {
    struct gate_endpoint *endpoint;
    /* What an answer that was held back is taken for: GATE_OK: access token 900, refresh token as
     * before. */
    enum gate_status held;
    size_t parsed; /* answers to refreshes and polls; guarded by the server's lock */
};

struct parts {
    char name;
    unsigned access, refresh;
    unsigned long long ends;
};

static bool parts_of(struct gate_str secret, struct parts *p)
{
    char text[MAX_TEXT];
    snprintf(text, sizeof text, "%.*s", (int)secret.len, secret.ptr);
    return sscanf(text, "%c %u %u %llu", &p->name, &p->access, &p->refresh, &p->ends) == 4;
}

static void write_parts(const struct parts *p, const struct gate_writer *secret)
{
    char text[MAX_TEXT];
    snprintf(text, sizeof text, "%c %u %u %llu", p->name, p->access, p->refresh, p->ends);
    gate_write(secret, gate_str_of(text));
}

static enum gate_status provider_attach(void *instance, const struct gate_credential *credential,
                                        void **out, struct gate_error *err)
{
    struct parts p;
    char text[MAX_TEXT];
    (void)instance;
    if (credential->kind == GATE_CREDENTIAL_API_KEY)
        snprintf(text, sizeof text, "key");
    else if (parts_of(credential->secret, &p) &&
             (service.spoilt == 0 || p.access != service.spoilt))
        snprintf(text, sizeof text, "access-%c-%u", p.name, p.access);
    else
        return gate_fail(err, GATE_EINVAL, "not a credential");
    *out = gate_strdup(gate_str_of(text));
    return GATE_OK;
}

static void provider_detach(void *instance, void *account)
{
    (void)instance;
    free(account);
}

static uint64_t provider_expires(void *instance, const struct gate_credential *credential)
{
    struct parts p;
    (void)instance;
    return parts_of(credential->secret, &p) ? p.ends : 0;
}

static void count_parsed(struct provider *p)
{
    pthread_mutex_lock(&service.http->lock);
    p->parsed++;
    pthread_cond_broadcast(&service.http->changed);
    pthread_mutex_unlock(&service.http->lock);
}

static void provider_post(struct provider *p, struct gate_str path, struct gate_str body,
                          const struct gate_request_builder *out)
{
    out->endpoint(out->ctx, p->endpoint);
    out->path(out->ctx, path);
    out->replace(out->ctx, 0, 0, body);
}

static enum gate_status refresh_request(void *instance, const struct gate_credential *credential,
                                        const struct gate_request_builder *out,
                                        struct gate_error *err)
{
    struct parts p;
    char text[MAX_TEXT];
    if (!parts_of(credential->secret, &p))
        return gate_fail(err, GATE_EDENIED, "no refresh token");
    snprintf(text, sizeof text, "refresh-%c-%u", p.name, p.refresh);
    provider_post(instance, GATE_STR("/refresh"), gate_str_of(text), out);
    return GATE_OK;
}

static enum gate_status refresh_parse(void *instance, const struct gate_credential *old,
                                      const struct gate_answer *answer,
                                      const struct gate_writer *secret, uint64_t *expires_at_ms,
                                      struct gate_error *err)
{
    struct provider *provider = instance;
    struct parts p;
    unsigned access, refresh, life;
    char text[MAX_TEXT];
    count_parsed(provider);
    snprintf(text, sizeof text, "%.*s", (int)answer->body.len, answer->body.ptr);
    ck_assert(parts_of(old->secret, &p));
    if (answer->status == 0)
        return gate_fail(err, GATE_EIO, "not reached: %.*s", (int)answer->reason.len,
                         answer->reason.ptr);
    if (text[0] == '<')
        return gate_fail(err, GATE_EPARSE, "a web page");
    if (strcmp(text, "dead") == 0)
        return gate_fail(err, GATE_EDENIED, "the refresh token is dead");
    if (strcmp(text, "held") == 0) {
        if (provider->held != GATE_OK)
            return gate_fail(err, provider->held, "held back, then refused");
        p.access = 900;
        life = 3600000;
    } else if (sscanf(text, "granted %u %u %u", &access, &refresh, &life) == 3) {
        p.access = access;
        p.refresh = refresh != 0 ? refresh : p.refresh;
    } else {
        return gate_fail(err, GATE_EPARSE, "an odd answer");
    }
    p.ends = gate_clock_wall_ms() + life;
    *expires_at_ms = p.ends;
    write_parts(&p, secret);
    return GATE_OK;
}

static enum gate_status begin_request(void *instance, struct gate_str verifier,
                                      const struct gate_request_builder *out,
                                      struct gate_error *err)
{
    (void)err;
    provider_post(instance, GATE_STR("/code"), verifier, out);
    return GATE_OK;
}

static enum gate_status begin_parse(void *instance, const struct gate_answer *answer,
                                    const struct gate_writer *flow, struct gate_error *err)
{
    (void)instance;
    if (answer->status == 0)
        return gate_fail(err, GATE_EIO, "not reached: %.*s", (int)answer->reason.len,
                         answer->reason.ptr);
    gate_write(flow, answer->body);
    return GATE_OK;
}

static enum gate_status poll_request(void *instance, struct gate_str flow, struct gate_str verifier,
                                     const struct gate_request_builder *out, struct gate_error *err)
{
    if (memmem(flow.ptr, flow.len, "device-secret", 13) == NULL)
        return gate_fail(err, GATE_EINVAL, "no device_code");
    provider_post(instance, GATE_STR("/poll"), verifier, out);
    return GATE_OK;
}

static enum gate_status poll_parse(void *instance, const struct gate_answer *answer,
                                   uint64_t *interval_ms, const struct gate_writer *secret,
                                   struct gate_error *err)
{
    static const struct {
        const char *text;
        enum gate_status status;
    } answers[] = {
        {"pending", GATE_ELIMIT},    {"slow_down", GATE_ELIMIT}, {"denied", GATE_EDENIED},
        {"expired", GATE_ETIMEOUT},  {"page", GATE_EPARSE},      {"broken", GATE_EINVAL},
        {"nothing", GATE_EINTERNAL},
    };
    count_parsed(instance);
    if (answer->status == 0)
        return gate_fail(err, GATE_EIO, "not reached");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (gate_str_eq(answer->body, gate_str_of(answers[i].text))) {
            if (i == 1)
                *interval_ms *= 2;
            return gate_fail(err, answers[i].status, "the service said %s", answers[i].text);
        }
    gate_write(secret, answer->body);
    return GATE_OK;
}

static const struct gate_provider_ops provider_ops = {
    .size = sizeof provider_ops,
    .account_attach = provider_attach,
    .account_detach = provider_detach,
    .credential_expires = provider_expires,
    .refresh_request = refresh_request,
    .refresh_parse = refresh_parse,
    .login_begin_request = begin_request,
    .login_begin_parse = begin_parse,
    .login_poll_request = poll_request,
    .login_poll_parse = poll_parse,
};

/* ---- a quota that counts nothing */

static void quota_save(void *instance, const void *state, const struct gate_writer *out)
{
    (void)instance;
    (void)state;
    gate_write(out, GATE_STR("-"));
}

static enum gate_status quota_load(void *instance, void *state, struct gate_str bytes,
                                   uint64_t now_ms, struct gate_error *err)
{
    (void)instance;
    (void)state;
    (void)bytes;
    (void)now_ms;
    (void)err;
    return GATE_OK;
}

static const struct gate_quota_ops quota_ops = {
    .size = sizeof quota_ops,
    .state_size = 64,
    .save = quota_save,
    .load = quota_load,
};

#endif
