/*
 * config: environment and conf/gateway.lua become one immutable struct. Built on the control
 * thread, first before anything else and again whenever gateway.lua changes; each is read by
 * everyone who retains it without a lock. The environment wins over the file.
 */
#ifndef GATE_CONFIG_H
#define GATE_CONFIG_H

#include "base/limits.h"
#include "base/log.h"
#include "script/script.h"

enum {
    GATE_CONFIG_MAX_INSTANCES = 64,
    GATE_CONFIG_MAX_ROUTE_HEADERS = 16,
    GATE_CONFIG_MAX_WARNINGS = 8,
};

/* The clocks of one attempt, in ms. 0 turns a clock off, but connect. */
struct gate_clocks {
    uint32_t connect_ms;     /* TCP and TLS; default 10,000 */
    uint32_t first_token_ms; /* request sent to first byte of the answer's body; default 120,000 */
    uint32_t idle_ms;        /* between two pieces of the answer; default 120,000 */
    uint32_t total_ms;       /* the whole attempt; default 1,800,000 */
    uint32_t keepalive_ms;   /* comments to a waiting stream client; default 0 = off */
};

/* One configured option of an instance, before it is checked against the plugin's schema. */
struct gate_config_option {
    char *name;
    enum gate_option_type type;
    char *string; /* GATE_OPTION_STRING */
    double number;
    bool boolean;
    char **list;
    size_t list_len;
};

/* Where an account of the configuration has its secret from. */
enum gate_config_source {
    GATE_SOURCE_ENVIRONMENT = 1, /* a variable: key_env, or a well-known one */
    GATE_SOURCE_FILE,            /* key_file */
    GATE_SOURCE_SEED, /* an OAuth login (QWEN_CREDS_JSON, qwen_creds_*.json, one of gateway.lua):
                         taken into storage once, where it is refreshed from then on */
};

/* One account that the configuration names. */
struct gate_config_account {
    char *id;      /* "<instance>/<n>" or "<instance>/<alias>"; unique */
    char *alias;   /* as shown; defaults to what follows the slash of the id */
    char *key_env; /* the variable that held the secret; NULL: none did */
    char *file;    /* the file that holds it; NULL: none does */
    enum gate_config_source source;
    enum gate_credential_kind kind;
    char *secret; /* never printed */
    size_t secret_len;
    char **tags;
    size_t tag_count;
    uint32_t weight; /* default 1 */
    struct gate_limits_rule limits;
};

/* One provider instance. */
struct gate_config_instance {
    char *name;   /* [a-z0-9][a-z0-9_-]*; unique */
    char *plugin; /* name of the provider plugin */
    struct gate_config_account *accounts;
    size_t account_count;   /* 0: accounts come from storage, or the provider needs none */
    bool implicit;          /* always there, so that accounts can be added to it: left out without a
                               word when its plugin is not loaded */
    char *dedup;            /* "off", "auto", "exact"; default auto */
    uint32_t dedup_hold_ms; /* default 150 */
    bool ask_usage; /* ask streams for token counts (stream_options.include_usage); default true */
    struct gate_clocks clocks;
    struct gate_config_option *options;
    size_t option_count;
    bool from_environment; /* made because of a well-known variable */
};

/* A plugin of which the gateway uses one (storage, quota), with its options. */
struct gate_config_plugin {
    char *plugin;
    struct gate_config_option *options;
    size_t option_count;
};

enum gate_webhook_type {
    GATE_WEBHOOK_GENERIC = 0, /* the alert as JSON */
    GATE_WEBHOOK_DINGTALK,
    GATE_WEBHOOK_FEISHU,
    GATE_WEBHOOK_SLACK,
};

struct gate_config_alerts {
    bool enabled;               /* ALERT_ENABLED; default true: alerts are at least logged */
    uint32_t threshold_percent; /* ALERT_QUOTA_THRESHOLD_PERCENT; default 80 */
    char *webhook_url;          /* ALERT_WEBHOOK_URL; may carry a token: never logged. NULL: none */
    enum gate_webhook_type webhook_type; /* ALERT_WEBHOOK_TYPE */
    char *webhook_secret; /* ALERT_WEBHOOK_SECRET: DingTalk's and Feishu's signing secret; NULL */
};

