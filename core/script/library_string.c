/* The string functions of the sandbox. Those that match patterns are its own, see pattern.h; so are
 * those whose work is not bounded by what they allocate. The others are stock. */
#include "script/sandbox.h"

#include "script/pattern.h"

#include <lualib.h>

enum {
    STEPS_PER_MATCH_STEP = 2, /* steps of a matcher that cost as much as one instruction */
    COMPILE_STEPS = 4,        /* what compiling one byte of a pattern costs */
    ATTEMPT_STEPS = 3,        /* what trying a match at one place costs */
    SEARCH_BYTES = 4,         /* bytes of a plain search that cost one step */
    BYTES_STEPS = 2,          /* what one result of string.byte costs */
    FORMAT_STEPS = 150,       /* what one item of a format costs */
};

static struct gate_str check_str(lua_State *L, int index)
{
    struct gate_str s;
    s.ptr = luaL_checklstring(L, index, &s.len);
    return s;
}

/* ---------------------------------------------------------------- matching */

static void compile(lua_State *L, struct gate_pattern *p, struct gate_str text, bool anchor)
{
    gate_sandbox_charge(L, text.len * COMPILE_STEPS);
    const char *error = gate_pattern_compile(p, text, anchor);
    if (error != NULL)
        luaL_error(L, "%s", error);
}

static void begin_match(lua_State *L, struct gate_match *m, struct gate_str subject)
{
    m->subject = subject;
    m->steps_left = gate_sandbox_left(L) * STEPS_PER_MATCH_STEP;
}

/* Charges what the matcher has used since begin_match and raises if that was all. */
static void end_match(lua_State *L, const struct gate_match *m, enum gate_match_result result)
{
    uint64_t left = gate_sandbox_left(L);
    uint64_t used = left - m->steps_left / STEPS_PER_MATCH_STEP + ATTEMPT_STEPS;
    gate_sandbox_charge(L, result == GATE_MATCH_OUT_OF_STEPS ? left + 1 : used);
}

static void push_capture(lua_State *L, const struct gate_match *m, unsigned i)
{
    const struct gate_capture *c = &m->captures[i];
    if (c->is_position)
        lua_pushinteger(L, (lua_Integer)c->start + 1);
    else
        lua_pushlstring(L, m->subject.ptr + c->start, c->end - c->start);
}

/* Pushes all captures or, if there are none and whole is set, the whole match. */
static int push_captures(lua_State *L, const struct gate_pattern *p, const struct gate_match *m,
                         size_t start, size_t end, bool whole)
{
    luaL_checkstack(L, GATE_PATTERN_CAPTURES, "too many captures");
    if (p->capture_count == 0 && whole) {
        lua_pushlstring(L, m->subject.ptr + start, end - start);
        return 1;
    }
    for (unsigned i = 0; i < p->capture_count; i++)
        push_capture(L, m, i);
    return p->capture_count;
}

/* The offset that argument `index` (default 1, negative from the end) means; may lie behind the
 * end. */
static size_t init_offset(lua_State *L, int index, size_t len)
{
    lua_Integer init = luaL_optinteger(L, index, 1);
    if (init > 0)
        return (lua_Unsigned)init - 1 > len ? len + 1 : (size_t)init - 1;
    if (init == 0 || (lua_Unsigned)0 - (lua_Unsigned)init > len)
        return 0;
    return len - (size_t)((lua_Unsigned)0 - (lua_Unsigned)init);
}

static int find_plain(lua_State *L, struct gate_str s, struct gate_str what, size_t from)
{
    gate_sandbox_charge(L, (s.len - from + what.len) / SEARCH_BYTES);
    const char *hit = memmem(s.ptr + from, s.len - from, what.ptr, what.len);
    if (hit == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, hit - s.ptr + 1);
    lua_pushinteger(L, hit - s.ptr + (lua_Integer)what.len);
    return 2;
}

static bool has_specials(struct gate_str pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] != '\0' && strchr("^$*+?.([%-", pattern.ptr[i]) != NULL)
            return true;
    }
    return false;
}

