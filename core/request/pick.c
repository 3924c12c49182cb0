/* Which account serves: asks select, and gives the account back at the end. */
#include "base/clock.h"
#include "base/json.h"
#include "request/exchange_internal.h"
#include "request/facts.h"
#include <stdlib.h>

enum {
    BYTES_PER_TOKEN = 4,       /* of a prompt, roughly */
    DEFAULT_COMPLETION = 1024, /* tokens, where the client named no maximum */
    STICKY_MESSAGES = 2,       /* a conversation is known by its first messages */
    STICKY_BYTES = 64 * 1024,
    MAX_ESTIMATE = 1 << 20, /* tokens: a picture's bytes are not text */
};

bool exchange_may_try_more(const struct gate_exchange *x)
{
    const struct gate_config *c = exchange_config(x);
    uint64_t elapsed_ms = (gate_clock_mono_us() - x->in.started_us) / 1000;
    return x->attempts < c->max_attempts && elapsed_ms < c->failover_ms;
}

/* ---- the question */

static uint64_t conversation_hash(const struct gate_exchange *x)
{
    uint64_t h = 0xcbf29ce484222325u;
    struct gate_str messages = {x->in.body.ptr + x->facts.messages.off, x->facts.messages.len};
    struct gate_str parts[STICKY_MESSAGES + 1] = {x->in.key_name};
    size_t cursor = 0, count = 1;
    while (count <= STICKY_MESSAGES && messages.len > 0 &&
           gate_json_element(messages, &cursor, &parts[count]))
        count++;
    for (size_t i = 0; i < count; i++) {
        size_t len = parts[i].len < STICKY_BYTES ? parts[i].len : STICKY_BYTES;
        for (size_t k = 0; k < len; k++)
            h = (h ^ (unsigned char)parts[i].ptr[k]) * 0x100000001b3u;
        h = (h ^ len) * 0x100000001b3u;
    }
    return h;
}

static uint64_t estimate_tokens(const struct gate_exchange *x)
{
    const struct gate_edits *edits = exchange_target(x)->edits;
    uint64_t completion = x->facts.max_tokens > 0 ? x->facts.max_tokens : DEFAULT_COMPLETION;
    if (edits != NULL && edits->max_tokens > 0 && completion > edits->max_tokens)
        completion = edits->max_tokens;
    if (completion > MAX_ESTIMATE)
        return MAX_ESTIMATE;
    uint64_t all = x->in.body.len / BYTES_PER_TOKEN + completion;
    return all < MAX_ESTIMATE ? all : MAX_ESTIMATE;
}

/* ---- select(accounts, req) of accounts.lua */

struct lua_order {
    struct gate_exchange *x;
    const uint32_t *indices;
    size_t count;
    bool last_resort;
    uint64_t now_ms;
    bool failed;
};

static void read_facts(void *ctx, size_t index, struct gate_account_facts *out)
{
    const struct lua_order *o = ctx;
    const struct gate_exchange *x = o->x;
    gate_facts_read(&x->pin->table->entries[o->indices[index]], x->in.env->quota, x->kind,
                    o->now_ms, out);
    out->cooling = o->last_resort;
}

/* Is it the id or alias of an account of this target that is not on offer? */
static bool is_known(void *ctx, struct gate_str name)
{
    const struct lua_order *o = ctx;
    const struct gate_table *t = o->x->pin->table;
    size_t position = exchange_target(o->x)->position;
    for (size_t i = 0; i < t->ranges[position].count; i++) {
        const struct gate_entry *e = &t->entries[t->ranges[position].first + i];
        if (gate_str_eq(name, gate_str_of(e->account->id)) ||
            gate_str_eq(name, gate_str_of(e->alias)))
            return true;
    }
    return false;
}

/* Puts what the script named to the front, in its order. */
static size_t apply_order(const struct gate_selection *selection, uint32_t *indices, size_t count)
{
    uint32_t named[GATE_POLICY_MAX_SELECTED];
    size_t rest = 0;
    for (size_t i = 0; i < selection->count; i++)
        named[i] = indices[selection->order[i]];
    uint32_t others[GATE_ACCOUNT_MAX];
    for (size_t i = 0; i < count; i++) {
        bool is_named = false;
        for (size_t k = 0; k < selection->count; k++)
            is_named = is_named || named[k] == indices[i];
        if (!is_named)
            others[rest++] = indices[i];
    }
    memcpy(indices, named, selection->count * sizeof named[0]);
    memcpy(indices + selection->count, others, rest * sizeof others[0]);
    return selection->count;
}

