/* gateway.lua read again while the gateway runs. */
#include "config_fixture.h"

#define LOCAL(more) "return { providers = { { name = \"local\", plugin = \"openai\", " more " } } }"

static struct gate_config *reload(const struct gate_config *running, const char *lua)
{
    struct gate_config *c = NULL;
    struct gate_error err = {GATE_OK, ""};
    const struct gate_str text = gate_str_of(lua != NULL ? lua : "");

    ck_assert_msg(gate_config_reload(running, lua != NULL ? &text : NULL, &c, &err) == GATE_OK,
                  "%s", err.message);
    return c;
}

static void refused(const struct gate_config *running, const char *lua, const char *expected)
{
    struct gate_config *c = NULL;
    struct gate_error err = {GATE_OK, ""};
    const struct gate_str text = gate_str_of(lua);

    ck_assert_int_eq(gate_config_reload(running, &text, &c, &err), GATE_EINVAL);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(err.message, expected);
}

/* ---- what comes from where */

START_TEST(a_variable_that_nobody_named_at_the_start_is_found_after_the_scrubbing)
{
    struct gate_config *first, *second, *third;

    setenv("OLD_KEY", "old-key-1", 1);
    setenv("NEW_KEY", "new-key-2", 1);
    fixture_write("conf/gateway.lua", LOCAL("key_env = \"OLD_KEY\""));
    first = fixture_load();
    gate_config_scrub_environment(first);
    ck_assert_ptr_null(getenv("OLD_KEY"));
    unsetenv("NEW_KEY");
    second = reload(first, LOCAL("key_env = \"NEW_KEY\""));
    ck_assert_str_eq(fixture_account(second, "local/0")->secret, "new-key-2");
    gate_config_release(first);
    /* The copy lives as long as any that came of it. */
    third = reload(second, LOCAL("key_env = \"OLD_KEY\""));
    gate_config_release(second);
    ck_assert_str_eq(fixture_account(third, "local/0")->secret, "old-key-1");
    refused(third, LOCAL("key_env = \"LATER_KEY\""),
            "gateway.lua: providers: account \"local/0\" takes its key from LATER_KEY, which is "
            "not set");
    gate_config_release(third);
}
END_TEST

START_TEST(a_variable_set_after_the_start_does_not_count)
{
    struct gate_config *first, *second;

    setenv("LLM_GATE_DRAIN_MS", "", 1); /* as good as unset */
    first = fixture_load();
    setenv("LLM_GATE_DRAIN_MS", "77", 1);
    setenv("LLM_GATE_MAX_ATTEMPTS", "5", 1);
    second = reload(first, "return { drain_ms = 1234 }");
    ck_assert_uint_eq(second->drain_ms, 1234);
    ck_assert_uint_eq(second->max_attempts, 32);
    gate_config_release(first);
    gate_config_release(second);
}
END_TEST

START_TEST(the_environment_still_wins_over_the_text)
{
    struct gate_config *first, *second;

    setenv("LLM_GATE_DRAIN_MS", "77", 1);
    setenv("OPENAI_API_KEY", "sk-from-environment", 1);
    first = fixture_load();
    gate_config_scrub_environment(first);
    second = reload(first, "return { drain_ms = 1234, idle_timeout_ms = 4321 }");
    ck_assert_uint_eq(second->drain_ms, 77);
    ck_assert_uint_eq(second->idle_timeout_ms, 4321);
    ck_assert_str_eq(fixture_account(second, "openai/0")->secret, "sk-from-environment");
    gate_config_release(first);
    gate_config_release(second);
}
END_TEST

START_TEST(directories_and_keys_are_those_of_the_start)
{
    struct gate_config *first, *second;

    setenv("API_KEY", "a-key-of-clients-01", 1);
    setenv("ADMIN_KEY", "a-key-of-admins-02", 1);
    first = fixture_load();
    gate_config_scrub_environment(first);
    ck_assert_int_eq(rename("conf", "elsewhere"), 0);
    second = reload(first, "return {}");
    ck_assert_str_eq(second->api_key, "a-key-of-clients-01");
    ck_assert_str_eq(second->admin_key, "a-key-of-admins-02");
    ck_assert_ptr_null(second->api_key_file);
    ck_assert_str_eq(second->conf_dir, first->conf_dir);
    ck_assert_str_eq(second->data_dir, first->data_dir);
    ck_assert_str_eq(second->plugin_dir, first->plugin_dir);
    ck_assert_ptr_null(second->script_dir);
    gate_config_release(first);
    gate_config_release(second);
}
END_TEST

