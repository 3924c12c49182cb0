/* The fields of an account, and the sums over all accounts of a provider. */
#include "script/views_internal.h"

#include "script/api.h"
#include "script/sandbox.h"

/* ---------------------------------------------------------------- an account */

enum field {
    FIELD_ID,
    FIELD_ALIAS,
    FIELD_PROVIDER,
    FIELD_KIND,
    FIELD_TAGS,
    FIELD_HAS_TAG,
    FIELD_WEIGHT,
    FIELD_IN_FLIGHT,
    FIELD_LATENCY_MS,
    FIELD_REQUESTS_MINUTE,
    FIELD_REQUESTS_DAY,
    FIELD_TOKENS_MINUTE,
    FIELD_TOKENS_DAY,
    FIELD_RESETS_IN_MS,
    FIELD_LIMITS,
    FIELD_COOLING,
    FIELD_STATE,
    FIELD_UNTIL_MS,
    FIELDS,
};

static const char *const FIELD_NAMES[FIELDS] = {
    [FIELD_ID] = "id",
    [FIELD_ALIAS] = "alias",
    [FIELD_PROVIDER] = "provider",
    [FIELD_KIND] = "kind",
    [FIELD_TAGS] = "tags",
    [FIELD_HAS_TAG] = "has_tag",
    [FIELD_WEIGHT] = "weight",
    [FIELD_IN_FLIGHT] = "in_flight",
    [FIELD_LATENCY_MS] = "latency_ms",
    [FIELD_REQUESTS_MINUTE] = "requests_minute",
    [FIELD_REQUESTS_DAY] = "requests_day",
    [FIELD_TOKENS_MINUTE] = "tokens_minute",
    [FIELD_TOKENS_DAY] = "tokens_day",
    [FIELD_RESETS_IN_MS] = "resets_in_ms",
    [FIELD_LIMITS] = "limits",
    [FIELD_COOLING] = "cooling",
    [FIELD_STATE] = "state",
    [FIELD_UNTIL_MS] = "until_ms",
};

void gate_view_push_account_fields(lua_State *L)
{
    gate_api_push_fields(L, FIELD_NAMES, FIELDS);
}

static const char *kind_name(enum gate_credential_kind kind)
{
    switch (kind) {
    case GATE_CREDENTIAL_API_KEY:
        return "api_key";
    case GATE_CREDENTIAL_OAUTH:
        return "oauth";
    case GATE_CREDENTIAL_NONE:
        break;
    }
    return "none";
}

static void push_latency(lua_State *L, uint64_t us)
{
    if (us == 0)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (lua_Number)us / 1000);
}

static void push_text_field(lua_State *L, enum field field, const struct gate_account_facts *facts)
{
    if (field == FIELD_ID)
        gate_api_push_str(L, facts->id);
    else if (field == FIELD_ALIAS)
        gate_api_push_str(L, facts->alias);
    else if (field == FIELD_PROVIDER)
        gate_api_push_str(L, facts->provider);
    else if (field == FIELD_STATE)
        lua_pushstring(L, facts->state);
    else
        lua_pushstring(L, kind_name(facts->kind));
}

static void push_number_field(lua_State *L, enum field field,
                              const struct gate_account_facts *facts)
{
    const struct gate_quota_numbers *numbers = &facts->numbers;
    switch (field) {
    case FIELD_WEIGHT:
        lua_pushinteger(L, facts->weight);
        break;
    case FIELD_IN_FLIGHT:
        lua_pushinteger(L, numbers->in_flight);
        break;
    case FIELD_REQUESTS_MINUTE:
        gate_api_push_count(L, numbers->requests_minute);
        break;
    case FIELD_REQUESTS_DAY:
        gate_api_push_count(L, numbers->requests_day);
        break;
    case FIELD_TOKENS_MINUTE:
        gate_api_push_count(L, numbers->tokens_minute);
        break;
    case FIELD_TOKENS_DAY:
        gate_api_push_count(L, numbers->tokens_day);
        break;
    case FIELD_RESETS_IN_MS:
        gate_api_push_count(L, numbers->day_resets_at_ms > facts->now_ms
                                   ? numbers->day_resets_at_ms - facts->now_ms
                                   : 0);
        break;
    default:
        push_text_field(L, field, facts);
        break;
    }
}

void gate_view_push_account_field(lua_State *L, struct gate_views *views,
                                  struct gate_view_word word)
{
    enum field field = (enum field)gate_api_field(L, GATE_VIEW_UP_ACCOUNT, "an account");
    const struct gate_account_facts *facts = gate_views_facts(views, word.source, word.place);
    switch (field) {
    case FIELD_TAGS:
        word.what = GATE_VIEW_TAGS;
        gate_view_push_word(L, views, word);
        break;
    case FIELD_HAS_TAG:
        lua_pushvalue(L, lua_upvalueindex(GATE_VIEW_UP_HAS_TAG));
        break;
    case FIELD_LIMITS:
        word.what = GATE_VIEW_LIMITS;
        gate_view_push_word(L, views, word);
        break;
    case FIELD_LATENCY_MS:
        push_latency(L, facts->latency_us);
        break;
    case FIELD_COOLING:
        lua_pushboolean(L, facts->cooling);
        break;
    case FIELD_UNTIL_MS:
        if (facts->until_ms > 0)
            gate_api_push_count(L, facts->until_ms);
        else
            lua_pushnil(L);
        break;
    default:
        push_number_field(L, field, facts);
        break;
    }
}

