/* harness: see harness.h. */
#include "harness.h"
#include "../dialect_openai_chat/inspect.h"
#include "base/json.h"
#include <assert.h>
#include <check.h>
#include <cjson/cJSON.h>

enum { MAX_EVENT = 1 << 20, MAX_OUT = 64 << 20, MAX_TOOLS = 8, MAX_CHOICES = 8 };

static const struct gate_host services = {
    .size = sizeof(struct gate_host),
    .json_member = gate_json_member,
    .json_element = gate_json_element,
    .json_decode = gate_json_decode,
    .json_encode = gate_json_encode,
    .wipe = gate_wipe,
};

static const struct gate_filter_ops *filter(void)
{
    return gate_plugin.ops;
}

enum gate_status harness_create(struct harness_options options, void **instance)
{
    struct gate_value values[4] = {
        {.present = true, .string = gate_str_of(options.mode)},
        {.present = true, .number = options.hold_ms},
        {.present = true, .number = options.hold_events},
        {.present = true, .number = options.hold_bytes},
    };
    struct gate_error err = {.message = ""};

    if (gate_plugin.init(&services, &err) != GATE_OK)
        abort();
    enum gate_status status = filter()->instance_create(values, instance, &err);
    assert((status == GATE_OK) == (err.message[0] == '\0'));
    return status;
}

static void open_side(struct harness *h, struct harness_side *side)
{
    *side = (struct harness_side){.state = filter()->open(h->instance, GATE_STR("openai_chat"))};
    gate_buf_init(&side->sent, MAX_OUT);
}

void harness_open(struct harness *h, struct harness_options options)
{
    *h = (struct harness){.instance = NULL};
    if (harness_create(options, &h->instance) != GATE_OK)
        abort();
    open_side(h, &h->side);
    open_side(h, &h->twin);
    gate_sse_init(&h->sse, MAX_EVENT);
    gate_buf_init(&h->out, MAX_OUT);
}

static void on_emit(void *ctx, struct gate_str events)
{
    struct harness_side *side = ctx;
    side->emitted++;
    assert(events.len > 0);
    gate_buf_append(&side->sent, events);
}

static void on_set_timer(void *ctx, uint32_t ms)
{
    struct harness_side *side = ctx;
    side->timer_ms = ms;
    side->timer_sets++;
}

static struct gate_emitter emitter(struct harness_side *side)
{
    side->sent.len = 0;
    return (struct gate_emitter){sizeof(struct gate_emitter), side, on_emit, on_set_timer};
}

/* Both have done the same; what was sent goes out. */
static void settle(struct harness *h)
{
    assert(gate_str_eq(gate_buf_str(&h->side.sent), gate_buf_str(&h->twin.sent)));
    assert(h->side.timer_ms == h->twin.timer_ms && h->side.timer_sets == h->twin.timer_sets);
    gate_buf_append(&h->out, gate_buf_str(&h->side.sent));
}

static enum gate_filter_result filter_event(struct harness_side *side,
                                            const struct gate_event *event)
{
    struct gate_emitter out = emitter(side);
    return filter()->on_event(side->state, event, &out);
}

static void on_event(void *ctx, const struct gate_event *event)
{
    struct harness *h = ctx;
    struct gate_event noted = *event;
    size_t text_bytes;

    h->events++;
    if (h->side.state == NULL) {
        gate_buf_append(&h->out, event->raw);
        return;
    }
    if (event->has_data)
        noted.flags = openai_chat_read_event(event, &text_bytes);
    h->plain += (noted.flags & (GATE_EVENT_TEXT_ONLY | GATE_EVENT_REASONING_ONLY)) != 0;
    enum gate_filter_result result = filter_event(&h->side, &noted);
    enum gate_filter_result of_twin = filter_event(&h->twin, event);
    assert(of_twin == result);
    settle(h);
    if (result == GATE_FILTER_PASS)
        gate_buf_append(&h->out, event->raw);
}

