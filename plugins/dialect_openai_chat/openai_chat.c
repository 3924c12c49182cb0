/*
 * dialect_openai_chat: the shape of POST /v1/chat/completions. It is the canonical form of the
 * gateway, so it translates nothing: it tells what stream events carry and what an answer cost,
 * renders errors, and appends to the system text.
 */
#include "inspect.h"
#include "system.h"
#include "usage.h"

static const struct gate_host *host; /* set once by init, before anything else is called */

static enum gate_status dialect_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

static void write_text(const struct gate_writer *out, struct gate_str text)
{
    if (text.len == 0)
        gate_write(out, GATE_STR("null"));
    else
        host->json_encode(text, out);
}

static void render_error(const struct gate_api_error *error, const struct gate_writer *out)
{
    /* The message is never null: SDKs show it as it is. */
    gate_write(out, GATE_STR("{\"error\":{\"message\":"));
    host->json_encode(error->message, out);
    gate_write(out, GATE_STR(",\"type\":"));
    write_text(out, error->type);
    gate_write(out, GATE_STR(",\"param\":"));
    write_text(out, error->param);
    gate_write(out, GATE_STR(",\"code\":"));
    write_text(out, error->code);
    gate_write(out, GATE_STR("}}"));
}

static void render_error_event(const struct gate_api_error *error, const struct gate_writer *out)
{
    gate_write(out, GATE_STR("data: "));
    render_error(error, out);
    gate_write(out, GATE_STR("\n\n"));
}

static enum gate_status append_system(struct gate_str body, const struct gate_request_facts *facts,
                                      struct gate_str text, const struct gate_request_builder *out,
                                      struct gate_error *err)
{
    (void)err;
    openai_chat_append_system(host, body, facts, text, out);
    return GATE_OK;
}

static const char *const limit_keys[] = {"max_tokens", "max_completion_tokens", NULL};

static const struct gate_dialect_ops ops = {
    .size = sizeof ops,
    .client_path = "/v1/chat/completions",
    .upstream_path = "/chat/completions",
    .messages_key = "messages",
    .inspect_event = openai_chat_inspect,
    .render_error = render_error,
    .render_error_event = render_error_event,
    .ask_usage = openai_chat_ask_usage,
    .read_usage = openai_chat_read_usage,
    .text_bytes = openai_chat_text_bytes,
    .limit_keys = limit_keys,
    .append_system = append_system,
    .read_event = openai_chat_read_event,
};

GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_DIALECT),
    .name = "openai_chat",
    .version = GATE_VERSION,
    .summary = "OpenAI chat completions, JSON and server-sent events",
    .ops = &ops,
    .init = dialect_init,
};
