/* The state of a sandbox and its limits. */
#include "script/sandbox_internal.h"

#include "base/buf.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum {
    STRING_HEAD = 32,        /* bytes of a string beyond its text, at most */
    STEP_NORMAL = 128,       /* instructions between two looks at the limits */
    STEP_LARGE = 16,         /* the same while one instruction may be slow */
    LARGE_BLOCK = 64 << 10,  /* a block of this size can make one instruction slow */
    LARGE_STRING = 16 << 10, /* a string of this size can do so */
    LOOKS_PER_DEPTH = 8,     /* looks at the limits between two looks at the depth */
    LOOK_STEPS = 8,          /* what a look costs */
    NS_PER_STEP = 12,        /* CPU time that one step pays for */
    NS_PER_LOOK = 1000,      /* what a look itself may take */
    SLOW_NS = 50000,         /* time between two looks after which they come closer */
    MAX_SURCHARGE = 50000,   /* steps that one look charges for time: what a machine may stall */
    CREATE_BUDGET = 1000000,
    CREATE_CPU_MS = 1000,
};

#ifndef GATE_CPU_SCALE
#define GATE_CPU_SCALE 1 /* how much slower this build runs: sanitizer builds set it */
#endif

/* ---------------------------------------------------------------- limits */

static void on_count(lua_State *L, lua_Debug *ar);

static void set_hook(struct gate_sandbox *sb, int step)
{
    if (sb->step == step)
        return;
    sb->step = step;
    lua_sethook(sb->L, on_count, LUA_MASKCOUNT, step);
}

/* Outside the hook. Setting it forgets the instructions since it last fired: charge them all. */
static void arm(struct gate_sandbox *sb, int step)
{
    if (sb->step != step)
        sb->left -= sb->step;
    set_hook(sb, step);
}

/* From here on every instruction raises, until the call has ended. */
static void set_over(struct gate_sandbox *sb, enum gate_sandbox_over over)
{
    if (sb->over != GATE_OVER_NO)
        return;
    if (over == GATE_OVER_DEPTH || (over != GATE_OVER_MEMORY && gate_sandbox_is_deep(sb)))
        gate_sandbox_set_memory_reason(sb);
    else if (over == GATE_OVER_BUDGET)
        gate_sandbox_set_reason(sb, "instruction budget used up (%lld)",
                                (long long)sb->limits.instructions);
    else if (over == GATE_OVER_TIME)
        gate_sandbox_set_reason(sb, "time limit reached (%u ms)", sb->limits.cpu_ms);
    else if (sb->reason[0] == '\0')
        gate_sandbox_set_memory_reason(sb);
    sb->over = over;
    arm(sb, 1);
}

/* The value does not matter: the reason is in sb->reason. nil needs no memory. */
static int raise_over(lua_State *L)
{
    lua_pushnil(L);
    return lua_error(L);
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return ((int64_t)t.tv_sec * 1000000000 + t.tv_nsec) / GATE_CPU_SCALE;
}

static int normal_step(const struct gate_sandbox *sb)
{
    return sb->large_blocks > 0 || sb->large_strings ? STEP_LARGE : STEP_NORMAL;
}

static void begin_time(struct gate_sandbox *sb)
{
    sb->has_cpu = normal_step(sb) == STEP_LARGE;
    sb->cpu_ns = sb->has_cpu ? read_clock(CLOCK_THREAD_CPUTIME_ID) : 0;
    sb->looked_ns = read_clock(CLOCK_MONOTONIC);
    sb->looked_left = sb->cpu_left = sb->left;
    sb->spent_ns = 0;
    sb->looks = 0;
}

/* The time since the last look was longer than its steps explain: how many steps is the excess
 * worth? Asks for CPU time if possible: what passed may have been the time of other threads. */
