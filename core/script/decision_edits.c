/* What a target changes of the request: headers, and fields of the body as JSON. */
#include "script/decision.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- memory */

/* Where the edits of the target that is being read are collected. The state owns it, so an error in
 * the middle loses nothing. */
static struct gate_edits *room_of(struct gate_decision_call *call)
{
    if (*call->room == NULL) {
        struct gate_edits *e = gate_calloc(1, sizeof *e + GATE_SCRIPT_EDIT_TEXT);
        e->text = (char *)(e + 1);
        *call->room = e;
    }
    if (!call->has_edits) {
        struct gate_edits *e = *call->room;
        e->header_count = e->field_count = 0;
        e->system = (struct gate_str){NULL, 0};
        e->max_tokens = 0;
        call->edit_len = 0;
        call->has_edits = true;
    }
    return *call->room;
}

/* What was put since the text had `from` bytes. */
static struct gate_str since(const struct gate_decision_call *call, const struct gate_edits *e,
                             size_t from)
{
    return (struct gate_str){e->text + from, call->edit_len - from};
}

static struct gate_str put_copy(lua_State *L, struct gate_decision_call *call, struct gate_edits *e,
                                struct gate_str bytes)
{
    size_t from = call->edit_len;
    gate_decision_put(L, call, e, bytes);
    return since(call, e, from);
}

/* ---------------------------------------------------------------- headers */

/* The names frame the message, or carry who the gateway is at the provider. */
static bool is_own_header(struct gate_str name)
{
    static const char *const own[] = {
        "accept-encoding",
        "api-key",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "x-api-key",
        "x-goog-api-key",
        "transfer-encoding",
    };
    const struct gate_str proxy = GATE_STR("proxy-");
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (gate_str_eq(name, gate_str_of(own[i])))
            return true;
    }
    return name.len >= proxy.len && memcmp(name.ptr, proxy.ptr, proxy.len) == 0;
}

static bool is_token(struct gate_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return s.len > 0 && s.len <= GATE_DECISION_MAX_HEADER;
}

static bool is_header_value(struct gate_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return s.len <= GATE_DECISION_MAX_VALUE;
}

/* One header; its name and value are on top of the stack. */
static void read_header(lua_State *L, struct gate_decision_call *call, struct gate_edits *e)
{
    struct gate_str name = {NULL, 0}, value = {NULL, 0};
    if (lua_type(L, -2) != LUA_TSTRING)
        gate_script_refuse(L, call->route,
                           "a target with a key in headers that is a %s, expected the name of a "
                           "header",
                           luaL_typename(L, -2));
    name.ptr = lua_tolstring(L, -2, &name.len);
    if (!is_token(name))
        gate_script_refuse(L, call->route,
                           "a target with the header '%.*s', whose name is no 1 to %d characters "
                           "that a header may have",
                           GATE_DECISION_SHOWN, name.ptr, GATE_DECISION_MAX_HEADER);
    if (e->header_count == GATE_SCRIPT_MAX_EDITS)
        gate_script_refuse(L, call->route, "a target with more than %d headers",
                           GATE_SCRIPT_MAX_EDITS);
    name = put_copy(L, call, e, name);
    for (size_t i = 0; i < name.len; i++) {
        char *c = (char *)name.ptr + i; /* in the text of e */
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    if (is_own_header(name))
        gate_script_refuse(L, call->route,
                           "a target with the header '%.*s', which only the gateway sets",
                           (int)name.len, name.ptr);
    bool unset = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    if (!unset && lua_type(L, -1) != LUA_TSTRING)
        gate_script_refuse(L, call->route,
                           "a target whose headers['%.*s'] is a %s, expected a string or false",
                           (int)name.len, name.ptr, luaL_typename(L, -1));
    if (!unset)
        value.ptr = lua_tolstring(L, -1, &value.len);
    if (!is_header_value(value))
        gate_script_refuse(L, call->route,
                           "a target whose headers['%.*s'] has control characters or more than %d "
                           "bytes",
                           (int)name.len, name.ptr, GATE_DECISION_MAX_VALUE);
    if (!unset)
        value = put_copy(L, call, e, value);
    e->headers[e->header_count++] = (struct gate_header){name, value};
}

void gate_decision_read_headers(lua_State *L, struct gate_decision_call *call)
{
    gate_decision_check_table(L, call, "headers", "a table like { [\"x-tier\"] = \"gold\" }");
    struct gate_edits *e = room_of(call);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        gate_sandbox_charge(L, 1);
        read_header(L, call, e);
        lua_pop(L, 1);
    }
}

