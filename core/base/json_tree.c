#include "base/json_tree.h"
#include "base/buf.h"
#include "base/utf8.h"
#include <math.h>
#include <stdlib.h>

/* ---- what cJSON would let pass */

struct look {
    struct gate_str text;
    size_t at;
    size_t depth;
    bool in_string;
};

static const char *look_in_string(struct look *l)
{
    const char *p = l->text.ptr + l->at;
    size_t left = l->text.len - l->at;
    if ((unsigned char)*p < 0x20)
        return "a control byte inside a string";
    if (*p == '"')
        l->in_string = false;
    if (*p != '\\' || left < 2)
        return NULL;
    if (left >= 6 && memcmp(p, "\\u0000", 6) == 0)
        return "an escaped NUL";
    if ((unsigned char)p[1] < 0x80)
        l->at++; /* the escaped byte cannot end the string */
    return NULL;
}

static const char *look_outside(struct look *l)
{
    switch (l->text.ptr[l->at]) {
    case '"':
        l->in_string = true;
        break;
    case '{':
    case '[':
        if (++l->depth > GATE_JSON_TREE_DEPTH)
            return "it is nested too deep";
        break;
    case '}':
    case ']':
        if (l->depth > 0)
            l->depth--;
        break;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        break;
    default: /* cJSON takes every control byte for white space */
        if ((unsigned char)l->text.ptr[l->at] < 0x20)
            return "a control byte";
    }
    return NULL;
}

static const char *find_loose(struct gate_str text, size_t *at)
{
    struct look l = {.text = text};
    while (l.at < text.len) {
        size_t n = gate_utf8_length(text.ptr + l.at, text.len - l.at);
        const char *why = NULL;
        *at = l.at;
        if (n == 0)
            return "a byte that is not UTF-8";
        if (n == 1)
            why = l.in_string ? look_in_string(&l) : look_outside(&l);
        if (why != NULL)
            return why;
        l.at += n;
    }
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* An object that names a member twice can be read in two ways. */
static const char *find_twice(const cJSON *object)
{
    size_t count = (size_t)cJSON_GetArraySize(object), n = 0;
    const char **names = gate_calloc(count + 1, sizeof *names), *twice = NULL;
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        names[n++] = member->string;
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n && twice == NULL; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            twice = names[i];
    free(names);
    return twice;
}

static bool has_twice(const cJSON *value)
{
    const cJSON *member;
    if (cJSON_IsObject(value) && find_twice(value) != NULL)
        return true;
    cJSON_ArrayForEach(member, value)
    {
        if (has_twice(member))
            return true;
    }
    return false;
}

/* ---- */

cJSON *gate_json_tree_parse(struct gate_str text, char reason[GATE_JSON_TREE_REASON])
{
    const char *end = NULL;
    size_t at = 0;
    const char *loose = find_loose(text, &at);
    if (loose != NULL) {
        snprintf(reason, GATE_JSON_TREE_REASON, "%s (at byte %zu)", loose, at);
        return NULL;
    }
    cJSON *tree = cJSON_ParseWithLengthOpts(text.ptr, text.len, &end, false);
    while (tree != NULL && end < text.ptr + text.len && strchr(" \t\r\n", *end) != NULL)
        end++;
    const char *why = NULL;
    if (tree == NULL || end != text.ptr + text.len)
        why = "it is not JSON";
    else if (!cJSON_IsObject(tree))
        why = "it is not an object";
    else if (has_twice(tree))
        why = "an object names a member twice";
    if (why == NULL)
        return tree;
    if (tree == NULL || end != text.ptr + text.len)
        snprintf(reason, GATE_JSON_TREE_REASON, "%s (at byte %zu)", why,
                 end != NULL && end >= text.ptr ? (size_t)(end - text.ptr) : 0);
    else
        snprintf(reason, GATE_JSON_TREE_REASON, "%s", why);
    gate_json_tree_free(tree);
    return NULL;
}

static void wipe(cJSON *value)
{
    if (value->valuestring != NULL)
        gate_wipe(value->valuestring, strlen(value->valuestring));
    for (cJSON *child = value->child; child != NULL; child = child->next)
        wipe(child);
}

void gate_json_tree_free(cJSON *tree)
{
    if (tree != NULL)
        wipe(tree);
    cJSON_Delete(tree);
}

static bool is_allowed(const char *name, const char *allowed)
{
    size_t len = strlen(name);
    if (len == 0 || strchr(name, '|') != NULL)
        return false;
    for (const char *p = allowed; p != NULL; p = strchr(p, '|')) {
        p += *p == '|';
        if (strncmp(p, name, len) == 0 && (p[len] == '|' || p[len] == '\0'))
            return true;
    }
    return false;
}

const char *gate_json_tree_unknown(const cJSON *object, const char *allowed)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        if (!is_allowed(member->string, allowed))
            return member->string;
    }
    return NULL;
}

bool gate_json_tree_whole(const cJSON *value, double low, double high, uint64_t *out)
{
    if (!cJSON_IsNumber(value) || !(value->valuedouble >= low) || !(value->valuedouble <= high) ||
        value->valuedouble != floor(value->valuedouble))
        return false;
    *out = (uint64_t)value->valuedouble;
    return true;
}
