/* The key that clients present: API_KEY and the key file. */
#include "config_fixture.h"

static const struct {
    const char *key, *listen;
    const char *expected; /* NULL: accepted */
    bool warned;
} keys[] = {
    {"0hK7-rand0m_key.42", "0.0.0.0:80", NULL, false},
    {"0hK7-rand0m_key.42", "127.0.0.1:80", NULL, false},
    {"x", "127.0.0.1:80", NULL, true},
    {"x", "127.9.9.9:80", NULL, true},
    {"sk-1234567890abcdef1234567890abcdef", "[::1]:80", NULL, true},
    {"x", "[::]:80",
     "API_KEY has 1 characters; expected at least 16 when the gateway listens on an address that "
     "others can reach",
     false},
    {"sk-1234567890abcdef1234567890abcdef", "0.0.0.0:80",
     "API_KEY is a sample key that anyone can guess; expected a random one when the gateway "
     "listens on an address that others can reach",
     false},
    {"aaaaaaaaaaaaaaaaaaaaaaaa", "192.0.2.1:80",
     "API_KEY is a sample key that anyone can guess; expected a random one when the gateway "
     "listens on an address that others can reach",
     false},
    {"0hK7-rand0m/key.42", "127.0.0.1:80",
     "API_KEY: character 12 is not allowed; expected printable ASCII without spaces, '/', '?' and "
     "'#'",
     false},
    {"k\xc3\xa9y", "127.0.0.1:80",
     "API_KEY: character 2 is not allowed; expected printable ASCII without spaces, '/', '?' and "
     "'#'",
     false},
};

START_TEST(api_keys)
{
    struct gate_config *c;

    setenv("API_KEY", keys[_i].key, 1);
    setenv("LLM_GATE_LISTEN", keys[_i].listen, 1);
    if (keys[_i].expected != NULL) {
        fixture_refused(keys[_i].expected);
        return;
    }
    c = fixture_load();
    ck_assert_str_eq(c->api_key, keys[_i].key);
    ck_assert_uint_eq(c->warning_count, keys[_i].warned ? 1 : 0);
    ck_assert_int_ne(access("data", F_OK), 0);
    gate_config_release(c);
}
END_TEST

START_TEST(admin_keys)
{
    struct gate_config *c;
    char message[512];

    setenv("API_KEY", "0hK7-rand0m_key.42", 1);
    setenv("ADMIN_KEY", keys[_i].key, 1);
    setenv("LLM_GATE_LISTEN", keys[_i].listen, 1);
    if (keys[_i].expected != NULL) {
        snprintf(message, sizeof message, "ADMIN_KEY%s", keys[_i].expected + strlen("API_KEY"));
        fixture_refused(message);
        return;
    }
    c = fixture_load();
    ck_assert_str_eq(c->admin_key, keys[_i].key);
    ck_assert_str_eq(c->api_key, "0hK7-rand0m_key.42");
    ck_assert_uint_eq(c->warning_count, keys[_i].warned ? 1 : 0);
    gate_config_release(c);
}
END_TEST

START_TEST(a_bad_admin_key_leaves_no_made_key)
{
    setenv("ADMIN_KEY", "a b", 1);
    fixture_refused("ADMIN_KEY: character 2 is not allowed; expected printable ASCII without "
                    "spaces, '/', '?' and '#'");
}
END_TEST

/* ---- the key file */

