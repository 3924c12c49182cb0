/* The one honest error when no account could serve: what each of them said, and what that means as
 * a whole. */
#include "base/clock.h"
#include "request/exchange_internal.h"

enum { LISTED = 12 /* accounts; the rest is counted */ };

/* Kinds of reasons, from what waiting or a person could mend. */
enum reason {
    REASON_SIGN_IN = 0,
    REASON_LIMITED,
    REASON_DISABLED,
    REASON_FAILED,
    REASON_UNTRIED, /* attempts or time were used up before */
    REASON_OTHER,
};

struct tally {
    size_t reasons[REASON_OTHER + 1];
    size_t all, listed;
    const char *limit; /* the first one */
    bool limits_differ;
    uint64_t free_at_ms;
    struct exchange_outcome *out;
    size_t len; /* of the message */
};

__attribute__((format(printf, 2, 3))) static void say(struct tally *t, const char *format, ...)
{
    va_list args;
    size_t room = sizeof t->out->message - t->len;
    va_start(args, format);
    int n = vsnprintf(t->out->message + t->len, room, format, args);
    va_end(args);
    t->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void note_limit(struct tally *t, const char *limit)
{
    if (t->limit != NULL && strcmp(t->limit, limit) != 0)
        t->limits_differ = true;
    if (t->limit == NULL)
        t->limit = limit;
}

static enum reason reason_of_verdict(struct tally *t, enum gate_verdict_kind kind)
{
    if (kind == GATE_VERDICT_AUTH)
        return REASON_SIGN_IN;
    if (kind == GATE_VERDICT_RATE_LIMITED || kind == GATE_VERDICT_QUOTA_EXHAUSTED) {
        note_limit(t, "upstream");
        return REASON_LIMITED;
    }
    return REASON_FAILED;
}

static enum reason reason_of_skip(struct tally *t, const struct gate_trace_skip *s)
{
    switch (s->skip) {
    case GATE_SKIP_SIGN_IN:
    case GATE_SKIP_NO_CREDENTIAL:
        return REASON_SIGN_IN;
    case GATE_SKIP_LIMITED:
    case GATE_SKIP_EXHAUSTED:
        note_limit(t, "upstream");
        return REASON_LIMITED;
    case GATE_SKIP_QUOTA:
        note_limit(t, gate_limit_text(s->limit));
        return REASON_LIMITED;
    case GATE_SKIP_COOLING:
    case GATE_SKIP_PROBING:
    case GATE_SKIP_EXPIRED: /* the login may be fine, its service is not */
        return REASON_FAILED;
    case GATE_SKIP_DISABLED:
        return REASON_DISABLED;
    default:
        return REASON_OTHER;
    }
}

static const char *text_of_skip(const struct gate_trace_skip *s, enum gate_credential_kind kind,
                                char *buf, size_t cap)
{
    static const char *const texts[] = {
        [GATE_SKIP_NONE] = "could serve",
        [GATE_SKIP_DISABLED] = "disabled",
        [GATE_SKIP_NO_CREDENTIAL] = "has no usable credential",
        [GATE_SKIP_SIGN_IN] = "needs a sign-in",
        [GATE_SKIP_COOLING] = "pauses after a failure",
        [GATE_SKIP_LIMITED] = "rate-limited by the service",
        [GATE_SKIP_EXHAUSTED] = "quota used up",
        [GATE_SKIP_PROBING] = "is being probed after a failure",
        [GATE_SKIP_QUOTA] = "limit reached",
        [GATE_SKIP_EXPIRED] = "its token has expired and could not be renewed",
        [GATE_SKIP_MODEL] = "does not serve this model",
        [GATE_SKIP_TRIED] = "was tried",
        [GATE_SKIP_NOT_SELECTED] = "not selected by the account policy",
    };
    if (s->skip == GATE_SKIP_QUOTA)
        snprintf(buf, cap, "limit %s reached", gate_limit_text(s->limit));
    else if (s->skip == GATE_SKIP_SIGN_IN && kind == GATE_CREDENTIAL_API_KEY)
        snprintf(buf, cap, "its key was refused");
    else
        snprintf(buf, cap, "%s", texts[s->skip]);
    return buf;
}

/* An alias that is only the end of the id says too little. */
static void list(struct tally *t, const struct gate_entry *e, const char *text)
{
    const char *slash = strchr(e->account->id, '/');
    bool own = slash == NULL || strcmp(slash + 1, e->alias) != 0;
    if (t->listed++ < LISTED)
        say(t, "%s%s: %s", t->listed > 1 ? "; " : "", own ? e->alias : e->account->id, text);
}

/* The last attempt with the account, or NULL. */
static const struct gate_trace_attempt *attempt_of(const struct gate_steps *trace,
                                                   const struct gate_account *a)
{
    for (size_t i = trace->attempt_count; i-- > 0;) {
        const struct gate_trace_attempt *t = &trace->attempts[i];
        if (t->account == a)
            return t;
    }
    return NULL;
}

/* Why the account was passed by at last, or NULL. */
static const struct gate_trace_skip *skip_of(const struct gate_steps *trace,
                                             const struct gate_account *a)
{
    for (size_t i = trace->look_count; i-- > 0;) {
        const struct gate_trace_look *l = &trace->looks[i];
        for (size_t k = 0; k < l->count; k++)
            if (l->skipped[k].account == a && l->skipped[k].skip != GATE_SKIP_TRIED)
                return &l->skipped[k];
    }
    return NULL;
}

static void add_account(struct tally *t, const struct gate_exchange *x, const struct gate_entry *e)
{
    char text[224];
    uint64_t now = gate_clock_wall_ms(), free_at = 0;
    const struct gate_trace_attempt *attempt = attempt_of(&x->steps, e->account);
    const struct gate_trace_skip *skip = skip_of(&x->steps, e->account);
    /* As long as attempts were left everybody was looked at, if only beyond the trace's room. */
    enum reason reason = exchange_may_try_more(x) ? REASON_OTHER : REASON_UNTRIED;
    if (attempt != NULL) {
        reason = reason_of_verdict(t, attempt->verdict);
        snprintf(text, sizeof text, "%s (%s)", gate_verdict_name(attempt->verdict),
                 attempt->reason);
        free_at = gate_health_read(e->account, now).until_ms;
    } else if (skip != NULL) {
        struct gate_trace_skip seen = *skip;
        /* Renewing its token, for which the request waited, may have shown that the login is dead.
         */
        if (seen.skip == GATE_SKIP_EXPIRED &&
            gate_health_read(e->account, now).condition == GATE_CONDITION_SIGN_IN)
            seen.skip = GATE_SKIP_SIGN_IN;
        reason = reason_of_skip(t, &seen);
        free_at = seen.until_ms;
        text_of_skip(&seen, e->account->kind, text, sizeof text);
    } else {
        snprintf(text, sizeof text, "not looked at");
    }
    if (free_at > now && reason != REASON_SIGN_IN &&
        (t->free_at_ms == 0 || free_at < t->free_at_ms))
        t->free_at_ms = free_at;
    if (free_at > now) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, ", again in %llu s",
                 (unsigned long long)((free_at - now + 999) / 1000));
    }
    t->reasons[reason]++;
    t->all++;
    list(t, e, text);
}

