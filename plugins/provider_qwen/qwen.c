/*
 * provider_qwen: Qwen models at Alibaba Cloud, by API key (pay by use, coding plan, token plan) and
 * by OAuth login. API keys get the client's bytes as they are; the portal behind a login wants
 * cache marks, which are spliced in (marks.c).
 */
#include "../provider_openai/failure.h"
#include "../provider_openai/wire.h"
#include "marks.h"
#include "plans.h"
#include "verdict.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    URL_MAX = 512,
    VERSION_MAX = 64,
};

static const struct gate_host *host; /* set once by init, before anything else is called */

enum {
    OPTION_PLAN,
    OPTION_REGION,
    OPTION_BASE_URL,
    OPTION_MODELS,
    OPTION_CLIENT_VERSION,
};

static const struct gate_option options[] = {
    [OPTION_PLAN] = {"plan", GATE_OPTION_STRING, NULL,
                     "how the account is paid; unset: a login is oauth, a key sk-sp-... is coding, "
                     "any other key standard",
                     "standard|coding|token|oauth"},
    [OPTION_REGION] = {"region", GATE_OPTION_STRING, "cn",
                       "where the key was made; coding and token have cn and intl",
                       "cn|intl|us|hk"},
    [OPTION_BASE_URL] = {"base_url", GATE_OPTION_STRING, NULL,
                         "address of the API instead of the one that plan and region name", NULL},
    [OPTION_MODELS] = {"models", GATE_OPTION_LIST, NULL,
                       "models to serve instead of the plan's own list; \"qwen*\" claims without "
                       "showing",
                       NULL},
    [OPTION_CLIENT_VERSION] = {"client_version", GATE_OPTION_STRING, "0.16.2",
                               "version of Qwen Code that OAuth requests name", NULL},
};

struct instance {
    const struct gate_value *values;      /* the gateway's, valid as long as the instance */
    const struct gate_endpoint *endpoint; /* from base_url, or NULL: each account has its own */
    enum qwen_plan plan;                  /* QWEN_PLANS: the credential decides */
    atomic_uint attached;                 /* bit 1 << plan for every plan an account turned out to
                                             have; written by the control thread */
};

struct account {
    const struct gate_endpoint *endpoint; /* own, or NULL: the instance's */
    struct openai_block *block;
    enum qwen_plan plan;
};

static enum gate_status qwen_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

/* ---------------------------------------------------------------- instances */

static enum gate_status instance_create(struct gate_str name, const struct gate_value *values,
                                        void **out, struct gate_error *err)
{
    struct instance *instance = openai_alloc(sizeof *instance);
    const struct gate_value *base_url = &values[OPTION_BASE_URL];
    enum gate_status status = GATE_OK;

    (void)name;
    instance->values = values;
    instance->endpoint = NULL;
    instance->plan =
        values[OPTION_PLAN].present ? qwen_plan_find(values[OPTION_PLAN].string) : QWEN_PLANS;
    atomic_init(&instance->attached, 0);

    if (values[OPTION_CLIENT_VERSION].string.len > VERSION_MAX ||
        !openai_token_ok(values[OPTION_CLIENT_VERSION].string))
        status = gate_fail(err, GATE_EINVAL, "client_version: not a version such as \"0.16.2\"");
    else if (base_url->present)
        status = host->endpoint_create(base_url->string, GATE_ENDPOINT_OPERATOR,
                                       &instance->endpoint, err);
    else if (instance->plan < QWEN_OAUTH &&
             qwen_plan_url(instance->plan, values[OPTION_REGION].string) == NULL)
        status = gate_fail(err, GATE_EINVAL, "region: plan %s has these regions: %s",
                           qwen_plan_name(instance->plan), qwen_plan_regions(instance->plan));
    if (status != GATE_OK) {
        free(instance);
        return status;
    }
    *out = instance;
    return GATE_OK;
}

