/* conf/gateway.lua: what it can say, and how faults in it are named. */
#include "config_fixture.h"

static void set_file(const char *text)
{
    fixture_write("conf/gateway.lua", text);
}

START_TEST(every_key_is_read)
{
    struct gate_config *c;

    set_file("local second = 1000\n"
             "return { listen = '[::1]:9000', workers = 3, log_level = 'WARN',\n"
             "  log_format = 'json', max_body = 2048, drain_ms = 2 * second,\n"
             "  header_timeout_ms = 101, body_timeout_ms = 102, idle_timeout_ms = 103,\n"
             "  write_timeout_ms = 104.0, max_connections = 105, echo = false,\n"
             "  clocks = { connect_ms = 1, first_token_ms = 2, idle_ms = 0, total_ms = 4,\n"
             "             keepalive_ms = 5 },\n"
             "  max_attempts = 106, failover_ms = 107, counter_flush_ms = 108,\n"
             "  audit_retention_days = 109,\n"
             "  storage = { plugin = 'other_db', options = { cache_mb = 8 } },\n"
             "  quota = { options = { zone = 'UTC', days = { 'mo' } } },\n"
             "  route_headers = { 'X-Team', 'x-user' }, providers = {} }\n");
    c = fixture_load();
    ck_assert_str_eq(c->listen_host, "::1");
    ck_assert_uint_eq(c->listen_port, 9000);
    ck_assert_uint_eq(c->workers, 3);
    ck_assert_int_eq(c->log_level, GATE_LOG_WARN);
    ck_assert_int_eq(c->log_format, GATE_LOG_JSON);
    ck_assert_uint_eq(c->max_body, 2048);
    ck_assert_uint_eq(c->drain_ms, 2000);
    ck_assert_uint_eq(c->header_timeout_ms, 101);
    ck_assert_uint_eq(c->body_timeout_ms, 102);
    ck_assert_uint_eq(c->idle_timeout_ms, 103);
    ck_assert_uint_eq(c->write_timeout_ms, 104);
    ck_assert_uint_eq(c->max_connections, 105);
    ck_assert_uint_eq(c->clocks.connect_ms, 1);
    ck_assert_uint_eq(c->clocks.first_token_ms, 2);
    ck_assert_uint_eq(c->clocks.idle_ms, 0);
    ck_assert_uint_eq(c->clocks.total_ms, 4);
    ck_assert_uint_eq(c->clocks.keepalive_ms, 5);
    ck_assert_uint_eq(c->route_header_count, 2);
    ck_assert_str_eq(c->route_headers[0], "x-team");
    ck_assert_str_eq(c->route_headers[1], "x-user");
    ck_assert_uint_eq(c->max_attempts, 106);
    ck_assert_uint_eq(c->failover_ms, 107);
    ck_assert_uint_eq(c->counter_flush_ms, 108);
    ck_assert_uint_eq(c->audit_retention_days, 109);
    ck_assert_str_eq(c->storage.plugin, "other_db");
    ck_assert_uint_eq(c->storage.option_count, 1);
    ck_assert_str_eq(c->storage.options[0].name, "cache_mb");
    ck_assert_double_eq(c->storage.options[0].number, 8);
    ck_assert_str_eq(c->quota.plugin, "window");
    ck_assert_uint_eq(c->quota.option_count, 2);
    ck_assert_uint_eq(c->instance_count, 3);
    ck_assert_ptr_eq(fixture_instance(c, "echo"), NULL);
    gate_config_release(c);
}
END_TEST

START_TEST(the_environment_wins)
{
    struct gate_config *c;

    set_file("return { listen = '127.0.0.1:1', workers = 3, log_level = 'WARN', drain_ms = 5,\n"
             "  max_attempts = 4, counter_flush_ms = 6 }");
    setenv("LLM_GATE_MAX_ATTEMPTS", "5", 1);
    setenv("LLM_GATE_LISTEN", "127.0.0.1:2", 1);
    setenv("LLM_GATE_WORKERS", "7", 1);
    setenv("LOG_LEVEL", "ERROR", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->listen_port, 2);
    ck_assert_uint_eq(c->workers, 7);
    ck_assert_int_eq(c->log_level, GATE_LOG_ERROR);
    ck_assert_uint_eq(c->drain_ms, 5);
    ck_assert_uint_eq(c->max_attempts, 5);
    ck_assert_uint_eq(c->counter_flush_ms, 6);
    gate_config_release(c);
}
END_TEST

