/*
 * provider_qwen: Qwen models at Alibaba Cloud, by API key (pay by use, coding plan, token plan) and
 * by OAuth login. API keys get the client's bytes as they are; the portal behind a login wants
 * cache marks, which are spliced in (marks.c).
 */
#include "qwen.h"

#include "../provider_openai/models.h"
#include "login.h"
#include "marks.h"
#include "refresh.h"
#include "search.h"
#include "verdict.h"

#include <stdlib.h>

static const struct gate_host *host; /* set once by init, before anything else is called */

static const struct gate_option options[] = {
    [QWEN_OPTION_PLAN] =
        {"plan", GATE_OPTION_STRING, NULL,
         "how the account is paid; unset: a login is oauth, a key sk-sp-... is coding, "
         "any other key standard",
         "standard|coding|token|oauth"},
    [QWEN_OPTION_REGION] = {"region", GATE_OPTION_STRING, "cn",
                            "where the key was made; coding and token have cn and intl",
                            "cn|intl|us|hk"},
    [QWEN_OPTION_BASE_URL] = {"base_url", GATE_OPTION_STRING, NULL,
                              "address of the API instead of the one that plan and region name",
                              NULL},
    [QWEN_OPTION_MODELS] =
        {"models", GATE_OPTION_LIST, NULL,
         "models to serve instead of the plan's own list; \"qwen*\" claims without "
         "showing",
         NULL},
    [QWEN_OPTION_CLIENT_VERSION] = {"client_version", GATE_OPTION_STRING, "0.16.2",
                                    "version of Qwen Code that OAuth requests name", NULL},
    [QWEN_OPTION_CLIENT_ID] = {"client_id", GATE_OPTION_STRING, "f0304373b74a44d2b584a3fb70ca9e56",
                               "how the login service knows the program that signs in", NULL},
    [QWEN_OPTION_AUTH_URL] = {"auth_url", GATE_OPTION_STRING, "https://chat.qwen.ai",
                              "address of the login service; /api/v1/oauth2/... is added to it",
                              NULL},
};

static enum gate_status qwen_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

/* ---------------------------------------------------------------- instances */

static enum gate_status check_options(const struct qwen_instance *instance, struct gate_error *err)
{
    const struct gate_value *values = instance->values;
    struct gate_str version = values[QWEN_OPTION_CLIENT_VERSION].string;
    struct gate_str client = values[QWEN_OPTION_CLIENT_ID].string;

    if (version.len > QWEN_VERSION_MAX || !openai_token_ok(version))
        return gate_fail(err, GATE_EINVAL, "client_version: not a version such as \"0.16.2\"");
    if (client.len > QWEN_CLIENT_ID_MAX || !openai_token_ok(client))
        return gate_fail(err, GATE_EINVAL, "client_id: not an id of printable characters");
    if (!values[QWEN_OPTION_BASE_URL].present && instance->plan < QWEN_OAUTH &&
        qwen_plan_url(instance->plan, values[QWEN_OPTION_REGION].string) == NULL)
        return gate_fail(err, GATE_EINVAL, "region: plan %s has these regions: %s",
                         qwen_plan_name(instance->plan), qwen_plan_regions(instance->plan));
    return GATE_OK;
}

static void instance_destroy(void *arg)
{
    struct qwen_instance *instance = arg;

    if (instance == NULL)
        return;
    if (instance->endpoint != NULL)
        host->endpoint_release(instance->endpoint);
    if (instance->root != NULL)
        host->endpoint_release(instance->root);
    if (instance->login != NULL)
        host->endpoint_release(instance->login);
    free(instance);
}

static enum gate_status instance_create(struct gate_str name, const struct gate_value *values,
                                        void **out, struct gate_error *err)
{
    struct qwen_instance *instance = openai_alloc(sizeof *instance);
    const struct gate_value *base_url = &values[QWEN_OPTION_BASE_URL];
    const struct gate_value *plan = &values[QWEN_OPTION_PLAN];
    enum gate_status status;

    (void)name;
    *instance = (struct qwen_instance){
        .host = host,
        .values = values,
        .plan = plan->present ? qwen_plan_find(plan->string) : QWEN_PLANS,
    };
    atomic_init(&instance->attached, 0);

    status = check_options(instance, err);
    if (status == GATE_OK)
        status = host->endpoint_create(values[QWEN_OPTION_AUTH_URL].string, GATE_ENDPOINT_OPERATOR,
                                       &instance->login, err);
    if (status == GATE_OK && base_url->present)
        status = host->endpoint_create(base_url->string, GATE_ENDPOINT_OPERATOR,
                                       &instance->endpoint, err);
    if (status == GATE_OK && base_url->present)
        status =
            qwen_root_create(host, base_url->string, GATE_ENDPOINT_OPERATOR, &instance->root, err);
    if (status != GATE_OK) {
        instance_destroy(instance);
        return status;
    }
    *out = instance;
    return GATE_OK;
}

