#include "fake_host.h"

#include "base/json.h"
#include "plugin/registry.h"

#include <check.h>
#include <stdlib.h>

enum { MAX_WIPED = 1 << 20, MAX_PAIRS = 16, MAX_ENTRIES = 32, MAX_HEADERS = 64 * 1024 };

struct fake_endpoint {
    enum gate_endpoint_origin origin;
    char url[1024];
};

static size_t live_endpoints;
static struct gate_buf wiped; /* everything that was wiped, before it was */

/* ---------------------------------------------------------------- services */

static void host_log(enum gate_log_level level, const char *plugin, const char *message)
{
    (void)level;
    (void)plugin;
    (void)message;
}

static uint64_t host_now_ms(void)
{
    return (uint64_t)FAKE_NOW_S * 1000;
}

static enum gate_status host_endpoint_create(struct gate_str base_url,
                                             enum gate_endpoint_origin origin,
                                             const struct gate_endpoint **out,
                                             struct gate_error *err)
{
    struct fake_endpoint *e;

    if (!gate_str_starts(base_url, GATE_STR("https://")) &&
        !gate_str_starts(base_url, GATE_STR("http://")))
        return gate_fail(err, GATE_EINVAL, "not a URL");
    if (origin == GATE_ENDPOINT_FOREIGN && !gate_str_starts(base_url, GATE_STR("https://")))
        return gate_fail(err, GATE_EDENIED, "foreign addresses must be https");
    e = gate_calloc(1, sizeof *e);
    ck_assert_uint_lt(base_url.len, sizeof e->url);
    memcpy(e->url, base_url.ptr, base_url.len);
    e->origin = origin;
    live_endpoints++;
    *out = (const struct gate_endpoint *)e;
    return GATE_OK;
}

static void host_endpoint_release(const struct gate_endpoint *endpoint)
{
    ck_assert_ptr_nonnull(endpoint);
    ck_assert_uint_gt(live_endpoints, 0);
    live_endpoints--;
    free((void *)endpoint);
}

static void host_wipe(void *bytes, size_t len)
{
    gate_buf_append(&wiped, (struct gate_str){bytes, len});
    gate_wipe(bytes, len);
}

static const struct gate_host services = {
    .size = sizeof services,
    .log = host_log,
    .now_ms = host_now_ms,
    .endpoint_create = host_endpoint_create,
    .endpoint_release = host_endpoint_release,
    .json_member = gate_json_member,
    .json_element = gate_json_element,
    .json_decode = gate_json_decode,
    .json_encode = gate_json_encode,
    .wipe = host_wipe,
};

const struct gate_host *fake_host(void)
{
    gate_buf_finish(&wiped);
    gate_buf_init(&wiped, MAX_WIPED);
    live_endpoints = 0;
    return &services;
}

size_t fake_host_live_endpoints(void)
{
    return live_endpoints;
}

size_t fake_host_wiped(const char *secret)
{
    const char *p = wiped.ptr, *end;
    size_t count = 0;

    if (wiped.len == 0)
        return 0;
    end = wiped.ptr + wiped.len;

    for (; p < end && (p = memmem(p, (size_t)(end - p), secret, strlen(secret))) != NULL; p++)
        count++;
    return count;
}

void fake_host_forget_wiped(void)
{
    wiped.len = 0;
}

const char *fake_endpoint_url(const struct gate_endpoint *endpoint)
{
    ck_assert_ptr_nonnull(endpoint);
    return ((const struct fake_endpoint *)endpoint)->url;
}

enum gate_endpoint_origin fake_endpoint_origin(const struct gate_endpoint *endpoint)
{
    ck_assert_ptr_nonnull(endpoint);
    return ((const struct fake_endpoint *)endpoint)->origin;
}

/* ---------------------------------------------------------------- the request builder */

