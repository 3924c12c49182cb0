#include "login.h"

#include "oauth.h"

#include <openssl/sha.h>

enum {
    CHALLENGE_LEN = 43,      /* base64url of a SHA-256 digest, unpadded */
    DEFAULT_INTERVAL_S = 5,  /* RFC 8628: when the reply names none */
    DEFAULT_EXPIRES_S = 600, /* likewise; the RFC demands it in the reply */
    MAX_SECONDS = 24 * 60 * 60,
    MAX_INTERVAL_MS = 10 * 1000, /* slow_down does not push it beyond */
};

/* ---------------------------------------------------------------- begin */

/* base64url(SHA-256(verifier)) without padding. */
static void make_challenge(struct gate_str verifier, char out[CHALLENGE_LEN])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char digest[SHA256_DIGEST_LENGTH + 1] = {0};
    uint32_t group = 0;

    SHA256((const unsigned char *)verifier.ptr, verifier.len, digest);
    for (size_t i = 0; i < CHALLENGE_LEN; i++) {
        const unsigned char *p = digest + i / 4 * 3;

        if (i % 4 == 0)
            group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        out[i] = digits[group >> (18 - i % 4 * 6) & 63];
    }
}

enum gate_status qwen_login_begin_request(void *arg, struct gate_str verifier,
                                          const struct gate_request_builder *out,
                                          struct gate_error *err)
{
    const struct qwen_instance *instance = arg;
    char challenge[CHALLENGE_LEN];
    struct qwen_text form;

    (void)err;
    make_challenge(verifier, challenge);
    qwen_text_init(&form);
    qwen_text_form(&form, "client_id", qwen_oauth_client_id(instance));
    qwen_text_form(&form, "scope", GATE_STR("openid profile email model.completion"));
    qwen_text_form(&form, "code_challenge", (struct gate_str){challenge, sizeof challenge});
    qwen_text_form(&form, "code_challenge_method", GATE_STR("S256"));
    qwen_oauth_post(instance, GATE_STR("/api/v1/oauth2/device/code"), &form, out);
    return GATE_OK;
}

/* Codes and addresses are shown on terminals and in pages: nothing there may be an escape sequence
 * or an address of another kind than a web page's. */
static bool is_address(struct gate_str s)
{
    return openai_token_ok(s) &&
           (gate_str_starts(s, GATE_STR("https://")) || gate_str_starts(s, GATE_STR("http://")));
}

static bool read_address(const struct gate_host *host, struct gate_str reply, const char *key,
                         struct qwen_text *out)
{
    return qwen_read_string(host, reply, key, out) && is_address(qwen_text_str(out));
}

static void write_seconds(const struct gate_host *host, struct gate_str reply, const char *key,
                          int fallback, const struct gate_writer *flow)
{
    char text[64];
    double seconds;

    if (!qwen_read_number(host, reply, key, &seconds) || seconds <= 0)
        seconds = fallback;
    if (seconds > MAX_SECONDS)
        seconds = MAX_SECONDS;
    snprintf(text, sizeof text, ",\"%s\":%.10g", key, seconds);
    gate_write(flow, gate_str_of(text));
}

/* False: a member is missing or not fit to be used, and nothing was written. */
static bool write_flow(const struct gate_host *host, struct gate_str reply,
                       const struct gate_writer *flow)
{
    struct qwen_text device, user, address, complete;
    bool has_complete = read_address(host, reply, "verification_uri_complete", &complete);
    bool has_address = read_address(host, reply, "verification_uri", &address);
    bool good = (has_address || has_complete) &&
                qwen_read_string(host, reply, "user_code", &user) &&
                openai_value_ok(qwen_text_str(&user));

    if (!good || !qwen_read_string(host, reply, "device_code", &device))
        return false;
    qwen_write_string(host, flow, "{", "device_code", qwen_text_str(&device));
    qwen_write_string(host, flow, ",", "user_code", qwen_text_str(&user));
    qwen_write_string(host, flow, ",", "verification_uri",
                      qwen_text_str(has_address ? &address : &complete));
    if (has_complete)
        qwen_write_string(host, flow, ",", "verification_uri_complete", qwen_text_str(&complete));
    write_seconds(host, reply, "expires_in", DEFAULT_EXPIRES_S, flow);
    write_seconds(host, reply, "interval", DEFAULT_INTERVAL_S, flow);
    gate_write(flow, GATE_STR("}"));
    qwen_text_wipe(host, &device);
    return true;
}

