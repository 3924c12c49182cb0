/* Reads, checks and keeps the scripts of conf/. */
#include "script/generation.h"

#include "base/buf.h"
#include "script/api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_CAP = 4096,
    READ_SIZE = 16384,
    FILE_ROOM =
        GATE_SANDBOX_MAX_FILE + READ_SIZE, /* one read past the cap shows that it is passed */
};

struct module {
    char *name;
    char *text;
    size_t len;
};

struct gate_generation {
    atomic_uint references;
    uint64_t number;
    bool loading;
    const char *script_dir; /* lent while loading; NULL: there is none */
    bool has_routing, has_accounts;
    struct gate_buf models, routing, accounts; /* models is freed once its mappings are known */
    struct gate_policy_store policy;           /* the data of accounts.lua */
    struct module modules[GATE_SCRIPT_MAX_MODULES];
    size_t module_count;
    struct gate_mapping *mappings; /* sorted by name; each entry is one block with both texts */
    size_t mapping_count;
};

/* ---------------------------------------------------------------- files */

/* Reads a whole file. `shown` is its name in errors. GATE_ENOTFOUND: no such file or directory. */
static enum gate_status read_file(const char *path, const char *shown, struct gate_buf *out,
                                  struct gate_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return gate_fail(err, GATE_ENOTFOUND, "%s: not found", shown);
    if (fd < 0)
        return gate_fail(err, GATE_EIO, "%s: %s", shown, strerror(errno));
    enum gate_status status = GATE_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = gate_fail(err, GATE_EIO, "%s: not a regular file", shown);
    while (status == GATE_OK) {
        char *room = gate_buf_reserve(out, READ_SIZE);
        ssize_t n = room != NULL ? read(fd, room, READ_SIZE) : 0;
        if (room == NULL || out->len + (size_t)(n > 0 ? n : 0) > GATE_SANDBOX_MAX_FILE)
            status = gate_fail(err, GATE_EINVAL, "%s: larger than %d bytes", shown,
                               GATE_SANDBOX_MAX_FILE);
        else if (n < 0 && errno != EINTR)
            status = gate_fail(err, GATE_EIO, "%s: %s", shown, strerror(errno));
        else if (n == 0)
            break;
        else if (n > 0)
            out->len += (size_t)n;
    }
    close(fd);
    return status;
}

/* Reads dir/name. *found tells whether it is there; dir may be NULL. */
static enum gate_status read_conf(const char *dir, const char *name, struct gate_buf *out,
                                  bool *found, struct gate_error *err)
{
    char path[PATH_CAP];
    *found = false;
    if (dir == NULL)
        return GATE_OK;
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return gate_fail(err, GATE_EINVAL, "%s: path too long", name);
    enum gate_status status = read_file(path, name, out, err);
    *found = status == GATE_OK;
    return status == GATE_ENOTFOUND ? GATE_OK : status;
}

static enum gate_status read_module(struct gate_generation *g, struct gate_str name,
                                    struct gate_error *err)
{
    char path[PATH_CAP];
    struct gate_buf text;
    int n = snprintf(path, sizeof path, "%s/%.*s.lua", g->script_dir, (int)name.len, name.ptr);
    if (n < 0 || (size_t)n >= sizeof path)
        return gate_fail(err, GATE_EINVAL, "module path too long");
    char *file = path + strlen(g->script_dir) + 1;
    for (size_t i = 0; i < name.len; i++) {
        if (file[i] == '.')
            file[i] = '/';
    }
    gate_buf_init(&text, FILE_ROOM);
    enum gate_status status = read_file(path, file, &text, err);
    if (status != GATE_OK) {
        gate_buf_finish(&text);
        if (status == GATE_ENOTFOUND)
            gate_fail(err, status, "module '%.*s' not found: no file %s in the script directory",
                      (int)name.len, name.ptr, file);
        return status;
    }
    g->modules[g->module_count++] = (struct module){gate_strdup(name), text.ptr, text.len};
    return GATE_OK;
}

enum gate_status gate_generation_module(void *generation, struct gate_str name,
                                        struct gate_str *text, struct gate_error *err)
{
    struct gate_generation *g = generation;
    for (size_t i = 0; i < g->module_count; i++) {
        if (gate_str_eq(gate_str_of(g->modules[i].name), name)) {
            *text = (struct gate_str){g->modules[i].text, g->modules[i].len};
            return GATE_OK;
        }
    }
    if (!g->loading)
        return gate_fail(err, GATE_EDENIED,
                         "module '%.*s' was not required while the file was loaded: call require "
                         "at the top of the file",
                         (int)name.len, name.ptr);
    if (g->script_dir == NULL)
        return gate_fail(err, GATE_ENOTFOUND,
                         "module '%.*s' not found: there is no script directory", (int)name.len,
                         name.ptr);
    if (g->module_count == GATE_SCRIPT_MAX_MODULES)
        return gate_fail(err, GATE_ELIMIT, "more than %d modules", GATE_SCRIPT_MAX_MODULES);
    enum gate_status status = read_module(g, name, err);
    if (status == GATE_OK)
        *text = (struct gate_str){g->modules[g->module_count - 1].text,
                                  g->modules[g->module_count - 1].len};
    return status;
}

