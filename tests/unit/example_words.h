/*
 * example_words: the requests, accounts, failures and responses that the lines of an example
 * describe in words like "model=m stream=true". Used by example_util.h.
 */
#ifndef TESTS_EXAMPLE_WORDS_H
#define TESTS_EXAMPLE_WORDS_H

#include "script/policy.h"
#include "script_util.h"

#include <time.h>

enum {
    EXAMPLE_LINE = 1024,
    EXAMPLE_HEADERS = 4,
    EXAMPLE_ACCOUNTS = 16,
    EXAMPLE_TAGS = 4,
};

/* The next "name=value" of a text that strtok_r cuts; false: there is none. */
static bool example_word(char *text, char **rest, char **name, char **value)
{
    *name = strtok_r(text, " ", rest);
    if (*name == NULL)
        return false;
    *value = strchr(*name, '=');
    ck_assert_msg(*value != NULL, "%s is no name=value", *name);
    *(*value)++ = '\0';
    return true;
}

/* "2026-11-23T09:00Z" or with "+01:00" at its end, in ms since 1970. */
static uint64_t example_time(const char *text)
{
    struct tm t = {0};
    int hours = 0, minutes = 0, used = 0;
    ck_assert_msg(sscanf(text, "%4d-%2d-%2dT%2d:%2d%n", &t.tm_year, &t.tm_mon, &t.tm_mday,
                         &t.tm_hour, &t.tm_min, &used) == 5,
                  "%s is no time", text);
    if (strcmp(text + used, "Z") != 0)
        ck_assert_msg(sscanf(text + used, "%3d:%2d", &hours, &minutes) == 2, "%s is no time", text);
    t.tm_year -= 1900;
    t.tm_mon--;
    int offset = hours * 60 + (hours < 0 ? -minutes : minutes);
    return (uint64_t)(timegm(&t) - offset * 60) * 1000;
}

/* ---- requests: "model=m stream=true header.x-team=a at=2026-11-23T09:00Z" */

struct example_request {
    char text[EXAMPLE_LINE];
    struct gate_request_facts facts;
    struct gate_header headers[EXAMPLE_HEADERS];
    struct gate_route_view view;
    uint64_t now_ms; /* 0: the real time */
};

static void example_set_request(struct example_request *r, const char *name, const char *value)
{
    unsigned long number = strtoul(value, NULL, 10);
    bool yes = strcmp(value, "true") == 0;
    if (strcmp(name, "model") == 0)
        r->view.model = gate_str_of(value);
    else if (strcmp(name, "key") == 0)
        r->view.key_name = gate_str_of(value);
    else if (strcmp(name, "path") == 0)
        r->view.path = gate_str_of(value);
    else if (strcmp(name, "body") == 0)
        r->view.body_bytes = number;
    else if (strcmp(name, "tokens") == 0)
        r->view.body_bytes = 4 * number;
    else if (strcmp(name, "messages") == 0)
        r->facts.message_count = (uint32_t)number;
    else if (strcmp(name, "tools") == 0)
        r->facts.tool_count = (uint32_t)number;
    else if (strcmp(name, "max_tokens") == 0)
        r->facts.max_tokens = number;
    else if (strcmp(name, "stream") == 0)
        r->facts.stream = yes;
    else if (strcmp(name, "images") == 0)
        r->facts.has_images = yes;
    else if (strcmp(name, "at") == 0)
        r->now_ms = example_time(value);
    else if (strncmp(name, "header.", 7) == 0 && r->view.header_count < EXAMPLE_HEADERS)
        r->headers[r->view.header_count++] =
            (struct gate_header){gate_str_of(name + 7), gate_str_of(value)};
    else
        ck_abort_msg("unknown word %s in an example", name);
}

static void example_parse_request(struct example_request *r, const char *text)
{
    char *rest = NULL, *name, *value;
    *r = (struct example_request){.view = {.path = GATE_STR("/v1/chat/completions")}};
    snprintf(r->text, sizeof r->text, "%s", text);
    r->view.facts = &r->facts;
    r->view.headers = r->headers;
    for (char *at = r->text; example_word(at, &rest, &name, &value); at = NULL)
        example_set_request(r, name, value);
}

/* ---- accounts: "qwen/0 in_flight=3 tags=paid,eu; qwen/1 rests=true" */

struct example_accounts {
    char text[EXAMPLE_LINE];
    struct gate_account_facts facts[EXAMPLE_ACCOUNTS]; /* those of one provider side by side */
    struct gate_str tags[EXAMPLE_ACCOUNTS][EXAMPLE_TAGS];
    size_t count;
    size_t offered[EXAMPLE_ACCOUNTS]; /* places of those that do not rest */
    struct gate_select_view offer;
    struct gate_accounts_view all;
};

