/* registry: dlopen, the checks of a plugin before anything of it is called, init and fini. */
#include "plugin/registry.h"
#include "base/buf.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum {
    MAX_PLUGINS = 256,
    MAX_OPTIONS = 64,
    MAX_NAME = 64,
    MAX_STRUCT = 4096,
    /* What ABI 1.0 had; a plugin of this major cannot have less. */
    MIN_STRUCT = offsetof(struct gate_plugin, fini) + sizeof(void (*)(void)),
};

struct gate_registry {
    struct gate_loaded *items;
    size_t count;
    size_t ready; /* the first `ready` items had their init and need their fini */
};

/* ---- what the ops table of each kind must have */

struct member {
    const char *name;
    size_t offset;
};

#define MEMBER(type, name_)                                                                        \
    {                                                                                              \
#name_, offsetof(struct gate_##type##_ops, name_)                                          \
    }

static const struct member provider_members[] = {
    MEMBER(provider, dialect),          MEMBER(provider, instance_create),
    MEMBER(provider, instance_destroy), MEMBER(provider, claims),
    MEMBER(provider, each_model),
};
/* Only of a provider that calls an upstream. */
static const struct member remote_provider_members[] = {
    MEMBER(provider, account_attach),
    MEMBER(provider, account_detach),
};
static const struct member dialect_members[] = {
    MEMBER(dialect, client_path),  MEMBER(dialect, upstream_path),
    MEMBER(dialect, messages_key), MEMBER(dialect, inspect_event),
    MEMBER(dialect, render_error), MEMBER(dialect, render_error_event),
};
static const struct member storage_members[] = {
    MEMBER(storage, open),         MEMBER(storage, close),
    MEMBER(storage, get),          MEMBER(storage, record_release),
    MEMBER(storage, put_if),       MEMBER(storage, delete_if),
    MEMBER(storage, add),          MEMBER(storage, lease_acquire),
    MEMBER(storage, lease_renew),  MEMBER(storage, lease_release),
    MEMBER(storage, scan),         MEMBER(storage, batch_begin),
    MEMBER(storage, batch_commit), MEMBER(storage, batch_abort),
};
static const struct member quota_members[] = {
    MEMBER(quota, instance_create),
    MEMBER(quota, instance_destroy),
    MEMBER(quota, reserve),
    MEMBER(quota, settle),
    MEMBER(quota, observe),
    MEMBER(quota, snapshot),
    MEMBER(quota, save),
    MEMBER(quota, load),
    MEMBER(quota, numbers),
    MEMBER(quota, day_end),
};
static const struct member filter_members[] = {
    MEMBER(filter, instance_create), MEMBER(filter, instance_destroy), MEMBER(filter, open),
    MEMBER(filter, on_event),        MEMBER(filter, on_timer),         MEMBER(filter, on_end),
    MEMBER(filter, close),
};

#define KIND(name_)                                                                                \
    {                                                                                              \
#name_, name_##_members,                                                                   \
            sizeof name_##_members / sizeof name_##_members[0], sizeof(struct gate_##name_##_ops)  \
    }

static const struct {
    const char *name;
    const struct member *members;
    size_t count;
    size_t ops_size; /* of the newest ABI */
} kinds[] = {
    [GATE_KIND_PROVIDER] = KIND(provider), [GATE_KIND_DIALECT] = KIND(dialect),
    [GATE_KIND_STORAGE] = KIND(storage),   [GATE_KIND_QUOTA] = KIND(quota),
    [GATE_KIND_FILTER] = KIND(filter),
};

static bool kind_known(uint32_t kind)
{
    return kind < sizeof kinds / sizeof kinds[0] && kinds[kind].name != NULL;
}

const char *gate_kind_name(enum gate_kind kind)
{
    return kind_known((uint32_t)kind) ? kinds[kind].name : "unknown";
}

/* Every member of an ops table that is looked at here is a pointer. */
static bool has_member(const void *ops, size_t size, size_t offset)
{
    const void *pointer;

    if (offset + sizeof pointer > size)
        return false;
    memcpy(&pointer, (const char *)ops + offset, sizeof pointer);
    return pointer != NULL;
}

static enum gate_status check_members(const struct gate_plugin *p, size_t size,
                                      const struct member *members, size_t count, const char *path,
                                      struct gate_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!has_member(p->ops, size, members[i].offset))
            return gate_fail(err, GATE_EINVAL, "%s: a %s needs %s in its ops", path,
                             kinds[p->kind].name, members[i].name);
    return GATE_OK;
}

static enum gate_status check_ops(const struct gate_plugin *p, const char *path,
                                  struct gate_error *err)
{
    enum gate_status status;
    bool builds, answers;
    size_t size;

