/* Model names: what conf/models.lua and the environment map, and what a name stands for. */
#include "script/models.h"

#include "base/utf8.h"
#include "script/script_internal.h"

#include <stdlib.h>

#define MODELS "models.lua"

enum {
    SHOWN_NAME = 64, /* bytes of a name in messages */
    STAR_TARGET = GATE_SCRIPT_MAX_TARGET - GATE_SCRIPT_MAX_NAME + 1, /* bytes with a '*' in them */
};

static const char FUNCTIONS_KEY; /* registry key of the table of functions, by name */

/* ---------------------------------------------------------------- order */

static int compare_exact(const void *a, const void *b)
{
    const struct gate_mapping *x = a, *y = b;
    return gate_script_compare(x->name, y->name);
}

static size_t count_stars(struct gate_str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += s.ptr[i] == '*';
    return count;
}

/* The order in which patterns are tried. */
static int compare_patterns(const void *a, const void *b)
{
    const struct gate_model_pattern *x = a, *y = b;
    if (x->extra != y->extra)
        return x->extra ? -1 : 1;
    if (x->prefix != y->prefix)
        return x->prefix > y->prefix ? -1 : 1;
    if (x->name.len != y->name.len)
        return x->name.len > y->name.len ? -1 : 1;
    size_t stars = count_stars(x->name), others = count_stars(y->name);
    if (stars != others)
        return stars < others ? -1 : 1;
    return gate_script_compare(x->name, y->name);
}

