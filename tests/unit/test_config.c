/* Configuration from environment variables. */
#include "config_fixture.h"

static const char good_key[] = "0hK7-rand0m_key.42";

START_TEST(without_anything_the_defaults_hold)
{
    struct gate_config *c = fixture_load();

    ck_assert_str_eq(c->listen_host, "127.0.0.1");
    ck_assert_uint_eq(c->listen_port, 8080);
    ck_assert(c->workers >= 1 && c->workers <= 256);
    ck_assert_int_eq(c->log_level, GATE_LOG_INFO);
    ck_assert_int_eq(c->log_format, GATE_LOG_TEXT);
    ck_assert_uint_eq(c->max_body, 32 << 20);
    ck_assert_uint_eq(c->drain_ms, 30000);
    ck_assert_uint_eq(c->max_connections, 10000);
    ck_assert_uint_eq(c->clocks.connect_ms, 10000);
    ck_assert_uint_eq(c->clocks.keepalive_ms, 0);
    ck_assert(!c->allow_private);
    ck_assert_str_eq(c->conf_dir, "conf");
    ck_assert_str_eq(c->data_dir, "./data");
    ck_assert_uint_eq(c->mapping_count, 1);
    ck_assert(gate_str_eq(c->mappings[0].name, GATE_STR("research-model-v1")));
    ck_assert(gate_str_eq(c->mappings[0].target, GATE_STR("coder-model")));
    ck_assert_uint_eq(c->instance_count, 1);
    ck_assert_str_eq(c->instances[0].name, "echo");
    ck_assert_str_eq(c->instances[0].plugin, "echo");
    ck_assert_str_eq(c->instances[0].dedup, "auto");
    ck_assert_uint_eq(c->instances[0].dedup_hold_ms, 150);
    ck_assert_ptr_eq(c->instances[0].key_env, NULL);
    ck_assert_uint_eq(c->warning_count, 0);
    /* Nothing is made for a check. */
    ck_assert_ptr_eq(c->api_key, NULL);
    ck_assert_int_ne(access("data", F_OK), 0);
    gate_config_destroy(c);
    gate_config_destroy(NULL);
}
END_TEST

START_TEST(variables_are_read)
{
    struct gate_config *c;

    setenv("API_KEY", good_key, 1);
    setenv("LOG_LEVEL", "debug", 1);
    setenv("LLM_GATE_LOG_FORMAT", "json", 1);
    setenv("LLM_GATE_LISTEN", "0.0.0.0:0", 1);
    setenv("LLM_GATE_WORKERS", "256", 1);
    setenv("LLM_GATE_MAX_BODY", "1073741824", 1);
    setenv("LLM_GATE_DRAIN_MS", "0", 1);
    setenv("LLM_GATE_ALLOW_PRIVATE", "1", 1);
    setenv("LLM_GATE_DATA_DIR", "elsewhere", 1);
    c = fixture_load();
    ck_assert_str_eq(c->api_key, good_key);
    ck_assert_ptr_eq(c->api_key_file, NULL);
    ck_assert_int_eq(c->log_level, GATE_LOG_DEBUG);
    ck_assert_int_eq(c->log_format, GATE_LOG_JSON);
    ck_assert_str_eq(c->listen_host, "0.0.0.0");
    ck_assert_uint_eq(c->listen_port, 0);
    ck_assert_uint_eq(c->workers, 256);
    ck_assert_uint_eq(c->max_body, 1 << 30);
    ck_assert_uint_eq(c->drain_ms, 0);
    ck_assert(c->allow_private);
    ck_assert_str_eq(c->data_dir, "elsewhere");
    gate_config_destroy(c);
}
END_TEST

START_TEST(empty_variables_count_as_unset)
{
    static const char *const names[] = {
        "API_KEY",        "LOG_LEVEL",         "LLM_GATE_LOG_FORMAT",    "LLM_GATE_LISTEN",
        "MODEL_MAPPINGS", "LLM_GATE_WORKERS",  "LLM_GATE_ALLOW_PRIVATE", "LLM_GATE_DATA_DIR",
        "OPENAI_API_KEY", "DASHSCOPE_API_KEY", "QWEN_CREDS_JSON",        "OPENAI_BASE_URL",
    };
    struct gate_config *c;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        setenv(names[i], "", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->listen_port, 8080);
    ck_assert_uint_eq(c->mapping_count, 1);
    ck_assert_uint_eq(c->instance_count, 1);
    ck_assert_str_eq(c->data_dir, "./data");
    gate_config_destroy(c);
}
END_TEST

