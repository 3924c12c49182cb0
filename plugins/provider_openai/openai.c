/*
 * provider_openai: any service that speaks the OpenAI chat API under some base address: OpenAI
 * itself, a local llama.cpp or vLLM, another gateway. The body goes upstream as the client sent it;
 * only the model's name is replaced when it is mapped.
 */
#include "failure.h"
#include "models.h"
#include "wire.h"

#include <stdlib.h>
#include <strings.h>

static const struct gate_host *host; /* set once by init, before anything else is called */

enum {
    OPTION_BASE_URL,
    OPTION_MODELS,
    OPTION_CATCH_ALL,
    OPTION_ORGANIZATION,
    OPTION_PROJECT,
    OPTION_HEADERS,
    OPTION_USER_AGENT,
};

static const struct gate_option options[] = {
    [OPTION_BASE_URL] = {"base_url", GATE_OPTION_STRING, "https://api.openai.com/v1",
                         "address of the API; /chat/completions is added to it", NULL},
    [OPTION_MODELS] =
        {"models", GATE_OPTION_LIST, NULL,
         "models it serves, shown in GET /v1/models; \"gpt-*\" claims without showing", NULL},
    [OPTION_CATCH_ALL] = {"catch_all", GATE_OPTION_BOOL, "false",
                          "take every model that no other provider claims", NULL},
    [OPTION_ORGANIZATION] = {"organization", GATE_OPTION_STRING, NULL,
                             "sent as OpenAI-Organization", NULL},
    [OPTION_PROJECT] = {"project", GATE_OPTION_STRING, NULL, "sent as OpenAI-Project", NULL},
    [OPTION_HEADERS] = {"headers", GATE_OPTION_LIST, NULL,
                        "more headers for every request: \"Name: value\"; no secrets", NULL},
    [OPTION_USER_AGENT] = {"user_agent", GATE_OPTION_STRING, "llm-gate/" GATE_VERSION,
                           "sent as User-Agent", NULL},
};

struct instance {
    const struct gate_value *values; /* the gateway's, valid as long as the instance */
    const struct gate_endpoint *endpoint;
};

static enum gate_status openai_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

/* ---------------------------------------------------------------- headers */

