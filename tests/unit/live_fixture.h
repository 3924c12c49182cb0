/*
 * live_fixture: a configuration in a directory of its own with the plugins of tests/unit/plugins,
 * and a roster over storage in memory, whose gateway.lua can change while it runs. Used by
 * test_instances.c and test_roster_*.c.
 */
#ifndef GATE_TEST_LIVE_FIXTURE_H
#define GATE_TEST_LIVE_FIXTURE_H

#include "config_fixture.h"
#include "memory_storage.h"
#include "plugin/registry.h"
#include "pool/health.h"
#include "pool/roster.h"
#include "record/store.h"

/* A provider in gateway.lua: accounts is a list in Lua, more further keys. */
#define PROVIDER(name, accounts, more)                                                             \
    "{ name = \"" name "\", plugin = \"pool\", dedup = \"off\", accounts = { " accounts            \
    " }, " more " },"
#define PROVIDERS(list) "return { echo = false, providers = { " list " } }"

struct world {
    struct gate_config *config;
    struct gate_registry *registry;
    struct gate_pool *pool;
    struct gate_generation *generation;
    struct memory_storage memory;
    const struct gate_plugin *storage; /* on it */
    struct gate_value value;
    struct gate_quota quota;
    struct gate_store *store;
    struct gate_vault *vault;
    struct gate_roster *roster;
    struct gate_table *table; /* the newest */
};

static inline void must(enum gate_status status, const struct gate_error *err)
{
    ck_assert_msg(status == GATE_OK, "%s", err->message);
}

/* ---- a quota that counts what is settled */

static inline void quota_save(void *instance, const void *state, const struct gate_writer *out)
{
    uint64_t used = atomic_load((const _Atomic uint64_t *)state);
    (void)instance;
    gate_write(out, (struct gate_str){(const char *)&used, sizeof used});
}

static inline enum gate_status quota_load(void *instance, void *state, struct gate_str bytes,
                                          uint64_t now_ms, struct gate_error *err)
{
    uint64_t used;
    (void)instance;
    (void)now_ms;
    if (bytes.len != sizeof used)
        return gate_fail(err, GATE_EPARSE, "%zu bytes", bytes.len);
    memcpy(&used, bytes.ptr, sizeof used);
    atomic_store((_Atomic uint64_t *)state, used);
    return GATE_OK;
}

static const struct gate_quota_ops live_quota = {
    .size = sizeof live_quota,
    .state_size = sizeof(uint64_t),
    .save = quota_save,
    .load = quota_load,
};

/* What an account has used. */
static inline _Atomic uint64_t *used(const struct gate_account *a)
{
    return a->quota;
}

/* ---- the plugins */

static void host_log(enum gate_log_level level, const char *plugin, const char *message)
{
    (void)level;
    (void)plugin;
    (void)message;
}

static inline struct gate_registry *load_plugins(void)
{
    static const struct gate_host host = {.size = sizeof host, .log = host_log};
    struct gate_registry *r;
    struct gate_error err = {.message = ""};
    must(gate_registry_load(GATE_TEST_POOL_PLUGINS, &host, &r, &err), &err);
    return r;
}

/* ---- a gateway */

static inline void open_roster(struct world *w)
{
    struct gate_error err = {.message = ""};
    must(gate_pool_create(w->config, w->registry, &w->pool, &err), &err);
    must(gate_generation_load(NULL, NULL, NULL, 0, 1, &w->generation, &err), &err);
    must(gate_store_open(w->storage, &w->value, "memory", 0, &w->store, &err), &err);
    must(gate_vault_create(".", "a secret of these tests", false, &w->vault, &err), &err);
    must(gate_roster_create(w->config, w->pool, &w->quota, w->store, w->vault, w->generation,
                            &w->roster, &err),
         &err);
    w->table = gate_roster_table(w->roster);
}

static inline void close_roster(struct world *w)
{
    gate_store_close(w->store);
    gate_table_release(w->table);
    gate_roster_destroy(w->roster);
    gate_vault_destroy(w->vault);
    gate_generation_release(w->generation);
    gate_pool_release(w->pool);
    gate_config_release(w->config);
}

/* Starts as the gateway does; afterwards the environment is scrubbed. */
static inline void world_open_on(struct world *w, const struct gate_plugin *storage,
                                 const char *lua)
{
    memset(w, 0, sizeof *w);
    w->storage = storage;
    memory_storage_init(&w->memory);
    w->value = memory_storage_value(&w->memory);
    w->quota.ops = &live_quota;
    w->registry = load_plugins();
    fixture_write("conf/gateway.lua", lua);
    w->config = fixture_load();
    gate_config_scrub_environment(w->config);
    open_roster(w);
}

