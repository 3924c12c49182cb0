/* The accounts that a case of a policy test makes up. */
#include "base/buf.h"
#include "live/policy_case.h"
#include "live/rules.h"
#include <stdlib.h>

/* One made-up account. */
struct policy_account {
    struct gate_account_facts facts;
    struct gate_str own[GATE_POLICY_MAX_TAGS]; /* tags that the case gives it */
    struct gate_str tags[GATE_RULES_MAX_TAGS]; /* with those of accounts.lua */
};

static const uint64_t MAX_NUMBER = 1000000000000000; /* exact in a double */

static const char ALLOWED[] = "id|alias|provider|kind|tags|weight|in_flight|latency_ms|"
                              "requests_minute|requests_day|tokens_minute|tokens_day|resets_in_ms|"
                              "state|until_ms|limits";

/* ---- one account */

static bool read_name(struct gate_account_facts *f, const cJSON *from, const char *where,
                      struct policy_report *r)
{
    const char *id = NULL, *alias = NULL, *provider = NULL;
    if (!policy_text(from, where, "id", &id, r) || !policy_text(from, where, "alias", &alias, r) ||
        !policy_text(from, where, "provider", &provider, r))
        return false;
    const char *slash = id != NULL ? strchr(id, '/') : NULL;
    if (id == NULL || strlen(id) >= GATE_TRACE_ACCOUNT || slash == id ||
        (slash == NULL && provider == NULL)) {
        policy_complain(r, "%s.id is %s; expected \"provider/name\" of at most %d bytes", where,
                        id != NULL ? "no such name" : "missing", GATE_TRACE_ACCOUNT - 1);
        return false;
    }
    f->id = gate_str_of(id);
    f->provider =
        provider != NULL ? gate_str_of(provider) : (struct gate_str){id, (size_t)(slash - id)};
    f->alias = gate_str_of(alias != NULL ? alias : slash != NULL ? slash + 1 : id);
    f->hash = 0xcbf29ce484222325u;
    for (const char *p = id; *p != '\0'; p++)
        f->hash = (f->hash ^ (unsigned char)*p) * 0x100000001b3u;
    return true;
}

static bool read_kind(struct gate_account_facts *f, const cJSON *from, const char *where,
                      struct policy_report *r)
{
    static const char *const names[] = {[GATE_CREDENTIAL_NONE] = "none",
                                        [GATE_CREDENTIAL_API_KEY] = "api_key",
                                        [GATE_CREDENTIAL_OAUTH] = "oauth"};
    const char *kind = "api_key";
    if (!policy_text(from, where, "kind", &kind, r))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        f->kind = (enum gate_credential_kind)i;
        if (strcmp(names[i], kind) == 0)
            return true;
    }
    policy_complain(r, "%s.kind is \"%.40s\"; expected api_key, oauth or none", where, kind);
    return false;
}

static bool read_state(struct gate_account_facts *f, const cJSON *from, const char *where,
                       struct policy_report *r)
{
    static const char *const names[] = {"serving",       "cooling",       "limited", "exhausted",
                                        "needs_sign_in", "no_credential", "disabled"};
    const char *state = names[0];
    if (!policy_text(from, where, "state", &state, r) ||
        !policy_time(from, where, "until_ms", &f->until_ms, r))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        f->state = names[i];
        f->last_resort = i == 1;
        if (strcmp(names[i], state) == 0)
            return true;
    }
    policy_complain(r,
                    "%s.state is \"%.40s\"; expected serving, cooling, limited, exhausted, "
                    "needs_sign_in, no_credential or disabled",
                    where, state);
    return false;
}

static bool read_tags(struct policy_account *a, const cJSON *from, const char *where,
                      struct policy_report *r)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(from, "tags"), *tag;
    if (list != NULL && !policy_is_list(list)) {
        policy_complain(r, "%s.tags is %s; expected a list of texts", where,
                        policy_show(list).text);
        return false;
    }
    a->facts.tags = a->own;
    cJSON_ArrayForEach(tag, list)
    {
        if (!cJSON_IsString(tag) || strlen(tag->valuestring) > GATE_POLICY_MAX_TAG ||
            a->facts.tag_count == GATE_POLICY_MAX_TAGS) {
            policy_complain(r, "%s.tags: expected at most %d texts of at most %d bytes", where,
                            GATE_POLICY_MAX_TAGS, GATE_POLICY_MAX_TAG);
            return false;
        }
        a->own[a->facts.tag_count++] = gate_str_of(tag->valuestring);
    }
    return true;
}

static bool read_numbers(struct gate_account_facts *f, const cJSON *from, const char *where,
                         struct policy_report *r)
{
    struct gate_quota_numbers *n = &f->numbers;
    uint64_t in_flight = 0, latency_ms = 0, resets_in_ms = 0;
    if (!policy_whole(from, where, "in_flight", GATE_LIMITS_MAX, &in_flight, r) ||
        !policy_whole(from, where, "latency_ms", GATE_LIMITS_MAX, &latency_ms, r) ||
        !policy_whole(from, where, "resets_in_ms", MAX_NUMBER, &resets_in_ms, r) ||
        !policy_whole(from, where, "requests_minute", GATE_LIMITS_MAX, &n->requests_minute, r) ||
        !policy_whole(from, where, "requests_day", GATE_LIMITS_MAX, &n->requests_day, r) ||
        !policy_whole(from, where, "tokens_minute", MAX_NUMBER, &n->tokens_minute, r) ||
        !policy_whole(from, where, "tokens_day", MAX_NUMBER, &n->tokens_day, r))
        return false;
    n->in_flight = (uint32_t)in_flight;
    f->latency_us = latency_ms * 1000;
    n->day_resets_at_ms = f->now_ms + resets_in_ms;
    return true;
}

