/*
 * sandbox: a Lua state that may run foreign text. Used by the script wing and by config.c for
 * conf/gateway.lua. It sees an allow-list of base, string, table, math and utf8, and modules that
 * its owner hands out through `require`; it has no files, no code loading, no coroutines, no
 * finalizers and no __close. Every call has a budget of instructions and CPU time and every state a
 * memory cap; once one of them is used up, nothing that the script does (pcall, xpcall, a
 * comparator, a callback) can keep it running.
 *
 * How it holds. Instructions are counted by a count hook. What works outside the hook is charged to
 * the same budget: patterns and table functions (own code, library*.c and pattern.c) by their
 * steps, what allocates by the blocks and their bytes. An instruction can still be slow (comparing
 * long strings, a long chain of __index, passing thousands of arguments), so the hook also looks at
 * the clock, the more often the slower the script is, and charges CPU time that the steps do not
 * explain. All Lua code runs inside gate_sandbox_call; Lua errors never leave it.
 *
 * Single-threaded: a sandbox belongs to one thread at a time.
 */
#ifndef GATE_SCRIPT_SANDBOX_H
#define GATE_SCRIPT_SANDBOX_H

#include "gate/plugin.h"

#include <lauxlib.h>
#include <lua.h>

enum {
    GATE_SANDBOX_OBJECT = 4 << 20,   /* bytes of one block (part of a table, stack) */
    GATE_SANDBOX_STRING = 256 << 10, /* bytes of one string */
    GATE_SANDBOX_MAX_FILE = 1 << 20, /* bytes of one script file */
    GATE_SANDBOX_MAX_MODULE = 64,    /* bytes of a module name */
    GATE_SANDBOX_BYTES_PER_STEP = 8, /* bytes that cost as much as one instruction */
    GATE_SANDBOX_BLOCK_STEPS = 8,    /* what making any block costs beyond its bytes */
    GATE_SANDBOX_STACK = 1024,       /* bytes of a stack in an error */
};

struct gate_sandbox;

/* What one call may use. */
struct gate_sandbox_limits {
    int64_t instructions;
    uint32_t cpu_ms; /* CPU time of this thread, so that a busy machine fails no script */
};

struct gate_sandbox_setup {
    size_t memory; /* cap of the whole state in bytes */
    /* Called once in protected mode with the table of globals on top of the stack: adds fields to
     * it. May raise. NULL: none. */
    void (*globals)(lua_State *L, void *ctx);
    void *globals_ctx;
    /* Text of a module for `require`; the name is already checked (words of [a-z0-9_] parted by
     * dots). The text must live until the call that asked for it ends. NULL: no modules. */
    enum gate_status (*module)(void *ctx, struct gate_str name, struct gate_str *text,
                               struct gate_error *err);
    void *module_ctx;
};

/* Builds a state. Any thread. Owner: caller. GATE_EINTERNAL: the memory cap is too small, or the
 * system has no memory. */
enum gate_status gate_sandbox_create(const struct gate_sandbox_setup *setup,
                                     struct gate_sandbox **out, struct gate_error *err);
void gate_sandbox_destroy(struct gate_sandbox *sb);

/* Calls fn(L) in protected mode with arg as a light userdata at index 1; its results are dropped.
 * `about` names the file at fault when no line is known. fn may be left by a Lua error at any Lua
 * call, so it must own nothing. Not reentrant. GATE_EINTERNAL: fn raised or a limit was reached;
 * err is one line "file:line: reason". The state can be used again in every case. */
enum gate_status gate_sandbox_call(struct gate_sandbox *sb, const char *about,
                                   const struct gate_sandbox_limits *limits, lua_CFunction fn,
                                   void *arg, struct gate_error *err);

/* The stack of the last call if that failed, else "": one line a level, innermost first, such as
 * "routing.lua:12: in function 'pick'" or "in 'string.gsub'". Valid until the next call. */
const char *gate_sandbox_stack(const struct gate_sandbox *sb);

/* Bytes that the state holds now, garbage included. */
size_t gate_sandbox_memory(const struct gate_sandbox *sb);
/* Collects all garbage, outside a call; returns the bytes that are left. */
size_t gate_sandbox_collect(struct gate_sandbox *sb);
/* After a call that failed: true if most of the memory was still in use after a full collection, so
 * that the next calls will fail too. */
bool gate_sandbox_is_full(const struct gate_sandbox *sb);

/* ---- inside a call (all of these may raise) */

/* Compiles text (text chunks only; a byte order mark is skipped) as file `name` and runs it with
 * nothing or, if arg >= 0, with the value at that absolute index; pushes its first result. */
void gate_sandbox_run(lua_State *L, const char *name, struct gate_str text, int arg);

/* Charges steps to the budget of the running call; raises when it is used up. */
void gate_sandbox_charge(lua_State *L, uint64_t steps);
/* Steps that the running call has left. */
uint64_t gate_sandbox_left(lua_State *L);
/* True when a limit of the running call was reached: whoever catches errors must pass them on. */
bool gate_sandbox_is_over(lua_State *L);
/* After a lua_pcall inside a call: passes on an error that a script must not catch. */
void gate_sandbox_rethrow(lua_State *L, int lua_status);
/* Replaces the table on top of the stack by a view of it that cannot be written. */
void gate_sandbox_readonly(lua_State *L, const char *name);
/* Asks the setup's module function. */
enum gate_status gate_sandbox_module(lua_State *L, struct gate_str name, struct gate_str *text,
                                     struct gate_error *err);

/* ---- between sandbox.c and library*.c */

/* Builds the globals of a new state; leaves their table on the stack. */
void gate_library_open(lua_State *L);
/* Make that table, on top of the stack, the environment of all chunks. Pops it. */
void gate_library_seal(lua_State *L);
/* Each pushes a table of functions. */
void gate_library_push_string(lua_State *L);
void gate_library_push_table(lua_State *L);

#endif
