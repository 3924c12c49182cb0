/*
 * qwen: what the files of provider_qwen share: instances and accounts. Used by provider_qwen only.
 */
#ifndef QWEN_H
#define QWEN_H

#include "../provider_openai/wire.h"
#include "plans.h"

#include <stdatomic.h>

enum {
    QWEN_VERSION_MAX = 64,
    QWEN_AGENT_MAX = QWEN_VERSION_MAX + 32,
    QWEN_CLIENT_ID_MAX = 256,
};

/* Indexes into the instance's values. */
enum qwen_option {
    QWEN_OPTION_PLAN,
    QWEN_OPTION_REGION,
    QWEN_OPTION_BASE_URL,
    QWEN_OPTION_MODELS,
    QWEN_OPTION_CLIENT_VERSION,
    QWEN_OPTION_CLIENT_ID,
    QWEN_OPTION_AUTH_URL,
    QWEN_OPTIONS,
};

struct qwen_instance {
    const struct gate_host *host;
    const struct gate_value *values;      /* the gateway's, valid as long as the instance */
    const struct gate_endpoint *endpoint; /* from base_url, or NULL: each account has its own */
    const struct gate_endpoint *root;     /* the same without its path: where search is */
    const struct gate_endpoint *login;    /* the login service */
    enum qwen_plan plan;                  /* QWEN_PLANS: the credential decides */
    atomic_uint attached;                 /* bit 1 << plan for every plan an account turned out to
                                             have; written by the control thread */
};

/* Immutable. */
struct qwen_account {
    const struct gate_endpoint *endpoint; /* own, or NULL: the instance's */
    const struct gate_endpoint *root;     /* of a login without base_url: where search is */
    struct openai_block *block;
    enum qwen_plan plan;
};

/* ops.account_attach and account_detach. Control thread. */
enum gate_status qwen_account_attach(void *instance, const struct gate_credential *credential,
                                     void **out, struct gate_error *err);
void qwen_account_detach(void *instance, void *account);

/* An endpoint of scheme, host and port of the address only. Control thread. */
enum gate_status qwen_root_create(const struct gate_host *host, struct gate_str url,
                                  enum gate_endpoint_origin origin,
                                  const struct gate_endpoint **out, struct gate_error *err);

/* Writes how Qwen Code names itself into a caller's array and returns it as a view. Pure. */
struct gate_str qwen_agent(const struct qwen_instance *instance, char out[QWEN_AGENT_MAX]);

#endif
