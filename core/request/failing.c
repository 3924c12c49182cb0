/* What follows a failed attempt. The one place that decides: the verdict, attempts and time so far,
 * and whether the answer has begun, make the default; on_error of accounts.lua may decide
 * otherwise, within the same bounds. */
#include "base/clock.h"
#include "request/exchange_internal.h"
#include "request/refusal.h"

const char *exchange_error_outcome(char out[GATE_AUDIT_MAX_OUTCOME], const char *code)
{
    snprintf(out, GATE_AUDIT_MAX_OUTCOME, "error:%s", code[0] != '\0' ? code : "unknown");
    return out;
}

/* ---- telling the client */

/* What a refusal for lack of quota leaves unsaid, the account's own pause tells. */
static uint64_t retry_after(const struct gate_exchange *x, const struct gate_failure *f)
{
    uint64_t now = gate_clock_wall_ms();
    if (f->verdict.retry_after_ms > 0 || gate_failure_status(f) != 429)
        return f->verdict.retry_after_ms;
    return x->free_at_ms > now ? x->free_at_ms - now : 0;
}

/* Ends the exchange with what the last attempt brought. */
static void tell_failure(struct gate_exchange *x, struct gate_failure *f)
{
    const struct exchange_target *t = exchange_target(x);
    const char *instance = (t != NULL ? t : &x->targets[x->target_count - 1])->instance->name;
    char audit[GATE_AUDIT_MAX_OUTCOME];
    struct gate_buf body;
    gate_buf_init(&body, GATE_FAILURE_BODY + GATE_REFUSAL_MAX);
    x->upstream_status = f->upstream_status;
    bool complete = true;
    if (!x->committed) {
        gate_failure_render(f, x->in.dialect, instance, &body);
        exchange_add_retry_after(x, retry_after(x, f));
        x->outcome = exchange_error_outcome(audit, f->code);
        exchange_commit(x, gate_failure_status(f), GATE_STR("application/json"), (int64_t)body.len);
        exchange_write(x, gate_buf_str(&body));
    } else if (x->mode == ANSWER_STREAM || x->facts.stream) {
        if (x->in.explain && !x->begun) { /* keepalives have begun the stream, and nothing else */
            x->outcome = exchange_error_outcome(audit, f->code);
            exchange_explain_in_stream(x);
        }
        gate_failure_render_event(f, x->in.dialect, instance, &body);
        exchange_write(x, gate_buf_str(&body));
    } else {
        complete = false;
    }
    gate_buf_finish(&body);
    exchange_finish(x, complete, "failed", f->code, exchange_error_outcome(audit, f->code));
}

/* An error of the gateway's own, as an answer or, when keepalives have begun one, as an event. */
static void tell_outcome(struct gate_exchange *x, const struct exchange_outcome *o)
{
    char audit[GATE_AUDIT_MAX_OUTCOME];
    struct gate_api_error error = {
        .status = o->status,
        .type = gate_str_of(o->type),
        .code = gate_str_of(o->code),
        .message = gate_str_of(o->message),
    };
    if (o->limited != NULL)
        snprintf(audit, sizeof audit, "limited:%s", o->limited);
    else
        exchange_error_outcome(audit, o->code);
    if (!x->committed) {
        x->headers.len = 0; /* those of a failed answer */
        exchange_add_retry_after(x, o->retry_after_ms);
        exchange_refuse(x, &error, audit);
        return;
    }
    struct gate_buf body;
    x->outcome = audit;
    if (x->in.explain)
        exchange_explain_in_stream(x);
    gate_buf_init(&body, GATE_REFUSAL_MAX);
    struct gate_writer w = gate_buf_writer(&body);
    x->in.dialect->render_error_event(&error, &w);
    exchange_write(x, gate_buf_str(&body));
    gate_buf_finish(&body);
    exchange_finish(x, true, "failed", o->code, audit);
}

/* How many accounts the targets have between them: with a single one its own error says more than
 * any summary. */
static size_t accounts_of_targets(const struct gate_exchange *x)
{
    size_t count = 0;
    for (size_t i = 0; i < x->target_count; i++) {
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again = again || x->targets[k].instance == x->targets[i].instance;
        if (!again)
            count += x->targets[i].position != EXCHANGE_GONE
                         ? x->pin->table->ranges[x->targets[i].position].count
                         : 0;
    }
    return count;
}

void exchange_give_up(struct gate_exchange *x)
{
    struct exchange_outcome o;
    if (x->last != NULL && accounts_of_targets(x) <= 1) {
        tell_failure(x, x->last);
        return;
    }
    exchange_outcome(x, &o);
    if (x->last != NULL && x->last->upstream_status != 0)
        x->upstream_status = x->last->upstream_status;
    tell_outcome(x, &o);
}

/* ---- deciding */

