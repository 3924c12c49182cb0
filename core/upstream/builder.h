/*
 * builder: collects the upstream request that a provider plugin describes (gate_request_builder)
 * and checks it. Used by request/attempt for the data path and by whoever makes control calls.
 */
#ifndef GATE_UPSTREAM_BUILDER_H
#define GATE_UPSTREAM_BUILDER_H

#include "base/buf.h"
#include "upstream/upstream.h"

enum {
    GATE_BUILT_MAX_EDITS = 24,
    GATE_BUILT_MAX_TEXT = 64 << 20, /* bytes of all replacements */
    GATE_BUILT_MAX_HEADERS = 64 * 1024,
};

/* A finished description. Plain data; finish frees. */
struct gate_built {
    struct gate_endpoint *endpoint; /* lent by the provider: lives as long as its account */
    struct gate_buf path;           /* with the endpoint's base */
    struct gate_str lines;          /* the header block, lent */
    struct gate_buf own_lines;      /* headers given one by one; may hold a secret */
    struct gate_buf text;           /* replacements */
    struct iovec whole;
    struct iovec *parts; /* the body: pieces of the original and of text */
    size_t part_count;
    bool has_content_type; /* given by `header` */
    const char *method;    /* of a control call; NULL: POST with a body, else GET */
};

struct gate_edit {
    size_t off, len;           /* replaced bytes of the body */
    size_t text_off, text_len; /* replacement in gate_built.text */
};

struct gate_builder {
    struct gate_request_builder ops; /* what the plugin gets; ctx is this builder */
    struct gate_built *out;
    struct gate_str body;                         /* what edits refer to; must outlive *out */
    struct gate_edit edits[GATE_BUILT_MAX_EDITS]; /* sorted by offset */
    size_t edit_count;
    bool path_given;
    enum gate_status status;
    const char *problem;
};

/* Starts a description. body may be empty. */
void gate_builder_init(struct gate_builder *b, struct gate_str body, struct gate_built *out);
/* Ends it: default_path is used when the plugin gave none (empty: it must), content-type defaults
 * to application/json. `who` is the provider plugin, for messages. Not GATE_OK: err says what was
 * wrong; out is finished. */
enum gate_status gate_builder_end(struct gate_builder *b, struct gate_str default_path,
                                  const char *who, struct gate_error *err);
/* Frees; secrets are wiped. A zeroed or finished one is fine. */
void gate_built_finish(struct gate_built *r);

#endif
