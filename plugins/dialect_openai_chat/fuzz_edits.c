/* Fuzzes what a target changes of a request: the first line of the input says which edits, the rest
 * is the body. Whatever body scans is edited, or refused with a reason; what is sent scans again,
 * is JSON where the body was, and its bounds hold. */
#include "base/json.h"
#include "request/edits.h"
#include <assert.h>
#include <cjson/cJSON.h>
#include <stdlib.h>

extern const struct gate_plugin gate_plugin;

enum { MAX_INPUT = 1 << 18, MAX_SENT = 1 << 22 };

static const struct gate_host services = {
    .size = sizeof(struct gate_host),
    .json_decode = gate_json_decode,
    .json_encode = gate_json_encode,
};

/* Each byte of the line is one edit. */
static void edits_of(const uint8_t *line, size_t len, struct gate_edits *e)
{
    static const char *const names[] = {"a",     "user",     "max_tokens", "max_completion_tokens",
                                        "tools", "\xc3\xa4", "top_p",      "q\""};
    static const char *const jsons[] = {"", "1", "null", "[{\"a\":900}]", "500", "\"v\"", "", "-1"};
    memset(e, 0, sizeof *e);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = line[i];
        if (c >= 192)
            e->max_tokens = (uint64_t)1 << (c - 192);
        else if (c >= 128)
            e->system = (struct gate_str){(const char *)line, len};
        else if (e->field_count < GATE_SCRIPT_MAX_EDITS)
            e->fields[e->field_count++] =
                (struct gate_field_edit){gate_str_of(names[c % 8]), gate_str_of(jsons[c / 8 % 8])};
        /* What is no list there would not scan again. */
        if (c < 128 && strcmp(names[c % 8], "tools") == 0)
            e->fields[e->field_count - 1].json =
                c % 16 < 8 ? GATE_STR("[{\"a\":1}]") : GATE_STR("");
    }
}

/* Is it JSON to a reader that takes what is named twice and any depth that the scan takes? */
static bool is_json(struct gate_str text)
{
    cJSON *tree = cJSON_ParseWithLengthOpts(text.ptr, text.len, NULL, false);
    cJSON_Delete(tree);
    return tree != NULL;
}

static void check_sent(const struct gate_edits *e, struct gate_str body, struct gate_str sent)
{
    struct gate_request_facts facts;
    struct gate_json_error why;
    assert(gate_json_scan(sent, GATE_STR("messages"), &facts, &why) == GATE_OK);
    assert(e->max_tokens == 0 || facts.max_tokens <= e->max_tokens);
    /* What is appended adds some nesting, of which a tree holds less than a scan. */
    if (facts.depth < 900 && is_json(body))
        assert(is_json(sent));
}

/* GATE_OK: *sent is what goes upstream. The order of the two dialect calls is the input's. */
static enum gate_status apply(const struct gate_edits *e, struct gate_str body,
                              const struct gate_request_facts *facts, bool usage_first,
                              struct gate_buf *sent, struct gate_error *err)
{
    const struct gate_dialect_ops *dialect = gate_plugin.ops;
    struct gate_builder b;
    struct gate_built built;
    gate_builder_init(&b, body, &built);
    b.ops.replace(&b, facts->model.off, facts->model.len, GATE_STR("\"other\""));
    if (usage_first)
        dialect->ask_usage(body, facts, &b.ops);
    enum gate_status status = gate_edits_apply(e, dialect, body, facts, &b, err);
    if (!usage_first)
        dialect->ask_usage(body, facts, &b.ops);
    if (status == GATE_OK)
        assert(gate_builder_end_body(&b, "p", err) == GATE_OK);
    for (size_t i = 0; status == GATE_OK && i < built.part_count; i++)
        assert(gate_buf_append(sent,
                               (struct gate_str){built.parts[i].iov_base, built.parts[i].iov_len}));
    gate_built_finish(&built);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_request_facts facts;
    struct gate_json_error why;
    struct gate_edits e;
    struct gate_error err = {.message = ""};
    struct gate_buf sent;
    const uint8_t *line = size > 0 && size < MAX_INPUT ? memchr(data, '\n', size) : NULL;
    if (line == NULL)
        return 0;
    struct gate_str body = {(const char *)line + 1, size - (size_t)(line - data) - 1};
    if (gate_json_scan(body, GATE_STR("messages"), &facts, &why) != GATE_OK)
        return 0;
    edits_of(data, (size_t)(line - data), &e);
    gate_plugin.init(&services, NULL);
    gate_buf_init(&sent, MAX_SENT);
    if (apply(&e, body, &facts, data[0] % 2 != 0, &sent, &err) == GATE_OK)
        check_sent(&e, body, gate_buf_str(&sent));
    else
        assert(strstr(err.message, "too often") != NULL);
    gate_buf_finish(&sent);
    return 0;
}