void harness_feed(struct harness *h, struct gate_str bytes)
{
    char *copy = gate_alloc(bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    gate_sse_feed(&h->sse, (struct gate_str){copy, bytes.len}, on_event, h);
    free(copy);
}

static void fire_side(struct harness_side *side)
{
    struct gate_emitter out = emitter(side);
    side->timer_ms = 0;
    filter()->on_timer(side->state, &out);
}

void harness_fire(struct harness *h)
{
    assert(h->side.timer_ms > 0);
    fire_side(&h->side);
    fire_side(&h->twin);
    settle(h);
}

static void end_side(struct harness_side *side)
{
    struct gate_emitter out = emitter(side);
    filter()->on_end(side->state, GATE_END_COMPLETE, &out);
}

void harness_end(struct harness *h)
{
    if (h->side.state != NULL) {
        end_side(&h->side);
        end_side(&h->twin);
        settle(h);
    }
    gate_buf_append(&h->out, gate_sse_rest(&h->sse));
}

static void close_side(struct harness_side *side)
{
    if (side->state != NULL)
        filter()->close(side->state);
    gate_buf_finish(&side->sent);
}

void harness_close(struct harness *h)
{
    close_side(&h->side);
    close_side(&h->twin);
    filter()->instance_destroy(h->instance);
    gate_sse_finish(&h->sse);
    gate_buf_finish(&h->out);
}

size_t harness_run(struct harness_options options, struct gate_str input, unsigned cut,
                   struct gate_buf *out)
{
    uint64_t seed = cut;
    struct harness h;

    harness_open(&h, options);
    for (size_t at = 0; at < input.len;) {
        size_t n = cut == 0 ? input.len : cut == 1 ? 1 : 1 + recording_random(&seed, 300);
        if (n > input.len - at)
            n = input.len - at;
        harness_feed(&h, (struct gate_str){input.ptr + at, n});
        at += n;
    }
    harness_end(&h);
    assert(h.side.timer_ms == 0);
    *out = h.out;
    gate_buf_init(&h.out, 0);
    harness_close(&h);
    return h.plain;
}

void harness_feed_delta(struct harness *h, unsigned choice, const char *channel, const char *text,
                        const char *finish)
{
    struct gate_buf b;

    gate_buf_init(&b, MAX_EVENT);
    gate_buf_printf(&b, "data: {\"choices\":[{\"index\":%u,\"delta\":{", choice);
    if (text != NULL) {
        gate_buf_printf(&b, "\"%s\":", channel);
        gate_json_put(&b, gate_str_of(text));
    }
    gate_buf_printf(&b, "}%s%s%s}]}\n\n", finish != NULL ? ",\"finish_reason\":\"" : "",
                    finish != NULL ? finish : "", finish != NULL ? "\"" : "");
    harness_feed(h, gate_buf_str(&b));
    gate_buf_finish(&b);
}

void harness_feed_text(struct harness *h, const char *text)
{
    harness_feed_delta(h, 0, "content", text, NULL);
}

void harness_feed_call(struct harness *h, const char *id, const char *name, const char *arguments)
{
    struct gate_buf b;

    gate_buf_init(&b, MAX_EVENT);
    gate_buf_printf(&b,
                    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
                    "\"id\":\"%s\",\"function\":{\"name\":\"%s\",\"arguments\":",
                    id, name);
    gate_json_put(&b, gate_str_of(arguments));
    gate_buf_append(&b, GATE_STR("}}]}}]}\n\n"));
    harness_feed(h, gate_buf_str(&b));
    gate_buf_finish(&b);
}

void harness_expect_digest(struct harness *h, const char *want)
{
    char *got = harness_digest(gate_buf_str(&h->out));
    ck_assert_str_eq(got, want);
    free(got);
}

/* ---------------------------------------------------------------- digest */

struct call {
    struct gate_buf id, name, arguments;
};

struct choice {
    struct gate_buf content, reasoning, finish;
    struct call calls[MAX_TOOLS];
};

struct digest {
    struct choice choices[MAX_CHOICES];
    size_t usages;
};

static struct gate_str text_of(const cJSON *object, const char *name)
{
    return gate_str_of(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name)));
}

static void add(struct gate_buf *b, struct gate_str text)
{
    if (b->max == 0)
        gate_buf_init(b, MAX_OUT);
    gate_buf_append(b, text);
}

static size_t index_of(const cJSON *object, size_t limit)
{
    const cJSON *index = cJSON_GetObjectItemCaseSensitive(object, "index");
    assert(cJSON_IsNumber(index) && index->valuedouble < (double)limit);
    return (size_t)index->valuedouble;
}

static void add_call(struct choice *c, const cJSON *element, const cJSON *function)
{
    struct call *call = &c->calls[index_of(element, MAX_TOOLS)];
    struct gate_str id = text_of(element, "id");

    if (id.len > 0) {
        call->id.len = 0;
        add(&call->id, id);
    }
    add(&call->name, text_of(function, "name"));
    add(&call->arguments, text_of(function, "arguments"));
}

