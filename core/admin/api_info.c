/* What is configured and what is wrong: providers, settings, alerts. */
#include "admin/admin_internal.h"

enum { INFO_MAX = 4 << 20, MAX_MODELS = 1000, ALERTS_MAX = 15 << 20 };

/* ---- GET /providers */

struct models {
    struct gate_buf *out;
    size_t count;
};

static void put_model(void *ctx, struct gate_str model)
{
    struct models *m = ctx;
    if (m->count++ < MAX_MODELS)
        json_str(m->out, NULL, model);
}

/* Bits of gate_credential_kind. */
static unsigned kinds_of(const struct gate_instance *i)
{
    const struct gate_provider_ops *ops = i->ops;
    if (ops->credential_kinds != NULL)
        return ops->credential_kinds(i->state);
    return (ops->build_request != NULL ? 1u << GATE_CREDENTIAL_API_KEY : 0) |
           (ops->login_begin_request != NULL ? 1u << GATE_CREDENTIAL_OAUTH : 0);
}

/* How an account can be added. */
static void put_kinds(const struct gate_provider_ops *ops, unsigned kinds, struct gate_buf *out)
{
    bool oauth = (kinds & 1u << GATE_CREDENTIAL_OAUTH) != 0;
    json_open(out, "kinds", '[');
    if ((kinds & 1u << GATE_CREDENTIAL_API_KEY) != 0)
        json_text(out, NULL, "api_key");
    if (oauth && ops->login_begin_request != NULL)
        json_text(out, NULL, "login");
    if (oauth)
        json_text(out, NULL, "import");
    json_close(out, ']');
    json_bool(out, "logins", oauth && ops->login_begin_request != NULL);
    json_bool(out, "refresh", oauth && ops->refresh_request != NULL);
}

static void put_provider(const struct gate_instance *i, uint32_t accounts, struct gate_buf *out)
{
    const struct gate_provider_ops *ops = i->ops;
    struct models models = {out, 0};
    json_open(out, NULL, '{');
    json_text(out, "name", i->name);
    json_text(out, "plugin", i->plugin->name);
    json_text(out, "version", i->plugin->version);
    json_text(out, "summary", i->plugin->summary);
    json_text(out, "dialect", ops->dialect);
    put_kinds(ops, kinds_of(i), out);
    json_bool(out, "search", ops->search_request != NULL);
    json_num(out, "accounts", accounts);
    json_open(out, "models", '[');
    ops->each_model(i->state, put_model, &models);
    json_close(out, ']');
    json_close(out, '}');
}

/* Names of models.lua, sorted, of which some are served. */
struct names {
    struct gate_buf *out;
    const struct gate_mapping *all;
    size_t count, at;
};

/* Mapped names come first, in their order, and models of providers after them. */
static void put_name(void *ctx, struct gate_str model, const struct gate_instance *owner)
{
    struct names *n = ctx;
    (void)owner;
    while (n->at < n->count && !gate_str_eq(n->all[n->at].name, model))
        n->at++;
    if (n->at == n->count)
        return;
    json_str(n->out, NULL, model);
    n->at++;
}

/* Those that a function of the scripts decides are left out: it runs on workers only. */
static void put_names(const struct admin_call *c, const struct gate_pool *pool,
                      struct gate_buf *out)
{
    const struct gate_generation *g = gate_live_running(c->admin->parts.live)->generation;
    struct names names = {.out = out};
    names.all = gate_generation_mappings(g, &names.count);
    json_open(out, "names", '[');
    gate_pool_each_model(pool, NULL, g, put_name, &names);
    json_close(out, ']');
}