static const struct gate_mapping *find_exact(const struct gate_mapping *sorted, size_t count,
                                             struct gate_str name)
{
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        int order = gate_script_compare(sorted[low + half].name, name);
        if (order == 0)
            return &sorted[low + half];
        if (order < 0) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- patterns */

static size_t prefix_of(struct gate_str name)
{
    size_t n = 0;
    while (n < name.len && name.ptr[n] != '*' && name.ptr[n] != '?')
        n++;
    return n;
}

/* Bytes of the character at p, of which `left` are there; a byte that is no UTF-8 is one. */
static size_t char_length(const char *p, size_t left)
{
    size_t n = gate_utf8_length(p, left);
    return n > 0 ? n : 1;
}

/* Whether the pattern matches the whole name. *star: what its first '*' took, the shortest there
 * is. Only the '*' that was met last is ever widened: what an earlier one could take instead would
 * leave less of the name for the rest, which then matches nothing more. */
static bool matches(const struct gate_model_pattern *p, struct gate_str name, struct gate_str *star)
{
    const char *pattern = p->name.ptr;
    size_t at = p->prefix, n = p->prefix; /* in the pattern, in the name */
    size_t again = 0, widened = 0; /* behind the last '*', and where the name goes on there */
    *star = (struct gate_str){NULL, 0};
    if (name.len < n || memcmp(pattern, name.ptr, n) != 0)
        return false;
    bool met = false, first = false; /* a '*', and the last one met is the first */
    while (n < name.len || at < p->name.len) {
        if (at < p->name.len && pattern[at] == '*') {
            first = !met;
            met = true;
            again = ++at;
            widened = n;
            bool last = at == p->name.len; /* it takes all that is left */
            if (first)
                *star = (struct gate_str){name.ptr + n, last ? name.len - n : 0};
            if (last)
                return true;
            continue;
        }
        if (at < p->name.len && n < name.len &&
            (pattern[at] == '?' || pattern[at] == name.ptr[n])) {
            n += pattern[at] == '?' ? char_length(name.ptr + n, name.len - n) : 1;
            at++;
            continue;
        }
        if (!met || widened == name.len)
            return false;
        widened += char_length(name.ptr + widened, name.len - widened);
        n = widened;
        at = again;
        if (first)
            star->len = (size_t)(name.ptr + n - star->ptr);
    }
    return true;
}

static const struct gate_model_pattern *find_pattern(const struct gate_model_pattern *patterns,
                                                     size_t count, struct gate_str name,
                                                     struct gate_str *star)
{
    for (size_t i = 0; i < count; i++) {
        if (matches(&patterns[i], name, star))
            return &patterns[i];
    }
    return NULL;
}

/* The target of a pattern with the star in place of its '*'. out holds GATE_SCRIPT_MAX_TARGET
 * bytes, which check_mapping has made sure of. */
static struct gate_str fill(struct gate_str target, struct gate_str star, char *out)
{
    const char *at = memchr(target.ptr, '*', target.len);
    if (at == NULL || star.ptr == NULL)
        return target;
    size_t before = (size_t)(at - target.ptr), after = target.len - before - 1;
    memcpy(out, target.ptr, before);
    memcpy(out + before, star.ptr, star.len);
    memcpy(out + before + star.len, at + 1, after);
    return (struct gate_str){out, before + star.len + after};
}

/* ---------------------------------------------------------------- entries */

/* NULL, or why the pair cannot be an entry. target.ptr NULL: a function. */
static const char *check_mapping(struct gate_str name, struct gate_str target)
{
    if (name.len == 0 || name.len > GATE_SCRIPT_MAX_NAME)
        return "a model name has 1 to 256 bytes";
    if (target.ptr != NULL && (target.len == 0 || target.len > GATE_SCRIPT_MAX_TARGET))
        return "a target has 1 to 512 bytes";
    if (!gate_script_is_printable(name) || !gate_script_is_printable(target))
        return "control characters are not allowed";
    size_t stars = prefix_of(name) < name.len ? count_stars(target) : 0;
    if (stars > 0 && count_stars(name) == 0)
        return "the target has a '*' and the name has none";
    if (stars > 1)
        return "a target has at most one '*'";
    if (stars == 1 && target.len > STAR_TARGET)
        return "a target with a '*' has at most 257 bytes";
    return NULL;
}

/* Both texts in one block, that of the name first. */
static struct gate_mapping copy_texts(struct gate_str name, struct gate_str target)
{
    char *text = gate_alloc(name.len + target.len);
    memcpy(text, name.ptr, name.len);
    if (target.len > 0)
        memcpy(text + name.len, target.ptr, target.len);
    return (struct gate_mapping){{text, name.len}, {text + name.len, target.len}};
}

/* Room for one more in an array that doubles: a power of two is full. */
static void *grow(void *list, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return list;
    return gate_realloc(list, (count > 0 ? 2 * count : 1) * size);
}

static void put_exact(struct gate_models *m, struct gate_str name, struct gate_str target)
{
    m->exact = grow(m->exact, m->exact_count, sizeof *m->exact);
    m->exact[m->exact_count++] = copy_texts(name, target);
}

static void put_pattern(struct gate_models *m, struct gate_str name, struct gate_str target,
                        bool extra)
{
    struct gate_mapping texts = copy_texts(name, target);
    m->patterns = grow(m->patterns, m->pattern_count, sizeof *m->patterns);
    m->patterns[m->pattern_count++] =
        (struct gate_model_pattern){texts.name, texts.target, prefix_of(name), extra};
}

enum gate_status gate_models_add_extra(struct gate_models *m, const struct gate_mapping *extra,
                                       size_t count, struct gate_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct gate_str name = extra[i].name;
        struct gate_str target = extra[i].target.ptr != NULL ? extra[i].target : GATE_STR("");
        const char *wrong = check_mapping(name, target);
        if (wrong != NULL)
            return gate_fail(err, GATE_EINVAL, "model mapping \"%.*s\": %s",
                             (int)(name.len < SHOWN_NAME ? name.len : SHOWN_NAME), name.ptr, wrong);
        if (prefix_of(name) == name.len)
            put_exact(m, name, target);
        else if (m->pattern_count == GATE_MODELS_MAX_PATTERNS)
            return gate_fail(err, GATE_ELIMIT, "model mappings: more than %d with '*' or '?'",
                             GATE_MODELS_MAX_PATTERNS);
        else
            put_pattern(m, name, target, true);
    }
    gate_models_seal(m);
    return GATE_OK;
}

void gate_models_seal(struct gate_models *m)
{
    if (m->exact_count > 0)
        qsort(m->exact, m->exact_count, sizeof *m->exact, compare_exact);
    if (m->pattern_count > 0)
        qsort(m->patterns, m->pattern_count, sizeof *m->patterns, compare_patterns);
}

