#include "memory_storage.h"
#include "record/store.h"
#include "vault_fixture.h"

/* ---- sealing */

START_TEST(seals_and_opens)
{
    struct data d;
    struct gate_buf big, sealed, plain;
    struct gate_error err;
    data_init(&d);
    struct gate_vault *v = vault_of(&d, "a secret of the environment");
    gate_buf_init(&big, 1 << 20);
    memset(gate_buf_reserve(&big, 1 << 20), 'x', 1 << 20);
    const size_t sizes[] = {0, 1, 15, 16, 17, 4096, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct gate_str text = {big.ptr, sizes[i]};
        gate_buf_init(&sealed, 2 << 20);
        gate_buf_init(&plain, 2 << 20);
        gate_buf_append(&sealed, GATE_STR("before"));
        gate_buf_append(&plain, GATE_STR("before"));
        ck_assert_int_eq(gate_vault_seal(v, GATE_STR("credential/a"), text, &sealed, &err),
                         GATE_OK);
        ck_assert_uint_eq(sealed.len, 6 + 1 + 12 + sizes[i] + 16);
        ck_assert_int_eq(sealed.ptr[6], 1);
        if (sizes[i] > 8)
            ck_assert_ptr_null(memmem(sealed.ptr, sealed.len, "xxxxxxxx", 8));
        struct gate_str body = {sealed.ptr + 6, sealed.len - 6};
        ck_assert_int_eq(gate_vault_open(v, GATE_STR("credential/a"), body, &plain, &err), GATE_OK);
        ck_assert_uint_eq(plain.len, 6 + sizes[i]);
        ck_assert(sizes[i] == 0 || memcmp(plain.ptr + 6, big.ptr, sizes[i]) == 0);
        gate_buf_finish(&sealed);
        gate_buf_wipe(&plain);
    }
    struct gate_str too_big = {big.ptr, (1 << 20) + 1};
    ck_assert_int_eq(gate_vault_seal(v, GATE_STR("n"), too_big, &sealed, &err), GATE_ELIMIT);
    gate_buf_init(&sealed, 28);
    ck_assert_int_eq(gate_vault_seal(v, GATE_STR("n"), GATE_STR("x"), &sealed, &err), GATE_ELIMIT);
    ck_assert_int_eq(gate_vault_seal(v, GATE_STR(""), GATE_STR("x"), &sealed, &err), GATE_EINVAL);
    ck_assert_uint_eq(sealed.len, 0);
    gate_buf_finish(&big);
    gate_vault_destroy(v);
    gate_vault_destroy(NULL);
    data_finish(&d);
}
END_TEST

START_TEST(each_sealing_has_its_own_nonce)
{
    struct data d;
    struct gate_buf one, two;
    data_init(&d);
    struct gate_vault *v = vault_of(&d, "secret");
    gate_buf_init(&one, 256);
    gate_buf_init(&two, 256);
    ck_assert_int_eq(gate_vault_seal(v, GATE_STR("n"), GATE_STR("same"), &one, NULL), GATE_OK);
    ck_assert_int_eq(gate_vault_seal(v, GATE_STR("n"), GATE_STR("same"), &two, NULL), GATE_OK);
    ck_assert_int_ne(memcmp(one.ptr + 1, two.ptr + 1, 12), 0);
    ck_assert_int_ne(memcmp(one.ptr + 13, two.ptr + 13, 4), 0);
    gate_buf_finish(&one);
    gate_buf_finish(&two);
    gate_vault_destroy(v);
    data_finish(&d);
}
END_TEST

