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

enum {
    GATE_SCRIPT_MAX_TARGETS = 8,
    GATE_SCRIPT_TEXT = 2048,           /* bytes of all strings of one decision */
    GATE_SCRIPT_CALL_BUDGET = 1000000, /* VM instructions of one call of route */
    GATE_SCRIPT_LOAD_BUDGET = 10000000,
    GATE_SCRIPT_MEMORY = 16 << 20, /* bytes of one Lua state */
};

struct gate_generation;
struct gate_script;

/* One model name that conf/models.lua (or MODEL_MAPPINGS) maps. */
struct gate_mapping {
    struct gate_str name;   /* what clients ask for */
    struct gate_str target; /* what it stands for: a model or instance/model */
};

/* Reads conf_dir/{models,routing,accounts}.lua, compiles and runs them in a scratch state, checks
 * what they return. Control thread. A missing directory (NULL too) or file is fine. Errors carry
 * file:line. Owner: caller. `extra` are mappings from the environment; they win over
 * conf/models.lua. script_dir is where `require "gate.x"` looks (scripts/). */
enum gate_status gate_generation_load(const char *conf_dir, const char *script_dir,
                                      const struct gate_mapping *extra, size_t extra_count,
                                      uint64_t number, struct gate_generation **out,
                                      struct gate_error *err);
void gate_generation_release(
    struct gate_generation *g); /* reference-counted; any thread; NULL is fine */
void gate_generation_retain(struct gate_generation *g);
uint64_t gate_generation_number(const struct gate_generation *g);
/* All mappings, sorted by name. Any thread. Valid as long as g. */
const struct gate_mapping *gate_generation_mappings(const struct gate_generation *g, size_t *count);
/* The target of a mapped name, or an empty string. O(log n). Any thread. */
struct gate_str gate_generation_map(const struct gate_generation *g, struct gate_str name);

/* Builds a state from the generation. Worker thread (or a test). */
enum gate_status gate_script_create(struct gate_generation *g, struct gate_script **out,
                                    struct gate_error *err);
void gate_script_destroy(struct gate_script *s);

/* What route(req) can see. Lent for the call. In Lua: req.model, req.stream, req.messages (count),
 * req.tools (count), req.has_tools, req.has_images, req.body_bytes, req.max_tokens, req.key (name
 * of the client key), req.path, req.headers["x-team"] (only names listed in gateway.lua's
 * route_headers; nil if not sent). Fields are read-only. */
struct gate_route_view {
    struct gate_str model; /* decoded, as the client asked */
    struct gate_str key_name;
    struct gate_str path;
    const struct gate_request_facts *facts;
    size_t body_bytes;
    const struct gate_header *headers; /* those listed in route_headers that the client sent */
    size_t header_count;
};

struct gate_target {
    struct gate_str
        name; /* a mapped name, instance/model, or a model; points into the decision's text */
    /* Overrides of the clocks in ms; 0: as configured. */
    uint32_t first_token_ms, idle_ms, total_ms;
};

/* What Lua decided. Plain data, owned by the caller. */
struct gate_decision {
    struct gate_target targets[GATE_SCRIPT_MAX_TARGETS];
    size_t target_count; /* 0: route returned nil: use the model's own name */
    char text[GATE_SCRIPT_TEXT];
    size_t text_len;
};

/* Worker. Calls route(req). route returns nil, a string, a table {model = "...", first_token_ms =
 * ..., idle_ms = ..., total_ms = ...}, or a list of strings and such tables. Without routing.lua
 * the decision is empty and nothing is called. GATE_EINTERNAL: the script failed; err says
 * file:line and why, and the state stays usable. */
enum gate_status gate_script_route(struct gate_script *s, const struct gate_route_view *req,
                                   struct gate_decision *out, struct gate_error *err);
/* Bytes that the Lua state holds now (for tests and metrics). */
size_t gate_script_memory(const struct gate_script *s);

#endif
