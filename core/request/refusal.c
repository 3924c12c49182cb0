#include "request/refusal.h"

enum { LISTED_MODELS = 20 };

static struct gate_api_error make(int status, const char *type, const char *code,
                                  const char *message)
{
    return (struct gate_api_error){
        .status = status,
        .type = gate_str_of(type),
        .code = gate_str_of(code),
        .message = gate_str_of(message),
    };
}

void gate_refusal_scan(const struct gate_json_error *why, char *message, size_t cap,
                       struct gate_api_error *error)
{
    snprintf(message, cap, "The request body is not valid: %s (at byte %zu).", why->reason,
             why->offset);
    *error = make(400, "invalid_request_error", why->code, message);
    if (why->param != NULL)
        error->param = gate_str_of(why->param);
}

void gate_refusal_model_name(size_t max, char *message, size_t cap, struct gate_api_error *error)
{
    snprintf(message, cap, "\"model\" must be a name of 1 to %zu bytes without NUL.", max);
    *error = make(400, "invalid_request_error", "invalid_model", message);
    error->param = GATE_STR("model");
}

void gate_refusal_model_bytes(struct gate_api_error *error)
{
    *error = make(400, "invalid_request_error", "invalid_value",
                  "The model's name has control characters. GET /v1/models lists the models.");
    error->param = GATE_STR("model");
}

struct listing {
    struct gate_buf names;
    size_t count;
};

static void list_model(void *ctx, struct gate_str model, const struct gate_instance *owner)
{
    struct listing *l = ctx;
    (void)owner;
    if (l->count++ < LISTED_MODELS)
        gate_buf_printf(&l->names, "%s%.*s", l->count > 1 ? ", " : "", (int)model.len, model.ptr);
}

void gate_refusal_unknown_model(const struct gate_pool *pool, const struct gate_script_pin *scripts,
                                struct gate_str model, struct gate_str asked, char *message,
                                size_t cap, struct gate_api_error *error)
{
    struct listing l = {.count = 0};
    gate_buf_init(&l.names, 640);
    gate_pool_each_model(pool, scripts->script, scripts->generation, list_model, &l);
    bool same = gate_str_eq(model, asked);
    int shown = asked.len > 100 ? 100 : (int)asked.len,
        model_shown = model.len > 100 ? 100 : (int)model.len;
    snprintf(
        message, cap,
        "The model \"%.*s\"%s%.*s%s does not exist here. Models: %.*s%s. GET /v1/models lists all.",
        model_shown, model.ptr, same ? "" : " (routed to \"", same ? 0 : shown, asked.ptr,
        same ? "" : "\")", (int)l.names.len, l.names.ptr ? l.names.ptr : "",
        l.count > LISTED_MODELS ? ", ..." : "");
    gate_buf_finish(&l.names);
    *error = make(404, "invalid_request_error", "model_not_found", message);
    error->param = GATE_STR("model");
}

void gate_refusal_script(struct gate_api_error *error)
{
    *error = make(
        500, "server_error", "script_error",
        "The routing script failed. The gateway's log names the file, the line and the reason.");
}

void gate_refusal_rejected(int status, struct gate_str code, struct gate_str message,
                           struct gate_api_error *error)
{
    *error = (struct gate_api_error){
        .status = status,
        .type = status == 401   ? GATE_STR("authentication_error")
                : status == 403 ? GATE_STR("permission_error")
                : status == 429 ? GATE_STR("rate_limit_error")
                : status >= 500 ? GATE_STR("server_error")
                                : GATE_STR("invalid_request_error"),
        .code = code,
        .message = message,
    };
}

void gate_refusal_no_search(struct gate_api_error *error)
{
    *error = make(404, "invalid_request_error", "no_search",
                  "No provider with accounts here can search the web. A Qwen login can: add one.");
}

void gate_refusal_no_key(struct gate_api_error *error)
{
    *error =
        make(401, "authentication_error", "missing_api_key",
             "No API key was given. Send the gateway's key as \"Authorization: Bearer <key>\".");
}

void gate_refusal_wrong_key(struct gate_api_error *error)
{
    *error =
        make(401, "authentication_error", "invalid_api_key",
             "The API key is not this gateway's key. Send it as \"Authorization: Bearer <key>\".");
}

void gate_refusal_not_found(struct gate_api_error *error)
{
    *error = make(
        404, "invalid_request_error", "not_found",
        "There is nothing at this address. The API lives under /v1: POST /v1/chat/completions, GET "
        "/v1/models.");
}

void gate_refusal_method(struct gate_str allow, char *message, size_t cap,
                         struct gate_api_error *error)
{
    snprintf(message, cap, "This address does not take that method. Allowed: %.*s.", (int)allow.len,
             allow.ptr);
    *error = make(405, "invalid_request_error", "method_not_allowed", message);
}

void gate_refusal_framing(const char *what, struct gate_api_error *error)
{
    *error = make(400, "invalid_request_error", "invalid_framing", what);
}

void gate_refusal_http(int status, size_t max_body, char *message, size_t cap,
                       struct gate_api_error *error)
{
    if (status == 413) {
        snprintf(message, cap,
                 "The request body is larger than %zu bytes, the limit of this gateway (max_body).",
                 max_body);
        *error = make(413, "invalid_request_error", "request_too_large", message);
    } else if (status == 417) {
        *error = make(417, "invalid_request_error", "expectation_failed",
                      "The only expectation that is met is 100-continue.");
    } else {
        *error = make(status, "invalid_request_error", "invalid_http",
                      "The request's framing is broken: check "
                      "Content-Length and Transfer-Encoding.");
    }
}

void gate_refusal_busy(struct gate_api_error *error)
{
    *error = make(503, "server_error", "shutting_down",
                  "The gateway is shutting down. Try again in a moment.");
}
