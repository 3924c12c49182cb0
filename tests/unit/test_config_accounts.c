/* Accounts that variables and conf/gateway.lua make. */
#include "config_fixture.h"

static void set_file(const char *text)
{
    fixture_write("conf/gateway.lua", text);
}

static bool has_warning(const struct gate_config *c, const char *text)
{
    for (size_t i = 0; i < c->warning_count; i++)
        if (strcmp(c->warnings[i], text) == 0)
            return true;
    return false;
}

START_TEST(some_instances_are_always_there)
{
    static const char *const names[] = {"qwen", "qwen-oauth", "openai"};
    const struct gate_config_instance *i;
    struct gate_config *c = fixture_load();

    ck_assert_uint_eq(c->instance_count, 4);
    for (size_t n = 0; n < 3; n++) {
        i = &c->instances[n];
        ck_assert_str_eq(i->name, names[n]);
        ck_assert_str_eq(i->plugin, n == 2 ? "openai" : "qwen");
        ck_assert_str_eq(i->dedup, "auto");
        ck_assert_uint_eq(i->dedup_hold_ms, 150);
        ck_assert(i->ask_usage);
        ck_assert(i->implicit);
        ck_assert(!i->from_environment);
        ck_assert_uint_eq(i->account_count, 0);
    }
    ck_assert_uint_eq(c->instances[0].option_count, 0);
    ck_assert_uint_eq(c->instances[1].option_count, 1);
    ck_assert_str_eq(fixture_option(&c->instances[1], "plan")->string, "oauth");
    ck_assert_str_eq(fixture_option(&c->instances[2], "base_url")->string,
                     "https://api.openai.com/v1");
    ck_assert(fixture_option(&c->instances[2], "catch_all")->boolean);

    i = &c->instances[3];
    ck_assert_str_eq(i->name, "echo");
    ck_assert(!i->implicit);
    ck_assert_uint_eq(i->account_count, 1);
    ck_assert_str_eq(i->accounts[0].id, "echo/0");
    ck_assert_str_eq(i->accounts[0].alias, "0");
    ck_assert_int_eq(i->accounts[0].kind, GATE_CREDENTIAL_NONE);
    ck_assert_int_eq(i->accounts[0].source, GATE_SOURCE_ENVIRONMENT);
    ck_assert_ptr_eq(i->accounts[0].secret, NULL);
    ck_assert_uint_eq(i->accounts[0].weight, 1);
    gate_config_release(c);
}
END_TEST

START_TEST(variables_make_accounts)
{
    const struct gate_config_account *a;
    struct gate_config *c;

    setenv("DASHSCOPE_API_KEY", "sk-sp-1", 1);
    setenv("OPENAI_API_KEY", "sk-2", 1);
    setenv("QWEN_CREDS_JSON", "{\"access_token\":\"t\",\"expiry_date\":1}", 1);
    setenv("QWEN_CLIENT_ID", "client-7", 1);
    c = fixture_load();
    ck_assert_uint_eq(c->instance_count, 4);
    for (size_t n = 0; n < 3; n++) {
        ck_assert(c->instances[n].from_environment);
        ck_assert(!c->instances[n].implicit);
        ck_assert_uint_eq(c->instances[n].account_count, 1);
    }
    ck_assert(!c->instances[3].from_environment);

    a = fixture_account(c, "qwen/0");
    ck_assert_int_eq(a->kind, GATE_CREDENTIAL_API_KEY);
    ck_assert_int_eq(a->source, GATE_SOURCE_ENVIRONMENT);
    ck_assert_str_eq(a->key_env, "DASHSCOPE_API_KEY");
    ck_assert_ptr_eq(a->file, NULL);
    ck_assert_str_eq(a->secret, "sk-sp-1");
    ck_assert_uint_eq(a->secret_len, 7);
    ck_assert_uint_eq(a->tag_count, 0);

    a = fixture_account(c, "qwen-oauth/0");
    ck_assert_int_eq(a->kind, GATE_CREDENTIAL_OAUTH);
    ck_assert_int_eq(a->source, GATE_SOURCE_SEED);
    ck_assert_str_eq(a->key_env, "QWEN_CREDS_JSON");
    ck_assert_str_eq(a->secret, "{\"access_token\":\"t\",\"expiry_date\":1}");
    ck_assert_str_eq(fixture_option(&c->instances[1], "client_id")->string, "client-7");

    ck_assert_str_eq(fixture_account(c, "openai/0")->secret, "sk-2");

    gate_config_scrub_environment(c);
    ck_assert_ptr_eq(getenv("DASHSCOPE_API_KEY"), NULL);
    ck_assert_ptr_eq(getenv("OPENAI_API_KEY"), NULL);
    ck_assert_ptr_eq(getenv("QWEN_CREDS_JSON"), NULL);
    ck_assert_str_eq(fixture_account(c, "qwen/0")->secret, "sk-sp-1");
    gate_config_release(c);
}
END_TEST

