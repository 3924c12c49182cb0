/*
 * parts: everything a gateway is made of, put together in the order in which the parts need each
 * other: configuration, plugins, provider instances, scripts, storage, accounts, and the control
 * thread with what runs on it. Used by main and the commands; worker.c gets the result.
 */
#ifndef GATE_PARTS_H
#define GATE_PARTS_H

#include "admin/admin.h"
#include "plugin/registry.h"

struct gate_parts {
    struct gate_config *config;
    struct gate_registry *registry;
    struct gate_pool *pool;             /* with these two the process starts; */
    struct gate_generation *generation; /* live has what runs now */
    struct gate_value *storage_values, *quota_values;
    const struct gate_plugin *storage_plugin, *quota_plugin;
    struct gate_quota quota;
    struct gate_vault *vault;
    struct gate_store *store;
    struct gate_control *control;
    struct gate_sessions *sessions;
    struct gate_auth *auth; /* NULL: a command, and there is no key */
    struct gate_roster *roster;
    struct gate_live *live;
    struct gate_audit *audit;
    struct gate_journal *journal;
    struct gate_credentials *credentials;
    struct gate_logins *logins;
    struct gate_alerts *alerts;
    struct gate_rounds *rounds;
    bool refreshing;     /* at the end: a service has been asked for a token */
    uint64_t started_ms; /* wall clock */
    bool idle; /* set before open by a command that only looks or changes something: nothing is
                  refreshed, watched or cleared away by itself */
};

/* Loads the plugins and finds that of the storage: all that a command needs which works on the
 * stored data as a whole. gate_parts_load does it too. p->config is there. */
enum gate_status gate_parts_load_storage(struct gate_parts *p, struct gate_error *err);
/* Loads what a check needs and what touches no data: plugins, instances, scripts. p->config is
 * there. */
enum gate_status gate_parts_load(struct gate_parts *p, struct gate_error *err);
/* Opens storage and starts the control thread: from here on the process owns the data directory.
 * The caller has blocked the signals that it waits for. */
enum gate_status gate_parts_open(struct gate_parts *p, struct gate_error *err);
/* Ends the threads, writes what is left, frees everything. A zeroed struct is fine. */
void gate_parts_finish(struct gate_parts *p);

/* The directory of the storage below the data directory. out holds GATE_PARTS_PATH bytes. */
enum { GATE_PARTS_PATH = 4096 };
enum gate_status gate_parts_store_path(const struct gate_config *config, char *out,
                                       struct gate_error *err);
/* What admin works on; workers are left out. */
struct gate_admin_parts gate_parts_admin(const struct gate_parts *p);

#endif
