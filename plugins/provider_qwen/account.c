#include "qwen.h"

#include "text.h"

#include <stdlib.h>

enum { URL_MAX = 512 };

struct gate_str qwen_agent(const struct qwen_instance *instance, char out[QWEN_AGENT_MAX])
{
    struct gate_str version = instance->values[QWEN_OPTION_CLIENT_VERSION].string;
    int len =
        snprintf(out, QWEN_AGENT_MAX, "QwenCode/%.*s (linux; x64)", (int)version.len, version.ptr);

    return (struct gate_str){out, (size_t)len};
}

enum gate_status qwen_root_create(const struct gate_host *host, struct gate_str url,
                                  enum gate_endpoint_origin origin,
                                  const struct gate_endpoint **out, struct gate_error *err)
{
    const char *scheme = memmem(url.ptr, url.len, "://", 3);
    size_t n = scheme != NULL ? (size_t)(scheme - url.ptr) + 3 : 0;

    while (n < url.len && url.ptr[n] != '/')
        n++;
    return host->endpoint_create((struct gate_str){url.ptr, n}, origin, out, err);
}

/* The address that the token reply named: a host, or a whole URL. It came from outside, so it must
 * be public and https; the gateway sees to that, so a scheme is kept as it is. */
static enum gate_status resource_url(const struct gate_host *host, struct gate_str json,
                                     char out[URL_MAX], struct gate_error *err)
{
    struct qwen_text text;
    struct gate_str resource = GATE_STR("portal.qwen.ai");
    int len;

    if (qwen_read_string(host, json, "resource_url", &text))
        resource = qwen_text_str(&text);
    while (resource.len > 0 && resource.ptr[resource.len - 1] == '/')
        resource.len--;
    if (resource.len >= 3 && memcmp(resource.ptr + resource.len - 3, "/v1", 3) == 0)
        resource.len -= 3;
    if (resource.len == 0 || !openai_token_ok(resource))
        return gate_fail(err, GATE_EINVAL, "resource_url of the login is not an address");
    len = snprintf(out, URL_MAX, "%s%.*s/v1",
                   memmem(resource.ptr, resource.len, "://", 3) != NULL ? "" : "https://",
                   (int)resource.len, resource.ptr);
    if (len < 0 || len >= URL_MAX)
        return gate_fail(err, GATE_EINVAL, "resource_url of the login is too long");
    return GATE_OK;
}

static enum gate_status add_oauth_lines(const struct qwen_instance *instance, struct gate_str json,
                                        struct openai_lines *lines, struct gate_error *err)
{
    char buffer[QWEN_AGENT_MAX];
    struct gate_str agent = qwen_agent(instance, buffer);
    struct qwen_text token;
    enum gate_status status;

    if (qwen_read_string(instance->host, json, "access_token", &token))
        status = openai_lines_add_bearer(lines, qwen_text_str(&token), err);
    else
        status = gate_fail(err, GATE_EINVAL, "the login's JSON has no access_token");
    qwen_text_wipe(instance->host, &token);

    if (status == GATE_OK)
        status = openai_lines_add(lines, GATE_STR("user-agent"), agent, err);
    if (status == GATE_OK)
        status = openai_lines_add(lines, GATE_STR("x-dashscope-useragent"), agent, err);
    if (status == GATE_OK)
        status =
            openai_lines_add(lines, GATE_STR("x-dashscope-authtype"), GATE_STR("qwen-oauth"), err);
    if (status == GATE_OK)
        status =
            openai_lines_add(lines, GATE_STR("x-dashscope-cachecontrol"), GATE_STR("enable"), err);
    return status;
}

/* Which plan the credential is for; an error where the options say another. */
static enum gate_status choose_plan(const struct qwen_instance *instance,
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

static enum gate_status add_lines(const struct qwen_instance *instance, enum qwen_plan plan,
                                  const struct gate_credential *credential,
                                  struct openai_lines *lines, struct gate_error *err)
{
    enum gate_status status;

    if (plan == QWEN_OAUTH) {
        status = add_oauth_lines(instance, credential->secret, lines, err);
    } else {
        status = openai_lines_add_bearer(lines, credential->secret, err);
        if (status == GATE_OK)
            status = openai_lines_add(lines, GATE_STR("user-agent"),
                                      GATE_STR("llm-gate/" GATE_VERSION), err);
    }
    if (status == GATE_OK)
        status = openai_lines_add(lines, GATE_STR("accept"),
                                  GATE_STR("application/json, text/event-stream"), err);
    return status;
}

/* The account's own addresses; without base_url only. */
static enum gate_status add_endpoints(const struct qwen_instance *instance,
                                      const struct gate_credential *credential,
                                      struct qwen_account *account, struct gate_error *err)
{
    const struct gate_host *host = instance->host;
    const char *url;
    char resource[URL_MAX];
    enum gate_status status;

    if (account->plan == QWEN_OAUTH) {
        status = resource_url(host, credential->secret, resource, err);
        if (status == GATE_OK)
            status = host->endpoint_create(gate_str_of(resource), GATE_ENDPOINT_FOREIGN,
                                           &account->endpoint, err);
        if (status == GATE_OK)
            status = qwen_root_create(host, gate_str_of(resource), GATE_ENDPOINT_FOREIGN,
                                      &account->root, err);
        return status;
    }
    url = qwen_plan_url(account->plan, instance->values[QWEN_OPTION_REGION].string);
    if (url == NULL)
        return gate_fail(err, GATE_EINVAL, "region: plan %s has these regions: %s",
                         qwen_plan_name(account->plan), qwen_plan_regions(account->plan));
    return host->endpoint_create(gate_str_of(url), GATE_ENDPOINT_OPERATOR, &account->endpoint, err);
}

enum gate_status qwen_account_attach(void *arg, const struct gate_credential *credential,
                                     void **out, struct gate_error *err)
{
    struct qwen_instance *instance = arg;
    struct qwen_account *account;
    struct openai_lines lines = {.len = 0};
    enum qwen_plan plan = QWEN_PLANS;
    enum gate_status status = choose_plan(instance, credential, &plan, err);

    if (status != GATE_OK)
        return status;
    account = openai_alloc(sizeof *account);
    *account = (struct qwen_account){.plan = plan};
    status = add_lines(instance, plan, credential, &lines, err);
    if (status == GATE_OK && instance->endpoint == NULL)
        status = add_endpoints(instance, credential, account, err);
    if (status != GATE_OK) {
        qwen_account_detach(instance, account);
    } else {
        account->block = openai_block_create(&lines);
        atomic_fetch_or(&instance->attached, 1u << plan);
        *out = account;
    }
    openai_lines_wipe(instance->host, &lines);
    return status;
}

void qwen_account_detach(void *arg, void *account_arg)
{
    const struct gate_host *host = ((struct qwen_instance *)arg)->host;
    struct qwen_account *account = account_arg;

    if (account == NULL)
        return;
    if (account->endpoint != NULL)
        host->endpoint_release(account->endpoint);
    if (account->root != NULL)
        host->endpoint_release(account->root);
    openai_block_destroy(host, account->block);
    free(account);
}
