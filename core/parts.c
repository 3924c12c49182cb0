#include "parts.h"
#include "base/clock.h"
#include "base/log.h"
#include "rounds.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { BUSY_POLL_MS = 20, BUSY_MS = 5000 /* most services answer within that */ };

/* ---- what touches no data */

static enum gate_status load_quota(struct gate_parts *p, struct gate_error *err)
{
    const struct gate_config_plugin *c = &p->config->quota;
    p->quota_plugin = gate_registry_find(p->registry, GATE_KIND_QUOTA, gate_str_of(c->plugin));
    if (p->quota_plugin == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "there is no quota plugin \"%s\"; `llm-gate plugins` lists what is loaded",
                         c->plugin);
    p->quota.ops = p->quota_plugin->ops;
    enum gate_status status =
        gate_values_make(p->quota_plugin, c->options, c->option_count, &p->quota_values, err);
    if (status == GATE_OK)
        status = p->quota.ops->instance_create(p->quota_values, &p->quota.instance, err);
    if (status != GATE_OK) {
        struct gate_error why = *err;
        p->quota.ops = NULL;
        gate_fail(err, status, "quota: %.480s", why.message);
    }
    return status;
}

enum gate_status gate_parts_load_storage(struct gate_parts *p, struct gate_error *err)
{
    const struct gate_config_plugin *c = &p->config->storage;
    enum gate_status status = gate_registry_load(
        p->config->plugin_dir, gate_host_services(p->config->allow_private), &p->registry, err);
    if (status != GATE_OK)
        return status;
    p->storage_plugin = gate_registry_find(p->registry, GATE_KIND_STORAGE, gate_str_of(c->plugin));
    if (p->storage_plugin == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "there is no storage plugin \"%s\"; `llm-gate plugins` lists what is "
                         "loaded",
                         c->plugin);
    return gate_values_make(p->storage_plugin, c->options, c->option_count, &p->storage_values,
                            err);
}

enum gate_status gate_parts_load(struct gate_parts *p, struct gate_error *err)
{
    const struct gate_config *c = p->config;
    enum gate_status status = gate_parts_load_storage(p, err);
    if (status == GATE_OK)
        status = gate_pool_create(c, p->registry, &p->pool, err);
    if (status == GATE_OK)
        status = load_quota(p, err);
    if (status == GATE_OK)
        status = gate_generation_load(c->conf_dir, c->script_dir, c->mappings, c->mapping_count, 1,
                                      &p->generation, err);
    return status;
}

/* ---- what owns the data directory */

enum gate_status gate_parts_store_path(const struct gate_config *config, char *out,
                                       struct gate_error *err)
{
    int n = snprintf(out, GATE_PARTS_PATH, "%s/db", config->data_dir);
    if (n < 0 || n >= GATE_PARTS_PATH)
        return gate_fail(err, GATE_EINVAL, "the path of the data directory is too long");
    return GATE_OK;
}

static enum gate_status open_store(struct gate_parts *p, struct gate_error *err)
{
    const struct gate_config *c = p->config;
    char path[GATE_PARTS_PATH];
    if (mkdir(c->data_dir, 0700) != 0 && errno != EEXIST)
        return gate_fail(err, GATE_EIO, "cannot make the data directory %s: %s", c->data_dir,
                         strerror(errno));
    enum gate_status status = gate_parts_store_path(c, path, err);
    if (status == GATE_OK)
        status = gate_vault_create(c->data_dir, c->secret, true, &p->vault, err);
    if (status == GATE_OK)
        status = gate_store_open(p->storage_plugin, p->storage_values, path, c->counter_flush_ms,
                                 &p->store, err);
    return status == GATE_OK ? gate_vault_prove(p->vault, p->store, err) : status;
}

static uint64_t day_end(void *ctx, uint64_t now_ms)
{
    const struct gate_quota *q = ctx;
    return q->ops->day_end(q->instance, now_ms);
}

/* What runs on the control thread is made there. */
struct opening {
    struct gate_parts *parts;
    enum gate_status status;
    struct gate_error *err;
};

static enum gate_status open_live(struct gate_parts *p, struct gate_error *err)
{
    const struct gate_live_parts parts = {
        .boot = p->config,
        .running = {p->config, p->pool, p->generation},
        .registry = p->registry,
        .roster = p->roster,
        .store = p->store,
        .control = p->control,
        .serves = !p->idle,
    };
    return gate_live_create(&parts, &p->live, err);
}

