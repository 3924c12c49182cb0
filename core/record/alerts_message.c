/* alerts_message: notices in the words of the services, and their signatures. */
#include "base/json.h"
#include "record/alerts_internal.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <time.h>

enum { DIGEST = 32, BASE64 = (DIGEST + 2) / 3 * 4 + 1, MAX_STAMP = 40, MAX_SIGNED = 512 };

const char *const gate_alert_level_names[] = {"debug", "info", "warn", "error"};

/* ---- signatures: both services use HMAC-SHA-256 over the same line, but take it differently */

static void put_hmac(struct gate_str key, struct gate_str text, char out[BASE64])
{
    unsigned char digest[DIGEST];
    unsigned len = sizeof digest;
    if (HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)text.ptr, text.len, digest,
             &len) == NULL)
        abort(); /* out of memory */
    EVP_EncodeBlock((unsigned char *)out, digest, DIGEST);
}

/* "<time>\n<secret>" */
static void put_line(struct gate_buf *line, uint64_t time, struct gate_str secret)
{
    gate_buf_init(line, MAX_SIGNED + secret.len);
    gate_buf_printf(line, "%llu\n", (unsigned long long)time);
    gate_buf_append(line, secret);
}

void gate_message_sign_dingtalk(struct gate_str secret, uint64_t now_ms, struct gate_buf *out)
{
    struct gate_buf line;
    char sign[BASE64];
    put_line(&line, now_ms, secret);
    put_hmac(secret, gate_buf_str(&line), sign);
    gate_buf_wipe(&line);
    gate_buf_printf(out, "timestamp=%llu&sign=", (unsigned long long)now_ms);
    for (const char *p = sign; *p != '\0'; p++) {
        if (*p == '+' || *p == '/' || *p == '=')
            gate_buf_printf(out, "%%%02X", (unsigned)*p);
        else
            gate_buf_append_byte(out, *p);
    }
}

void gate_message_sign_feishu(struct gate_str secret, uint64_t now_s, struct gate_buf *out)
{
    struct gate_buf line;
    char sign[BASE64];
    put_line(&line, now_s, secret);
    put_hmac(gate_buf_str(&line), GATE_STR(""), sign);
    gate_buf_wipe(&line);
    gate_buf_append(out, gate_str_of(sign));
}

/* ---- bodies */

static void put_member(struct gate_buf *b, const char *before, struct gate_str text)
{
    gate_buf_append(b, gate_str_of(before));
    gate_json_put(b, text);
}

static const char *event_name(enum gate_notice_event event)
{
    return event == GATE_NOTICE_ALERT      ? "alert"
           : event == GATE_NOTICE_RECOVERY ? "recovery"
                                           : "test";
}

static void put_generic(struct gate_buf *b, const struct gate_notice *n)
{
    put_member(b, "{\"event\":", gate_str_of(event_name(n->event)));
    put_member(b, ",\"name\":", n->name);
    put_member(b, ",\"level\":", gate_str_of(gate_alert_level_names[n->level]));
    put_member(b, ",\"title\":", n->title);
    put_member(b, ",\"text\":", n->text);
    gate_buf_printf(b, ",\"since\":%llu,\"at\":%llu", (unsigned long long)n->since_ms,
                    (unsigned long long)n->at_ms);
    put_member(b, ",\"gateway\":", GATE_STR("llm-gate " GATE_VERSION));
    gate_buf_append(b, GATE_STR("}"));
}

static void put_heading(struct gate_buf *b, const struct gate_notice *n)
{
    static const char *const words[] = {
        [GATE_NOTICE_ALERT] = "Alert",
        [GATE_NOTICE_RECOVERY] = "Recovered",
        [GATE_NOTICE_TEST] = "Test",
    };
    gate_buf_printf(b, "[llm-gate] %s: ", words[n->event]);
    gate_buf_append(b, n->title);
}

/* "warn, 2026-01-02 03:04:05 UTC, quota:qwen/0:chat" */
static void put_facts(struct gate_buf *b, const struct gate_notice *n)
{
    char stamp[MAX_STAMP];
    time_t seconds = (time_t)(n->at_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL || strftime(stamp, sizeof stamp, "%F %T UTC", &utc) == 0)
        stamp[0] = '\0';
    gate_buf_printf(b, "%s, %s, ", gate_alert_level_names[n->level], stamp);
    gate_buf_append(b, n->name);
}

/* The notice as lines for people, parted by `gap`; mark stands before the last. */
static void put_lines(struct gate_buf *b, const struct gate_notice *n, const char *gap,
                      const char *mark)
{
    put_heading(b, n);
    if (n->text.len > 0) {
        gate_buf_append(b, gate_str_of(gap));
        gate_buf_append(b, n->text);
    }
    gate_buf_append(b, gate_str_of(gap));
    gate_buf_append(b, gate_str_of(mark));
    put_facts(b, n);
}

