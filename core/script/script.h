/*
 * script: Lua policy, as the request path sees it. A generation is the immutable text of all
 * scripts in conf/ with its number; a script is one worker's Lua state built from a generation. Lua
 * headers stay inside this wing.
 *
 * Scripts decide; they do no I/O. conf/models.lua returns a table of model names, conf/routing.lua
 * returns route(req) or a table with a `route` function. Either file may be absent: then names map
 * to themselves. What conf/accounts.lua decides is in policy.h.
 */
#ifndef GATE_SCRIPT_SCRIPT_H
#define GATE_SCRIPT_SCRIPT_H

#include "gate/plugin.h"
#include "script/notes.h"
#include "script/sources.h"

enum {
    GATE_SCRIPT_MAX_TARGETS = 8,
    GATE_SCRIPT_MAX_TARGET_TAGS = 8,  /* tags that one target asks for */
    GATE_SCRIPT_MAX_EDITS = 16,       /* headers, and fields, that one target edits */
    GATE_SCRIPT_EDIT_TEXT = 64 << 10, /* bytes of all edits of one target */
    GATE_SCRIPT_TEXT = 4096,          /* bytes of all strings of one decision without edits */
    GATE_SCRIPT_REASON = 128,         /* bytes of a reason; the rest is cut */
    GATE_SCRIPT_MESSAGE = 512,        /* bytes of a rejection's message; the rest is cut */
    GATE_SCRIPT_MAX_NAME = 256,       /* bytes of a name that clients ask for */
    GATE_SCRIPT_MAX_TARGET = 512,     /* bytes of what it stands for */
    GATE_SCRIPT_CALL_BUDGET = 200000, /* VM instructions of one call of a function of conf/ */
    GATE_SCRIPT_LOAD_BUDGET = 10000000,
    GATE_SCRIPT_MEMORY = 16 << 20, /* bytes of one Lua state */
    GATE_SCRIPT_STACK = 1024,      /* bytes of a stack in an error; the rest is cut */
};

/* ---- generations */

struct gate_generation;

/* One model name that conf/models.lua (or MODEL_MAPPINGS) maps. */
struct gate_mapping {
    struct gate_str name;   /* what clients ask for */
    struct gate_str target; /* a model or instance/model; empty: a function of the script decides */
};

struct gate_generation_input {
    uint64_t number;                    /* 0: a draft */
    const struct gate_sources *sources; /* copied */
    const char *script_dir; /* where `require "gate.x"` looks (scripts/); NULL: there is none */
    const struct gate_mapping *extra; /* of the environment: they win over conf/models.lua */
    size_t extra_count;
};

/* Compiles and runs models.lua, routing.lua and accounts.lua in a scratch state and checks what
 * they return. Control thread. A missing file is fine. Errors carry file:line. Owner: caller. */
enum gate_status gate_generation_create(const struct gate_generation_input *in,
                                        struct gate_generation **out, struct gate_error *err);
/* The same from a directory. */
enum gate_status gate_generation_load(const char *conf_dir, const char *script_dir,
                                      const struct gate_mapping *extra, size_t extra_count,
                                      uint64_t number, struct gate_generation **out,
                                      struct gate_error *err);
void gate_generation_release(
    struct gate_generation *g); /* reference-counted; any thread; NULL is fine */
void gate_generation_retain(struct gate_generation *g);
uint64_t gate_generation_number(const struct gate_generation *g);
/* Gives a draft its number when it is published. Control thread, before anybody else has it. */
void gate_generation_set_number(struct gate_generation *g, uint64_t number);
/* All files of conf/ that it was made from. Valid as long as g. */
const struct gate_sources *gate_generation_sources(const struct gate_generation *g);
/* True: the same texts of conf/ and of all modules. */
bool gate_generation_same(const struct gate_generation *a, const struct gate_generation *b);
/* All mappings of exact names, sorted by name. Any thread. Valid as long as g. */
const struct gate_mapping *gate_generation_mappings(const struct gate_generation *g, size_t *count);

/* ---- a worker's state */

struct gate_script;

/* What a state may use of its worker. All lent; they outlive the state. */
struct gate_script_host {
    struct gate_kv *kv;
    struct gate_counters *counters;
};

/* Builds a state from the generation. Worker thread (or a test). host NULL: the state has notes of
 * its own and gate.log is silent, so that trying a script leaves no trace. */
enum gate_status gate_script_create(struct gate_generation *g, const struct gate_script_host *host,
                                    struct gate_script **out, struct gate_error *err);
void gate_script_destroy(struct gate_script *s);
/* Bytes that the Lua state holds now (for tests and metrics). */
size_t gate_script_memory(const struct gate_script *s);
/* The stack of the last call that failed, one "file:line: in ..." a line, innermost first; "" when
 * there is none. Valid until the next call. */
const char *gate_script_stack(const struct gate_script *s);
/* For trying out: gate.now and gate.time say this moment (Unix ms); 0: the real time. */
void gate_script_set_time(struct gate_script *s, uint64_t wall_ms);

/* A generation and its state as one worker uses them: counts this worker's requests without an
 * atomic. A request keeps the pin it began with to its end. */
