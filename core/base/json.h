/*
 * json: what the request path needs of JSON without building a tree: one scan of a request body,
 * lookups in small objects, decoding and encoding of strings. Pure functions, any thread. Used by
 * exchange, dialects (through the host), provider plugins (through the host) and stream inspection.
 */
#ifndef GATE_BASE_JSON_H
#define GATE_BASE_JSON_H

#include "base/buf.h"

enum {
    GATE_JSON_MAX_DEPTH = 1024, /* deeper nesting is refused */
};

/* Why a scan failed. reason is a literal; param names the member at fault or is NULL. */
struct gate_json_error {
    size_t offset; /* byte offset in the body where it was noticed */
    const char *reason;
    const char *param;
    const char
        *code; /* "invalid_json", "missing_parameter", "invalid_type", "duplicate_parameter" */
};

/* Scans a request body once. Checks: the root is an object and nothing but white space follows it;
 * strings end; brackets match; nesting stays within GATE_JSON_MAX_DEPTH; at the top level keys are
 * strings, each followed by ':' and a value, members are parted by ','; `model` is present and a
 * non-empty string, `stream` a boolean or null, messages_key an array; `tools` an array or null,
 * stream_options an object or null; none of these appears twice (a router and the upstream could
 * read different ones). Everything inside other values is the upstream's to judge: number and
 * literal syntax below the top level, duplicate keys elsewhere, UTF-8, escapes and control bytes
 * inside strings pass unread; a backslash outside a string is refused, and so is an element of
 * messages or tools that is missing between two commas. Top-level keys written with escapes count
 * as what they decode to. A missing messages array is not an error here. max_tokens is the larger
 * of the two names; what is not a whole number from 0 up is ignored, what is above 2^64 - 1 is cut
 * to it. has_images: an object anywhere in the messages has a member "type" with the value
 * "image_url", "input_image" or "image", key and value written without escapes.
 *
 * Time is linear; memory is the stack's (no allocation). GATE_OK: *facts is filled. GATE_EPARSE
 * (not JSON) or GATE_EINVAL (JSON, but not such a request; for a root that is no object its first
 * byte decides): *why is filled, and *facts holds nothing to rely on. */
enum gate_status gate_json_scan(struct gate_str body, struct gate_str messages_key,
                                struct gate_request_facts *facts, struct gate_json_error *why);

/* See gate_host.json_member / json_element / json_decode / json_encode. member returns the first of
 * equal keys and does not look at what follows it. element leaves *cursor behind the element.
 * decode writes nothing when it returns false; an escape that JSON does not know makes it no
 * string, a surrogate without its mate and each byte that is not UTF-8 become U+FFFD. */
bool gate_json_member(struct gate_str object, struct gate_str key, struct gate_str *value);
bool gate_json_element(struct gate_str array, size_t *cursor, struct gate_str *element);
bool gate_json_decode(struct gate_str value, const struct gate_writer *out);
void gate_json_encode(struct gate_str text, const struct gate_writer *out);

/* Decodes a JSON string into a caller's array, NUL-terminated. False: not a string, or it (or a NUL
 * inside it) does not fit cap - 1 bytes. *len is the length without the NUL. */
bool gate_json_decode_to(struct gate_str value, char *out, size_t cap, size_t *len);
/* Appends text as a JSON string, quotes included; the whole of it or, when the cap forbids that,
 * nothing. */
void gate_json_put(struct gate_buf *b, struct gate_str text);

#endif