START_TEST(the_key_file_is_neither_read_nor_made_again)
{
    struct gate_config *first = NULL, *second;
    struct gate_error err = {GATE_OK, ""};

    ck_assert_int_eq(gate_config_load(true, &first, &err), GATE_OK);
    ck_assert(first->api_key_is_new);
    ck_assert_int_eq(remove("data/api_key"), 0);
    second = reload(first, "return {}");
    ck_assert_str_eq(second->api_key, first->api_key);
    ck_assert_str_eq(second->api_key_file, first->api_key_file);
    ck_assert(!second->api_key_is_new);
    ck_assert_int_ne(access("data/api_key", F_OK), 0);
    gate_config_release(first);
    gate_config_release(second);
}
END_TEST

START_TEST(a_key_file_of_an_account_is_read_again)
{
    static const char lua[] = LOCAL("accounts = { { alias = \"a\", key_file = \"conf/key\" } }");
    struct gate_config *first, *second;

    fixture_write("conf/key", "the-first-key\n");
    ck_assert_int_eq(chmod("conf/key", 0600), 0);
    fixture_write("conf/gateway.lua", lua);
    first = fixture_load();
    fixture_write("conf/key", "the-second-key\n");
    second = reload(first, lua);
    ck_assert_str_eq(fixture_account(first, "local/a")->secret, "the-first-key");
    ck_assert_str_eq(fixture_account(second, "local/a")->secret, "the-second-key");
    gate_config_release(first);
    gate_config_release(second);
}
END_TEST

/* ---- what changes */

START_TEST(providers_come_go_and_change)
{
    struct gate_config *first, *second;
    const struct gate_config_instance *i;

    setenv("K1", "key-one", 1);
    setenv("K2", "key-two", 1);
    fixture_write("conf/gateway.lua",
                  "return { providers = { { name = \"goes\", plugin = \"openai\" }, { name = "
                  "\"stays\", plugin = \"openai\", key_env = \"K1\" } } }");
    first = fixture_load();
    second = reload(first, "return { clocks = { idle_ms = 5 }, providers = { { name = \"stays\", "
                           "plugin = \"openai\", options = { base_url = \"http://x\" }, accounts = "
                           "{ { alias = \"one\", key_env = \"K1\" }, { alias = \"two\", key_env = "
                           "\"K2\", weight = 7, limits = { chat = { rpm = 9 } } } } }, { name = "
                           "\"comes\", plugin = \"echo\" } } }");
    ck_assert_ptr_nonnull(fixture_instance(first, "goes"));
    ck_assert_ptr_null(fixture_instance(second, "goes"));
    ck_assert_ptr_nonnull(fixture_instance(second, "comes"));
    i = fixture_instance(second, "stays");
    ck_assert_uint_eq(i->account_count, 2);
    ck_assert_uint_eq(i->clocks.idle_ms, 5);
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "http://x");
    ck_assert_uint_eq(fixture_account(second, "stays/two")->weight, 7);
    gate_config_release(first);
    gate_config_release(second);
}
END_TEST

START_TEST(without_a_text_there_is_no_file)
{
    struct gate_config *first, *second;

    fixture_write("conf/gateway.lua", "return { drain_ms = 1, echo = false }");
    first = fixture_load();
    second = reload(first, NULL);
    ck_assert_uint_eq(second->drain_ms, 30000);
    ck_assert_ptr_nonnull(fixture_instance(second, "echo"));
    gate_config_release(first);
    gate_config_release(second);
}
END_TEST

