#include "plans.h"

struct address {
    enum qwen_plan plan;
    const char *region;
    const char *url;
};

static const struct address addresses[] = {
    {QWEN_STANDARD, "cn", "https://dashscope.aliyuncs.com/compatible-mode/v1"},
    {QWEN_STANDARD, "intl", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"},
    {QWEN_STANDARD, "us", "https://dashscope-us.aliyuncs.com/compatible-mode/v1"},
    {QWEN_STANDARD, "hk", "https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1"},
    {QWEN_CODING, "cn", "https://coding.dashscope.aliyuncs.com/v1"},
    {QWEN_CODING, "intl", "https://coding-intl.dashscope.aliyuncs.com/v1"},
    {QWEN_TOKEN, "cn", "https://token-plan.cn-beijing.maas.aliyuncs.com/compatible-mode/v1"},
    {QWEN_TOKEN, "intl", "https://token-plan.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1"},
};

/* The service adds models faster than a gateway is released, so every API plan takes the families
 * of its own by prefix; models of other makers only by name, since other providers serve them too.
 */
static const char *const standard_models[] = {
    "qwen3.7-max", "qwen3.7-plus", "qwen3.6-plus", "qwen3.5-plus",     "qwen3-max",
    "qwen-plus",   "qwen-max",     "qwen-flash",   "qwen3-coder-plus", "qwen3-coder-next",
    "qwen*",       "qwq*",         NULL,
};

static const char *const coding_models[] = {
    "qwen3.7-plus",
    "qwen3.6-plus",
    "qwen3.5-plus",
    "qwen3-max-2026-01-23",
    "qwen3-coder-plus",
    "qwen3-coder-next",
    "glm-5",
    "glm-4.7",
    "kimi-k2.5",
    "MiniMax-M2.5",
    "qwen*",
    "qwq*",
    NULL,
};

static const char *const token_models[] = {
    "qwen3.8-max",   "qwen3.7-max",  "qwen3.7-plus", "qwen3.6-plus", "glm-5", "kimi-k2.5",
    "deepseek-v3.2", "MiniMax-M2.5", "qwen*",        "qwq*",         NULL,
};

static const char *const oauth_models[] = {"coder-model", "vision-model", NULL};

struct plan {
    const char *name;
    const char *regions;
    const char *const *models;
};

static const struct plan plans[QWEN_PLANS] = {
    [QWEN_STANDARD] = {"standard", "cn, intl, us, hk", standard_models},
    [QWEN_CODING] = {"coding", "cn, intl", coding_models},
    [QWEN_TOKEN] = {"token", "cn, intl", token_models},
    [QWEN_OAUTH] = {"oauth", "none", oauth_models},
};

enum qwen_plan qwen_plan_find(struct gate_str name)
{
    for (unsigned i = 0; i < QWEN_PLANS; i++)
        if (gate_str_eq(name, gate_str_of(plans[i].name)))
            return (enum qwen_plan)i;
    return QWEN_PLANS;
}

const char *qwen_plan_name(enum qwen_plan plan)
{
    return plans[plan].name;
}

const char *qwen_plan_url(enum qwen_plan plan, struct gate_str region)
{
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        if (addresses[i].plan == plan && gate_str_eq(region, gate_str_of(addresses[i].region)))
            return addresses[i].url;
    return NULL;
}

const char *qwen_plan_regions(enum qwen_plan plan)
{
    return plans[plan].regions;
}

const char *const *qwen_plan_models(enum qwen_plan plan)
{
    return plans[plan].models;
}
