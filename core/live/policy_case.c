/* Reads one case of a policy test. */
#include "live/policy_case.h"
#include "base/buf.h"
#include <stdlib.h>

enum {
    DEFAULT_MESSAGES = 1,
    DEFAULT_BODY_BYTES = 1000,
    MAX_COUNT = 1000000,
    MAX_STATUS = 999,
    MAX_ATTEMPTS = 1000,
};

static const uint64_t MAX_NUMBER = 1000000000000000; /* exact in a double */

/* ---- problems */

struct gate_problem *policy_complain(struct policy_report *r, const char *format, ...)
{
    char text[GATE_PROBLEM_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->failed = true;
    if (r->name[0] == '\0')
        return gate_problems_add(r->problems, GATE_SEVERITY_ERROR, "test", r->file, r->line,
                                 "case %zu: %s", r->number, text);
    return gate_problems_add(r->problems, GATE_SEVERITY_ERROR, "test", r->file, r->line,
                             "case %zu \"%s\": %s", r->number, r->name, text);
}

struct policy_shown policy_show(const cJSON *value)
{
    struct policy_shown s;
    if (cJSON_IsString(value))
        snprintf(s.text, sizeof s.text, "\"%.60s\"", value->valuestring);
    else if (cJSON_IsNumber(value))
        snprintf(s.text, sizeof s.text, "%.15g", value->valuedouble);
    else if (cJSON_IsBool(value))
        snprintf(s.text, sizeof s.text, "%s", cJSON_IsTrue(value) ? "true" : "false");
    else
        snprintf(s.text, sizeof s.text, "%s", cJSON_IsArray(value) ? "a list" : "a table");
    return s;
}

/* ---- members */

bool policy_is_list(const cJSON *value)
{
    return cJSON_IsArray(value);
}

bool policy_is_table(const cJSON *value)
{
    return cJSON_IsObject(value) || (cJSON_IsArray(value) && value->child == NULL);
}

bool policy_keys(const cJSON *table, const char *where, const char *allowed,
                 struct policy_report *r)
{
    char list[GATE_PROBLEM_TEXT];
    size_t len = 0;
    if (!policy_is_table(table)) {
        policy_complain(r, "%s is %s; expected a table", where, policy_show(table).text);
        return false;
    }
    const char *unknown = gate_json_tree_unknown(table, allowed);
    if (unknown == NULL)
        return true;
    for (const char *p = allowed; *p != '\0' && len + 3 < sizeof list; p++) {
        list[len++] = *p == '|' ? ',' : *p;
        if (*p == '|')
            list[len++] = ' ';
    }
    list[len] = '\0';
    policy_complain(r, "%s has no key \"%.40s\"; allowed: %s", where, unknown, list);
    return false;
}

static bool wrong(const cJSON *value, const char *where, const char *key, const char *expected,
                  struct policy_report *r)
{
    policy_complain(r, "%s.%s is %s; expected %s", where, key, policy_show(value).text, expected);
    return false;
}

static const cJSON *member(const cJSON *table, const char *key)
{
    return table != NULL ? cJSON_GetObjectItemCaseSensitive(table, key) : NULL;
}

bool policy_text(const cJSON *table, const char *where, const char *key, const char **out,
                 struct policy_report *r)
{
    const cJSON *value = member(table, key);
    if (value == NULL)
        return true;
    if (!cJSON_IsString(value))
        return wrong(value, where, key, "a text", r);
    if (strlen(value->valuestring) > POLICY_CASE_TEXT) {
        policy_complain(r, "%s.%s is longer than %d bytes", where, key, POLICY_CASE_TEXT);
        return false;
    }
    *out = value->valuestring;
    return true;
}

bool policy_whole(const cJSON *table, const char *where, const char *key, uint64_t max,
                  uint64_t *out, struct policy_report *r)
{
    const cJSON *value = member(table, key);
    char expected[64];
    if (value == NULL || gate_json_tree_whole(value, 0, (double)max, out))
        return true;
    snprintf(expected, sizeof expected, "a whole number from 0 to %llu", (unsigned long long)max);
    return wrong(value, where, key, expected, r);
}

bool policy_boolean(const cJSON *table, const char *where, const char *key, bool *out,
                    struct policy_report *r)
{
    const cJSON *value = member(table, key);
    if (value == NULL)
        return true;
    if (!cJSON_IsBool(value))
        return wrong(value, where, key, "true or false", r);
    *out = cJSON_IsTrue(value);
    return true;
}

/* ---- time */

/* Reads exactly `digits` digits at *p. */
static bool read_digits(const char **p, size_t digits, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        *out = *out * 10 + (**p - '0');
    }
    return true;
}

