#include "failure.h"
#include "retry.h"

enum {
    BODY_KNOWN = 16 * 1024, /* a longer body is cut there by the gateway */
    KEY_SHORTEST = 8,       /* shorter words behind "sk-" or "Bearer " are no keys */
};

/* ---------------------------------------------------------------- reading */

/* A writer into one of the failure's texts; what does not fit is dropped. */
struct text {
    char *ptr;
    size_t cap; /* with the closing NUL */
    size_t len;
};

static void text_append(void *ctx, struct gate_str s)
{
    struct text *t = ctx;
    size_t room = t->cap - 1 - t->len;
    size_t n = s.len < room ? s.len : room;

    if (n > 0)
        memcpy(t->ptr + t->len, s.ptr, n);
    t->len += n;
}

/* Drops half a character at the end of a text that was cut. */
static void trim_character(struct text *t)
{
    size_t n = t->len, follow = 0;
    unsigned char c;

    while (n > 0 && follow < 3 && ((unsigned char)t->ptr[n - 1] & 0xc0) == 0x80) {
        n--;
        follow++;
    }
    if (n == 0)
        return;
    c = (unsigned char)t->ptr[n - 1];
    if ((c >= 0xf0 && follow < 3) || (c >= 0xe0 && c < 0xf0 && follow < 2) ||
        (c >= 0xc0 && c < 0xe0 && follow < 1))
        t->len = n - 1;
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '*' || c == '.';
}

/* Services quote the key that they refuse. */
static void mask_keys(char *text)
{
    static const struct gate_str marks[] = {{"sk-", 3}, {"Bearer ", 7}};

    for (char *p = text; *p != '\0'; p++) {
        for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
            char *key = p + marks[i].len;
            size_t n = 0;

            if ((p > text && is_key_char(p[-1])) || strncmp(p, marks[i].ptr, marks[i].len) != 0)
                continue;
            while (is_key_char(key[n]))
                n++;
            if (n >= KEY_SHORTEST)
                memset(key, '*', n);
        }
    }
}

static void finish_text(struct text *t)
{
    if (t->len == t->cap - 1)
        trim_character(t);
    for (size_t i = 0; i < t->len; i++)
        if ((unsigned char)t->ptr[i] < 0x20 || t->ptr[i] == 0x7f)
            t->ptr[i] = ' ';
    t->ptr[t->len] = '\0';
    mask_keys(t->ptr);
}

/* Copies a JSON string decoded, a number as it is; anything else is left out. True: not empty. */
static bool read_text(const struct gate_host *host, struct gate_str value, char *out, size_t cap)
{
    struct text t = {out, cap, 0};
    const struct gate_writer writer = {&t, text_append};

    if (value.len > 0 && value.ptr[0] == '"')
        host->json_decode(value, &writer);
    else if (value.len > 0 && value.ptr[0] >= '0' && value.ptr[0] <= '9')
        text_append(&t, value);
    finish_text(&t);
    return t.len > 0;
}

static bool read_member(const struct gate_host *host, struct gate_str object, const char *key,
                        char *out, size_t cap)
{
    struct gate_str value;

    return host->json_member(object, gate_str_of(key), &value) && read_text(host, value, out, cap);
}

static bool is_number(const char *s)
{
    return s[0] >= '0' && s[0] <= '9';
}

/* {"message", "type", "code"} in the OpenAI shape; {"code": 429, "status": "RESOURCE_EXHAUSTED"} as
 * Google has it; DashScope's bare {"code", "message"}. */
static void read_error_object(const struct gate_host *host, struct gate_str object,
                              struct openai_failure *out)
{
    char status[sizeof out->code];

    out->failed = true;
    read_member(host, object, "message", out->message, sizeof out->message);
    read_member(host, object, "type", out->type, sizeof out->type);
    read_member(host, object, "code", out->code, sizeof out->code);
    if (!is_number(out->code))
        return;
    /* A number is the HTTP status again: the only one that an error inside a stream has. */
    if (out->status == 200 && strlen(out->code) == 3 && out->code[0] >= '4' && out->code[0] <= '5')
        out->status = (out->code[0] - '0') * 100 + (out->code[1] - '0') * 10 + out->code[2] - '0';
    if (read_member(host, object, "status", status, sizeof status))
        memcpy(out->code, status, sizeof status);
}

/* DashScope ends a stream that failed with finish_reason "error_finish" and puts the reason where
 * the answer would be. */
static void read_choices(const struct gate_host *host, struct gate_str choices,
                         struct openai_failure *out)
{
    struct gate_str choice, delta, reason;
    size_t cursor = 0;

    out->answer = true;
    if (choices.len == 0 || choices.ptr[0] != '[')
        return;
    while (host->json_element(choices, &cursor, &choice)) {
        if (choice.len == 0 || choice.ptr[0] != '{' ||
            !host->json_member(choice, GATE_STR("finish_reason"), &reason) ||
            !gate_str_eq(reason, GATE_STR("\"error_finish\"")))
            continue;
        out->failed = true;
        memcpy(out->code, "error_finish", sizeof "error_finish");
        if (host->json_member(choice, GATE_STR("delta"), &delta) && delta.len > 0 &&
            delta.ptr[0] == '{')
            read_member(host, delta, "content", out->message, sizeof out->message);
        return;
    }
}