void gate_models_finish(struct gate_models *m)
{
    for (size_t i = 0; i < m->exact_count; i++)
        free((char *)m->exact[i].name.ptr);
    for (size_t i = 0; i < m->pattern_count; i++)
        free((char *)m->patterns[i].name.ptr);
    free(m->exact);
    free(m->patterns);
    *m = (struct gate_models){0};
}

/* ---------------------------------------------------------------- models.lua */

struct load {
    struct gate_models *models;
    /* Those of the environment: the first of each list, in order. They win. */
    size_t extra_exact, extra_patterns;
};

static void add_exact(lua_State *L, const struct load *load, struct gate_str name,
                      struct gate_str target)
{
    struct gate_models *m = load->models;
    struct gate_str star;
    char room[GATE_SCRIPT_MAX_TARGET];
    if (m->exact_count - load->extra_exact >= GATE_MODELS_MAX)
        luaL_error(L, "more than %d names", GATE_MODELS_MAX);
    if (find_exact(m->exact, load->extra_exact, name) != NULL)
        return;
    gate_sandbox_charge(L, load->extra_patterns);
    const struct gate_model_pattern *p =
        find_pattern(m->patterns, load->extra_patterns, name, &star);
    if (p != NULL) /* still a name to be listed, but it stands for what the environment says */
        target = fill(p->target, star, room);
    put_exact(m, name, target.len > 0 || p == NULL ? target : name);
}

/* One entry of the table that models.lua returned; key and value are on top of the stack. */
static void read_entry(lua_State *L, const struct load *load)
{
    struct gate_models *m = load->models;
    struct gate_str name, target = {NULL, 0};
    char shown[SHOWN_NAME + 1];
    bool function = lua_type(L, -1) == LUA_TFUNCTION;
    m->has_functions |= function;
    if (function && lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1) {
        m->has_fallback = true;
        return;
    }
    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L,
                   "a key is a %s, expected a model name (a string; or one function without a key, "
                   "for all other names)",
                   luaL_typename(L, -2));
    name.ptr = lua_tolstring(L, -2, &name.len);
    snprintf(shown, sizeof shown, "%s", name.ptr);
    if (!function && lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "the value of \"%s\" is a %s, expected a model (a string) or a function",
                   shown, luaL_typename(L, -1));
    if (!function)
        target.ptr = lua_tolstring(L, -1, &target.len);
    const char *wrong = check_mapping(name, target);
    if (wrong != NULL)
        luaL_error(L, "\"%s\": %s", shown, wrong);
    if (prefix_of(name) == name.len)
        add_exact(L, load, name, target);
    else if (m->pattern_count == GATE_MODELS_MAX_PATTERNS)
        luaL_error(L, "more than %d names with '*' or '?'", GATE_MODELS_MAX_PATTERNS);
    else
        put_pattern(m, name, target, false);
}

int gate_script_load_models(lua_State *L)
{
    const struct gate_script_load *arg = lua_touserdata(L, 1);
    struct gate_models *m = gate_generation_models_store(arg->generation);
    struct load load = {m, m != NULL ? m->exact_count : 0, m != NULL ? m->pattern_count : 0};
    struct gate_str text;
    gate_generation_models(arg->generation, &text);
    gate_sandbox_run(L, MODELS, text, -1);
    if (!lua_istable(L, -1))
        luaL_error(L,
                   "the file returned %s, expected a table of model names like "
                   "return { [\"fast\"] = \"qwen-turbo\" }",
                   lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
    if (lua_getmetatable(L, -1))
        luaL_error(L, "the file returned a table with a metatable, expected a plain one: copy its "
                      "entries");
    lua_newtable(L); /* functions by name: the script cannot reach this table */
    lua_pushnil(L);
    while (lua_next(L, -3)) {
        gate_sandbox_charge(L, 1);
        if (m != NULL)
            read_entry(L, &load);
        if (lua_type(L, -1) == LUA_TFUNCTION) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, -4);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &FUNCTIONS_KEY);
    return 0;
}

/* ---------------------------------------------------------------- what a name stands for */