/* ---------------------------------------------------------------- mappings */

static int compare_mappings(const void *a, const void *b)
{
    const struct gate_mapping *x = a, *y = b;
    return gate_script_compare(x->name, y->name);
}

/* NULL, or why the pair cannot be a mapping. */
static const char *check_mapping(struct gate_str name, struct gate_str target)
{
    if (name.len == 0 || name.len > GATE_SCRIPT_MAX_NAME)
        return "a model name has 1 to 256 bytes";
    if (target.len == 0 || target.len > GATE_SCRIPT_MAX_TARGET)
        return "a target has 1 to 512 bytes";
    if (!gate_script_is_printable(name) || !gate_script_is_printable(target))
        return "control characters are not allowed";
    return NULL;
}

/* Appends a copy; the caller has made room. */
static void put_mapping(struct gate_generation *g, struct gate_str name, struct gate_str target)
{
    char *text = gate_alloc(name.len + target.len);
    memcpy(text, name.ptr, name.len);
    memcpy(text + name.len, target.ptr, target.len);
    g->mappings[g->mapping_count++] = (struct gate_mapping){
        {text, name.len},
        {text + name.len, target.len},
    };
}

static const struct gate_mapping *find_mapping(const struct gate_mapping *sorted, size_t count,
                                               struct gate_str name)
{
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        int order = gate_script_compare(sorted[low + half].name, name);
        if (order == 0)
            return &sorted[low + half];
        if (order < 0) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return NULL;
}

struct models_call {
    struct gate_generation *g;
    size_t extra_count; /* the first mappings of g, sorted: they win */
};

/* One entry of the table that models.lua returned; key and value are on top of the stack. */
static void read_mapping(lua_State *L, struct models_call *call)
{
    struct gate_generation *g = call->g;
    struct gate_str name, target;
    gate_sandbox_charge(L, 1);
    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "a key is a %s, expected a model name (a string)", luaL_typename(L, -2));
    name.ptr = lua_tolstring(L, -2, &name.len);
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "the value of \"%s\" is a %s, expected a model (a string)", name.ptr,
                   luaL_typename(L, -1));
    target.ptr = lua_tolstring(L, -1, &target.len);
    const char *wrong = check_mapping(name, target);
    if (wrong != NULL)
        luaL_error(L, "\"%s\": %s", name.ptr, wrong);
    if (g->mapping_count - call->extra_count == GATE_SCRIPT_MAX_MAPPINGS)
        luaL_error(L, "more than %d names", GATE_SCRIPT_MAX_MAPPINGS);
    if (find_mapping(g->mappings, call->extra_count, name) == NULL)
        put_mapping(g, name, target);
}

static int run_models(lua_State *L)
{
    struct models_call *call = lua_touserdata(L, 1);
    gate_sandbox_run(L, "models.lua", gate_buf_str(&call->g->models), -1);
    if (!lua_istable(L, -1))
        return luaL_error(L,
                          "the file returned %s, expected a table of model names like "
                          "return { [\"fast\"] = \"qwen-turbo\" }",
                          lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        read_mapping(L, call);
        lua_pop(L, 1);
    }
    return 0;
}

static enum gate_status run_models_file(struct gate_generation *g, size_t extra_count,
                                        struct gate_error *err)
{
    struct gate_sandbox *sb = NULL;
    struct gate_api api = {0};
    const struct gate_sandbox_setup setup = {.memory = GATE_SCRIPT_MEMORY,
                                             .globals = gate_api_open,
                                             .globals_ctx = &api,
                                             .module = gate_generation_module,
                                             .module_ctx = g};
    struct models_call call = {g, extra_count};
    enum gate_status status = gate_sandbox_create(&setup, &sb, err);
    if (status == GATE_OK)
        status =
            gate_sandbox_call(sb, "models.lua", &GATE_SCRIPT_LOAD_LIMITS, run_models, &call, err);
    gate_sandbox_destroy(sb);
    return status;
}