START_TEST(base_addresses_from_variables)
{
    const struct gate_config_instance *i;
    struct gate_config *c;

    /* A local server needs no key; accounts of Qwen may still be added to its address. */
    setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1", 1);
    setenv("DASHSCOPE_BASE_URL", "https://h.example/v1", 1);
    c = fixture_load();
    i = fixture_instance(c, "openai");
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "http://127.0.0.1:11434/v1");
    ck_assert(i->from_environment);
    ck_assert_uint_eq(i->account_count, 1);
    ck_assert_str_eq(i->accounts[0].id, "openai/0");
    ck_assert_int_eq(i->accounts[0].kind, GATE_CREDENTIAL_NONE);
    ck_assert_int_eq(i->accounts[0].source, GATE_SOURCE_ENVIRONMENT);
    ck_assert_ptr_eq(i->accounts[0].secret, NULL);
    i = fixture_instance(c, "qwen");
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "https://h.example/v1");
    ck_assert_uint_eq(i->account_count, 0);
    ck_assert(i->implicit);
    ck_assert_uint_eq(c->warning_count, 0);
    gate_config_release(c);

    setenv("DASHSCOPE_API_KEY", "sk-1", 1);
    c = fixture_load();
    i = fixture_instance(c, "qwen");
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "https://h.example/v1");
    ck_assert_ptr_eq(fixture_option(i, "catch_all"), NULL);
    ck_assert_uint_eq(i->account_count, 1);
    gate_config_release(c);
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

/* ---- accounts of gateway.lua */