static void instance_destroy(void *arg)
{
    struct instance *instance = arg;

    if (instance == NULL)
        return;
    if (instance->endpoint != NULL)
        host->endpoint_release(instance->endpoint);
    free(instance);
}

/* ---------------------------------------------------------------- accounts */

/* A decoded member of the login's JSON. Holds a secret: wiped by who declared it. */
struct field {
    size_t len;
    bool overflow;
    char bytes[OPENAI_KEY_MAX];
};

static void field_append(void *ctx, struct gate_str s)
{
    struct field *f = ctx;

    if (f->overflow || s.len > sizeof f->bytes - f->len) {
        f->overflow = true;
        return;
    }
    if (s.len > 0)
        memcpy(f->bytes + f->len, s.ptr, s.len);
    f->len += s.len;
}

/* False: the JSON has no such string, or it is empty or too long. */
static bool read_field(struct gate_str json, struct gate_str key, struct field *out)
{
    const struct gate_writer writer = {out, field_append};
    struct gate_str value;

    out->len = 0;
    out->overflow = false;
    return host->json_member(json, key, &value) && host->json_decode(value, &writer) &&
           !out->overflow && out->len > 0;
}

/* The address that the token reply named: a host, or a whole URL. It came from outside, so it must
 * be public and https; the gateway sees to that, so a scheme is kept as it is. */
static enum gate_status resource_endpoint(struct gate_str json, const struct gate_endpoint **out,
                                          struct gate_error *err)
{
    struct field field;
    struct gate_str resource = GATE_STR("portal.qwen.ai");
    char url[URL_MAX];
    int len;

    if (read_field(json, GATE_STR("resource_url"), &field))
        resource = (struct gate_str){field.bytes, field.len};
    while (resource.len > 0 && resource.ptr[resource.len - 1] == '/')
        resource.len--;
    if (resource.len >= 3 && memcmp(resource.ptr + resource.len - 3, "/v1", 3) == 0)
        resource.len -= 3;
    if (resource.len == 0 || !openai_token_ok(resource))
        return gate_fail(err, GATE_EINVAL, "resource_url of the login is not an address");
    len = snprintf(url, sizeof url, "%s%.*s/v1",
                   memmem(resource.ptr, resource.len, "://", 3) != NULL ? "" : "https://",
                   (int)resource.len, resource.ptr);
    if (len < 0 || (size_t)len >= sizeof url)
        return gate_fail(err, GATE_EINVAL, "resource_url of the login is too long");
    return host->endpoint_create((struct gate_str){url, (size_t)len}, GATE_ENDPOINT_FOREIGN, out,
                                 err);
}

static enum gate_status add_oauth_lines(const struct instance *instance, struct gate_str json,
                                        struct openai_lines *lines, struct gate_error *err)
{
    struct gate_str version = instance->values[OPTION_CLIENT_VERSION].string;
    struct field token;
    char agent[VERSION_MAX + 32];
    struct gate_str client = {agent, 0};
    enum gate_status status;

    client.len = (size_t)snprintf(agent, sizeof agent, "QwenCode/%.*s (linux; x64)",
                                  (int)version.len, version.ptr);
    if (read_field(json, GATE_STR("access_token"), &token))
        status = openai_lines_add_bearer(lines, (struct gate_str){token.bytes, token.len}, err);
    else
        status = gate_fail(err, GATE_EINVAL, "the login's JSON has no access_token");
    host->wipe(token.bytes, token.len);

    if (status == GATE_OK)
        status = openai_lines_add(lines, GATE_STR("user-agent"), client, err);
    if (status == GATE_OK)
        status = openai_lines_add(lines, GATE_STR("x-dashscope-useragent"), client, err);
    if (status == GATE_OK)
        status =
            openai_lines_add(lines, GATE_STR("x-dashscope-authtype"), GATE_STR("qwen-oauth"), err);
    if (status == GATE_OK)
        status =
            openai_lines_add(lines, GATE_STR("x-dashscope-cachecontrol"), GATE_STR("enable"), err);
    return status;
}