START_TEST(nothing_but_the_same_bytes_opens)
{
    struct data d;
    struct gate_buf sealed, plain;
    struct gate_error err;
    data_init(&d);
    struct gate_vault *v = vault_of(&d, "secret");
    gate_buf_init(&sealed, 256);
    gate_buf_init(&plain, 256);
    ck_assert_int_eq(gate_vault_seal(v, GATE_STR("credential/a"), GATE_STR("key"), &sealed, &err),
                     GATE_OK);
    struct gate_str all = gate_buf_str(&sealed);
    for (size_t i = 0; i < 8 * sealed.len; i++) {
        sealed.ptr[i / 8] ^= (char)(1 << i % 8);
        ck_assert_int_eq(gate_vault_open(v, GATE_STR("credential/a"), all, &plain, &err),
                         GATE_EDENIED);
        sealed.ptr[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t len = 0; len < all.len; len++)
        ck_assert_int_eq(gate_vault_open(v, GATE_STR("credential/a"),
                                         (struct gate_str){all.ptr, len}, &plain, &err),
                         GATE_EDENIED);
    ck_assert_int_eq(gate_vault_open(v, GATE_STR("credential/b"), all, &plain, &err), GATE_EDENIED);
    ck_assert_ptr_nonnull(strstr(err.message, "credential/b does not open"));
    ck_assert_uint_eq(plain.len, 0);
    ck_assert_int_eq(gate_vault_open(v, GATE_STR("credential/a"), all, &plain, &err), GATE_OK);
    gate_buf_finish(&sealed);
    gate_buf_wipe(&plain);
    gate_vault_destroy(v);
    data_finish(&d);
}
END_TEST

/* ---- where the key comes from */

START_TEST(key_of_a_secret)
{
    struct data d;
    struct gate_error err;
    data_init(&d);
    struct gate_vault *a = vault_of(&d, "secret"), *b = vault_of(&d, "secret"),
                      *c = vault_of(&d, "secreu");
    ck_assert(agree(a, b));
    ck_assert(!agree(a, c));
    ck_assert_int_ne(access(d.key, F_OK), 0);
    gate_vault_destroy(a);
    gate_vault_destroy(c);
    ck_assert_int_eq(gate_vault_create(d.directory, "", true, &a, &err), GATE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.message, "LLM_GATE_SECRET"));

    /* Made by another implementation from the description of the format: HKDF-SHA-256 of "secret",
     * salt "llm-gate", info "vault key 1"; what is stored must stay readable. */
    static const unsigned char sealed[] = {0x01, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                           0x08, 0x09, 0x0a, 0x0b, 0xc6, 0x73, 0x15, 0x1a, 0x68,
                                           0xd5, 0x8d, 0xad, 0x29, 0xa1, 0x87, 0x21, 0xcd, 0xfa,
                                           0x70, 0x2b, 0x9a, 0xdf, 0x69, 0x6b, 0x84, 0x93};
    struct gate_buf plain;
    gate_buf_init(&plain, 64);
    ck_assert_int_eq(gate_vault_open(b, GATE_STR("credential/a"),
                                     (struct gate_str){(const char *)sealed, sizeof sealed}, &plain,
                                     &err),
                     GATE_OK);
    ck_assert(gate_str_eq(gate_buf_str(&plain), GATE_STR("sample")));
    gate_buf_wipe(&plain);
    gate_vault_destroy(b);
    data_finish(&d);
}
END_TEST

/* ---- the proof */

struct stored {
    struct memory_storage memory;
    struct gate_value value;
    struct gate_store *store;
};

static void stored_init(struct stored *s)
{
    struct gate_error err;
    memory_storage_init(&s->memory);
    s->value = memory_storage_value(&s->memory);
    ck_assert_int_eq(
        gate_store_open(&memory_storage_plugin, &s->value, "/srv/db", 0, &s->store, &err), GATE_OK);
}

static void stored_finish(struct stored *s)
{
    gate_store_close(s->store);
    memory_storage_finish(&s->memory);
}

