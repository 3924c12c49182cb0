/* The state of a sandbox, its limits, and how errors become one line. */
#include "script/sandbox.h"

#include "base/buf.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum {
    STEP_NORMAL = 1000,      /* instructions between two looks at the limits */
    STEP_LARGE = 16,         /* the same while one instruction may be slow */
    LARGE_BLOCK = 256 << 10, /* a block of this size can make one instruction slow */
    PLACE_LEVELS = 64,       /* stack levels searched for a line */
    DEEP = 10000,            /* calls; a state that is deeper has run away by recursion */
    NAME_MAX_LEN = 80,
    CREATE_BUDGET = 1000000,
    CREATE_CPU_MS = 1000,
};

#ifndef GATE_CPU_SCALE
#define GATE_CPU_SCALE 1 /* how much slower this build runs: sanitizer builds set it */
#endif

enum over { OVER_NO = 0, OVER_BUDGET, OVER_TIME, OVER_MEMORY };

struct gate_sandbox {
    lua_State *L;
    struct gate_sandbox_setup setup;
    int64_t left;        /* steps of the running call; negative: used up */
    int step;            /* what the count hook is set to */
    size_t used;         /* bytes */
    size_t large_blocks; /* living blocks of LARGE_BLOCK and more */
    int64_t cpu_start_us;
    bool cpu_started;
    bool running;
    enum over over;
    struct gate_sandbox_limits limits;
    const char *about;
    char reason[GATE_ERROR_MAX]; /* of the error that ends the running call */
};

static struct gate_sandbox *sandbox_of(lua_State *L)
{
    return *(struct gate_sandbox **)lua_getextraspace(L);
}

static int64_t cpu_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---------------------------------------------------------------- reasons */

/* Writes "file:line: " of the innermost Lua function. Reads the state only: the allocator calls it
 * in the middle of a Lua operation. */
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

__attribute__((format(printf, 2, 3))) static void set_reason(struct gate_sandbox *sb,
                                                             const char *format, ...)
{
    char place[NAME_MAX_LEN];
    find_place(sb, place, sizeof place);
    int n = snprintf(sb->reason, sizeof sb->reason, "%s", place);
    va_list args;
    va_start(args, format);
    vsnprintf(sb->reason + n, sizeof sb->reason - (size_t)n, format, args);
    va_end(args);
}

/* A script that recurses without end reaches some limit; recursion is then the better reason. */
static bool is_deep(struct gate_sandbox *sb)
{
    lua_Debug ar;
    return lua_getstack(sb->L, DEEP, &ar) == 1;
}

static void set_memory_reason(struct gate_sandbox *sb)
{
    if (is_deep(sb))
        set_reason(sb, "stack overflow: more than %d calls deep", DEEP);
    else
        set_reason(sb, "memory limit reached (%zu MiB in all, %d MiB for one value)",
                   sb->setup.memory >> 20, GATE_SANDBOX_OBJECT >> 20);
}

/* True if the message already begins with "name.lua:12: ". */
static bool has_place(const char *message, size_t len)
{
    for (size_t i = 0; i + 6 < len && i < NAME_MAX_LEN && message[i] != ' '; i++) {
        if (memcmp(message + i, ".lua:", 5) == 0)
            return message[i + 5] >= '0' && message[i + 5] <= '9';
    }
    return false;
}

/* Message handler of gate_sandbox_call: turns any error value into sb->reason. Allocates nothing in
 * Lua, so it cannot fail itself. */
static int on_error(lua_State *L)
{
    struct gate_sandbox *sb = sandbox_of(L);
    if (sb->over != OVER_NO)
        return 1;
    size_t len = 0;
    switch (lua_type(L, 1)) {
    case LUA_TSTRING: {
        const char *message = lua_tolstring(L, 1, &len);
        int shown = len < GATE_ERROR_MAX ? (int)len : GATE_ERROR_MAX;
        if (has_place(message, len))
            snprintf(sb->reason, sizeof sb->reason, "%.*s", shown, message);
        else
            set_reason(sb, "%.*s", shown, message);
        break;
    }
    case LUA_TNUMBER:
        set_reason(sb, "%.14g", (double)lua_tonumber(L, 1));
        break;
    default:
        set_reason(sb, "error value is %s%s", lua_isnil(L, 1) ? "" : "a ", luaL_typename(L, 1));
        break;
    }
    return 1;
}

/* One line of text: control bytes become spaces, a cut UTF-8 sequence at the end goes. */
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

static enum gate_status explain(struct gate_sandbox *sb, int lua_status, struct gate_error *err)
{
    if (lua_status == LUA_ERRMEM && sb->reason[0] == '\0')
        set_memory_reason(sb);
    else if (sb->reason[0] == '\0')
        set_reason(sb, "error in error handling");
    clean(sb->reason, strlen(sb->reason) + 1 == sizeof sb->reason);
    return gate_fail(err, GATE_EINTERNAL, "%s", sb->reason);
}