static int find_or_match(lua_State *L, bool find)
{
    struct gate_str subject = check_str(L, 1), text = check_str(L, 2);
    size_t from = init_offset(L, 3, subject.len);
    if (from > subject.len) {
        lua_pushnil(L);
        return 1;
    }
    gate_sandbox_charge(L, text.len / 2);
    if (find && (lua_toboolean(L, 4) || !has_specials(text)))
        return find_plain(L, subject, text, from);
    struct gate_pattern p;
    struct gate_match m;
    size_t start, end;
    compile(L, &p, text, true);
    begin_match(L, &m, subject);
    enum gate_match_result result = gate_pattern_search(&p, &m, from, &start, &end);
    end_match(L, &m, result);
    if (result != GATE_MATCH_YES) {
        lua_pushnil(L);
        return 1;
    }
    if (!find)
        return push_captures(L, &p, &m, start, end, true);
    lua_pushinteger(L, (lua_Integer)start + 1);
    lua_pushinteger(L, (lua_Integer)end);
    return 2 + push_captures(L, &p, &m, start, end, false);
}

static int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* Upvalues: subject, pattern, offset to go on from, end of the last match (-1: none). */
static int gmatch_next(lua_State *L)
{
    struct gate_str subject = check_str(L, lua_upvalueindex(1));
    struct gate_str text = check_str(L, lua_upvalueindex(2));
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    struct gate_pattern p;
    struct gate_match m;
    size_t start = 0, end = 0;
    enum gate_match_result result = GATE_MATCH_NO;
    compile(L, &p, text, false);
    begin_match(L, &m, subject);
    for (; from <= subject.len; from = start + 1) {
        result = gate_pattern_search(&p, &m, from, &start, &end);
        if (result != GATE_MATCH_YES || (lua_Integer)end != last)
            break;
        result = GATE_MATCH_NO; /* empty, at the end of the last match: not a match */
    }
    end_match(L, &m, result);
    if (result != GATE_MATCH_YES)
        return 0;
    lua_pushinteger(L, (lua_Integer)end);
    lua_copy(L, -1, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return push_captures(L, &p, &m, start, end, true);
}

static int string_gmatch(lua_State *L)
{
    struct gate_str subject = check_str(L, 1);
    struct gate_pattern p;
    compile(L, &p, check_str(L, 2), false);
    size_t from = init_offset(L, 3, subject.len);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)from);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

/* ---------------------------------------------------------------- gsub */

struct gsub {
    struct gate_pattern pattern;
    struct gate_match match;
    luaL_Buffer out;
    size_t start, end; /* the match */
};

