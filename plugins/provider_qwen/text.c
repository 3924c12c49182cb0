#include "text.h"

#include <math.h>
#include <stdlib.h>

void qwen_text_init(struct qwen_text *t)
{
    t->len = 0;
    t->overflow = false;
}

void qwen_text_append(struct qwen_text *t, struct gate_str s)
{
    size_t room = sizeof t->bytes - t->len;
    size_t n = s.len < room ? s.len : room;

    t->overflow = t->overflow || n < s.len;
    if (n > 0)
        memcpy(t->bytes + t->len, s.ptr, n);
    t->len += n;
}

static void on_append(void *ctx, struct gate_str s)
{
    qwen_text_append(ctx, s);
}

struct gate_writer qwen_text_writer(struct qwen_text *t)
{
    return (struct gate_writer){t, on_append};
}

struct gate_str qwen_text_str(const struct qwen_text *t)
{
    return (struct gate_str){t->bytes, t->len};
}

void qwen_text_wipe(const struct gate_host *host, struct qwen_text *t)
{
    host->wipe(t->bytes, t->len);
    qwen_text_init(t);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void qwen_text_form(struct qwen_text *t, const char *name, struct gate_str value)
{
    static const char digits[] = "0123456789ABCDEF";

    if (t->len > 0)
        qwen_text_append(t, GATE_STR("&"));
    qwen_text_append(t, gate_str_of(name));
    qwen_text_append(t, GATE_STR("="));
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        const char escape[] = {'%', digits[c >> 4], digits[c & 15]};

        if (is_unreserved(value.ptr[i]))
            qwen_text_append(t, (struct gate_str){value.ptr + i, 1});
        else
            qwen_text_append(t, (struct gate_str){escape, sizeof escape});
    }
}

bool qwen_read_string(const struct gate_host *host, struct gate_str json, const char *key,
                      struct qwen_text *out)
{
    const struct gate_writer writer = qwen_text_writer(out);
    struct gate_str value;

    qwen_text_init(out);
    return host->json_member(json, gate_str_of(key), &value) && host->json_decode(value, &writer) &&
           !out->overflow && out->len > 0;
}

bool qwen_read_number(const struct gate_host *host, struct gate_str json, const char *key,
                      double *out)
{
    char digits[QWEN_NUMBER_MAX], *end;
    struct gate_str value;

    if (!host->json_member(json, gate_str_of(key), &value))
        return false;
    if (value.len >= 2 && value.ptr[0] == '"')
        value = (struct gate_str){value.ptr + 1, value.len - 2};
    if (value.len == 0 || value.len >= sizeof digits)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (strchr("0123456789+-.eE", value.ptr[i]) == NULL || value.ptr[i] == '\0')
            return false; /* strtod also knows hexadecimal digits, "inf" and "nan" */
    memcpy(digits, value.ptr, value.len);
    digits[value.len] = '\0';
    *out = strtod(digits, &end);
    return *end == '\0' && isfinite(*out);
}

void qwen_write_string(const struct gate_host *host, const struct gate_writer *out,
                       const char *separator, const char *key, struct gate_str value)
{
    gate_write(out, gate_str_of(separator));
    gate_write(out, GATE_STR("\""));
    gate_write(out, gate_str_of(key));
    gate_write(out, GATE_STR("\":"));
    host->json_encode(value, out);
}
