/*
 * Inside of alerts: the web hook (alerts_webhook.c), which sends notices one after the other and
 * tries again, and what it says to the services that it knows (alerts_message.c). Used by alerts.c
 * and by tests. Control thread.
 */
#ifndef GATE_RECORD_ALERTS_INTERNAL_H
#define GATE_RECORD_ALERTS_INTERNAL_H

#include "record/alerts.h"

enum {
    /* Bytes; the rest is cut. */
    GATE_ALERTS_MAX_NAME = 256,
    GATE_ALERTS_MAX_TITLE = 256,
    GATE_ALERTS_MAX_TEXT = 2048,

    GATE_WEBHOOK_MAX_WAITING = 256, /* notices; the oldest is dropped */
    GATE_WEBHOOK_MAX_TESTS = 8,     /* at once */
    GATE_WEBHOOK_RETRIES = 5,     /* of one notice, each after twice the delay of the one before */
    GATE_WEBHOOK_RETRY_MS = 2000, /* the first delay */
    GATE_WEBHOOK_TIMEOUT_MS = 10000,
    GATE_WEBHOOK_MAX_PATH = 4096, /* of the address, with a signature */
    GATE_WEBHOOK_MAX_BODY = 64 << 10,
    GATE_WEBHOOK_MAX_WHY = 256,
};

/* gate_alerts_create with another first delay. */
enum gate_status gate_alerts_create_with(const struct gate_config *config,
                                         struct gate_control *control, struct gate_store *store,
                                         uint32_t retry_ms, struct gate_alerts **out,
                                         struct gate_error *err);

/* ---- notices */

enum gate_notice_event { GATE_NOTICE_ALERT = 0, GATE_NOTICE_RECOVERY, GATE_NOTICE_TEST };

struct gate_notice {
    enum gate_notice_event event;
    enum gate_log_level level;
    struct gate_str name, title, text;
    uint64_t since_ms, at_ms; /* Unix */
};

/* "debug" to "error". */
extern const char *const gate_alert_level_names[];

/* Appends the body that the service expects. secret (empty: none) and now_ms are Feishu's, which is
 * signed in the body. */
void gate_message_body(enum gate_webhook_type type, const struct gate_notice *notice,
                       struct gate_str secret, uint64_t now_ms, struct gate_buf *out);
/* Appends DingTalk's signature as members of a query: "timestamp=...&sign=...". */
void gate_message_sign_dingtalk(struct gate_str secret, uint64_t now_ms, struct gate_buf *out);
/* Appends Feishu's signature: base64. */
void gate_message_sign_feishu(struct gate_str secret, uint64_t now_s, struct gate_buf *out);
/* True: the service has taken the notice. Otherwise why says in one line what it answered. */
bool gate_message_taken(enum gate_webhook_type type, const struct gate_answer *answer,
                        char why[GATE_WEBHOOK_MAX_WHY]);

/* ---- the web hook */

struct gate_webhook;

/* GATE_EINVAL: the address; err does not show it. Copies what it needs of the configuration. */
enum gate_status gate_webhook_create(const struct gate_config_alerts *config,
                                     struct gate_control *control, uint32_t retry_ms,
                                     struct gate_webhook **out, struct gate_error *err);
/* Drops what waits; done of running tests is called. NULL is fine. */
void gate_webhook_destroy(struct gate_webhook *hook);
/* Has a notice (copied) sent behind those that wait. */
void gate_webhook_send(struct gate_webhook *hook, const struct gate_notice *notice);
/* Sends a test notice at once and only once; see gate_alerts_test. */
void gate_webhook_test(struct gate_webhook *hook,
                       void (*done)(void *ctx, int status, const char *why), void *ctx);
/* Calls done soon, as for a test that was not sent. why is a literal. */
void gate_webhook_refuse_test(struct gate_control *control, const char *why,
                              void (*done)(void *ctx, int status, const char *why), void *ctx);

#endif
