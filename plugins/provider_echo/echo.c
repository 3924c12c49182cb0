/*
 * provider_echo: answers with what the user said last, without a network. The first curl of a new
 * installation works because of it, and it is the template for authors of provider plugins: every
 * part that a plugin has is here, in its smallest useful form.
 *
 * A provider either describes an upstream request (build_request, see provider_openai) or answers
 * by itself (answer, as here). It never does I/O: the gateway owns the sockets.
 */
#include <gate/plugin.h>

#include <stdlib.h>

enum {
    ECHO_MAX_TEXT = 16 * 1024, /* bytes of an answer; the rest is cut, finish_reason "length" */
    ECHO_WORDS = 3,            /* words of one delta */
    ECHO_PIECE = 64,           /* bytes of one delta, for text without spaces */
    ECHO_BYTES_PER_TOKEN = 4,  /* there is no tokenizer here: counts are estimates */
};

/* Services of the gateway. The one mutable variable a plugin may have: set by init, read by all. */
static const struct gate_host *host;

/* ---------------------------------------------------------------- options and instances */

/* The gateway checks names and types against this table, applies defaults, and shows it in
 * `llm-gate plugins`. instance_create gets the values in the same order. */
enum { OPTION_MODEL };
static const struct gate_option options[] = {
    [OPTION_MODEL] = {"model", GATE_OPTION_STRING, "echo", "name of the model that answers", NULL},
};

/* One entry of conf/gateway.lua that uses this plugin. */
struct instance {
    struct gate_str model; /* the gateway's, valid as long as the instance */
};

static enum gate_status echo_init(const struct gate_host *services, struct gate_error *err)
{
    (void)err;
    host = services;
    return GATE_OK;
}

static enum gate_status instance_create(struct gate_str name, const struct gate_value *values,
                                        void **out, struct gate_error *err)
{
    struct instance *instance;

    (void)name;
    if (values[OPTION_MODEL].string.len == 0)
        return gate_fail(err, GATE_EINVAL, "model: must not be empty");
    instance = malloc(sizeof *instance);
    if (instance == NULL)
        abort(); /* out of memory aborts everywhere in the gateway */
    instance->model = values[OPTION_MODEL].string;
    *out = instance;
    return GATE_OK;
}

static void instance_destroy(void *instance)
{
    free(instance);
}

/* Called for every credential of the instance, and once with GATE_CREDENTIAL_NONE when it has none.
 * A provider with a network prepares its header lines here; echo has nothing to prepare. */
static enum gate_status account_attach(void *instance, const struct gate_credential *credential,
                                       void **out, struct gate_error *err)
{
    (void)instance;
    (void)credential;
    (void)err;
    *out = NULL;
    return GATE_OK;
}

static void account_detach(void *instance, void *account)
{
    (void)instance;
    (void)account;
}

/* GATE_CLAIM_NAME: requests for this model come here without any configuration. The gateway itself
 * understands "<instance>/<model>", so that need not be claimed. */
static enum gate_claim claims(void *instance, struct gate_str model)
{
    return gate_str_eq(model, ((struct instance *)instance)->model) ? GATE_CLAIM_NAME
                                                                    : GATE_CLAIM_NO;
}

static void each_model(void *instance, void (*cb)(void *ctx, struct gate_str model), void *ctx)
{
    cb(ctx, ((struct instance *)instance)->model);
}

/* ---------------------------------------------------------------- bytes of the answer */

/* A growing buffer behind a gate_writer, for pieces that must go to the sink whole. */
struct bytes {
    char *ptr;
    size_t len;
    size_t cap;
};

static void bytes_append(void *ctx, struct gate_str s)
{
    struct bytes *b = ctx;

    if (s.len > b->cap - b->len) {
        size_t cap = (b->len + s.len) * 2;
        char *grown = realloc(b->ptr, cap);

        if (grown == NULL)
            abort();
        b->ptr = grown;
        b->cap = cap;
    }
    if (s.len > 0)
        memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
}

/* ---------------------------------------------------------------- what the user said */

/* The text to answer with: at most `max` bytes of it are kept. */
struct text {
    char ptr[ECHO_MAX_TEXT];
    size_t len;
    size_t max;
    bool cut;
};