static void example_read_any(void *ctx, size_t index, struct gate_account_facts *out)
{
    *out = ((const struct example_accounts *)ctx)->facts[index];
}

static void example_read_offered(void *ctx, size_t index, struct gate_account_facts *out)
{
    const struct example_accounts *a = ctx;
    *out = a->facts[a->offered[index]];
}

static bool example_is_known(void *ctx, struct gate_str name)
{
    const struct example_accounts *a = ctx;
    for (size_t i = 0; i < a->count; i++)
        if (gate_str_eq(name, a->facts[i].id) || gate_str_eq(name, a->facts[i].alias))
            return true;
    return false;
}

static bool example_find_provider(void *ctx, struct gate_str provider, size_t *first, size_t *count)
{
    const struct example_accounts *a = ctx;
    *count = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (!gate_str_eq(provider, a->facts[i].provider))
            continue;
        if ((*count)++ == 0)
            *first = i;
        ck_assert_uint_eq(*first + *count, i + 1);
    }
    return *count > 0;
}

static void example_set_limit(struct gate_limits *limits, const char *name, uint64_t value)
{
    struct gate_limits_patch patch = {0};
    unsigned field = 0;
    while (strcmp(gate_limits_names[field], name) != 0)
        ck_assert_msg(++field < GATE_LIMITS_FIELDS, "unknown word %s in an example", name);
    gate_limits_put(&patch, field, value);
    gate_limits_apply(limits, &patch);
}

static void example_set_tags(struct gate_account_facts *f, struct gate_str *tags, char *list)
{
    char *rest = NULL;
    f->tags = tags;
    for (char *tag = strtok_r(list, ",", &rest); tag != NULL; tag = strtok_r(NULL, ",", &rest)) {
        ck_assert_uint_lt(f->tag_count, EXAMPLE_TAGS);
        tags[f->tag_count++] = gate_str_of(tag);
    }
}

static void example_set_account(struct gate_account_facts *f, const char *name, const char *value)
{
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "alias") == 0)
        f->alias = gate_str_of(value);
    else if (strcmp(name, "kind") == 0)
        f->kind = strcmp(value, "oauth") == 0 ? GATE_CREDENTIAL_OAUTH : GATE_CREDENTIAL_NONE;
    else if (strcmp(name, "state") == 0)
        f->state = value;
    else if (strcmp(name, "until") == 0)
        f->until_ms = example_time(value);
    else if (strcmp(name, "cooling") == 0)
        f->cooling = strcmp(value, "true") == 0;
    else if (strcmp(name, "weight") == 0)
        f->weight = (uint32_t)number;
    else if (strcmp(name, "latency_ms") == 0)
        f->latency_us = number * 1000;
    else if (strcmp(name, "resets_in_ms") == 0)
        f->numbers.day_resets_at_ms = f->now_ms + number;
    else if (strcmp(name, "in_flight") == 0)
        f->numbers.in_flight = (uint32_t)number;
    else if (strcmp(name, "requests_minute") == 0)
        f->numbers.requests_minute = number;
    else if (strcmp(name, "requests_day") == 0)
        f->numbers.requests_day = number;
    else if (strcmp(name, "tokens_minute") == 0)
        f->numbers.tokens_minute = number;
    else if (strcmp(name, "tokens_day") == 0)
        f->numbers.tokens_day = number;
    else
        example_set_limit(&f->limits, name, number);
}

static void example_parse_account(struct example_accounts *a, char *text, uint64_t now_ms,
                                  size_t *offered)
{
    ck_assert_uint_lt(a->count, EXAMPLE_ACCOUNTS);
    struct gate_account_facts *f = &a->facts[a->count];
    char *rest = NULL, *name, *value, *id = strtok_r(text, " ", &rest);
    ck_assert(id != NULL && strchr(id, '/') != NULL);
    *f = (struct gate_account_facts){
        .kind = GATE_CREDENTIAL_API_KEY, .weight = 1, .state = "serving", .now_ms = now_ms};
    f->id = f->alias = gate_str_of(id);
    f->provider = (struct gate_str){id, (size_t)(strchr(id, '/') - id)};
    bool rests = false;
    while (example_word(NULL, &rest, &name, &value)) {
        if (strcmp(name, "rests") == 0)
            rests = strcmp(value, "true") == 0;
        else if (strcmp(name, "tags") == 0)
            example_set_tags(f, a->tags[a->count], value);
        else
            example_set_account(f, name, value);
    }
    if (!rests)
        a->offered[(*offered)++] = a->count;
    a->count++;
}

