/* Login files that the gateway finds by their names. */
#include "config_fixture.h"

#define LOGIN(token) "{\"access_token\":\"" token "\",\"refresh_token\":\"r\"}\n"

static void write_login(const char *path, const char *text)
{
    fixture_write(path, text);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

static void ck_seed(const struct gate_config *c, const char *id, const char *file,
                    const char *secret)
{
    const struct gate_config_account *a = fixture_account(c, id);

    ck_assert_int_eq(a->source, GATE_SOURCE_SEED);
    ck_assert_int_eq(a->kind, GATE_CREDENTIAL_OAUTH);
    ck_assert_str_eq(a->file, file);
    ck_assert_ptr_eq(a->key_env, NULL);
    ck_assert_str_eq(a->secret, secret);
    ck_assert_uint_eq(a->secret_len, strlen(secret));
}

START_TEST(files_become_accounts)
{
    const struct gate_config_instance *i;
    struct gate_config *c;

    ck_assert_int_eq(mkdir("data", 0700), 0);
    write_login("qwen_creds_bob.json", LOGIN("b"));
    write_login("qwen_creds_alice.json", "{\"access_token\":\"a\"}");
    write_login("data/qwen_creds_9.json", LOGIN("9"));
    write_login("data/oauth_creds.json", LOGIN("o"));
    /* Not login files of this gateway. */
    write_login("oauth_creds.json", LOGIN("x"));
    write_login("qwen_creds_x.json.bak", LOGIN("x"));
    write_login("qwen_creds.json", LOGIN("x"));
    c = fixture_load();
    i = fixture_instance(c, "qwen-oauth");
    ck_assert_uint_eq(i->account_count, 4);
    ck_assert_str_eq(i->accounts[0].alias, "alice");
    ck_assert(!i->implicit);
    ck_assert(!i->from_environment);
    ck_seed(c, "qwen-oauth/alice", "./qwen_creds_alice.json", "{\"access_token\":\"a\"}");
    ck_seed(c, "qwen-oauth/bob", "./qwen_creds_bob.json",
            "{\"access_token\":\"b\",\"refresh_token\":\"r\"}");
    ck_seed(c, "qwen-oauth/9", "./data/qwen_creds_9.json",
            "{\"access_token\":\"9\",\"refresh_token\":\"r\"}");
    ck_seed(c, "qwen-oauth/oauth", "./data/oauth_creds.json",
            "{\"access_token\":\"o\",\"refresh_token\":\"r\"}");
    ck_assert_uint_eq(c->warning_count, 0);
    gate_config_release(c);
}
END_TEST

START_TEST(files_join_the_variable)
{
    struct gate_config *c;

    setenv("QWEN_CREDS_JSON", "{\"access_token\":\"env\"}", 1);
    write_login("qwen_creds_0.json", LOGIN("zero"));
    write_login("qwen_creds_alice.json", LOGIN("a"));
    c = fixture_load();
    ck_assert_uint_eq(fixture_instance(c, "qwen-oauth")->account_count, 2);
    ck_assert_str_eq(fixture_account(c, "qwen-oauth/0")->secret, "{\"access_token\":\"env\"}");
    ck_assert(fixture_instance(c, "qwen-oauth")->from_environment);
    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0], "login file \"./qwen_creds_0.json\" is left out: alias: "
                                     "another account has the id \"qwen-oauth/0\"");
    gate_config_release(c);
}
END_TEST

START_TEST(one_directory_is_read_once)
{
    struct gate_config *c;

    setenv("LLM_GATE_DATA_DIR", ".", 1);
    write_login("qwen_creds_alice.json", LOGIN("a"));
    write_login("oauth_creds.json", LOGIN("o"));
    c = fixture_load();
    ck_assert_uint_eq(fixture_instance(c, "qwen-oauth")->account_count, 2);
    ck_assert_uint_eq(c->warning_count, 0);
    gate_config_release(c);
}
END_TEST

