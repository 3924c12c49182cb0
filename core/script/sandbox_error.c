/* How errors of a sandbox read: one line "file:line: reason", and the stack of the failed call. */
#include "script/sandbox_internal.h"

enum {
    PLACE_LEVELS = 64,  /* stack levels searched for a line */
    LINE_MAX_LEN = 160, /* bytes of one line of the stack */
    MORE_LEN = 32,      /* bytes of the line that counts what is left out */
    WHOLE = 24,         /* levels; a stack that has more is shortened */
    END_LEVELS = 6,     /* levels shown of both ends of a shortened stack */
};

/* ---------------------------------------------------------------- text */

/* Control bytes become spaces, a cut UTF-8 sequence at the end goes. */
static void clean(char *text, bool was_cut)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    }
    while (was_cut && len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
        text[--len] = '\0';
    if (was_cut && len > 0 && (unsigned char)text[len - 1] >= 0xc0)
        text[len - 1] = '\0';
}

/* True if the message already begins with "name.lua:12: ". */
static bool has_place(const char *message, size_t len)
{
    for (size_t i = 0; i + 6 < len && i < GATE_SANDBOX_NAME && message[i] != ' '; i++) {
        if (memcmp(message + i, ".lua:", 5) == 0)
            return message[i + 5] >= '0' && message[i + 5] <= '9';
    }
    return false;
}

/* ---------------------------------------------------------------- the stack */

/* The library that a function called by this name belongs to, with its dot; "" if that is not sure.
 */
static const char *library_of(const char *name)
{
    static const struct {
        const char *library;
        const char *names; /* each between spaces */
    } libraries[] = {
        {"string.", " byte find format gmatch gsub lower match rep reverse sub upper "},
        {"table.", " concat insert move pack remove sort unpack "},
        {"utf8.", " codepoint codes offset "},
    };
    char word[16];
    int n = snprintf(word, sizeof word, " %s ", name);
    for (size_t i = 0; n < (int)sizeof word && i < sizeof libraries / sizeof libraries[0]; i++) {
        if (strstr(libraries[i].names, word) != NULL)
            return libraries[i].library;
    }
    return "";
}

/* Writes the line of a level without its end; 0: the level is of no interest. */
static size_t write_level(lua_State *L, lua_Debug *ar, char *out, size_t cap)
{
    int n;
    lua_getinfo(L, "Sln", ar);
    bool is_member = strcmp(ar->namewhat, "field") == 0 || strcmp(ar->namewhat, "method") == 0;
    if (strcmp(ar->what, "C") == 0) {
        if (ar->name == NULL)
            return 0; /* a function of the gateway that called the script */
        n = snprintf(out, cap, "in '%s%s'", is_member ? library_of(ar->name) : "", ar->name);
    } else if (strcmp(ar->what, "main") == 0) {
        n = snprintf(out, cap, "%s:%d: in the file", ar->short_src, ar->currentline);
    } else if (ar->name != NULL) {
        n = snprintf(out, cap, "%s:%d: in %s '%s'", ar->short_src, ar->currentline,
                     strcmp(ar->namewhat, "metamethod") == 0 ? "metamethod" : "function", ar->name);
    } else {
        n = snprintf(out, cap, "%s:%d: in the function of line %d", ar->short_src, ar->currentline,
                     ar->linedefined);
    }
    bool was_cut = n >= (int)cap;
    clean(out, was_cut);
    return strlen(out);
}

/* How many levels there are. */
static int count_levels(lua_State *L)
{
    lua_Debug ar;
    int low = 0, high = 1; /* level low - 1 exists, level high does not */
    while (lua_getstack(L, high, &ar)) {
        low = high + 1;
        high *= 2;
    }
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (lua_getstack(L, middle, &ar))
            low = middle + 1;
        else
            high = middle;
    }
    return lua_getstack(L, 0, &ar) ? low : 0;
}