/* ---------------------------------------------------------------- limits */

static void on_count(lua_State *L, lua_Debug *ar);

static void arm(struct gate_sandbox *sb, int step)
{
    if (sb->step == step)
        return;
    /* Setting the hook forgets the instructions since it last fired: charge them all. */
    sb->left -= sb->step;
    sb->step = step;
    lua_sethook(sb->L, on_count, LUA_MASKCOUNT, step);
}

/* From here on every instruction raises, until the call has ended. */
static void set_over(struct gate_sandbox *sb, enum over over)
{
    if (sb->over != OVER_NO)
        return;
    if (over != OVER_MEMORY && is_deep(sb))
        set_memory_reason(sb);
    else if (over == OVER_BUDGET)
        set_reason(sb, "instruction budget used up (%lld)", (long long)sb->limits.instructions);
    else if (over == OVER_TIME)
        set_reason(sb, "time limit reached (%u ms)", sb->limits.cpu_ms);
    else if (sb->reason[0] == '\0')
        set_memory_reason(sb);
    sb->over = over;
    arm(sb, 1);
}

/* The value does not matter: the reason is in sb->reason. nil needs no memory. */
static int raise_over(lua_State *L)
{
    lua_pushnil(L);
    return lua_error(L);
}

static bool is_late(struct gate_sandbox *sb)
{
    int64_t now = cpu_now_us();
    if (!sb->cpu_started) {
        sb->cpu_started = true;
        sb->cpu_start_us = now;
        return false;
    }
    return now - sb->cpu_start_us > (int64_t)sb->limits.cpu_ms * 1000 * GATE_CPU_SCALE;
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct gate_sandbox *sb = sandbox_of(L);
    sb->left -= sb->step;
    if (sb->left < 0)
        set_over(sb, OVER_BUDGET);
    else if (is_late(sb))
        set_over(sb, OVER_TIME);
    if (sb->over != OVER_NO)
        raise_over(L);
    arm(sb, sb->large_blocks > 0 ? STEP_LARGE : STEP_NORMAL);
}

/* Lua's allocator. What grows is charged to the running call, so that a C function which copies
 * much cannot be called for free. A refusal makes Lua collect everything and ask again. */
static void *allocate(void *ud, void *block, size_t osize, size_t nsize)
{
    struct gate_sandbox *sb = ud;
    if (block == NULL)
        osize = 0; /* it was the kind of object */
    if (nsize == 0) {
        free(block);
        sb->used -= osize;
        sb->large_blocks -= osize >= LARGE_BLOCK;
        return NULL;
    }
    if (nsize > osize) {
        size_t growth = nsize - osize;
        if (nsize > GATE_SANDBOX_OBJECT || growth > sb->setup.memory - sb->used) {
            if (sb->L != NULL && sb->over == OVER_NO)
                set_memory_reason(sb);
            return NULL;
        }
        sb->left -= (int64_t)(growth / GATE_SANDBOX_BYTES_PER_STEP);
        if (sb->running && sb->left < 0)
            arm(sb, 1);
        else if (sb->running && nsize >= LARGE_BLOCK && sb->step > STEP_LARGE)
            arm(sb, STEP_LARGE);
    }
    void *grown = realloc(block, nsize);
    if (grown == NULL)
        return nsize > osize ? NULL : block; /* Lua counts on shrinking to work */
    sb->used = sb->used - osize + nsize;
    sb->large_blocks += (size_t)(nsize >= LARGE_BLOCK) - (size_t)(osize >= LARGE_BLOCK);
    return grown;
}

void gate_sandbox_charge(lua_State *L, uint64_t steps)
{
    struct gate_sandbox *sb = sandbox_of(L);
    if (sb->left < 0 || steps > (uint64_t)sb->left)
        set_over(sb, OVER_BUDGET);
    else
        sb->left -= (int64_t)steps;
    if (sb->over != OVER_NO)
        raise_over(L);
}

uint64_t gate_sandbox_left(lua_State *L)
{
    const struct gate_sandbox *sb = sandbox_of(L);
    return sb->left > 0 ? (uint64_t)sb->left : 0;
}

bool gate_sandbox_is_over(lua_State *L)
{
    return sandbox_of(L)->over != OVER_NO;
}

void gate_sandbox_rethrow(lua_State *L, int lua_status)
{
    struct gate_sandbox *sb = sandbox_of(L);
    if (lua_status == LUA_ERRMEM)
        set_over(sb, OVER_MEMORY);
    if (sb->over != OVER_NO)
        raise_over(L);
    /* The reason of a refusal that a collection mended, or of an error that was caught. */
    sb->reason[0] = '\0';
}

