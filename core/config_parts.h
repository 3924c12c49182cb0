/*
 * config_parts: what the files config*.c share with each other. Nobody else includes it. All of it
 * runs on the control thread, at start and when gateway.lua changes.
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
    GATE_CONFIG_MAX_URL = 2048,          /* bytes of ALERT_WEBHOOK_URL */
    GATE_CONFIG_MAX_FILE = 1 << 20,      /* bytes of gateway.lua */
    GATE_CONFIG_MAX_MAPPINGS = 4096,     /* entries of MODEL_MAPPINGS */
    GATE_CONFIG_MAX_MODEL_NAME = 256,    /* bytes of one model name */
    GATE_CONFIG_MAX_INSTANCE_NAME = 64,  /* bytes of an instance's name */
    GATE_CONFIG_MAX_ACCOUNTS = 1024,     /* accounts of one instance */
    GATE_CONFIG_MAX_ALIAS = 64,          /* bytes of an account's alias */
    GATE_CONFIG_MAX_SEEDS = 64,          /* login files */
    GATE_CONFIG_MAX_OPTIONS = 64,        /* options of one instance or plugin */
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
    const char *key; /* NULL: only a variable */
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

enum gate_status gate_config_set_switch(const char *label, const char *text, bool *out,
                                        struct gate_error *err);

/* The environment of the process, copied, so that it can be read after the process has scrubbed its
 * own. Shared by all configs that come of one load. */
struct gate_config_environment;
struct gate_config_environment *gate_config_environment_create(void);
struct gate_config_environment *
gate_config_environment_retain(struct gate_config_environment *e); /* returns it */
void gate_config_environment_release(
    struct gate_config_environment *e); /* the last one wipes it; NULL is fine */
/* The value of a variable; NULL when it is unset or empty. Lives as long as c. */
const char *gate_config_env(const struct gate_config *c, const char *name);
/* Does the variable hold a secret of the gateway itself, which no provider may be sent? */
bool gate_config_is_own_secret(const char *name);
/* Finds conf, plugins and scripts. Before the file is read. */
enum gate_status gate_config_find_dirs(struct gate_config *c, struct gate_error *err);
/* The settings that have a variable, over what the file said. */
enum gate_status gate_config_read_env(struct gate_config *c, struct gate_error *err);
/* ALERT_*. */
enum gate_status gate_config_read_alerts(struct gate_config *c, struct gate_error *err);
bool gate_config_is_loopback(const char *host);

/* conf_dir/gateway.lua. *echo becomes false when the file says so. A missing file is fine. */
enum gate_status gate_config_read_file(struct gate_config *c, bool *echo, struct gate_error *err);
/* The same for a text that is there already. */
enum gate_status gate_config_read_text(struct gate_config *c, struct gate_str text, bool *echo,
                                       struct gate_error *err);

/* The instances that are always there, with the accounts of well-known variables and of login
 * files, and echo; then the secrets of all accounts. */
enum gate_status gate_config_add_instances(struct gate_config *c, bool echo,
                                           struct gate_error *err);
/* Is it the name of an instance that is there without being configured, so that accounts can be
 * added to it? */
bool gate_config_is_known_instance(const char *name);
/* Appends an empty instance with its defaults. NULL: GATE_CONFIG_MAX_INSTANCES is reached. */
struct gate_config_instance *gate_config_push_instance(struct gate_config *c);
struct gate_config_instance *gate_config_find_instance(struct gate_config *c, const char *name);
/* Appends an option whose value the caller fills. NULL: GATE_CONFIG_MAX_OPTIONS is reached. */
struct gate_config_option *gate_config_push_option(struct gate_config_option **options,
                                                   size_t *count, const char *name);

/* May it be an alias? 1 to GATE_CONFIG_MAX_ALIAS of [A-Za-z0-9_.-], the first a letter, a digit or
 * '_'. */
bool gate_config_is_alias(const char *s);
/* Appends an account without a secret: kind none, weight 1, source environment. alias NULL: it is
 * named by its position. NULL: GATE_CONFIG_MAX_ACCOUNTS is reached, or the id is taken; err says
 * it, where is put before. */
struct gate_config_account *gate_config_push_account(struct gate_config_instance *i,
                                                     const char *where, const char *alias,
                                                     struct gate_error *err);
bool gate_config_has_account(const struct gate_config_instance *i, const char *alias);
void gate_config_account_finish(struct gate_config_account *a);
/* Fills in the secrets of all accounts that name a variable or a file. */
enum gate_status gate_config_read_secrets(struct gate_config *c, struct gate_error *err);
/* The text of a file without the newline at its end. *mode: who may read it. Messages begin with
 * the path in quotes. Owner: caller, who wipes it. */
enum gate_status gate_config_read_secret_file(const char *path, char **text, size_t *len,
                                              unsigned *mode, struct gate_error *err);
/* qwen_creds_*.json and oauth_creds.json become accounts of i. What is wrong with a file is a
 * warning. */
void gate_config_add_seeds(struct gate_config *c, struct gate_config_instance *i);

/* MODEL_MAPPINGS and QWEN_CREDS_JSON. */
enum gate_status gate_config_parse_mappings(struct gate_config *c, const char *label,
                                            const char *text, struct gate_error *err);
enum gate_status gate_config_check_oauth(const char *label, const char *text,
                                         struct gate_error *err);

/* ADMIN_KEY, and API_KEY or the key file. make: create what is missing. */
enum gate_status gate_config_read_key(struct gate_config *c, bool make, struct gate_error *err);
/* The same beside a gateway that runs: a key of the environment must fit the address that c now
 * listens on; one of the key file is the one that was read at the start. */
enum gate_status gate_config_keep_key(struct gate_config *c, const struct gate_config *running,
                                      struct gate_error *err);
/* Characters and length; with strict, also length >= 16 and no sample key. The message never shows
 * the key. */
enum gate_status gate_config_check_key(const char *label, const char *key, bool strict,
                                       struct gate_error *err);

/* Keeps a line for main to log. Of what does not fit GATE_CONFIG_MAX_WARNINGS the last one kept
 * tells. */
__attribute__((format(printf, 2, 3))) void gate_config_warn(struct gate_config *c,
                                                            const char *format, ...);

#endif
