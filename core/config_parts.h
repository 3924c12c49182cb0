/*
 * config_parts: what the files config*.c share with each other. Nobody else includes it. All of it
 * runs on the control thread at start.
 *
 * A `label` says where a value stands, for messages: "LOG_LEVEL" or "conf/gateway.lua: log_level".
 */
#ifndef GATE_CONFIG_PARTS_H
#define GATE_CONFIG_PARTS_H

#include "config.h"

enum {
    GATE_CONFIG_MIN_KEY = 16,
    GATE_CONFIG_MAX_KEY = 512,
    GATE_CONFIG_MAX_SECRET = 64 * 1024,
    GATE_CONFIG_MAX_FILE = 1 << 20,      /* bytes of gateway.lua */
    GATE_CONFIG_MAX_MAPPINGS = 4096,     /* entries of MODEL_MAPPINGS */
    GATE_CONFIG_MAX_MODEL_NAME = 256,    /* bytes of one model name */
    GATE_CONFIG_MAX_INSTANCE_NAME = 64,  /* bytes of an instance's name */
    GATE_CONFIG_MAX_OPTIONS = 64,        /* options of one instance */
    GATE_CONFIG_MAX_OPTION_LIST = 1024,  /* strings of one list option */
    GATE_CONFIG_MAX_OPTION_TEXT = 65536, /* bytes of one string option */
    GATE_CONFIG_SHOWN = 96,
};

/* A foreign value made fit for a message: control bytes replaced, cut. Never for a secret. */
struct gate_config_shown {
    char text[GATE_CONFIG_SHOWN];
};
struct gate_config_shown gate_config_show(const char *value);

/* A whole number that can be set, its key in gateway.lua and its variable. */
struct gate_config_number {
    const char *key;
    const char *env; /* NULL: only in the file */
    size_t offset;   /* in the struct that the table is for */
    bool wide;       /* the member is a size_t, else a uint32_t */
    uint64_t min, max;
};
extern const struct gate_config_number gate_config_numbers[]; /* of struct gate_config */
extern const size_t gate_config_number_count;
extern const struct gate_config_number gate_config_clock_numbers[]; /* of struct gate_clocks */
extern const size_t gate_config_clock_number_count;
void gate_config_put_number(void *base, const struct gate_config_number *n, uint64_t value);

/* Value parsers that the environment and the file share. */
enum gate_status gate_config_set_listen(struct gate_config *c, const char *label, const char *text,
                                        struct gate_error *err);
enum gate_status gate_config_set_level(struct gate_config *c, const char *label, const char *text,
                                       struct gate_error *err);
enum gate_status gate_config_set_format(struct gate_config *c, const char *label, const char *text,
                                        struct gate_error *err);

/* The value of a variable; NULL when it is unset or empty. */
const char *gate_config_env(const char *name);
/* Finds conf, plugins and scripts. Before the file is read. */
enum gate_status gate_config_find_dirs(struct gate_config *c, struct gate_error *err);
/* The settings that have a variable, over what the file said. */
enum gate_status gate_config_read_env(struct gate_config *c, struct gate_error *err);
bool gate_config_is_loopback(const char *host);

/* conf_dir/gateway.lua. *echo becomes false when the file says so. A missing file is fine. */
enum gate_status gate_config_read_file(struct gate_config *c, bool *echo, struct gate_error *err);

/* Instances of well-known variables, secrets of those that name a variable, and echo. */
enum gate_status gate_config_add_instances(struct gate_config *c, bool echo,
                                           struct gate_error *err);
/* Appends an empty instance with its defaults. NULL: GATE_CONFIG_MAX_INSTANCES is reached. */
struct gate_config_instance *gate_config_push_instance(struct gate_config *c);
struct gate_config_instance *gate_config_find_instance(struct gate_config *c, const char *name);
/* Appends an option whose value the caller fills. NULL: GATE_CONFIG_MAX_OPTIONS is reached. */
struct gate_config_option *gate_config_push_option(struct gate_config_instance *i,
                                                   const char *name);
void gate_config_instance_finish(struct gate_config_instance *i);

/* MODEL_MAPPINGS and QWEN_CREDS_JSON. */
enum gate_status gate_config_parse_mappings(struct gate_config *c, const char *label,
                                            const char *text, struct gate_error *err);
enum gate_status gate_config_check_oauth(const char *label, const char *text,
                                         struct gate_error *err);

/* API_KEY or the key file. make: create what is missing. */
enum gate_status gate_config_read_key(struct gate_config *c, bool make, struct gate_error *err);
/* Characters and length; with strict, also length >= 16 and no sample key. The message never shows
 * the key. */
enum gate_status gate_config_check_key(const char *label, const char *key, bool strict,
                                       struct gate_error *err);

/* Keeps a line for main to log. */
__attribute__((format(printf, 2, 3))) void gate_config_warn(struct gate_config *c,
                                                            const char *format, ...);

#endif
