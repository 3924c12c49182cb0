/* A provider for the tests of pools and rosters: its option `models` is what it serves, and it
 * takes every secret that does not begin with "bad". Its instances and accounts know each other, so
 * that a sanitizer sees one that is used after its end. */
#include "gate/plugin.h"

#include <stdlib.h>
#include <string.h>

enum { LIVES = 0x11fe };

struct instance {
    int lives;
    const struct gate_value *models;
};

struct account {
    struct instance *instance;
    char secret[];
};

static void *allocate(size_t size)
{
    void *p = calloc(1, size);
    if (p == NULL)
        abort();
    return p;
}

static void check(const struct instance *i)
{
    if (i->lives != LIVES)
        abort();
}

static enum gate_status instance_create(struct gate_str name, const struct gate_value *values,
                                        void **out, struct gate_error *err)
{
    if (values[1].boolean)
        return gate_fail(err, GATE_EINVAL, "%.*s does not want to be", (int)name.len, name.ptr);
    struct instance *i = allocate(sizeof *i);
    i->lives = LIVES;
    i->models = &values[0];
    *out = i;
    return GATE_OK;
}

static void instance_destroy(void *instance)
{
    struct instance *i = instance;
    check(i);
    i->lives = 0;
    free(i);
}

static enum gate_status account_attach(void *instance, const struct gate_credential *credential,
                                       void **out, struct gate_error *err)
{
    check(instance);
    if (credential->secret.len >= 3 && memcmp(credential->secret.ptr, "bad", 3) == 0)
        return gate_fail(err, GATE_EINVAL, "the key is not taken");
    struct account *a = allocate(sizeof *a + credential->secret.len + 1);
    a->instance = instance;
    if (credential->secret.len > 0)
        memcpy(a->secret, credential->secret.ptr, credential->secret.len);
    *out = a;
    return GATE_OK;
}

static void account_detach(void *instance, void *account)
{
    check(instance);
    if (((struct account *)account)->instance != instance)
        abort();
    free(account);
}

static enum gate_claim claims(void *instance, struct gate_str model)
{
    const struct instance *i = instance;
    check(i);
    for (size_t k = 0; k < i->models->list_len; k++)
        if (gate_str_eq(i->models->list[k], model))
            return GATE_CLAIM_NAME;
    return GATE_CLAIM_NO;
}

static void each_model(void *instance, void (*cb)(void *ctx, struct gate_str model), void *ctx)
{
    const struct instance *i = instance;
    check(i);
    for (size_t k = 0; k < i->models->list_len; k++)
        cb(ctx, i->models->list[k]);
}

static enum gate_status answer(void *instance, const struct gate_call *call,
                               const struct gate_answer_sink *sink, struct gate_error *err)
{
    (void)instance;
    (void)call;
    (void)sink;
    return gate_fail(err, GATE_EINTERNAL, "nobody is asked in these tests");
}

static const struct gate_provider_ops ops = {
    .size = sizeof ops,
    .dialect = "openai_chat",
    .instance_create = instance_create,
    .instance_destroy = instance_destroy,
    .account_attach = account_attach,
    .account_detach = account_detach,
    .claims = claims,
    .each_model = each_model,
    .answer = answer,
};

static const struct gate_option options[] = {
    {.name = "models", .type = GATE_OPTION_LIST, .help = "what it serves"},
    {.name = "refuses", .type = GATE_OPTION_BOOL, .help = "is not made"},
};

GATE_EXPORT const struct gate_plugin gate_plugin = {
    GATE_PLUGIN_HEADER(GATE_KIND_PROVIDER),
    .name = "pool",
    .version = "1",
    .summary = "a provider of tests",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .ops = &ops,
};
