/*
 * sources: the text of all files of conf/ as one set: gateway.lua, models.lua, routing.lua,
 * accounts.lua and the policy tests tests/<name>.lua. A generation is made from such a set;
 * history, drafts and publishing handle nothing smaller. Any thread; an object belongs to one
 * thread at a time unless it is part of a generation, where it never changes.
 */
#ifndef GATE_SCRIPT_SOURCES_H
#define GATE_SCRIPT_SOURCES_H

#include "gate/plugin.h"

enum {
    GATE_SOURCES_MAX_FILES = 64,
    GATE_SOURCES_MAX_BYTES = 1 << 20, /* of all texts */
    GATE_SOURCES_MAX_NAME = 64,
};

struct gate_source {
    char *name; /* owned, as is text */
    char *text; /* ends with a NUL that len does not count */
    size_t len;
};

struct gate_sources {
    struct gate_source *files; /* sorted by name, none twice */
    size_t count;
};

/* The names that have a meaning: the four files, and tests/<[a-z0-9_-]+>.lua. */
bool gate_sources_is_name(struct gate_str name);
/* Reads a directory (NULL or missing: an empty set). Files of known names only; links are followed.
 * GATE_EIO (also for what is no regular file, and for a link that leads nowhere), GATE_ELIMIT: err
 * names the file. */
enum gate_status gate_sources_read(const char *conf_dir, struct gate_sources *out,
                                   struct gate_error *err);
void gate_sources_copy(const struct gate_sources *from, struct gate_sources *to);
void gate_sources_finish(struct gate_sources *s); /* a zeroed one is fine */
/* NULL: there is no such file. */
const struct gate_source *gate_sources_find(const struct gate_sources *s, const char *name);
/* Adds or replaces a file. GATE_EINVAL: not such a name; GATE_ELIMIT: too many, too large. */
enum gate_status gate_sources_put(struct gate_sources *s, struct gate_str name,
                                  struct gate_str text, struct gate_error *err);
void gate_sources_remove(struct gate_sources *s, const char *name);
bool gate_sources_equal(const struct gate_sources *a, const struct gate_sources *b);

#endif
