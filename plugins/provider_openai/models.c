#include "models.h"

#include "failure.h"

enum { ID_MAX = 256 };

/* A decoded id. What is longer is no name of a model. */
struct id {
    size_t len;
    bool overflow;
    char bytes[ID_MAX];
};

static void id_append(void *ctx, struct gate_str s)
{
    struct id *id = ctx;

    if (id->overflow || s.len > sizeof id->bytes - id->len) {
        id->overflow = true;
        return;
    }
    if (s.len > 0)
        memcpy(id->bytes + id->len, s.ptr, s.len);
    id->len += s.len;
}

void openai_models_describe(const struct gate_endpoint *endpoint, const struct openai_block *block,
                            const struct gate_request_builder *out)
{
    out->endpoint(out->ctx, endpoint);
    out->path(out->ctx, GATE_STR("/models"));
    out->header_block(out->ctx, (struct gate_str){block->bytes, block->len});
}

static enum gate_status refuse(const struct gate_host *host, const struct gate_answer *answer,
                               struct gate_error *err)
{
    struct openai_failure failure;
    struct gate_verdict verdict;

    openai_failure_read(host, answer, &failure);
    openai_failure_judge(&failure, &verdict);
    switch (verdict.kind) {
    case GATE_VERDICT_AUTH:
        return gate_fail(err, GATE_EDENIED, "%s", verdict.message);
    case GATE_VERDICT_RATE_LIMITED:
    case GATE_VERDICT_QUOTA_EXHAUSTED:
    case GATE_VERDICT_OVERLOADED:
    case GATE_VERDICT_NETWORK:
    case GATE_VERDICT_TIMEOUT:
        return gate_fail(err, GATE_EIO, "%s", verdict.message);
    default:
        if (failure.failed || failure.html || failure.status < 200 || failure.status >= 300)
            return gate_fail(err, GATE_EPARSE, "%s", verdict.message);
        return gate_fail(err, GATE_EPARSE, "HTTP %d without a list of models in it",
                         failure.status);
    }
}

enum gate_status openai_models_parse(const struct gate_host *host, const struct gate_answer *answer,
                                     void (*cb)(void *ctx, struct gate_str model), void *ctx,
                                     struct gate_error *err)
{
    struct gate_str list = answer->body, entry, value;
    struct id id;
    const struct gate_writer writer = {&id, id_append};
    size_t cursor = 0;

    while (list.len > 0 && strchr(" \t\r\n", list.ptr[0]) != NULL && list.ptr[0] != '\0')
        list = (struct gate_str){list.ptr + 1, list.len - 1};
    if (list.len > 0 && list.ptr[0] == '{' && !host->json_member(list, GATE_STR("data"), &list))
        list.len = 0;
    if (answer->status < 200 || answer->status > 299 || list.len == 0 || list.ptr[0] != '[')
        return refuse(host, answer, err);
    while (host->json_element(list, &cursor, &entry)) {
        id.len = 0;
        id.overflow = false;
        if (entry.len > 0 && entry.ptr[0] == '{' &&
            host->json_member(entry, GATE_STR("id"), &value) && host->json_decode(value, &writer) &&
            !id.overflow && id.len > 0 && openai_value_ok((struct gate_str){id.bytes, id.len}))
            cb(ctx, (struct gate_str){id.bytes, id.len});
    }
    return GATE_OK;
}