static void on_endpoint(void *ctx, const struct gate_endpoint *endpoint)
{
    ((struct fake_request *)ctx)->endpoint = endpoint;
}

static void on_path(void *ctx, struct gate_str path)
{
    gate_buf_append(&((struct fake_request *)ctx)->path, path);
}

static void on_header(void *ctx, struct gate_str name, struct gate_str value)
{
    gate_buf_printf(&((struct fake_request *)ctx)->headers, "%.*s: %.*s\r\n", (int)name.len,
                    name.ptr, (int)value.len, value.ptr);
}

static void on_header_block(void *ctx, struct gate_str lines)
{
    struct fake_request *r = ctx;

    ck_assert_msg(r->lines.len == 0, "header_block is called once");
    r->lines = lines;
}

static void on_replace(void *ctx, size_t off, size_t len, struct gate_str text)
{
    struct fake_request *r = ctx;
    struct fake_edit *e = &r->edits[r->edit_count];

    ck_assert_uint_lt(r->edit_count, FAKE_MAX_EDITS);
    e->off = off;
    e->len = len;
    gate_buf_init(&e->text, FAKE_MAX_BODY);
    gate_buf_append(&e->text, text);
    r->edit_count++;
}

void fake_request_init(struct fake_request *r)
{
    memset(r, 0, sizeof *r);
    gate_buf_init(&r->headers, MAX_HEADERS);
    gate_buf_init(&r->path, MAX_HEADERS);
    r->builder = (struct gate_request_builder){
        .size = sizeof r->builder,
        .ctx = r,
        .endpoint = on_endpoint,
        .path = on_path,
        .header = on_header,
        .header_block = on_header_block,
        .replace = on_replace,
    };
}

void fake_request_finish(struct fake_request *r)
{
    gate_buf_finish(&r->headers);
    gate_buf_finish(&r->path);
    for (size_t i = 0; i < r->edit_count; i++)
        gate_buf_finish(&r->edits[i].text);
}

void fake_request_apply(const struct fake_request *r, struct gate_str body, struct gate_buf *out)
{
    bool done[FAKE_MAX_EDITS] = {false};
    size_t at = 0;

    for (size_t n = 0; n < r->edit_count; n++) {
        size_t next = FAKE_MAX_EDITS;

        for (size_t i = 0; i < r->edit_count; i++)
            if (!done[i] && (next == FAKE_MAX_EDITS || r->edits[i].off < r->edits[next].off))
                next = i;
        ck_assert_uint_ge(r->edits[next].off, at);
        ck_assert_uint_le(r->edits[next].off + r->edits[next].len, body.len);
        gate_buf_append(out, (struct gate_str){body.ptr + at, r->edits[next].off - at});
        gate_buf_append(out, gate_buf_str(&r->edits[next].text));
        at = r->edits[next].off + r->edits[next].len;
        done[next] = true;
    }
    gate_buf_append(out, (struct gate_str){body.ptr + at, body.len - at});
}

static bool has_line(struct gate_str lines, const char *line)
{
    const char *p = lines.ptr, *end = lines.ptr + lines.len, *cr;
    size_t len = strlen(line);

    for (; p < end && (cr = memmem(p, (size_t)(end - p), "\r\n", 2)) != NULL; p = cr + 2)
        if ((size_t)(cr - p) == len && memcmp(p, line, len) == 0)
            return true;
    return false;
}

bool fake_request_has_line(const struct fake_request *r, const char *line)
{
    return r->lines.len > 0 && has_line(r->lines, line);
}

bool fake_request_has_header(const struct fake_request *r, const char *line)
{
    return r->headers.len > 0 && has_line(gate_buf_str(&r->headers), line);
}

const char *fake_request_body(struct fake_request *r)
{
    struct gate_buf *text = &r->edits[0].text;

    if (r->edit_count == 0)
        return NULL;
    ck_assert_uint_eq(r->edit_count, 1);
    ck_assert_uint_eq(r->edits[0].off, 0);
    ck_assert_uint_eq(r->edits[0].len, 0);
    gate_buf_append_byte(text, '\0');
    text->len--;
    return text->ptr;
}

