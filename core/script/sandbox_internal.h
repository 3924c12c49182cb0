/*
 * sandbox_internal: the state of a sandbox, as sandbox.c (limits, calls) and sandbox_error.c
 * (reasons and stacks) share it. Nobody else includes it.
 */
#ifndef GATE_SCRIPT_SANDBOX_INTERNAL_H
#define GATE_SCRIPT_SANDBOX_INTERNAL_H

#include "script/sandbox.h"

enum {
    GATE_SANDBOX_DEEP = 5000, /* calls; a state that is deeper has run away by recursion */
    GATE_SANDBOX_NAME = 80,   /* bytes of the name of a chunk and of a place in it */
};

enum gate_sandbox_over {
    GATE_OVER_NO = 0,
    GATE_OVER_BUDGET,
    GATE_OVER_TIME,
    GATE_OVER_MEMORY,
    GATE_OVER_DEPTH,
};

struct gate_sandbox {
    lua_State *L;
    struct gate_sandbox_setup setup;
    int64_t left;        /* steps of the running call; negative: used up */
    int step;            /* what the count hook is set to */
    size_t used;         /* bytes */
    size_t collected;    /* bytes that were left by the last full collection */
    size_t large_blocks; /* living blocks that can make one instruction slow */
    bool large_strings;  /* a string that can do so was made at some time */
    int64_t looked_ns;   /* when the limits were last looked at */
    int64_t looked_left; /* what `left` was then */
    bool has_cpu;        /* cpu_ns is known in the running call */
    int64_t cpu_ns;      /* CPU time of the thread when it was last asked for */
    int64_t cpu_left;    /* what `left` was then */
    int64_t spent_ns;    /* time of the running call up to then */
    int looks;           /* of the running call */
    bool running;
    enum gate_sandbox_over over;
    struct gate_sandbox_limits limits;
    const char *about;
    char reason[GATE_ERROR_MAX];    /* of the error that ends the running call */
    char stack[GATE_SANDBOX_STACK]; /* where that error was raised */
};

static inline struct gate_sandbox *gate_sandbox_of(lua_State *L)
{
    return *(struct gate_sandbox **)lua_getextraspace(L);
}

/* True if the running calls are nested deeper than GATE_SANDBOX_DEEP. */
bool gate_sandbox_is_deep(const struct gate_sandbox *sb);
/* Each sets the reason, headed by the place that runs now, and the stack. They read the Lua state
 * only: the allocator calls them in the middle of a Lua operation. */
__attribute__((format(printf, 2, 3))) void gate_sandbox_set_reason(struct gate_sandbox *sb,
                                                                   const char *format, ...);
void gate_sandbox_set_memory_reason(struct gate_sandbox *sb);
void gate_sandbox_forget_reason(struct gate_sandbox *sb);
/* Message handler of gate_sandbox_call: turns any error value into a reason. */
int gate_sandbox_on_error(lua_State *L);
/* After a call that failed: fills err from the reason. Returns GATE_EINTERNAL. */
enum gate_status gate_sandbox_explain(struct gate_sandbox *sb, int lua_status,
                                      struct gate_error *err);

#endif
