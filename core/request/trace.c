#include "request/trace.h"
#include "base/json.h"
#include "pool/quota.h"
#include <stdlib.h>

void gate_steps_finish(struct gate_steps *s)
{
    for (size_t i = 0; i < s->look_count; i++)
        free(s->looks[i].skipped);
    free(s->attempts);
    free(s->looks);
    memset(s, 0, sizeof *s);
}

_Static_assert((int)GATE_TRACE_ACCOUNT > (int)GATE_ACCOUNT_MAX_ALIAS, "names are kept whole");

static void copy_name(char out[GATE_TRACE_ACCOUNT], const char *name)
{
    size_t len = strnlen(name, GATE_TRACE_ACCOUNT - 1);
    memcpy(out, name, len);
    out[len] = '\0';
}

struct gate_trace_attempt *gate_steps_attempt(struct gate_steps *s, const struct gate_entry *e)
{
    if (s->attempt_count == GATE_TRACE_MAX_ATTEMPTS)
        return &s->attempts[s->attempt_count - 1];
    s->attempts = gate_realloc(s->attempts, (s->attempt_count + 1) * sizeof s->attempts[0]);
    struct gate_trace_attempt *a = &s->attempts[s->attempt_count++];
    a->account = e->account;
    a->last_resort = a->probe = false;
    a->verdict = GATE_VERDICT_OK;
    a->action = GATE_ACTION_DEFAULT;
    a->target = 0;
    a->status = 0;
    a->start_us = a->took_us = a->cooldown_ms = 0;
    memset(&a->quota, 0, sizeof a->quota);
    a->code[0] = a->reason[0] = '\0'; /* the texts are long, and empty for what goes well */
    copy_name(a->id, e->account->id);
    copy_name(a->alias, e->alias);
    return a;
}

void gate_steps_look(struct gate_steps *s, const struct gate_table *table, size_t target,
                     const struct gate_choice *choice)
{
    if (choice->skipped_count == 0 || s->look_count == GATE_TRACE_MAX_LOOKS)
        return;
    s->looks = gate_realloc(s->looks, (s->look_count + 1) * sizeof s->looks[0]);
    struct gate_trace_look *l = &s->looks[s->look_count++];
    l->target = (uint8_t)target;
    l->count = choice->skipped_count;
    l->skipped = gate_alloc(l->count * sizeof l->skipped[0]);
    for (size_t i = 0; i < l->count; i++) {
        const struct gate_skipped *from = &choice->skipped[i];
        const struct gate_entry *e = &table->entries[from->index];
        struct gate_trace_skip *to = &l->skipped[i];
        to->account = e->account;
        copy_name(to->id, e->account->id);
        copy_name(to->alias, e->alias);
        to->skip = from->skip;
        to->limit = from->limit;
        to->until_ms = from->until_ms;
    }
}

/* ---- as JSON */

static void put_string(struct gate_buf *out, const char *name, const char *value)
{
    gate_buf_printf(out, "\"%s\":", name);
    gate_json_put(out, gate_str_of(value));
    gate_buf_append_byte(out, ',');
}

static void put_number(struct gate_buf *out, const char *name, uint64_t value)
{
    gate_buf_printf(out, "\"%s\":%llu,", name, (unsigned long long)value);
}

static void put_bool(struct gate_buf *out, const char *name, bool value)
{
    gate_buf_printf(out, "\"%s\":%s,", name, value ? "true" : "false");
}

/* Ends an object or array that put_* filled: the last comma becomes the bracket. */
static void close_with(struct gate_buf *out, char bracket)
{
    if (out->len > 0 && out->ptr[out->len - 1] == ',')
        out->ptr[out->len - 1] = bracket;
    else
        gate_buf_append_byte(out, bracket);
}

