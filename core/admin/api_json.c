#include "admin/admin_internal.h"
#include "base/json.h"

/* A member or element begins: a comma where one stands before it. */
static void begin(struct gate_buf *out, const char *name)
{
    char last = out->len > 0 ? out->ptr[out->len - 1] : '{';
    if (last != '{' && last != '[')
        gate_buf_append_byte(out, ',');
    if (name == NULL)
        return;
    gate_json_put(out, gate_str_of(name));
    gate_buf_append_byte(out, ':');
}

void json_open(struct gate_buf *out, const char *name, char bracket)
{
    begin(out, name);
    gate_buf_append_byte(out, bracket);
}

void json_close(struct gate_buf *out, char bracket)
{
    gate_buf_append_byte(out, bracket);
}

void json_str(struct gate_buf *out, const char *name, struct gate_str value)
{
    begin(out, name);
    gate_json_put(out, value);
}

void json_text(struct gate_buf *out, const char *name, const char *value)
{
    json_str(out, name, gate_str_of(value));
}

void json_text_or_null(struct gate_buf *out, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        json_null(out, name);
    else
        json_text(out, name, value);
}

void json_num(struct gate_buf *out, const char *name, uint64_t value)
{
    begin(out, name);
    gate_buf_printf(out, "%llu", (unsigned long long)value);
}

void json_num_or_null(struct gate_buf *out, const char *name, uint64_t value)
{
    if (value == 0)
        json_null(out, name);
    else
        json_num(out, name, value);
}

void json_bool(struct gate_buf *out, const char *name, bool value)
{
    begin(out, name);
    gate_buf_append(out, value ? GATE_STR("true") : GATE_STR("false"));
}

void json_null(struct gate_buf *out, const char *name)
{
    begin(out, name);
    gate_buf_append(out, GATE_STR("null"));
}

void json_raw(struct gate_buf *out, const char *name, struct gate_str json)
{
    begin(out, name);
    gate_buf_append(out, json);
}

void json_error(struct gate_buf *out, int status, const char *code, const char *param,
                const char *message)
{
    json_open(out, "error", '{');
    json_text(out, "message", message);
    json_text(out, "type", status >= 500 ? "server_error" : "invalid_request_error");
    json_text_or_null(out, "param", param);
    json_text(out, "code", code);
    json_close(out, '}');
}
