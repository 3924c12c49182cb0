/* Fuzzes the request scan and the lookups: whatever the bytes, no range leaves the body, and what
 * the scan accepts can be read by the lookups. */
#include "base/json.h"
#include <assert.h>
#include <stdlib.h>

static void check_range(struct gate_str body, struct gate_range r, char first, char last)
{
    if (r.len == 0)
        return;
    assert(r.off < body.len && r.len <= body.len - r.off);
    assert(first == '\0' || body.ptr[r.off] == first);
    assert(last == '\0' || body.ptr[r.off + r.len - 1] == last);
}

static struct gate_str cut(struct gate_str body, struct gate_range r)
{
    return (struct gate_str){body.ptr + r.off, r.len};
}

static void check_accepted(struct gate_str body, const struct gate_request_facts *facts)
{
    struct gate_buf name, again;
    struct gate_writer to_name, to_again;
    struct gate_str value;
    size_t cursor = 0;
    uint32_t count = 0;

    assert(facts->model.len > 2 && facts->depth <= GATE_JSON_MAX_DEPTH);
    assert(facts->root <= body.len && body.ptr[facts->root - 1] == '{');
    check_range(body, facts->model, '"', '"');
    check_range(body, facts->messages, '[', ']');
    check_range(body, facts->first_message, '\0', '\0');
    check_range(body, facts->last_message, '\0', '\0');
    check_range(body, facts->tools, '[', ']');
    check_range(body, facts->stream_options, '{', '}');
    while (facts->messages.len > 0 &&
           gate_json_element(cut(body, facts->messages), &cursor, &value))
        count++;
    assert(count == facts->message_count);

    /* A name that decodes is encoded to something that decodes to the same name. */
    gate_buf_init(&name, 1 << 20);
    gate_buf_init(&again, 8 << 20);
    to_name = gate_buf_writer(&name);
    to_again = gate_buf_writer(&again);
    if (gate_json_decode(cut(body, facts->model), &to_name)) {
        struct gate_buf twice;
        struct gate_writer to_twice;

        gate_buf_init(&twice, 1 << 20);
        to_twice = gate_buf_writer(&twice);
        gate_json_encode(gate_buf_str(&name), &to_again);
        assert(gate_json_decode(gate_buf_str(&again), &to_twice));
        assert(gate_str_eq(gate_buf_str(&name), gate_buf_str(&twice)));
        gate_buf_finish(&twice);
    }
    gate_buf_finish(&name);
    gate_buf_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_str body = {(const char *)data, size}, value;
    struct gate_request_facts facts = {0};
    struct gate_json_error why = {0};
    size_t cursor = 0;

    if (gate_json_scan(body, GATE_STR("messages"), &facts, &why) == GATE_OK) {
        check_accepted(body, &facts);
    } else {
        assert(why.reason != NULL && why.code != NULL && why.offset <= size);
    }
    if (gate_json_member(body, GATE_STR("error"), &value))
        assert(value.ptr >= body.ptr && value.len <= body.len - (size_t)(value.ptr - body.ptr));
    while (gate_json_element(body, &cursor, &value))
        assert(value.ptr >= body.ptr && value.len <= body.len - (size_t)(value.ptr - body.ptr));
    return 0;
}
