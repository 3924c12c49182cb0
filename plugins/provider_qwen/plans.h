/*
 * plans: what differs between the ways to reach Qwen models, as data: base addresses by plan and
 * region, and models by plan. Used by provider_qwen only. Pure functions.
 */
#ifndef QWEN_PLANS_H
#define QWEN_PLANS_H

#include <gate/plugin.h>

enum qwen_plan {
    QWEN_STANDARD = 0, /* pay by use, keys sk-... */
    QWEN_CODING,       /* subscription, keys sk-sp-... */
    QWEN_TOKEN,        /* subscription billed by tokens */
    QWEN_OAUTH,        /* a login; the token reply names the address */
    QWEN_PLANS,
};

/* The plan of that name, or QWEN_PLANS. */
enum qwen_plan qwen_plan_find(struct gate_str name);
const char *qwen_plan_name(enum qwen_plan plan);

/* The base address, or NULL when the plan has none in the region. */
const char *qwen_plan_url(enum qwen_plan plan, struct gate_str region);

/* The regions in which the plan has an address, for messages: "cn, intl". */
const char *qwen_plan_regions(enum qwen_plan plan);

/* Patterns of the models that the plan serves, as the list option `models` would hold them: plain
 * names are listed, a trailing '*' claims more without listing it. Ends with NULL. */
const char *const *qwen_plan_models(enum qwen_plan plan);

#endif
