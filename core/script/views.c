/* The accounts that select chooses from, as Lua sees them. */
#include "script/views.h"

#include "base/buf.h"
#include "script/api.h"
#include "script/sandbox.h"

#include <stdlib.h>

enum {
    WHAT_BITS = 2,
    PLACE_BITS = 16,
    MAX_ACCOUNTS = 1 << PLACE_BITS,
    WORDS_PER_STEP = 8, /* entries of the list that are set for the price of one instruction */
};

/* What of an account a word stands for. */
enum what { WHAT_ACCOUNT = 0, WHAT_LIMITS, WHAT_TAGS };

_Static_assert(sizeof(void *) == 8, "a word of an account holds a call, a place and a what");

struct gate_view_slot {
    uint64_t serial; /* of the call whose facts these are */
    struct gate_account_facts facts;
};

/* Registry keys of the list of accounts and of the table with its entries. */
static const char ACCOUNTS_KEY, WORDS_KEY;

/* ---------------------------------------------------------------- life and calls */

void gate_views_finish(struct gate_views *views)
{
    free(views->slots);
    *views = (struct gate_views){0};
}

enum gate_status gate_views_begin(struct gate_views *views, const struct gate_select_view *accounts,
                                  struct gate_error *err)
{
    if (accounts->count > MAX_ACCOUNTS)
        return gate_fail(err, GATE_ELIMIT, "select: more than %d accounts", MAX_ACCOUNTS);
    if (accounts->count > views->slot_count) {
        free(views->slots);
        views->slots = gate_calloc(accounts->count, sizeof *views->slots);
        views->slot_count = accounts->count;
    }
    views->serial++;
    views->accounts = accounts;
    return GATE_OK;
}

void gate_views_end(struct gate_views *views)
{
    views->accounts = NULL;
}

const struct gate_account_facts *gate_views_facts(struct gate_views *views, size_t place)
{
    struct gate_view_slot *slot = &views->slots[place];
    if (slot->serial != views->serial) {
        views->accounts->read(views->accounts->ctx, place, &slot->facts);
        slot->serial = views->serial;
    }
    return &slot->facts;
}

/* ---------------------------------------------------------------- words */

static void push_word(lua_State *L, const struct gate_views *views, size_t place, enum what what)
{
    uint64_t word = (views->serial << PLACE_BITS | place) << WHAT_BITS | what;
    lua_pushlightuserdata(L, (void *)(uintptr_t)word);
}

static uint64_t check_word(lua_State *L, const struct gate_views *views, int at)
{
    uint64_t word = (uint64_t)(uintptr_t)lua_touserdata(L, at);
    if (views->accounts == NULL || word >> (PLACE_BITS + WHAT_BITS) != views->serial)
        luaL_error(L, "this account belongs to an earlier call of select: keep its id instead");
    return word;
}

static size_t place_of(uint64_t word)
{
    return (word >> WHAT_BITS) & (MAX_ACCOUNTS - 1);
}

static enum what what_of(uint64_t word)
{
    return (enum what)(word & ((1 << WHAT_BITS) - 1));
}

bool gate_views_account(lua_State *L, const struct gate_views *views, int at, size_t *place)
{
    if (!lua_islightuserdata(L, at))
        return false;
    uint64_t word = check_word(L, views, at);
    *place = place_of(word);
    return what_of(word) == WHAT_ACCOUNT;
}

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
};

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

/* Upvalues of word_get. */
enum { UP_VIEWS = 1, UP_FIELDS, UP_LIMITS, UP_HAS_TAG };

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
    else
        lua_pushstring(L, kind_name(facts->kind));
}

static void push_field(lua_State *L, struct gate_views *views, size_t place, enum field field)
{
    const struct gate_account_facts *facts = gate_views_facts(views, place);
    const struct gate_quota_numbers *numbers = &facts->numbers;
    switch (field) {
    case FIELD_TAGS:
        push_word(L, views, place, WHAT_TAGS);
        break;
    case FIELD_HAS_TAG:
        lua_pushvalue(L, lua_upvalueindex(UP_HAS_TAG));
        break;
    case FIELD_LIMITS:
        push_word(L, views, place, WHAT_LIMITS);
        break;
    case FIELD_WEIGHT:
        lua_pushinteger(L, facts->weight);
        break;
    case FIELD_IN_FLIGHT:
        lua_pushinteger(L, numbers->in_flight);
        break;
    case FIELD_LATENCY_MS:
        push_latency(L, facts->latency_us);
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
    case FIELD_COOLING:
        lua_pushboolean(L, facts->cooling);
        break;
    default:
        push_text_field(L, field, facts);
        break;
    }
}

/* The place, from 0, that the index of a script means; false: beyond the list. */
static bool list_index(lua_State *L, size_t count, const char *name, size_t *place)
{
    int is_whole = 0;
    lua_Integer i = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &is_whole) : 0;
    if (!is_whole)
        luaL_error(L, "%s is a list and has no field '%s'", name,
                   lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2));
    *place = (size_t)i - 1;
    return i >= 1 && (lua_Unsigned)i <= count;
}