static const struct {
    const char *name, *value, *expected;
} malformed[] = {
    {"LOG_LEVEL", "LOUD", "LOG_LEVEL is \"LOUD\"; expected DEBUG, INFO, WARN or ERROR"},
    {"LLM_GATE_LOG_FORMAT", "xml", "LLM_GATE_LOG_FORMAT is \"xml\"; expected text or json"},
    {"LLM_GATE_WORKERS", "0", "LLM_GATE_WORKERS is \"0\"; expected a whole number from 1 to 256"},
    {"LLM_GATE_WORKERS", "257",
     "LLM_GATE_WORKERS is \"257\"; expected a whole number from 1 to 256"},
    {"LLM_GATE_WORKERS", " 4", "LLM_GATE_WORKERS is \" 4\"; expected a whole number from 1 to 256"},
    {"LLM_GATE_WORKERS", "18446744073709551617",
     "LLM_GATE_WORKERS is \"18446744073709551617\"; expected a whole number from 1 to 256"},
    {"LLM_GATE_MAX_BODY", "32M",
     "LLM_GATE_MAX_BODY is \"32M\"; expected a whole number from 1024 to 1073741824"},
    {"LLM_GATE_DRAIN_MS", "-1",
     "LLM_GATE_DRAIN_MS is \"-1\"; expected a whole number from 0 to 3600000"},
    {"LLM_GATE_ALLOW_PRIVATE", "yes", "LLM_GATE_ALLOW_PRIVATE is \"yes\"; expected 0 or 1"},
    {"LLM_GATE_CONF_DIR", "nowhere",
     "LLM_GATE_CONF_DIR is \"nowhere\"; expected an existing directory"},
    {"LLM_GATE_PLUGIN_DIR", "no\nwhere",
     "LLM_GATE_PLUGIN_DIR is \"no?where\"; expected an existing directory"},
    {"OPENAI_BASE_URL", "api.openai.com/v1",
     "OPENAI_BASE_URL is \"api.openai.com/v1\"; expected http[s]://host[:port][/path] without "
     "user, query and fragment"},
    {"DASHSCOPE_BASE_URL", "https://me:secret@host/",
     "DASHSCOPE_BASE_URL is \"...\"; expected http[s]://host[:port][/path] without user, query and "
     "fragment"},
    {"OPENAI_API_KEY", "sk-with a space",
     "OPENAI_API_KEY: character 8 is not allowed; expected an API key of printable ASCII without "
     "spaces"},
    {"OPENAI_API_KEY", "sk-line\n",
     "OPENAI_API_KEY: character 8 is not allowed; expected an API key of printable ASCII without "
     "spaces"},
};

START_TEST(malformed_variables_stop_the_start)
{
    setenv(malformed[_i].name, malformed[_i].value, 1);
    fixture_refused(malformed[_i].expected);
}
END_TEST

static const struct {
    const char *text, *host; /* host NULL: refused */
    uint16_t port;
} listens[] = {
    {"127.0.0.1:1", "127.0.0.1", 1},
    {"[::1]:65535", "::1", 65535},
    {"localhost:80", "127.0.0.1", 80},
    {"[::]:8080", "::", 8080},
    {"8080", NULL, 0},
    {":8080", NULL, 0},
    {"127.0.0.1", NULL, 0},
    {"127.0.0.1:", NULL, 0},
    {"127.0.0.1:65536", NULL, 0},
    {"127.0.0.1:-1", NULL, 0},
    {"::1:8080", NULL, 0},
    {"[::1]", NULL, 0},
    {"[::1:80", NULL, 0},
    {"[127.0.0.1]:80", NULL, 0},
    {"example.com:80", NULL, 0},
    {"127.0.0.1:80 ", NULL, 0},
    {"[]:80", NULL, 0},
};