/* ---------------------------------------------------------------- life and calls */

/* A bug of ours: a Lua error outside gate_sandbox_call. Lua aborts when this returns. */
static int on_panic(lua_State *L)
{
    (void)L;
    gate_log_error("lua: error outside a protected call");
    return 0;
}

static int open_state(lua_State *L)
{
    struct gate_sandbox *sb = lua_touserdata(L, 1);
    gate_library_open(L);
    if (sb->setup.globals != NULL)
        sb->setup.globals(L, sb->setup.globals_ctx);
    gate_library_seal(L);
    return 0;
}

enum gate_status gate_sandbox_create(const struct gate_sandbox_setup *setup,
                                     struct gate_sandbox **out, struct gate_error *err)
{
    static const struct gate_sandbox_limits limits = {CREATE_BUDGET, CREATE_CPU_MS};
    struct gate_sandbox *sb = gate_calloc(1, sizeof *sb);
    sb->setup = *setup;
    lua_State *L = lua_newstate(allocate, sb);
    if (L == NULL) {
        free(sb);
        return gate_fail(err, GATE_EINTERNAL, "no memory for a Lua state");
    }
    sb->L = L;
    *(struct gate_sandbox **)lua_getextraspace(L) = sb;
    lua_atpanic(L, on_panic);
    arm(sb, STEP_NORMAL);
    enum gate_status status = gate_sandbox_call(sb, "sandbox", &limits, open_state, sb, err);
    if (status != GATE_OK) {
        gate_sandbox_destroy(sb);
        return status;
    }
    lua_gc(L, LUA_GCCOLLECT);
    *out = sb;
    return GATE_OK;
}

void gate_sandbox_destroy(struct gate_sandbox *sb)
{
    if (sb == NULL)
        return;
    lua_close(sb->L);
    free(sb);
}

size_t gate_sandbox_memory(const struct gate_sandbox *sb)
{
    return sb->used;
}

enum gate_status gate_sandbox_call(struct gate_sandbox *sb, const char *about,
                                   const struct gate_sandbox_limits *limits, lua_CFunction fn,
                                   void *arg, struct gate_error *err)
{
    assert(!sb->running);
    lua_State *L = sb->L;
    sb->left = limits->instructions;
    sb->limits = *limits;
    sb->cpu_started = false;
    sb->over = OVER_NO;
    sb->about = about;
    sb->reason[0] = '\0';
    sb->running = true;
    /* None of these three pushes allocates. */
    lua_pushcfunction(L, on_error);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, arg);
    int lua_status = lua_pcall(L, 1, 0, 1);
    sb->running = false;
    enum gate_status status = GATE_OK;
    if (lua_status != LUA_OK)
        status = explain(sb, lua_status, err);
    lua_settop(L, 0);
    if (sb->over != OVER_NO || lua_status == LUA_ERRMEM)
        lua_gc(L, LUA_GCCOLLECT);
    arm(sb, sb->large_blocks > 0 ? STEP_LARGE : STEP_NORMAL);
    return status;
}

void gate_sandbox_run(lua_State *L, const char *name, struct gate_str text, int arg)
{
    char chunk[NAME_MAX_LEN];
    snprintf(chunk, sizeof chunk, "=%s", name);
    if (gate_str_starts(text, GATE_STR("\xEF\xBB\xBF"))) {
        text.ptr += 3;
        text.len -= 3;
    }
    if (text.len > 0 && text.ptr[0] == LUA_SIGNATURE[0])
        luaL_error(L, "%s:1: compiled Lua code is not accepted, only text", name);
    if (luaL_loadbufferx(L, text.ptr, text.len, chunk, "t") != LUA_OK)
        lua_error(L);
    if (arg >= 0)
        lua_pushvalue(L, arg);
    lua_call(L, arg >= 0 ? 1 : 0, 1);
}

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "'%s' is read-only", lua_tostring(L, lua_upvalueindex(1)));
}

void gate_sandbox_readonly(lua_State *L, const char *name)
{
    luaL_checkstack(L, 4, NULL);
    lua_newtable(L);          /* the view: always empty, so that every access goes on */
    lua_createtable(L, 0, 3); /* its metatable */
    lua_rotate(L, -3, -1);    /* view, metatable, table */
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushcclosure(L, refuse_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

enum gate_status gate_sandbox_module(lua_State *L, struct gate_str name, struct gate_str *text,
                                     struct gate_error *err)
{
    const struct gate_sandbox *sb = sandbox_of(L);
    if (sb->setup.module == NULL)
        return gate_fail(err, GATE_EDENIED, "require is not available here");
    return sb->setup.module(sb->setup.module_ctx, name, text, err);
}
