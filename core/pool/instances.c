#include "pool/instances.h"
#include "base/buf.h"
#include "base/json.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { MAX_DIALECTS = 8 };

struct gate_pool {
    struct gate_instance *instances;
    size_t count;
    const struct gate_dialect_ops *dialects[MAX_DIALECTS];
    size_t dialect_count;
    const struct gate_dialect_ops *default_dialect;
};

/* ---- building */

static enum gate_status find_dialects(struct gate_pool *pool, const struct gate_registry *registry,
                                      struct gate_error *err)
{
    size_t count;
    const struct gate_loaded *all = gate_registry_all(registry, &count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].plugin->kind != GATE_KIND_DIALECT)
            continue;
        if (pool->dialect_count == MAX_DIALECTS)
            return gate_fail(err, GATE_ELIMIT, "more than %d dialect plugins", MAX_DIALECTS);
        pool->dialects[pool->dialect_count++] = all[i].plugin->ops;
        if (strcmp(all[i].plugin->name, "openai_chat") == 0)
            pool->default_dialect = all[i].plugin->ops;
    }
    if (pool->default_dialect == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "the plugin dialect_openai_chat is not loaded: set LLM_GATE_PLUGIN_DIR to "
                         "the folder of the gateway's plugins");
    return GATE_OK;
}

static enum gate_status attach_filter(struct gate_instance *inst,
                                      const struct gate_config_instance *c,
                                      const struct gate_registry *registry, struct gate_error *err)
{
    if (strcmp(c->dedup, "off") == 0)
        return GATE_OK;
    const struct gate_plugin *plugin =
        gate_registry_find(registry, GATE_KIND_FILTER, GATE_STR("sse_dedup"));
    if (plugin == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "provider %s: dedup = \"%s\" needs the plugin filter_sse_dedup, which is "
                         "not loaded",
                         c->name, c->dedup);
    struct gate_config_option options[] = {
        {.name = "mode", .type = GATE_OPTION_STRING, .string = c->dedup},
        {.name = "hold_ms", .type = GATE_OPTION_NUMBER, .number = c->dedup_hold_ms},
    };
    enum gate_status status = gate_values_make(plugin, options, 2, &inst->filter_values, err);
    if (status != GATE_OK)
        return status;
    const struct gate_filter_ops *ops = plugin->ops;
    inst->filter_plugin = plugin;
    status = ops->instance_create(inst->filter_values, &inst->filter_state, err);
    if (status == GATE_OK)
        inst->filter = ops;
    return status;
}

static const struct gate_dialect_ops *native_dialect(const struct gate_registry *registry,
                                                     const char *name)
{
    const struct gate_plugin *p =
        gate_registry_find(registry, GATE_KIND_DIALECT, gate_str_of(name));
    return p != NULL ? p->ops : NULL;
}

static enum gate_status create_instance(struct gate_instance *inst,
                                        const struct gate_config_instance *c,
                                        const struct gate_registry *registry,
                                        struct gate_error *err)
{
    inst->name = gate_strdup(gate_str_of(c->name));
    inst->clocks = c->clocks;
    inst->ask_usage = c->ask_usage;
    inst->plugin = gate_registry_find(registry, GATE_KIND_PROVIDER, gate_str_of(c->plugin));
    if (inst->plugin == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "there is no provider plugin \"%s\"; `llm-gate plugins` lists what is "
                         "loaded",
                         c->plugin);
    inst->ops = inst->plugin->ops;
    inst->dialect = native_dialect(registry, inst->ops->dialect);
    if (inst->dialect == NULL)
        return gate_fail(err, GATE_ENOTFOUND, "its dialect \"%s\" is not loaded",
                         inst->ops->dialect);
    enum gate_status status =
        gate_values_make(inst->plugin, c->options, c->option_count, &inst->values, err);
    if (status == GATE_OK && inst->ops->instance_create != NULL)
        status = inst->ops->instance_create(gate_str_of(c->name), inst->values, &inst->state, err);
    if (status == GATE_OK)
        status = attach_filter(inst, c, registry, err);
    return status;
}

enum gate_status gate_pool_create(const struct gate_config *config,
                                  const struct gate_registry *registry, struct gate_pool **out,
                                  struct gate_error *err)
{
    struct gate_pool *pool = gate_calloc(1, sizeof *pool);
    pool->instances = gate_calloc(config->instance_count + 1, sizeof pool->instances[0]);
    enum gate_status status = find_dialects(pool, registry, err);
    for (size_t i = 0; i < config->instance_count && status == GATE_OK; i++) {
        const struct gate_config_instance *c = &config->instances[i];
        struct gate_error why = {.message = ""};
        if (c->implicit &&
            gate_registry_find(registry, GATE_KIND_PROVIDER, gate_str_of(c->plugin)) == NULL)
            continue;
        struct gate_instance *inst = &pool->instances[pool->count];
        inst->position = pool->count++;
        atomic_init(&inst->accounts, (uint32_t)c->account_count);
        status = create_instance(inst, c, registry, &why);
        if (status != GATE_OK)
            gate_fail(err, status, "provider %s: %s", c->name, why.message);
    }
    if (status != GATE_OK) {
        gate_pool_destroy(pool);
        return status;
    }
    *out = pool;
    return GATE_OK;
}