static size_t order_by_script(void *ctx, uint32_t *indices, size_t count, bool last_resort)
{
    struct lua_order *o = ctx;
    struct gate_exchange *x = o->x;
    struct gate_accounts_view accounts;
    struct gate_route_view req = exchange_route_view(x, &accounts);
    struct gate_selection selection = {.count = 0};
    struct gate_error err;
    o->indices = indices;
    o->count = count;
    o->last_resort = last_resort;
    const struct gate_select_view view = {count, read_facts, o, is_known};
    if (gate_script_select(x->script->script, &view, &req, &selection, &err) == GATE_OK)
        return selection.only && selection.count == 0 ? GATE_SELECT_NOBODY
                                                      : apply_order(&selection, indices, count);
    /* A broken policy must not stop traffic: the strategy decides, the log tells. */
    exchange_script_failed(x, "select", &err);
    return 0;
}

/* ---- the answer */

static struct gate_select make_select(struct gate_exchange *x)
{
    const struct gate_env *env = x->in.env;
    const struct exchange_target *t = exchange_target(x);
    const struct gate_account_policy *policy = gate_generation_policy(x->script->generation);
    enum gate_strategy strategy =
        t->strategy >= 0 ? (enum gate_strategy)t->strategy : policy->strategy;
    struct gate_instance *instance = (struct gate_instance *)t->instance; /* for its turn */
    x->steps.strategy = strategy;
    if (strategy == GATE_STRATEGY_STICKY && x->sticky == 0)
        x->sticky = conversation_hash(x);
    return (struct gate_select){
        .table = x->pin->table,
        .quota = env->quota,
        .instance = t->position,
        .model = gate_str_of(t->model),
        .kind = x->kind,
        .strategy = strategy,
        .tags = t->tags,
        .tag_count = t->tag_count,
        .sticky = x->sticky,
        .turn = &instance->turn,
        .tokens = x->kind == GATE_USAGE_CHAT ? estimate_tokens(x) : 1, /* of this target */
        .now_ms = gate_clock_wall_ms(),
        .tried = x->tried,
        .tried_count = x->tried_count,
    };
}

static enum exchange_pick take(struct gate_exchange *x, const struct gate_choice *choice)
{
    struct gate_env *env = x->in.env;
    x->entry = choice->entry;
    x->reservation = choice->reservation;
    x->probe = choice->probe;
    x->last_resort = choice->last_resort;
    x->attempt_us = gate_clock_mono_us();
    x->well = false;
    struct gate_trace_attempt *t = gate_steps_attempt(&x->steps, choice->entry);
    t->target = (uint8_t)x->target;
    t->probe = choice->probe;
    t->last_resort = choice->last_resort;
    t->start_us = x->attempt_us - x->in.started_us;
    env->quota->ops->numbers(env->quota->instance, x->entry->account->quota, x->kind,
                             gate_clock_wall_ms(), &t->quota);
    x->steps.tokens_reserved = choice->reservation.tokens;
    x->traced = t;
    if (!env->record_first || env->store == NULL)
        return EXCHANGE_PICKED;
    exchange_wait_record(x);
    return EXCHANGE_WAITS;
}

/* Its own bound of attempts is not reached, and it is still there. */
static bool may_try(const struct exchange_target *t)
{
    return t->position != EXCHANGE_GONE && (t->retries < 0 || t->attempts <= (uint32_t)t->retries);
}

enum exchange_pick exchange_pick(struct gate_exchange *x, bool ready_only)
{
    struct gate_env *env = x->in.env;
    struct gate_choice *choice = env->scratch;
    if (!may_try(exchange_target(x)))
        return EXCHANGE_NOBODY;
    struct gate_select s = make_select(x);
    struct lua_order order = {.x = x, .now_ms = s.now_ms};
    s.ready_only = ready_only;
    if (gate_script_has_select(x->script->script)) {
        s.order = order_by_script;
        s.order_ctx = &order;
    }
    enum gate_select_result result = gate_select(&s, choice);
    if (!ready_only || result == GATE_SELECT_CHOSEN)
        gate_steps_look(&x->steps, x->pin->table, x->target, choice);
    if (choice->free_at_ms != 0 && (x->free_at_ms == 0 || choice->free_at_ms < x->free_at_ms))
        x->free_at_ms = choice->free_at_ms;
    if (result == GATE_SELECT_CHOSEN)
        return take(x, choice);
    if (result == GATE_SELECT_REFRESH && env->credentials != NULL) {
        exchange_wait_refresh(x, choice->entry);
        return EXCHANGE_WAITS;
    }
    return EXCHANGE_NOBODY;
}