    if (p->ops == NULL)
        return gate_fail(err, GATE_EINVAL, "%s: the plugin has no ops", path);
    memcpy(&size, p->ops, sizeof size);
    if (size < sizeof size || size > MAX_STRUCT)
        return gate_fail(err, GATE_EINVAL, "%s: its ops table says its size is %zu", path, size);
    status = check_members(p, size, kinds[p->kind].members, kinds[p->kind].count, path, err);
    if (status != GATE_OK || p->kind != GATE_KIND_PROVIDER)
        return status;
    builds = has_member(p->ops, size, offsetof(struct gate_provider_ops, build_request));
    answers = has_member(p->ops, size, offsetof(struct gate_provider_ops, answer));
    if (builds == answers)
        return gate_fail(err, GATE_EINVAL,
                         "%s: a provider needs one of build_request and answer in its ops", path);
    if (!builds)
        return GATE_OK;
    return check_members(p, size, remote_provider_members,
                         sizeof remote_provider_members / sizeof remote_provider_members[0], path,
                         err);
}

/* ---- the rest of the struct */

static bool name_ok(const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;

    return len > 0 && len <= MAX_NAME &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static enum gate_status check_schema(const struct gate_plugin *p, const char *path,
                                     struct gate_error *err)
{
    struct gate_value *values;
    struct gate_error why;

    if (p->option_count > MAX_OPTIONS || (p->option_count > 0 && p->options == NULL))
        return gate_fail(err, GATE_EINVAL, "%s: its table of options is not sound", path);
    for (size_t i = 0; i < p->option_count; i++) {
        const struct gate_option *o = &p->options[i];

        if (!name_ok(o->name) || o->help == NULL || o->type < GATE_OPTION_STRING ||
            o->type > GATE_OPTION_LIST)
            return gate_fail(err, GATE_EINVAL,
                             "%s: option %zu has no proper name, no help or an unknown type", path,
                             i + 1);
    }
    /* Defaults that do not fit their own type would otherwise show when an instance is made. */
    if (gate_values_make(p, NULL, 0, &values, &why) != GATE_OK)
        return gate_fail(err, GATE_EINVAL, "%s: %s", path, why.message);
    gate_values_free(p, values);
    return GATE_OK;
}

/* The frozen head first: nothing behind it is believed before the versions fit. */
static enum gate_status check_plugin(const struct gate_plugin *p, const char *path,
                                     struct gate_error *err)
{
    enum gate_status status;

    if (p->abi_major != GATE_ABI_MAJOR)
        return gate_fail(err, GATE_EINVAL,
                         "%s is built for plugin ABI %u.%u, this gateway has %d.%d; the first "
                         "number must be the same: build the plugin against this gateway's headers",
                         path, (unsigned)p->abi_major, (unsigned)p->abi_minor, GATE_ABI_MAJOR,
                         GATE_ABI_MINOR);
    if (p->abi_minor > GATE_ABI_MINOR)
        return gate_fail(err, GATE_EINVAL,
                         "%s is built for plugin ABI %u.%u, this gateway has %d.%d and is older: "
                         "update the gateway or build the plugin against its headers",
                         path, (unsigned)p->abi_major, (unsigned)p->abi_minor, GATE_ABI_MAJOR,
                         GATE_ABI_MINOR);
    if (p->struct_size < MIN_STRUCT || p->struct_size > MAX_STRUCT)
        return gate_fail(err, GATE_EINVAL, "%s: its gate_plugin says its size is %u; expected %d",
                         path, (unsigned)p->struct_size, (int)MIN_STRUCT);
    if (!kind_known(p->kind))
        return gate_fail(err, GATE_EINVAL, "%s: unknown kind %u", path, (unsigned)p->kind);
    if (!name_ok(p->name))
        return gate_fail(err, GATE_EINVAL,
                         "%s: its name is not 1 to %d characters of a-z, 0-9 and _", path,
                         MAX_NAME);
    if (p->version == NULL || p->summary == NULL)
        return gate_fail(err, GATE_EINVAL, "%s: it has no version or no summary", path);
    status = check_schema(p, path, err);
    if (status != GATE_OK)
        return status;
    return check_ops(p, path, err);
}

/* ---- loading */

static const struct gate_loaded *find_loaded(const struct gate_registry *r, uint32_t kind,
                                             struct gate_str name)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].plugin->kind == kind &&
            gate_str_eq(gate_str_of(r->items[i].plugin->name), name))
            return &r->items[i];
    return NULL;
}

/* A plugin of an older minor version has shorter tables: nobody may read behind their end. */
static struct gate_plugin *widen(const struct gate_plugin *p)
{
    struct gate_plugin *whole = gate_calloc(1, sizeof *whole);
    size_t room = kinds[p->kind].ops_size, size;
    void *ops = gate_calloc(1, room);

    memcpy(&size, p->ops, sizeof size);
    memcpy(ops, p->ops, size < room ? size : room);
    memcpy(whole, p, p->struct_size < sizeof *whole ? p->struct_size : sizeof *whole);
    whole->ops = ops;
    return whole;
}

static void free_widened(const struct gate_plugin *p)
{
    free((void *)p->ops);
    free((void *)p);
}

