/* Checks and keeps a set of scripts. */
#include "script/generation.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PATH_CAP = 4096 };

struct module {
    char *name;
    char *text;
    size_t len;
};

struct gate_generation {
    atomic_uint references;
    uint64_t number;
    bool loading;
    const char *script_dir; /* lent while loading; NULL: there is none */
    struct gate_sources sources;
    struct gate_models models;       /* the data of models.lua and of the environment */
    struct gate_policy_store policy; /* the data of accounts.lua */
    struct module modules[GATE_SCRIPT_MAX_MODULES];
    size_t module_count;
};

/* ---------------------------------------------------------------- modules */

static const struct module *find_module(const struct gate_generation *g, struct gate_str name)
{
    for (size_t i = 0; i < g->module_count; i++) {
        if (gate_str_eq(gate_str_of(g->modules[i].name), name))
            return &g->modules[i];
    }
    return NULL;
}

static enum gate_status read_module(struct gate_generation *g, struct gate_str name,
                                    struct gate_error *err)
{
    char path[PATH_CAP];
    struct gate_buf text;
    int n = snprintf(path, sizeof path, "%s/%.*s.lua", g->script_dir, (int)name.len, name.ptr);
    if (n < 0 || (size_t)n >= sizeof path)
        return gate_fail(err, GATE_EINVAL, "module path too long");
    char *file = path + strlen(g->script_dir) + 1;
    for (size_t i = 0; i < name.len; i++) {
        if (file[i] == '.')
            file[i] = '/';
    }
    enum gate_status status =
        gate_script_read_file(AT_FDCWD, path, file, GATE_SANDBOX_MAX_FILE, &text, err);
    if (status != GATE_OK) {
        gate_buf_finish(&text);
        if (status == GATE_ENOTFOUND)
            gate_fail(err, status, "module '%.*s' not found: no file %s in the script directory",
                      (int)name.len, name.ptr, file);
        return status;
    }
    g->modules[g->module_count++] = (struct module){gate_strdup(name), text.ptr, text.len};
    return GATE_OK;
}

enum gate_status gate_generation_module(void *generation, struct gate_str name,
                                        struct gate_str *text, struct gate_error *err)
{
    struct gate_generation *g = generation;
    const struct module *known = find_module(g, name);
    if (known != NULL) {
        *text = (struct gate_str){known->text, known->len};
        return GATE_OK;
    }
    if (!g->loading)
        return gate_fail(err, GATE_EDENIED,
                         "module '%.*s' was not required while the file was loaded: call require "
                         "at the top of the file",
                         (int)name.len, name.ptr);
    if (g->script_dir == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "module '%.*s' not found: there is no script directory", (int)name.len,
                         name.ptr);
    if (g->module_count == GATE_SCRIPT_MAX_MODULES)
        return gate_fail(err, GATE_ELIMIT, "more than %d modules", GATE_SCRIPT_MAX_MODULES);
    enum gate_status status = read_module(g, name, err);
    if (status == GATE_OK)
        *text = (struct gate_str){g->modules[g->module_count - 1].text,
                                  g->modules[g->module_count - 1].len};
    return status;
}

/* ---------------------------------------------------------------- life */

enum gate_status gate_generation_create(const struct gate_generation_input *in,
                                        struct gate_generation **out, struct gate_error *err)
{
    struct gate_generation *g = gate_calloc(1, sizeof *g);
    struct gate_script *scratch = NULL;
    atomic_init(&g->references, 1);
    g->number = in->number;
    g->loading = true;
    g->script_dir = in->script_dir;
    gate_sources_copy(in->sources, &g->sources);
    enum gate_status status = gate_models_add_extra(&g->models, in->extra, in->extra_count, err);
    if (status == GATE_OK)
        status = gate_script_create(g, NULL, &scratch, err);
    gate_script_destroy(scratch);
    g->loading = false;
    g->script_dir = NULL;
    if (status != GATE_OK) {
        gate_generation_release(g);
        return status;
    }
    gate_models_seal(&g->models);
    *out = g;
    return GATE_OK;
}

enum gate_status gate_generation_load(const char *conf_dir, const char *script_dir,
                                      const struct gate_mapping *extra, size_t extra_count,
                                      uint64_t number, struct gate_generation **out,
                                      struct gate_error *err)
{
    struct gate_sources sources;
    enum gate_status status = gate_sources_read(conf_dir, &sources, err);
    if (status != GATE_OK)
        return status;
    const struct gate_generation_input in = {number, &sources, script_dir, extra, extra_count};
    status = gate_generation_create(&in, out, err);
    gate_sources_finish(&sources);
    return status;
}

void gate_generation_retain(struct gate_generation *g)
{
    atomic_fetch_add_explicit(&g->references, 1, memory_order_relaxed);
}

void gate_generation_release(struct gate_generation *g)
{
    if (g == NULL || atomic_fetch_sub_explicit(&g->references, 1, memory_order_acq_rel) != 1)
        return;
    gate_sources_finish(&g->sources);
    gate_models_finish(&g->models);
    gate_policy_store_finish(&g->policy);
    for (size_t i = 0; i < g->module_count; i++) {
        free(g->modules[i].name);
        free(g->modules[i].text);
    }
    free(g);
}

/* ---------------------------------------------------------------- what it holds */

uint64_t gate_generation_number(const struct gate_generation *g)
{
    return g->number;
}

void gate_generation_set_number(struct gate_generation *g, uint64_t number)
{
    g->number = number;
}

const struct gate_sources *gate_generation_sources(const struct gate_generation *g)
{
    return &g->sources;
}

bool gate_generation_same(const struct gate_generation *a, const struct gate_generation *b)
{
    if (a->module_count != b->module_count || !gate_sources_equal(&a->sources, &b->sources))
        return false;
    for (size_t i = 0; i < a->module_count; i++) {
        const struct module *x = &a->modules[i];
        const struct module *y = find_module(b, gate_str_of(x->name));
        if (y == NULL || x->len != y->len || (x->len > 0 && memcmp(x->text, y->text, x->len) != 0))
            return false;
    }
    return true;
}

const struct gate_mapping *gate_generation_mappings(const struct gate_generation *g, size_t *count)
{
    *count = g->models.exact_count;
    return g->models.exact;
}

const struct gate_models *gate_generation_names(const struct gate_generation *g)
{
    return &g->models;
}

static bool find_text(const struct gate_generation *g, const char *name, struct gate_str *text)
{
    const struct gate_source *file = gate_sources_find(&g->sources, name);
    *text = file != NULL ? (struct gate_str){file->text, file->len} : (struct gate_str){NULL, 0};
    return file != NULL;
}

bool gate_generation_routing(const struct gate_generation *g, struct gate_str *text)
{
    return find_text(g, "routing.lua", text);
}

bool gate_generation_accounts(const struct gate_generation *g, struct gate_str *text)
{
    return find_text(g, "accounts.lua", text);
}

bool gate_generation_models(const struct gate_generation *g, struct gate_str *text)
{
    return find_text(g, "models.lua", text) && (g->loading || g->models.has_functions);
}

struct gate_policy_store *gate_generation_policy_store(struct gate_generation *g)
{
    return g->loading ? &g->policy : NULL;
}

struct gate_models *gate_generation_models_store(struct gate_generation *g)
{
    return g->loading ? &g->models : NULL;
}

const struct gate_account_policy *gate_generation_policy(const struct gate_generation *g)
{
    return &g->policy.policy;
}
