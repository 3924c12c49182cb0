/* One target, or a rejection, of what route returned. */
#include "script/decision.h"

#include "base/utf8.h"

#include <assert.h>

enum {
    MAX_OVERRIDE_MS = 86400000,
    MAX_RETRIES = 31,
    MIN_REJECT = 400,
    MAX_REJECT = 599,
    MAX_CODE = 64,
    NAMES_TEXT = GATE_SCRIPT_TEXT - GATE_SCRIPT_REASON, /* a reason always has its room */
};

/* ---------------------------------------------------------------- values */

void gate_decision_check_table(lua_State *L, const struct gate_decision_call *call,
                               const char *what, const char *expected)
{
    if (!lua_istable(L, -1))
        gate_script_refuse(L, call->route, "a target whose %s is a %s, expected %s", what,
                           luaL_typename(L, -1), expected);
    /* Its entries could be elsewhere, as those of a module's table are: reading it raw would miss
     * them without a word. */
    if (lua_getmetatable(L, -1))
        gate_script_refuse(
            L, call->route,
            "a target whose %s is a table with a metatable, expected a plain one: copy its entries",
            what);
}

lua_Integer gate_decision_read_whole(lua_State *L, const struct gate_decision_call *call,
                                     const char *what, const char *expected, lua_Integer min,
                                     lua_Integer max)
{
    int is_whole = 0;
    lua_Integer n = lua_tointegerx(L, -1, &is_whole);
    if (lua_type(L, -1) != LUA_TNUMBER)
        gate_script_refuse(L, call->route, "%s is a %s, expected %s (%lld to %lld)", what,
                           luaL_typename(L, -1), expected, (long long)min, (long long)max);
    if (!is_whole || n < min || n > max)
        gate_script_refuse(L, call->route, "%s is %.14g, expected %s (%lld to %lld)", what,
                           (double)lua_tonumber(L, -1), expected, (long long)min, (long long)max);
    return n;
}

void gate_decision_refuse_key(lua_State *L, const struct gate_decision_call *call,
                              const char *owner, const char *expected)
{
    if (lua_type(L, -2) != LUA_TSTRING)
        gate_script_refuse(L, call->route, "%s with a key that is a %s, expected %s", owner,
                           luaL_typename(L, -2), expected);
    gate_script_refuse(L, call->route, "%s with the unknown key '%.*s', expected %s", owner,
                       GATE_DECISION_SHOWN, lua_tostring(L, -2), expected);
}

/* Copies a name or tag into the decision. */
static struct gate_str keep(lua_State *L, const struct gate_decision_call *call, struct gate_str s)
{
    struct gate_decision *d = call->out;
    if (d->text_len > NAMES_TEXT || s.len > NAMES_TEXT - d->text_len)
        gate_script_refuse(L, call->route, "names and tags of more than %d bytes in all",
                           NAMES_TEXT);
    char *copy = d->text + d->text_len;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    d->text_len += s.len;
    return (struct gate_str){copy, s.len};
}

/* Copies text that people read, at most `max` bytes of it: valid UTF-8 without control characters,
 * whatever the script had. There is room for it. */
static struct gate_str keep_clean(struct gate_decision *d, struct gate_str s, size_t max)
{
    static const struct gate_str replacement = {"\xef\xbf\xbd", 3}; /* U+FFFD */
    assert(max <= sizeof d->text - d->text_len);
    char *copy = d->text + d->text_len;
    size_t len = 0;
    for (size_t i = 0; i < s.len;) {
        size_t n = gate_utf8_length(s.ptr + i, s.len - i);
        unsigned char c = (unsigned char)s.ptr[i];
        struct gate_str piece = {s.ptr + i, n};
        if (n == 0)
            piece = replacement;
        else if (c < 0x20 || c == 0x7f)
            piece = GATE_STR(" ");
        if (piece.len > max - len)
            break;
        memcpy(copy + len, piece.ptr, piece.len);
        len += piece.len;
        i += n > 0 ? n : 1;
    }
    d->text_len += len;
    return (struct gate_str){copy, len};
}

