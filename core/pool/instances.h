/*
 * instances: the provider instances of the configuration, and which of them serves a model name. A
 * pool is one configuration's list of them: built on the control thread, immutable and shared by
 * all workers afterwards. When the configuration changes a new pool is made, which shares with the
 * old one the instances that did not change. Every account table keeps the pool that it was made
 * for, so a request never sees two. Used by roster and select (accounts belong to instances),
 * request/exchange (resolve) and serve (model list).
 */
#ifndef GATE_POOL_INSTANCES_H
#define GATE_POOL_INSTANCES_H

#include "config.h"
#include "plugin/registry.h"

/* One configured use of a provider plugin. */
struct gate_instance {
    _Atomic uint32_t refs; /* pools and attachments */
    char *name;
    const struct gate_plugin *plugin;
    const struct gate_provider_ops *ops;
    void *state;
    struct gate_value *values;
    const struct gate_dialect_ops *dialect; /* its native dialect */
    const struct gate_filter_ops *filter;   /* de-duplication; NULL: off */
    void *filter_state;
    const struct gate_plugin *filter_plugin;
    struct gate_value *filter_values;
    struct gate_clocks clocks;
    bool ask_usage;
    _Atomic uint64_t turn; /* of round_robin and weighted */
};

struct gate_pool;

/* Creates every instance of the configuration; implicit ones whose plugin is not loaded are left
 * out. GATE_EINVAL and others: err
 * names the instance, the option and what was expected. */
enum gate_status gate_pool_create(const struct gate_config *config,
                                  const struct gate_registry *registry, struct gate_pool **out,
                                  struct gate_error *err);
/* The pool of a changed configuration beside one that runs. An instance whose configuration is the
 * same but for its accounts is shared; another one of the same name takes over its turn. */
enum gate_status gate_pool_update(const struct gate_pool *running,
                                  const struct gate_config *running_config,
                                  const struct gate_config *config,
                                  const struct gate_registry *registry, struct gate_pool **out,
                                  struct gate_error *err);
void gate_pool_retain(struct gate_pool *pool);
void gate_pool_release(struct gate_pool *pool); /* any thread; NULL is fine */
void gate_instance_retain(struct gate_instance *i);
void gate_instance_release(struct gate_instance *i); /* any thread */

/* All instances; the roster and select write their atomics. An instance's position in a pool is its
 * index here. */
struct gate_instance *const *gate_pool_instances(const struct gate_pool *pool, size_t *count);
/* NULL: there is none of that name. *position may be NULL. */
struct gate_instance *gate_pool_find(const struct gate_pool *pool, struct gate_str name,
                                     size_t *position);

/* How many accounts the instance at a position has that are not deleted, whatever their state:
 * without any it serves no model. At first those of the configuration (and as many stored ones as
 * the pool before it had); then the roster writes it. Each pool has its own numbers, also for
 * instances that it shares. Any thread. */
uint32_t gate_pool_accounts(const struct gate_pool *pool, size_t position);
void gate_pool_set_accounts(const struct gate_pool *pool, size_t position, uint32_t count);

/* The dialect whose client_path is path, or NULL. Any thread. */
const struct gate_dialect_ops *gate_pool_dialect(const struct gate_pool *pool,
                                                 struct gate_str path);

/* The dialect for errors of addresses that no dialect owns (openai_chat). Never NULL. Any thread.
 */
const struct gate_dialect_ops *gate_pool_default_dialect(const struct gate_pool *pool);

/* Who serves a name and under which model name. */
struct gate_resolved {
    const struct gate_instance *instance;
    size_t position;       /* of the instance in the pool */
    struct gate_str model; /* points into the name or into mapped */
};

/* Resolves a name: what it is mapped to first (`mapped`, from gate_script_map; empty: nothing),
 * then the name itself: instance/model, then the instance that claims the name, then one that takes
 * any name; instances without accounts are passed by. Any thread. False: nobody serves it. */
bool gate_pool_resolve(const struct gate_pool *pool, struct gate_str mapped, struct gate_str name,
                       struct gate_resolved *out);

/* Calls cb for every name a client can ask for: mappings of exact names that resolve, then the
 * models of all instances; no name twice. Worker (script answers for names that a function maps).
 */
void gate_pool_each_model(const struct gate_pool *pool, struct gate_script *script,
                          const struct gate_generation *generation,
                          void (*cb)(void *ctx, struct gate_str model,
                                     const struct gate_instance *owner),
                          void *ctx);

#endif
