#include "refresh.h"

#include "../provider_openai/retry.h"
#include "oauth.h"

static const double SECONDS_BELOW = 1e12; /* a smaller expiry_date counts seconds, not ms */
static const double EXPIRY_MAX = 1e16;    /* beyond it doubles are not exact, nor the date real */

enum gate_status qwen_refresh_request(void *arg, const struct gate_credential *credential,
                                      const struct gate_request_builder *out,
                                      struct gate_error *err)
{
    const struct qwen_instance *instance = arg;
    const struct gate_host *host = instance->host;
    struct qwen_text token, form;
    enum gate_status status = GATE_OK;

    if (credential->kind != GATE_CREDENTIAL_OAUTH)
        return gate_fail(err, GATE_EINVAL, "only a login can be refreshed");
    qwen_text_init(&form);
    qwen_text_form(&form, "grant_type", GATE_STR("refresh_token"));
    if (qwen_read_string(host, credential->secret, "refresh_token", &token))
        qwen_text_form(&form, "refresh_token", qwen_text_str(&token));
    else
        status = gate_fail(err, GATE_EDENIED, "the login has no refresh_token; sign in again");
    qwen_text_form(&form, "client_id", qwen_oauth_client_id(instance));
    if (form.overflow)
        status = gate_fail(err, GATE_EDENIED, "the login's refresh_token is too long");
    if (status == GATE_OK)
        qwen_oauth_post(instance, GATE_STR("/api/v1/oauth2/token"), &form, out);
    qwen_text_wipe(host, &token);
    qwen_text_wipe(host, &form);
    return status;
}

/* Does the service say of the refresh token itself that it does not live any more? This one reports
 * that as invalid_request, which it also uses for requests that are merely wrong. */
static bool is_dead(const struct qwen_refusal *refusal)
{
    const struct openai_failure *f = &refusal->failure;
    struct gate_str message = gate_str_of(f->message);

    if (f->status == 401 || (f->status == 400 && strcmp(refusal->code, "invalid_grant") == 0))
        return true;
    return f->status == 400 && strcmp(refusal->code, "invalid_request") == 0 &&
           (openai_find(message, GATE_STR("refresh token")) != NULL ||
            openai_find(message, GATE_STR("refresh_token")) != NULL) &&
           (openai_find(message, GATE_STR("invalid")) != NULL ||
            openai_find(message, GATE_STR("expired")) != NULL ||
            openai_find(message, GATE_STR("revoked")) != NULL);
}

enum gate_status qwen_refresh_parse(void *arg, const struct gate_credential *old,
                                    const struct gate_answer *answer,
                                    const struct gate_writer *secret, uint64_t *expires_at_ms,
                                    struct gate_error *err)
{
    const struct qwen_instance *instance = arg;
    struct qwen_refusal refusal;
    enum gate_status status;

    if (qwen_token_write(instance, answer, old->secret, secret, expires_at_ms, err) == GATE_OK)
        return GATE_OK;
    qwen_refusal_read(instance->host, answer, &refusal);
    status = qwen_refusal_unclear(&refusal, err);
    if (status != GATE_OK)
        return status;
    if (is_dead(&refusal))
        return gate_fail(err, GATE_EDENIED,
                         "the refresh token is not accepted any more (%s); sign in again",
                         refusal.text);
    if (answer->status >= 200 && answer->status < 300)
        return gate_fail(err, GATE_EPARSE,
                         "the login service answered HTTP %d without an access_token: %s",
                         answer->status, refusal.text);
    return gate_fail(err, GATE_EIO, "the login service refused the refresh: HTTP %d, %s",
                     answer->status, refusal.text);
}

uint64_t qwen_credential_expires(void *arg, const struct gate_credential *credential)
{
    const struct qwen_instance *instance = arg;
    double date;

    if (credential->kind != GATE_CREDENTIAL_OAUTH ||
        !qwen_read_number(instance->host, credential->secret, "expiry_date", &date) || date <= 0)
        return 0;
    if (date < SECONDS_BELOW)
        date *= 1000;
    return date <= EXPIRY_MAX ? (uint64_t)date : 0;
}