/* The string on top of the stack. */
static struct gate_str read_string(lua_State *L, const struct gate_decision_call *call,
                                   const char *owner, const char *what)
{
    struct gate_str s;
    if (lua_type(L, -1) != LUA_TSTRING)
        gate_script_refuse(L, call->route, "%s whose %s is a %s, expected a string", owner, what,
                           luaL_typename(L, -1));
    s.ptr = lua_tolstring(L, -1, &s.len);
    return s;
}

void gate_decision_read_reason(lua_State *L, const struct gate_decision_call *call)
{
    struct gate_decision *d = call->out;
    struct gate_str reason = read_string(L, call, "a table", "reason");
    if (d->reason.len == 0)
        d->reason = keep_clean(d, reason, GATE_SCRIPT_REASON);
}

/* ---------------------------------------------------------------- a rejection */

/* The table `reject` on top of the stack. */
static void read_reject(lua_State *L, const struct gate_decision_call *call)
{
    struct gate_decision *d = call->out;
    if (!lua_istable(L, -1))
        gate_script_refuse(L, call->route,
                           "a reject that is a %s, expected a table like { status = 429 }",
                           luaL_typename(L, -1));
    d->reject.code = GATE_STR("rejected");
    d->reject.message = GATE_STR("This request was rejected by the gateway's policy.");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        struct gate_str key = {NULL, 0};
        if (lua_type(L, -2) == LUA_TSTRING)
            key.ptr = lua_tolstring(L, -2, &key.len);
        if (gate_str_eq(key, GATE_STR("status"))) {
            d->reject.status = (int)gate_decision_read_whole(
                L, call, "a reject whose status", "a whole number", MIN_REJECT, MAX_REJECT);
        } else if (gate_str_eq(key, GATE_STR("retry_after_ms"))) {
            d->reject.retry_after_ms = (uint32_t)gate_decision_read_whole(
                L, call, "a reject whose retry_after_ms", "whole milliseconds", 0, MAX_OVERRIDE_MS);
        } else if (gate_str_eq(key, GATE_STR("message"))) {
            struct gate_str message = read_string(L, call, "a reject", "message");
            if (message.len > 0)
                d->reject.message = keep_clean(d, message, GATE_SCRIPT_MESSAGE);
        } else if (gate_str_eq(key, GATE_STR("code"))) {
            struct gate_str code = read_string(L, call, "a reject", "code");
            if (!gate_script_is_word(code, MAX_CODE))
                gate_script_refuse(L, call->route,
                                   "a reject whose code is no 1 to %d characters of A-Z a-z 0-9 _ "
                                   ". : -",
                                   MAX_CODE);
            d->reject.code = keep(L, call, code);
        } else {
            gate_decision_refuse_key(L, call, "a reject",
                                     "status, code, message or retry_after_ms");
        }
        lua_pop(L, 1);
    }
    if (d->reject.status == 0)
        gate_script_refuse(L, call->route, "a reject without status, expected %d to %d", MIN_REJECT,
                           MAX_REJECT);
}

/* ---------------------------------------------------------------- a target */

/* The string on top of the stack is the name of target t. */
static void read_name(lua_State *L, const struct gate_decision_call *call, struct gate_target *t)
{
    struct gate_str name;
    name.ptr = lua_tolstring(L, -1, &name.len);
    if (name.len == 0)
        gate_script_refuse(L, call->route, "an empty string, expected the name of a model");
    if (name.len > GATE_SCRIPT_MAX_TARGET)
        gate_script_refuse(L, call->route, "a model name of %zu bytes, expected at most %d",
                           name.len, GATE_SCRIPT_MAX_TARGET);
    if (!gate_script_is_printable(name))
        gate_script_refuse(L, call->route, "a model name with control characters");
    t->name = keep(L, call, name);
}