/* __index of all words. */
static int word_get(lua_State *L)
{
    struct gate_views *views = lua_touserdata(L, lua_upvalueindex(UP_VIEWS));
    uint64_t word = check_word(L, views, 1);
    size_t place = place_of(word), at;
    const struct gate_account_facts *facts;
    switch (what_of(word)) {
    case WHAT_ACCOUNT:
        push_field(L, views, place, (enum field)gate_api_field(L, UP_FIELDS, "an account"));
        break;
    case WHAT_LIMITS:
        facts = gate_views_facts(views, place);
        gate_api_push_count(
            L, gate_limits_value(&facts->limits,
                                 (unsigned)gate_api_field(L, UP_LIMITS, "a table of limits")));
        break;
    case WHAT_TAGS:
        facts = gate_views_facts(views, place);
        if (list_index(L, facts->tag_count, "tags", &at))
            gate_api_push_str(L, facts->tags[at]);
        else
            lua_pushnil(L);
        break;
    }
    return 1;
}

/* __len of all words. Upvalue: views. */
static int word_length(lua_State *L)
{
    struct gate_views *views = lua_touserdata(L, lua_upvalueindex(1));
    uint64_t word = check_word(L, views, 1);
    if (what_of(word) != WHAT_TAGS)
        return luaL_error(L, "attempt to get length of an account");
    lua_pushinteger(L, (lua_Integer)gate_views_facts(views, place_of(word))->tag_count);
    return 1;
}

/* account:has_tag(tag). Upvalue: views. */
static int account_has_tag(lua_State *L)
{
    struct gate_views *views = lua_touserdata(L, lua_upvalueindex(1));
    struct gate_str tag;
    size_t place;
    bool found = false;
    if (!gate_views_account(L, views, 1, &place))
        return luaL_error(L, "has_tag is called on a %s: write account:has_tag(\"...\")",
                          luaL_typename(L, 1));
    tag.ptr = luaL_checklstring(L, 2, &tag.len);
    const struct gate_account_facts *facts = gate_views_facts(views, place);
    for (size_t i = 0; i < facts->tag_count && !found; i++)
        found = gate_str_eq(facts->tags[i], tag);
    lua_pushboolean(L, found);
    return 1;
}

/* ---------------------------------------------------------------- the list of accounts */

/* __index of what the list has no entry for. */
static int accounts_rest(lua_State *L)
{
    size_t place;
    list_index(L, 0, "accounts", &place);
    lua_pushnil(L);
    return 1;
}

/* __len of the list. Upvalue: views. */
static int accounts_length(lua_State *L)
{
    const struct gate_views *views = lua_touserdata(L, lua_upvalueindex(1));
    if (views->accounts == NULL)
        return luaL_error(L, "accounts can be read only while select(accounts, req) runs");
    lua_pushinteger(L, (lua_Integer)views->accounts->count);
    return 1;
}

/* ---------------------------------------------------------------- making the objects */

/* The metatable that all words share: they are the only light userdata that scripts see. */
static void make_words(lua_State *L, struct gate_views *views)
{
    lua_pushlightuserdata(L, views);
    lua_pushlightuserdata(L, views); /* upvalue UP_VIEWS */
    gate_api_push_fields(L, FIELD_NAMES, FIELDS);
    gate_api_push_fields(L, gate_limits_names, GATE_LIMITS_FIELDS);
    lua_pushlightuserdata(L, views);
    lua_pushcclosure(L, account_has_tag, 1);
    lua_pushcclosure(L, word_get, UP_HAS_TAG);
    gate_api_make_metatable(L, "account");
    lua_pushlightuserdata(L, views);
    lua_pushcclosure(L, word_length, 1);
    lua_setfield(L, -2, "__len");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* The list is an object without contents; its entries are in a table behind it that scripts cannot
 * reach, so that Lua finds them without a call. */
static void make_accounts(lua_State *L, struct gate_views *views)
{
    lua_newuserdatauv(L, 0, 0);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &WORDS_KEY);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, accounts_rest);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    gate_api_make_metatable(L, "accounts");
    lua_pushlightuserdata(L, views);
    lua_pushcclosure(L, accounts_length, 1);
    lua_setfield(L, -2, "__len");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ACCOUNTS_KEY);
}

void gate_views_open(lua_State *L, struct gate_views *views)
{
    make_words(L, views);
    make_accounts(L, views);
    gate_views_open_failure(L, views);
}

void gate_views_push_accounts(lua_State *L, const struct gate_views *views)
{
    size_t count = views->accounts->count;
    gate_sandbox_charge(L, count / WORDS_PER_STEP);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &WORDS_KEY);
    for (size_t i = 0; i < count; i++) {
        push_word(L, views, i, WHAT_ACCOUNT);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    for (size_t i = lua_rawlen(L, -1); i > count; i--) { /* from the end: it stays a list */
        lua_pushnil(L);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    lua_pop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ACCOUNTS_KEY);
}