/* ---------------------------------------------------------------- a provider */

enum provider_field {
    PROVIDER_ACCOUNTS,
    PROVIDER_SERVING,
    PROVIDER_IN_FLIGHT,
    PROVIDER_REQUESTS_MINUTE,
    PROVIDER_REQUESTS_DAY,
    PROVIDER_TOKENS_DAY,
    PROVIDER_REQUESTS_LEFT_TODAY,
    PROVIDER_LATENCY_MS,
    PROVIDER_FIELDS,
};

static const char *const PROVIDER_NAMES[PROVIDER_FIELDS] = {
    [PROVIDER_ACCOUNTS] = "accounts",
    [PROVIDER_SERVING] = "serving",
    [PROVIDER_IN_FLIGHT] = "in_flight",
    [PROVIDER_REQUESTS_MINUTE] = "requests_minute",
    [PROVIDER_REQUESTS_DAY] = "requests_day",
    [PROVIDER_TOKENS_DAY] = "tokens_day",
    [PROVIDER_REQUESTS_LEFT_TODAY] = "requests_left_today",
    [PROVIDER_LATENCY_MS] = "latency_ms",
};

void gate_view_push_provider_fields(lua_State *L)
{
    gate_api_push_fields(L, PROVIDER_NAMES, PROVIDER_FIELDS);
}

static bool is_state(const struct gate_account_facts *facts, const char *state)
{
    return facts->state != NULL && strcmp(facts->state, state) == 0;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

static void sum_up(struct gate_provider_sums *sums, const struct gate_account_facts *facts)
{
    const struct gate_quota_numbers *numbers = &facts->numbers;
    bool serving = is_state(facts, "serving");
    sums->in_flight = add(sums->in_flight, numbers->in_flight);
    sums->requests_minute = add(sums->requests_minute, numbers->requests_minute);
    sums->requests_day = add(sums->requests_day, numbers->requests_day);
    sums->tokens_day = add(sums->tokens_day, numbers->tokens_day);
    sums->serving += serving;
    if (serving && facts->latency_us > 0 &&
        (sums->latency_us == 0 || facts->latency_us < sums->latency_us))
        sums->latency_us = facts->latency_us;
    /* One that is exhausted or waits for a person has nothing left, whatever its limit says. */
    if (!serving && !is_state(facts, "cooling") && !is_state(facts, "limited"))
        return;
    if (facts->limits.requests_per_day == 0)
        sums->left_today = UINT64_MAX;
    else if (facts->limits.requests_per_day > numbers->requests_day)
        sums->left_today =
            add(sums->left_today, facts->limits.requests_per_day - numbers->requests_day);
}

static const struct gate_provider_sums *sums_of(lua_State *L, struct gate_views *views,
                                                size_t number)
{
    struct gate_view_source *source = &views->sources[number];
    if (source->sums_serial == views->serial)
        return &source->sums;
    gate_sandbox_charge(L, source->count);
    source->sums = (struct gate_provider_sums){.accounts = source->count};
    for (size_t i = 0; i < source->count; i++)
        sum_up(&source->sums, gate_views_facts(views, number, i));
    source->sums_serial = views->serial;
    return &source->sums;
}

void gate_view_push_provider_field(lua_State *L, struct gate_views *views,
                                   struct gate_view_word word)
{
    enum provider_field field =
        (enum provider_field)gate_api_field(L, GATE_VIEW_UP_PROVIDER, "a provider");
    const struct gate_provider_sums *sums = sums_of(L, views, word.source);
    switch (field) {
    case PROVIDER_ACCOUNTS:
        gate_api_push_count(L, sums->accounts);
        break;
    case PROVIDER_SERVING:
        gate_api_push_count(L, sums->serving);
        break;
    case PROVIDER_IN_FLIGHT:
        gate_api_push_count(L, sums->in_flight);
        break;
    case PROVIDER_REQUESTS_MINUTE:
        gate_api_push_count(L, sums->requests_minute);
        break;
    case PROVIDER_REQUESTS_DAY:
        gate_api_push_count(L, sums->requests_day);
        break;
    case PROVIDER_TOKENS_DAY:
        gate_api_push_count(L, sums->tokens_day);
        break;
    case PROVIDER_REQUESTS_LEFT_TODAY:
        if (sums->left_today == UINT64_MAX)
            lua_pushnil(L);
        else
            gate_api_push_count(L, sums->left_today);
        break;
    case PROVIDER_LATENCY_MS:
        push_latency(L, sums->latency_us);
        break;
    case PROVIDER_FIELDS:
        break;
    }
}