static void put_attempt(struct gate_buf *out, const struct gate_trace_attempt *a)
{
    gate_buf_append_byte(out, '{');
    put_string(out, "account", a->id);
    put_string(out, "alias", a->alias);
    put_number(out, "target", a->target);
    put_string(out, "verdict", gate_verdict_name(a->verdict));
    put_number(out, "status", (uint64_t)a->status);
    put_number(out, "start_ms", a->start_us / 1000);
    put_number(out, "took_ms", a->took_us / 1000);
    put_bool(out, "probe", a->probe);
    put_bool(out, "last_resort", a->last_resort);
    if (a->verdict != GATE_VERDICT_OK) {
        put_string(out, "code", a->code);
        put_string(out, "reason", a->reason);
        put_string(out, "action", gate_action_names[a->action]);
        put_number(out, "cooldown_ms", a->cooldown_ms);
    }
    put_number(out, "requests_minute", a->quota.requests_minute);
    put_number(out, "requests_day", a->quota.requests_day);
    put_number(out, "tokens_minute", a->quota.tokens_minute);
    put_number(out, "tokens_day", a->quota.tokens_day);
    close_with(out, '}');
    gate_buf_append_byte(out, ',');
}

static void put_look(struct gate_buf *out, const struct gate_trace_look *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct gate_trace_skip *s = &l->skipped[i];
        gate_buf_append_byte(out, '{');
        put_string(out, "account", s->id);
        put_string(out, "alias", s->alias);
        put_number(out, "target", l->target);
        put_string(out, "reason", gate_skip_names[s->skip]);
        if (s->skip == GATE_SKIP_QUOTA)
            put_string(out, "limit", gate_limit_text(s->limit));
        if (s->until_ms != 0)
            put_number(out, "until", s->until_ms);
        close_with(out, '}');
        gate_buf_append_byte(out, ',');
    }
}

/* Headers are left out: they are the client's, and only the replay needs them. */
static void put_input(struct gate_buf *out, const struct gate_trace_input *in)
{
    gate_buf_append(out, GATE_STR("\"input\":{"));
    put_number(out, "messages", in->message_count);
    put_number(out, "tools", in->tool_count);
    put_bool(out, "has_images", in->has_images);
    put_number(out, "max_tokens", in->max_tokens);
    put_number(out, "body_bytes", in->body_bytes);
    put_bool(out, "replayable", in->whole);
    if (in->accounts != NULL)
        put_number(out, "accounts_at", gate_trace_accounts_at(in->accounts));
    close_with(out, '}');
    gate_buf_append_byte(out, ',');
}

void gate_trace_json_scripts(const struct gate_trace *t, struct gate_buf *out)
{
    if (t->stage[0] == '\0') {
        put_number(out, "generation", t->generation);
        return;
    }
    gate_buf_append(out, GATE_STR("\"generation\":null,"));
    put_string(out, "stage", t->stage);
}

void gate_trace_json(const struct gate_trace *t, struct gate_buf *out)
{
    gate_buf_append_byte(out, '{');
    put_string(out, "id", t->id);
    put_number(out, "at", t->at_ms);
    put_string(out, "kind", gate_usage_kind_names[t->kind]);
    put_string(out, "path", t->path);
    put_string(out, "key", t->key);
    put_string(out, "model", t->model);
    put_string(out, "upstream_model", t->target);
    put_string(out, "provider", t->provider);
    put_string(out, "reason", t->reason);
    put_bool(out, "stream", t->stream);
    put_number(out, "status", (uint64_t)t->status);
    put_string(out, "outcome", t->outcome);
    put_number(out, "total_ms", t->total_us / 1000);
    if (t->first_us >= 0)
        put_number(out, "first_ms", (uint64_t)t->first_us / 1000);
    put_number(out, "bytes_in", t->bytes_in);
    put_number(out, "bytes_out", t->bytes_out);
    put_number(out, "prompt_tokens", t->usage.prompt);
    put_number(out, "completion_tokens", t->usage.completion);
    put_number(out, "cached_tokens", t->usage.cached);
    put_bool(out, "usage_estimated", t->usage_estimated);
    put_number(out, "tokens_reserved", t->steps.tokens_reserved);
    gate_trace_json_scripts(t, out);
    put_string(out, "strategy", gate_strategy_names[t->steps.strategy]);
    if (t->input.there)
        put_input(out, &t->input);
    gate_buf_append(out, GATE_STR("\"attempts\":["));
    for (size_t i = 0; i < t->steps.attempt_count; i++)
        put_attempt(out, &t->steps.attempts[i]);
    close_with(out, ']');
    gate_buf_append(out, GATE_STR(",\"passed_by\":["));
    for (size_t i = 0; i < t->steps.look_count; i++)
        put_look(out, &t->steps.looks[i]);
    close_with(out, ']');
    gate_buf_append_byte(out, '}');
}