/* Which plan the credential is for; an error where the options say another. */
static enum gate_status choose_plan(const struct instance *instance,
                                    const struct gate_credential *credential, enum qwen_plan *out,
                                    struct gate_error *err)
{
    bool oauth = credential->kind == GATE_CREDENTIAL_OAUTH;

    if (credential->kind == GATE_CREDENTIAL_NONE)
        return gate_fail(err, GATE_EINVAL, "provider qwen needs an API key or a login");
    if (instance->plan != QWEN_PLANS && (instance->plan == QWEN_OAUTH) != oauth)
        return gate_fail(err, GATE_EINVAL, "plan %s does not take %s",
                         qwen_plan_name(instance->plan), oauth ? "a login" : "an API key");
    if (instance->plan != QWEN_PLANS)
        *out = instance->plan;
    else if (oauth)
        *out = QWEN_OAUTH;
    else
        *out =
            gate_str_starts(credential->secret, GATE_STR("sk-sp-")) ? QWEN_CODING : QWEN_STANDARD;
    return GATE_OK;
}

static enum gate_status key_endpoint(const struct instance *instance, enum qwen_plan plan,
                                     const struct gate_endpoint **out, struct gate_error *err)
{
    const char *url = qwen_plan_url(plan, instance->values[OPTION_REGION].string);

    if (url == NULL)
        return gate_fail(err, GATE_EINVAL, "region: plan %s has these regions: %s",
                         qwen_plan_name(plan), qwen_plan_regions(plan));
    return host->endpoint_create(gate_str_of(url), GATE_ENDPOINT_OPERATOR, out, err);
}

static enum gate_status account_attach(void *arg, const struct gate_credential *credential,
                                       void **out, struct gate_error *err)
{
    struct instance *instance = arg;
    struct account *account;
    const struct gate_endpoint *endpoint = NULL;
    struct openai_lines lines = {.len = 0};
    enum qwen_plan plan = QWEN_PLANS;
    enum gate_status status = choose_plan(instance, credential, &plan, err);

    if (status != GATE_OK)
        return status;
    if (plan == QWEN_OAUTH)
        status = add_oauth_lines(instance, credential->secret, &lines, err);
    else
        status = openai_lines_add_bearer(&lines, credential->secret, err);
    if (status == GATE_OK && plan != QWEN_OAUTH)
        status = openai_lines_add(&lines, GATE_STR("user-agent"),
                                  GATE_STR("llm-gate/" GATE_VERSION), err);
    if (status == GATE_OK)
        status = openai_lines_add(&lines, GATE_STR("accept"),
                                  GATE_STR("application/json, text/event-stream"), err);
    if (status == GATE_OK && instance->endpoint == NULL)
        status = plan == QWEN_OAUTH ? resource_endpoint(credential->secret, &endpoint, err)
                                    : key_endpoint(instance, plan, &endpoint, err);
    if (status == GATE_OK) {
        account = openai_alloc(sizeof *account);
        account->endpoint = endpoint;
        account->block = openai_block_create(&lines);
        account->plan = plan;
        atomic_fetch_or(&instance->attached, 1u << plan);
        *out = account;
    }
    openai_lines_wipe(host, &lines);
    return status;
}

static void account_detach(void *instance, void *arg)
{
    struct account *account = arg;

    (void)instance;
    if (account == NULL)
        return;
    if (account->endpoint != NULL)
        host->endpoint_release(account->endpoint);
    openai_block_destroy(host, account->block);
    free(account);
}

/* ---------------------------------------------------------------- models */

/* Plans whose models the instance serves, as bits. Without a plan and before the first account it
 * is the one that most keys have. */