/* "1,234,567" */
static void write_number(char *out, size_t cap, int value)
{
    char digits[16];
    int n = snprintf(digits, sizeof digits, "%d", value);
    size_t at = 0;
    for (int i = 0; i < n && at + 2 < cap; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

struct stack_text {
    char *at, *end; /* what is free */
};

/* Adds the levels from first to last; returns the first one that did not fit. */
static int add_levels(lua_State *L, struct stack_text *out, int first, int last)
{
    char line[LINE_MAX_LEN];
    lua_Debug ar;
    for (int level = first; level <= last && lua_getstack(L, level, &ar); level++) {
        size_t len = write_level(L, &ar, line, sizeof line);
        if (len == 0)
            continue;
        if (len + 1 >= (size_t)(out->end - out->at))
            return level;
        out->at += snprintf(out->at, (size_t)(out->end - out->at), "%s\n", line);
    }
    return last + 1;
}

/* Innermost first, from level `first` on. What does not fit is left out in the middle: the ends say
 * where the script is and how it came there. */
static void take_stack(struct gate_sandbox *sb, int first)
{
    struct stack_text out = {sb->stack, sb->stack + sizeof sb->stack};
    int count = count_levels(sb->L);
    bool is_whole = count <= WHOLE && add_levels(sb->L, &out, first, count - 1) == count;
    if (!is_whole) {
        char number[16];
        out = (struct stack_text){sb->stack, sb->stack + sizeof sb->stack / 2 - MORE_LEN};
        int top = add_levels(sb->L, &out, first, first + END_LEVELS - 1);
        char *more = out.at;
        int bottom = count - END_LEVELS > top ? count - END_LEVELS : top;
        for (; bottom < count; bottom++) {
            write_number(number, sizeof number, bottom - top);
            int n = bottom > top ? snprintf(more, MORE_LEN, "... %s more\n", number) : 0;
            out = (struct stack_text){more + n, sb->stack + sizeof sb->stack};
            if (add_levels(sb->L, &out, bottom, count - 1) == count)
                break;
        }
    }
    if (out.at > sb->stack)
        out.at--; /* the last line needs no end */
    *out.at = '\0';
}

/* ---------------------------------------------------------------- reasons */

/* Writes "file:line: " of the innermost Lua function. */
static void find_place(struct gate_sandbox *sb, char *out, size_t cap)
{
    lua_Debug ar;
    for (int level = 0; level < PLACE_LEVELS && lua_getstack(sb->L, level, &ar); level++) {
        lua_getinfo(sb->L, "Sl", &ar);
        if (ar.currentline > 0) {
            snprintf(out, cap, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    snprintf(out, cap, "%s: ", sb->about);
}

__attribute__((format(printf, 3, 0))) static void set_reason(struct gate_sandbox *sb, int level,
                                                             const char *format, va_list args)
{
    char place[GATE_SANDBOX_NAME];
    find_place(sb, place, sizeof place);
    int n = snprintf(sb->reason, sizeof sb->reason, "%s", place);
    vsnprintf(sb->reason + n, sizeof sb->reason - (size_t)n, format, args);
    take_stack(sb, level);
}

void gate_sandbox_set_reason(struct gate_sandbox *sb, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_reason(sb, 0, format, args);
    va_end(args);
}

/* The same from inside the message handler, which is itself the innermost level. */
__attribute__((format(printf, 2, 3))) static void set_raised(struct gate_sandbox *sb,
                                                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_reason(sb, 1, format, args);
    va_end(args);
}

bool gate_sandbox_is_deep(const struct gate_sandbox *sb)
{
    lua_Debug ar;
    return lua_getstack(sb->L, GATE_SANDBOX_DEEP, &ar) == 1;
}

/* A script that recurses without end reaches some limit; recursion is then the better reason. */
void gate_sandbox_set_memory_reason(struct gate_sandbox *sb)
{
    lua_Debug ar;
    if (sb->reason[0] != '\0' && !lua_getstack(sb->L, 0, &ar))
        return; /* Lua puts its stack in order behind the call that was refused memory */
    if (gate_sandbox_is_deep(sb))
        gate_sandbox_set_reason(sb, "stack overflow: more than %d calls deep", GATE_SANDBOX_DEEP);
    else
        gate_sandbox_set_reason(sb,
                                "memory limit reached (%zu MiB in all, %d KiB for one string, "
                                "%d MiB for one table)",
                                sb->setup.memory >> 20, GATE_SANDBOX_STRING >> 10,
                                GATE_SANDBOX_OBJECT >> 20);
}

void gate_sandbox_forget_reason(struct gate_sandbox *sb)
{
    sb->reason[0] = '\0';
    sb->stack[0] = '\0';
}

int gate_sandbox_on_error(lua_State *L)
{
    struct gate_sandbox *sb = gate_sandbox_of(L);
    if (sb->over != GATE_OVER_NO)
        return 1;
    size_t len = 0;
    switch (lua_type(L, 1)) {
    case LUA_TSTRING: {
        const char *message = lua_tolstring(L, 1, &len);
        int shown = len < GATE_ERROR_MAX ? (int)len : GATE_ERROR_MAX;
        set_raised(sb, "%.*s", shown, message);
        if (has_place(message, len))
            snprintf(sb->reason, sizeof sb->reason, "%.*s", shown, message);
        break;
    }
    case LUA_TNUMBER:
        set_raised(sb, "%.14g", (double)lua_tonumber(L, 1));
        break;
    default:
        set_raised(sb, "error value is %s%s", lua_isnil(L, 1) ? "" : "a ", luaL_typename(L, 1));
        break;
    }
    return 1;
}

enum gate_status gate_sandbox_explain(struct gate_sandbox *sb, int lua_status,
                                      struct gate_error *err)
{
    if (lua_status == LUA_ERRMEM && sb->reason[0] == '\0')
        gate_sandbox_set_memory_reason(sb);
    else if (sb->reason[0] == '\0')
        gate_sandbox_set_reason(sb, "error in error handling");
    clean(sb->reason, strlen(sb->reason) + 1 == sizeof sb->reason);
    return gate_fail(err, GATE_EINTERNAL, "%s", sb->reason);
}

const char *gate_sandbox_stack(const struct gate_sandbox *sb)
{
    return sb->stack;
}