START_TEST(providers_are_read_in_order)
{
    const struct gate_config_instance *i;
    const struct gate_config_option *o;
    struct gate_config *c;

    setenv("WORK_KEY", "k1", 1);
    setenv("LOGIN", "{\"access_token\":\"t\"}", 1);
    set_file("return { clocks = { idle_ms = 7 }, providers = {\n"
             "  { name = 'b-2', plugin = 'openai', key_env = 'WORK_KEY', dedup = 'exact',\n"
             "    dedup_hold_ms = 20, clocks = { total_ms = 8 },\n"
             "    options = { base_url = 'http://h', models = { 'm', 'n' }, catch_all = true,\n"
             "                weight = 0.5 } },\n"
             "  { name = 'a', plugin = 'qwen', key_env = 'LOGIN', credential = 'oauth' },\n"
             "} }");
    c = fixture_load();
    ck_assert_uint_eq(c->instance_count, 6);
    i = &c->instances[0];
    ck_assert_str_eq(i->name, "b-2");
    ck_assert_str_eq(i->plugin, "openai");
    ck_assert(!i->implicit && !i->from_environment && i->ask_usage);
    ck_assert_uint_eq(i->account_count, 1);
    ck_assert_str_eq(i->accounts[0].id, "b-2/0");
    ck_assert_str_eq(i->accounts[0].secret, "k1");
    ck_assert_int_eq(i->accounts[0].kind, GATE_CREDENTIAL_API_KEY);
    ck_assert_int_eq(i->accounts[0].source, GATE_SOURCE_ENVIRONMENT);
    ck_assert_str_eq(i->dedup, "exact");
    ck_assert_uint_eq(i->dedup_hold_ms, 20);
    ck_assert_uint_eq(i->clocks.idle_ms, 7);
    ck_assert_uint_eq(i->clocks.total_ms, 8);
    ck_assert_uint_eq(i->option_count, 4);
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "http://h");
    o = fixture_option(i, "models");
    ck_assert_int_eq(o->type, GATE_OPTION_LIST);
    ck_assert_uint_eq(o->list_len, 2);
    ck_assert_str_eq(o->list[1], "n");
    ck_assert(fixture_option(i, "catch_all")->boolean);
    ck_assert_double_eq(fixture_option(i, "weight")->number, 0.5);

    i = &c->instances[1];
    ck_assert_str_eq(i->name, "a");
    ck_assert_int_eq(i->accounts[0].kind, GATE_CREDENTIAL_OAUTH);
    ck_assert_int_eq(i->accounts[0].source, GATE_SOURCE_SEED);
    ck_assert_uint_eq(i->clocks.total_ms, 1800000);
    ck_assert_str_eq(c->instances[2].name, "qwen");
    ck_assert_str_eq(c->instances[5].name, "echo");

    gate_config_scrub_environment(c);
    ck_assert_ptr_eq(getenv("WORK_KEY"), NULL);
    gate_config_release(c);
}
END_TEST

START_TEST(an_echo_of_ones_own)
{
    struct gate_config *c;

    set_file("return { providers = { { name = 'echo', plugin = 'echo',\n"
             "  options = { model = 'mirror' } } } }");
    c = fixture_load();
    ck_assert_uint_eq(c->instance_count, 4);
    ck_assert_str_eq(fixture_option(&c->instances[0], "model")->string, "mirror");
    ck_assert_uint_eq(c->instances[0].account_count, 1);
    gate_config_release(c);
}
END_TEST

#define PROVIDER(text) "return { providers = { { name = 'a', plugin = 'b', " text " } } }"
#define AT "conf/gateway.lua: "