static int read_strategy(lua_State *L, const struct gate_decision_call *call)
{
    char known[GATE_ERROR_MAX] = "";
    struct gate_str name = read_string(L, call, "a target", "strategy");
    for (int i = 0; i < GATE_STRATEGIES; i++) {
        if (gate_str_eq(name, gate_str_of(gate_strategy_names[i])))
            return i;
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s",
                 i == 0                     ? ""
                 : i + 1 == GATE_STRATEGIES ? " or "
                                            : ", ",
                 gate_strategy_names[i]);
    }
    gate_script_refuse(L, call->route, "a target whose strategy is '%.*s', expected %s",
                       GATE_DECISION_SHOWN, name.ptr, known);
}

static void read_tags(lua_State *L, const struct gate_decision_call *call, struct gate_target *t)
{
    gate_decision_check_table(L, call, "tags", "a list of tags like { \"paid\" }");
    lua_Integer last = gate_script_list(L, call->route);
    if (last < 1 || last > GATE_SCRIPT_MAX_TARGET_TAGS)
        gate_script_refuse(L, call->route, "a target whose tags are no list of 1 to %d tags",
                           GATE_SCRIPT_MAX_TARGET_TAGS);
    for (; t->tag_count < (size_t)last; t->tag_count++) {
        struct gate_str tag = {NULL, 0};
        if (lua_rawgeti(L, -1, (lua_Integer)t->tag_count + 1) == LUA_TSTRING)
            tag.ptr = lua_tolstring(L, -1, &tag.len);
        if (!gate_script_is_word(tag, GATE_POLICY_MAX_TAG))
            gate_script_refuse(L, call->route,
                               "a target whose tags[%zu] is %s, expected 1 to %d characters of "
                               "A-Z a-z 0-9 _ . : -",
                               t->tag_count + 1, tag.ptr != NULL ? "no tag" : luaL_typename(L, -1),
                               GATE_POLICY_MAX_TAG);
        t->tags[t->tag_count] = keep(L, call, tag);
        lua_pop(L, 1);
    }
}

enum field {
    FIELD_MODEL,
    FIELD_FIRST_TOKEN_MS,
    FIELD_IDLE_MS,
    FIELD_TOTAL_MS,
    FIELD_RETRIES,
    FIELD_STRATEGY,
    FIELD_TAGS,
    FIELD_HEADERS,
    FIELD_BODY,
    FIELD_REASON,
    FIELD_REJECT,
    FIELDS,
};

/* The field whose name is under the top of the stack. */
static enum field find_field(lua_State *L, const struct gate_decision_call *call)
{
    static const struct gate_str names[FIELDS] = {
        [FIELD_MODEL] = {"model", 5},     [FIELD_FIRST_TOKEN_MS] = {"first_token_ms", 14},
        [FIELD_IDLE_MS] = {"idle_ms", 7}, [FIELD_TOTAL_MS] = {"total_ms", 8},
        [FIELD_RETRIES] = {"retries", 7}, [FIELD_STRATEGY] = {"strategy", 8},
        [FIELD_TAGS] = {"tags", 4},       [FIELD_HEADERS] = {"headers", 7},
        [FIELD_BODY] = {"body", 4},       [FIELD_REASON] = {"reason", 6},
        [FIELD_REJECT] = {"reject", 6},
    };
    struct gate_str key = {NULL, 0};
    if (lua_type(L, -2) == LUA_TSTRING)
        key.ptr = lua_tolstring(L, -2, &key.len);
    for (int i = 0; i < FIELDS && key.ptr != NULL; i++) {
        if (gate_str_eq(key, names[i]))
            return (enum field)i;
    }
    gate_decision_refuse_key(L, call, "a target",
                             "model, first_token_ms, idle_ms, total_ms, retries, strategy, tags, "
                             "headers, body, reason or reject");
}

