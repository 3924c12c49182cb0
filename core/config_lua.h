/*
 * config_lua: reads typed fields of a Lua table and says precisely what does not fit. Used by the
 * files that read gateway.lua (config_lua.c, config_providers.c, config_account_list.c). Everything
 * here runs inside gate_sandbox_call and may raise; tables are read raw, so no metamethod of the
 * file runs.
 *
 * `table` is an absolute stack index. `where` is put before a key in messages: "gateway.lua: ".
 */
#ifndef GATE_CONFIG_LUA_H
#define GATE_CONFIG_LUA_H

#include "config_parts.h"
#include "script/sandbox.h"

#define GATE_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What gate_lua_is_variable expects. */
#define GATE_LUA_VARIABLE                                                                          \
    "the name of an environment variable that holds no secret of the gateway's own"

enum { GATE_LUA_WHERE = 192, GATE_LUA_MAX_KEY = 64, GATE_LUA_MAX_TEXT = 4096 };

/* A value as messages show it: "\"text\"", "12", "a table". */
struct gate_config_shown gate_lua_show(lua_State *L, int at);

/* The string at `at`, which is one, if it has no NUL and at most max bytes; else NULL. */
const char *gate_lua_plain(lua_State *L, int at, size_t max);

/* Fails on a key that is not in known, and suggests the nearest. */
enum gate_status gate_lua_check_keys(lua_State *L, int table, const char *where,
                                     const char *const *known, size_t count,
                                     struct gate_error *err);

/* Pushes the value. *out is NULL when it is absent, else lives while the value is on the stack. */
enum gate_status gate_lua_text(lua_State *L, int table, const char *where, const char *key,
                               const char **out, struct gate_error *err);
/* Leaves *out alone when the key is absent. Pushes nothing. */
enum gate_status gate_lua_boolean(lua_State *L, int table, const char *where, const char *key,
                                  bool *out, struct gate_error *err);
/* Reads every number of the list that is present into base. Pushes nothing. */
enum gate_status gate_lua_numbers(lua_State *L, int table, const char *where,
                                  const struct gate_config_number *numbers, size_t count,
                                  void *base, struct gate_error *err);
/* Pushes the value: a table when *present. */
enum gate_status gate_lua_table(lua_State *L, int table, const char *where, const char *key,
                                bool *present, struct gate_error *err);
/* Pushes the value: a list of *count entries, or nil when absent. */
enum gate_status gate_lua_list(lua_State *L, int table, const char *where, const char *key,
                               const char *expected, size_t max, size_t *count,
                               struct gate_error *err);
/* The table at the absolute index `at` has no other keys than 1..n, n <= max. */
enum gate_status gate_lua_check_list(lua_State *L, int at, const char *label, const char *expected,
                                     size_t max, struct gate_error *err);

/* The table `clocks`, of the gateway or of a provider. Pushes nothing. */
enum gate_status gate_lua_clocks(lua_State *L, int table, const char *where,
                                 struct gate_clocks *clocks, struct gate_error *err);
/* The table `key` of a plugin of which there is one: { plugin = "...", options = {...} }. The table
 * must be on top of the stack. Pushes nothing. */
enum gate_status gate_lua_plugin(lua_State *L, int table, const char *key,
                                 struct gate_config_plugin *p, struct gate_error *err);
/* May a variable of this name hold the secret of an account? */
bool gate_lua_is_variable(const char *s);
/* The list `accounts` of a provider, which is on top of the stack. *present: it has one. Pushes
 * nothing. */
enum gate_status gate_lua_accounts(lua_State *L, int table, const char *where,
                                   struct gate_config_instance *i, bool *present,
                                   struct gate_error *err);
/* The list `providers`, into c->instances. The table must be on top of the stack. Pushes nothing.
 */
enum gate_status gate_lua_providers(lua_State *L, struct gate_config *c, int table,
                                    struct gate_error *err);

#endif
