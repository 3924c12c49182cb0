/*
 * generation: what generation.c and script.c share beyond script.h. Nobody else includes it.
 */
#ifndef GATE_SCRIPT_GENERATION_H
#define GATE_SCRIPT_GENERATION_H

#include "script/sandbox.h"
#include "script/script.h"

enum {
    GATE_SCRIPT_MAX_MODULES = 64,
    GATE_SCRIPT_MAX_MAPPINGS = 16384,
    GATE_SCRIPT_MAX_NAME = 256,   /* bytes of a name that clients ask for */
    GATE_SCRIPT_MAX_TARGET = 512, /* bytes of what it stands for */
    GATE_SCRIPT_ROUTE_CPU_MS = 50,
    GATE_SCRIPT_LOAD_CPU_MS = 1000,
};

static const struct gate_sandbox_limits GATE_SCRIPT_LOAD_LIMITS = {GATE_SCRIPT_LOAD_BUDGET,
                                                                   GATE_SCRIPT_LOAD_CPU_MS};
static const struct gate_sandbox_limits GATE_SCRIPT_ROUTE_LIMITS = {GATE_SCRIPT_CALL_BUDGET,
                                                                    GATE_SCRIPT_ROUTE_CPU_MS};

/* Text of conf/routing.lua; false: there is none. Valid as long as g. */
bool gate_generation_routing(const struct gate_generation *g, struct gate_str *text);
/* gate_sandbox_setup.module: a module's text. While the generation is being loaded a module is read
 * from script_dir and kept; afterwards only what was kept exists. */
enum gate_status gate_generation_module(void *generation, struct gate_str name,
                                        struct gate_str *text, struct gate_error *err);

/* True for text that can stand in a message, a header and a URL: no control bytes. */
static inline bool gate_script_is_printable(struct gate_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

#endif