struct map_call {
    struct gate_str entry; /* whose function is called; ptr NULL: that of all other names */
    struct gate_str name;
    char *out;
    size_t len; /* of what it said; 0: the name stands for itself */
};

__attribute__((noreturn, format(printf, 3, 4))) static void
refuse(lua_State *L, const struct map_call *call, const char *format, ...)
{
    char text[GATE_ERROR_MAX], label[SHOWN_NAME + 32];
    lua_Debug ar;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (call->entry.ptr != NULL)
        snprintf(label, sizeof label, "the function of \"%.*s\"",
                 (int)(call->entry.len < SHOWN_NAME ? call->entry.len : SHOWN_NAME),
                 call->entry.ptr);
    else
        snprintf(label, sizeof label, "the function for other names");
    lua_pushvalue(L, 2);
    lua_getinfo(L, ">S", &ar);
    const struct gate_script_function f = {MODELS, label, ar.linedefined};
    gate_script_refuse(L, &f, "%s", text);
}

static int call_map(lua_State *L)
{
    struct map_call *call = lua_touserdata(L, 1);
    struct gate_str target;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FUNCTIONS_KEY);
    if (call->entry.ptr != NULL) {
        gate_api_push_str(L, call->entry);
        lua_rawget(L, -2);
    } else {
        lua_rawgeti(L, -1, 1);
    }
    if (lua_type(L, -1) != LUA_TFUNCTION)
        luaL_error(L, "the file returned another table than when it was loaded: a function is "
                      "missing");
    lua_replace(L, 2);
    lua_pushvalue(L, 2);
    gate_api_push_str(L, call->name);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1))
        return 0;
    if (lua_type(L, -1) != LUA_TSTRING)
        refuse(L, call, "a %s, expected the name of a model or nil", luaL_typename(L, -1));
    target.ptr = lua_tolstring(L, -1, &target.len);
    if (target.len == 0)
        refuse(L, call, "an empty string, expected the name of a model or nil");
    if (target.len > GATE_SCRIPT_MAX_TARGET)
        refuse(L, call, "a model name of %zu bytes, expected at most %d", target.len,
               GATE_SCRIPT_MAX_TARGET);
    if (!gate_script_is_printable(target))
        refuse(L, call, "a model name with control characters");
    memcpy(call->out, target.ptr, target.len);
    call->len = target.len;
    return 0;
}

/* `entry` is that of the generation; ptr NULL: the function for all other names. */
static enum gate_status ask(struct gate_script *s, struct gate_str entry, struct gate_str name,
                            char *out, struct gate_str *target, struct gate_error *err)
{
    struct map_call call = {entry, name, out, 0};
    enum gate_status status =
        gate_script_call(s, MODELS, &GATE_SCRIPT_CALL_LIMITS, call_map, &call, err);
    if (status == GATE_OK)
        *target = (struct gate_str){out, call.len};
    return status;
}

enum gate_status gate_script_map(struct gate_script *s, struct gate_str name, char *out,
                                 struct gate_str *target, struct gate_error *err)
{
    const struct gate_models *m = gate_generation_names(s->generation);
    struct gate_str star;
    *target = (struct gate_str){NULL, 0};
    const struct gate_mapping *exact = find_exact(m->exact, m->exact_count, name);
    if (exact != NULL && exact->target.len == 0)
        return ask(s, exact->name, name, out, target, err);
    if (exact != NULL) {
        *target = exact->target;
        return GATE_OK;
    }
    if (m->pattern_count == 0 && !m->has_fallback)
        return GATE_OK;
    /* Clients choose names: none of these can make a good script fail. */
    if (name.len == 0 || name.len > GATE_SCRIPT_MAX_NAME || !gate_script_is_printable(name))
        return GATE_OK;
    const struct gate_model_pattern *p = find_pattern(m->patterns, m->pattern_count, name, &star);
    if (p != NULL && p->target.len > 0)
        *target = fill(p->target, star, out);
    else if (p != NULL || m->has_fallback)
        return ask(s, p != NULL ? p->name : (struct gate_str){NULL, 0}, name, out, target, err);
    return GATE_OK;
}
