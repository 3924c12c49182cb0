/*
 * policy_util: what the tests of conf/accounts.lua share: accounts to choose from, all accounts of
 * two providers, a failure, and what select and on_error are expected to say of them.
 */
#ifndef TESTS_POLICY_UTIL_H
#define TESTS_POLICY_UTIL_H

#include "script_util.h"

#include "script/policy.h"

enum { TEST_ACCOUNTS = 80 };

/* Accounts to choose from. `reads` counts how often each was looked at. */
struct test_offer {
    struct gate_account_facts facts[TEST_ACCOUNTS];
    char ids[TEST_ACCOUNTS][24];
    unsigned reads[TEST_ACCOUNTS];
    struct gate_select_view view;
};

static inline void test_read_facts(void *ctx, size_t index, struct gate_account_facts *out)
{
    struct test_offer *o = ctx;
    o->reads[index]++;
    *out = o->facts[index];
}

/* Accounts i/0, i/1, ... with 100, 99, ... running requests. */
static inline void test_offer_init(struct test_offer *o, size_t count)
{
    static const struct gate_str tags[] = {{"paid", 4}, {"eu:1", 4}};
    memset(o, 0, sizeof *o);
    o->view = (struct gate_select_view){count, test_read_facts, o, NULL};
    for (size_t i = 0; i < count; i++) {
        snprintf(o->ids[i], sizeof o->ids[i], "i/%zu", i);
        o->facts[i] = (struct gate_account_facts){
            .id = gate_str_of(o->ids[i]),
            .alias = i == 0 ? GATE_STR("first") : gate_str_of(o->ids[i] + 2),
            .provider = GATE_STR("i"),
            .kind = GATE_CREDENTIAL_API_KEY,
            .weight = 1,
            .numbers = {.in_flight = (uint32_t)(100 - i)},
            .state = "serving",
        };
    }
    o->facts[0].tags = tags;
    o->facts[0].tag_count = 2;
}

/* The providers i, with the first `split` of the offer's accounts, j with the others, and empty,
 * empty1, empty2, ... */
struct test_all {
    struct test_offer *offer;
    size_t split;
    struct gate_accounts_view view;
};

static inline bool test_find_provider(void *ctx, struct gate_str provider, size_t *first,
                                      size_t *count)
{
    const struct test_all *all = ctx;
    *first = *count = 0;
    if (gate_str_eq(provider, GATE_STR("i"))) {
        *count = all->split;
    } else if (gate_str_eq(provider, GATE_STR("j"))) {
        *first = all->split;
        *count = all->offer->view.count - all->split;
    } else if (gate_str_starts(provider, GATE_STR("empty"))) {
        *first = strtoul(provider.ptr + strlen("empty"), NULL, 10);
    } else {
        return false;
    }
    return true;
}

static inline void test_read_any(void *ctx, size_t index, struct gate_account_facts *out)
{
    struct test_all *all = ctx;
    test_read_facts(all->offer, index, out);
}

static inline void test_all_init(struct test_all *all, struct test_offer *offer, size_t split)
{
    *all = (struct test_all){.offer = offer, .split = split};
    all->view = (struct gate_accounts_view){test_find_provider, test_read_any, all};
}

static inline struct gate_script *test_load_accounts(const struct test_dir *dir, const char *text)
{
    struct gate_script *s = NULL;
    struct gate_error err = {0};
    test_dir_write(dir, "conf/accounts.lua", text);
    struct gate_generation *g = test_load(dir);
    ck_assert_msg(gate_script_create(g, NULL, &s, &err) == GATE_OK, "%s", err.message);
    gate_generation_release(g);
    return s;
}

static inline struct gate_selection test_expect_select(struct gate_script *s, struct test_offer *o,
                                                       const char *model, size_t count)
{
    struct gate_route_view req = test_view(model);
    struct gate_selection out = {.count = 99};
    struct gate_error err = {0};
    ck_assert_msg(gate_script_select(s, &o->view, &req, &out, &err) == GATE_OK, "%s: %s", model,
                  err.message);
    ck_assert_msg(out.count == count, "%s: %zu selected", model, out.count);
    ck_assert(out.only == (count > 0));
    return out;
}

static inline void test_expect_select_error(struct gate_script *s, struct test_offer *o,
                                            const char *model, const char *message)
{
    struct gate_route_view req = test_view(model);
    struct gate_selection out = {.count = 99};
    struct gate_error err = {0};
    ck_assert_int_eq(gate_script_select(s, &o->view, &req, &out, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
    ck_assert(out.count == 0 && !out.only);
}

static const struct gate_verdict TEST_VERDICT = {GATE_VERDICT_RATE_LIMITED, 1500, "slow",
                                                 "Slow down."};

static inline struct gate_error_view test_failure(void)
{
    return (struct gate_error_view){.verdict = &TEST_VERDICT,
                                    .status = 429,
                                    .number = 2,
                                    .account = GATE_STR("i/0"),
                                    .alias = GATE_STR("first"),
                                    .provider = GATE_STR("i"),
                                    .model = GATE_STR("m"),
                                    .elapsed_ms = 77,
                                    .fallback = GATE_ACTION_NEXT_ACCOUNT,
                                    .cooldown_ms = 1500};
}

static inline void test_expect_decision(struct gate_script *s, const char *model,
                                        enum gate_action action, int64_t cooldown_ms)
{
    struct gate_error_view failure = test_failure();
    struct gate_route_view req = test_view(model);
    struct gate_error_decision out = {.action = GATE_ACTION_FAIL, .has_cooldown = true};
    struct gate_error err = {0};
    ck_assert_msg(gate_script_on_error(s, &failure, &req, &out, &err) == GATE_OK, "%s: %s", model,
                  err.message);
    ck_assert_msg(out.action == action, "%s: %s", model, gate_action_names[out.action]);
    ck_assert(out.has_cooldown == (cooldown_ms >= 0));
    if (cooldown_ms >= 0)
        ck_assert_uint_eq(out.cooldown_ms, (uint64_t)cooldown_ms);
}

static inline void test_expect_decision_error(struct gate_script *s, const char *model,
                                              const char *message)
{
    struct gate_error_view failure = test_failure();
    struct gate_route_view req = test_view(model);
    struct gate_error_decision out = {.action = GATE_ACTION_FAIL, .has_cooldown = true};
    struct gate_error err = {0};
    ck_assert_int_eq(gate_script_on_error(s, &failure, &req, &out, &err), GATE_EINTERNAL);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\nexpected %s", err.message, message);
    ck_assert(out.action == GATE_ACTION_DEFAULT && !out.has_cooldown);
}

#endif