static void add_finish(struct choice *c, struct gate_str reason)
{
    if (reason.len > 0 && c->finish.len > 0)
        add(&c->finish, GATE_STR(","));
    add(&c->finish, reason);
}

static void digest_event(void *ctx, const struct gate_event *event)
{
    struct digest *d = ctx;
    cJSON *root = cJSON_ParseWithLength(event->data.ptr, event->data.len);
    const cJSON *choice, *call;

    d->usages += cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "usage"));
    cJSON_ArrayForEach(choice, cJSON_GetObjectItemCaseSensitive(root, "choices"))
    {
        struct choice *c = &d->choices[index_of(choice, MAX_CHOICES)];
        const cJSON *delta = cJSON_GetObjectItemCaseSensitive(choice, "delta");
        add(&c->content, text_of(delta, "content"));
        add(&c->reasoning, text_of(delta, "reasoning_content"));
        add_finish(c, text_of(choice, "finish_reason"));
        cJSON_ArrayForEach(call, cJSON_GetObjectItemCaseSensitive(delta, "tool_calls"))
        {
            add_call(c, call, cJSON_GetObjectItemCaseSensitive(call, "function"));
        }
    }
    cJSON_Delete(root);
}

static void print_text(struct gate_buf *out, unsigned choice, const char *name, struct gate_buf *b)
{
    if (b->len > 0) {
        gate_buf_printf(out, "%u.%s=", choice, name);
        gate_json_put(out, gate_buf_str(b));
        gate_buf_append_byte(out, '\n');
    }
    gate_buf_finish(b);
}

static char *print_digest(struct digest *d)
{
    struct gate_buf out;

    gate_buf_init(&out, MAX_OUT);
    for (unsigned i = 0; i < MAX_CHOICES; i++) {
        struct choice *c = &d->choices[i];
        print_text(&out, i, "content", &c->content);
        print_text(&out, i, "reasoning", &c->reasoning);
        for (unsigned j = 0; j < MAX_TOOLS; j++) {
            struct call *call = &c->calls[j];
            if (call->name.len > 0 || call->id.len > 0 || call->arguments.len > 0)
                gate_buf_printf(&out, "%u.tool.%u=%.*s|%.*s|%.*s\n", i, j, (int)call->id.len,
                                call->id.ptr, (int)call->name.len, call->name.ptr,
                                (int)call->arguments.len, call->arguments.ptr);
            gate_buf_finish(&call->id);
            gate_buf_finish(&call->name);
            gate_buf_finish(&call->arguments);
        }
        print_text(&out, i, "finish", &c->finish);
    }
    gate_buf_printf(&out, "usages=%zu\n", d->usages);
    char *text = gate_strdup(gate_buf_str(&out));
    gate_buf_finish(&out);
    return text;
}

char *harness_digest(struct gate_str stream)
{
    struct digest d = {.usages = 0};
    struct gate_sse sse;

    gate_sse_init(&sse, MAX_EVENT);
    gate_sse_feed(&sse, stream, digest_event, &d);
    gate_sse_finish(&sse);
    return print_digest(&d);
}

char *harness_expected(const char *sse_path)
{
    char path[RECORDING_MAX_PATH];
    struct digest d = {.usages = 0};
    struct gate_buf file;
    const cJSON *choice, *item;

    snprintf(path, sizeof path, "%.*s.expected.json", (int)(strlen(sse_path) - 4), sse_path);
    recording_read(path, &file);
    cJSON *root = cJSON_ParseWithLength(file.ptr, file.len);
    assert(root != NULL);
    d.usages = (size_t)cJSON_GetObjectItemCaseSensitive(root, "usages")->valuedouble;
    cJSON_ArrayForEach(choice, cJSON_GetObjectItemCaseSensitive(root, "choices"))
    {
        struct choice *c = &d.choices[index_of(choice, MAX_CHOICES)];
        add(&c->content, text_of(choice, "content"));
        add(&c->reasoning, text_of(choice, "reasoning_content"));
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(choice, "tool_calls"))
        {
            add_call(c, item, item);
        }
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(choice, "finish_reasons"))
        {
            add_finish(c, gate_str_of(cJSON_GetStringValue(item)));
        }
    }
    cJSON_Delete(root);
    gate_buf_finish(&file);
    return print_digest(&d);
}