START_TEST(listen_addresses)
{
    struct gate_config *c;
    char message[512];

    setenv("API_KEY", good_key, 1);
    setenv("LLM_GATE_LISTEN", listens[_i].text, 1);
    if (listens[_i].host == NULL) {
        snprintf(message, sizeof message,
                 "LLM_GATE_LISTEN is \"%s\"; expected address:port with a numeric address or "
                 "localhost, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080",
                 listens[_i].text);
        fixture_refused(message);
        return;
    }
    c = fixture_load();
    ck_assert_str_eq(c->listen_host, listens[_i].host);
    ck_assert_uint_eq(c->listen_port, listens[_i].port);
    gate_config_destroy(c);
}
END_TEST

#define JSON_EXPECTED "expected an object such as {\"name\":\"model\"}"

static const struct {
    const char *text, *expected;
} bad_mappings[] = {
    {"{", "MODEL_MAPPINGS is not valid JSON near byte 1; " JSON_EXPECTED},
    {"{\"a\":\"b\",}", "MODEL_MAPPINGS is not valid JSON near byte 10; " JSON_EXPECTED},
    {"{\"a\":\"b\"} x", "MODEL_MAPPINGS is not valid JSON near byte 10; " JSON_EXPECTED},
    {"{\"a\":\"\xff\"}",
     "MODEL_MAPPINGS is not valid JSON: a byte that is not UTF-8 at byte 6; " JSON_EXPECTED},
    {"{\"a\":\"b\nc\"}",
     "MODEL_MAPPINGS is not valid JSON: a control byte inside a string at byte 7; " JSON_EXPECTED},
    {"{\"a\":\"b\\u0000c\"}",
     "MODEL_MAPPINGS is not valid JSON: an escaped NUL at byte 7; " JSON_EXPECTED},
    {"[\"a\"]", "MODEL_MAPPINGS is JSON but not an object; " JSON_EXPECTED},
    {"{\"a\":1}", "MODEL_MAPPINGS: the value of \"a\" is not a model name; expected a string of 1 "
                  "to 256 bytes without white space"},
    {"{\"a\":\"\"}", "MODEL_MAPPINGS: the value of \"a\" is not a model name; expected a string of "
                     "1 to 256 bytes without white space"},
    {"{\"\":\"b\"}",
     "MODEL_MAPPINGS: the name \"\" is empty, longer than 256 bytes or has white space"},
    {"{\"a\":\"b\",\"c\":\"d\",\"a\":\"e\"}", "MODEL_MAPPINGS: \"a\" is mapped twice"},
};

START_TEST(malformed_mappings_stop_the_start)
{
    setenv("MODEL_MAPPINGS", bad_mappings[_i].text, 1);
    fixture_refused(bad_mappings[_i].expected);
}
END_TEST

START_TEST(mappings_are_read)
{
    struct gate_config *c;

    /* \\u0000 is a backslash and text, no NUL; A is case-sensitive. */
    setenv("MODEL_MAPPINGS", " {\"A\":\"x/y\",\"a\":\"m\\\\u0000\",\"\\u00e9\":\"\\\"\"} ", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->mapping_count, 3);
    ck_assert(gate_str_eq(c->mappings[0].target, GATE_STR("x/y")));
    ck_assert(gate_str_eq(c->mappings[1].target, GATE_STR("m\\u0000")));
    ck_assert(gate_str_eq(c->mappings[2].name, GATE_STR("\xc3\xa9")));
    ck_assert(gate_str_eq(c->mappings[2].target, GATE_STR("\"")));
    gate_config_destroy(c);

    setenv("MODEL_MAPPINGS", "{}", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->mapping_count, 0);
    gate_config_destroy(c);
}
END_TEST

/* ---- providers */