static void text_append(void *ctx, struct gate_str s)
{
    struct text *t = ctx;
    size_t n = s.len;

    if (t->cut)
        return;
    if (n > t->max - t->len) {
        n = t->max - t->len;
        t->cut = true;
        /* Not in the middle of a character: step back over its continuation bytes. */
        while (n > 0 && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
            n--;
    }
    if (n > 0)
        memcpy(t->ptr + t->len, s.ptr, n);
    t->len += n;
}

/* content is a string, or a list of parts of which those with a "text" are taken. */
static void read_content(struct gate_str content, struct text *text)
{
    const struct gate_writer out = {text, text_append};
    struct gate_str part, value;
    size_t cursor = 0;

    if (content.len > 0 && content.ptr[0] == '"') {
        host->json_decode(content, &out);
        return;
    }
    if (content.len == 0 || content.ptr[0] != '[')
        return;
    while (host->json_element(content, &cursor, &part)) {
        if (part.len > 0 && part.ptr[0] == '{' && host->json_member(part, GATE_STR("text"), &value))
            host->json_decode(value, &out);
    }
}

/* Finds the last message of the user. The request was scanned already: facts->messages is a JSON
 * array, and only what a plugin needs is looked at again. */
static bool find_user(const struct gate_call *call, struct gate_str *content)
{
    const struct gate_range *r = &call->facts->messages;
    const struct gate_str messages = {call->body.ptr + r->off, r->len};
    struct gate_str message, role;
    size_t cursor = 0;
    bool found = false;

    if (r->len == 0)
        return false;
    while (host->json_element(messages, &cursor, &message)) {
        if (message.len == 0 || message.ptr[0] != '{' ||
            !host->json_member(message, GATE_STR("role"), &role) ||
            !gate_str_eq(role, GATE_STR("\"user\"")))
            continue;
        if (!host->json_member(message, GATE_STR("content"), content))
            *content = GATE_STR("null");
        found = true;
    }
    return found;
}

/* ---------------------------------------------------------------- the two shapes of an answer */

/* Everything that the parts of one answer share. */
struct answer {
    const struct gate_call *call;
    const struct gate_answer_sink *sink;
    struct text text;
    struct bytes out; /* the event or body under construction */
    unsigned long long created;
    bool include_usage;
};

static void put(struct answer *a, struct gate_str s)
{
    bytes_append(&a->out, s);
}

static void put_json(struct answer *a, struct gate_str s)
{
    host->json_encode(s, &(struct gate_writer){&a->out, bytes_append});
}

static void put_number(struct answer *a, unsigned long long n)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%llu", n);

    put(a, (struct gate_str){digits, (size_t)len});
}

static void put_usage(struct answer *a)
{
    size_t prompt =
        (a->call->facts->messages.len + ECHO_BYTES_PER_TOKEN - 1) / ECHO_BYTES_PER_TOKEN;
    size_t completion = (a->text.len + ECHO_BYTES_PER_TOKEN - 1) / ECHO_BYTES_PER_TOKEN;

    put(a, GATE_STR("{\"prompt_tokens\":"));
    put_number(a, prompt);
    put(a, GATE_STR(",\"completion_tokens\":"));
    put_number(a, completion);
    put(a, GATE_STR(",\"total_tokens\":"));
    put_number(a, prompt + completion);
    put(a, GATE_STR("}"));
}

/* {"id":...,"object":...,"created":...,"model":... without the closing brace */
static void put_head(struct answer *a, struct gate_str object)
{
    struct bytes id = {NULL, 0, 0};

    bytes_append(&id, GATE_STR("chatcmpl-"));
    bytes_append(&id, a->call->request_id);
    put(a, GATE_STR("{\"id\":"));
    put_json(a, (struct gate_str){id.ptr, id.len});
    free(id.ptr);
    put(a, GATE_STR(",\"object\":"));
    put_json(a, object);
    put(a, GATE_STR(",\"created\":"));
    put_number(a, a->created);
    put(a, GATE_STR(",\"model\":"));
    put_json(a, a->call->model);
}

static void put_finish(struct answer *a)
{
    put(a, a->text.cut ? GATE_STR("\"length\"") : GATE_STR("\"stop\""));
}

/* Hands what was put since the last flush to the gateway, which copies it. */
static void flush(struct answer *a)
{
    a->sink->data(a->sink->ctx, (struct gate_str){a->out.ptr, a->out.len});
    a->out.len = 0;
}