static bool read_limits(struct gate_limits_patch *patch, const cJSON *from, const char *where,
                        struct policy_report *r)
{
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(from, "limits");
    char inner[64];
    if (limits == NULL)
        return true;
    snprintf(inner, sizeof inner, "%s.limits", where);
    if (!policy_keys(limits, inner, "rpm|rpd|tpm|tpd|concurrency", r))
        return false;
    for (unsigned field = 0; field < GATE_LIMITS_FIELDS; field++) {
        const char *name = gate_limits_names[field];
        uint64_t value = 0;
        if (!policy_whole(limits, inner, name, GATE_LIMITS_MAX, &value, r))
            return false;
        if (cJSON_GetObjectItemCaseSensitive(limits, name) != NULL)
            gate_limits_put(patch, field, value);
    }
    return true;
}

/* What the case says is as if a person had set it: it is above accounts.lua. */
static bool read_account(struct policy_account *a, const struct gate_candidate *c,
                         const cJSON *from, const char *where, struct policy_report *r)
{
    struct gate_account_facts *f = &a->facts;
    struct gate_limits_patch limits = {0};
    const struct gate_rules rules = {NULL, gate_generation_policy(c->generation),
                                     c->config != NULL ? &c->config->limits : NULL,
                                     GATE_USAGE_CHAT};
    if (!policy_keys(from, where, ALLOWED, r) || !read_name(f, from, where, r) ||
        !read_kind(f, from, where, r) || !read_state(f, from, where, r) ||
        !read_tags(a, from, where, r) || !read_numbers(f, from, where, r) ||
        !read_limits(&limits, from, where, r))
        return false;
    f->weight = 1;
    if (rules.defaults != NULL)
        gate_limits_apply(&f->limits, &rules.defaults->kinds[GATE_USAGE_CHAT]);
    gate_rules_apply(&rules, f, a->tags);
    gate_limits_apply(&f->limits, &limits);
    uint64_t weight = f->weight;
    if (!policy_whole(from, where, "weight", GATE_POLICY_MAX_WEIGHT, &weight, r))
        return false;
    f->weight = (uint32_t)weight;
    return true;
}

/* ---- all of them */

/* Puts the accounts of one provider side by side, in the order in which the case names them. */
static void make_snapshot(struct policy_case *t)
{
    size_t count = 0;
    struct gate_account_facts *facts = gate_alloc((t->account_count + 1) * sizeof facts[0]);
    for (size_t i = 0; i < t->account_count; i++) {
        struct gate_str provider = t->accounts[i].facts.provider;
        bool known = false;
        for (size_t k = 0; k < i && !known; k++)
            known = gate_str_eq(t->accounts[k].facts.provider, provider);
        for (size_t k = i; k < t->account_count && !known; k++)
            if (gate_str_eq(t->accounts[k].facts.provider, provider))
                facts[count++] = t->accounts[k].facts;
    }
    t->snapshot = gate_trace_accounts_make(facts, count, facts[0].now_ms);
    free(facts);
}

bool policy_accounts_read(struct policy_case *t, const struct gate_candidate *c, const cJSON *list,
                          struct policy_report *r)
{
    const cJSON *from;
    char where[32];
    int count = cJSON_GetArraySize(list);
    if (!policy_is_list(list) || count == 0 || count > POLICY_CASE_ACCOUNTS) {
        policy_complain(r, "accounts is %s; expected a list of 1 to %d accounts",
                        policy_is_list(list) && count == 0 ? "empty" : policy_show(list).text,
                        POLICY_CASE_ACCOUNTS);
        return false;
    }
    t->accounts = gate_calloc((size_t)count, sizeof t->accounts[0]);
    cJSON_ArrayForEach(from, list)
    {
        struct policy_account *a = &t->accounts[t->account_count];
        snprintf(where, sizeof where, "accounts[%zu]", ++t->account_count);
        a->facts.now_ms = t->now_ms;
        if (!read_account(a, c, from, where, r))
            return false;
        for (size_t i = 0; i + 1 < t->account_count; i++) {
            if (!gate_str_eq(t->accounts[i].facts.id, a->facts.id))
                continue;
            policy_complain(r, "%s has the id of accounts[%zu]", where, i + 1);
            return false;
        }
    }
    make_snapshot(t);
    return true;
}

void policy_accounts_free(struct policy_case *t)
{
    gate_trace_accounts_release(t->snapshot);
    free(t->accounts);
}

const char *policy_account_id(const struct policy_case *t, const char *name)
{
    struct gate_str wanted = gate_str_of(name);
    const char *by_alias = NULL;
    for (size_t i = 0; i < t->account_count; i++) {
        const struct gate_account_facts *f = &t->accounts[i].facts;
        if (gate_str_eq(f->id, wanted))
            return f->id.ptr; /* ends with a NUL in the tree */
        if (by_alias == NULL && gate_str_eq(f->alias, wanted))
            by_alias = f->id.ptr;
    }
    return by_alias;
}