enum exchange_pick exchange_pick_again(struct gate_exchange *x, struct gate_account *account)
{
    const struct gate_table *t = x->pin->table;
    if (!may_try(exchange_target(x)))
        return EXCHANGE_NOBODY;
    struct gate_select s = make_select(x);
    for (size_t i = 0; i < t->count; i++) {
        if (t->entries[i].account != account)
            continue;
        if (gate_select_one(&s, &t->entries[i], x->in.env->scratch) != GATE_SELECT_CHOSEN)
            break;
        return take(x, x->in.env->scratch);
    }
    return EXCHANGE_NOBODY;
}

/* ---- the end of an attempt */

void exchange_take_usage(struct gate_exchange *x)
{
    if (x->mode == ANSWER_STREAM) {
        x->text_bytes = x->stream.text_bytes;
        x->has_usage = x->stream.has_usage;
        if (x->has_usage)
            x->usage = x->stream.usage;
    }
    if (!x->has_usage && x->kind == GATE_USAGE_CHAT)
        x->usage = (struct gate_usage){
            .prompt = x->in.body.len / BYTES_PER_TOKEN,
            .completion = (x->text_bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN,
        };
}

void exchange_settle(struct gate_exchange *x, enum gate_outcome outcome)
{
    const struct gate_quota *q = x->in.env->quota;
    if (x->entry == NULL)
        return;
    struct gate_account *a = x->entry->account;
    bool counts = outcome == GATE_OUTCOME_ANSWERED || outcome == GATE_OUTCOME_CANCELLED;
    if (counts)
        exchange_take_usage(x);
    q->ops->settle(q->instance, a->quota, x->kind, &x->reservation, outcome,
                   counts ? x->usage.prompt + x->usage.completion : 0, gate_clock_wall_ms());
    gate_health_end(a, x->probe);
    if (x->traced != NULL)
        x->traced->took_us = gate_clock_mono_us() - x->attempt_us;
    x->entry = NULL;
    x->probe = false;
}

void exchange_note_well(struct gate_exchange *x)
{
    if (x->well || x->entry == NULL)
        return;
    x->well = true;
    gate_health_good(x->entry->account, x->probe, x->last_resort,
                     gate_clock_mono_us() - x->attempt_us);
    x->probe = false; /* it has shown what it was to show */
}

void exchange_add_tried(struct gate_exchange *x, struct gate_account *account)
{
    if (x->tried_count == GATE_SELECT_MAX_TRIED)
        return;
    x->tried = gate_realloc(x->tried, (x->tried_count + 1) * sizeof x->tried[0]);
    gate_account_retain(account);
    x->tried[x->tried_count++] = account;
}

/* ---- the attempt */

void exchange_start_attempt(struct gate_exchange *x)
{
    struct exchange_target *t = &x->targets[x->target];
    struct gate_attempt_input input = {
        .instance = t->instance,
        .attachment = x->entry->attachment,
        .kind = x->kind,
        .query = x->in.query,
        .page = 1,
        .rows = x->in.rows,
        .model = gate_str_of(t->model),
        .request_id = x->in.request_id,
        .body = x->in.body,
        .facts = &x->facts,
        .edits = t->edits,
        .clocks = t->clocks,
    };
    x->attempts++;
    t->attempts++;
    x->mode = ANSWER_NONE;
    x->paused = false;
    x->has_usage = false;
    x->text_bytes = 0;
    x->attempt_us = gate_clock_mono_us();
    exchange_start_keepalive(x);
    x->attempt = gate_attempt_create(x->in.env, &input, &exchange_attempt_events, x);
    gate_attempt_run(x->attempt);
}

/* Picks for the target at hand or one behind it. */
static enum exchange_pick pick_target(struct gate_exchange *x, bool ready_only)
{
    enum exchange_pick pick = EXCHANGE_NOBODY;
    while (x->target < x->target_count && (pick = exchange_pick(x, ready_only)) == EXCHANGE_NOBODY)
        x->target++;
    return pick;
}

void exchange_advance(struct gate_exchange *x)
{
    enum exchange_pick pick = pick_target(x, true);
    if (pick == EXCHANGE_NOBODY) {
        /* No target has an account that is well: now tokens to renew, and soft pauses. */
        x->target = x->first_target;
        pick = pick_target(x, false);
    }
    if (pick == EXCHANGE_PICKED)
        exchange_start_attempt(x);
    else if (pick == EXCHANGE_NOBODY)
        exchange_give_up(x);
}
