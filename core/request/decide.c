/* Where a request goes: what the scripts say, and who serves that. */
#include "base/clock.h"
#include "pool/health.h"
#include "request/exchange_internal.h"
#include "request/facts.h"
#include "request/refusal.h"
#include <stdlib.h>

/* ---- what scripts see */

static bool find_accounts(void *ctx, struct gate_str provider, size_t *first, size_t *count)
{
    const struct gate_exchange *x = ctx;
    const struct gate_table *t = x->pin->table;
    size_t position;
    if (gate_pool_find(t->pool, provider, &position) == NULL)
        return false;
    *first = t->ranges[position].first;
    *count = t->ranges[position].count;
    return true;
}

static void read_account(void *ctx, size_t index, struct gate_account_facts *out)
{
    const struct gate_exchange *x = ctx;
    gate_facts_read(&x->pin->table->entries[index], x->in.env->quota, x->kind, gate_clock_wall_ms(),
                    out);
}

struct gate_route_view exchange_route_view(const struct gate_exchange *x,
                                           struct gate_accounts_view *accounts)
{
    *accounts = (struct gate_accounts_view){find_accounts, read_account, (void *)(uintptr_t)x};
    return (struct gate_route_view){
        .model = gate_str_of(x->model),
        .key_name = x->in.key_name,
        .path = x->in.path,
        .facts = &x->facts,
        .body_bytes = x->in.body.len,
        .headers = x->in.headers,
        .header_count = x->in.header_count,
        .accounts = accounts,
    };
}

void exchange_script_failed(struct gate_exchange *x, const char *function,
                            const struct gate_error *err)
{
    char stack[GATE_SCRIPT_STACK], whose[48];
    snprintf(stack, sizeof stack, "%s", gate_script_stack(x->script->script));
    for (char *p = stack; (p = strchr(p, '\n')) != NULL;)
        *p = p[1] == '\0' ? '\0' : ';'; /* a line of the log is one line */
    x->script_failed = true;
    if (x->in.stage != NULL)
        snprintf(whose, sizeof whose, "stage %s", x->in.stage->stage->id);
    else
        snprintf(whose, sizeof whose, "generation %llu",
                 (unsigned long long)gate_generation_number(x->script->generation));
    gate_log_error("request %.*s: %s: %s failed: %s%s%s", (int)x->in.request_id.len,
                   x->in.request_id.ptr, whose, function, err->message,
                   stack[0] != '\0' ? "; stack: " : "", stack);
    snprintf(x->script->why, sizeof x->script->why, "%s: %s", function, err->message);
}

/* ---- targets */

static uint32_t chosen(uint32_t override, uint32_t configured)
{
    return override > 0 ? override : configured;
}

/* The tags in one block. */
static struct gate_str *copy_tags(const struct gate_target *t)
{
    size_t room = t->tag_count * sizeof(struct gate_str);
    for (size_t i = 0; i < t->tag_count; i++)
        room += t->tags[i].len;
    struct gate_str *tags = gate_alloc(room);
    char *text = (char *)(tags + t->tag_count);
    for (size_t i = 0; i < t->tag_count; i++) {
        tags[i] = (struct gate_str){memcpy(text, t->tags[i].ptr, t->tags[i].len), t->tags[i].len};
        text += t->tags[i].len;
    }
    return tags;
}

/* What the script wants of this target; edits move from there to here. */
static void override_target(struct exchange_target *t, struct gate_target *from)
{
    t->clocks.first_token_ms = chosen(from->first_token_ms, t->clocks.first_token_ms);
    t->clocks.idle_ms = chosen(from->idle_ms, t->clocks.idle_ms);
    t->clocks.total_ms = chosen(from->total_ms, t->clocks.total_ms);
    t->retries = (int16_t)from->retries;
    t->strategy = (int16_t)from->strategy;
    t->edits = from->edits;
    from->edits = NULL;
    if (from->tag_count > 0)
        t->tags = copy_tags(from);
    t->tag_count = from->tag_count;
}