static struct gate_str trim(struct gate_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = (struct gate_str){s.ptr + 1, s.len - 1};
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Headers that the gateway or this plugin sets itself; a second one could smuggle a request. */
static bool is_reserved(struct gate_str name)
{
    static const char *const reserved[] = {
        "accept",         "accept-encoding",
        "authorization",  "connection",
        "content-length", "content-type",
        "expect",         "host",
        "keep-alive",     "te",
        "trailer",        "transfer-encoding",
        "upgrade",        "user-agent",
        "openai-project", "openai-organization",
    };

    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (name.len == strlen(reserved[i]) && strncasecmp(name.ptr, reserved[i], name.len) == 0)
            return true;
    return false;
}

static enum gate_status add_extra(struct openai_lines *lines, struct gate_str line,
                                  struct gate_error *err)
{
    const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
    struct gate_str name, value;

    if (colon == NULL)
        return gate_fail(err, GATE_EINVAL, "headers: an entry is not \"Name: value\"");
    name = (struct gate_str){line.ptr, (size_t)(colon - line.ptr)};
    value = trim((struct gate_str){colon + 1, line.len - name.len - 1});
    if (is_reserved(name))
        return gate_fail(err, GATE_EINVAL,
                         "headers: %.*s is set by the gateway; a key goes into the credential",
                         (int)name.len, name.ptr);
    return openai_lines_add(lines, name, value, err);
}

static enum gate_status add_option(struct openai_lines *lines, const char *name,
                                   const struct gate_value *value, struct gate_error *err)
{
    if (!value->present || value->string.len == 0)
        return GATE_OK;
    return openai_lines_add(lines, gate_str_of(name), value->string, err);
}

/* The lines that come from options alone. */
static enum gate_status add_static(const struct instance *instance, struct openai_lines *lines,
                                   struct gate_error *err)
{
    const struct gate_value *values = instance->values;
    const struct gate_value *extra = &values[OPTION_HEADERS];
    enum gate_status status;

    /* The body says which of the two it wants; proxies in between ask the header. */
    status = openai_lines_add(lines, GATE_STR("accept"),
                              GATE_STR("application/json, text/event-stream"), err);
    if (status == GATE_OK)
        status = add_option(lines, "user-agent", &values[OPTION_USER_AGENT], err);
    if (status == GATE_OK)
        status = add_option(lines, "openai-organization", &values[OPTION_ORGANIZATION], err);
    if (status == GATE_OK)
        status = add_option(lines, "openai-project", &values[OPTION_PROJECT], err);
    for (size_t i = 0; status == GATE_OK && extra->present && i < extra->list_len; i++)
        status = add_extra(lines, extra->list[i], err);
    return status;
}

/* ---------------------------------------------------------------- instances and accounts */

static enum gate_status instance_create(struct gate_str name, const struct gate_value *values,
                                        void **out, struct gate_error *err)
{
    struct instance *instance = openai_alloc(sizeof *instance);
    struct openai_lines lines = {.len = 0};
    enum gate_status status;

    (void)name;
    instance->values = values;
    instance->endpoint = NULL;
    /* A wrong header stops the start, not the first request. */
    status = add_static(instance, &lines, err);
    if (status == GATE_OK)
        status = host->endpoint_create(values[OPTION_BASE_URL].string, GATE_ENDPOINT_OPERATOR,
                                       &instance->endpoint, err);
    if (status != GATE_OK) {
        free(instance);
        return status;
    }
    *out = instance;
    return GATE_OK;
}

static void instance_destroy(void *instance)
{
    if (instance == NULL)
        return;
    host->endpoint_release(((struct instance *)instance)->endpoint);
    free(instance);
}

static enum gate_status account_attach(void *instance, const struct gate_credential *credential,
                                       void **out, struct gate_error *err)
{
    struct openai_lines lines = {.len = 0};
    enum gate_status status = GATE_OK;

    if (credential->kind == GATE_CREDENTIAL_OAUTH)
        return gate_fail(err, GATE_EINVAL, "provider openai takes an API key, not an OAuth login");
    if (credential->kind == GATE_CREDENTIAL_API_KEY)
        status = openai_lines_add_bearer(&lines, credential->secret, err);
    if (status == GATE_OK)
        status = add_static(instance, &lines, err);
    if (status == GATE_OK)
        *out = openai_block_create(&lines);
    openai_lines_wipe(host, &lines);
    return status;
}

static void account_detach(void *instance, void *account)
{
    (void)instance;
    openai_block_destroy(host, account);
}

/* ---------------------------------------------------------------- models */

static enum gate_claim claims(void *instance, struct gate_str model)
{
    const struct gate_value *values = ((struct instance *)instance)->values;
    const struct gate_value *models = &values[OPTION_MODELS];

    for (size_t i = 0; models->present && i < models->list_len; i++)
        if (openai_model_matches(models->list[i], model))
            return GATE_CLAIM_NAME;
    return values[OPTION_CATCH_ALL].boolean ? GATE_CLAIM_ANY : GATE_CLAIM_NO;
}

static void each_model(void *instance, void (*cb)(void *ctx, struct gate_str model), void *ctx)
{
    const struct gate_value *models = &((struct instance *)instance)->values[OPTION_MODELS];

    for (size_t i = 0; models->present && i < models->list_len; i++)
        if (memchr(models->list[i].ptr, '*', models->list[i].len) == NULL)
            cb(ctx, models->list[i]);
}

/* ---------------------------------------------------------------- requests and answers */

static enum gate_status build_request(void *instance, const struct gate_call *call,
                                      const struct gate_request_builder *out,
                                      struct gate_error *err)
{
    const struct openai_block *block = call->account;

    out->endpoint(out->ctx, ((struct instance *)instance)->endpoint);
    out->header_block(out->ctx, (struct gate_str){block->bytes, block->len});
    return openai_model_splice(host, call, out, err);
}

static void classify(void *instance, const struct gate_answer *answer, struct gate_verdict *out)
{
    const struct openai_block *block = openai_account_of(answer);
    struct openai_failure failure;

    (void)instance;
    openai_failure_read(host, answer, &failure);
    openai_failure_judge(&failure, out);
    if (block != NULL)
        openai_block_mask(block, out->message);
}

static enum gate_status models_request(void *instance, void *account,
                                       const struct gate_request_builder *out,
                                       struct gate_error *err)
{
    (void)err;
    openai_models_describe(((struct instance *)instance)->endpoint, account, out);
    return GATE_OK;
}

static enum gate_status models_parse(void *instance, const struct gate_answer *answer,
                                     void (*cb)(void *ctx, struct gate_str model), void *ctx,
                                     struct gate_error *err)
{
    (void)instance;
    return openai_models_parse(host, answer, cb, ctx, err);
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
    .models_request = models_request,
    .models_parse = models_parse,
};

GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_PROVIDER),
    .name = "openai",
    .version = GATE_VERSION,
    .summary = "any service that speaks the OpenAI chat API",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .ops = &ops,
    .init = openai_init,
};
