/* The accounts that scripts see: which there are in a call, and the words that stand for them. */
#include "script/views_internal.h"

#include "base/buf.h"
#include "script/api.h"
#include "script/sandbox.h"

#include <stdlib.h>

enum {
    WHAT_BITS = 3,
    SOURCE_BITS = 6,
    PLACE_BITS = 16,
    SERIAL_AT = WHAT_BITS + SOURCE_BITS + PLACE_BITS,
    WORDS_PER_STEP = 8, /* entries of the list that are set for the price of one instruction */
    FIND_COST = 20,     /* steps of looking for a provider */
};

_Static_assert(sizeof(void *) == 8, "a word holds a call, a list, a place and a what");
_Static_assert(GATE_VIEWS_SOURCES == 1 << SOURCE_BITS, "every list has a number");
_Static_assert(GATE_VIEWS_ACCOUNTS == 1 << PLACE_BITS, "every account has a number");

struct gate_view_slot {
    uint64_t serial; /* of the call whose facts these are */
    struct gate_account_facts facts;
};

/* Registry keys of the views, the list of accounts of select and the table with its entries. */
static const char VIEWS_KEY, ACCOUNTS_KEY, WORDS_KEY;

/* ---------------------------------------------------------------- life and calls */

void gate_views_finish(struct gate_views *views)
{
    for (size_t i = 0; i < GATE_VIEWS_SOURCES; i++)
        free(views->sources[i].slots);
    *views = (struct gate_views){0};
}

/* The slots need no clearing: what is in them belongs to earlier calls. */
static void make_room(struct gate_view_source *source, size_t count)
{
    source->count = count;
    if (count <= source->slot_count)
        return;
    free(source->slots);
    source->slots = gate_calloc(count, sizeof *source->slots);
    source->slot_count = count;
}

void gate_views_next(struct gate_views *views)
{
    views->serial++;
    views->source_count = 1;
}

enum gate_status gate_views_begin(struct gate_views *views, const struct gate_select_view *accounts,
                                  struct gate_error *err)
{
    if (accounts->count > GATE_VIEWS_ACCOUNTS)
        return gate_fail(err, GATE_ELIMIT, "select: more than %d accounts", GATE_VIEWS_ACCOUNTS);
    make_room(&views->sources[0], accounts->count);
    views->accounts = accounts;
    return GATE_OK;
}

void gate_views_end(struct gate_views *views)
{
    views->accounts = NULL;
}

const struct gate_account_facts *gate_views_facts(struct gate_views *views, size_t number,
                                                  size_t place)
{
    struct gate_view_source *source = &views->sources[number];
    struct gate_view_slot *slot = &source->slots[place];
    if (slot->serial == views->serial)
        return &slot->facts;
    if (number == 0)
        views->accounts->read(views->accounts->ctx, place, &slot->facts);
    else
        source->all->read(source->all->ctx, source->first + place, &slot->facts);
    slot->serial = views->serial;
    return &slot->facts;
}

/* ---------------------------------------------------------------- words */

void gate_view_push_word(lua_State *L, const struct gate_views *views, struct gate_view_word word)
{
    uint64_t bits = views->serial << SERIAL_AT | (uint64_t)word.place << (WHAT_BITS + SOURCE_BITS) |
                    word.source << WHAT_BITS | word.what;
    lua_pushlightuserdata(L, (void *)(uintptr_t)bits);
}

static struct gate_view_word split_word(uint64_t bits)
{
    return (struct gate_view_word){
        .source = bits >> WHAT_BITS & (GATE_VIEWS_SOURCES - 1),
        .place = bits >> (WHAT_BITS + SOURCE_BITS) & (GATE_VIEWS_ACCOUNTS - 1),
        .what = (enum gate_view_what)(bits & ((1 << WHAT_BITS) - 1)),
    };
}

/* Numbers of calls come again after 2^39 of them, so the word must also fit this call. */
static struct gate_view_word check_word(lua_State *L, const struct gate_views *views, int at)
{
    static const char *const names[] = {"account", "table of limits", "list of tags",
                                        "list of accounts", "provider"};
    uint64_t bits = (uint64_t)(uintptr_t)lua_touserdata(L, at);
    struct gate_view_word word = split_word(bits);
    bool known = word.source == 0 ? views->accounts != NULL : word.source < views->source_count;
    bool inside = word.what >= GATE_VIEW_LIST || word.place < views->sources[word.source].count;
    if (bits >> SERIAL_AT != views->serial << SERIAL_AT >> SERIAL_AT || !known || !inside)
        luaL_error(L, "this %s belongs to an earlier call: keep %s instead", names[word.what],
                   word.what == GATE_VIEW_ACCOUNT ? "its id" : "what you need of it");
    return word;
}

bool gate_views_account(lua_State *L, const struct gate_views *views, int at, size_t *source,
                        size_t *place)
{
    if (!lua_islightuserdata(L, at))
        return false;
    struct gate_view_word word = check_word(L, views, at);
    *source = word.source;
    *place = word.place;
    return word.what == GATE_VIEW_ACCOUNT;
}

bool gate_view_list_index(lua_State *L, size_t count, const char *name, size_t *place)
{
    int is_whole = 0;
    lua_Integer i = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &is_whole) : 0;
    if (!is_whole)
        luaL_error(L, "%s is a list and has no field '%s'", name,
                   lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2));
    *place = (size_t)i - 1;
    return i >= 1 && (lua_Unsigned)i <= count;
}

static void push_tag(lua_State *L, const struct gate_account_facts *facts)
{
    size_t at;
    if (gate_view_list_index(L, facts->tag_count, "tags", &at))
        gate_api_push_str(L, facts->tags[at]);
    else
        lua_pushnil(L);
}