static void destroy_instance(struct gate_instance *inst)
{
    if (inst->filter != NULL && inst->filter->instance_destroy != NULL)
        inst->filter->instance_destroy(inst->filter_state);
    if (inst->filter_values != NULL)
        gate_values_free(inst->filter_plugin, inst->filter_values);
    if (inst->ops != NULL && inst->state != NULL && inst->ops->instance_destroy != NULL)
        inst->ops->instance_destroy(inst->state);
    if (inst->values != NULL)
        gate_values_free(inst->plugin, inst->values);
    free(inst->name);
}

void gate_pool_destroy(struct gate_pool *pool)
{
    if (pool == NULL)
        return;
    for (size_t i = 0; i < pool->count; i++)
        destroy_instance(&pool->instances[i]);
    free(pool->instances);
    free(pool);
}

/* ---- finding */

struct gate_instance *gate_pool_instances(const struct gate_pool *pool, size_t *count)
{
    *count = pool->count;
    return pool->instances;
}

const struct gate_dialect_ops *gate_pool_dialect(const struct gate_pool *pool, struct gate_str path)
{
    for (size_t i = 0; i < pool->dialect_count; i++)
        if (gate_str_eq(path, gate_str_of(pool->dialects[i]->client_path)))
            return pool->dialects[i];
    return NULL;
}

const struct gate_dialect_ops *gate_pool_default_dialect(const struct gate_pool *pool)
{
    return pool->default_dialect;
}

static bool has_accounts(const struct gate_instance *inst)
{
    return atomic_load_explicit(&inst->accounts, memory_order_relaxed) > 0;
}

static bool resolve_prefixed(const struct gate_pool *pool, struct gate_str name,
                             struct gate_resolved *out)
{
    const char *slash = name.len > 0 ? memchr(name.ptr, '/', name.len) : NULL;
    if (slash == NULL || slash + 1 == name.ptr + name.len)
        return false;
    struct gate_str prefix = {name.ptr, (size_t)(slash - name.ptr)};
    for (size_t i = 0; i < pool->count; i++) {
        if (!gate_str_eq(prefix, gate_str_of(pool->instances[i].name)) ||
            !has_accounts(&pool->instances[i]))
            continue;
        out->instance = &pool->instances[i];
        out->model = (struct gate_str){slash + 1, name.len - prefix.len - 1};
        return true;
    }
    return false;
}

static bool resolve_claimed(const struct gate_pool *pool, struct gate_str name,
                            enum gate_claim least, struct gate_resolved *out)
{
    for (size_t i = 0; i < pool->count; i++) {
        const struct gate_instance *inst = &pool->instances[i];
        if (inst->ops->claims != NULL && has_accounts(inst) &&
            inst->ops->claims(inst->state, name) >= least) {
            *out = (struct gate_resolved){inst, name};
            return true;
        }
    }
    return false;
}

static bool resolve_name(const struct gate_pool *pool, struct gate_str name,
                         struct gate_resolved *out)
{
    return name.len > 0 && (resolve_prefixed(pool, name, out) ||
                            resolve_claimed(pool, name, GATE_CLAIM_NAME, out) ||
                            resolve_claimed(pool, name, GATE_CLAIM_ANY, out));
}

bool gate_pool_resolve(const struct gate_pool *pool, const struct gate_generation *generation,
                       struct gate_str name, struct gate_resolved *out)
{
    struct gate_str mapped = gate_generation_map(generation, name);
    /* A mapping whose target nobody serves does not hide a model of that very name. */
    return (mapped.len > 0 && resolve_name(pool, mapped, out)) || resolve_name(pool, name, out);
}

/* ---- listing */

struct walk {
    const struct gate_generation *generation;
    const struct gate_pool *pool;
    size_t at; /* instance being listed */
    void (*cb)(void *ctx, struct gate_str model, const struct gate_instance *owner);
    void *ctx;
};

static void visit(void *ctx, struct gate_str model)
{
    struct walk *w = ctx;
    if (gate_generation_map(w->generation, model).len > 0)
        return; /* listed as a mapping */
    for (size_t i = 0; i < w->at; i++) {
        const struct gate_instance *earlier = &w->pool->instances[i];
        if (earlier->ops->claims != NULL && has_accounts(earlier) &&
            earlier->ops->claims(earlier->state, model) == GATE_CLAIM_NAME)
            return; /* the earlier instance serves this name, and has listed it if it lists it */
    }
    w->cb(w->ctx, model, &w->pool->instances[w->at]);
}

void gate_pool_each_model(const struct gate_pool *pool, const struct gate_generation *generation,
                          void (*cb)(void *ctx, struct gate_str model,
                                     const struct gate_instance *owner),
                          void *ctx)
{
    size_t count;
    const struct gate_mapping *mappings = gate_generation_mappings(generation, &count);
    struct gate_resolved r;
    for (size_t i = 0; i < count; i++)
        if (resolve_name(pool, mappings[i].target, &r))
            cb(ctx, mappings[i].name, r.instance);
    struct walk w = {.generation = generation, .pool = pool, .cb = cb, .ctx = ctx};
    for (w.at = 0; w.at < pool->count; w.at++) {
        const struct gate_instance *inst = &pool->instances[w.at];
        if (inst->ops->each_model != NULL && has_accounts(inst))
            inst->ops->each_model(inst->state, visit, &w);
    }
}
