#include "pool/instances.h"
#include "base/buf.h"
#include "base/json.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { MAX_DIALECTS = 8 };

struct gate_pool {
    _Atomic uint32_t refs;
    struct gate_instance **instances; /* retained */
    _Atomic uint32_t *accounts;       /* of each */
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

/* ---- a list of them */

static struct gate_instance *find(const struct gate_pool *pool, const char *name)
{
    return gate_pool_find(pool, gate_str_of(name), NULL);
}

static const struct gate_config_instance *configured(const struct gate_config *config,
                                                     const char *name)
{
    for (size_t i = 0; i < config->instance_count; i++)
        if (strcmp(config->instances[i].name, name) == 0)
            return &config->instances[i];
    return NULL;
}

/* What is to be made, and what may be shared with the pool that runs (NULL: there is none). */
struct plan {
    const struct gate_config *config, *running_config;
    const struct gate_pool *running;
    const struct gate_registry *registry;
};

/* The roster counts anew when the pool is taken into use; until then stored accounts are taken to
 * be as many as before. */
static uint32_t expected_accounts(const struct plan *p, const struct gate_config_instance *c)
{
    size_t position;
    if (p->running == NULL || gate_pool_find(p->running, gate_str_of(c->name), &position) == NULL)
        return (uint32_t)c->account_count;
    const struct gate_config_instance *before = configured(p->running_config, c->name);
    uint32_t accounts = gate_pool_accounts(p->running, position);
    uint32_t named = before != NULL ? (uint32_t)before->account_count : 0;
    return (uint32_t)c->account_count + (accounts > named ? accounts - named : 0);
}

static void push(struct gate_pool *pool, struct gate_instance *inst, uint32_t accounts)
{
    atomic_init(&pool->accounts[pool->count], accounts);
    pool->instances[pool->count++] = inst;
}

static enum gate_status add_instance(struct gate_pool *pool, const struct plan *p,
                                     const struct gate_config_instance *c, struct gate_error *err)
{
    struct gate_instance *old = p->running != NULL ? find(p->running, c->name) : NULL;
    const struct gate_config_instance *before =
        p->running != NULL ? configured(p->running_config, c->name) : NULL;
    struct gate_error why = {.message = ""};
    if (c->implicit &&
        gate_registry_find(p->registry, GATE_KIND_PROVIDER, gate_str_of(c->plugin)) == NULL)
        return GATE_OK;
    if (old != NULL && before != NULL && gate_config_same_instance(before, c)) {
        gate_instance_retain(old);
        push(pool, old, expected_accounts(p, c));
        return GATE_OK;
    }
    struct gate_instance *fresh = gate_calloc(1, sizeof *fresh);
    atomic_init(&fresh->refs, 1);
    push(pool, fresh, expected_accounts(p, c));
    enum gate_status status = create_instance(fresh, c, p->registry, &why);
    if (status != GATE_OK)
        return gate_fail(err, status, "provider %s: %s", c->name, why.message);
    if (old != NULL)
        atomic_store_explicit(&fresh->turn, atomic_load_explicit(&old->turn, memory_order_relaxed),
                              memory_order_relaxed);
    return GATE_OK;
}

static enum gate_status make(const struct plan *p, struct gate_pool **out, struct gate_error *err)
{
    struct gate_pool *pool = gate_calloc(1, sizeof *pool);
    atomic_init(&pool->refs, 1);
    pool->instances = gate_calloc(p->config->instance_count + 1, sizeof pool->instances[0]);
    pool->accounts = gate_calloc(p->config->instance_count + 1, sizeof pool->accounts[0]);
    enum gate_status status = find_dialects(pool, p->registry, err);
    for (size_t i = 0; i < p->config->instance_count && status == GATE_OK; i++)
        status = add_instance(pool, p, &p->config->instances[i], err);
    if (status != GATE_OK) {
        gate_pool_release(pool);
        return status;
    }
    *out = pool;
    return GATE_OK;
}

enum gate_status gate_pool_create(const struct gate_config *config,
                                  const struct gate_registry *registry, struct gate_pool **out,
                                  struct gate_error *err)
{
    const struct plan p = {.config = config, .registry = registry};
    return make(&p, out, err);
}

enum gate_status gate_pool_update(const struct gate_pool *running,
                                  const struct gate_config *running_config,
                                  const struct gate_config *config,
                                  const struct gate_registry *registry, struct gate_pool **out,
                                  struct gate_error *err)
{
    const struct plan p = {config, running_config, running, registry};
    return make(&p, out, err);
}

/* ---- life */

void gate_instance_retain(struct gate_instance *inst)
{
    atomic_fetch_add_explicit(&inst->refs, 1, memory_order_relaxed);
}

void gate_instance_release(struct gate_instance *inst)
{
    if (atomic_fetch_sub_explicit(&inst->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (inst->filter != NULL && inst->filter->instance_destroy != NULL)
        inst->filter->instance_destroy(inst->filter_state);
    if (inst->filter_values != NULL)
        gate_values_free(inst->filter_plugin, inst->filter_values);
    if (inst->ops != NULL && inst->state != NULL && inst->ops->instance_destroy != NULL)
        inst->ops->instance_destroy(inst->state);
    if (inst->values != NULL)
        gate_values_free(inst->plugin, inst->values);
    free(inst->name);
    free(inst);
}

void gate_pool_retain(struct gate_pool *pool)
{
    atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
}

void gate_pool_release(struct gate_pool *pool)
{
    if (pool == NULL || atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < pool->count; i++)
        gate_instance_release(pool->instances[i]);
    free(pool->instances);
    free(pool->accounts);
    free(pool);
}

/* ---- finding */

struct gate_instance *const *gate_pool_instances(const struct gate_pool *pool, size_t *count)
{
    *count = pool->count;
    return pool->instances;
}

struct gate_instance *gate_pool_find(const struct gate_pool *pool, struct gate_str name,
                                     size_t *position)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (!gate_str_eq(name, gate_str_of(pool->instances[i]->name)))
            continue;
        if (position != NULL)
            *position = i;
        return pool->instances[i];
    }
    return NULL;
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

uint32_t gate_pool_accounts(const struct gate_pool *pool, size_t position)
{
    return atomic_load_explicit(&pool->accounts[position], memory_order_relaxed);
}

void gate_pool_set_accounts(const struct gate_pool *pool, size_t position, uint32_t count)
{
    atomic_store_explicit(&pool->accounts[position], count, memory_order_relaxed);
}

static bool has_accounts(const struct gate_pool *pool, size_t position)
{
    return gate_pool_accounts(pool, position) > 0;
}

static bool resolve_prefixed(const struct gate_pool *pool, struct gate_str name,
                             struct gate_resolved *out)
{
    const char *slash = name.len > 0 ? memchr(name.ptr, '/', name.len) : NULL;
    if (slash == NULL || slash + 1 == name.ptr + name.len)
        return false;
    struct gate_str prefix = {name.ptr, (size_t)(slash - name.ptr)};
    size_t position;
    const struct gate_instance *inst = gate_pool_find(pool, prefix, &position);
    if (inst == NULL || !has_accounts(pool, position))
        return false;
    *out = (struct gate_resolved){inst, position, {slash + 1, name.len - prefix.len - 1}};
    return true;
}

static bool resolve_claimed(const struct gate_pool *pool, struct gate_str name,
                            enum gate_claim least, struct gate_resolved *out)
{
    for (size_t i = 0; i < pool->count; i++) {
        const struct gate_instance *inst = pool->instances[i];
        if (inst->ops->claims != NULL && has_accounts(pool, i) &&
            inst->ops->claims(inst->state, name) >= least) {
            *out = (struct gate_resolved){inst, i, name};
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

bool gate_pool_resolve(const struct gate_pool *pool, struct gate_str mapped, struct gate_str name,
                       struct gate_resolved *out)
{
    /* A mapping whose target nobody serves does not hide a model of that very name. */
    return resolve_name(pool, mapped, out) || resolve_name(pool, name, out);
}

/* ---- listing */

struct walk {
    const struct gate_pool *pool;
    struct gate_script *script;
    const struct gate_mapping *mappings;
    size_t mapping_count;
    bool *listed; /* of each mapping: it was */
    size_t at;    /* instance being listed */
    void (*cb)(void *ctx, struct gate_str model, const struct gate_instance *owner);
    void *ctx;
};

/* Does the mapping lead to somebody? */
static bool resolve_mapping(const struct walk *w, const struct gate_mapping *m,
                            struct gate_resolved *out)
{
    char text[GATE_SCRIPT_MAX_TARGET];
    struct gate_str target = m->target;
    struct gate_error err;
    if (target.len == 0 &&
        (w->script == NULL || gate_script_map(w->script, m->name, text, &target, &err) != GATE_OK))
        return false;
    /* What the function leaves as it is, is a model of that name. */
    return resolve_name(w->pool, target.len > 0 ? target : m->name, out);
}

static int order_of(struct gate_str a, struct gate_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool was_listed(const struct walk *w, struct gate_str model)
{
    size_t low = 0, high = w->mapping_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = order_of(w->mappings[middle].name, model);
        if (order == 0)
            return w->listed[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void visit(void *ctx, struct gate_str model)
{
    struct walk *w = ctx;
    if (was_listed(w, model))
        return;
    for (size_t i = 0; i < w->at; i++) {
        const struct gate_instance *earlier = w->pool->instances[i];
        if (earlier->ops->claims != NULL && has_accounts(w->pool, i) &&
            earlier->ops->claims(earlier->state, model) == GATE_CLAIM_NAME)
            return; /* the earlier instance serves this name, and has listed it if it lists it */
    }
    w->cb(w->ctx, model, w->pool->instances[w->at]);
}

void gate_pool_each_model(const struct gate_pool *pool, struct gate_script *script,
                          const struct gate_generation *generation,
                          void (*cb)(void *ctx, struct gate_str model,
                                     const struct gate_instance *owner),
                          void *ctx)
{
    struct walk w = {.pool = pool, .script = script, .cb = cb, .ctx = ctx};
    struct gate_resolved r;
    w.mappings = gate_generation_mappings(generation, &w.mapping_count);
    w.listed = gate_calloc(w.mapping_count + 1, sizeof w.listed[0]);
    for (size_t i = 0; i < w.mapping_count; i++) {
        w.listed[i] = resolve_mapping(&w, &w.mappings[i], &r);
        if (w.listed[i])
            cb(ctx, w.mappings[i].name, r.instance);
    }
    for (w.at = 0; w.at < pool->count; w.at++) {
        const struct gate_instance *inst = pool->instances[w.at];
        if (inst->ops->each_model != NULL && has_accounts(pool, w.at))
            inst->ops->each_model(inst->state, visit, &w);
    }
    free(w.listed);
}