enum gate_status qwen_login_begin_parse(void *arg, const struct gate_answer *answer,
                                        const struct gate_writer *flow, struct gate_error *err)
{
    const struct qwen_instance *instance = arg;
    struct qwen_refusal refusal;
    enum gate_status status;

    if (answer->status >= 200 && answer->status < 300 &&
        write_flow(instance->host, answer->body, flow))
        return GATE_OK;
    qwen_refusal_read(instance->host, answer, &refusal);
    status = qwen_refusal_unclear(&refusal, err);
    if (status == GATE_EPARSE && !refusal.failure.html)
        return gate_fail(err, GATE_EPARSE,
                         "the login service answered HTTP %d without device_code, user_code and "
                         "verification_uri",
                         answer->status);
    if (status == GATE_OK)
        return gate_fail(err, GATE_EINVAL, "the login service refused: %s", refusal.text);
    return status;
}

/* ---------------------------------------------------------------- poll */

enum gate_status qwen_login_poll_request(void *arg, struct gate_str flow, struct gate_str verifier,
                                         const struct gate_request_builder *out,
                                         struct gate_error *err)
{
    const struct qwen_instance *instance = arg;
    const struct gate_host *host = instance->host;
    struct qwen_text device, form;
    enum gate_status status = GATE_OK;

    qwen_text_init(&form);
    qwen_text_form(&form, "grant_type", GATE_STR("urn:ietf:params:oauth:grant-type:device_code"));
    qwen_text_form(&form, "client_id", qwen_oauth_client_id(instance));
    if (qwen_read_string(host, flow, "device_code", &device))
        qwen_text_form(&form, "device_code", qwen_text_str(&device));
    else
        status = gate_fail(err, GATE_EINVAL, "the login's state has no device_code");
    qwen_text_form(&form, "code_verifier", verifier);
    if (form.overflow)
        status = gate_fail(err, GATE_ELIMIT, "the login's device_code is too long");
    if (status == GATE_OK)
        qwen_oauth_post(instance, GATE_STR("/api/v1/oauth2/token"), &form, out);
    qwen_text_wipe(host, &device);
    qwen_text_wipe(host, &form);
    return status;
}

static void slow_down(uint64_t *interval_ms)
{
    uint64_t slower = *interval_ms + *interval_ms / 2;

    if (slower > MAX_INTERVAL_MS)
        slower = MAX_INTERVAL_MS;
    if (slower > *interval_ms)
        *interval_ms = slower;
}

enum gate_status qwen_login_poll_parse(void *arg, const struct gate_answer *answer,
                                       uint64_t *interval_ms, const struct gate_writer *secret,
                                       struct gate_error *err)
{
    const struct qwen_instance *instance = arg;
    struct qwen_refusal refusal;
    uint64_t expires;
    enum gate_status status;

    if (qwen_token_write(instance, answer, GATE_STR(""), secret, &expires, err) == GATE_OK)
        return GATE_OK;
    qwen_refusal_read(instance->host, answer, &refusal);
    if (answer->status == 429 || strcmp(refusal.code, "slow_down") == 0) {
        slow_down(interval_ms);
        return gate_fail(err, GATE_ELIMIT, "the login service asks to poll more slowly");
    }
    if (strcmp(refusal.code, "authorization_pending") == 0)
        return gate_fail(err, GATE_ELIMIT, "the login waits to be approved");
    if (strcmp(refusal.code, "expired_token") == 0)
        return gate_fail(err, GATE_ETIMEOUT, "the code expired before the login was approved");
    if (strcmp(refusal.code, "access_denied") == 0)
        return gate_fail(err, GATE_EDENIED, "the login was refused in the browser");
    if (answer->status == 401 && !refusal.failure.html)
        return gate_fail(err, GATE_EINVAL,
                         "the code is not valid, or expired before the login was approved%s%s",
                         refusal.text[0] != '\0' ? ": " : "", refusal.text);
    status = qwen_refusal_unclear(&refusal, err);
    return status != GATE_OK
               ? status
               : gate_fail(err, GATE_EINVAL, "the login service refused: %s", refusal.text);
}