/* Appends the replacement text at stack index 3, with %0 to %9 replaced. */
static void add_text(lua_State *L, struct gsub *g)
{
    struct gate_str text = check_str(L, 3);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '%') {
            luaL_addchar(&g->out, text.ptr[i]);
            continue;
        }
        char c = ++i < text.len ? text.ptr[i] : '\0';
        unsigned index = (unsigned)(c - '1');
        if (c == '%') {
            luaL_addchar(&g->out, c);
        } else if (c == '0' || (c == '1' && g->pattern.capture_count == 0)) {
            luaL_addlstring(&g->out, g->match.subject.ptr + g->start, g->end - g->start);
        } else if (c >= '1' && c <= '9' && index < g->pattern.capture_count) {
            push_capture(L, &g->match, index);
            luaL_addvalue(&g->out);
        } else if (c >= '1' && c <= '9') {
            luaL_error(L, "invalid capture index %%%c in replacement string", c);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

/* Appends what the table or function at stack index 3 gives for the match. */
static void add_value(lua_State *L, struct gsub *g)
{
    if (lua_isfunction(L, 3)) {
        lua_pushvalue(L, 3);
        int n = push_captures(L, &g->pattern, &g->match, g->start, g->end, true);
        lua_call(L, n, 1);
    } else {
        if (g->pattern.capture_count > 0)
            push_capture(L, &g->match, 0);
        else
            lua_pushlstring(L, g->match.subject.ptr + g->start, g->end - g->start);
        lua_gettable(L, 3);
    }
    if (lua_isstring(L, -1)) {
        luaL_addvalue(&g->out);
        return;
    }
    if (lua_toboolean(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    lua_pop(L, 1);
    luaL_addlstring(&g->out, g->match.subject.ptr + g->start, g->end - g->start);
}

static int string_gsub(lua_State *L)
{
    struct gsub g;
    struct gate_str subject = check_str(L, 1);
    compile(L, &g.pattern, check_str(L, 2), true);
    int type = lua_type(L, 3);
    luaL_argexpected(L,
                     type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TTABLE ||
                         type == LUA_TFUNCTION,
                     3, "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, LUA_MAXINTEGER);
    bool text = type == LUA_TSTRING || type == LUA_TNUMBER;
    lua_Integer count = 0;
    size_t at = 0, last = SIZE_MAX;
    lua_settop(L, 3);
    luaL_buffinit(L, &g.out);
    while (count < most) {
        begin_match(L, &g.match, subject);
        g.start = at;
        enum gate_match_result result = gate_pattern_match(&g.pattern, &g.match, at, &g.end);
        end_match(L, &g.match, result);
        if (result == GATE_MATCH_YES && g.end != last) {
            count++;
            if (text)
                add_text(L, &g);
            else
                add_value(L, &g);
            at = last = g.end;
        } else if (at < subject.len) {
            luaL_addchar(&g.out, subject.ptr[at]);
            at++;
        } else {
            break;
        }
        if (g.pattern.anchored)
            break;
    }
    if (at < subject.len)
        luaL_addlstring(&g.out, subject.ptr + at, subject.len - at);
    luaL_pushresult(&g.out);
    lua_pushinteger(L, count);
    return 2;
}

/* ---------------------------------------------------------------- byte, format */

/* The position that argument `index` means, within the string. */
static size_t position(lua_State *L, int index, lua_Integer absent, size_t len)
{
    lua_Integer at = luaL_optinteger(L, index, absent);
    if (at < 0)
        at = (lua_Unsigned)0 - (lua_Unsigned)at > len ? 0 : (lua_Integer)len + at + 1;
    return (lua_Unsigned)at > len ? len + 1 : (size_t)at;
}

static int string_byte(lua_State *L)
{
    struct gate_str s = check_str(L, 1);
    lua_Integer given = luaL_optinteger(L, 2, 1);
    size_t from = position(L, 2, 1, s.len), to = position(L, 3, given, s.len);
    if (from == 0)
        from = 1;
    if (to > s.len)
        to = s.len;
    if (from > to)
        return 0;
    size_t n = to - from + 1;
    gate_sandbox_charge(L, n * BYTES_STEPS);
    luaL_checkstack(L, (int)n, "string slice too long");
    for (size_t i = 0; i < n; i++)
        lua_pushinteger(L, (unsigned char)s.ptr[from - 1 + i]);
    return (int)n;
}

/* Upvalue 1: the stock function. A number with many digits takes it long. */
static int string_format(lua_State *L)
{
    struct gate_str text = check_str(L, 1);
    uint64_t steps = text.len / 2;
    for (size_t i = 0; i < text.len; i++)
        steps += text.ptr[i] == '%' ? FORMAT_STEPS : 0;
    gate_sandbox_charge(L, steps);
    lua_CFunction stock = lua_tocfunction(L, lua_upvalueindex(1));
    return stock(L);
}

/* ---------------------------------------------------------------- rep */

static int string_rep(lua_State *L)
{
    struct gate_str s = check_str(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    struct gate_str sep = {"", 0};
    if (!lua_isnoneornil(L, 3))
        sep = check_str(L, 3);
    size_t each = s.len + sep.len; /* two strings of one state: no overflow */
    if (n <= 0 || each == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((lua_Unsigned)n > SIZE_MAX / 2 / each)
        return luaL_error(L, "resulting string too large");
    size_t total = (size_t)n * each - sep.len;
    luaL_Buffer b;
    if (total > GATE_SANDBOX_STRING)
        return luaL_error(L, "resulting string too large (%d KiB at most)",
                          GATE_SANDBOX_STRING >> 10);
    char *p = luaL_buffinitsize(L, &b, total);
    memcpy(p, s.ptr, s.len);
    if (each <= total)
        memcpy(p + s.len, sep.ptr, sep.len);
    for (size_t done = each; done < total; done *= 2) /* what is there doubles */
        memcpy(p + done, p, done <= total - done ? done : total - done);
    luaL_pushresultsize(&b, total);
    return 1;
}

void gate_library_push_string(lua_State *L)
{
    static const luaL_Reg own[] = {
        {"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch},
        {"gsub", string_gsub}, {"rep", string_rep},     {"byte", string_byte},
        {NULL, NULL}};
    static const char *const stock[] = {"char", "len", "lower", "reverse", "sub", "upper"};
    luaL_newlib(L, own);
    lua_pushcfunction(L, luaopen_string);
    lua_call(L, 0, 1);
    for (size_t i = 0; i < sizeof stock / sizeof stock[0]; i++) {
        lua_getfield(L, -1, stock[i]);
        lua_setfield(L, -3, stock[i]);
    }
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, string_format, 1);
    lua_setfield(L, -3, "format");
    lua_pop(L, 1);
}
