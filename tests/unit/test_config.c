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
    ck_assert_ptr_eq(c->admin_key, NULL);
    ck_assert_ptr_eq(c->secret, NULL);
    ck_assert_str_eq(c->storage.plugin, "rocksdb");
    ck_assert_str_eq(c->quota.plugin, "window");
    ck_assert_uint_eq(c->storage.option_count + c->quota.option_count, 0);
    ck_assert_uint_eq(c->counter_flush_ms, 500);
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_CHAT].set, 0);
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_SEARCH].set, 0);
    ck_assert(c->alerts.enabled);
    ck_assert_uint_eq(c->alerts.threshold_percent, 80);
    ck_assert_ptr_eq(c->alerts.webhook_url, NULL);
    ck_assert(c->audit_success_log);
    ck_assert_uint_eq(c->audit_retention_days, 30);
    ck_assert_uint_eq(c->max_attempts, 32);
    ck_assert_uint_eq(c->failover_ms, 300000);
    ck_assert_uint_eq(c->warning_count, 0);
    /* Nothing is made for a check. */
    ck_assert_ptr_eq(c->api_key, NULL);
    ck_assert_int_ne(access("data", F_OK), 0);
    gate_config_release(c);
    gate_config_release(NULL);
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
    setenv("LLM_GATE_SECRET", "16 bytes or more", 1);
    setenv("LLM_GATE_COUNTER_FLUSH_MS", "0", 1);
    setenv("LLM_GATE_MAX_ATTEMPTS", "256", 1);
    setenv("LLM_GATE_FAILOVER_MS", "1", 1);
    setenv("AUDIT_SUCCESS_LOG", "false", 1);
    setenv("AUDIT_RETENTION_DAYS", "3650", 1);
    setenv("CHAT_DAILY_LIMIT", "1000000000", 1);
    setenv("SEARCH_RPM_LIMIT", "0", 1);
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
    ck_assert_str_eq(c->secret, "16 bytes or more");
    ck_assert_uint_eq(c->counter_flush_ms, 0);
    ck_assert_uint_eq(c->max_attempts, 256);
    ck_assert_uint_eq(c->failover_ms, 1);
    ck_assert(!c->audit_success_log);
    ck_assert_uint_eq(c->audit_retention_days, 3650);
    /* What no variable says is left to others; 0 says that there is no limit. */
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_CHAT].set, GATE_LIMITS_RPD);
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_CHAT].values.requests_per_day, 1000000000);
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_SEARCH].set, GATE_LIMITS_RPM);
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_SEARCH].values.requests_per_minute, 0);
    gate_config_release(c);

    setenv("CHAT_RPM_LIMIT", "60", 1);
    setenv("SEARCH_DAILY_LIMIT", "7", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_CHAT].values.requests_per_minute, 60);
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_SEARCH].values.requests_per_day, 7);
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_CHAT].set, GATE_LIMITS_RPD | GATE_LIMITS_RPM);
    gate_config_release(c);
}
END_TEST

