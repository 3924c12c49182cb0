/*
 * pool_fixture: an account table of any size without storage and without a network, with the real
 * quota plugin, loaded as the gateway loads it. For test_pool.c and test_pool_cost.c.
 */
#ifndef POOL_FIXTURE_H
#define POOL_FIXTURE_H

#include "base/buf.h"
#include "base/clock.h"
#include "pool/select.h"
#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>

struct pool_fixture {
    void *handle;
    struct gate_quota quota;
    struct gate_value zone;
    struct gate_instance instance;
    struct gate_provider_ops ops;
    struct gate_table *table;
    struct gate_select select; /* what every question of the test has in common */
};

static uint64_t pool_fixture_now(void)
{
    return gate_clock_wall_ms();
}

static void pool_fixture_open(struct pool_fixture *f, size_t accounts)
{
    static struct gate_host host = {.size = sizeof host, .now_ms = pool_fixture_now};
    struct gate_error err = {.message = ""};
    memset(f, 0, sizeof *f);
    f->handle = dlopen(GATE_TEST_PLUGIN_DIR "/quota_window.so", RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(f->handle != NULL, "%s", dlerror());
    const struct gate_plugin *plugin = dlsym(f->handle, "gate_plugin");
    ck_assert_ptr_nonnull(plugin);
    if (plugin->init != NULL)
        ck_assert_int_eq(plugin->init(&host, &err), GATE_OK);
    f->zone = (struct gate_value){.present = true, .string = GATE_STR("+08:00")};
    f->quota.ops = plugin->ops;
    ck_assert_int_eq(plugin->option_count, 1);
    ck_assert_int_eq(f->quota.ops->instance_create(&f->zone, &f->quota.instance, &err), GATE_OK);
    atomic_init(&f->instance.refs, 1);
    f->instance.name = (char *)"pool";
    f->instance.ops = &f->ops;
    struct gate_table *t = f->table = gate_calloc(1, sizeof *t);
    atomic_init(&t->refs, 1);
    t->entries = gate_calloc(accounts, sizeof t->entries[0]);
    t->count = t->ranges[0].count = accounts;
    for (size_t i = 0; i < accounts; i++) {
        char id[32];
        const struct gate_credential credential = {.kind = GATE_CREDENTIAL_NONE};
        snprintf(id, sizeof id, "pool/%zu", i);
        struct gate_entry *e = &t->entries[i];
        e->account = gate_account_create(id, GATE_CREDENTIAL_API_KEY, &f->quota);
        e->instance = &f->instance;
        ck_assert_int_eq(
            gate_attachment_create(&f->instance, &credential, 1, 0, &e->attachment, &err), GATE_OK);
        e->alias = "";
        e->enabled = true;
        e->weight = 1;
    }
    f->select = (struct gate_select){
        .table = t,
        .quota = &f->quota,
        .kind = GATE_USAGE_CHAT,
        .turn = &f->instance.turn,
        .tokens = 100,
    };
}

static void pool_fixture_close(struct pool_fixture *f)
{
    gate_table_release(f->table);
    f->quota.ops->instance_destroy(f->quota.instance);
    dlclose(f->handle);
}

/* Gives an account back that was chosen. */
static inline void pool_fixture_end(struct pool_fixture *f, const struct gate_choice *c,
                                    enum gate_outcome outcome, uint64_t tokens, uint64_t now_ms)
{
    f->quota.ops->settle(f->quota.instance, c->entry->account->quota, f->select.kind,
                         &c->reservation, outcome, tokens, now_ms);
    gate_health_end(c->entry->account, c->probe);
}

#endif