START_TEST(errors_read_as_those_of_a_start)
{
    static const char *const texts[] = {
        "return { drain = 1 }", "return { drain_ms = -1 }",     "return 7",
        "\n\nretrun {}",        LOCAL("key_env = \"API_KEY\""),
    };
    struct gate_config *c = fixture_load(), *none = NULL;
    struct gate_error first = {GATE_OK, ""}, again = {GATE_OK, ""};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct gate_str text = gate_str_of(texts[i]);

        fixture_write("conf/gateway.lua", texts[i]);
        ck_assert_int_eq(gate_config_load(false, &none, &first), GATE_EINVAL);
        ck_assert_int_eq(gate_config_reload(c, &text, &none, &again), GATE_EINVAL);
        ck_assert_ptr_null(none);
        ck_assert_str_eq(again.message, first.message);
        ck_assert_ptr_nonnull(strstr(again.message, "conf/gateway.lua:"));
    }
    gate_config_release(c);
}
END_TEST

START_TEST(a_text_that_is_too_long_is_refused)
{
    struct gate_config *c = fixture_load(), *none = NULL;
    struct gate_error err = {GATE_OK, ""};
    size_t len = (1 << 20) + 1;
    char *text = malloc(len);

    ck_assert_ptr_nonnull(text);
    memset(text, ' ', len);
    ck_assert_int_eq(gate_config_reload(c, &(struct gate_str){text, len}, &none, &err),
                     GATE_EINVAL);
    ck_assert_str_eq(err.message, "conf/gateway.lua is longer than 1048576 bytes");
    free(text);
    gate_config_release(c);
}
END_TEST

START_TEST(a_weak_key_keeps_the_gateway_from_listening_to_others)
{
    struct gate_config *c;

    setenv("API_KEY", "short", 1);
    c = fixture_load();
    gate_config_scrub_environment(c);
    refused(c, "return { listen = \"0.0.0.0:80\" }",
            "API_KEY has 5 characters; expected at least 16 when the gateway listens on an address "
            "that others can reach");
    gate_config_release(c);
}
END_TEST

/* ---- what waits for a restart */

static const struct {
    const char *lua, *key;
} restarts[] = {
    {"listen = \"127.0.0.1:9\"", "listen"},
    {"listen = \"127.0.0.2:8080\"", "listen"},
    {"workers = 200", "workers"},
    {"max_body = 4096", "max_body"},
    {"storage = { plugin = \"other\" }", "storage"},
    {"storage = { options = { a = 1, b = { \"x\", \"y\" } } }", "storage"},
    {"quota = { options = { zone = \"+09:00\" } }", "quota"},
    {"counter_flush_ms = 1", "counter_flush_ms"},
    {"log_format = \"json\"", "log_format"},
    {"audit_retention_days = 2", "audit_retention_days"},
};

START_TEST(each_of_these_keys_waits_for_a_restart)
{
    struct gate_config *booted = fixture_load(), *fresh;
    const char *names[4];
    char lua[256];

    snprintf(lua, sizeof lua, "return { %s }", restarts[_i].lua);
    fresh = reload(booted, lua);
    ck_assert_uint_eq(gate_config_restart_keys(booted, fresh, names, 4), 1);
    ck_assert_str_eq(names[0], restarts[_i].key);
    ck_assert_uint_eq(gate_config_restart_keys(fresh, fresh, names, 4), 0);
    gate_config_release(fresh);
    gate_config_release(booted);
}
END_TEST

START_TEST(everything_else_changes_at_once)
{
    struct gate_config *booted = fixture_load(), *fresh;
    const char *names[4];

    fresh = reload(booted, "return { log_level = \"ERROR\", drain_ms = 1, header_timeout_ms = 200, "
                           "body_timeout_ms = 200, idle_timeout_ms = 200, write_timeout_ms = 200, "
                           "max_attempts = 1, failover_ms = 1, echo = false, clocks = { idle_ms = "
                           "1 }, route_headers = { \"x-team\" }, providers = { { name = \"n\", "
                           "plugin = \"p\" } } }");
    ck_assert_uint_eq(gate_config_restart_keys(booted, fresh, names, 4), 0);
    ck_assert_int_eq(fresh->log_level, GATE_LOG_ERROR);
    ck_assert_uint_eq(fresh->route_header_count, 1);
    gate_config_release(fresh);
    gate_config_release(booted);
}
END_TEST