/* ---------------------------------------------------------------- fields */

/* NULL, or what is to be done instead of editing this field. */
static const char *find_instead(struct gate_str name)
{
    static const struct {
        const char *name, *instead;
    } fields[] = {
        {"model", "set model of the target"},
        {"stream", "only the client says how it reads the answer"},
        {"messages", "use body.append_system"},
        {"stream_options", "use ask_usage of the provider in gateway.lua"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (gate_str_eq(name, gate_str_of(fields[i].name)))
            return fields[i].instead;
    }
    return NULL;
}

/* Adds the field whose name, a string, is on the stack at `at`. */
static struct gate_field_edit *add_field(lua_State *L, struct gate_decision_call *call,
                                         struct gate_edits *e, int at)
{
    struct gate_str name;
    name.ptr = lua_tolstring(L, at, &name.len);
    if (name.len == 0 || name.len > GATE_DECISION_MAX_FIELD || !gate_script_is_printable(name))
        gate_script_refuse(L, call->route,
                           "a target whose body edits a field with a name of other than 1 to %d "
                           "bytes, or with control characters",
                           GATE_DECISION_MAX_FIELD);
    const char *instead = find_instead(name);
    if (instead != NULL)
        gate_script_refuse(L, call->route, "a target whose body edits the field '%.*s': %s",
                           (int)name.len, name.ptr, instead);
    if (e->field_count == GATE_SCRIPT_MAX_EDITS)
        gate_script_refuse(L, call->route, "a target whose body edits more than %d fields",
                           GATE_SCRIPT_MAX_EDITS);
    struct gate_field_edit *field = &e->fields[e->field_count];
    *field = (struct gate_field_edit){put_copy(L, call, e, name), {NULL, 0}};
    e->field_count++;
    return field;
}

/* The table body.set on top of the stack. */
static void read_set(lua_State *L, struct gate_decision_call *call, struct gate_edits *e)
{
    gate_decision_check_table(L, call, "body.set", "a table like { temperature = 0 }");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        gate_sandbox_charge(L, 1);
        if (lua_type(L, -2) != LUA_TSTRING)
            gate_script_refuse(L, call->route,
                               "a target with a key in body.set that is a %s, expected the name of "
                               "a field",
                               luaL_typename(L, -2));
        struct gate_field_edit *field = add_field(L, call, e, -2);
        char shown[GATE_DECISION_SHOWN + 1];
        snprintf(shown, sizeof shown, "%s", lua_tostring(L, -2));
        size_t from = call->edit_len;
        gate_decision_put_json(L, call, e, shown);
        field->json = since(call, e, from);
        lua_pop(L, 1);
    }
}

/* The list body.remove on top of the stack. */
static void read_remove(lua_State *L, struct gate_decision_call *call, struct gate_edits *e)
{
    gate_decision_check_table(L, call, "body.remove", "a list of names like { \"user\" }");
    lua_Integer last = gate_script_list(L, call->route);
    if (last == 0) {
        lua_pushnil(L);
        if (lua_next(L, -2))
            gate_script_refuse(L, call->route, "a target whose body.remove is no list of names");
    }
    for (lua_Integer i = 1; i <= last; i++) {
        if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
            gate_script_refuse(L, call->route,
                               "a target whose body.remove[%lld] is %s, expected the name of a "
                               "field",
                               (long long)i, luaL_typename(L, -1));
        add_field(L, call, e, -1);
        lua_pop(L, 1);
    }
}