START_TEST(accounts_are_read)
{
    const struct gate_config_account *a;
    struct gate_config *c;

    setenv("K1", "key-1", 1);
    setenv("K4", "{\"access_token\":\"t4\"}", 1);
    fixture_write("k2", "key-2\r\n");
    fixture_write("k3", "{\"access_token\":\"t3\"}\n");
    ck_assert_int_eq(chmod("k2", 0600) | chmod("k3", 0604), 0);
    set_file("return { providers = { { name = 'a', plugin = 'openai', ask_usage = false,\n"
             "  accounts = {\n"
             "    { alias = 'main', key_env = 'K1' },\n"
             "    { key_file = 'k2', tags = { 'paid', 'eu:west.1' }, weight = 0,\n"
             "      limits = { chat = { rpm = 10, tpd = 0 }, search = { concurrency = 2 } } },\n"
             "    { key_file = './k3', oauth = true, weight = 1000 },\n"
             "    { alias = 'A_1.b-c', key_env = 'K4', oauth = true },\n"
             "    { key_env = 'K1', oauth = false, tags = {}, limits = { chat = {} } },\n"
             "  } } } }");
    c = fixture_load();
    ck_assert(!c->instances[0].ask_usage);
    ck_assert_uint_eq(c->instances[0].account_count, 5);

    a = fixture_account(c, "a/main");
    ck_assert_str_eq(a->alias, "main");
    ck_assert_int_eq(a->source, GATE_SOURCE_ENVIRONMENT);
    ck_assert_int_eq(a->kind, GATE_CREDENTIAL_API_KEY);
    ck_assert_str_eq(a->secret, "key-1");
    ck_assert_uint_eq(a->weight, 1);
    ck_assert_uint_eq(a->limits.kinds[GATE_USAGE_CHAT].set, 0);

    a = fixture_account(c, "a/1");
    ck_assert_str_eq(a->alias, "1");
    ck_assert_int_eq(a->source, GATE_SOURCE_FILE);
    ck_assert_str_eq(a->file, "k2");
    ck_assert_ptr_eq(a->key_env, NULL);
    ck_assert_str_eq(a->secret, "key-2");
    ck_assert_uint_eq(a->secret_len, 5);
    ck_assert_uint_eq(a->weight, 0);
    ck_assert_uint_eq(a->tag_count, 2);
    ck_assert_str_eq(a->tags[0], "paid");
    ck_assert_str_eq(a->tags[1], "eu:west.1");
    ck_assert_uint_eq(a->limits.kinds[GATE_USAGE_CHAT].set, GATE_LIMITS_RPM | GATE_LIMITS_TPD);
    ck_assert_uint_eq(a->limits.kinds[GATE_USAGE_CHAT].values.requests_per_minute, 10);
    ck_assert_uint_eq(a->limits.kinds[GATE_USAGE_SEARCH].set, GATE_LIMITS_CONCURRENCY);
    ck_assert_uint_eq(a->limits.kinds[GATE_USAGE_SEARCH].values.concurrency, 2);

    a = fixture_account(c, "a/2");
    ck_assert_int_eq(a->kind, GATE_CREDENTIAL_OAUTH);
    ck_assert_int_eq(a->source, GATE_SOURCE_SEED);
    ck_assert_str_eq(a->file, "./k3");
    ck_assert_str_eq(a->secret, "{\"access_token\":\"t3\"}");
    ck_assert_uint_eq(a->weight, 1000);

    a = fixture_account(c, "a/A_1.b-c");
    ck_assert_int_eq(a->source, GATE_SOURCE_SEED);
    ck_assert_str_eq(a->key_env, "K4");
    ck_assert_str_eq(fixture_account(c, "a/4")->secret, "key-1");

    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0], "gateway.lua: providers: account \"a/2\": key_file \"./k3\" "
                                     "is open to every user (mode 604); expected 600");
    gate_config_scrub_environment(c);
    ck_assert_ptr_eq(getenv("K1"), NULL);
    ck_assert_ptr_eq(getenv("K4"), NULL);
    gate_config_release(c);
}
END_TEST

START_TEST(many_accounts_of_one_provider)
{
    struct gate_config *c;

    setenv("K", "key", 1);
    set_file("local l = {} for i = 1, 1024 do l[i] = { key_env = 'K' } end\n"
             "return { providers = { { name = 'a', plugin = 'b', accounts = l } } }");
    c = fixture_load();
    ck_assert_uint_eq(c->instances[0].account_count, 1024);
    ck_assert_str_eq(c->instances[0].accounts[1023].id, "a/1023");
    gate_config_release(c);

    set_file("local l = {} for i = 1, 1025 do l[i] = { key_env = 'K' } end\n"
             "return { providers = { { name = 'a', plugin = 'b', accounts = l } } }");
    fixture_refused("conf/gateway.lua: providers[1].accounts has 1025 entries; expected at most "
                    "1024");
}
END_TEST