static void answer_json(struct answer *a)
{
    a->sink->head(a->sink->ctx, 200, GATE_STR("application/json"));
    put_head(a, GATE_STR("chat.completion"));
    put(a, GATE_STR(",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
    put_json(a, (struct gate_str){a->text.ptr, a->text.len});
    put(a, GATE_STR("},\"logprobs\":null,\"finish_reason\":"));
    put_finish(a);
    put(a, GATE_STR("}],\"usage\":"));
    put_usage(a);
    put(a, GATE_STR("}"));
    flush(a);
}

/* One chunk: `delta` opens it, `text` (may be empty) is its content, then the finish reason. */
static void put_chunk(struct answer *a, struct gate_str delta, struct gate_str text, bool finish)
{
    put(a, GATE_STR("data: "));
    put_head(a, GATE_STR("chat.completion.chunk"));
    put(a, GATE_STR(",\"choices\":[{\"index\":0,\"delta\":{"));
    put(a, delta);
    if (!finish)
        put_json(a, text);
    put(a, GATE_STR("},\"logprobs\":null,\"finish_reason\":"));
    if (finish)
        put_finish(a);
    else
        put(a, GATE_STR("null"));
    put(a, GATE_STR("}]"));
    if (a->include_usage)
        put(a, GATE_STR(",\"usage\":null"));
    put(a, GATE_STR("}\n\n"));
    flush(a); /* whole events only */
}

/* Length of the next delta: a few words with the space behind them, never half a character. */
static size_t next_piece(const char *p, size_t len)
{
    size_t n = 0, words = 0;

    while (n < len && words < ECHO_WORDS && n < ECHO_PIECE) {
        bool space = p[n] == ' ' || p[n] == '\n';

        n++;
        if (space && (n == len || (p[n] != ' ' && p[n] != '\n')))
            words++;
    }
    while (n < len && ((unsigned char)p[n] & 0xc0) == 0x80)
        n++;
    return n;
}

static void answer_stream(struct answer *a)
{
    size_t sent = 0;

    a->sink->head(a->sink->ctx, 200, GATE_STR("text/event-stream"));
    put_chunk(a, GATE_STR("\"role\":\"assistant\",\"content\":"), GATE_STR(""), false);
    while (sent < a->text.len) {
        size_t n = next_piece(a->text.ptr + sent, a->text.len - sent);

        put_chunk(a, GATE_STR("\"content\":"), (struct gate_str){a->text.ptr + sent, n}, false);
        sent += n;
    }
    put_chunk(a, GATE_STR(""), GATE_STR(""), true);
    if (a->include_usage) {
        put(a, GATE_STR("data: "));
        put_head(a, GATE_STR("chat.completion.chunk"));
        put(a, GATE_STR(",\"choices\":[],\"usage\":"));
        put_usage(a);
        put(a, GATE_STR("}\n\n"));
        flush(a);
    }
    put(a, GATE_STR("data: [DONE]\n\n"));
    flush(a);
}

/* Worker thread: no blocking, and nothing of the call may be kept after the return. */
static enum gate_status answer(void *instance, const struct gate_call *call,
                               const struct gate_answer_sink *sink, struct gate_error *err)
{
    const struct gate_request_facts *facts = call->facts;
    struct answer a = {.call = call, .sink = sink, .created = host->now_ms() / 1000};
    struct gate_str content, value;

    (void)instance;
    if (!find_user(call, &content))
        return gate_fail(err, GATE_EINVAL, "there is no message of role \"user\" to answer");
    a.text.max = ECHO_MAX_TEXT;
    if (facts->max_tokens > 0 && facts->max_tokens < ECHO_MAX_TEXT / ECHO_BYTES_PER_TOKEN)
        a.text.max = (size_t)facts->max_tokens * ECHO_BYTES_PER_TOKEN;
    read_content(content, &a.text);

    if (facts->stream) {
        const struct gate_range *r = &facts->stream_options;
        const struct gate_str stream_options = {call->body.ptr + r->off, r->len};

        a.include_usage = r->len > 0 &&
                          host->json_member(stream_options, GATE_STR("include_usage"), &value) &&
                          gate_str_eq(value, GATE_STR("true"));
        answer_stream(&a);
    } else {
        answer_json(&a);
    }
    sink->end(sink->ctx);
    free(a.out.ptr);
    return GATE_OK;
}

/* ---------------------------------------------------------------- the tables */

/* What is not set is NULL, which means what gate/plugin.h says: no upstream request, no login, no
 * search. */
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

/* The one symbol that the gateway looks for. */
GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_PROVIDER),
    .name = "echo",
    .version = GATE_VERSION,
    .summary = "answers with the user's last message; needs no network and no key",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .ops = &ops,
    .init = echo_init,
};