void gate_decision_read_body(lua_State *L, struct gate_decision_call *call)
{
    gate_decision_check_table(L, call, "body", "a table like { set = { temperature = 0 } }");
    struct gate_edits *e = room_of(call);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        struct gate_str key = {NULL, 0}, text;
        if (lua_type(L, -2) == LUA_TSTRING)
            key.ptr = lua_tolstring(L, -2, &key.len);
        if (gate_str_eq(key, GATE_STR("set"))) {
            read_set(L, call, e);
        } else if (gate_str_eq(key, GATE_STR("remove"))) {
            read_remove(L, call, e);
        } else if (gate_str_eq(key, GATE_STR("max_tokens"))) {
            e->max_tokens =
                (uint64_t)gate_decision_read_whole(L, call, "a target whose body.max_tokens",
                                                   "a whole number", 1, GATE_DECISION_MAX_TOKENS);
        } else if (gate_str_eq(key, GATE_STR("append_system"))) {
            if (lua_type(L, -1) != LUA_TSTRING)
                gate_script_refuse(L, call->route,
                                   "a target whose body.append_system is a %s, expected a string",
                                   luaL_typename(L, -1));
            text.ptr = lua_tolstring(L, -1, &text.len);
            e->system = put_copy(L, call, e, text);
        } else {
            gate_decision_refuse_key(L, call, "a target's body",
                                     "set, remove, append_system or max_tokens");
        }
        lua_pop(L, 1);
    }
}

/* ---------------------------------------------------------------- the whole */

static int compare_headers(const void *a, const void *b)
{
    const struct gate_header *x = a, *y = b;
    return gate_script_compare(x->name, y->name);
}

static int compare_fields(const void *a, const void *b)
{
    const struct gate_field_edit *x = a, *y = b;
    return gate_script_compare(x->name, y->name);
}

/* Puts the edits in order of their names: the same table is the same edits in every state. */
static void sort(lua_State *L, const struct gate_decision_call *call, struct gate_edits *e)
{
    qsort(e->headers, e->header_count, sizeof e->headers[0], compare_headers);
    qsort(e->fields, e->field_count, sizeof e->fields[0], compare_fields);
    for (size_t i = 1; i < e->header_count; i++) {
        struct gate_str name = e->headers[i].name;
        if (gate_str_eq(name, e->headers[i - 1].name))
            gate_script_refuse(L, call->route, "a target with the header '%.*s' twice",
                               (int)name.len, name.ptr);
    }
    for (size_t i = 1; i < e->field_count; i++) {
        struct gate_str name = e->fields[i].name;
        if (gate_str_eq(name, e->fields[i - 1].name))
            gate_script_refuse(L, call->route, "a target whose body edits the field '%.*s' twice",
                               (int)name.len, name.ptr);
    }
}

static struct gate_str moved(struct gate_str s, const char *from, char *to)
{
    return s.ptr != NULL ? (struct gate_str){to + (s.ptr - from), s.len} : s;
}

struct gate_edits *gate_decision_pack_edits(lua_State *L, const struct gate_decision_call *call)
{
    struct gate_edits *room = *call->room;
    sort(L, call, room);
    if (room->header_count + room->field_count + room->system.len + room->max_tokens == 0)
        return NULL;
    struct gate_edits *e = gate_alloc(sizeof *e + call->edit_len);
    *e = *room;
    e->text = (char *)(e + 1);
    memcpy(e->text, room->text, call->edit_len);
    for (size_t i = 0; i < e->header_count; i++) {
        struct gate_header *h = &e->headers[i];
        h->name = moved(h->name, room->text, e->text);
        h->value = moved(h->value, room->text, e->text);
    }
    for (size_t i = 0; i < e->field_count; i++) {
        struct gate_field_edit *f = &e->fields[i];
        f->name = moved(f->name, room->text, e->text);
        f->json = moved(f->json, room->text, e->text);
    }
    e->system = moved(e->system, room->text, e->text);
    return e;
}
