/*
 * alerts: notices when something needs a person, and when it is well again. The caller says every
 * minute what is wrong now; alerts compares with what it said before, logs, sends the web hook and
 * keeps its state in storage, so that a restart repeats nothing. Control thread throughout. Used by
 * main's minute task.
 */
#ifndef GATE_RECORD_ALERTS_H
#define GATE_RECORD_ALERTS_H

#include "config.h"
#include "record/store.h"
#include "upstream/control.h"

enum {
    GATE_ALERTS_MAX = 1024, /* active at once */
    GATE_ALERT_MAX_VALUES = 8,
    GATE_ALERT_MAX_VALUE = 512, /* bytes of one; the rest is cut */
};

/* A word or number that the text of an alert is about. */
struct gate_alert_value {
    const char *name;
    struct gate_str text; /* ptr NULL: it is the number */
    uint64_t number;
};

/* One thing that is wrong now. */
struct gate_alert {
    struct gate_str name;      /* stable: "sign_in:qwen-oauth/0", "quota:qwen/0:chat", "all_down",
                                  "storage" */
    enum gate_log_level level; /* WARN or ERROR */
    struct gate_str title;     /* one line */
    struct gate_str text;      /* what to do; may change without being a new alert */
    /* For consoles, which say the same in the language of who reads it. */
    const char *code; /* what kind of thing is wrong: a literal; NULL: none */
    const struct gate_alert_value *values;
    size_t value_count;
};

struct gate_alerts;

/* store may be NULL (state is then kept in memory only). Reads the state: blocks. GATE_EINVAL: the
 * web hook's address. */
enum gate_status gate_alerts_create(const struct gate_config *config, struct gate_control *control,
                                    struct gate_store *store, struct gate_alerts **out,
                                    struct gate_error *err);
void gate_alerts_destroy(struct gate_alerts *a);

/* One check: begin, add for each thing that is wrong, end. What was active and was not added is
 * over: a recovery notice goes out. */
void gate_alerts_begin(struct gate_alerts *a);
void gate_alerts_add(struct gate_alerts *a, const struct gate_alert *alert);
void gate_alerts_end(struct gate_alerts *a, uint64_t now_ms);

/* Writes the active alerts as a JSON array of {name, level, title, text, code, values, since} (Unix
 * ms). Until the first check the code of those that storage had is null. */
void gate_alerts_json(const struct gate_alerts *a, struct gate_buf *out);
/* Sends a test notice; done is called once with how it went (status 0: not sent), never from inside
 * this call, at the latest by destroy. why is empty when the service has taken the notice. */
void gate_alerts_test(struct gate_alerts *a, void (*done)(void *ctx, int status, const char *why),
                      void *ctx);

#endif