static struct exchange_target *add_target(struct gate_exchange *x,
                                          const struct gate_instance *instance, size_t position,
                                          struct gate_str model)
{
    x->targets = gate_realloc(x->targets, (x->target_count + 1) * sizeof x->targets[0]);
    struct exchange_target *t = &x->targets[x->target_count++];
    *t = (struct exchange_target){
        .instance = instance,
        .position = position,
        .model = gate_strdup(model),
        .clocks = instance->clocks,
        .retries = -1,
        .strategy = -1,
    };
    return t;
}

void exchange_targets_finish(struct gate_exchange *x)
{
    for (size_t i = 0; i < x->target_count; i++) {
        struct exchange_target *t = &x->targets[i];
        if (t->position == EXCHANGE_GONE)
            gate_instance_release((struct gate_instance *)t->instance);
        free(t->model);
        free(t->tags);
        free(t->edits);
    }
    free(x->targets);
}

void exchange_repin(struct gate_exchange *x)
{
    struct gate_table_pin *old = x->pin;
    x->pin = gate_table_pin_use(exchange_newest_accounts(x));
    for (size_t i = 0; i < x->target_count && x->pin->table->pool != old->table->pool; i++) {
        struct exchange_target *t = &x->targets[i];
        struct gate_instance *here =
            t->position != EXCHANGE_GONE
                ? gate_pool_find(x->pin->table->pool, gate_str_of(t->instance->name), &t->position)
                : NULL;
        if (here != NULL) {
            t->instance = here;
        } else if (t->position != EXCHANGE_GONE) {
            gate_instance_retain((struct gate_instance *)t->instance); /* its name is still shown */
            t->position = EXCHANGE_GONE;
        }
    }
    gate_table_pin_drop(old);
}

/* ---- deciding */

/* Finds who serves a name. GATE_EINTERNAL: the mapping's function failed, which was told. */
static enum gate_status resolve(struct gate_exchange *x, struct gate_str name, bool *found,
                                struct gate_resolved *r, char mapped[GATE_SCRIPT_MAX_TARGET])
{
    struct gate_str target = {NULL, 0};
    struct gate_error err;
    enum gate_status status = gate_script_map(x->script->script, name, mapped, &target, &err);
    if (status != GATE_OK) {
        exchange_script_failed(x, "models", &err);
        return status;
    }
    *found = gate_pool_resolve(x->pin->table->pool, target, name, r);
    return GATE_OK;
}

static enum gate_status add_targets(struct gate_exchange *x, struct gate_decision *d)
{
    char mapped[GATE_SCRIPT_MAX_TARGET];
    struct gate_resolved r;
    bool found = false;
    if (d->target_count == 0) {
        enum gate_status status = resolve(x, gate_str_of(x->model), &found, &r, mapped);
        if (status == GATE_OK && found)
            add_target(x, r.instance, r.position, r.model);
        return status;
    }
    for (size_t i = 0; i < d->target_count; i++) {
        enum gate_status status = resolve(x, d->targets[i].name, &found, &r, mapped);
        if (status != GATE_OK)
            return status;
        if (found)
            override_target(add_target(x, r.instance, r.position, r.model), &d->targets[i]);
    }
    return GATE_OK;
}

static void refuse(struct gate_exchange *x, const struct gate_api_error *error, const char *audit)
{
    char outcome[GATE_AUDIT_MAX_OUTCOME], code[GATE_AUDIT_MAX_OUTCOME];
    snprintf(code, sizeof code, "%.*s", (int)error->code.len, error->code.ptr);
    exchange_refuse(x, error, audit != NULL ? audit : exchange_error_outcome(outcome, code));
}

static void refuse_script(struct gate_exchange *x)
{
    struct gate_api_error error;
    gate_refusal_script(&error);
    refuse(x, &error, NULL);
}

