/*
 * json_tree: small JSON documents that people or programs send, as cJSON trees. cJSON is more
 * lenient than JSON; what it lets pass is refused here, but for the spelling of numbers. Used by
 * admin (bodies) and serve (web search). Pure functions, any thread. Never for what a request's
 * path carries: a chat body is scanned by json.h without building a tree.
 */
#ifndef GATE_BASE_JSON_TREE_H
#define GATE_BASE_JSON_TREE_H

#include "gate/plugin.h"
#include <cjson/cJSON.h>

enum { GATE_JSON_TREE_DEPTH = 32, GATE_JSON_TREE_REASON = 160 };

/* Parses a whole document: an object, nested at most GATE_JSON_TREE_DEPTH deep, with nothing but
 * white space around it; valid UTF-8; no control byte and no escaped NUL inside strings, so that
 * valuestring is the whole string; no object names a member twice. NULL: reason says why, and never
 * shows what the text holds. The tree is the caller's: gate_json_tree_free. */
cJSON *gate_json_tree_parse(struct gate_str text, char reason[GATE_JSON_TREE_REASON]);
/* Overwrites all strings of a tree (it may hold secrets) and frees it. NULL is fine. */
void gate_json_tree_free(cJSON *tree);

/* The first member of object whose name is none of `allowed` (names parted by '|'); NULL: all are.
 */
const char *gate_json_tree_unknown(const cJSON *object, const char *allowed);
/* A whole number within [low, high]. */
bool gate_json_tree_whole(const cJSON *value, double low, double high, uint64_t *out);

#endif
