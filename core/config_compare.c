/* config_compare: what differs between two configurations. */
#include "config_parts.h"

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_option(const struct gate_config_option *a, const struct gate_config_option *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case GATE_OPTION_STRING:
        return same_text(a->string, b->string);
    case GATE_OPTION_NUMBER:
        return a->number == b->number;
    case GATE_OPTION_BOOL:
        return a->boolean == b->boolean;
    case GATE_OPTION_LIST:
        break;
    }
    if (a->list_len != b->list_len)
        return false;
    for (size_t i = 0; i < a->list_len; i++)
        if (!same_text(a->list[i], b->list[i]))
            return false;
    return true;
}

/* Options come in no order: Lua walks a table as it likes. No name is there twice. */
static bool same_options(const struct gate_config_option *a, size_t a_count,
                         const struct gate_config_option *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        size_t k = 0;

        while (k < b_count && strcmp(a[i].name, b[k].name) != 0)
            k++;
        if (k == b_count || !same_option(&a[i], &b[k]))
            return false;
    }
    return true;
}

static bool same_clocks(const struct gate_clocks *a, const struct gate_clocks *b)
{
    return a->connect_ms == b->connect_ms && a->first_token_ms == b->first_token_ms &&
           a->idle_ms == b->idle_ms && a->total_ms == b->total_ms &&
           a->keepalive_ms == b->keepalive_ms;
}

bool gate_config_same_instance(const struct gate_config_instance *a,
                               const struct gate_config_instance *b)
{
    return same_text(a->name, b->name) && same_text(a->plugin, b->plugin) &&
           same_text(a->dedup, b->dedup) && a->dedup_hold_ms == b->dedup_hold_ms &&
           a->ask_usage == b->ask_usage && same_clocks(&a->clocks, &b->clocks) &&
           same_options(a->options, a->option_count, b->options, b->option_count);
}

static bool same_plugin(const struct gate_config_plugin *a, const struct gate_config_plugin *b)
{
    return same_text(a->plugin, b->plugin) &&
           same_options(a->options, a->option_count, b->options, b->option_count);
}

size_t gate_config_restart_keys(const struct gate_config *booted, const struct gate_config *fresh,
                                const char **names, size_t max)
{
    const struct {
        const char *name;
        bool same;
    } keys[] = {
        {"listen", same_text(booted->listen_host, fresh->listen_host) &&
                       booted->listen_port == fresh->listen_port},
        {"workers", booted->workers == fresh->workers},
        {"max_body", booted->max_body == fresh->max_body},
        {"storage", same_plugin(&booted->storage, &fresh->storage)},
        {"quota", same_plugin(&booted->quota, &fresh->quota)},
        {"counter_flush_ms", booted->counter_flush_ms == fresh->counter_flush_ms},
        {"log_format", booted->log_format == fresh->log_format},
        {"audit_retention_days", booted->audit_retention_days == fresh->audit_retention_days},
    };
    size_t count = 0;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].same)
            continue;
        if (count < max)
            names[count] = keys[i].name;
        count++;
    }
    return count;
}