static bool can_refresh(const struct gate_exchange *x, const struct gate_failure *f)
{
    const struct gate_account *a = x->entry->account;
    return f->verdict.kind == GATE_VERDICT_AUTH && a->kind == GATE_CREDENTIAL_OAUTH &&
           x->entry->instance->ops->refresh_request != NULL && x->in.env->credentials != NULL &&
           x->refreshed != a;
}

static enum gate_action default_action(const struct gate_exchange *x, const struct gate_failure *f)
{
    if (f->verdict.kind == GATE_VERDICT_CLIENT_ERROR)
        return GATE_ACTION_FAIL;
    return can_refresh(x, f) ? GATE_ACTION_RETRY : GATE_ACTION_NEXT_ACCOUNT;
}

static uint64_t day_end(const struct gate_exchange *x, uint64_t now_ms)
{
    const struct gate_quota *q = x->in.env->quota;
    return q->ops->day_end(q->instance, now_ms);
}

struct ruling {
    enum gate_action action;
    uint64_t pause_ms;
    bool exact;
};

/* The default, unless on_error decides. */
static struct ruling rule(struct gate_exchange *x, const struct gate_failure *f)
{
    uint64_t now = gate_clock_wall_ms();
    struct ruling r = {
        .action = default_action(x, f),
        .exact = f->verdict.retry_after_ms > 0,
    };
    uint64_t pause =
        f->blameless ? 0 : gate_health_pause(x->entry->account, &f->verdict, day_end(x, now), now);
    /* Chat goes on when searches fail, but with a dead credential. */
    if (x->kind == GATE_USAGE_SEARCH && f->verdict.kind != GATE_VERDICT_AUTH)
        pause = 0;
    /* A refused token that can be renewed says nothing of the account yet. */
    if (r.action != GATE_ACTION_RETRY)
        r.pause_ms = pause;
    /* A day ends when it ends. */
    r.exact = r.exact || f->verdict.kind == GATE_VERDICT_QUOTA_EXHAUSTED;
    if (!gate_script_has_on_error(x->script->script))
        return r;
    const struct exchange_target *t = exchange_target(x);
    struct gate_error_decision d = {.action = GATE_ACTION_DEFAULT};
    struct gate_error err;
    struct gate_accounts_view accounts;
    struct gate_route_view req = exchange_route_view(x, &accounts);
    struct gate_error_view view = {
        .verdict = &f->verdict,
        .status = f->upstream_status,
        .number = x->attempts,
        .account = gate_str_of(x->entry->account->id),
        .alias = gate_str_of(x->entry->alias),
        .provider = gate_str_of(t->instance->name),
        .model = gate_str_of(t->model),
        .elapsed_ms = (gate_clock_mono_us() - x->in.started_us) / 1000,
        .fallback = r.action,
        .cooldown_ms = r.pause_ms,
    };
    if (gate_script_on_error(x->script->script, &view, &req, &d, &err) != GATE_OK) {
        exchange_script_failed(x, "on_error", &err);
        return r;
    }
    if (d.action != GATE_ACTION_DEFAULT && d.action != r.action) {
        if (r.action == GATE_ACTION_RETRY)
            r.pause_ms = pause; /* its token is not renewed after all */
        r.action = d.action;
    }
    if (d.has_cooldown && x->in.stage == NULL) { /* a draft pauses nobody who serves */
        r.pause_ms = d.cooldown_ms;
        r.exact = true;
    }
    return r;
}

/* Whether the account did work for this attempt, as its quota sees it. */
static enum gate_outcome outcome_of(const struct gate_exchange *x, const struct gate_failure *f)
{
    if (x->attempt == NULL || !gate_attempt_was_sent(x->attempt) ||
        (f->verdict.kind == GATE_VERDICT_NETWORK && f->upstream_status == 0))
        return GATE_OUTCOME_NOT_SENT;
    if (x->begun || f->upstream_status == 200 || f->verdict.kind == GATE_VERDICT_TIMEOUT ||
        f->verdict.kind == GATE_VERDICT_TRUNCATED)
        return GATE_OUTCOME_CANCELLED;
    return GATE_OUTCOME_REFUSED;
}

static void keep_failure(struct gate_exchange *x, struct gate_failure *f)
{
    if (x->last == NULL)
        x->last = gate_calloc(1, sizeof *x->last);
    else
        gate_failure_finish(x->last);
    *x->last = *f;
    gate_buf_init(&f->body, GATE_FAILURE_BODY);
}

/* A limit of searches blocks searches only: the quota keeps it. */
static void block_search(const struct gate_exchange *x, const struct gate_failure *f)
{
    const struct gate_quota *q = x->in.env->quota;
    uint64_t now = gate_clock_wall_ms();
    char ms[24];
    uint64_t pause = gate_health_pause(x->entry->account, &f->verdict, day_end(x, now), now);
    snprintf(ms, sizeof ms, "%llu", (unsigned long long)pause);
    const struct gate_header header = {GATE_STR("retry-after-ms"), gate_str_of(ms)};
    q->ops->observe(q->instance, x->entry->account->quota, GATE_USAGE_SEARCH, &header, 1, now);
}