static void put_dingtalk(struct gate_buf *b, const struct gate_notice *n)
{
    struct gate_buf title, text;
    gate_buf_init(&title, GATE_WEBHOOK_MAX_BODY);
    gate_buf_init(&text, GATE_WEBHOOK_MAX_BODY);
    put_heading(&title, n);
    gate_buf_append(&text, GATE_STR("#### "));
    put_lines(&text, n, "\n\n", "> ");
    put_member(b, "{\"msgtype\":\"markdown\",\"markdown\":{\"title\":", gate_buf_str(&title));
    put_member(b, ",\"text\":", gate_buf_str(&text));
    gate_buf_append(b, GATE_STR("}}"));
    gate_buf_finish(&title);
    gate_buf_finish(&text);
}

static void put_feishu(struct gate_buf *b, const struct gate_notice *n, struct gate_str secret,
                       uint64_t now_ms)
{
    struct gate_buf text;
    gate_buf_init(&text, GATE_WEBHOOK_MAX_BODY);
    put_lines(&text, n, "\n", "");
    gate_buf_append(b, GATE_STR("{"));
    if (secret.len > 0) {
        gate_buf_printf(b, "\"timestamp\":\"%llu\",\"sign\":\"",
                        (unsigned long long)(now_ms / 1000));
        gate_message_sign_feishu(secret, now_ms / 1000, b);
        gate_buf_append(b, GATE_STR("\","));
    }
    put_member(b, "\"msg_type\":\"text\",\"content\":{\"text\":", gate_buf_str(&text));
    gate_buf_append(b, GATE_STR("}}"));
    gate_buf_finish(&text);
}

/* Slack takes these three for the beginning of links and entities. */
static void put_slack(struct gate_buf *b, const struct gate_notice *n)
{
    struct gate_buf text, safe;
    gate_buf_init(&text, GATE_WEBHOOK_MAX_BODY);
    gate_buf_init(&safe, GATE_WEBHOOK_MAX_BODY);
    put_lines(&text, n, "\n", "");
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '&' || c == '<' || c == '>')
            gate_buf_printf(&safe, "&%s;", c == '&' ? "amp" : c == '<' ? "lt" : "gt");
        else
            gate_buf_append_byte(&safe, c);
    }
    put_member(b, "{\"text\":", gate_buf_str(&safe));
    gate_buf_append(b, GATE_STR("}"));
    gate_buf_finish(&text);
    gate_buf_finish(&safe);
}

void gate_message_body(enum gate_webhook_type type, const struct gate_notice *notice,
                       struct gate_str secret, uint64_t now_ms, struct gate_buf *out)
{
    switch (type) {
    case GATE_WEBHOOK_GENERIC:
        put_generic(out, notice);
        break;
    case GATE_WEBHOOK_DINGTALK:
        put_dingtalk(out, notice);
        break;
    case GATE_WEBHOOK_FEISHU:
        put_feishu(out, notice, secret, now_ms);
        break;
    case GATE_WEBHOOK_SLACK:
        put_slack(out, notice);
        break;
    }
}

/* ---- answers */

/* The services that answer 200 to everything say in the body how it went: code_key is 0 or a number
 * that message_key explains. */
static bool says_zero(struct gate_str body, const char *code_key, const char *message_key,
                      const char *service, char why[GATE_WEBHOOK_MAX_WHY])
{
    struct gate_str code, message;
    char text[128] = "";
    size_t len;
    if (!gate_json_member(body, gate_str_of(code_key), &code)) {
        snprintf(why, GATE_WEBHOOK_MAX_WHY, "an answer that is not %s's", service);
        return false;
    }
    if (gate_str_eq(code, GATE_STR("0")))
        return true;
    if (gate_json_member(body, gate_str_of(message_key), &message) &&
        !gate_json_decode_to(message, text, sizeof text, &len))
        text[0] = '\0';
    snprintf(why, GATE_WEBHOOK_MAX_WHY, "%s says %.*s%s%s", service,
             (int)(code.len < 20 ? code.len : 20), code.ptr, text[0] != '\0' ? ": " : "", text);
    return false;
}

bool gate_message_taken(enum gate_webhook_type type, const struct gate_answer *answer,
                        char why[GATE_WEBHOOK_MAX_WHY])
{
    if (answer->status == 0) {
        snprintf(why, GATE_WEBHOOK_MAX_WHY, "%.*s", (int)answer->reason.len, answer->reason.ptr);
        return false;
    }
    if (answer->status < 200 || answer->status > 299) {
        snprintf(why, GATE_WEBHOOK_MAX_WHY, "HTTP status %d", answer->status);
        return false;
    }
    if (type == GATE_WEBHOOK_DINGTALK)
        return says_zero(answer->body, "errcode", "errmsg", "DingTalk", why);
    if (type == GATE_WEBHOOK_FEISHU)
        return says_zero(answer->body, "code", "msg", "Feishu", why);
    return true;
}
