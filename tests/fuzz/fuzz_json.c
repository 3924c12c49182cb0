/*
 * fuzz_json: feeds any bytes to everything in base/json. The variants of the walk must agree; what
 * is reported must lie in the body; decoding and encoding must give back what they were given.
 *
 *     clang -fsanitize=fuzzer,address,undefined ... fuzz_json.c     a libFuzzer program
 *     cc -DGATE_FUZZ_MAIN ... fuzz_json.c                           runs over the files it is given
 */
#include "base/json_skip.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void check_range(struct gate_str body, struct gate_range r, const char *first,
                        const char *last)
{
    if (r.len == 0)
        return;
    require(r.off <= body.len && r.len <= body.len - r.off, "a range lies in the body");
    if (first != NULL)
        require(body.ptr[r.off] == *first && body.ptr[r.off + r.len - 1] == *last,
                "a range starts and ends with its brackets");
}

static void check_scan(struct gate_str body, struct gate_str key)
{
    struct gate_request_facts facts, first_facts;
    struct gate_json_error why = {0}, first_why = {0};
    enum gate_status status, first = GATE_OK;
    const struct gate_json_skip *skip;
    for (size_t v = 0; (skip = gate_json_skip_variant(v)) != NULL; v++) {
        status = gate_json_scan_by(skip, body, key, &facts, &why);
        if (v == 0) {
            first = status;
            first_facts = facts;
            first_why = why;
        }
        require(status == first && memcmp(&why, &first_why, sizeof why) == 0 &&
                    memcmp(&facts, &first_facts, sizeof facts) == 0,
                "variants agree");
    }
    if (first != GATE_OK) {
        require(first == GATE_EPARSE || first == GATE_EINVAL, "a failure has one of two kinds");
        require(why.reason != NULL && why.code != NULL && why.offset <= body.len,
                "a failure says why and where");
        return;
    }
    require(facts.model.len > 2 && facts.depth >= 1 && facts.depth <= GATE_JSON_MAX_DEPTH,
            "facts are sane");
    require((facts.message_count > 0) == (facts.first_message.len > 0) &&
                (facts.message_count > 0) == (facts.last_message.len > 0),
            "counted messages have ranges");
    check_range(body, facts.model, "\"", "\"");
    check_range(body, facts.messages, "[", "]");
    check_range(body, facts.tools, "[", "]");
    check_range(body, facts.stream_options, "{", "}");
    check_range(body, facts.first_message, NULL, NULL);
    check_range(body, facts.last_message, NULL, NULL);

    /* The lookups, which other code uses on the same body, see the same. */
    struct gate_str model, messages, element;
    size_t cursor = 0, count = 0;
    require(gate_json_member(body, GATE_STR("model"), &model) &&
                model.ptr == body.ptr + facts.model.off && model.len == facts.model.len,
            "member finds the model");
    if (facts.messages.len > 0) {
        require(gate_json_member(body, key, &messages) && messages.len == facts.messages.len,
                "member finds the messages");
        while (gate_json_element(messages, &cursor, &element))
            count++;
        require(count == facts.message_count, "element finds each message");
    }
}

static void check_text(struct gate_str bytes)
{
    struct gate_buf encoded, decoded, again;
    gate_buf_init(&encoded, SIZE_MAX);
    gate_buf_init(&decoded, SIZE_MAX);
    gate_buf_init(&again, SIZE_MAX);
    struct gate_writer to_decoded = gate_buf_writer(&decoded);
    gate_json_put(&encoded, bytes);
    require(gate_json_decode(gate_buf_str(&encoded), &to_decoded), "what was encoded decodes");
    gate_json_put(&again, gate_buf_str(&decoded));
    require(gate_str_eq(gate_buf_str(&encoded), gate_buf_str(&again)), "a second round is equal");
    decoded.len = 0;
    gate_json_decode(bytes, &to_decoded);
    char small[16];
    size_t len;
    if (gate_json_decode_to(bytes, small, sizeof small, &len))
        require(len < sizeof small && small[len] == '\0', "decode_to ends its text");
    gate_buf_finish(&encoded);
    gate_buf_finish(&decoded);
    gate_buf_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_str bytes = {(const char *)data, size}, value;
    size_t cursor = 0;
    check_scan(bytes, GATE_STR("messages"));
    check_scan(bytes, GATE_STR("input"));
    check_text(bytes);
    gate_json_member(bytes, GATE_STR("a"), &value);
    while (gate_json_element(bytes, &cursor, &value))
        require(value.len > 0, "an element is not empty");
    return 0;
}

#ifdef GATE_FUZZ_MAIN

enum { MAX_FILE = 64 << 20 };

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (f == NULL) {
            perror(argv[i]);
            return 1;
        }
        struct gate_buf b;
        gate_buf_init(&b, MAX_FILE);
        for (size_t n = 1; n > 0; b.len += n) {
            char *to = gate_buf_reserve(&b, 65536);
            n = to != NULL ? fread(to, 1, 65536, f) : 0;
        }
        fclose(f);
        LLVMFuzzerTestOneInput((const uint8_t *)b.ptr, b.len);
        gate_buf_finish(&b);
    }
    printf("fuzz_json: %d files ran\n", argc - 1);
    return 0;
}

#endif