void admin_providers(struct admin_call *c)
{
    size_t count;
    const struct gate_pool *pool = gate_roster_pool(c->admin->parts.roster);
    struct gate_instance *const *all = gate_pool_instances(pool, &count);
    struct gate_buf out;
    if (!admin_no_params(c))
        return;
    gate_buf_init(&out, INFO_MAX);
    json_open(&out, NULL, '{');
    json_open(&out, "providers", '[');
    for (size_t i = 0; i < count; i++)
        put_provider(all[i], gate_pool_accounts(pool, i), &out);
    json_close(&out, ']');
    put_names(c, pool, &out);
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

/* ---- GET /config */

/* Options of other people's plugins may be secrets: what sounds like one is not shown. */
static bool sounds_secret(const char *name)
{
    static const char *const words[] = {"key", "secret", "token", "password", "credential"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(name, words[i]) != NULL)
            return true;
    return false;
}

static void put_option(const struct gate_config_option *o, struct gate_buf *out)
{
    char number[32];
    if (sounds_secret(o->name)) {
        json_text(out, o->name, "(hidden)");
        return;
    }
    switch (o->type) {
    case GATE_OPTION_STRING:
        json_text(out, o->name, o->string);
        break;
    case GATE_OPTION_NUMBER:
        snprintf(number, sizeof number, "%.15g", o->number);
        json_raw(out, o->name, gate_str_of(number));
        break;
    case GATE_OPTION_BOOL:
        json_bool(out, o->name, o->boolean);
        break;
    case GATE_OPTION_LIST:
        json_open(out, o->name, '[');
        for (size_t i = 0; i < o->list_len; i++)
            json_text(out, NULL, o->list[i]);
        json_close(out, ']');
        break;
    }
}

static void put_options(const struct gate_config_option *options, size_t count,
                        struct gate_buf *out)
{
    json_open(out, "options", '{');
    for (size_t i = 0; i < count; i++)
        put_option(&options[i], out);
    json_close(out, '}');
}

static void put_clocks(const struct gate_clocks *k, struct gate_buf *out)
{
    json_open(out, "clocks", '{');
    json_num(out, "connect_ms", k->connect_ms);
    json_num(out, "first_token_ms", k->first_token_ms);
    json_num(out, "idle_ms", k->idle_ms);
    json_num(out, "total_ms", k->total_ms);
    json_num(out, "keepalive_ms", k->keepalive_ms);
    json_close(out, '}');
}

static void put_instances(const struct gate_config *k, struct gate_buf *out)
{
    json_open(out, "providers", '[');
    for (size_t i = 0; i < k->instance_count; i++) {
        const struct gate_config_instance *instance = &k->instances[i];
        json_open(out, NULL, '{');
        json_text(out, "name", instance->name);
        json_text(out, "plugin", instance->plugin);
        json_text_or_null(out, "dedup", instance->dedup);
        json_num(out, "dedup_hold_ms", instance->dedup_hold_ms);
        json_bool(out, "ask_usage", instance->ask_usage);
        json_num(out, "accounts", instance->account_count);
        put_clocks(&instance->clocks, out);
        put_options(instance->options, instance->option_count, out);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_plugin(const char *name, const struct gate_config_plugin *p, struct gate_buf *out)
{
    json_open(out, name, '{');
    json_text(out, "plugin", p->plugin);
    put_options(p->options, p->option_count, out);
    json_close(out, '}');
}

/* port: that is listened on, where any free one was asked for; 0: none. */
static void put_process(const struct gate_config *k, uint16_t port, struct gate_buf *out)
{
    json_text(out, "listen_host", k->listen_host);
    json_num(out, "listen_port", port != 0 ? port : k->listen_port);
    json_num(out, "workers", k->workers);
    json_text(out, "data_dir", k->data_dir);
    json_text(out, "plugin_dir", k->plugin_dir);
    json_text_or_null(out, "conf_dir", k->conf_dir);
    json_text_or_null(out, "script_dir", k->script_dir);
    json_text_or_null(out, "api_key_file", k->api_key_file);
    json_bool(out, "admin_key", k->admin_key != NULL);
    json_bool(out, "secret", k->secret != NULL);
    json_bool(out, "allow_private", k->allow_private);
    json_num(out, "max_body", k->max_body);
    json_num(out, "counter_flush_ms", k->counter_flush_ms);
    json_num(out, "audit_retention_days", k->audit_retention_days);
}

/* What a change of gateway.lua changes at once. */
static void put_timeouts(const struct gate_config *k, struct gate_buf *out)
{
    json_num(out, "header_timeout_ms", k->header_timeout_ms);
    json_num(out, "body_timeout_ms", k->body_timeout_ms);
    json_num(out, "idle_timeout_ms", k->idle_timeout_ms);
    json_num(out, "write_timeout_ms", k->write_timeout_ms);
    json_num(out, "drain_ms", k->drain_ms);
    json_num(out, "max_connections", k->max_connections);
    json_num(out, "max_attempts", k->max_attempts);
    json_num(out, "failover_ms", k->failover_ms);
    json_bool(out, "audit_success_log", k->audit_success_log);
}

static void put_alert_settings(const struct gate_config_alerts *a, struct gate_buf *out)
{
    static const char *const types[] = {"generic", "dingtalk", "feishu", "slack"};
    json_open(out, "alerts", '{');
    json_bool(out, "enabled", a->enabled);
    json_num(out, "threshold_percent", a->threshold_percent);
    json_bool(out, "webhook", a->webhook_url != NULL);
    json_text(out, "webhook_type", types[a->webhook_type]);
    json_close(out, '}');
}

void admin_config(struct admin_call *c)
{
    const struct gate_running *running = gate_live_running(c->admin->parts.live);
    const struct gate_config *k = running->config, *booted = c->admin->parts.config;
    const struct gate_account_policy *policy = gate_generation_policy(running->generation);
    struct gate_buf out;
    if (!admin_no_params(c))
        return;
    gate_buf_init(&out, INFO_MAX);
    json_open(&out, NULL, '{');
    put_process(booted, c->admin->parts.listen_port, &out);
    put_timeouts(k, &out);
    put_clocks(&k->clocks, &out);
    json_text(&out, "strategy", gate_strategy_names[policy->strategy]);
    put_alert_settings(&k->alerts, &out);
    put_plugin("storage", &booted->storage, &out);
    put_plugin("quota", &booted->quota, &out);
    put_instances(k, &out);
    json_open(&out, "warnings", '[');
    for (size_t i = 0; i < k->warning_count; i++)
        json_text(&out, NULL, k->warnings[i]);
    json_close(&out, ']');
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

/* ---- alerts */

void admin_alerts(struct admin_call *c)
{
    struct gate_buf out, list;
    if (!admin_no_params(c))
        return;
    gate_buf_init(&out, ALERTS_MAX + 64);
    gate_buf_init(&list, ALERTS_MAX);
    gate_alerts_json(c->admin->parts.alerts, &list);
    json_open(&out, NULL, '{');
    json_raw(&out, "alerts", gate_buf_str(&list));
    json_close(&out, '}');
    admin_reply(c, 200, gate_buf_str(&out));
    gate_buf_finish(&list);
    gate_buf_finish(&out);
}

static void on_notice_sent(void *ctx, int status, const char *why)
{
    struct gate_buf out;
    gate_buf_init(&out, 8 * ADMIN_MESSAGE);
    bool ok = status >= 200 && status < 300;
    json_open(&out, NULL, '{');
    json_bool(&out, "ok", ok);
    json_num(&out, "status", (uint64_t)(status > 0 ? status : 0));
    json_text_or_null(&out, "message", why);
    json_close(&out, '}');
    admin_wait_end(ctx, 200, gate_buf_str(&out));
    gate_buf_finish(&out);
}

void admin_alerts_test(struct admin_call *c)
{
    if (!admin_no_params(c))
        return;
    cJSON *body = admin_body(c, "", true);
    struct admin_wait *wait = body != NULL ? admin_wait_begin(c) : NULL;
    gate_json_tree_free(body);
    if (wait != NULL)
        gate_alerts_test(c->admin->parts.alerts, on_notice_sent, wait);
}