static unsigned mode_of(const char *path)
{
    struct stat st;

    ck_assert_int_eq(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static struct gate_config *start(void)
{
    struct gate_config *c = NULL;
    struct gate_error err;

    ck_assert_int_eq(gate_config_load(true, &c, &err), GATE_OK);
    return c;
}

START_TEST(a_key_is_made_once)
{
    struct gate_config *first, *second, *check;
    mode_t before;

    before = umask(0); /* the modes do not depend on it */
    first = start();
    umask(before);
    ck_assert(first->api_key_is_new);
    ck_assert_str_eq(first->api_key_file, "./data/api_key");
    ck_assert_uint_eq(strlen(first->api_key), 48);
    ck_assert_int_eq(strncmp(first->api_key, "gate-", 5), 0);
    ck_assert_uint_eq(strspn(first->api_key + 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                                                 "uvwxyz0123456789-_"),
                      43);
    ck_assert_uint_eq(mode_of("data"), 0700);
    ck_assert_uint_eq(mode_of("data/api_key"), 0600);
    ck_assert_int_ne(access("data/api_key.new", F_OK), 0);

    second = start();
    ck_assert(!second->api_key_is_new);
    ck_assert_str_eq(second->api_key, first->api_key);
    check = fixture_load();
    ck_assert_str_eq(check->api_key, first->api_key);
    gate_config_release(second);
    gate_config_release(check);

    /* Off loopback a made key is good enough. */
    setenv("LLM_GATE_LISTEN", "0.0.0.0:80", 1);
    second = start();
    ck_assert_str_eq(second->api_key, first->api_key);
    gate_config_release(second);

    /* Another one after the file is deleted, also when a crash left an unfinished one. */
    ck_assert_int_eq(unlink("data/api_key"), 0);
    fixture_write("data/api_key.new", "gate-unfini");
    second = start();
    ck_assert(second->api_key_is_new);
    ck_assert_str_ne(second->api_key, first->api_key);
    gate_config_release(second);
    gate_config_release(first);
}
END_TEST

START_TEST(an_open_key_file_is_closed)
{
    struct gate_config *c;

    mkdir("data", 0700);
    fixture_write("data/api_key", "an0ther-g00d_key!\n");
    ck_assert_int_eq(chmod("data/api_key", 0644), 0);
    c = fixture_load();
    ck_assert_str_eq(c->api_key, "an0ther-g00d_key!");
    ck_assert_uint_eq(c->warning_count, 1);
    ck_assert_str_eq(c->warnings[0],
                     "./data/api_key was open to other users (mode 644): its mode is 0600 now");
    ck_assert_uint_eq(mode_of("data/api_key"), 0600);
    gate_config_release(c);
}
END_TEST

static void key_file_refused(const char *expected)
{
    struct gate_config *c = NULL;
    struct gate_error err;

    ck_assert_int_ne(gate_config_load(true, &c, &err), GATE_OK);
    ck_assert_ptr_eq(c, NULL);
    ck_assert_str_eq(err.message, expected);
}

START_TEST(unfit_key_files_stop_the_start)
{
    mkdir("data", 0700);
    fixture_write("data/api_key", "");
    key_file_refused("./data/api_key has 0 characters; expected 16 to 512");
    fixture_write("data/api_key", "short\n");
    key_file_refused("./data/api_key has 5 characters; expected at least 16 when the gateway "
                     "listens on an address that others can reach");
    ck_assert_int_eq(rename("data/api_key", "data/other"), 0);
    ck_assert_int_eq(symlink("other", "data/api_key"), 0);
    key_file_refused("./data/api_key: it is a symbolic link");
    ck_assert_int_eq(unlink("data/api_key"), 0);
    ck_assert_int_eq(mkdir("data/api_key", 0700), 0);
    key_file_refused("./data/api_key is not a file");
    setenv("LLM_GATE_DATA_DIR", "data/other", 1);
    key_file_refused("cannot open the data directory \"data/other\": Not a directory");
    setenv("LLM_GATE_DATA_DIR", "no/such", 1);
    key_file_refused("cannot make the data directory \"no/such\": No such file or directory");
}
END_TEST

static void add_tests(TCase *tcase)
{
    FIXTURE_ADD_ROWS(tcase, api_keys, keys);
    FIXTURE_ADD_ROWS(tcase, admin_keys, keys);
    tcase_add_test(tcase, a_bad_admin_key_leaves_no_made_key);
    tcase_add_test(tcase, a_key_is_made_once);
    tcase_add_test(tcase, an_open_key_file_is_closed);
    tcase_add_test(tcase, unfit_key_files_stop_the_start);
}

int main(void)
{
    return fixture_main("config_key", add_tests);
}