struct gate_answer fake_answer(int status, const char *body)
{
    return (struct gate_answer){
        .size = sizeof(struct gate_answer), .status = status, .body = gate_str_of(body)};
}

/* ---------------------------------------------------------------- calls and instances */

void fake_call_init(struct gate_call *call, struct gate_request_facts *facts, struct gate_str body,
                    const char *model, void *account)
{
    struct gate_json_error why = {0};

    ck_assert_msg(gate_json_scan(body, GATE_STR("messages"), facts, &why) == GATE_OK,
                  "the test's body does not scan: %s", why.reason);
    *call = (struct gate_call){
        .size = sizeof *call,
        .request_id = GATE_STR("test-1"),
        .model = gate_str_of(model),
        .body = body,
        .path = GATE_STR("/chat/completions"),
        .facts = facts,
        .account = account,
    };
}

static enum gate_option_type type_of(const struct gate_plugin *plugin, const char *name)
{
    for (size_t i = 0; i < plugin->option_count; i++)
        if (strcmp(plugin->options[i].name, name) == 0)
            return plugin->options[i].type;
    ck_abort_msg("the plugin has no option %s", name);
    return GATE_OPTION_STRING;
}

static size_t split(char *text, char **list)
{
    size_t count = 0;
    char *rest = text, *entry;

    while ((entry = strsep(&rest, ",")) != NULL) {
        ck_assert_uint_lt(count, MAX_ENTRIES);
        list[count++] = entry;
    }
    return count;
}

enum gate_status fake_instance_create(const struct gate_plugin *plugin, const char *const *pairs,
                                      struct gate_value **values, void **instance,
                                      struct gate_error *err)
{
    const struct gate_provider_ops *ops = plugin->ops;
    struct gate_config_option configured[MAX_PAIRS] = {{0}};
    char *lists[MAX_PAIRS][MAX_ENTRIES], *copies[MAX_PAIRS];
    size_t count = 0;
    enum gate_status status;

    for (; pairs != NULL && *pairs != NULL; pairs += 2, count++) {
        struct gate_config_option *o = &configured[count];

        ck_assert_uint_lt(count, MAX_PAIRS);
        copies[count] = gate_strdup(gate_str_of(pairs[1]));
        o->name = (char *)pairs[0];
        o->type = type_of(plugin, pairs[0]);
        o->string = copies[count];
        o->boolean = strcmp(pairs[1], "true") == 0;
        if (o->type == GATE_OPTION_LIST) {
            o->list_len = split(copies[count], lists[count]);
            o->list = lists[count];
        }
    }
    status = gate_values_make(plugin, configured, count, values, err);
    if (status == GATE_OK) {
        status = ops->instance_create(GATE_STR("test"), *values, instance, err);
        if (status != GATE_OK)
            gate_values_free(plugin, *values);
    }
    while (count > 0)
        free(copies[--count]);
    return status;
}

void fake_instance_destroy(const struct gate_plugin *plugin, struct gate_value *values,
                           void *instance)
{
    ((const struct gate_provider_ops *)plugin->ops)->instance_destroy(instance);
    gate_values_free(plugin, values);
}

/* ---------------------------------------------------------------- files */

bool fake_file_read(const char *path, struct gate_buf *out)
{
    FILE *f = fopen(path, "rb");
    char chunk[16384];
    size_t n;

    if (f == NULL)
        return false;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        gate_buf_append(out, (struct gate_str){chunk, n});
    fclose(f);
    return true;
}

const char *fake_recordings(void)
{
    const char *dir = getenv("LLM_GATE_RECORDINGS");

    return dir != NULL && *dir != '\0' ? dir : GATE_SOURCE_DIR "/../shared";
}