START_TEST(empty_variables_count_as_unset)
{
    static const char *const names[] = {
        "API_KEY",        "LOG_LEVEL",         "LLM_GATE_LOG_FORMAT",    "LLM_GATE_LISTEN",
        "MODEL_MAPPINGS", "LLM_GATE_WORKERS",  "LLM_GATE_ALLOW_PRIVATE", "LLM_GATE_DATA_DIR",
        "OPENAI_API_KEY", "DASHSCOPE_API_KEY", "QWEN_CREDS_JSON",        "OPENAI_BASE_URL",
        "ADMIN_KEY",      "LLM_GATE_SECRET",   "CHAT_DAILY_LIMIT",       "SEARCH_RPM_LIMIT",
        "ALERT_ENABLED",  "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_TYPE",     "ALERT_WEBHOOK_SECRET",
        "QWEN_CLIENT_ID", "AUDIT_SUCCESS_LOG", "AUDIT_RETENTION_DAYS",   "LLM_GATE_MAX_ATTEMPTS",
    };
    struct gate_config *c;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        setenv(names[i], "", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->listen_port, 8080);
    ck_assert_uint_eq(c->mapping_count, 1);
    ck_assert_uint_eq(c->instance_count, 4);
    ck_assert(c->instances[0].implicit && c->instances[1].implicit && c->instances[2].implicit);
    ck_assert_str_eq(c->data_dir, "./data");
    ck_assert_ptr_eq(c->secret, NULL);
    ck_assert_ptr_eq(c->alerts.webhook_url, NULL);
    ck_assert_uint_eq(c->limits.kinds[GATE_USAGE_CHAT].set, 0);
    ck_assert_uint_eq(c->warning_count, 0);
    gate_config_release(c);
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
    {"LLM_GATE_COUNTER_FLUSH_MS", "1001",
     "LLM_GATE_COUNTER_FLUSH_MS is \"1001\"; expected a whole number from 0 to 1000"},
    {"LLM_GATE_MAX_ATTEMPTS", "0",
     "LLM_GATE_MAX_ATTEMPTS is \"0\"; expected a whole number from 1 to 256"},
    {"LLM_GATE_FAILOVER_MS", "0",
     "LLM_GATE_FAILOVER_MS is \"0\"; expected a whole number from 1 to 3600000"},
    {"AUDIT_RETENTION_DAYS", "0",
     "AUDIT_RETENTION_DAYS is \"0\"; expected a whole number from 1 to 3650"},
    {"AUDIT_SUCCESS_LOG", "on", "AUDIT_SUCCESS_LOG is \"on\"; expected 0, 1, true or false"},
    {"CHAT_DAILY_LIMIT", "1000000001",
     "CHAT_DAILY_LIMIT is \"1000000001\"; expected a whole number from 0 (no limit) to 1000000000"},
    {"CHAT_RPM_LIMIT", "-1",
     "CHAT_RPM_LIMIT is \"-1\"; expected a whole number from 0 (no limit) to 1000000000"},
    {"LLM_GATE_SECRET", "15 bytes it has", "LLM_GATE_SECRET has 15 bytes; expected 16 to 512"},
    {"QWEN_CLIENT_ID", "two words",
     "QWEN_CLIENT_ID is \"two words\"; expected 1 to 256 characters of printable ASCII without "
     "spaces"},
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
    gate_config_release(c);
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
    gate_config_release(c);

    setenv("MODEL_MAPPINGS", "{}", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->mapping_count, 0);
    gate_config_release(c);
}
END_TEST

/* ---- alerts */

START_TEST(alerts_are_read)
{
    static const struct {
        const char *name;
        enum gate_webhook_type type;
    } types[] = {
        {"dingtalk", GATE_WEBHOOK_DINGTALK},
        {"feishu", GATE_WEBHOOK_FEISHU},
        {"slack", GATE_WEBHOOK_SLACK},
        {"generic", GATE_WEBHOOK_GENERIC},
    };
    struct gate_config *c;

    setenv("ALERT_ENABLED", "True", 1);
    setenv("ALERT_QUOTA_THRESHOLD_PERCENT", "100", 1);
    setenv("ALERT_WEBHOOK_URL", "https://h.example:8443/robot/send?access_token=a%20b", 1);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        setenv("ALERT_WEBHOOK_TYPE", types[i].name, 1);
        c = fixture_load();
        ck_assert_int_eq(c->alerts.webhook_type, types[i].type);
        gate_config_release(c);
    }
    setenv("ALERT_ENABLED", "0", 1);
    setenv("ALERT_WEBHOOK_TYPE", "dingtalk", 1);
    setenv("ALERT_WEBHOOK_SECRET", "SEC 1", 1);
    c = fixture_load();
    ck_assert(!c->alerts.enabled);
    ck_assert_uint_eq(c->alerts.threshold_percent, 100);
    ck_assert_str_eq(c->alerts.webhook_url, "https://h.example:8443/robot/send?access_token=a%20b");
    ck_assert_str_eq(c->alerts.webhook_secret, "SEC 1");
    ck_assert_uint_eq(c->warning_count, 0);
    gate_config_release(c);
}
END_TEST