static void read_object(const struct gate_host *host, struct gate_str object,
                        struct openai_failure *out)
{
    struct gate_str value;

    if (host->json_member(object, GATE_STR("error"), &value) && value.len > 0) {
        if (value.ptr[0] == '{') {
            read_error_object(host, value, out);
            return;
        }
        if (value.ptr[0] == '"') {
            /* OAuth: {"error": code, "error_description": text}; others put the text into it. */
            out->failed = true;
            if (read_member(host, object, "error_description", out->message, sizeof out->message))
                read_text(host, value, out->code, sizeof out->code);
            else
                read_text(host, value, out->message, sizeof out->message);
            return;
        }
    }
    if (host->json_member(object, GATE_STR("choices"), &value)) {
        read_choices(host, value, out);
        return;
    }
    if (host->json_member(object, GATE_STR("message"), &value))
        read_error_object(host, object, out);
    else if (read_member(host, object, "detail", out->message, sizeof out->message))
        out->failed = true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A 5xx page that a proxy or server made says its own status in the title; a firewall's page shows
 * something for people instead. */
static bool is_server_page(struct gate_str page, int status)
{
    char digits[12];
    struct gate_str title;
    const char *start = openai_find(page, GATE_STR("<title")), *end;

    if (start == NULL || status < 500)
        return false;
    title = (struct gate_str){start, (size_t)(page.ptr + page.len - start)};
    end = openai_find(title, GATE_STR("</title"));
    if (end == NULL)
        return false;
    title.len = (size_t)(end - start);
    snprintf(digits, sizeof digits, "%d", status);
    return openai_find(title, gate_str_of(digits)) != NULL;
}

void openai_failure_read(const struct gate_host *host, const struct gate_answer *answer,
                         struct openai_failure *out)
{
    struct gate_str body = answer->body;
    struct gate_str type = openai_header(answer, GATE_STR("content-type"));

    memset(out, 0, sizeof *out);
    out->status = answer->in_stream ? 200 : answer->status;
    if (answer->status == 0 && !answer->in_stream) {
        struct text reason = {out->message, sizeof out->message, 0};

        text_append(&reason, answer->reason);
        finish_text(&reason);
        return;
    }
    if (gate_str_starts(body, GATE_STR("\xef\xbb\xbf")))
        body = (struct gate_str){body.ptr + 3, body.len - 3};
    while (body.len > 0 && is_space(*body.ptr))
        body = (struct gate_str){body.ptr + 1, body.len - 1};
    out->empty = body.len == 0;
    out->html = (body.len > 0 && *body.ptr == '<') ||
                (!answer->in_stream && openai_find(type, GATE_STR("text/html")) == type.ptr &&
                 type.len > 0 && (out->empty || *body.ptr != '{'));
    if (out->html) {
        out->server_page = is_server_page(body, out->status);
    } else if (body.len > 0 && *body.ptr == '{') {
        read_object(host, body, out);
        if (!out->failed && answer->body.len >= BODY_KNOWN)
            out->answer = true; /* the rest of it is not known */
    } else if (body.len > 0 && *body.ptr == '[') {
        struct gate_str first;
        size_t cursor = 0;

        if (host->json_element(body, &cursor, &first) && first.len > 0 && *first.ptr == '{')
            read_object(host, first, out);
    } else if (body.len > 0 && out->status >= 400) {
        struct text plain = {out->message, sizeof out->message, 0};

        text_append(&plain, body);
        finish_text(&plain);
    }
    /* Every good answer comes by here too: its text is not searched for times to wait. */
    if (out->status < 300 && !out->failed && !out->html && !out->empty)
        return;
    out->retry_after_ms = openai_retry_read(host, answer, gate_str_of(out->message));
    out->counters_ms = openai_counters_read(host, answer);
}

bool openai_failure_says(const struct openai_failure *f, const char *words)
{
    struct gate_str w = gate_str_of(words);

    return openai_find(gate_str_of(f->code), w) != NULL ||
           openai_find(gate_str_of(f->type), w) != NULL ||
           openai_find(gate_str_of(f->message), w) != NULL;
}

/* ---------------------------------------------------------------- judging */

struct rule {
    const char *text;
    enum gate_verdict_kind kind;
};

/* Codes that mean the same under whatever status they come. */
static const struct rule codes[] = {
    {"insufficient_quota", GATE_VERDICT_QUOTA_EXHAUSTED},
    {"billing_hard_limit_reached", GATE_VERDICT_QUOTA_EXHAUSTED},
    {"billing_not_active", GATE_VERDICT_QUOTA_EXHAUSTED},
    {"rate_limit_exceeded", GATE_VERDICT_RATE_LIMITED},
    {"invalid_api_key", GATE_VERDICT_AUTH},
    {"account_deactivated", GATE_VERDICT_AUTH},
    {"model_not_found", GATE_VERDICT_CLIENT_ERROR},
    {"context_length_exceeded", GATE_VERDICT_CLIENT_ERROR},
    {"content_policy_violation", GATE_VERDICT_CLIENT_ERROR},
    {"unsupported_country_region_territory", GATE_VERDICT_BLOCKED},
};

/* Words of an error inside a 200, where no status helps. The first that is found decides:
 * throttling comes before the types, because some services report it as an invalid request. */
static const struct rule words[] = {
    {"too many requests", GATE_VERDICT_RATE_LIMITED},
    {"rate limit", GATE_VERDICT_RATE_LIMITED},
    {"rate_limit", GATE_VERDICT_RATE_LIMITED},
    {"throttl", GATE_VERDICT_RATE_LIMITED},
    {"limit_requests", GATE_VERDICT_RATE_LIMITED},
    {"authentication_error", GATE_VERDICT_AUTH},
    {"overload", GATE_VERDICT_OVERLOADED},
    {"server_error", GATE_VERDICT_OVERLOADED},
    {"internal", GATE_VERDICT_OVERLOADED},
    {"invalid_request", GATE_VERDICT_CLIENT_ERROR},
    {"invalid_parameter", GATE_VERDICT_CLIENT_ERROR},
    {"invalidparameter", GATE_VERDICT_CLIENT_ERROR},
};

static bool judge_code(const struct openai_failure *f, enum gate_verdict_kind *kind)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(f->code, codes[i].text) == 0 || strcmp(f->type, codes[i].text) == 0) {
            *kind = codes[i].kind;
            return true;
        }
    }
    return false;
}