static void add_targets(struct tally *t, const struct gate_exchange *x)
{
    const struct gate_table *table = x->pin->table;
    for (size_t i = 0; i < x->target_count; i++) {
        size_t position = x->targets[i].position;
        bool again = position == EXCHANGE_GONE;
        for (size_t k = 0; k < i; k++)
            again = again || x->targets[k].position == position;
        for (size_t k = 0; !again && k < table->ranges[position].count; k++)
            add_account(t, x, &table->entries[table->ranges[position].first + k]);
    }
    if (t->listed > LISTED)
        say(t, "; and %zu more", t->listed - LISTED);
    say(t, ".");
}

static void judge(struct tally *t, const struct gate_exchange *x)
{
    struct exchange_outcome *o = t->out;
    size_t usable = t->all - t->reasons[REASON_DISABLED] - t->reasons[REASON_OTHER];
    uint64_t now = gate_clock_wall_ms();
    if (usable > 0 && t->reasons[REASON_SIGN_IN] == usable) {
        o->status = 401;
        o->type = "authentication_error";
        o->code = "accounts_need_sign_in";
        return;
    }
    if (x->free_at_ms > now && (t->free_at_ms == 0 || x->free_at_ms < t->free_at_ms))
        t->free_at_ms = x->free_at_ms; /* of accounts that the trace has no room for */
    o->retry_after_ms = t->free_at_ms > now ? t->free_at_ms - now : 0;
    if (t->reasons[REASON_LIMITED] > 0 &&
        t->reasons[REASON_FAILED] + t->reasons[REASON_UNTRIED] == 0) {
        o->status = 429;
        o->type = "rate_limit_error";
        o->code = "accounts_limited";
        o->limited = t->limits_differ ? "several" : t->limit;
        if (o->retry_after_ms == 0)
            o->retry_after_ms = 1000;
        return;
    }
    o->status = x->last != NULL ? gate_failure_status(x->last) : 503;
    if (o->status < 500)
        o->status = 502;
    o->type = "upstream_error";
    o->code = x->last != NULL ? "accounts_failed" : "no_account_available";
    if (x->last == NULL && t->reasons[REASON_FAILED] > 0)
        o->limited = "cooldown";
}

void exchange_outcome(const struct gate_exchange *x, struct exchange_outcome *out)
{
    struct tally t = {.out = out};
    out->limited = NULL;
    out->retry_after_ms = 0;
    out->message[0] = '\0';
    if (x->kind == GATE_USAGE_SEARCH)
        say(&t, "No account could do the search. ");
    else
        say(&t, "No account could serve the model \"%.64s\". ", x->model);
    add_targets(&t, x);
    judge(&t, x);
}