static const struct {
    const char *name, *text, *why;
} unusable[] = {
    {"qwen_creds_a.json", "secret",
     "it is not valid JSON near byte 0; expected an object such as "
     "{\"access_token\":\"...\",\"refresh_token\":\"...\"}"},
    {"qwen_creds_a.json", "{\"access_token\":\"secret\",\"resource_url\":7}",
     "it: resource_url is not a string"},
    {"qwen_creds_a.json", "", "\"./qwen_creds_a.json\" is empty"},
    {"qwen_creds_.json", LOGIN("secret"),
     "between qwen_creds_ and .json 1 to 64 characters of A-Z, a-z, 0-9, '_', '.' and '-' are "
     "expected, the first no '.' or '-'"},
    {"qwen_creds_a b.json", LOGIN("secret"),
     "between qwen_creds_ and .json 1 to 64 characters of A-Z, a-z, 0-9, '_', '.' and '-' are "
     "expected, the first no '.' or '-'"},
};

START_TEST(unusable_files_are_left_out_with_a_warning)
{
    struct gate_config *c;
    char path[64], warning[512];

    snprintf(path, sizeof path, "./%s", unusable[_i].name);
    snprintf(warning, sizeof warning, "login file \"%s\" is left out: %s", path, unusable[_i].why);
    write_login(path, unusable[_i].text);
    c = fixture_load();
    ck_assert_uint_eq(fixture_instance(c, "qwen-oauth")->account_count, 0);
    ck_assert(fixture_instance(c, "qwen-oauth")->implicit);
    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0], warning);
    gate_config_release(c);
}
END_TEST

START_TEST(files_open_to_others_are_one_warning)
{
    struct gate_config *c;

    write_login("qwen_creds_a.json", LOGIN("a"));
    write_login("qwen_creds_b.json", LOGIN("b"));
    write_login("qwen_creds_c.json", LOGIN("c"));
    ck_assert_int_eq(chmod("qwen_creds_b.json", 0644) | chmod("qwen_creds_c.json", 0644), 0);
    c = fixture_load();
    ck_assert_uint_eq(fixture_instance(c, "qwen-oauth")->account_count, 3);
    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0], "2 login files are open to every user (one is "
                                     "\"./qwen_creds_b.json\"); expected mode 600");
    gate_config_release(c);
}
END_TEST

START_TEST(files_and_warnings_are_bounded)
{
    struct gate_config *c;
    char path[64];

    for (int i = 0; i < 66; i++) {
        snprintf(path, sizeof path, "qwen_creds_%02d.json", i);
        write_login(path, i < 10 ? "{}" : LOGIN("t"));
    }
    c = fixture_load();
    ck_assert_uint_eq(fixture_instance(c, "qwen-oauth")->account_count, 54);
    ck_assert_uint_eq(c->warning_count, GATE_CONFIG_MAX_WARNINGS);
    ck_assert_str_eq(c->warnings[GATE_CONFIG_MAX_WARNINGS - 1],
                     "there are more warnings; they show when those above are attended to");
    gate_config_release(c);

    for (int i = 0; i < 10; i++) {
        snprintf(path, sizeof path, "qwen_creds_%02d.json", i);
        write_login(path, LOGIN("t"));
    }
    c = fixture_load();
    ck_assert_uint_eq(fixture_instance(c, "qwen-oauth")->account_count, 64);
    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0],
                     "66 login files were found; those behind the first 64 are left out");
    gate_config_release(c);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, files_become_accounts);
    tcase_add_test(tcase, files_join_the_variable);
    tcase_add_test(tcase, one_directory_is_read_once);
    FIXTURE_ADD_ROWS(tcase, unusable_files_are_left_out_with_a_warning, unusable);
    tcase_add_test(tcase, files_open_to_others_are_one_warning);
    tcase_add_test(tcase, files_and_warnings_are_bounded);
}

int main(void)
{
    return fixture_main("config_seeds", add_tests);
}