static enum gate_verdict_kind judge_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return GATE_VERDICT_AUTH;
    case 402:
        return GATE_VERDICT_QUOTA_EXHAUSTED;
    case 408:
    case 409:
    case 425:
        return GATE_VERDICT_OVERLOADED;
    case 429:
        return GATE_VERDICT_RATE_LIMITED;
    default:
        if (status >= 500)
            return GATE_VERDICT_OVERLOADED;
        return status >= 400 ? GATE_VERDICT_CLIENT_ERROR : GATE_VERDICT_GARBAGE;
    }
}

/* A 2xx, or an event of a stream. */
static enum gate_verdict_kind judge_good_status(const struct openai_failure *f)
{
    if (!f->failed) {
        if (f->answer)
            return GATE_VERDICT_OK;
        return f->empty ? GATE_VERDICT_TRUNCATED : GATE_VERDICT_GARBAGE;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (openai_failure_says(f, words[i].text))
            return words[i].kind;
    return GATE_VERDICT_OVERLOADED;
}

static enum gate_verdict_kind judge(const struct openai_failure *f)
{
    enum gate_verdict_kind kind;

    if (f->status == 0)
        return openai_failure_says(f, "timeout") || openai_failure_says(f, "timed out")
                   ? GATE_VERDICT_TIMEOUT
                   : GATE_VERDICT_NETWORK;
    if (f->html)
        return f->server_page ? GATE_VERDICT_OVERLOADED : GATE_VERDICT_BLOCKED;
    if (judge_code(f, &kind))
        return kind;
    if (f->status >= 200 && f->status < 300)
        return judge_good_status(f);
    return judge_status(f->status);
}

void openai_failure_verdict(const struct openai_failure *f, enum gate_verdict_kind kind,
                            struct gate_verdict *out)
{
    memset(out, 0, sizeof *out);
    out->kind = kind;
    if (kind == GATE_VERDICT_OK)
        return;
    if (kind == GATE_VERDICT_RATE_LIMITED || kind == GATE_VERDICT_QUOTA_EXHAUSTED ||
        kind == GATE_VERDICT_OVERLOADED)
        out->retry_after_ms = f->retry_after_ms;
    /* The counters are those of a minute or a day, not those of money or of a plan. */
    if (kind == GATE_VERDICT_RATE_LIMITED && out->retry_after_ms == 0)
        out->retry_after_ms = f->counters_ms;
    /* The verdict's texts are as long as the failure's; a failure without a code has a type. */
    snprintf(out->code, sizeof out->code, "%s", f->code[0] != '\0' ? f->code : f->type);
    if (f->message[0] != '\0')
        snprintf(out->message, sizeof out->message, "%s", f->message);
    else if (f->html)
        snprintf(out->message, sizeof out->message, "HTTP %d with a web page instead of an answer",
                 f->status);
    else if (f->status >= 200 && f->status < 300)
        snprintf(out->message, sizeof out->message,
                 "HTTP %d without an answer in it; does the base URL lead to a chat API?",
                 f->status);
    else
        snprintf(out->message, sizeof out->message, "HTTP %d", f->status);
}

void openai_failure_judge(const struct openai_failure *f, struct gate_verdict *out)
{
    openai_failure_verdict(f, judge(f), out);
}
