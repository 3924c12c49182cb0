/*
 * text: short pieces of text that provider_qwen builds or takes out of JSON on the caller's stack:
 * tokens, form bodies, search queries. Used by provider_qwen only. Pure functions.
 */
#ifndef QWEN_TEXT_H
#define QWEN_TEXT_H

#include <gate/plugin.h>

enum {
    QWEN_TEXT_MAX = 16 * 1024,
    QWEN_NUMBER_MAX = 32, /* a longer number is none */
};

/* Bytes up to the cap; what lies beyond is dropped and `overflow` says so. What may hold a secret
 * is wiped by whoever declared it. */
struct qwen_text {
    size_t len;
    bool overflow;
    char bytes[QWEN_TEXT_MAX];
};

void qwen_text_init(struct qwen_text *t);
void qwen_text_append(struct qwen_text *t, struct gate_str s);
/* A writer that appends to t. */
struct gate_writer qwen_text_writer(struct qwen_text *t);
struct gate_str qwen_text_str(const struct qwen_text *t);
void qwen_text_wipe(const struct gate_host *host, struct qwen_text *t);

/* Appends name=value to a form (application/x-www-form-urlencoded), behind '&' unless it is the
 * first. The name is written as it is. */
void qwen_text_form(struct qwen_text *t, const char *name, struct gate_str value);

/* Decodes a string member into out, which is initialised. False: there is no such string, or it is
 * empty or too long. */
bool qwen_read_string(const struct gate_host *host, struct gate_str json, const char *key,
                      struct qwen_text *out);
/* A finite number, or a string that holds one. False: there is none. */
bool qwen_read_number(const struct gate_host *host, struct gate_str json, const char *key,
                      double *out);

/* Writes "key":"value" with the separator in front. The key needs no escapes. */
void qwen_write_string(const struct gate_host *host, const struct gate_writer *out,
                       const char *separator, const char *key, struct gate_str value);

#endif
