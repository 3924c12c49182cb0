#include "rounds.h"
#include "base/clock.h"
#include "pool/health.h"
#include <stdlib.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60 * 1000, MAX_NAME = 256, MAX_TEXT = 512, MAX_VALUES = 4 };

struct gate_rounds {
    struct gate_rounds_parts parts;
    struct gate_timer timer;
    uint64_t minute; /* of the last check */
};

/* ---- what is wrong */

/* What an alert is about, in the order in which it was put. */
struct about {
    const char *code;
    struct gate_alert_value values[MAX_VALUES];
    size_t count;
};

static void put_text(struct about *a, const char *name, const char *text)
{
    a->values[a->count++] = (struct gate_alert_value){name, gate_str_of(text), 0};
}

static void put_number(struct about *a, const char *name, uint64_t number)
{
    a->values[a->count++] = (struct gate_alert_value){name, {NULL, 0}, number};
}

static void put_account(struct about *a, const struct gate_member *m)
{
    put_text(a, "account", m->account->id);
    put_text(a, "alias", m->alias);
}

static void add(struct gate_alerts *alerts, enum gate_log_level level, const char *name,
                const char *title, const char *text, const struct about *about)
{
    const struct gate_alert alert = {
        .name = gate_str_of(name),
        .level = level,
        .title = gate_str_of(title),
        .text = gate_str_of(text),
        .code = about->code,
        .values = about->values,
        .value_count = about->count,
    };
    gate_alerts_add(alerts, &alert);
}

static bool takes_part(const struct gate_member *m)
{
    return m->enabled && m->deleted_ms == 0;
}

static bool needs_sign_in(const struct gate_member *m, uint64_t now_ms)
{
    return m->attachment == NULL ||
           gate_health_read(m->account, now_ms).unproven == GATE_CONDITION_SIGN_IN;
}

static void check_sign_in(struct gate_rounds *r, const struct gate_member *m, uint64_t now_ms)
{
    char name[MAX_NAME], title[MAX_NAME], text[MAX_TEXT];
    struct gate_last_error e;
    if (!needs_sign_in(m, now_ms))
        return;
    gate_health_last_error(m->account, &e);
    snprintf(name, sizeof name, "sign_in:%s", m->account->id);
    bool login = m->account->kind == GATE_CREDENTIAL_OAUTH;
    uint64_t until;
    gate_health_saved(m->account, &until);
    bool dead = login && (m->attachment == NULL || until == 0);
    const char *why = m->attachment == NULL ? m->problem.message : e.message;
    snprintf(title, sizeof title,
             dead ? "Account %s (%s) needs a sign-in"
                  : "The credential of account %s (%s) is refused",
             m->alias, m->account->id);
    snprintf(text, sizeof text, "%s. %s", why,
             dead    ? "Sign in again in the console or with `llm-gate login`."
             : login ? "It is tried again by itself; if this lasts, sign in again."
                     : "It is tried again by itself; if this lasts, give the account another key.");
    struct about about = {.code = dead ? "needs_sign_in" : login ? "login_refused" : "key_refused"};
    put_account(&about, m);
    put_text(&about, "why", why);
    add(r->parts.alerts, GATE_LOG_ERROR, name, title, text, &about);
}

/* Percent of the day's limit that is used; 0: there is no limit. */
static uint64_t percent_used(const struct gate_limits *l, const struct gate_quota_numbers *n)
{
    uint64_t requests = l->requests_per_day ? n->requests_day * 100 / l->requests_per_day : 0;
    uint64_t tokens = l->tokens_per_day ? n->tokens_day * 100 / l->tokens_per_day : 0;
    return requests > tokens ? requests : tokens;
}

/* Sums over the accounts of one instance and kind. */
struct pool_use {
    const struct gate_instance *instance;
    uint64_t used, limit;
    size_t accounts, unlimited;
};

static void check_quota(struct gate_rounds *r, const struct gate_member *m,
                        struct pool_use use[GATE_USAGE_KINDS], uint64_t now_ms)
{
    const struct gate_quota *q = gate_roster_quota(r->parts.roster);
    struct gate_limits limits[GATE_USAGE_KINDS];
    gate_roster_limits(r->parts.roster, m, limits);
    for (int kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        struct gate_quota_numbers n;
        char name[MAX_NAME], title[MAX_NAME];
        q->ops->numbers(q->instance, m->account->quota, (enum gate_usage_kind)kind, now_ms, &n);
        uint64_t percent = percent_used(&limits[kind], &n);
        use[kind].accounts++;
        use[kind].used += n.requests_day;
        use[kind].limit += limits[kind].requests_per_day;
        use[kind].unlimited += limits[kind].requests_per_day == 0;
        if (percent < r->parts.config->alerts.threshold_percent)
            continue;
        snprintf(name, sizeof name, "quota:%s:%s", m->account->id, gate_usage_kind_names[kind]);
        snprintf(title, sizeof title, "Account %s (%s) has used %llu %% of its %s quota of the day",
                 m->alias, m->account->id, (unsigned long long)percent,
                 gate_usage_kind_names[kind]);
        struct about about = {.code = "quota_used"};
        put_account(&about, m);
        put_number(&about, "percent", percent);
        put_text(&about, "kind", gate_usage_kind_names[kind]);
        add(r->parts.alerts, GATE_LOG_WARN, name, title,
            "Its quota starts anew at the end of its day.", &about);
    }
}