START_TEST(variables_make_providers)
{
    const struct gate_config_instance *i;
    struct gate_config *c;

    setenv("DASHSCOPE_API_KEY", "sk-sp-1", 1);
    setenv("OPENAI_API_KEY", "sk-2", 1);
    setenv("QWEN_CREDS_JSON", "{\"access_token\":\"t\",\"expiry_date\":1}", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->instance_count, 4);

    i = &c->instances[0];
    ck_assert_str_eq(i->name, "qwen");
    ck_assert_str_eq(i->plugin, "qwen");
    ck_assert_int_eq(i->credential_kind, GATE_CREDENTIAL_API_KEY);
    ck_assert_str_eq(i->secret, "sk-sp-1");
    ck_assert_uint_eq(i->secret_len, 7);
    ck_assert_uint_eq(i->option_count, 0);
    ck_assert(i->from_environment);

    i = &c->instances[1];
    ck_assert_str_eq(i->name, "qwen-oauth");
    ck_assert_str_eq(i->plugin, "qwen");
    ck_assert_int_eq(i->credential_kind, GATE_CREDENTIAL_OAUTH);
    ck_assert_str_eq(i->secret, "{\"access_token\":\"t\",\"expiry_date\":1}");

    i = &c->instances[2];
    ck_assert_str_eq(i->name, "openai");
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "https://api.openai.com/v1");
    ck_assert(fixture_option(i, "catch_all")->boolean);
    ck_assert_str_eq(c->instances[3].name, "echo");
    ck_assert(!c->instances[3].from_environment);

    gate_config_scrub_environment(c);
    ck_assert_ptr_eq(getenv("DASHSCOPE_API_KEY"), NULL);
    ck_assert_ptr_eq(getenv("OPENAI_API_KEY"), NULL);
    ck_assert_ptr_eq(getenv("QWEN_CREDS_JSON"), NULL);
    ck_assert_str_eq(c->instances[0].secret, "sk-sp-1");
    gate_config_destroy(c);
}
END_TEST

START_TEST(base_addresses_from_variables)
{
    const struct gate_config_instance *i;
    struct gate_config *c;

    /* A local server needs no key; a Qwen address without a key makes nothing. */
    setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1", 1);
    setenv("DASHSCOPE_BASE_URL", "https://h.example/v1", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->instance_count, 2);
    i = &c->instances[0];
    ck_assert_str_eq(i->name, "openai");
    ck_assert_ptr_eq(i->secret, NULL);
    ck_assert_int_eq(i->credential_kind, GATE_CREDENTIAL_NONE);
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "http://127.0.0.1:11434/v1");
    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0], "DASHSCOPE_BASE_URL is set but DASHSCOPE_API_KEY is not: no "
                                     "provider is made from it");
    gate_config_destroy(c);

    setenv("DASHSCOPE_API_KEY", "sk-1", 1);
    c = fixture_load();
    i = fixture_instance(c, "qwen");
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "https://h.example/v1");
    ck_assert_ptr_eq(fixture_option(i, "catch_all"), NULL);
    gate_config_destroy(c);
}
END_TEST

#define OAUTH_EXPECTED                                                                             \
    "expected an object such as {\"access_token\":\"...\",\"refresh_token\":\"...\"}"

static const struct {
    const char *text, *expected;
} bad_logins[] = {
    {"secret-token", "QWEN_CREDS_JSON is not valid JSON near byte 0; " OAUTH_EXPECTED},
    {"[{\"access_token\":\"secret\"}]",
     "QWEN_CREDS_JSON is JSON but not an object; " OAUTH_EXPECTED},
    {"{\"token\":\"secret\"}", "QWEN_CREDS_JSON has no access_token; " OAUTH_EXPECTED},
    {"{\"access_token\":\"\"}", "QWEN_CREDS_JSON has no access_token; " OAUTH_EXPECTED},
    {"{\"access_token\":\"secret\",\"resource_url\":7}",
     "QWEN_CREDS_JSON: resource_url is not a string"},
    {"{\"access_token\":\"secret\",\"expiry_date\":\"soon\"}",
     "QWEN_CREDS_JSON: expiry_date is not a number (milliseconds since the Unix epoch)"},
};

START_TEST(malformed_logins_stop_the_start)
{
    setenv("QWEN_CREDS_JSON", bad_logins[_i].text, 1);
    fixture_refused(bad_logins[_i].expected);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, without_anything_the_defaults_hold);
    tcase_add_test(tcase, variables_are_read);
    tcase_add_test(tcase, empty_variables_count_as_unset);
    FIXTURE_ADD_ROWS(tcase, malformed_variables_stop_the_start, malformed);
    FIXTURE_ADD_ROWS(tcase, listen_addresses, listens);
    FIXTURE_ADD_ROWS(tcase, malformed_mappings_stop_the_start, bad_mappings);
    tcase_add_test(tcase, mappings_are_read);
    tcase_add_test(tcase, variables_make_providers);
    tcase_add_test(tcase, base_addresses_from_variables);
    FIXTURE_ADD_ROWS(tcase, malformed_logins_stop_the_start, bad_logins);
}

int main(void)
{
    return fixture_main("config", add_tests);
}
