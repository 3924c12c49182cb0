/* A provider with one model, "minimal", that always gives the same answer. */
#include <gate/plugin.h>

#define TEXT "Hello from a plugin."
#define USAGE "\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":5,\"total_tokens\":5}"

static const struct gate_host *host;

static enum gate_status minimal_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

static enum gate_status instance_create(struct gate_str name, const struct gate_value *values,
                                        void **out, struct gate_error *err)
{
    (void)name;
    (void)values;
    (void)err;
    *out = NULL; /* nothing to remember between requests */
    return GATE_OK;
}

static void instance_destroy(void *instance)
{
    (void)instance;
}

static enum gate_status account_attach(void *instance, const struct gate_credential *credential,
                                       void **out, struct gate_error *err)
{
    (void)instance;
    (void)credential;
    (void)err;
    *out = NULL; /* no key, no header lines */
    return GATE_OK;
}

static void account_detach(void *instance, void *account)
{
    (void)instance;
    (void)account;
}

static enum gate_claim claims(void *instance, struct gate_str model)
{
    (void)instance;
    return gate_str_eq(model, GATE_STR("minimal")) ? GATE_CLAIM_NAME : GATE_CLAIM_NO;
}

static void each_model(void *instance, void (*cb)(void *ctx, struct gate_str model), void *ctx)
{
    (void)instance;
    cb(ctx, GATE_STR("minimal"));
}

/* One piece of the answer: {"id", "object", "created", "model", then what `rest` says. */
static void put(const struct gate_answer_sink *sink, const char *before, const char *object,
                const char *rest)
{
    char piece[512];
    int len = snprintf(piece, sizeof piece,
                       "%s{\"id\":\"chatcmpl-minimal\",\"object\":\"%s\",\"created\":%llu,"
                       "\"model\":\"minimal\",%s}%s",
                       before, object, (unsigned long long)(host->now_ms() / 1000), rest,
                       *before != '\0' ? "\n\n" : "");

    sink->data(sink->ctx, (struct gate_str){piece, (size_t)len});
}

static enum gate_status answer(void *instance, const struct gate_call *call,
                               const struct gate_answer_sink *sink, struct gate_error *err)
{
    (void)instance;
    (void)err;
    if (call->facts->stream) {
        sink->head(sink->ctx, 200, GATE_STR("text/event-stream"));
        put(sink, "data: ", "chat.completion.chunk",
            "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"" TEXT
            "\"},\"finish_reason\":null}]");
        put(sink, "data: ", "chat.completion.chunk",
            "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]");
        sink->data(sink->ctx, GATE_STR("data: [DONE]\n\n"));
    } else {
        sink->head(sink->ctx, 200, GATE_STR("application/json"));
        put(sink, "", "chat.completion",
            "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" TEXT
            "\"},\"finish_reason\":\"stop\"}]," USAGE);
    }
    sink->end(sink->ctx);
    return GATE_OK;
}

static const struct gate_provider_ops ops = {
    .size = sizeof ops,
    .dialect = "openai_chat",
    .instance_create = instance_create,
    .instance_destroy = instance_destroy,
    .account_attach = account_attach,
    .account_detach = account_detach,
    .claims = claims,
    .each_model = each_model,
    .answer = answer,
};

GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_PROVIDER),          .name = "minimal", .version = "1.0",
    .summary = "gives the same answer to everybody", .ops = &ops,       .init = minimal_init,
};