static const struct {
    const char *text, *expected;
} faults[] = {
    {"", AT "it returns nil; expected: return { key = value, ... }"},
    {"return 7", AT "it returns 7; expected: return { key = value, ... }"},
    {"return { wrokers = 4 }", AT "wrokers is not a known key; did you mean workers?"},
    {"return { clocks = { idel_ms = 4 } }",
     AT "clocks.idel_ms is not a known key; did you mean idle_ms?"},
    {"return { clocks = { zzzzzzzz = 4 } }",
     AT "clocks.zzzzzzzz is not a known key; expected one of: connect_ms, first_token_ms, idle_ms, "
        "total_ms, keepalive_ms"},
    {"return { 4 }", AT "[1] is not a known key; expected key = value"},
    {"return { workers = '4' }", AT "workers is \"4\"; expected a whole number from 1 to 256"},
    {"return { workers = 0 }", AT "workers is 0; expected a whole number from 1 to 256"},
    {"return { workers = 1.5 }", AT "workers is 1.5; expected a whole number from 1 to 256"},
    {"return { workers = 1/0 }", AT "workers is inf; expected a whole number from 1 to 256"},
    {"return { workers = math.maxinteger }",
     AT "workers is 9223372036854775807; expected a whole number from 1 to 256"},
    {"return { workers = {} }", AT "workers is a table; expected a whole number from 1 to 256"},
    {"return { listen = 8080 }", AT "listen is 8080; expected a string"},
    {"return { listen = 'a\\0b' }", AT "listen is \"a\"; expected a string"},
    {"return { log_level = 'LOUD' }",
     AT "log_level is \"LOUD\"; expected DEBUG, INFO, WARN or ERROR"},
    {"return { echo = 1 }", AT "echo is 1; expected true or false"},
    {"return { clocks = true }", AT "clocks is true; expected a table"},
    {"return { clocks = { connect_ms = 0 } }",
     AT "clocks.connect_ms is 0; expected a whole number from 1 to 3600000"},
    {"return { route_headers = 'x' }",
     AT "route_headers is \"x\"; expected a list of header names"},
    {"return { route_headers = { x = 'y' } }",
     AT "route_headers has the key \"x\"; expected a list of header names"},
    {"return { route_headers = { 'ok', 'no good' } }",
     AT "route_headers[2] is \"no good\"; expected the name of a header"},
    {"return { route_headers = { 'Authorization' } }",
     AT "route_headers[1] is \"authorization\"; headers with secrets are not shown to scripts"},
    {"local t = {} for i = 1, 17 do t[i] = 'x' .. i end return { route_headers = t }",
     AT "route_headers has 17 entries; expected at most 16"},
    {"return { providers = { name = 'a' } }",
     AT "providers has the key \"name\"; expected a list of tables"},
    {"return { providers = { 'a' } }",
     AT "providers[1] is \"a\"; expected a table such as { name = \"local\", plugin = \"openai\" "
        "}"},
    {"return { providers = { { plugin = 'b' } } }",
     AT "providers[1].name is missing; expected 1 to 64 characters of a-z, 0-9, - and _"},
    {"return { providers = { { name = 'a/b', plugin = 'b' } } }",
     AT "providers[1].name is \"a/b\"; expected 1 to 64 characters of a-z, 0-9, - and _"},
    {"return { providers = { { name = 'a' } } }",
     AT "providers[1].plugin is missing; expected the name of a provider plugin"},
    {"return { providers = { { name = 'a', plugin = 'b' }, { name = 'a', plugin = 'c' } } }",
     AT "providers[2].name is \"a\"; another provider has this name"},
    {PROVIDER("key_env = 'API_KEY'"),
     AT "providers[1].key_env is \"API_KEY\"; expected the name of an environment variable that "
        "holds no secret of the gateway's own"},
    {PROVIDER("key_env = 'ABSENT'"),
     "gateway.lua: providers: account \"a/0\" takes its key from ABSENT, which is not set"},
    {PROVIDER("credential = 'oauth'"),
     AT "providers[1].credential is set without key_env, the variable that holds it"},
    {PROVIDER("key_env = 'X', credential = 'password'"),
     AT "providers[1].credential is \"password\"; expected \"api_key\" or \"oauth\""},
    {PROVIDER("dedup = 'on'"),
     AT "providers[1].dedup is \"on\"; expected \"off\", \"auto\" or \"exact\""},
    {PROVIDER("base_url = 'http://h'"),
     AT "providers[1].base_url is not a known key; expected one of: name, plugin, accounts, "
        "key_env, credential, dedup, dedup_hold_ms, ask_usage, clocks, options"},
    {PROVIDER("ask_usage = 'no'"), AT "providers[1].ask_usage is \"no\"; expected true or false"},
    {"return { storage = 'rocksdb' }", AT "storage is \"rocksdb\"; expected a table"},
    {"return { storage = { plugin = 'a/b' } }",
     AT "storage.plugin is \"a/b\"; expected the name of a plugin"},
    {"return { quota = { zone = 'UTC' } }",
     AT "quota.zone is not a known key; expected one of: plugin, options"},
    {"return { quota = { options = { zone = pairs } } }",
     AT "quota.options.zone is a function; expected a string, a finite number, true or false, or a "
        "list of strings"},
    {"return { counter_flush_ms = 1001 }",
     AT "counter_flush_ms is 1001; expected a whole number from 0 to 1000"},
    {PROVIDER("options = { x = pairs }"),
     AT "providers[1].options.x is a function; expected a string, a finite number, true or false, "
        "or a list of strings"},
    {PROVIDER("options = { x = 1/0 }"),
     AT "providers[1].options.x is inf; expected a string, a finite number, true or false, or a "
        "list of strings"},
    {PROVIDER("options = { x = { 'a', 2 } }"),
     AT "providers[1].options.x[2] is 2; expected a string"},
    {PROVIDER("options = { 'x' }"),
     AT "providers[1].options has the entry 1; expected name = value pairs"},
    {PROVIDER("clocks = { idle = 1 }"),
     AT "providers[1].clocks.idle is not a known key; did you mean idle_ms?"},
};