static unsigned served_plans(struct instance *instance)
{
    unsigned attached = atomic_load(&instance->attached);

    if (instance->plan != QWEN_PLANS)
        return 1u << instance->plan;
    return attached != 0 ? attached : 1u << QWEN_STANDARD;
}

/* Is the pattern in the list of a served plan before this one? */
static bool is_repeated(unsigned served, unsigned plan, const char *pattern)
{
    for (unsigned before = 0; before < plan; before++)
        for (const char *const *list = qwen_plan_models((enum qwen_plan)before); *list; list++)
            if ((served & (1u << before)) != 0 && strcmp(*list, pattern) == 0)
                return true;
    return false;
}

/* Calls cb for every pattern, each once; cb returns false to stop. */
static void each_pattern(struct instance *instance, bool (*cb)(void *ctx, struct gate_str pattern),
                         void *ctx)
{
    const struct gate_value *models = &instance->values[OPTION_MODELS];
    unsigned served = served_plans(instance);

    for (size_t i = 0; models->present && i < models->list_len; i++)
        if (!cb(ctx, models->list[i]))
            return;
    for (unsigned plan = 0; !models->present && plan < QWEN_PLANS; plan++) {
        const char *const *list = qwen_plan_models((enum qwen_plan)plan);

        for (; (served & (1u << plan)) != 0 && *list != NULL; list++)
            if (!is_repeated(served, plan, *list) && !cb(ctx, gate_str_of(*list)))
                return;
    }
}

struct claim_search {
    struct gate_str model;
    enum gate_claim result;
};

static bool claim_pattern(void *ctx, struct gate_str pattern)
{
    struct claim_search *search = ctx;

    if (!openai_model_matches(pattern, search->model))
        return true;
    search->result = GATE_CLAIM_NAME;
    return false;
}

static enum gate_claim claims(void *instance, struct gate_str model)
{
    struct claim_search search = {model, GATE_CLAIM_NO};

    each_pattern(instance, claim_pattern, &search);
    return search.result;
}

struct model_list {
    void (*cb)(void *ctx, struct gate_str model);
    void *ctx;
};

static bool list_pattern(void *ctx, struct gate_str pattern)
{
    const struct model_list *list = ctx;

    if (memchr(pattern.ptr, '*', pattern.len) == NULL)
        list->cb(list->ctx, pattern);
    return true;
}

static void each_model(void *instance, void (*cb)(void *ctx, struct gate_str model), void *ctx)
{
    struct model_list list = {cb, ctx};

    each_pattern(instance, list_pattern, &list);
}

/* ---------------------------------------------------------------- requests and answers */

static enum gate_status build_request(void *instance, const struct gate_call *call,
                                      const struct gate_request_builder *out,
                                      struct gate_error *err)
{
    const struct account *account = call->account;

    out->endpoint(out->ctx, account->endpoint != NULL ? account->endpoint
                                                      : ((struct instance *)instance)->endpoint);
    out->header_block(out->ctx, (struct gate_str){account->block->bytes, account->block->len});
    if (account->plan == QWEN_OAUTH)
        qwen_marks_splice(host, call, out);
    return openai_model_splice(host, call, out, err);
}

static void classify(void *instance, const struct gate_answer *answer, struct gate_verdict *out)
{
    qwen_verdict(host, answer, (served_plans(instance) & (1u << QWEN_OAUTH)) != 0, out);
}

static const struct gate_provider_ops ops = {
    .size = sizeof ops,
    .dialect = "openai_chat",
    .instance_create = instance_create,
    .instance_destroy = instance_destroy,
    .account_attach = account_attach,
    .account_detach = account_detach,
    .claims = claims,
    .each_model = each_model,
    .build_request = build_request,
    .classify = classify,
};

GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_PROVIDER),
    .name = "qwen",
    .version = GATE_VERSION,
    .summary = "Qwen models by API key (standard, coding plan, token plan) or OAuth login",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .ops = &ops,
    .init = qwen_init,
};