static void reject(struct gate_exchange *x, const struct gate_decision *d)
{
    struct gate_api_error error;
    gate_refusal_rejected(d->reject.status, d->reject.code, d->reject.message, &error);
    exchange_add_retry_after(x, d->reject.retry_after_ms);
    refuse(x, &error, "rejected");
}

/* What the script said leads somewhere: true. */
static bool follow(struct gate_exchange *x, struct gate_decision *d)
{
    if (d->reason.len > 0)
        x->reason = gate_strdup(d->reason);
    if (d->reject.status != 0) {
        reject(x, d);
        return false;
    }
    if (add_targets(x, d) != GATE_OK) {
        refuse_script(x);
        return false;
    }
    if (x->target_count > 0)
        return true;
    struct gate_api_error error;
    char message[GATE_REFUSAL_TEXT];
    struct gate_str asked = gate_str_of(x->model);
    gate_refusal_unknown_model(x->pin->table->pool, x->script, asked,
                               d->target_count > 0 ? d->targets[0].name : asked, message,
                               sizeof message, &error);
    refuse(x, &error, NULL);
    return false;
}

bool exchange_route(struct gate_exchange *x)
{
    struct gate_decision decision;
    struct gate_error err;
    struct gate_accounts_view accounts;
    struct gate_route_view view = exchange_route_view(x, &accounts);
    if (gate_script_route(x->script->script, &view, &decision, &err) != GATE_OK) {
        exchange_script_failed(x, "route", &err);
        refuse_script(x);
        return false;
    }
    bool on = follow(x, &decision);
    gate_decision_finish(&decision);
    return on;
}

bool exchange_route_search(struct gate_exchange *x)
{
    size_t count;
    struct gate_instance *const *all = gate_pool_instances(x->pin->table->pool, &count);
    x->model = gate_strdup((struct gate_str){NULL, 0});
    for (size_t i = 0; i < count; i++)
        if (all[i]->ops->search_request != NULL && gate_pool_accounts(x->pin->table->pool, i) > 0)
            add_target(x, all[i], i, (struct gate_str){NULL, 0});
    if (x->target_count > 0)
        return true;
    struct gate_api_error error;
    gate_refusal_no_search(&error);
    refuse(x, &error, NULL);
    return false;
}

/* ---- on_response */

static size_t read_limits(const char *limits, struct gate_header *out, size_t max)
{
    size_t count = 0;
    for (const char *at = limits; at != NULL && *at != '\0' && count < max; count++) {
        out[count].name = gate_str_of(at);
        at += out[count].name.len + 1;
        out[count].value = gate_str_of(at);
        at += out[count].value.len + 1;
    }
    return count;
}

void exchange_respond(struct gate_exchange *x)
{
    enum { MAX_LIMITS = 16 };
    struct gate_header limits[MAX_LIMITS];
    struct gate_response_decision d = {.cooldown_ms = 0};
    struct gate_error err;
    struct gate_accounts_view accounts;
    const struct exchange_target *t = exchange_target(x);
    struct gate_route_view req = exchange_route_view(x, &accounts);
    const struct gate_response_view view = {
        .status = x->upstream_status,
        .stream = x->mode == ANSWER_STREAM,
        .estimated = !x->has_usage,
        .first_us = x->first_us,
        .total_us = gate_clock_mono_us() - x->in.started_us,
        .usage = x->usage,
        .headers = limits,
        .header_count = read_limits(x->limits, limits, MAX_LIMITS),
        .number = x->attempts,
        .account = gate_str_of(x->entry->account->id),
        .alias = gate_str_of(x->entry->alias),
        .provider = gate_str_of(t->instance->name),
        .model = gate_str_of(t->model),
    };
    if (gate_script_on_response(x->script->script, &view, &req, &d, &err) != GATE_OK) {
        exchange_script_failed(x, "on_response", &err);
        return;
    }
    if (d.cooldown_ms > 0 && x->in.stage == NULL) /* a draft rests nobody who serves */
        gate_health_rest(x->entry->account, d.cooldown_ms, gate_clock_wall_ms());
}
