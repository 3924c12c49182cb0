#include "request/failure.h"
#include "base/json.h"
#include "pool/instances.h"

void gate_failure_init(struct gate_failure *f)
{
    memset(f, 0, sizeof *f);
    gate_buf_init(&f->body, GATE_FAILURE_BODY);
}

void gate_failure_finish(struct gate_failure *f)
{
    gate_buf_finish(&f->body);
}

static enum gate_verdict_kind verdict_of_status(int status)
{
    if (status == 401 || status == 403)
        return GATE_VERDICT_AUTH;
    if (status == 429)
        return GATE_VERDICT_RATE_LIMITED;
    if (status >= 300 && status < 400)
        return GATE_VERDICT_GARBAGE;
    if (status >= 400 && status < 500 && status != 408 && status != 409)
        return GATE_VERDICT_CLIENT_ERROR;
    return status >= 200 && status < 300 ? GATE_VERDICT_OK : GATE_VERDICT_OVERLOADED;
}

void gate_failure_classify(const struct gate_instance *instance, const struct gate_answer *answer,
                           struct gate_verdict *out)
{
    memset(out, 0, sizeof *out);
    out->kind = verdict_of_status(answer->status);
    if (instance->ops->classify != NULL && answer->status >= 200) {
        enum gate_verdict_kind by_status = out->kind;
        instance->ops->classify(instance->state, answer, out);
        /* A provider may know better what a failure means, but a redirect is never an answer. */
        if (by_status == GATE_VERDICT_GARBAGE)
            out->kind = GATE_VERDICT_GARBAGE;
    }
}

int gate_failure_status(const struct gate_failure *f)
{
    switch (f->verdict.kind) {
    case GATE_VERDICT_TIMEOUT:
        return 504;
    case GATE_VERDICT_RATE_LIMITED:
    case GATE_VERDICT_QUOTA_EXHAUSTED:
        return 429;
    case GATE_VERDICT_CLIENT_ERROR:
        if (f->upstream_status == 0)
            return 400; /* the provider itself refused */
        /* fallthrough */
    case GATE_VERDICT_AUTH:
        return f->upstream_status >= 400 && f->upstream_status < 500 ? f->upstream_status : 502;
    case GATE_VERDICT_OVERLOADED:
        return f->upstream_status == 503 || f->upstream_status == 504 || f->upstream_status == 500
                   ? f->upstream_status
                   : 502;
    default:
        return 502;
    }
}

bool gate_failure_is_api_error(struct gate_str body)
{
    struct gate_str error, message;
    size_t i = 0;
    while (i < body.len && (body.ptr[i] == ' ' || body.ptr[i] == '\n' || body.ptr[i] == '\r' ||
                            body.ptr[i] == '\t'))
        i++;
    body = (struct gate_str){body.ptr + i, body.len - i};
    return body.len > 0 && body.ptr[0] == '{' &&
           gate_json_member(body, GATE_STR("error"), &error) && error.len > 0 &&
           error.ptr[0] == '{' && gate_json_member(error, GATE_STR("message"), &message) &&
           message.len > 0 && message.ptr[0] == '"';
}

static struct gate_str error_type(const struct gate_failure *f)
{
    switch (f->verdict.kind) {
    case GATE_VERDICT_AUTH:
        return GATE_STR("authentication_error");
    case GATE_VERDICT_RATE_LIMITED:
        return GATE_STR("rate_limit_error");
    case GATE_VERDICT_QUOTA_EXHAUSTED:
        return GATE_STR("insufficient_quota");
    case GATE_VERDICT_CLIENT_ERROR:
        return GATE_STR("invalid_request_error");
    case GATE_VERDICT_TIMEOUT:
        return GATE_STR("timeout_error");
    default:
        return GATE_STR("upstream_error");
    }
}

static struct gate_api_error to_api_error(const struct gate_failure *f, const char *instance,
                                          char *message, size_t cap)
{
    const char *what = f->verdict.message[0] != '\0' ? f->verdict.message : f->reason;
    snprintf(message, cap, "%s: %s", instance, what);
    const char *code = f->code[0] != '\0' ? f->code : f->verdict.code;
    return (struct gate_api_error){
        .status = gate_failure_status(f),
        .type = error_type(f),
        .code = gate_str_of(code),
        .message = gate_str_of(message),
    };
}

void gate_failure_render(const struct gate_failure *f, const struct gate_dialect_ops *dialect,
                         const char *instance, struct gate_buf *out)
{
    if (f->body.len > 0) {
        gate_buf_append(out, gate_buf_str(&f->body));
        return;
    }
    char message[512];
    struct gate_api_error error = to_api_error(f, instance, message, sizeof message);
    struct gate_writer w = gate_buf_writer(out);
    dialect->render_error(&error, &w);
}

void gate_failure_render_event(const struct gate_failure *f, const struct gate_dialect_ops *dialect,
                               const char *instance, struct gate_buf *out)
{
    char message[512];
    struct gate_api_error error = to_api_error(f, instance, message, sizeof message);
    struct gate_writer w = gate_buf_writer(out);
    dialect->render_error_event(&error, &w);
}