START_TEST(useless_alert_variables_are_warned_of)
{
    struct gate_config *c;

    setenv("ALERT_WEBHOOK_SECRET", "s", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0], "ALERT_WEBHOOK_SECRET is set but ALERT_WEBHOOK_URL is not: "
                                     "alerts are logged only");
    gate_config_release(c);

    setenv("ALERT_WEBHOOK_URL", "http://h", 1);
    setenv("ALERT_WEBHOOK_TYPE", "slack", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0], "ALERT_WEBHOOK_SECRET is not used: only dingtalk and feishu "
                                     "sign what they are sent");
    gate_config_release(c);
}
END_TEST

#define URL_EXPECTED                                                                               \
    "ALERT_WEBHOOK_URL (not shown: it may hold a token) does not fit; expected "                   \
    "http[s]://host[:port][/path][?query] of at most 2048 printable ASCII characters without "     \
    "user and fragment"

static const struct {
    const char *name, *value, *expected;
} bad_alerts[] = {
    {"ALERT_ENABLED", "yes", "ALERT_ENABLED is \"yes\"; expected 0, 1, true or false"},
    {"ALERT_QUOTA_THRESHOLD_PERCENT", "101",
     "ALERT_QUOTA_THRESHOLD_PERCENT is \"101\"; expected a whole number from 1 to 100"},
    {"ALERT_WEBHOOK_TYPE", "Slack",
     "ALERT_WEBHOOK_TYPE is \"Slack\"; expected dingtalk, feishu, slack or generic"},
    {"ALERT_WEBHOOK_URL", "h.example/secret", URL_EXPECTED},
    {"ALERT_WEBHOOK_URL", "https:///secret", URL_EXPECTED},
    {"ALERT_WEBHOOK_URL", "https://?secret", URL_EXPECTED},
    {"ALERT_WEBHOOK_URL", "https://me:secret@h/", URL_EXPECTED},
    {"ALERT_WEBHOOK_URL", "https://h/se cret", URL_EXPECTED},
    {"ALERT_WEBHOOK_URL", "https://h/secret\n", URL_EXPECTED},
    {"ALERT_WEBHOOK_URL", "https://h/#secret", URL_EXPECTED},
};

START_TEST(malformed_alert_variables_stop_the_start)
{
    setenv(bad_alerts[_i].name, bad_alerts[_i].value, 1);
    fixture_refused(bad_alerts[_i].expected);
}
END_TEST

START_TEST(secrets_leave_the_environment)
{
    static const char *const names[] = {"API_KEY", "ADMIN_KEY", "LLM_GATE_SECRET",
                                        "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET"};
    struct gate_config *c;
    const char *value;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        setenv(names[i], "https://0hK7-rand0m_key.42", 1);
    setenv("API_KEY", good_key, 1);
    setenv("ADMIN_KEY", good_key, 1);
    setenv("ALERT_WEBHOOK_TYPE", "feishu", 1);
    c = fixture_load();
    value = getenv("LLM_GATE_SECRET");
    gate_config_scrub_environment(c);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_ptr_eq(getenv(names[i]), NULL);
    ck_assert_ptr_ne(getenv("ALERT_WEBHOOK_TYPE"), NULL);
    ck_assert_int_eq(value[0], '\0');
    ck_assert_str_eq(c->admin_key, good_key);
    ck_assert_str_eq(c->secret, "https://0hK7-rand0m_key.42");
    gate_config_release(c);
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
    tcase_add_test(tcase, alerts_are_read);
    tcase_add_test(tcase, useless_alert_variables_are_warned_of);
    FIXTURE_ADD_ROWS(tcase, malformed_alert_variables_stop_the_start, bad_alerts);
    tcase_add_test(tcase, secrets_leave_the_environment);
}

int main(void)
{
    return fixture_main("config", add_tests);
}
