/*
 * generation: what the files that load and run scripts share beyond script.h and policy.h. Nobody
 * outside this wing includes it.
 */
#ifndef GATE_SCRIPT_GENERATION_H
#define GATE_SCRIPT_GENERATION_H

#include "base/buf.h"
#include "script/models.h"
#include "script/policy.h"
#include "script/policy_load.h"
#include "script/sandbox.h"

enum {
    GATE_SCRIPT_MAX_MODULES = 64,
    GATE_SCRIPT_CALL_CPU_MS = 20, /* of one call of a function of conf/ */
    GATE_SCRIPT_LOAD_CPU_MS = 1000,
};

static const struct gate_sandbox_limits GATE_SCRIPT_LOAD_LIMITS = {GATE_SCRIPT_LOAD_BUDGET,
                                                                   GATE_SCRIPT_LOAD_CPU_MS};
static const struct gate_sandbox_limits GATE_SCRIPT_CALL_LIMITS = {GATE_SCRIPT_CALL_BUDGET,
                                                                   GATE_SCRIPT_CALL_CPU_MS};

/* Text of conf/routing.lua; false: there is none. Valid as long as g. */
bool gate_generation_routing(const struct gate_generation *g, struct gate_str *text);
/* The same for conf/accounts.lua. */
bool gate_generation_accounts(const struct gate_generation *g, struct gate_str *text);
/* The same for conf/models.lua; false also when a state has no use for it: it is read while the
 * generation is being loaded, and run in later states only for its functions. */
bool gate_generation_models(const struct gate_generation *g, struct gate_str *text);
/* What models.lua and the environment map. Valid as long as g. */
const struct gate_models *gate_generation_names(const struct gate_generation *g);
/* Where the data of accounts.lua goes while the generation is being loaded; NULL afterwards. */
struct gate_policy_store *gate_generation_policy_store(struct gate_generation *g);
/* The same for models.lua. */
struct gate_models *gate_generation_models_store(struct gate_generation *g);
/* gate_sandbox_setup.module: a module's text. While the generation is being loaded a module is read
 * from script_dir and kept; afterwards only what was kept exists. */
enum gate_status gate_generation_module(void *generation, struct gate_str name,
                                        struct gate_str *text, struct gate_error *err);

/* sources.c: reads the regular file `path`, relative to the directory dir (or AT_FDCWD), as long as
 * it has at most `max` bytes; links are followed. `shown` is its name in errors. GATE_ENOTFOUND: it
 * is not there; GATE_ELIMIT: too large; GATE_EIO. out is then to be finished like any other. */
enum gate_status gate_script_read_file(int dir, const char *path, const char *shown, size_t max,
                                       struct gate_buf *out, struct gate_error *err);

/* True for text that can stand in a message, a header and a URL: no control bytes. */
static inline bool gate_script_is_printable(struct gate_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

/* True for 1 to `max` characters of A-Z a-z 0-9 _ . : -, as tags and codes have. */
static inline bool gate_script_is_word(struct gate_str s, size_t max)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '_' && c != '.' && c != ':' && c != '-')
            return false;
    }
    return s.len > 0 && s.len <= max;
}

/* Order of bytes, as sorted tables are searched. */
static inline int gate_script_compare(struct gate_str a, struct gate_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

#endif
