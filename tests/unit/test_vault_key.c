/* The key file of the vault. */
#include "vault_fixture.h"
#include <pthread.h>

START_TEST(key_file_is_made_once)
{
    struct data d;
    struct gate_vault *v = NULL;
    struct gate_error err;
    struct stat st;
    char text[80] = "";
    data_init(&d);
    ck_assert_int_eq(gate_vault_create(d.directory, NULL, false, &v, &err), GATE_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "/secret.key"));
    ck_assert_int_ne(access(d.key, F_OK), 0);

    mode_t mask = umask(0);
    struct gate_vault *made = vault_of(&d, NULL);
    umask(mask);
    ck_assert_int_eq(stat(d.key, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(st.st_size, 65);
    ck_assert_uint_eq(st.st_nlink, 1);
    FILE *f = fopen(d.key, "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, f));
    fclose(f);
    ck_assert_uint_eq(strspn(text, "0123456789abcdef"), 64);
    ck_assert_int_eq(text[64], '\n');
    /* No half-written file lies about. */
    ck_assert_int_eq(unlink(d.key), 0);
    ck_assert_int_eq(rmdir(d.directory), 0);
    ck_assert_int_eq(mkdir(d.directory, 0700), 0);
    write_file(d.key, text, 0400);

    ck_assert_int_eq(gate_vault_create(d.directory, NULL, false, &v, &err), GATE_OK);
    ck_assert(agree(made, v));
    gate_vault_destroy(v);
    v = vault_of(&d, NULL);
    ck_assert(agree(made, v));
    gate_vault_destroy(v);
    gate_vault_destroy(made);
    data_finish(&d);
}
END_TEST

START_TEST(missing_directory_is_made)
{
    struct data d;
    struct stat st;
    struct gate_vault *v = NULL;
    struct gate_error err;
    data_init(&d);
    ck_assert_int_eq(rmdir(d.directory), 0);
    ck_assert_int_eq(gate_vault_create(d.directory, NULL, false, &v, &err), GATE_ENOTFOUND);
    v = vault_of(&d, NULL);
    ck_assert_int_eq(stat(d.directory, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    gate_vault_destroy(v);
    data_finish(&d);
}
END_TEST

static const char good_key[] = "00112233445566778899aAbBcCdDeEfF00112233445566778899aAbBcCdDeEfF";

static void expect_refusal(const struct data *d, enum gate_status status, const char *why)
{
    struct gate_vault *v = NULL;
    struct gate_error err;
    ck_assert_int_eq(gate_vault_create(d->directory, NULL, true, &v, &err), status);
    ck_assert_ptr_null(v);
    ck_assert_msg(strstr(err.message, why) != NULL, "%s", err.message);
    ck_assert_ptr_nonnull(strstr(err.message, d->key));
    ck_assert_ptr_null(strstr(err.message, "00112233"));
}

START_TEST(unsafe_key_file_is_refused)
{
    struct data d;
    char other[220], fix[240];
    data_init(&d);
    snprintf(other, sizeof other, "%s/other", d.directory);
    snprintf(fix, sizeof fix, "run chmod 600 %s", d.key);
    static const mode_t modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        write_file(d.key, good_key, modes[i]);
        expect_refusal(&d, GATE_EDENIED, fix);
    }
    unlink(d.key);
    write_file(other, good_key, 0600);
    ck_assert_int_eq(symlink(other, d.key), 0);
    expect_refusal(&d, GATE_EDENIED, "symbolic link");
    unlink(d.key);
    ck_assert_int_eq(symlink("nowhere", d.key), 0);
    expect_refusal(&d, GATE_EDENIED, "symbolic link");
    unlink(d.key);
    ck_assert_int_eq(mkfifo(d.key, 0600), 0);
    expect_refusal(&d, GATE_EDENIED, "not a regular file");
    unlink(d.key);
    ck_assert_int_eq(mkdir(d.key, 0700), 0);
    expect_refusal(&d, GATE_EDENIED, "not a regular file");
    data_finish(&d);
}
END_TEST

START_TEST(damaged_key_file_is_refused)
{
    struct data d;
    char text[200];
    data_init(&d);
    static const char *const bad[] = {"",         "\n",        "%.63s\n",  "%.63sg\n", "%.64s\n\n",
                                      "%.64s0\n", "0x%.62s\n", " %.63s\n", "%.64s\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
        snprintf(text, sizeof text, bad[i], good_key);
#pragma GCC diagnostic pop
        write_file(d.key, text, 0600);
        expect_refusal(&d, GATE_EINVAL, "does not hold a key");
    }
    /* The newline may be missing, and capitals are digits too. */
    write_file(d.key, good_key, 0600);
    gate_vault_destroy(vault_of(&d, NULL));
    data_finish(&d);
}
END_TEST

enum { STARTS = 8 };

struct starting {
    const struct data *d;
    pthread_barrier_t *together;
    pthread_t thread;
    struct gate_vault *v;
};

static void *begin(void *arg)
{
    struct starting *s = arg;
    pthread_barrier_wait(s->together);
    s->v = vault_of(s->d, NULL);
    return NULL;
}

START_TEST(starts_at_the_same_time_share_one_key)
{
    for (int round = 0; round < 20; round++) {
        struct data d;
        struct starting starts[STARTS];
        pthread_barrier_t together;
        data_init(&d);
        pthread_barrier_init(&together, NULL, STARTS);
        for (int i = 0; i < STARTS; i++) {
            starts[i] = (struct starting){.d = &d, .together = &together};
            ck_assert_int_eq(pthread_create(&starts[i].thread, NULL, begin, &starts[i]), 0);
        }
        for (int i = 0; i < STARTS; i++)
            pthread_join(starts[i].thread, NULL);
        for (int i = 0; i < STARTS; i++) {
            ck_assert(agree(starts[0].v, starts[i].v));
            if (i > 0)
                gate_vault_destroy(starts[i].v);
        }
        gate_vault_destroy(starts[0].v);
        /* Losers leave nothing behind. */
        ck_assert_int_eq(unlink(d.key), 0);
        ck_assert_int_eq(rmdir(d.directory), 0);
        pthread_barrier_destroy(&together);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vault_key");
    TCase *tests = tcase_create("vault_key");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, key_file_is_made_once);
    tcase_add_test(tests, missing_directory_is_made);
    tcase_add_test(tests, unsafe_key_file_is_refused);
    tcase_add_test(tests, damaged_key_file_is_refused);
    tcase_add_test(tests, starts_at_the_same_time_share_one_key);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