struct gate_config {
    _Atomic uint32_t refs;
    char *listen_host;    /* "127.0.0.1", "::1", "0.0.0.0" */
    uint16_t listen_port; /* 0: any free port, said in the log */
    uint32_t workers;
    enum gate_log_level log_level;
    enum gate_log_format log_format;
    char *data_dir, *plugin_dir;
    char *conf_dir, *script_dir; /* NULL: there is none */
    char *api_key;       /* never logged; NULL only without make_key, when there is no key yet */
    bool api_key_is_new; /* made at this start: print it once */
    char *api_key_file;  /* where a made key is kept; NULL when API_KEY is set */
    bool allow_private;  /* LLM_GATE_ALLOW_PRIVATE=1 */
    size_t max_body;     /* bytes; default 32 MiB */
    uint32_t header_timeout_ms; /* a request's head must be complete; default 30,000 */
    uint32_t body_timeout_ms;   /* between two reads of a body; default 30,000 */
    uint32_t idle_timeout_ms;   /* keep-alive connection without a request; default 75,000 */
    uint32_t write_timeout_ms;  /* a client that takes no byte of its answer; default 120,000 */
    uint32_t drain_ms;          /* after SIGTERM; default 30,000 */
    uint32_t max_connections;   /* of one worker; default 10,000 */
    struct gate_clocks clocks;
    char **route_headers; /* lower case */
    size_t route_header_count;
    char *admin_key; /* ADMIN_KEY; NULL: API_KEY is the admin's key too. Never logged */
    char *secret;    /* LLM_GATE_SECRET: what credentials are encrypted with; NULL: a key file */
    struct gate_config_plugin storage; /* default rocksdb */
    struct gate_config_plugin quota;   /* default window */
    uint32_t counter_flush_ms; /* LLM_GATE_COUNTER_FLUSH_MS: counts of this long may be lost when
                                  the process is killed, 0 to 1,000; 0: each request is on record
                                  before it is sent; default 500 */
    struct gate_limits_rule limits; /* CHAT_DAILY_LIMIT, CHAT_RPM_LIMIT, SEARCH_DAILY_LIMIT,
                                       SEARCH_RPM_LIMIT, where set: of every account */
    struct gate_config_alerts alerts;
    bool audit_success_log; /* AUDIT_SUCCESS_LOG; default true: log lines of good requests */
    uint32_t
        audit_retention_days; /* minute aggregates are kept this long; default 30, 1 to 3,650 */
    uint32_t max_attempts;    /* of one request over all accounts and targets; default 32 */
    uint32_t failover_ms;     /* no new attempt after this much of a request; default 300,000 */
    struct gate_mapping *mappings; /* MODEL_MAPPINGS */
    size_t mapping_count;
    struct gate_config_instance *instances;
    size_t instance_count;
    char *warnings[GATE_CONFIG_MAX_WARNINGS]; /* lines to log once the log is set up */
    size_t warning_count;
    struct gate_config_environment *environment; /* of the process as it was at the start; private
                                                    to config*.c. Secrets: wiped with the last
                                                    config that came of it */
};

/* Reads the environment and conf_dir/gateway.lua. GATE_EINVAL: err names the variable or file:line
 * and key, what it says and what was expected. With make_key, creates data_dir and the key file if
 * API_KEY is unset. */
enum gate_status gate_config_load(bool make_key, struct gate_config **out, struct gate_error *err);
/* Reads another text of gateway.lua with the environment that the process started with (which has
 * been scrubbed since) and the directories and keys of `running`. Nothing is made on disk. text
 * NULL: there is no such file. Errors as gate_config_load. Control thread. */
enum gate_status gate_config_reload(const struct gate_config *running, const struct gate_str *text,
                                    struct gate_config **out, struct gate_error *err);
/* Keys of gateway.lua (literals) that differ and are read only at start: listen, workers, max_body,
 * storage, quota, counter_flush_ms, log_format, audit_retention_days. Returns how
 * many; the first `max` are in names. Everything else a switch of generations changes: providers,
 * their accounts and options, clocks, limits, timeouts of clients, route_headers, log_level,
 * max_attempts, failover_ms, drain_ms, echo. */
size_t gate_config_restart_keys(const struct gate_config *booted, const struct gate_config *fresh,
                                const char **names, size_t max);
/* Are the two the same in everything but their accounts? Then the provider has no reason to make
 * its instance anew. */
bool gate_config_same_instance(const struct gate_config_instance *a,
                               const struct gate_config_instance *b);
/* Control thread. Makes a new API key and writes it to the key file: the next start reads it there.
 * c itself keeps the old one. GATE_ECONFLICT: the key comes from the environment. key is wiped by
 * the caller. */
enum { GATE_CONFIG_MADE_KEY = 48 /* bytes of a key that the gateway makes */ };
enum gate_status gate_config_new_key(const struct gate_config *c,
                                     char key[GATE_CONFIG_MADE_KEY + 1], struct gate_error *err);
void gate_config_retain(struct gate_config *c);
void gate_config_release(struct gate_config *c); /* any thread; the last one wipes secrets; NULL is
                                                    fine */

/* Overwrites and removes the gateway's own secrets (API_KEY, ADMIN_KEY, LLM_GATE_SECRET, those of
 * ALERT_*) and every variable that gives or could give an account its secret, so that no child and
 * no dump of the environment carries them. Before any thread is started. */
void gate_config_scrub_environment(const struct gate_config *c);

#endif