START_TEST(what_the_environment_sets_waits_for_nothing)
{
    struct gate_config *booted, *fresh;

    setenv("LLM_GATE_WORKERS", "3", 1);
    booted = fixture_load();
    fresh = reload(booted, "return { workers = 5 }");
    ck_assert_uint_eq(gate_config_restart_keys(booted, fresh, NULL, 0), 0);
    gate_config_release(fresh);
    gate_config_release(booted);
}
END_TEST

START_TEST(only_so_many_names_are_written)
{
    struct gate_config *booted = fixture_load(), *fresh;
    const char *names[2] = {NULL, "untouched"};

    fresh = reload(booted, "return { workers = 200, max_body = 4096, counter_flush_ms = 1 }");
    ck_assert_uint_eq(gate_config_restart_keys(booted, fresh, names, 1), 3);
    ck_assert_str_eq(names[0], "workers");
    ck_assert_str_eq(names[1], "untouched");
    gate_config_release(fresh);
    gate_config_release(booted);
}
END_TEST

/* ---- the same instance */

static const struct {
    const char *lua;
    bool same;
} instances[] = {
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 2, yes = true }", true},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 2, yes = true }, key_env = "
     "\"KEY\"",
     true},
    {"options = { list = { \"x\" }, base_url = \"http://a\", n = 2, yes = true }", false},
    {"options = { list = { \"y\", \"x\" }, base_url = \"http://a\", n = 2, yes = true }", false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://b\", n = 2, yes = true }", false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 3, yes = true }", false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 2, yes = false }", false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = \"2\", yes = true }",
     false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", m = 2, yes = true }", false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 2 }", false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 2, yes = true }, dedup = "
     "\"off\"",
     false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 2, yes = true }, "
     "dedup_hold_ms = 1",
     false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 2, yes = true }, ask_usage "
     "= false",
     false},
    {"options = { list = { \"x\", \"y\" }, base_url = \"http://a\", n = 2, yes = true }, clocks = "
     "{ "
     "total_ms = 1 }",
     false},
};

START_TEST(instances_differ_by_all_but_their_accounts)
{
    struct gate_config *first, *second;
    char lua[512];

    setenv("KEY", "a-key", 1);
    fixture_write("conf/gateway.lua",
                  LOCAL("options = { yes = true, n = 2, base_url = \"http://a\", list = { \"x\", "
                        "\"y\" } }"));
    first = fixture_load();
    snprintf(lua, sizeof lua, LOCAL("%s"), instances[_i].lua);
    second = reload(first, lua);
    ck_assert_int_eq(gate_config_same_instance(fixture_instance(first, "local"),
                                               fixture_instance(second, "local")),
                     instances[_i].same);
    ck_assert(gate_config_same_instance(fixture_instance(first, "openai"),
                                        fixture_instance(second, "openai")));
    ck_assert(!gate_config_same_instance(fixture_instance(first, "openai"),
                                         fixture_instance(first, "local")));
    gate_config_release(first);
    gate_config_release(second);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, a_variable_that_nobody_named_at_the_start_is_found_after_the_scrubbing);
    tcase_add_test(tcase, a_variable_set_after_the_start_does_not_count);
    tcase_add_test(tcase, the_environment_still_wins_over_the_text);
    tcase_add_test(tcase, directories_and_keys_are_those_of_the_start);
    tcase_add_test(tcase, the_key_file_is_neither_read_nor_made_again);
    tcase_add_test(tcase, a_key_file_of_an_account_is_read_again);
    tcase_add_test(tcase, providers_come_go_and_change);
    tcase_add_test(tcase, without_a_text_there_is_no_file);
    tcase_add_test(tcase, errors_read_as_those_of_a_start);
    tcase_add_test(tcase, a_text_that_is_too_long_is_refused);
    tcase_add_test(tcase, a_weak_key_keeps_the_gateway_from_listening_to_others);
    FIXTURE_ADD_ROWS(tcase, each_of_these_keys_waits_for_a_restart, restarts);
    tcase_add_test(tcase, everything_else_changes_at_once);
    tcase_add_test(tcase, what_the_environment_sets_waits_for_nothing);
    tcase_add_test(tcase, only_so_many_names_are_written);
    FIXTURE_ADD_ROWS(tcase, instances_differ_by_all_but_their_accounts, instances);
}

int main(void)
{
    return fixture_main("config_reload", add);
}