struct gate_script_pin {
    struct gate_generation *generation; /* retained */
    struct gate_script *script;         /* owned */
    size_t users;                       /* requests, and 1 for being the current one */
    uint32_t errors;                    /* requests in a row in which a function failed */
    char why[GATE_ERROR_MAX];           /* the last failure */
};
struct gate_script_pin *gate_script_pin_create(struct gate_generation *g,
                                               struct gate_script *script); /* users = 1 */
static inline struct gate_script_pin *gate_script_pin_use(struct gate_script_pin *p)
{
    p->users++;
    return p;
}
/* Frees with the last user. NULL is fine. */
void gate_script_pin_drop(struct gate_script_pin *p);

/* ---- model names */

/* What a name stands for: by its exact entry, else by the most specific pattern (the longest text
 * before the first '*' or '?', then the longer pattern, then the one with fewer '*', then byte
 * order; a '*' of the target takes what the first '*' of the pattern matched, which is as little as
 * it can), else by the function of models.lua. Those of the environment win over all of the file.
 * Patterns and the function see only names of 1 to GATE_SCRIPT_MAX_NAME bytes without control
 * characters. *target: the answer, in out or in the generation; empty: the name stands for itself.
 * out holds GATE_SCRIPT_MAX_TARGET bytes. s NULL is not allowed; GATE_EINTERNAL: the function
 * failed. */
enum gate_status gate_script_map(struct gate_script *s, struct gate_str name, char *out,
                                 struct gate_str *target, struct gate_error *err);

/* ---- route(req) */

struct gate_accounts_view; /* policy.h */

/* What route(req) can see. Lent for the call. In Lua: req.model, req.stream, req.messages (count),
 * req.tools (count), req.has_tools, req.has_images, req.body_bytes, req.prompt_tokens (estimate:
 * body_bytes / 4), req.max_tokens, req.key (name of the client key), req.path,
 * req.headers["x-team"] (only names listed in gateway.lua's route_headers; nil if not sent).
 * Fields are read-only. */
struct gate_route_view {
    struct gate_str model; /* decoded, as the client asked */
    struct gate_str key_name;
    struct gate_str path;
    const struct gate_request_facts *facts;
    size_t body_bytes;
    const struct gate_header *headers; /* those listed in route_headers that the client sent */
    size_t header_count;
    const struct gate_accounts_view *accounts; /* for gate.accounts and gate.provider; NULL: none */
};

/* A top-level field of the body that is set or removed. */
struct gate_field_edit {
    struct gate_str name;
    struct gate_str json; /* empty: removed */
};

/* What a target changes of the request before it goes upstream. One block of memory. */
struct gate_edits {
    struct gate_header headers[GATE_SCRIPT_MAX_EDITS]; /* lower case; value.ptr NULL: not sent */
    size_t header_count;
    struct gate_field_edit fields[GATE_SCRIPT_MAX_EDITS];
    size_t field_count;
    struct gate_str system; /* appended to the system text; empty: nothing */
    uint64_t max_tokens;    /* at most; 0: as the client said */
    char *text;             /* what the strings point into; part of the block */
};

struct gate_target {
    struct gate_str
        name; /* a mapped name, instance/model, or a model; points into the decision's text */
    /* Overrides of the clocks in ms; 0: as configured. */
    uint32_t first_token_ms, idle_ms, total_ms;
    int retries;  /* other attempts on this target after the first failed; -1: as configured */
    int strategy; /* enum gate_strategy; -1: that of accounts.lua */
    struct gate_str tags[GATE_SCRIPT_MAX_TARGET_TAGS]; /* only accounts that have all of these */
    size_t tag_count;
    struct gate_edits *edits; /* NULL: none; owned by the decision until somebody takes it */
};

/* What Lua decided. Owned by the caller, who need not zero it: gate_script_route sets everything
 * that its counts and lengths say is there, and nothing else. The caller finishes it, or may leave
 * that after a failure. */
struct gate_decision {
    struct gate_target targets[GATE_SCRIPT_MAX_TARGETS];
    size_t target_count; /* 0 without reject: route returned nil: the model's own name */
    struct {
        int status;              /* 400 to 599; 0: the request is not rejected */
        struct gate_str code;    /* default "rejected" */
        struct gate_str message; /* default "This request was rejected by the gateway's policy." */
        uint32_t retry_after_ms; /* 0: not said */
    } reject;
    struct gate_str reason; /* what the script said of its decision; may be empty */
    char text[GATE_SCRIPT_TEXT];
    size_t text_len;
};
void gate_decision_finish(struct gate_decision *d);

/* Worker. Calls route(req). It returns nil; a string; a target table; a list of 1 to 8 strings and
 * target tables; or { reject = { status = 429, message = "...", code = "...", retry_after_ms = n },
 * reason = "..." }. A target table is { model = "...", first_token_ms, idle_ms, total_ms, retries,
 * strategy = "sticky", tags = { "paid" }, headers = { ["x-tier"] = "gold", ["x-old"] = false },
 * body = { set = { temperature = 0 }, remove = { "user" }, append_system = "...",
 * max_tokens = 4096 }, reason = "..." }; all but model may be missing, and model too: then it is
 * the model that the client asked for. A list may have a reason of its own, which wins. Edits are
 * in order of their names. Without routing.lua the decision is empty and nothing is called.
 * GATE_EINTERNAL: the script failed; err says file:line and why, and the state stays usable. */
enum gate_status gate_script_route(struct gate_script *s, const struct gate_route_view *req,
                                   struct gate_decision *out, struct gate_error *err);

#endif
