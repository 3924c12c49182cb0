/*
 * builder: collects the upstream request that a provider plugin describes (gate_request_builder)
 * and checks it. Used by request/attempt for the data path and by whoever makes control calls.
 */
#ifndef GATE_UPSTREAM_BUILDER_H
#define GATE_UPSTREAM_BUILDER_H

#include "base/buf.h"
#include "upstream/upstream.h"

enum {
    GATE_BUILT_MAX_EDITS = 64,      /* those of a provider, its dialect and a routing target */
    GATE_BUILT_MAX_TEXT = 64 << 20, /* bytes of all replacements */
    GATE_BUILT_MAX_HEADERS = 64 * 1024,
};

/* A finished description. Plain data; finish frees. */
struct gate_built {
    struct gate_endpoint *endpoint; /* lent by the provider: lives as long as its account */
    struct gate_buf path;           /* with the endpoint's base */
    struct gate_str lines;          /* the header block, lent */
    struct gate_buf own_lines;      /* headers given one by one, and lent lines of which one was
                                       dropped; may hold a secret */
    struct gate_buf text;           /* replacements */
    struct iovec whole;
    char *flat;            /* the edited body in one piece, where it has too many; else NULL */
    struct iovec *parts;   /* the body: pieces of the original and of text */
    size_t part_count;     /* at most GATE_UPSTREAM_MAX_PARTS */
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
    struct gate_edit edits[GATE_BUILT_MAX_EDITS]; /* sorted by offset; insertions first */
    size_t edit_count;
    bool path_given;
    enum gate_status status;
    const char *problem;
};

/* Starts a description. body may be empty. */
void gate_builder_init(struct gate_builder *b, struct gate_str body, struct gate_built *out);
/* Takes away every header of this name that the plugin gave, whatever its case. Between the
 * plugin's last call and gate_builder_end. A name that nobody gave is fine. Lent lines are left as
 * they are: those that stay are copied, and the copy is wiped with the description. */
void gate_builder_drop_header(struct gate_builder *b, struct gate_str name);
/* The same, then adds a header of this name. One that no plugin might give fails the description.
 */
void gate_builder_set_header(struct gate_builder *b, struct gate_str name, struct gate_str value);
/* Ends it: default_path is used when the plugin gave none (empty: it must), content-type defaults
 * to application/json. `who` is the provider plugin, for messages. Not GATE_OK: err says what was
 * wrong; out is finished. */
enum gate_status gate_builder_end(struct gate_builder *b, struct gate_str default_path,
                                  const char *who, struct gate_error *err);
/* Ends a description of which only the body is wanted: there is no endpoint, path or header. */
enum gate_status gate_builder_end_body(struct gate_builder *b, const char *who,
                                       struct gate_error *err);
/* Frees; secrets are wiped. A zeroed or finished one is fine. */
void gate_built_finish(struct gate_built *r);

#endif