/* text NULL: there are none. */
static void example_parse_accounts(struct example_accounts *a, const char *text, uint64_t now_ms)
{
    size_t offered = 0;
    char *rest = NULL;
    memset(a, 0, sizeof *a);
    snprintf(a->text, sizeof a->text, "%s", text != NULL ? text : "");
    for (char *one = strtok_r(a->text, ";", &rest); one != NULL; one = strtok_r(NULL, ";", &rest))
        example_parse_account(a, one, now_ms, &offered);
    a->offer = (struct gate_select_view){offered, example_read_offered, a, example_is_known};
    a->all = (struct gate_accounts_view){example_find_provider, example_read_any, a};
}

/* ---- failures: "kind=overloaded status=503 number=2" */

static void example_set_failure(struct gate_verdict *v, struct gate_error_view *f, const char *name,
                                const char *value)
{
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "kind") == 0) {
        while (strcmp(gate_verdict_name(v->kind), value) != 0)
            ck_assert_msg(++v->kind <= GATE_VERDICT_GARBAGE, "no kind %s", value);
    } else if (strcmp(name, "default") == 0) {
        while (strcmp(gate_action_names[f->fallback], value) != 0)
            ck_assert_msg(++f->fallback < GATE_ACTIONS, "no action %s", value);
    } else if (strcmp(name, "status") == 0) {
        f->status = (int)number;
    } else if (strcmp(name, "code") == 0) {
        snprintf(v->code, sizeof v->code, "%s", value);
    } else if (strcmp(name, "message") == 0) {
        snprintf(v->message, sizeof v->message, "%s", value);
    } else if (strcmp(name, "retry_after_ms") == 0) {
        v->retry_after_ms = number;
    } else if (strcmp(name, "number") == 0) {
        f->number = (uint32_t)number;
    } else if (strcmp(name, "elapsed_ms") == 0) {
        f->elapsed_ms = number;
    } else if (strcmp(name, "cooldown_ms") == 0) {
        f->cooldown_ms = number;
    } else if (strcmp(name, "account") == 0) {
        f->account = gate_str_of(value);
    } else if (strcmp(name, "alias") == 0) {
        f->alias = gate_str_of(value);
    } else if (strcmp(name, "provider") == 0) {
        f->provider = gate_str_of(value);
    } else if (strcmp(name, "model") == 0) {
        f->model = gate_str_of(value);
    } else {
        ck_abort_msg("unknown word %s in an example", name);
    }
}

static void example_parse_failure(struct gate_verdict *v, struct gate_error_view *f, char *text)
{
    char *rest = NULL, *name, *value;
    for (char *at = text; example_word(at, &rest, &name, &value); at = NULL)
        example_set_failure(v, f, name, value);
}

/* ---- responses: "status=200 total_ms=900 header.x-ratelimit-remaining-requests=3" */

static void example_set_response(struct gate_response_view *r, struct gate_header *headers,
                                 const char *name, const char *value)
{
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "status") == 0)
        r->status = (int)number;
    else if (strcmp(name, "stream") == 0)
        r->stream = strcmp(value, "true") == 0;
    else if (strcmp(name, "estimated") == 0)
        r->estimated = strcmp(value, "true") == 0;
    else if (strcmp(name, "first_token_ms") == 0)
        r->first_us = (int64_t)number * 1000;
    else if (strcmp(name, "total_ms") == 0)
        r->total_us = number * 1000;
    else if (strcmp(name, "prompt_tokens") == 0)
        r->usage.prompt = number;
    else if (strcmp(name, "completion_tokens") == 0)
        r->usage.completion = number;
    else if (strcmp(name, "number") == 0)
        r->number = (uint32_t)number;
    else if (strcmp(name, "account") == 0)
        r->account = gate_str_of(value);
    else if (strcmp(name, "alias") == 0)
        r->alias = gate_str_of(value);
    else if (strcmp(name, "provider") == 0)
        r->provider = gate_str_of(value);
    else if (strcmp(name, "model") == 0)
        r->model = gate_str_of(value);
    else if (strncmp(name, "header.", 7) == 0 && r->header_count < EXAMPLE_HEADERS)
        headers[r->header_count++] =
            (struct gate_header){gate_str_of(name + 7), gate_str_of(value)};
    else
        ck_abort_msg("unknown word %s in an example", name);
}

static void example_parse_response(struct gate_response_view *r, struct gate_header *headers,
                                   char *text)
{
    char *rest = NULL, *name, *value;
    for (char *at = text; example_word(at, &rest, &name, &value); at = NULL)
        example_set_response(r, headers, name, value);
}

#endif