START_TEST(a_provider_without_a_key)
{
    const struct gate_config_instance *i;
    struct gate_config *c;

    set_file("return { providers = { { name = 'local', plugin = 'openai' },\n"
             "  { name = 'later', plugin = 'openai', accounts = {} },\n"
             "  { name = 'openai', plugin = 'openai' }, { name = 'echo', plugin = 'echo' },\n"
             "  { name = 'qwen-oauth', plugin = 'qwen' } } }");
    c = fixture_load();
    ck_assert_uint_eq(c->instance_count, 6);
    i = fixture_instance(c, "local");
    ck_assert_uint_eq(i->account_count, 1);
    ck_assert_str_eq(i->accounts[0].id, "local/0");
    ck_assert_int_eq(i->accounts[0].kind, GATE_CREDENTIAL_NONE);
    ck_assert_uint_eq(fixture_instance(c, "later")->account_count, 0);
    ck_assert_uint_eq(fixture_instance(c, "echo")->account_count, 1);
    /* Accounts are added to these; the file alone says what else they are. */
    i = fixture_instance(c, "openai");
    ck_assert_uint_eq(i->account_count, 0);
    ck_assert_uint_eq(i->option_count, 1); /* catch_all */
    ck_assert(!i->implicit);
    i = fixture_instance(c, "qwen-oauth");
    ck_assert_uint_eq(i->account_count, 0);
    ck_assert_str_eq(fixture_option(i, "plan")->string, "oauth");
    ck_assert(fixture_instance(c, "qwen")->implicit);
    gate_config_release(c);
}
END_TEST

START_TEST(the_file_refines_what_variables_make)
{
    const struct gate_config_instance *i;
    struct gate_config *c;

    setenv("OPENAI_API_KEY", "from-env", 1);
    setenv("OPENAI_BASE_URL", "http://from-env", 1);
    set_file("return { providers = { { name = 'openai', plugin = 'openai', dedup = 'off',\n"
             "  options = { base_url = 'http://from-file' } } } }");
    c = fixture_load();
    i = fixture_instance(c, "openai");
    ck_assert_str_eq(fixture_account(c, "openai/0")->secret, "from-env");
    ck_assert_str_eq(fixture_account(c, "openai/0")->key_env, "OPENAI_API_KEY");
    ck_assert_int_eq(fixture_account(c, "openai/0")->kind, GATE_CREDENTIAL_API_KEY);
    ck_assert_str_eq(i->dedup, "off");
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "http://from-file");
    ck_assert(fixture_option(i, "catch_all")->boolean);
    ck_assert(!i->from_environment);
    gate_config_release(c);

    /* Accounts that the file names win over the well-known variable. */
    setenv("MINE", "from-mine", 1);
    set_file("return { providers = { { name = 'openai', plugin = 'openai', key_env = 'MINE',\n"
             "  options = { catch_all = false } } } }");
    c = fixture_load();
    i = fixture_instance(c, "openai");
    ck_assert_uint_eq(i->account_count, 1);
    ck_assert_str_eq(i->accounts[0].secret, "from-mine");
    ck_assert_str_eq(fixture_option(i, "base_url")->string, "http://from-env");
    ck_assert(!fixture_option(i, "catch_all")->boolean);
    ck_assert(has_warning(c, "OPENAI_API_KEY is not used: gateway.lua lists the accounts of openai "
                             "itself"));
    gate_config_scrub_environment(c);
    ck_assert_ptr_eq(getenv("OPENAI_API_KEY"), NULL);
    gate_config_release(c);

    setenv("OPENAI_API_KEY", "from-env", 1);
    setenv("MINE", "from-mine", 1);
    set_file("return { providers = { { name = 'openai', plugin = 'openai', accounts = {\n"
             "  { key_env = 'MINE' }, { key_env = 'OPENAI_API_KEY' } } } } }");
    c = fixture_load();
    ck_assert_uint_eq(fixture_instance(c, "openai")->account_count, 2);
    ck_assert_uint_eq(c->warning_count, 0);
    gate_config_release(c);

    set_file("return { providers = { { name = 'openai', plugin = 'qwen' } } }");
    fixture_refused("gateway.lua: providers: instance \"openai\" uses plugin \"qwen\", but "
                    "OPENAI_API_KEY is for an instance of that name with plugin \"openai\"; give "
                    "yours another name");
    /* Without the variables the name is free. */
    unsetenv("OPENAI_API_KEY");
    unsetenv("OPENAI_BASE_URL");
    c = fixture_load();
    ck_assert_str_eq(fixture_instance(c, "openai")->plugin, "qwen");
    ck_assert_uint_eq(fixture_instance(c, "openai")->option_count, 0);
    gate_config_release(c);
}
END_TEST