static enum gate_status load_one(struct gate_registry *r, const char *path, struct gate_error *err)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct gate_plugin *p;
    const struct gate_loaded *other;
    enum gate_status status;

    if (handle == NULL)
        return gate_fail(err, GATE_EINVAL, "cannot load %s: %s", path, dlerror());
    p = dlsym(handle, "gate_plugin");
    if (p == NULL) {
        status = gate_fail(err, GATE_EINVAL, "%s is not a plugin: it exports no symbol gate_plugin",
                           path);
        goto fail;
    }
    status = check_plugin(p, path, err);
    if (status != GATE_OK)
        goto fail;
    other = find_loaded(r, p->kind, gate_str_of(p->name));
    if (other != NULL) {
        status = gate_fail(err, GATE_ECONFLICT, "%s and %s are both %s %s", other->path, path,
                           gate_kind_name((enum gate_kind)p->kind), p->name);
        goto fail;
    }
    r->items[r->count++] = (struct gate_loaded){
        .plugin = widen(p), .path = gate_strdup(gate_str_of(path)), .handle = handle};
    return GATE_OK;

fail:
    dlclose(handle);
    return status;
}

static enum gate_status init_all(struct gate_registry *r, const struct gate_host *host,
                                 struct gate_error *err)
{
    for (; r->ready < r->count; r->ready++) {
        const struct gate_loaded *l = &r->items[r->ready];
        struct gate_error why = {GATE_EINTERNAL, "no reason given"};
        enum gate_status status = GATE_OK;

        if (l->plugin->init != NULL)
            status = l->plugin->init(host, &why);
        if (status != GATE_OK)
            return gate_fail(err, status, "%s: init failed: %s", l->path, why.message);
    }
    return GATE_OK;
}

static int is_plugin_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return entry->d_name[0] != '.' && len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

/* Bytewise, so that the order does not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum gate_status load_files(struct gate_registry *r, const char *directory,
                                   struct dirent **files, size_t count, struct gate_error *err)
{
    enum gate_status status = GATE_OK;

    if (count > MAX_PLUGINS)
        return gate_fail(err, GATE_ELIMIT, "%s has %zu plugins; expected at most %d", directory,
                         count, MAX_PLUGINS);
    r->items = gate_calloc(count + 1, sizeof *r->items);
    for (size_t i = 0; i < count && status == GATE_OK; i++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", directory, files[i]->d_name);

        if (n < 0 || (size_t)n >= sizeof path)
            status = gate_fail(err, GATE_EINVAL, "%s: its path is too long", files[i]->d_name);
        else
            status = load_one(r, path, err);
    }
    return status;
}

enum gate_status gate_registry_load(const char *directory, const struct gate_host *host,
                                    struct gate_registry **out, struct gate_error *err)
{
    struct gate_registry *r = gate_calloc(1, sizeof *r);
    struct dirent **files = NULL;
    int count = scandir(directory, &files, is_plugin_file, by_name);
    enum gate_status status;

    if (count < 0)
        status = gate_fail(err, GATE_EIO, "cannot read the plugin directory %s: %s", directory,
                           strerror(errno));
    else
        status = load_files(r, directory, files, (size_t)count, err);
    for (int i = 0; i < count; i++)
        free(files[i]);
    free(files);
    if (status == GATE_OK)
        status = init_all(r, host, err);
    if (status != GATE_OK) {
        gate_registry_destroy(r);
        return status;
    }
    *out = r;
    return GATE_OK;
}

void gate_registry_destroy(struct gate_registry *r)
{
    if (r == NULL)
        return;
    while (r->ready > 0) {
        const struct gate_plugin *p = r->items[--r->ready].plugin;

        if (p->fini != NULL)
            p->fini();
    }
    while (r->count > 0) {
        struct gate_loaded *l = &r->items[--r->count];

        free_widened(l->plugin);
        dlclose(l->handle);
        free(l->path);
    }
    free(r->items);
    free(r);
}

/* ---- use */

const struct gate_plugin *gate_registry_find(const struct gate_registry *r, enum gate_kind kind,
                                             struct gate_str name)
{
    const struct gate_loaded *l = find_loaded(r, (uint32_t)kind, name);

    return l != NULL ? l->plugin : NULL;
}

const struct gate_loaded *gate_registry_all(const struct gate_registry *r, size_t *count)
{
    *count = r->count;
    return r->items;
}

static void worker_fini_first(const struct gate_registry *r, size_t count)
{
    while (count > 0) {
        const struct gate_plugin *p = r->items[--count].plugin;

        if (p->worker_fini != NULL)
            p->worker_fini();
    }
}

enum gate_status gate_registry_worker_init(const struct gate_registry *r, struct gate_error *err)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct gate_loaded *l = &r->items[i];
        struct gate_error why = {GATE_EINTERNAL, "no reason given"};
        enum gate_status status = GATE_OK;

        if (l->plugin->worker_init != NULL)
            status = l->plugin->worker_init(&why);
        if (status != GATE_OK) {
            worker_fini_first(r, i);
            return gate_fail(err, status, "%s: worker_init failed: %s", l->path, why.message);
        }
    }
    return GATE_OK;
}

void gate_registry_worker_fini(const struct gate_registry *r)
{
    worker_fini_first(r, r->count);
}
