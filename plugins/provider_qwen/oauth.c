#include "oauth.h"

enum {
    TOKEN_SHORTEST = 24,                     /* no word of a message is as long */
    EXPIRES_MAX_S = 10 * 365 * 24 * 60 * 60, /* a token that lives longer is not believed */
};

void qwen_oauth_post(const struct qwen_instance *instance, struct gate_str path,
                     const struct qwen_text *form, const struct gate_request_builder *out)
{
    char agent[QWEN_AGENT_MAX];

    out->endpoint(out->ctx, instance->login);
    out->path(out->ctx, path);
    out->header(out->ctx, GATE_STR("content-type"), GATE_STR("application/x-www-form-urlencoded"));
    out->header(out->ctx, GATE_STR("accept"), GATE_STR("application/json"));
    out->header(out->ctx, GATE_STR("user-agent"), qwen_agent(instance, agent));
    out->replace(out->ctx, 0, 0, qwen_text_str(form));
}

struct gate_str qwen_oauth_client_id(const struct qwen_instance *instance)
{
    return instance->values[QWEN_OPTION_CLIENT_ID].string;
}

/* ---------------------------------------------------------------- refusals */

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.~+/=", c) != NULL);
}

/* A service may quote what it refuses. */
static void mask_tokens(char *text)
{
    for (size_t i = 0, n; text[i] != '\0'; i += n) {
        for (n = 0; is_token_char(text[i + n]); n++)
            ;
        if (n >= TOKEN_SHORTEST)
            memset(text + i, '*', n);
        n = n > 0 ? n : 1;
    }
}

void qwen_refusal_read(const struct gate_host *host, const struct gate_answer *answer,
                       struct qwen_refusal *out)
{
    const struct openai_failure *f = &out->failure;

    openai_failure_read(host, answer, &out->failure);
    out->code[0] = '\0';
    /* {"error": "slow_down"} without a description counts as a message there. */
    if (f->failed)
        snprintf(out->code, sizeof out->code, "%s", f->code[0] != '\0' ? f->code : f->message);
    if (f->code[0] != '\0' && f->message[0] != '\0')
        snprintf(out->text, sizeof out->text, "%s: %s", f->code, f->message);
    else
        snprintf(out->text, sizeof out->text, "%s", out->code);
    mask_tokens(out->text);
}

enum gate_status qwen_refusal_unclear(const struct qwen_refusal *refusal, struct gate_error *err)
{
    const struct openai_failure *f = &refusal->failure;

    if (f->status == 0)
        return gate_fail(err, GATE_EIO, "the login service was not reached: %s", f->message);
    if (f->status == 429 || f->status >= 500)
        return gate_fail(err, GATE_EIO, "the login service is busy or failing: HTTP %d%s%s",
                         f->status, refusal->text[0] != '\0' ? ", " : "", refusal->text);
    if (f->html)
        return gate_fail(err, GATE_EPARSE,
                         "the login service answered HTTP %d with a web page; a firewall may be in "
                         "between",
                         f->status);
    if (refusal->code[0] == '\0')
        return gate_fail(err, GATE_EPARSE,
                         "the login service answered HTTP %d with neither a token nor an error",
                         f->status);
    return GATE_OK;
}

/* ---------------------------------------------------------------- token replies */

/* Writes a member from the reply, else from the old login, else the fallback (NULL: not at all). */
static void keep_member(const struct gate_host *host, struct gate_str reply, struct gate_str old,
                        const char *key, const char *fallback, const struct gate_writer *secret)
{
    struct qwen_text text;

    if (qwen_read_string(host, reply, key, &text) || qwen_read_string(host, old, key, &text))
        qwen_write_string(host, secret, ",", key, qwen_text_str(&text));
    else if (fallback != NULL)
        qwen_write_string(host, secret, ",", key, gate_str_of(fallback));
    qwen_text_wipe(host, &text);
}

static bool is_good(const struct gate_answer *answer)
{
    return answer->status >= 200 && answer->status < 300;
}

enum gate_status qwen_token_write(const struct qwen_instance *instance,
                                  const struct gate_answer *answer, struct gate_str old,
                                  const struct gate_writer *secret, uint64_t *expires_at_ms,
                                  struct gate_error *err)
{
    const struct gate_host *host = instance->host;
    struct gate_str reply = answer->body;
    struct qwen_text token;
    enum gate_status status = GATE_OK;
    char expiry[64];
    double seconds;

    *expires_at_ms = 0;
    qwen_text_init(&token);
    if (!is_good(answer) || !qwen_read_string(host, reply, "access_token", &token) ||
        !openai_token_ok(qwen_text_str(&token))) {
        status = gate_fail(err, GATE_EPARSE, "no usable access_token in the answer");
    } else {
        qwen_write_string(host, secret, "{", "access_token", qwen_text_str(&token));
        keep_member(host, reply, old, "token_type", "Bearer", secret);
        keep_member(host, reply, old, "refresh_token", NULL, secret);
        keep_member(host, reply, old, "resource_url", NULL, secret);
        if (qwen_read_number(host, reply, "expires_in", &seconds) && seconds > 0 &&
            seconds <= EXPIRES_MAX_S) {
            *expires_at_ms = host->now_ms() + (uint64_t)(seconds * 1000);
            snprintf(expiry, sizeof expiry, ",\"expiry_date\":%llu",
                     (unsigned long long)*expires_at_ms);
            gate_write(secret, gate_str_of(expiry));
        }
        gate_write(secret, GATE_STR("}"));
    }
    qwen_text_wipe(host, &token);
    return status;
}