START_TEST(proof_tells_the_right_key)
{
    struct data d;
    struct stored s;
    struct gate_error err = {0};
    char expected[512];
    size_t len;
    data_init(&d);
    stored_init(&s);
    struct gate_vault *right = vault_of(&d, NULL), *wrong = vault_of(&d, "another");
    uint64_t syncs = memory_storage_numbers(&s.memory).syncs;
    ck_assert_int_eq(gate_vault_prove(right, s.store, &err), GATE_OK);
    ck_assert_uint_eq(memory_storage_numbers(&s.memory).syncs, syncs + 1);
    char *before = memory_storage_read(&s.memory, GATE_KEY_VAULT, &len);
    ck_assert_ptr_nonnull(before);
    ck_assert_int_eq(gate_vault_prove(right, s.store, &err), GATE_OK);

    ck_assert_int_eq(gate_vault_prove(wrong, s.store, &err), GATE_EDENIED);
    snprintf(expected, sizeof expected,
             "the credentials in storage were encrypted with another key: set LLM_GATE_SECRET to "
             "what it was, or unset it if %s is their key; to give them up, remove /srv/db",
             d.key);
    ck_assert_str_eq(err.message, expected);
    gate_vault_destroy(right);
    unlink(d.key);
    right = vault_of(&d, NULL);
    ck_assert_int_eq(gate_vault_prove(right, s.store, &err), GATE_EDENIED);
    snprintf(expected, sizeof expected, "or put the old %s back; to give them up, remove /srv/db",
             d.key);
    ck_assert_ptr_nonnull(strstr(err.message, expected));

    char *after = memory_storage_read(&s.memory, GATE_KEY_VAULT, NULL);
    ck_assert_int_eq(memcmp(before, after, len), 0);
    free(before);
    free(after);
    gate_vault_destroy(right);
    gate_vault_destroy(wrong);
    stored_finish(&s);
    data_finish(&d);
}
END_TEST

START_TEST(credentials_without_a_proof_are_not_taken_over)
{
    struct data d;
    struct stored s;
    struct gate_error err = {0};
    data_init(&d);
    stored_init(&s);
    struct gate_vault *v = vault_of(&d, NULL);
    memory_storage_write(&s.memory, GATE_KEY_CREDENTIAL "qwen/0", GATE_STR("sealed"));
    ck_assert_int_eq(gate_vault_prove(v, s.store, &err), GATE_EDENIED);
    ck_assert_ptr_nonnull(strstr(err.message, "encrypted with another key"));
    ck_assert_uint_eq(memory_storage_count(&s.memory, GATE_KEY_VAULT), 0);
    gate_vault_destroy(v);
    stored_finish(&s);
    data_finish(&d);
}
END_TEST

START_TEST(damaged_proof_is_refused)
{
    struct data d;
    struct stored s;
    struct gate_error err = {0};
    char long_one[300] = {1};
    data_init(&d);
    stored_init(&s);
    struct gate_vault *v = vault_of(&d, NULL);
    memory_storage_write(&s.memory, GATE_KEY_VAULT, GATE_STR(""));
    ck_assert_int_eq(gate_vault_prove(v, s.store, &err), GATE_EDENIED);
    memory_storage_write(&s.memory, GATE_KEY_VAULT, (struct gate_str){long_one, sizeof long_one});
    ck_assert_int_eq(gate_vault_prove(v, s.store, &err), GATE_EDENIED);
    gate_vault_destroy(v);
    stored_finish(&s);
    data_finish(&d);
}
END_TEST

START_TEST(proof_that_cannot_be_written_is_an_error)
{
    struct data d;
    struct stored s;
    struct gate_error err = {0};
    data_init(&d);
    stored_init(&s);
    struct gate_vault *v = vault_of(&d, NULL);
    memory_storage_set_mode(&s.memory, MEMORY_STORAGE_FAIL_WRITES);
    ck_assert_int_eq(gate_vault_prove(v, s.store, &err), GATE_EIO);
    memory_storage_set_mode(&s.memory, MEMORY_STORAGE_WELL);
    ck_assert_int_eq(gate_vault_prove(v, s.store, &err), GATE_OK);
    gate_vault_destroy(v);
    stored_finish(&s);
    data_finish(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vault");
    TCase *tests = tcase_create("vault");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, seals_and_opens);
    tcase_add_test(tests, each_sealing_has_its_own_nonce);
    tcase_add_test(tests, nothing_but_the_same_bytes_opens);
    tcase_add_test(tests, key_of_a_secret);
    tcase_add_test(tests, proof_tells_the_right_key);
    tcase_add_test(tests, credentials_without_a_proof_are_not_taken_over);
    tcase_add_test(tests, damaged_proof_is_refused);
    tcase_add_test(tests, proof_that_cannot_be_written_is_an_error);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
