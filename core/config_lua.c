/*
 * config_lua: conf/gateway.lua. The file runs in a sandbox and returns a table; what the table says
 * is checked key by key, so that a misspelt key is an error and not a default.
 *
 * Everything with a lua_State here runs inside gate_sandbox_call and may be left by a Lua error:
 * what is allocated belongs to the gate_config at once. `where` is how messages name a table:
 * "gateway.lua: providers[2].".
 */
#include "config_lua.h"
#include "config_parts.h"
#include "script/sandbox.h"
#include "script/script.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum { LOAD_CPU_MS = 2000, MAX_HEADER_NAME = 64 };

static const char *const root_keys[] = {
    "listen",
    "log_level",
    "log_format",
    "workers",
    "max_body",
    "drain_ms",
    "header_timeout_ms",
    "body_timeout_ms",
    "idle_timeout_ms",
    "write_timeout_ms",
    "max_connections",
    "max_attempts",
    "failover_ms",
    "counter_flush_ms",
    "audit_retention_days",
    "clocks",
    "route_headers",
    "echo",
    "storage",
    "quota",
    "providers",
};
static const char *const clock_keys[] = {"connect_ms", "first_token_ms", "idle_ms", "total_ms",
                                         "keepalive_ms"};

/* ---- settings of the gateway */

static enum gate_status read_texts(lua_State *L, struct gate_config *c, int table,
                                   struct gate_error *err)
{
    static const struct {
        const char *key;
        enum gate_status (*set)(struct gate_config *c, const char *label, const char *text,
                                struct gate_error *err);
    } texts[] = {
        {"listen", gate_config_set_listen},
        {"log_level", gate_config_set_level},
        {"log_format", gate_config_set_format},
    };
    enum gate_status status = GATE_OK;

    for (size_t i = 0; i < GATE_COUNT(texts) && status == GATE_OK; i++) {
        char label[64];
        const char *text;

        status = gate_lua_text(L, table, "gateway.lua: ", texts[i].key, &text, err);
        if (status == GATE_OK && text != NULL) {
            snprintf(label, sizeof label, "gateway.lua: %s", texts[i].key);
            status = texts[i].set(c, label, text, err);
        }
        lua_settop(L, table);
    }
    return status;
}

static bool is_header_name(const char *s)
{
    size_t len = strlen(s);

    if (len == 0 || len > MAX_HEADER_NAME)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && strchr("!#$%&'*+-.^_`|~", s[i]) == NULL)
            return false;
    return true;
}

static enum gate_status read_header(lua_State *L, struct gate_config *c, size_t at,
                                    struct gate_error *err)
{
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    char *lower;

    if (!is_header_name(name))
        return gate_fail(err, GATE_EINVAL,
                         "gateway.lua: route_headers[%zu] is %s; expected the name of a header", at,
                         gate_lua_show(L, -1).text);
    lower = gate_strdup(gate_str_of(name));
    for (char *p = lower; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    c->route_headers[c->route_header_count++] = lower;
    if (strcmp(lower, "authorization") == 0 || strcmp(lower, "cookie") == 0)
        return gate_fail(err, GATE_EINVAL,
                         "gateway.lua: route_headers[%zu] is \"%s\"; headers with secrets are not "
                         "shown to scripts",
                         at, lower);
    return GATE_OK;
}

static enum gate_status read_route_headers(lua_State *L, struct gate_config *c, int table,
                                           struct gate_error *err)
{
    enum gate_status status;
    size_t count = 0;

    status = gate_lua_list(L, table, "gateway.lua: ", "route_headers", "a list of header names",
                           GATE_CONFIG_MAX_ROUTE_HEADERS, &count, err);
    if (count > 0)
        c->route_headers = gate_calloc(count, sizeof *c->route_headers);
    for (size_t i = 1; i <= count && status == GATE_OK; i++) {
        lua_rawgeti(L, table + 1, (lua_Integer)i);
        status = read_header(L, c, i, err);
        lua_pop(L, 1);
    }
    lua_settop(L, table);
    return status;
}

enum gate_status gate_lua_clocks(lua_State *L, int table, const char *where,
                                 struct gate_clocks *clocks, struct gate_error *err)
{
    char inner[GATE_LUA_WHERE];
    bool present;
    enum gate_status status = gate_lua_table(L, table, where, "clocks", &present, err);

    if (status == GATE_OK && present) {
        snprintf(inner, sizeof inner, "%sclocks.", where);
        status = gate_lua_check_keys(L, table + 1, inner, clock_keys, GATE_COUNT(clock_keys), err);
        if (status == GATE_OK)
            status = gate_lua_numbers(L, table + 1, inner, gate_config_clock_numbers,
                                      gate_config_clock_number_count, clocks, err);
    }
    lua_settop(L, table);
    return status;
}

/* ---- the whole file */

struct reader {
    struct gate_config *config;
    bool *echo;
    struct gate_str text;
    enum gate_status status;
    struct gate_error *err;
};

static enum gate_status read_root(lua_State *L, int table, struct reader *r)
{
    static const char where[] = "gateway.lua: ";
    struct gate_config *c = r->config;
    enum gate_status status =
        gate_lua_check_keys(L, table, where, root_keys, GATE_COUNT(root_keys), r->err);

