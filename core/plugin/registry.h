/*
 * registry: loads plugins, checks their ABI, and finds them by kind and name. Control thread builds
 * it; afterwards it is read-only for all threads.
 */
#ifndef GATE_PLUGIN_REGISTRY_H
#define GATE_PLUGIN_REGISTRY_H

#include "gate/plugin.h"

struct gate_config_option;

struct gate_registry;

/* One loaded plugin. */
struct gate_loaded {
    const struct gate_plugin *plugin;
    char *path;
    void *handle;
};

/* Loads every *.so in directory, in name order, and calls init. Fails on the first that does not
 * load, has the wrong ABI (the message names both versions), or repeats a kind and name. */
enum gate_status gate_registry_load(const char *directory, const struct gate_host *host,
                                    struct gate_registry **out, struct gate_error *err);
void gate_registry_destroy(struct gate_registry *r); /* fini, then unload */

const struct gate_plugin *gate_registry_find(const struct gate_registry *r, enum gate_kind kind,
                                             struct gate_str name);
const struct gate_loaded *gate_registry_all(const struct gate_registry *r, size_t *count);
const char *gate_kind_name(enum gate_kind kind);

/* On each worker thread: worker_init of all plugins / worker_fini. */
enum gate_status gate_registry_worker_init(const struct gate_registry *r, struct gate_error *err);
void gate_registry_worker_fini(const struct gate_registry *r);

/* Checks configured options against a plugin's schema and fills values (in schema order, defaults
 * applied). The result is owned by the caller and freed with gate_values_free. GATE_EINVAL: unknown
 * name, wrong type, or not one of the choices; err names the option and what is expected. */
enum gate_status gate_values_make(const struct gate_plugin *plugin,
                                  const struct gate_config_option *options, size_t count,
                                  struct gate_value **out, struct gate_error *err);
void gate_values_free(const struct gate_plugin *plugin, struct gate_value *values);

/* The table of services that plugins get. */
const struct gate_host *gate_host_services(bool allow_private);

#endif