START_TEST(too_many_instances)
{
    set_file("local l = {} for i = 1, 61 do l[i] = { name = 'p' .. i, plugin = 'b' } end\n"
             "return { providers = l }");
    fixture_refused("more than 64 provider instances, those that are always there included");
}
END_TEST

#define ACCOUNT(text)                                                                              \
    "return { providers = { { name = 'a', plugin = 'b', accounts = { " text " } } } }"
#define AT "conf/gateway.lua: providers[1]."
#define OF "gateway.lua: providers: account "

static const struct {
    const char *text, *expected;
} faults[] = {
    {ACCOUNT("'K'"),
     AT "accounts[1] is \"K\"; expected a table such as { alias = \"main\", key_env "
        "= \"MAIN_KEY\" }"},
    {ACCOUNT("key_env = 'K'"), AT "accounts has the key \"key_env\"; expected a list of tables"},
    {ACCOUNT("{}"), AT "accounts[1].key_env and key_file are both missing; expected one of them"},
    {ACCOUNT("{ key_env = 'K', key_file = 'k' }"),
     AT "accounts[1].key_env and key_file are both set; expected one of them"},
    {ACCOUNT("{ key_evn = 'K' }"),
     AT "accounts[1].key_evn is not a known key; did you mean key_env?"},
    {ACCOUNT("{ key_env = 'ADMIN_KEY' }"),
     AT "accounts[1].key_env is \"ADMIN_KEY\"; expected the name of an environment variable that "
        "holds no secret of the gateway's own"},
    {ACCOUNT("{ key_env = 'K', alias = '.hidden' }"),
     AT "accounts[1].alias is \".hidden\"; expected 1 to 64 characters of A-Z, a-z, 0-9, '_', '.' "
        "and '-', not beginning with '.' or '-'"},
    {ACCOUNT("{ key_env = 'K', alias = 'x' }, { key_env = 'K', alias = 'x' }"),
     AT "accounts[2].alias: another account has the id \"a/x\""},
    {ACCOUNT("{ key_env = 'K', alias = '1' }, { key_env = 'K' }"),
     AT "accounts[2].alias: another account has the id \"a/1\""},
    {ACCOUNT("{ key_env = 'K', oauth = 1 }"), AT "accounts[1].oauth is 1; expected true or false"},
    {ACCOUNT("{ key_env = 'K', weight = 1001 }"),
     AT "accounts[1].weight is 1001; expected a whole number from 0 to 1000"},
    {ACCOUNT("{ key_env = 'K', tags = 'paid' }"),
     AT "accounts[1].tags is \"paid\"; expected a list of strings"},
    {ACCOUNT("{ key_env = 'K', tags = { 'no space' } }"),
     AT "accounts[1].tags[1] is \"no space\"; expected 1 to 64 characters of A-Z, a-z, 0-9, '_', "
        "'.', ':' and '-'"},
    {ACCOUNT("{ key_env = 'K', limits = { rpm = 1 } }"),
     AT "accounts[1].limits.rpm is not a known key; expected one of: chat, search"},
    {ACCOUNT("{ key_env = 'K', limits = { chat = { rpn = 1 } } }"),
     AT "accounts[1].limits.chat.rpn is not a known key; did you mean rpm?"},
    {ACCOUNT("{ key_env = 'K', limits = { chat = { rpm = -1 } } }"),
     AT "accounts[1].limits.chat.rpm is -1; expected a whole number from 0 to 1000000000"},
    {ACCOUNT("{ key_env = 'K', limits = { chat = 5 } }"),
     AT "accounts[1].limits.chat is 5; expected a table"},
    {"return { providers = { { name = 'a', plugin = 'b', key_env = 'K', accounts = {} } } }",
     AT "key_env is set beside accounts; expected one of them"},
    {ACCOUNT("{ key_env = 'ABSENT', alias = 'x' }"),
     OF "\"a/x\" takes its key from ABSENT, which is not set"},
    {ACCOUNT("{ key_file = 'absent' }"),
     OF "\"a/0\": key_file \"absent\": No such file or directory"},
    {ACCOUNT("{ key_file = 'conf' }"), OF "\"a/0\": key_file \"conf\" is not a regular file"},
    {ACCOUNT("{ key_file = 'empty' }"), OF "\"a/0\": key_file \"empty\" is empty"},
    {ACCOUNT("{ key_file = 'spaced' }"),
     OF "\"a/0\": key_file: character 3 is not allowed; expected an API key of printable ASCII "
        "without spaces"},
    {ACCOUNT("{ key_file = 'spaced', oauth = true }"),
     OF "\"a/0\": key_file is not valid JSON near byte 0; expected an object such as "
        "{\"access_token\":\"...\",\"refresh_token\":\"...\"}"},
    {ACCOUNT("{ key_file = 'data/key' }"),
     OF "\"a/0\": key_file \"data/key\" lies in the data directory, where the gateway keeps its "
        "own keys; expected another place"},
    {ACCOUNT("{ key_file = 'link' }"),
     OF "\"a/0\": key_file \"link\" lies in the data directory, where the gateway keeps its own "
        "keys; expected another place"},
};

