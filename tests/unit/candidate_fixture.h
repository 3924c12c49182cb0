/*
 * candidate_fixture: candidates made from texts, beside one configuration with two providers:
 * "qwen" serves qwen-turbo and qwen-max, "ds" serves ds-chat; each has an account by configuration,
 * so that it resolves. Accounts are made up by the tests. Used by test_simulate.c, test_dry_run.c
 * and test_policy_test.c.
 */
#ifndef GATE_TEST_CANDIDATE_FIXTURE_H
#define GATE_TEST_CANDIDATE_FIXTURE_H

#include "base/buf.h"
#include "config_fixture.h"
#include "live/simulate.h"
#include "plugin/registry.h"

#define FIXTURE_PROVIDER(name, models)                                                             \
    "{ name = '" name "', plugin = 'openai', dedup = 'off', options = { base_url = "               \
    "'https://127.0.0.1/v1', models = { " models                                                   \
    " } }, accounts = { { key_env = 'TEST_KEY' } } },"

struct candidates {
    struct gate_config *config;
    struct gate_registry *registry;
    struct gate_pool *pool;
};

static inline void candidates_open(struct candidates *f)
{
    struct gate_error err = {.message = ""};
    setenv("TEST_KEY", "sk-test", 1);
    setenv("API_KEY", "sk-key-of-the-gateway-0123456789", 1);
    fixture_write(
        "conf/gateway.lua",
        "return { echo = false, route_headers = { 'x-team' }, providers = {" FIXTURE_PROVIDER(
            "qwen", "'qwen-turbo', 'qwen-max'") FIXTURE_PROVIDER("ds", "'ds-chat'") "} }");
    f->config = fixture_load();
    ck_assert_msg(gate_registry_load(GATE_TEST_PLUGIN_DIR, gate_host_services(true), &f->registry,
                                     &err) == GATE_OK,
                  "%s", err.message);
    ck_assert_msg(gate_pool_create(f->config, f->registry, &f->pool, &err) == GATE_OK, "%s",
                  err.message);
}

static inline void candidates_close(struct candidates *f)
{
    gate_pool_release(f->pool);
    gate_config_release(f->config);
    gate_registry_destroy(f->registry);
}

/* A text of NULL: there is no such file. */
static inline struct gate_candidate candidate_make(const struct candidates *f, const char *models,
                                                   const char *routing, const char *accounts)
{
    struct gate_candidate c = {.config = f->config, .pool = f->pool};
    struct gate_sources sources = {.count = 0};
    struct gate_error err = {.message = ""};
    const char *const names[] = {"models.lua", "routing.lua", "accounts.lua"};
    const char *const texts[] = {models, routing, accounts};
    for (size_t i = 0; i < 3; i++)
        if (texts[i] != NULL)
            ck_assert_int_eq(
                gate_sources_put(&sources, gate_str_of(names[i]), gate_str_of(texts[i]), &err),
                GATE_OK);
    const struct gate_generation_input in = {.number = 3, .sources = &sources};
    ck_assert_msg(gate_generation_create(&in, &c.generation, &err) == GATE_OK, "%s", err.message);
    ck_assert_msg(gate_script_create(c.generation, NULL, &c.script, &err) == GATE_OK, "%s",
                  err.message);
    gate_sources_finish(&sources);
    return c;
}

static inline void candidate_finish(struct gate_candidate *c)
{
    gate_script_destroy(c->script);
    gate_generation_release(c->generation);
}

static const struct gate_request_facts FIXTURE_FACTS = {.message_count = 2, .max_tokens = 100};

static inline struct gate_route_view fixture_request(const char *model)
{
    return (struct gate_route_view){.model = gate_str_of(model),
                                    .key_name = GATE_STR("ada"),
                                    .path = GATE_STR("/v1/chat/completions"),
                                    .facts = &FIXTURE_FACTS,
                                    .body_bytes = 400};
}

/* An account that is well and has never been used. */
static inline struct gate_account_facts fixture_account_facts(const char *provider, const char *id)
{
    return (struct gate_account_facts){
        .id = gate_str_of(id),
        .alias = gate_str_of(strchr(id, '/') + 1),
        .provider = gate_str_of(provider),
        .kind = GATE_CREDENTIAL_API_KEY,
        .weight = 1,
        .state = "serving",
        .hash = (uint64_t)id[strlen(id) - 1] * 0x9e3779b97f4a7c15u,
    };
}

#endif