static inline void world_open(struct world *w, const char *lua)
{
    world_open_on(w, &memory_storage_plugin, lua);
}

/* Ends and starts again with another gateway.lua. */
static inline void world_restart(struct world *w, const char *lua)
{
    struct gate_error err = {.message = ""};
    const struct gate_str text = gate_str_of(lua);
    struct gate_config *fresh;
    must(gate_config_reload(w->config, &text, &fresh, &err), &err);
    close_roster(w);
    w->config = fresh;
    open_roster(w);
}

static inline void world_close(struct world *w)
{
    close_roster(w);
    gate_registry_destroy(w->registry);
    memory_storage_finish(&w->memory);
}

/* Takes another gateway.lua into use while everything runs. */
static inline enum gate_status world_switch(struct world *w, const char *lua,
                                            struct gate_error *err)
{
    const struct gate_str text = gate_str_of(lua);
    struct gate_config *config = NULL;
    struct gate_pool *pool = NULL;
    struct gate_table *table;
    enum gate_status status = gate_config_reload(w->config, &text, &config, err);
    if (status == GATE_OK)
        status = gate_pool_update(w->pool, w->config, config, w->registry, &pool, err);
    if (status == GATE_OK)
        status = gate_roster_switch(w->roster, config, pool, w->generation, &table, err);
    if (status != GATE_OK) {
        gate_pool_release(pool);
        gate_config_release(config);
        return status;
    }
    gate_table_release(w->table);
    gate_pool_release(w->pool);
    gate_config_release(w->config);
    w->table = table;
    w->pool = pool;
    w->config = config;
    return GATE_OK;
}

static inline void must_switch(struct world *w, const char *lua)
{
    struct gate_error err = {.message = ""};
    must(world_switch(w, lua, &err), &err);
}

/* ---- looking */

/* The keys that the configurations of the tests name. */
static inline void world_set_keys(void)
{
    setenv("K1", "key-1", 1);
    setenv("K2", "key-2", 1);
    setenv("BAD", "bad-key", 1);
    setenv("LOGIN", "{\"access_token\":\"first\"}", 1);
}

/* Adds an account as a person does. */
static inline struct gate_member *world_add_stored(struct world *w, const char *provider,
                                                   const char *name, const char *secret)
{
    struct gate_error err = {.message = ""};
    struct gate_member *m;
    const struct gate_member_new n = {
        .instance = gate_str_of(provider),
        .name = gate_str_of(name),
        .origin = "added",
        .kind = GATE_CREDENTIAL_API_KEY,
        .secret = gate_str_of(secret),
    };
    must(gate_roster_add(w->roster, &n, &m, &err), &err);
    return m;
}

static inline struct gate_member *member(const struct world *w, const char *id)
{
    struct gate_member *m = gate_roster_find(w->roster, gate_str_of(id));
    ck_assert_msg(m != NULL, "there is no account %s", id);
    return m;
}

static inline bool is_member(const struct world *w, const char *id)
{
    return gate_roster_find(w->roster, gate_str_of(id)) != NULL;
}

/* NULL: it is not in the table. */
static inline const struct gate_entry *entry_of(const struct gate_table *t, const char *id)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->entries[i].account->id, id) == 0)
            return &t->entries[i];
    return NULL;
}

/* The secret as the plugin keeps it; see struct account of plugins/pool.c. */
static inline const char *secret_of(const struct gate_attachment *a)
{
    ck_assert_ptr_nonnull(a);
    return (const char *)a->state + sizeof(void *);
}

/* All that a request may rely on. */
static inline void check_table(const struct gate_table *t)
{
    size_t count, sum = 0;
    struct gate_instance *const *instances = gate_pool_instances(t->pool, &count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(t->ranges[i].first, sum);
        sum += t->ranges[i].count;
        for (size_t k = 0; k < t->ranges[i].count; k++) {
            const struct gate_entry *e = &t->entries[t->ranges[i].first + k];
            ck_assert_ptr_eq(e->instance, instances[i]);
            if (e->attachment != NULL)
                ck_assert_ptr_eq(e->attachment->instance, instances[i]);
        }
    }
    ck_assert_uint_eq(sum, t->count);
}

#endif