static uint32_t read_ms(lua_State *L, const struct gate_decision_call *call, const char *key)
{
    return (uint32_t)gate_decision_read_whole(L, call, key, "whole milliseconds", 0,
                                              MAX_OVERRIDE_MS);
}

/* One field of a target table; key and value are on top of the stack. */
static enum field read_field(lua_State *L, struct gate_decision_call *call, struct gate_target *t)
{
    enum field field = find_field(L, call);
    switch (field) {
    case FIELD_MODEL:
        read_string(L, call, "a target", "model");
        read_name(L, call, t);
        break;
    case FIELD_FIRST_TOKEN_MS:
        t->first_token_ms = read_ms(L, call, "a target whose first_token_ms");
        break;
    case FIELD_IDLE_MS:
        t->idle_ms = read_ms(L, call, "a target whose idle_ms");
        break;
    case FIELD_TOTAL_MS:
        t->total_ms = read_ms(L, call, "a target whose total_ms");
        break;
    case FIELD_RETRIES:
        t->retries = (int)gate_decision_read_whole(L, call, "a target whose retries",
                                                   "a whole number", 0, MAX_RETRIES);
        break;
    case FIELD_STRATEGY:
        t->strategy = read_strategy(L, call);
        break;
    case FIELD_TAGS:
        read_tags(L, call, t);
        break;
    case FIELD_HEADERS:
        gate_decision_read_headers(L, call);
        break;
    case FIELD_BODY:
        gate_decision_read_body(L, call);
        break;
    case FIELD_REASON:
        gate_decision_read_reason(L, call);
        break;
    case FIELD_REJECT:
        if (call->in_list)
            gate_script_refuse(L, call->route, "a list with a reject in it, expected targets");
        read_reject(L, call);
        break;
    case FIELDS:
        break;
    }
    return field;
}

/* The table on top of the stack is one target, or a rejection where that may stand. */
static void read_fields(lua_State *L, struct gate_decision_call *call, struct gate_target *t)
{
    size_t fields = 0, others = 0;
    bool rejected = false;
    call->has_edits = false;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        enum field field = read_field(L, call, t);
        fields++;
        rejected |= field == FIELD_REJECT;
        others += field != FIELD_REJECT && field != FIELD_REASON;
        lua_pop(L, 1);
    }
    if (fields == 0)
        gate_script_refuse(L, call->route,
                           "an empty table, expected targets (nil: the model that "
                           "was asked for)");
    if (rejected && others > 0)
        gate_script_refuse(L, call->route, "a table with both reject and what belongs to a target");
    if (call->has_edits)
        t->edits = gate_decision_pack_edits(L, call);
    if (rejected || t->name.len > 0)
        return;
    if (call->req->model.len > GATE_SCRIPT_MAX_TARGET)
        gate_script_refuse(L, call->route,
                           "a target without model, and that of the request has "
                           "%zu bytes, expected at most %d",
                           call->req->model.len, GATE_SCRIPT_MAX_TARGET);
    t->name = keep(L, call, call->req->model);
}

void gate_decision_read_target(lua_State *L, struct gate_decision_call *call)
{
    struct gate_decision *d = call->out;
    if (d->target_count == GATE_SCRIPT_MAX_TARGETS)
        gate_script_refuse(L, call->route, "more than %d targets", GATE_SCRIPT_MAX_TARGETS);
    struct gate_target *t = &d->targets[d->target_count];
    t->name = (struct gate_str){NULL, 0};
    t->first_token_ms = t->idle_ms = t->total_ms = 0;
    t->retries = t->strategy = -1;
    t->tag_count = 0;
    t->edits = NULL;
    d->target_count++; /* from here on its edits are the decision's to free */
    if (lua_type(L, -1) == LUA_TSTRING)
        read_name(L, call, t);
    else if (lua_istable(L, -1))
        read_fields(L, call, t);
    else
        gate_script_refuse(L, call->route,
                           "a list with a %s in it, expected strings and tables with model",
                           luaL_typename(L, -1));
}