/* __index of all words. */
static int word_get(lua_State *L)
{
    struct gate_views *views = lua_touserdata(L, lua_upvalueindex(GATE_VIEW_UP_VIEWS));
    struct gate_view_word word = check_word(L, views, 1);
    const struct gate_account_facts *facts;
    switch (word.what) {
    case GATE_VIEW_ACCOUNT:
        gate_view_push_account_field(L, views, word);
        break;
    case GATE_VIEW_LIMITS:
        facts = gate_views_facts(views, word.source, word.place);
        gate_api_push_count(
            L, gate_limits_value(&facts->limits, (unsigned)gate_api_field(L, GATE_VIEW_UP_LIMITS,
                                                                          "a table of limits")));
        break;
    case GATE_VIEW_TAGS:
        push_tag(L, gate_views_facts(views, word.source, word.place));
        break;
    case GATE_VIEW_LIST:
        word.what = GATE_VIEW_ACCOUNT;
        if (gate_view_list_index(L, views->sources[word.source].count, "accounts", &word.place))
            gate_view_push_word(L, views, word);
        else
            lua_pushnil(L);
        break;
    case GATE_VIEW_PROVIDER:
        gate_view_push_provider_field(L, views, word);
        break;
    }
    return 1;
}

/* __len of all words. Upvalue: views. */
static int word_length(lua_State *L)
{
    struct gate_views *views = lua_touserdata(L, lua_upvalueindex(1));
    struct gate_view_word word = check_word(L, views, 1);
    if (word.what == GATE_VIEW_LIST)
        gate_api_push_count(L, views->sources[word.source].count);
    else if (word.what == GATE_VIEW_TAGS)
        gate_api_push_count(L, gate_views_facts(views, word.source, word.place)->tag_count);
    else
        return luaL_error(L, "attempt to get length of %s",
                          word.what == GATE_VIEW_PROVIDER ? "a provider" : "an account");
    return 1;
}

/* account:has_tag(tag). Upvalue: views. */
static int account_has_tag(lua_State *L)
{
    struct gate_views *views = lua_touserdata(L, lua_upvalueindex(1));
    struct gate_str tag;
    size_t source, place;
    bool found = false;
    if (!gate_views_account(L, views, 1, &source, &place))
        return luaL_error(L, "has_tag is called on a %s: write account:has_tag(\"...\")",
                          luaL_typename(L, 1));
    tag.ptr = luaL_checklstring(L, 2, &tag.len);
    const struct gate_account_facts *facts = gate_views_facts(views, source, place);
    for (size_t i = 0; i < facts->tag_count && !found; i++)
        found = gate_str_eq(facts->tags[i], tag);
    lua_pushboolean(L, found);
    return 1;
}

/* ---------------------------------------------------------------- all accounts of a provider */

/* Pushes a word for what `provider` names: a source that this call has already, or a new one. */
static void push_found(lua_State *L, const struct gate_accounts_view *all, struct gate_str provider,
                       enum gate_view_what what)
{
    struct gate_view_word word = {.source = 1, .what = what};
    size_t first, count;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &VIEWS_KEY);
    struct gate_views *views = lua_touserdata(L, -1);
    lua_pop(L, 1);
    gate_sandbox_charge(L, FIND_COST + provider.len / GATE_SANDBOX_BYTES_PER_STEP);
    if (!all->find(all->ctx, provider, &first, &count)) {
        lua_pushnil(L);
        return;
    }
    if (count > GATE_VIEWS_ACCOUNTS)
        luaL_error(L, "a provider with more than %d accounts cannot be read", GATE_VIEWS_ACCOUNTS);
    for (; word.source < views->source_count; word.source++) {
        const struct gate_view_source *known = &views->sources[word.source];
        if (known->first == first && known->count == count)
            break;
    }
    if (word.source == views->source_count) {
        if (word.source == GATE_VIEWS_SOURCES)
            luaL_error(L, "one call can look at %d providers, no more", GATE_VIEWS_SOURCES - 1);
        struct gate_view_source *source = &views->sources[views->source_count++];
        source->all = all;
        source->first = first;
        make_room(source, count);
    }
    gate_view_push_word(L, views, word);
}

void gate_views_push_list(lua_State *L, const struct gate_accounts_view *all,
                          struct gate_str provider)
{
    push_found(L, all, provider, GATE_VIEW_LIST);
}

void gate_views_push_provider(lua_State *L, const struct gate_accounts_view *all,
                              struct gate_str provider)
{
    push_found(L, all, provider, GATE_VIEW_PROVIDER);
}

/* ---------------------------------------------------------------- the accounts of select */

/* __index of what the list has no entry for. */
static int accounts_rest(lua_State *L)
{
    size_t place;
    gate_view_list_index(L, 0, "accounts", &place);
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
    lua_pushlightuserdata(L, views); /* the upvalues, in their order */
    gate_view_push_account_fields(L);
    gate_api_push_fields(L, gate_limits_names, GATE_LIMITS_FIELDS);
    gate_view_push_provider_fields(L);
    lua_pushlightuserdata(L, views);
    lua_pushcclosure(L, account_has_tag, 1);
    lua_pushcclosure(L, word_get, GATE_VIEW_UP_HAS_TAG);
    gate_api_make_metatable(L, "account");
    lua_pushlightuserdata(L, views);
    lua_pushcclosure(L, word_length, 1);
    lua_setfield(L, -2, "__len");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &VIEWS_KEY);
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
        gate_view_push_word(L, views, (struct gate_view_word){.place = i});
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    for (size_t i = lua_rawlen(L, -1); i > count; i--) { /* from the end: it stays a list */
        lua_pushnil(L);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    lua_pop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ACCOUNTS_KEY);
}