static bool read_char(const char **p, char c)
{
    bool is = **p == c;
    *p += is;
    return is;
}

/* "Z" or "+08:00". */
static bool read_offset(const char **p, int64_t *minutes)
{
    int64_t hours, rest, sign = **p == '-' ? -1 : 1;
    *minutes = 0;
    if (read_char(p, 'Z'))
        return true;
    if (!read_char(p, '+') && !read_char(p, '-'))
        return false;
    if (!read_digits(p, 2, &hours) || !read_char(p, ':') || !read_digits(p, 2, &rest) ||
        hours > 15 || rest > 59)
        return false;
    *minutes = sign * (hours * 60 + rest);
    return true;
}

static int64_t days_in(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970 of a day of the Gregorian calendar, from that year on. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t before = year - 1;
    int64_t days = (year - 1970) * 365 + (before / 4 - before / 100 + before / 400) -
                   (1969 / 4 - 1969 / 100 + 1969 / 400);
    for (int64_t m = 1; m < month; m++)
        days += days_in(year, m);
    return days + day - 1;
}

static bool parse_time(const char *p, uint64_t *out)
{
    int64_t year, month, day, hour, minute, second = 0, offset;
    if (!read_digits(&p, 4, &year) || !read_char(&p, '-') || !read_digits(&p, 2, &month) ||
        !read_char(&p, '-') || !read_digits(&p, 2, &day) || !read_char(&p, 'T') ||
        !read_digits(&p, 2, &hour) || !read_char(&p, ':') || !read_digits(&p, 2, &minute))
        return false;
    if (read_char(&p, ':') && !read_digits(&p, 2, &second))
        return false;
    if (!read_offset(&p, &offset) || *p != '\0' || year < 1971 || month < 1 || month > 12 ||
        day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t minutes = (days_of(year, month, day) * 24 + hour) * 60 + minute - offset;
    *out = (uint64_t)(minutes * 60 + second) * 1000;
    return true;
}

bool policy_time(const cJSON *table, const char *where, const char *key, uint64_t *out,
                 struct policy_report *r)
{
    const cJSON *value = member(table, key);
    if (value == NULL || gate_json_tree_whole(value, 1, (double)MAX_NUMBER, out) ||
        (cJSON_IsString(value) && parse_time(value->valuestring, out)))
        return true;
    return wrong(value, where, key, "a time as \"2026-11-23T09:00:00+08:00\", or ms since 1970", r);
}

/* ---- the request */

static bool is_route_header(const struct gate_config *c, const char *name)
{
    for (size_t i = 0; c != NULL && i < c->route_header_count; i++)
        if (strcmp(c->route_headers[i], name) == 0)
            return true;
    return c == NULL;
}

static bool read_headers(struct policy_case *t, const struct gate_config *config,
                         const cJSON *table, struct policy_report *r)
{
    const cJSON *value;
    if (table == NULL)
        return true;
    if (!policy_is_table(table))
        return wrong(table, "request", "headers", "a table of names and texts", r);
    cJSON_ArrayForEach(value, table)
    {
        if (!cJSON_IsString(value))
            return wrong(value, "request.headers", value->string, "a text", r);
        if (!is_route_header(config, value->string)) {
            policy_complain(r,
                            "request.headers.%.60s is not listed in route_headers of gateway.lua, "
                            "so no script sees it (names are in lower case)",
                            value->string);
            return false;
        }
        if (t->request.header_count == GATE_CONFIG_MAX_ROUTE_HEADERS) {
            policy_complain(r, "request.headers has more than %d entries",
                            GATE_CONFIG_MAX_ROUTE_HEADERS);
            return false;
        }
        t->headers[t->request.header_count++] =
            (struct gate_header){gate_str_of(value->string), gate_str_of(value->valuestring)};
    }
    return true;
}

static bool read_request(struct policy_case *t, const struct gate_config *config,
                         const cJSON *table, struct policy_report *r)
{
    static const char where[] = "request";
    uint64_t messages = DEFAULT_MESSAGES, tools = 0, body_bytes = DEFAULT_BODY_BYTES;
    const char *model = NULL, *key = "default", *path = "/v1/chat/completions";
    if (table != NULL &&
        (!policy_keys(table, where,
                      "model|stream|messages|tools|has_images|body_bytes|max_tokens|key|path|"
                      "headers",
                      r) ||
         !policy_text(table, where, "model", &model, r) ||
         !policy_text(table, where, "key", &key, r) ||
         !policy_text(table, where, "path", &path, r) ||
         !policy_boolean(table, where, "stream", &t->facts.stream, r) ||
         !policy_boolean(table, where, "has_images", &t->facts.has_images, r) ||
         !policy_whole(table, where, "messages", MAX_COUNT, &messages, r) ||
         !policy_whole(table, where, "tools", MAX_COUNT, &tools, r) ||
         !policy_whole(table, where, "body_bytes", MAX_NUMBER, &body_bytes, r) ||
         !policy_whole(table, where, "max_tokens", MAX_NUMBER, &t->facts.max_tokens, r) ||
         !read_headers(t, config, member(table, "headers"), r)))
        return false;
    t->facts.message_count = (uint32_t)messages;
    t->facts.tool_count = (uint32_t)tools;
    t->request.model = gate_str_of(model);
    t->request.key_name = gate_str_of(key);
    t->request.path = gate_str_of(path);
    t->request.facts = &t->facts;
    t->request.body_bytes = (size_t)body_bytes;
    t->request.headers = t->headers;
    if ((model != NULL && model[0] != '\0') || (table == NULL && t->kind != POLICY_CASE_ROUTE))
        return true;
    policy_complain(r, "request has no model: request = { model = \"...\" }");
    return false;
}

/* ---- a failure */

static bool read_verdict(struct policy_case *t, const cJSON *table, struct policy_report *r)
{
    static const char where[] = "failure";
    const char *kind = NULL, *code = "", *message = "";
    uint64_t status = 0;
    if (!policy_keys(table, where, "kind|status|code|message|retry_after_ms", r) ||
        !policy_text(table, where, "kind", &kind, r) ||
        !policy_text(table, where, "code", &code, r) ||
        !policy_text(table, where, "message", &message, r) ||
        !policy_whole(table, where, "status", MAX_STATUS, &status, r) ||
        !policy_whole(table, where, "retry_after_ms", MAX_NUMBER, &t->verdict.retry_after_ms, r))
        return false;
    t->failure.verdict = &t->verdict;
    t->failure.status = (int)status;
    snprintf(t->verdict.code, sizeof t->verdict.code, "%s", code);
    snprintf(t->verdict.message, sizeof t->verdict.message, "%s", message);
    for (int k = GATE_VERDICT_AUTH; kind != NULL && k <= GATE_VERDICT_GARBAGE; k++) {
        t->verdict.kind = (enum gate_verdict_kind)k;
        if (strcmp(gate_verdict_name(t->verdict.kind), kind) == 0)
            return true;
    }
    policy_complain(r,
                    "failure.kind is %s%.40s%s; expected auth, rate_limited, quota_exhausted, "
                    "overloaded, blocked, client_error, network, truncated, timeout or garbage",
                    kind != NULL ? "\"" : "", kind != NULL ? kind : "missing",
                    kind != NULL ? "\"" : "");
    return false;
}

static bool read_fallback(struct policy_case *t, const char *name, struct policy_report *r)
{
    t->failure.fallback =
        t->verdict.kind == GATE_VERDICT_CLIENT_ERROR ? GATE_ACTION_FAIL : GATE_ACTION_NEXT_ACCOUNT;
    for (int i = GATE_ACTION_RETRY; name != NULL && i < GATE_ACTIONS; i++) {
        if (strcmp(gate_action_names[i], name) != 0)
            continue;
        t->failure.fallback = (enum gate_action)i;
        return true;
    }
    if (name != NULL)
        policy_complain(r,
                        "attempt.default is \"%.40s\"; expected retry, next_account, next_target "
                        "or fail",
                        name);
    return name == NULL;
}

static bool read_attempt(struct policy_case *t, const cJSON *table, struct policy_report *r)
{
    static const char where[] = "attempt";
    const char *account = "test/0", *alias = NULL, *provider = NULL, *model = NULL,
               *fallback = NULL;
    uint64_t number = 1;
    if (table != NULL &&
        (!policy_keys(table, where,
                      "number|account|alias|provider|model|elapsed_ms|default|cooldown_ms", r) ||
         !policy_text(table, where, "account", &account, r) ||
         !policy_text(table, where, "alias", &alias, r) ||
         !policy_text(table, where, "provider", &provider, r) ||
         !policy_text(table, where, "model", &model, r) ||
         !policy_text(table, where, "default", &fallback, r) ||
         !policy_whole(table, where, "number", MAX_ATTEMPTS, &number, r) ||
         !policy_whole(table, where, "elapsed_ms", MAX_NUMBER, &t->failure.elapsed_ms, r) ||
         !policy_whole(table, where, "cooldown_ms", MAX_NUMBER, &t->failure.cooldown_ms, r)))
        return false;
    const char *slash = strchr(account, '/');
    struct gate_str prefix = {account, slash != NULL ? (size_t)(slash - account) : 0};
    t->failure.number = (uint32_t)number;
    t->failure.account = gate_str_of(account);
    t->failure.alias = gate_str_of(alias != NULL ? alias : slash != NULL ? slash + 1 : account);
    t->failure.provider = provider != NULL ? gate_str_of(provider) : prefix;
    t->failure.model = model != NULL ? gate_str_of(model) : t->request.model;
    if (t->request.model.len == 0)
        t->request.model = t->failure.model;
    return read_fallback(t, fallback, r);
}

/* ---- the case */

static bool read_kind(struct policy_case *t, const cJSON *from, struct policy_report *r)
{
    const char *name = NULL;
    bool is_map = member(from, "map") != NULL, is_failure = member(from, "failure") != NULL;
    if (is_map) {
        t->kind = POLICY_CASE_MAP;
        if (!policy_keys(from, "a case with map", "name|map|now|expect", r) ||
            !policy_text(from, "case", "map", &name, r))
            return false;
        t->name = gate_str_of(name);
        if (t->name.len > 0 && t->name.len <= GATE_SCRIPT_MAX_NAME)
            return true;
        policy_complain(r, "map is not the name of a model: 1 to %d bytes", GATE_SCRIPT_MAX_NAME);
        return false;
    }
    t->kind = is_failure ? POLICY_CASE_FAILURE : POLICY_CASE_ROUTE;
    return policy_keys(from, is_failure ? "a case with failure" : "a case",
                       is_failure ? "name|failure|attempt|request|now|expect"
                                  : "name|request|now|accounts|expect|failure|attempt|map",
                       r);
}

bool policy_case_read(struct policy_case *t, const struct gate_candidate *c, const cJSON *from,
                      struct policy_report *r)
{
    if (!policy_is_table(from)) {
        policy_complain(r, "it is %s; expected a table", policy_show(from).text);
        return false;
    }
    if (!read_kind(t, from, r) || !policy_time(from, "case", "now", &t->now_ms, r))
        return false;
    t->expect = member(from, "expect");
    if (t->kind == POLICY_CASE_ROUTE && member(from, "attempt") != NULL) {
        policy_complain(r, "attempt belongs to a case with failure");
        return false;
    }
    if (t->kind != POLICY_CASE_MAP && !read_request(t, c->config, member(from, "request"), r))
        return false;
    if (t->kind == POLICY_CASE_FAILURE && (!read_verdict(t, member(from, "failure"), r) ||
                                           !read_attempt(t, member(from, "attempt"), r)))
        return false;
    const cJSON *accounts = member(from, "accounts");
    if (accounts != NULL && !policy_accounts_read(t, c, accounts, r))
        return false;
    return policy_expect_check(t, r);
}

void policy_case_finish(struct policy_case *t)
{
    policy_accounts_free(t);
    memset(t, 0, sizeof *t);
}