static void note(struct gate_exchange *x, const struct gate_failure *f, const struct ruling *r)
{
    if (x->kind == GATE_USAGE_SEARCH && (f->verdict.kind == GATE_VERDICT_RATE_LIMITED ||
                                         f->verdict.kind == GATE_VERDICT_QUOTA_EXHAUSTED))
        block_search(x, f);
    struct gate_health_failure failure = {
        .verdict = &f->verdict,
        .status = f->upstream_status,
        .reason = f->reason,
        .pause_ms = r->pause_ms,
        .exact = r->exact,
    };
    uint64_t now = gate_clock_wall_ms();
    if (!f->blameless)
        gate_health_bad(x->entry->account, &failure, gate_env_random(x->in.env), now);
    uint64_t until = gate_health_read(x->entry->account, now).until_ms;
    if (until > now && (x->free_at_ms == 0 || until < x->free_at_ms))
        x->free_at_ms = until;
    if (x->traced == NULL)
        return;
    x->traced->verdict = f->verdict.kind;
    x->traced->action = r->action;
    x->traced->status = f->upstream_status;
    x->traced->cooldown_ms = r->pause_ms;
    snprintf(x->traced->code, sizeof x->traced->code, "%s",
             f->verdict.code[0] != '\0' ? f->verdict.code : f->code);
    snprintf(x->traced->reason, sizeof x->traced->reason, "%s",
             f->verdict.message[0] != '\0' ? f->verdict.message : f->reason);
}

/* Puts the exchange back to where it has no attempt. */
static void drop_attempt(struct gate_exchange *x)
{
    gate_stream_close(&x->stream);
    gate_attempt_destroy(x->attempt);
    x->attempt = NULL;
    x->hold.len = 0;
    x->wrong_form = false;
    if (!x->committed)
        x->headers.len = x->content_type.len = 0; /* of an answer that the client will not see */
}

static void try_again(struct gate_exchange *x, const struct gate_entry *entry, bool refresh)
{
    if (refresh) {
        x->targets[x->target].attempts--; /* the token was to blame, not the account */
        exchange_wait_refresh(x, entry);
        return;
    }
    if (exchange_pick_again(x, entry->account) == EXCHANGE_PICKED) {
        exchange_start_attempt(x);
        return;
    }
    if (x->wait != NULL)
        return;
    exchange_add_tried(x, entry->account);
    exchange_advance(x);
}

void exchange_failed(void *ctx, struct gate_failure *f)
{
    struct gate_exchange *x = ctx;
    const struct gate_entry *entry = x->entry;
    if (x->begun && x->mode == ANSWER_STREAM && gate_stream_end(&x->stream)) {
        exchange_answered(x); /* the transport broke after the answer was complete */
        return;
    }
    if (x->begun && x->mode == ANSWER_STREAM && f->verdict.kind == GATE_VERDICT_TRUNCATED)
        snprintf(f->code, sizeof f->code, "upstream_truncated");
    struct ruling r = rule(x, f);
    bool refresh = r.action == GATE_ACTION_RETRY && can_refresh(x, f);
    note(x, f, &r);
    bool over = !x->begun && r.action != GATE_ACTION_FAIL && !exchange_may_try_more(x);
    if (x->traced != NULL && (x->begun || over))
        x->traced->action = GATE_ACTION_FAIL; /* what was really done */
    exchange_settle(x, outcome_of(x, f));
    if (x->begun && (x->stream.seen & GATE_EVENT_ERROR)) {
        /* The client knows already. */
        exchange_finish(x, true, "failed", f->code, "error:upstream_error");
        return;
    }
    if (x->begun || r.action == GATE_ACTION_FAIL) {
        tell_failure(x, f);
        return;
    }
    keep_failure(x, f);
    drop_attempt(x);
    if (over) {
        exchange_give_up(x);
    } else if (r.action == GATE_ACTION_RETRY) {
        try_again(x, entry, refresh);
    } else {
        exchange_add_tried(x, entry->account);
        if (r.action == GATE_ACTION_NEXT_TARGET)
            x->first_target = ++x->target;
        exchange_advance(x);
    }
}

void exchange_told(struct gate_exchange *x)
{
    struct gate_failure f;
    gate_attempt_judge(x->attempt, gate_buf_str(&x->stream.told), true, &f);
    struct ruling r = rule(x, &f);
    r.action = GATE_ACTION_FAIL;
    note(x, &f, &r);
    exchange_settle(x, GATE_OUTCOME_CANCELLED);
    gate_failure_finish(&f);
    exchange_finish(x, true, "failed", "upstream_error", "error:upstream_error");
}
