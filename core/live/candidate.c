#include "live/candidate.h"
#include "base/buf.h"
#include "pool/roster.h"
#include "script/lint.h"
#include <stdlib.h>

static const char GATEWAY[] = "gateway.lua";

static bool same_source(const struct gate_source *a, const struct gate_source *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* ---- what is made of the texts */

/* Says whether gateway.lua can be read at all. */
static bool lint(const struct gate_sources *sources, struct gate_problems *problems)
{
    bool readable = true;
    for (size_t i = 0; i < sources->count; i++) {
        const struct gate_source *s = &sources->files[i];
        size_t before = problems->errors;
        gate_lint(s->name, (struct gate_str){s->text, s->len}, problems);
        if (strcmp(s->name, GATEWAY) == 0)
            readable = problems->errors == before;
    }
    return readable;
}

/* The configuration names its file with the directory that it read at the start. */
static void add_config_problem(struct gate_problems *problems, const struct gate_error *err)
{
    struct gate_problem *p = gate_problems_add_error(problems, "config", err);
    const char *slash = strrchr(p->file, '/');
    if (slash != NULL)
        memmove(p->file, slash + 1, strlen(slash + 1) + 1);
    else if (p->file[0] == '\0')
        snprintf(p->file, sizeof p->file, "%s", GATEWAY);
}

static enum gate_status make_config(const struct gate_candidate_base *base,
                                    const struct gate_sources *sources, struct gate_candidate *c,
                                    struct gate_error *err)
{
    const struct gate_source *text = gate_sources_find(sources, GATEWAY);
    if (same_source(text, gate_sources_find(base->sources, GATEWAY))) {
        c->config = (struct gate_config *)(uintptr_t)base->config;
        gate_config_retain(c->config);
        return GATE_OK;
    }
    struct gate_str view = {text != NULL ? text->text : "", text != NULL ? text->len : 0};
    c->new_config = true;
    return gate_config_reload(base->config, text != NULL ? &view : NULL, &c->config, err);
}

static enum gate_status make_pool(const struct gate_candidate_base *base, struct gate_candidate *c,
                                  struct gate_error *err)
{
    if (base->pool == NULL)
        return gate_pool_create(c->config, base->registry, &c->pool, err);
    if (c->new_config)
        return gate_pool_update(base->pool, base->config, c->config, base->registry, &c->pool, err);
    c->pool = (struct gate_pool *)(uintptr_t)base->pool;
    gate_pool_retain(c->pool);
    return GATE_OK;
}

/* Keys that a provider does not take are found here, not at the first request. */
static void check_accounts(const struct gate_candidate *c, struct gate_problems *problems)
{
    for (size_t i = 0; i < c->config->instance_count; i++) {
        struct gate_error err = {.message = ""};
        if (gate_roster_check(c->pool, &c->config->instances[i], &err) != GATE_OK)
            gate_problems_add(problems, GATE_SEVERITY_ERROR, "config", GATEWAY, 0, "%s",
                              err.message);
    }
}

static enum gate_status make_generation(const struct gate_sources *sources,
                                        struct gate_candidate *c, struct gate_error *err)
{
    const struct gate_generation_input in = {
        .sources = sources,
        .script_dir = c->config->script_dir,
        .extra = c->config->mappings,
        .extra_count = c->config->mapping_count,
    };
    return gate_generation_create(&in, &c->generation, err);
}

/* ---- life */

enum gate_status gate_candidate_create(const struct gate_candidate_base *base,
                                       const struct gate_sources *sources,
                                       struct gate_candidate **out, struct gate_problems *problems)
{
    struct gate_candidate *c = gate_calloc(1, sizeof *c);
    struct gate_error err = {.message = ""};
    /* What the text itself shows is said in better words than Lua has for it. */
    bool readable = lint(sources, problems);
    size_t known = problems->errors;
    enum gate_status status = readable ? make_config(base, sources, c, &err) : GATE_EINVAL;
    if (status == GATE_OK)
        status = make_pool(base, c, &err);
    if (status != GATE_OK && readable)
        add_config_problem(problems, &err);
    if (status == GATE_OK && c->new_config)
        check_accounts(c, problems);
    if (status == GATE_OK && known == 0) {
        status = make_generation(sources, c, &err);
        if (status == GATE_OK)
            status = gate_script_create(c->generation, NULL, &c->script, &err);
        if (status != GATE_OK)
            gate_problems_add_error(problems, "load", &err);
    }
    if (problems->errors > 0) {
        gate_problems_sort(problems);
        gate_candidate_destroy(c);
        return GATE_EINVAL;
    }
    *out = c;
    return GATE_OK;
}

enum gate_status gate_candidate_of_running(const struct gate_config *config,
                                           const struct gate_pool *pool,
                                           struct gate_generation *generation,
                                           struct gate_candidate **out, struct gate_error *err)
{
    struct gate_candidate *c = gate_calloc(1, sizeof *c);
    c->config = (struct gate_config *)(uintptr_t)config;
    c->pool = (struct gate_pool *)(uintptr_t)pool;
    c->generation = generation;
    gate_config_retain(c->config);
    gate_pool_retain(c->pool);
    gate_generation_retain(generation);
    enum gate_status status = gate_script_create(generation, NULL, &c->script, err);
    if (status != GATE_OK) {
        gate_candidate_destroy(c);
        return status;
    }
    *out = c;
    return GATE_OK;
}

void gate_candidate_destroy(struct gate_candidate *c)
{
    if (c == NULL)
        return;
    gate_script_destroy(c->script);
    gate_generation_release(c->generation);
    gate_pool_release(c->pool);
    gate_config_release(c->config);
    free(c);
}