static void open_sessions(struct gate_parts *p)
{
    const struct gate_config *c = p->config;
    const char *key =
        c->admin_key != NULL ? c->admin_key : c->api_key; /* a command may have none */
    const struct gate_sessions_parts parts = {
        .store = p->store,
        .vault = p->vault,
        .control = p->control,
        .key = gate_str_of(key != NULL ? key : ""),
    };
    p->sessions = gate_sessions_create(&parts, gate_clock_wall_ms());
    if (c->api_key != NULL)
        p->auth = gate_auth_create(gate_str_of(c->api_key));
}

static void open_on_control(void *arg)
{
    struct opening *o = arg;
    struct gate_parts *p = o->parts;
    open_sessions(p);
    o->status = gate_roster_create(p->config, p->pool, &p->quota, p->store, p->vault, p->generation,
                                   &p->roster, o->err);
    if (o->status == GATE_OK)
        o->status = open_live(p, o->err);
    if (o->status == GATE_OK)
        o->status = gate_credentials_create(p->roster, p->control, &p->credentials, o->err);
    if (o->status == GATE_OK)
        o->status = gate_alerts_create(p->config, p->control, p->store, &p->alerts, o->err);
    if (o->status != GATE_OK)
        return;
    gate_logins_create(p->roster, p->control, &p->logins);
    if (p->idle)
        return;
    const struct gate_rounds_parts rounds = {
        .config = p->config,
        .control = p->control,
        .store = p->store,
        .roster = p->roster,
        .live = p->live,
        .credentials = p->credentials,
        .alerts = p->alerts,
        .audit = p->audit,
    };
    p->rounds = gate_rounds_create(&rounds);
}

enum gate_status gate_parts_open(struct gate_parts *p, struct gate_error *err)
{
    p->started_ms = gate_clock_wall_ms();
    enum gate_status status = open_store(p, err);
    if (status == GATE_OK)
        status = gate_control_create(&p->control, err);
    if (status != GATE_OK)
        return status;
    p->audit = gate_audit_create(p->store, p->config->audit_retention_days, day_end, &p->quota);
    p->journal = gate_journal_create(p->store, p->config->audit_retention_days);
    struct opening o = {.parts = p, .err = err};
    gate_control_call(p->control, open_on_control, &o);
    return o.status;
}

/* No new refreshes, and does one run? */
static void quieten(void *arg)
{
    struct gate_parts *p = arg;
    gate_rounds_destroy(p->rounds);
    p->rounds = NULL;
    p->refreshing = p->credentials != NULL && gate_credentials_busy(p->credentials);
}

/* A service that has just replaced a token gets the time to say so. */
static void wait_for_refreshes(struct gate_parts *p)
{
    const struct timespec pause = {.tv_nsec = BUSY_POLL_MS * 1000000};
    for (int waited = 0; waited < BUSY_MS; waited += BUSY_POLL_MS) {
        gate_control_call(p->control, quieten, p);
        if (!p->refreshing)
            return;
        nanosleep(&pause, NULL);
    }
}

static void close_on_control(void *arg)
{
    struct gate_parts *p = arg;
    gate_live_destroy(p->live);
    gate_logins_destroy(p->logins);
    gate_credentials_destroy(p->credentials);
    if (p->roster != NULL)
        gate_roster_tick(p->roster, gate_clock_wall_ms()); /* conditions of the last second */
    gate_alerts_destroy(p->alerts);
}

void gate_parts_finish(struct gate_parts *p)
{
    if (p->control != NULL) {
        wait_for_refreshes(p);
        gate_control_call(p->control, close_on_control, p);
        gate_control_destroy(p->control);
    }
    gate_store_close(p->store);
    gate_sessions_destroy(p->sessions);
    gate_auth_destroy(p->auth);
    gate_audit_destroy(p->audit);
    gate_journal_destroy(p->journal);
    gate_roster_destroy(p->roster);
    gate_vault_destroy(p->vault);
    gate_generation_release(p->generation);
    if (p->quota.ops != NULL)
        p->quota.ops->instance_destroy(p->quota.instance);
    if (p->quota_values != NULL)
        gate_values_free(p->quota_plugin, p->quota_values);
    if (p->storage_values != NULL)
        gate_values_free(p->storage_plugin, p->storage_values);
    gate_pool_release(p->pool);
    gate_registry_destroy(p->registry);
    gate_config_release(p->config);
    memset(p, 0, sizeof *p);
}

struct gate_admin_parts gate_parts_admin(const struct gate_parts *p)
{
    return (struct gate_admin_parts){
        .config = p->config,
        .live = p->live,
        .roster = p->roster,
        .credentials = p->credentials,
        .logins = p->logins,
        .alerts = p->alerts,
        .audit = p->audit,
        .journal = p->journal,
        .store = p->store,
        .sessions = p->sessions,
        .auth = p->auth,
        .control = p->control,
        .started_ms = p->started_ms,
    };
}