    if (status == GATE_OK)
        status = read_texts(L, c, table, r->err);
    if (status == GATE_OK)
        status = gate_lua_numbers(L, table, where, gate_config_numbers, gate_config_number_count, c,
                                  r->err);
    if (status == GATE_OK)
        status = gate_lua_boolean(L, table, where, "echo", r->echo, r->err);
    if (status == GATE_OK)
        status = gate_lua_clocks(L, table, where, &c->clocks, r->err);
    if (status == GATE_OK)
        status = read_route_headers(L, c, table, r->err);
    if (status == GATE_OK)
        status = gate_lua_plugin(L, table, "storage", &c->storage, r->err);
    if (status == GATE_OK)
        status = gate_lua_plugin(L, table, "quota", &c->quota, r->err);
    if (status == GATE_OK)
        status =
            gate_lua_providers(L, c, table, r->err); /* last: they start from the clocks above */
    return status;
}

static int run_file(lua_State *L)
{
    struct reader *r = lua_touserdata(L, 1);

    gate_sandbox_run(L, "gateway.lua", r->text, -1);
    if (lua_istable(L, -1))
        r->status = read_root(L, lua_gettop(L), r);
    else
        r->status = gate_fail(r->err, GATE_EINVAL,
                              "gateway.lua: it returns %s; expected: return { key = value, ... }",
                              gate_lua_show(L, -1).text);
    return 0;
}

static enum gate_status run_text(struct gate_config *c, struct gate_str text, bool *echo,
                                 struct gate_error *err)
{
    static const struct gate_sandbox_setup setup = {.memory = GATE_SCRIPT_MEMORY};
    static const struct gate_sandbox_limits limits = {GATE_SCRIPT_LOAD_BUDGET, LOAD_CPU_MS};
    struct reader r = {.config = c, .echo = echo, .text = text, .err = err};
    struct gate_sandbox *sandbox;
    enum gate_status status = gate_sandbox_create(&setup, &sandbox, err);

    if (status != GATE_OK)
        return status;
    status = gate_sandbox_call(sandbox, "gateway.lua", &limits, run_file, &r, err);
    gate_sandbox_destroy(sandbox);
    /* A script that fails is a configuration error here. */
    return status != GATE_OK ? GATE_EINVAL : r.status;
}

static enum gate_status read_text(const char *path, struct gate_buf *text, struct gate_error *err)
{
    FILE *f = fopen(path, "re");
    enum gate_status status = GATE_OK;
    size_t n;

    if (f == NULL && errno == ENOENT)
        return GATE_ENOTFOUND;
    if (f == NULL)
        return gate_fail(err, GATE_EIO, "%s: %s", path, strerror(errno));
    do {
        char piece[4096];

        n = fread(piece, 1, sizeof piece, f);
        if (!gate_buf_append(text, (struct gate_str){piece, n}))
            status = gate_fail(err, GATE_EINVAL, "%s is longer than %d bytes", path,
                               GATE_CONFIG_MAX_FILE);
    } while (n > 0 && status == GATE_OK);
    if (status == GATE_OK && ferror(f))
        status = gate_fail(err, GATE_EIO, "%s: %s", path, strerror(errno));
    fclose(f);
    return status;
}

enum gate_status gate_config_read_text(struct gate_config *c, struct gate_str text, bool *echo,
                                       struct gate_error *err)
{
    struct gate_error why = {GATE_EINTERNAL, ""};
    enum gate_status status;

    if (text.len > GATE_CONFIG_MAX_FILE)
        status = gate_fail(&why, GATE_EINVAL, "gateway.lua is longer than %d bytes",
                           GATE_CONFIG_MAX_FILE);
    else
        status = run_text(c, text, echo, &why);
    if (status != GATE_OK) /* every message of these begins with gateway.lua */
        gate_fail(err, status, "%s%s%s", c->conf_dir != NULL ? c->conf_dir : "",
                  c->conf_dir != NULL ? "/" : "", why.message);
    return status;
}

enum gate_status gate_config_read_file(struct gate_config *c, bool *echo, struct gate_error *err)
{
    char path[PATH_MAX];
    struct gate_buf text;
    enum gate_status status;

    if (c->conf_dir == NULL)
        return GATE_OK;
    snprintf(path, sizeof path, "%s/gateway.lua", c->conf_dir);
    gate_buf_init(&text, GATE_CONFIG_MAX_FILE);
    status = read_text(path, &text, err);
    if (status == GATE_OK)
        status = gate_config_read_text(c, gate_buf_str(&text), echo, err);
    else if (status == GATE_ENOTFOUND)
        status = GATE_OK;
    gate_buf_finish(&text);
    return status;
}