static int64_t price_excess(struct gate_sandbox *sb, int64_t excess, int64_t *ns)
{
    int64_t cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
    if (sb->has_cpu) {
        int64_t used = cpu - sb->cpu_ns, unpaid = used / NS_PER_STEP - (sb->cpu_left - sb->left);
        excess = unpaid < excess ? unpaid : excess;
        *ns = used < *ns ? used : *ns;
    }
    sb->has_cpu = true;
    sb->cpu_ns = cpu;
    if (excess < 0)
        return 0;
    return excess < MAX_SURCHARGE ? excess : MAX_SURCHARGE;
}

/* Charges time that the steps since the last look do not explain, and sets the distance of the
 * next look. A stall of the machine may be counted as CPU time, so one look charges a part of the
 * budget at most. The clock that is read at every look is no system call. */
static void charge_time(struct gate_sandbox *sb)
{
    int64_t now = read_clock(CLOCK_MONOTONIC), ns = now - sb->looked_ns;
    int64_t excess = (ns - NS_PER_LOOK) / NS_PER_STEP - (sb->looked_left - sb->left);
    int step = sb->step, normal = normal_step(sb);
    if (excess > 0) {
        bool is_known = sb->has_cpu;
        excess = price_excess(sb, excess, &ns);
        sb->left -= excess;
        sb->cpu_left = sb->left;
        if (!is_known)
            ns = (sb->looked_left - sb->left) * NS_PER_STEP;
    }
    sb->spent_ns += ns;
    sb->looked_ns = now;
    sb->looked_left = sb->left;
    if (excess > 0 && ns > SLOW_NS)
        step /= 8;
    else if (step < normal)
        step *= 8;
    if (step > normal)
        step = normal;
    set_hook(sb, step > 0 ? step : 1);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct gate_sandbox *sb = gate_sandbox_of(L);
    sb->left -= sb->step + LOOK_STEPS;
    charge_time(sb);
    if (sb->left < 0)
        set_over(sb, GATE_OVER_BUDGET);
    else if (sb->spent_ns > (int64_t)sb->limits.cpu_ms * 1000000)
        set_over(sb, GATE_OVER_TIME);
    else if (++sb->looks % LOOKS_PER_DEPTH == 0 && gate_sandbox_is_deep(sb))
        set_over(sb, GATE_OVER_DEPTH);
    if (sb->over != GATE_OVER_NO)
        raise_over(L);
}

/* May the state have a block of nsize bytes, `growth` more than it had? Charges it to the running
 * call, so that a C function which copies much cannot be called for free. */
static bool admit(struct gate_sandbox *sb, bool is_string, size_t nsize, size_t growth)
{
    bool fits = nsize <= GATE_SANDBOX_OBJECT && growth <= sb->setup.memory - sb->used &&
                (!is_string || nsize <= GATE_SANDBOX_STRING + STRING_HEAD);
    if (!fits) {
        if (sb->L != NULL && sb->over == GATE_OVER_NO)
            gate_sandbox_set_memory_reason(sb);
        return false;
    }
    int64_t steps = GATE_SANDBOX_BLOCK_STEPS + (int64_t)(growth / GATE_SANDBOX_BYTES_PER_STEP);
    if (!sb->running)
        return true;
    if (nsize >= LARGE_BLOCK && steps > sb->left) {
        set_over(sb, GATE_OVER_BUDGET); /* before the work, not after it */
        return false;
    }
    sb->left -= steps;
    if (is_string && nsize >= LARGE_STRING)
        sb->large_strings = true;
    if (sb->left < 0)
        arm(sb, 1);
    else if ((nsize >= LARGE_BLOCK || sb->large_strings) && sb->step > STEP_LARGE)
        arm(sb, STEP_LARGE);
    return true;
}