/* ---------------------------------------------------------------- models */

/* Plans whose models the instance serves, as bits. Without a plan and before the first account it
 * is the one that most keys have. */
static unsigned served_plans(struct qwen_instance *instance)
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
static void each_pattern(struct qwen_instance *instance,
                         bool (*cb)(void *ctx, struct gate_str pattern), void *ctx)
{
    const struct gate_value *models = &instance->values[QWEN_OPTION_MODELS];
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

static unsigned credential_kinds(void *arg)
{
    const struct qwen_instance *instance = arg;
    const unsigned key = 1u << GATE_CREDENTIAL_API_KEY, login = 1u << GATE_CREDENTIAL_OAUTH;

    if (instance->plan == QWEN_PLANS)
        return key | login;
    return instance->plan == QWEN_OAUTH ? login : key;
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

static bool plan_has(enum qwen_plan plan, struct gate_str model)
{
    for (const char *const *list = qwen_plan_models(plan); *list != NULL; list++)
        if (openai_model_matches(gate_str_of(*list), model))
            return true;
    return false;
}

/* A model that the instance does not know is one that the client named together with the instance:
 * any key may have it. A login has it only where nothing else could. */
static bool account_serves(void *arg, void *account_arg, struct gate_str model)
{
    struct qwen_instance *instance = arg;
    const struct qwen_account *account = account_arg;
    enum qwen_plan plan = QWEN_OAUTH; /* who has no credential yet is signing in */

    if (instance->values[QWEN_OPTION_MODELS].present)
        return true;
    if (account != NULL)
        plan = account->plan;
    else if (instance->plan != QWEN_PLANS)
        plan = instance->plan;
    if (plan_has(plan, model))
        return true;
    if (claims(instance, model) != GATE_CLAIM_NO)
        return false;
    return plan != QWEN_OAUTH || served_plans(instance) == 1u << QWEN_OAUTH;
}

/* ---------------------------------------------------------------- requests and answers */

static const struct gate_endpoint *endpoint_of(const struct qwen_instance *instance,
                                               const struct qwen_account *account)
{
    return account->endpoint != NULL ? account->endpoint : instance->endpoint;
}

static enum gate_status build_request(void *instance, const struct gate_call *call,
                                      const struct gate_request_builder *out,
                                      struct gate_error *err)
{
    const struct qwen_account *account = call->account;

    out->endpoint(out->ctx, endpoint_of(instance, account));
    out->header_block(out->ctx, (struct gate_str){account->block->bytes, account->block->len});
    if (account->plan == QWEN_OAUTH)
        qwen_marks_splice(host, call, out);
    return openai_model_splice(host, call, out, err);
}

static void classify(void *instance, const struct gate_answer *answer, struct gate_verdict *out)
{
    const struct qwen_account *account = openai_account_of(answer);
    bool portal = account != NULL ? account->plan == QWEN_OAUTH
                                  : (served_plans(instance) & (1u << QWEN_OAUTH)) != 0;

    qwen_verdict(host, answer, portal, out);
    if (account != NULL)
        openai_block_mask(account->block, out->message);
}

static enum gate_status models_request(void *instance, void *account_arg,
                                       const struct gate_request_builder *out,
                                       struct gate_error *err)
{
    const struct qwen_account *account = account_arg;

    if (account == NULL)
        return gate_fail(err, GATE_ENOTFOUND, "the account has not signed in");
    openai_models_describe(endpoint_of(instance, account), account->block, out);
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
    .account_attach = qwen_account_attach,
    .account_detach = qwen_account_detach,
    .claims = claims,
    .each_model = each_model,
    .build_request = build_request,
    .classify = classify,
    .login_begin_request = qwen_login_begin_request,
    .login_begin_parse = qwen_login_begin_parse,
    .login_poll_request = qwen_login_poll_request,
    .login_poll_parse = qwen_login_poll_parse,
    .refresh_request = qwen_refresh_request,
    .refresh_parse = qwen_refresh_parse,
    .models_request = models_request,
    .models_parse = models_parse,
    .search_request = qwen_search_request,
    .search_parse = qwen_search_parse,
    .credential_expires = qwen_credential_expires,
    .account_serves = account_serves,
    .credential_kinds = credential_kinds,
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