START_TEST(faults_are_named)
{
    setenv("K", "key", 1);
    fixture_write("empty", "\n");
    fixture_write("spaced", "se cret\n");
    ck_assert_int_eq(mkdir("data", 0700), 0);
    fixture_write("data/key", "secret");
    ck_assert_int_eq(symlink("data/key", "link"), 0);
    set_file(faults[_i].text);
    fixture_refused(faults[_i].expected);
}
END_TEST

START_TEST(oversized_and_binary_key_files)
{
    struct gate_config *c;
    FILE *f = fopen("k", "w");

    ck_assert_ptr_ne(f, NULL);
    for (size_t n = 0; n < 64 * 1024; n++)
        fputc('x', f);
    fputs("\r\n", f);
    fclose(f);
    ck_assert_int_eq(chmod("k", 0600), 0);
    set_file(ACCOUNT("{ key_file = 'k' }"));
    c = fixture_load();
    ck_assert_uint_eq(fixture_account(c, "a/0")->secret_len, 64 * 1024);
    gate_config_release(c);

    f = fopen("k", "a");
    fputc('x', f);
    fclose(f);
    fixture_refused(OF "\"a/0\": key_file \"k\" is longer than 65536 bytes");

    f = fopen("k", "w");
    fwrite("a\0b", 1, 3, f);
    fclose(f);
    fixture_refused(OF "\"a/0\": key_file \"k\" has a NUL byte");
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, some_instances_are_always_there);
    tcase_add_test(tcase, variables_make_accounts);
    tcase_add_test(tcase, base_addresses_from_variables);
    FIXTURE_ADD_ROWS(tcase, malformed_logins_stop_the_start, bad_logins);
    tcase_add_test(tcase, accounts_are_read);
    tcase_add_test(tcase, many_accounts_of_one_provider);
    tcase_add_test(tcase, a_provider_without_a_key);
    tcase_add_test(tcase, the_file_refines_what_variables_make);
    tcase_add_test(tcase, too_many_instances);
    FIXTURE_ADD_ROWS(tcase, faults_are_named, faults);
    tcase_add_test(tcase, oversized_and_binary_key_files);
}

int main(void)
{
    return fixture_main("config_accounts", add_tests);
}