/* Lua's allocator. A refusal makes Lua collect everything and ask again. */
static void *allocate(void *ud, void *block, size_t osize, size_t nsize)
{
    struct gate_sandbox *sb = ud;
    bool is_string = block == NULL && osize == LUA_TSTRING;
    if (block == NULL)
        osize = 0; /* it was the kind of object */
    if (nsize == 0) {
        free(block);
        sb->used -= osize;
        sb->large_blocks -= osize >= LARGE_BLOCK;
        return NULL;
    }
    if (nsize > osize && !admit(sb, is_string, nsize, nsize - osize))
        return NULL;
    void *grown = realloc(block, nsize);
    if (grown == NULL)
        return nsize > osize ? NULL : block; /* Lua counts on shrinking to work */
    sb->used = sb->used - osize + nsize;
    sb->large_blocks += (size_t)(nsize >= LARGE_BLOCK) - (size_t)(osize >= LARGE_BLOCK);
    return grown;
}

void gate_sandbox_charge(lua_State *L, uint64_t steps)
{
    struct gate_sandbox *sb = gate_sandbox_of(L);
    if (sb->left < 0 || steps > (uint64_t)sb->left)
        set_over(sb, GATE_OVER_BUDGET);
    else
        sb->left -= (int64_t)steps;
    if (sb->over != GATE_OVER_NO)
        raise_over(L);
}

uint64_t gate_sandbox_left(lua_State *L)
{
    const struct gate_sandbox *sb = gate_sandbox_of(L);
    return sb->left > 0 ? (uint64_t)sb->left : 0;
}

bool gate_sandbox_is_over(lua_State *L)
{
    return gate_sandbox_of(L)->over != GATE_OVER_NO;
}

void gate_sandbox_rethrow(lua_State *L, int lua_status)
{
    struct gate_sandbox *sb = gate_sandbox_of(L);
    if (lua_status == LUA_ERRMEM)
        set_over(sb, GATE_OVER_MEMORY);
    if (sb->over != GATE_OVER_NO)
        raise_over(L);
    /* The reason of a refusal that a collection mended, or of an error that was caught. */
    gate_sandbox_forget_reason(sb);
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

size_t gate_sandbox_collect(struct gate_sandbox *sb)
{
    lua_gc(sb->L, LUA_GCCOLLECT);
    return sb->used;
}

size_t gate_sandbox_memory(const struct gate_sandbox *sb)
{
    return sb->used;
}

bool gate_sandbox_is_full(const struct gate_sandbox *sb)
{
    return sb->collected > sb->setup.memory / 2;
}

/* After a failed call. Tells garbage from what the script keeps, but not so often that calls which
 * fail are dear because the state holds much. */
static void collect_some(struct gate_sandbox *sb)
{
    if (sb->used <= sb->setup.memory / 2) {
        sb->collected = 0;
    } else if (sb->used > sb->collected + sb->setup.memory / 4) {
        lua_gc(sb->L, LUA_GCCOLLECT);
        sb->collected = sb->used;
    }
}

enum gate_status gate_sandbox_call(struct gate_sandbox *sb, const char *about,
                                   const struct gate_sandbox_limits *limits, lua_CFunction fn,
                                   void *arg, struct gate_error *err)
{
    assert(!sb->running);
    lua_State *L = sb->L;
    sb->left = limits->instructions;
    sb->limits = *limits;
    sb->over = GATE_OVER_NO;
    sb->about = about;
    gate_sandbox_forget_reason(sb);
    begin_time(sb);
    sb->running = true;
    /* None of these three pushes allocates. */
    lua_pushcfunction(L, gate_sandbox_on_error);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, arg);
    int lua_status = lua_pcall(L, 1, 0, 1);
    sb->running = false;
    enum gate_status status = GATE_OK;
    if (lua_status != LUA_OK)
        status = gate_sandbox_explain(sb, lua_status, err);
    lua_settop(L, 0);
    if (lua_status != LUA_OK)
        collect_some(sb);
    arm(sb, normal_step(sb));
    return status;
}

void gate_sandbox_run(lua_State *L, const char *name, struct gate_str text, int arg)
{
    char chunk[GATE_SANDBOX_NAME];
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
    const struct gate_sandbox *sb = gate_sandbox_of(L);
    if (sb->setup.module == NULL)
        return gate_fail(err, GATE_EDENIED, "require is not available here");
    return sb->setup.module(sb->setup.module_ctx, name, text, err);
}