static void check_pool_quota(struct gate_rounds *r, const struct gate_instance *instance,
                             const struct pool_use use[GATE_USAGE_KINDS])
{
    for (int kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        char name[MAX_NAME], title[MAX_NAME];
        if (use[kind].accounts < 2 || use[kind].unlimited > 0 || use[kind].limit == 0)
            continue;
        uint64_t percent = use[kind].used * 100 / use[kind].limit;
        if (percent < r->parts.config->alerts.threshold_percent)
            continue;
        snprintf(name, sizeof name, "pool_quota:%s:%s", instance->name,
                 gate_usage_kind_names[kind]);
        snprintf(title, sizeof title,
                 "The accounts of %s have used %llu %% of their %s quota of the day",
                 instance->name, (unsigned long long)percent, gate_usage_kind_names[kind]);
        struct about about = {.code = "pool_quota_used"};
        put_text(&about, "provider", instance->name);
        put_number(&about, "percent", percent);
        put_text(&about, "kind", gate_usage_kind_names[kind]);
        add(r->parts.alerts, GATE_LOG_WARN, name, title, "Add an account, or raise the limits.",
            &about);
    }
}

static void check_instance(struct gate_rounds *r, const struct gate_instance *instance,
                           uint64_t now_ms)
{
    size_t count, all = 0, down = 0;
    struct gate_member *const *members = gate_roster_members(r->parts.roster, &count);
    struct pool_use use[GATE_USAGE_KINDS] = {{.accounts = 0}};
    for (size_t i = 0; i < count; i++) {
        const struct gate_member *m = members[i];
        if (m->instance != instance || !takes_part(m))
            continue;
        all++;
        down += m->attachment == NULL ||
                gate_health_read(m->account, now_ms).unproven != GATE_CONDITION_SERVING;
        check_sign_in(r, m, now_ms);
        check_quota(r, m, use, now_ms);
    }
    check_pool_quota(r, instance, use);
    if (all == 0 || down < all)
        return;
    char name[MAX_NAME], title[MAX_NAME];
    snprintf(name, sizeof name, "all_down:%s", instance->name);
    snprintf(title, sizeof title, "All %zu accounts of %s are down", all, instance->name);
    struct about about = {.code = "all_down"};
    put_text(&about, "provider", instance->name);
    put_number(&about, "n", all);
    add(r->parts.alerts, GATE_LOG_ERROR, name, title,
        "Requests for it fail. The accounts list in the console tells why.", &about);
}

static void check_scripts(struct gate_rounds *r)
{
    char title[MAX_NAME];
    const struct about edited = {.code = "scripts_disk"};
    if (gate_live_disk(r->parts.live).differs)
        add(r->parts.alerts, GATE_LOG_WARN, "scripts_disk", "An edit in conf/ is not used",
            "It has errors, so the scripts before it go on. The log and `llm-gate check` name "
            "them.",
            &edited);
    uint64_t failed = gate_live_failed(r->parts.live);
    if (failed == 0)
        return;
    snprintf(title, sizeof title, "The scripts of generation %llu were taken out of service",
             (unsigned long long)failed);
    struct about about = {.code = "scripts_failed"};
    put_number(&about, "generation", failed);
    add(r->parts.alerts, GATE_LOG_ERROR, "scripts_failed", title,
        "They failed one request after the other, so the ones before them serve again. Mend and "
        "publish them; the log and the history say what went wrong.",
        &about);
}

static void check_all(struct gate_rounds *r, uint64_t now_ms)
{
    size_t count;
    struct gate_instance *const *instances =
        gate_pool_instances(gate_roster_pool(r->parts.roster), &count);
    gate_alerts_begin(r->parts.alerts);
    for (size_t i = 0; i < count; i++)
        check_instance(r, instances[i], now_ms);
    check_scripts(r);
    if (gate_store_is_failing(r->parts.store)) {
        struct gate_error problem;
        gate_store_problem(r->parts.store, &problem);
        struct about about = {.code = "storage"};
        put_text(&about, "why", problem.message);
        add(r->parts.alerts, GATE_LOG_ERROR, "storage", "Storage cannot be written",
            problem.message, &about);
    }
    gate_alerts_end(r->parts.alerts, now_ms);
}

/* ---- the rounds */

static void expire(struct gate_storage *s, void *arg)
{
    if (gate_audit_expire(arg, s, gate_clock_wall_ms()))
        gate_store_post(s->store, expire, arg);
}

static void on_second(struct gate_timer *timer)
{
    struct gate_rounds *r =
        (struct gate_rounds *)((char *)timer - offsetof(struct gate_rounds, timer));
    uint64_t now = gate_clock_wall_ms();
    gate_timer_arm(gate_control_timers(r->parts.control), &r->timer, SECOND_MS);
    gate_roster_tick(r->parts.roster, now);
    gate_credentials_tick(r->parts.credentials, now);
    if (now / MINUTE_MS == r->minute)
        return;
    r->minute = now / MINUTE_MS;
    check_all(r, now);
    gate_store_post(r->parts.store, expire, r->parts.audit);
    gate_live_tick(r->parts.live);
}

struct gate_rounds *gate_rounds_create(const struct gate_rounds_parts *parts)
{
    struct gate_rounds *r = gate_calloc(1, sizeof *r);
    r->parts = *parts;
    r->timer.cb = on_second;
    gate_timer_arm(gate_control_timers(parts->control), &r->timer, 0);
    return r;
}

void gate_rounds_destroy(struct gate_rounds *r)
{
    if (r == NULL)
        return;
    gate_timer_disarm(gate_control_timers(r->parts.control), &r->timer);
    free(r);
}