START_TEST(faults_are_named)
{
    set_file(faults[_i].text);
    fixture_refused(faults[_i].expected);
}
END_TEST

static const struct {
    const char *text, *part;
} failing[] = {
    {"return {\n  workers = = 4\n}", "conf/gateway.lua:2: "},
    {"\n\nerror('no day for work')", "conf/gateway.lua:3: no day for work"},
    {"\nreturn { workers = os.getenv('X') }", "conf/gateway.lua:2: "},
    {"\nreturn require('gate.x')", "conf/gateway.lua:2: "},
    {"while true do end", "conf/gateway.lua:1: "},
    {"local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", "conf/gateway.lua:1: "},
    {"return setmetatable({}, { __index = function() error('x') end, __len = 7 }), 1", NULL},
};

START_TEST(scripts_that_fail_name_their_line)
{
    struct gate_config *c = NULL;
    struct gate_error err = {GATE_OK, ""};
    enum gate_status status;

    set_file(failing[_i].text);
    status = gate_config_load(false, &c, &err);
    if (failing[_i].part == NULL) {
        /* Metamethods are not run. */
        ck_assert_int_eq(status, GATE_OK);
        gate_config_release(c);
        return;
    }
    ck_assert_int_eq(status, GATE_EINVAL);
    ck_assert_msg(strncmp(err.message, failing[_i].part, strlen(failing[_i].part)) == 0, "%s",
                  err.message);
}
END_TEST

START_TEST(compiled_and_oversized_files_are_refused)
{
    struct gate_config *c = NULL;
    struct gate_error err = {GATE_OK, ""};
    FILE *f;

    set_file("\x1bLua nonsense");
    ck_assert_int_eq(gate_config_load(false, &c, &err), GATE_EINVAL);
    ck_assert_ptr_ne(strstr(err.message, "compiled"), NULL);

    f = fopen("conf/gateway.lua", "w");
    ck_assert_ptr_ne(f, NULL);
    for (size_t i = 0; i <= 1 << 20; i++)
        fputc(' ', f);
    fclose(f);
    fixture_refused("conf/gateway.lua is longer than 1048576 bytes");
}
END_TEST

START_TEST(the_shipped_file_changes_nothing)
{
    struct gate_config *with, *without;

    without = fixture_load();
    setenv("LLM_GATE_CONF_DIR", GATE_SOURCE_DIR "/conf", 1);
    with = fixture_load();
    ck_assert_str_eq(with->listen_host, without->listen_host);
    ck_assert_uint_eq(with->listen_port, without->listen_port);
    ck_assert_uint_eq(with->workers, without->workers);
    ck_assert_uint_eq(with->max_body, without->max_body);
    ck_assert_uint_eq(with->drain_ms, without->drain_ms);
    ck_assert_int_eq(memcmp(&with->clocks, &without->clocks, sizeof with->clocks), 0);
    ck_assert_uint_eq(with->route_header_count, 0);
    ck_assert_uint_eq(with->instance_count, without->instance_count);
    ck_assert_str_eq(with->storage.plugin, without->storage.plugin);
    ck_assert_str_eq(with->quota.plugin, without->quota.plugin);
    ck_assert_uint_eq(with->max_attempts, without->max_attempts);
    gate_config_release(with);
    gate_config_release(without);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, every_key_is_read);
    tcase_add_test(tcase, the_environment_wins);
    tcase_add_test(tcase, providers_are_read_in_order);
    tcase_add_test(tcase, an_echo_of_ones_own);
    FIXTURE_ADD_ROWS(tcase, faults_are_named, faults);
    FIXTURE_ADD_ROWS(tcase, scripts_that_fail_name_their_line, failing);
    tcase_add_test(tcase, compiled_and_oversized_files_are_refused);
    tcase_add_test(tcase, the_shipped_file_changes_nothing);
}

int main(void)
{
    return fixture_main("config_lua", add_tests);
}