static enum gate_status load_mappings(struct gate_generation *g, bool has_models,
                                      const struct gate_mapping *extra, size_t extra_count,
                                      struct gate_error *err)
{
    size_t room = extra_count + (has_models ? GATE_SCRIPT_MAX_MAPPINGS : 0);
    if (room == 0)
        return GATE_OK;
    g->mappings = gate_calloc(room, sizeof *g->mappings);
    for (size_t i = 0; i < extra_count; i++) {
        const char *wrong = check_mapping(extra[i].name, extra[i].target);
        if (wrong != NULL)
            return gate_fail(err, GATE_EINVAL, "model mapping \"%.*s\": %s",
                             (int)(extra[i].name.len < 64 ? extra[i].name.len : 64),
                             extra[i].name.ptr, wrong);
        put_mapping(g, extra[i].name, extra[i].target);
    }
    qsort(g->mappings, extra_count, sizeof *g->mappings, compare_mappings);
    enum gate_status status = has_models ? run_models_file(g, extra_count, err) : GATE_OK;
    if (status != GATE_OK || g->mapping_count == 0)
        return status;
    qsort(g->mappings, g->mapping_count, sizeof *g->mappings, compare_mappings);
    g->mappings = gate_realloc(g->mappings, g->mapping_count * sizeof *g->mappings);
    return GATE_OK;
}

/* ---------------------------------------------------------------- life */

enum gate_status gate_generation_load(const char *conf_dir, const char *script_dir,
                                      const struct gate_mapping *extra, size_t extra_count,
                                      uint64_t number, struct gate_generation **out,
                                      struct gate_error *err)
{
    struct gate_generation *g = gate_calloc(1, sizeof *g);
    struct gate_script *scratch = NULL;
    bool has_models = false;
    atomic_init(&g->references, 1);
    g->number = number;
    g->loading = true;
    g->script_dir = script_dir;
    gate_buf_init(&g->models, FILE_ROOM);
    gate_buf_init(&g->routing, FILE_ROOM);
    gate_buf_init(&g->accounts, FILE_ROOM);
    enum gate_status status = read_conf(conf_dir, "models.lua", &g->models, &has_models, err);
    if (status == GATE_OK)
        status = load_mappings(g, has_models, extra, extra_count, err);
    gate_buf_finish(&g->models);
    if (status == GATE_OK)
        status = read_conf(conf_dir, "routing.lua", &g->routing, &g->has_routing, err);
    if (status == GATE_OK)
        status = read_conf(conf_dir, "accounts.lua", &g->accounts, &g->has_accounts, err);
    if (status == GATE_OK)
        status = gate_script_create(g, &scratch, err);
    gate_script_destroy(scratch);
    g->loading = false;
    g->script_dir = NULL;
    if (status != GATE_OK) {
        gate_generation_release(g);
        return status;
    }
    *out = g;
    return GATE_OK;
}

void gate_generation_retain(struct gate_generation *g)
{
    atomic_fetch_add_explicit(&g->references, 1, memory_order_relaxed);
}

void gate_generation_release(struct gate_generation *g)
{
    if (g == NULL || atomic_fetch_sub_explicit(&g->references, 1, memory_order_acq_rel) != 1)
        return;
    gate_buf_finish(&g->models);
    gate_buf_finish(&g->routing);
    gate_buf_finish(&g->accounts);
    gate_policy_store_finish(&g->policy);
    for (size_t i = 0; i < g->module_count; i++) {
        free(g->modules[i].name);
        free(g->modules[i].text);
    }
    for (size_t i = 0; i < g->mapping_count; i++)
        free((char *)g->mappings[i].name.ptr); /* the name begins the block of both texts */
    free(g->mappings);
    free(g);
}

uint64_t gate_generation_number(const struct gate_generation *g)
{
    return g->number;
}

const struct gate_mapping *gate_generation_mappings(const struct gate_generation *g, size_t *count)
{
    *count = g->mapping_count;
    return g->mappings;
}

struct gate_str gate_generation_map(const struct gate_generation *g, struct gate_str name)
{
    const struct gate_mapping *m = find_mapping(g->mappings, g->mapping_count, name);
    return m != NULL ? m->target : (struct gate_str){NULL, 0};
}

bool gate_generation_routing(const struct gate_generation *g, struct gate_str *text)
{
    *text = gate_buf_str(&g->routing);
    return g->has_routing;
}

bool gate_generation_accounts(const struct gate_generation *g, struct gate_str *text)
{
    *text = gate_buf_str(&g->accounts);
    return g->has_accounts;
}

struct gate_policy_store *gate_generation_policy_store(struct gate_generation *g)
{
    return g->loading ? &g->policy : NULL;
}

const struct gate_account_policy *gate_generation_policy(const struct gate_generation *g)
{
    return &g->policy.policy;
}
