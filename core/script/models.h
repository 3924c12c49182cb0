/*
 * models: the names that conf/models.lua and MODEL_MAPPINGS map, as data of a generation. Made by
 * models.c while generation.c loads a generation, read by gate_script_map. Written on the control
 * thread only; any thread reads it.
 */
#ifndef GATE_SCRIPT_MODELS_H
#define GATE_SCRIPT_MODELS_H

#include "script/script.h"

enum {
    GATE_MODELS_MAX = 16384,         /* exact names of models.lua */
    GATE_MODELS_MAX_PATTERNS = 1024, /* with those of the environment */
};

/* A name with '*' (any text) or '?' (one character) in it. */
struct gate_model_pattern {
    struct gate_str name;
    struct gate_str target; /* may have one '*'; empty: a function of the script decides */
    size_t prefix;          /* bytes before the first '*' or '?' */
    bool extra;             /* of the environment */
};

/* Zeroed by its owner, the generation. */
struct gate_models {
    struct gate_mapping *exact; /* sorted by name; each entry's texts are one block, owned */
    size_t exact_count;
    struct gate_model_pattern *patterns; /* in the order in which they are tried */
    size_t pattern_count;
    bool has_functions; /* of names, of patterns, or for all other names */
    bool has_fallback;  /* the last of these */
};

/* Takes the mappings of the environment into an empty one. GATE_EINVAL, GATE_ELIMIT: err says which
 * is wrong. */
enum gate_status gate_models_add_extra(struct gate_models *m, const struct gate_mapping *extra,
                                       size_t count, struct gate_error *err);
/* Brings it into order, when everything is in it. */
void gate_models_seal(struct gate_models *m);
void gate_models_finish(struct gate_models *m);

#endif
