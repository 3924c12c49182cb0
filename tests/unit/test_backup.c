#include "memory_storage.h"
#include "record/backup.h"
#include "vault_fixture.h"

#include <limits.h>

/* A storage in memory and a directory for files. */
struct rig {
    struct data d;
    struct memory_storage from, to;
    char path[PATH_MAX];
    struct gate_backup_sum sum;
    struct gate_error err;
};

static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof *r);
    data_init(&r->d);
    memory_storage_init(&r->from);
    memory_storage_init(&r->to);
    snprintf(r->path, sizeof r->path, "%s/a.llmgate", r->d.directory);
}

static void rig_finish(struct rig *r)
{
    memory_storage_finish(&r->from);
    memory_storage_finish(&r->to);
    data_finish(&r->d);
}

static enum gate_status write_backup(struct rig *r)
{
    return gate_backup_write(&memory_storage_ops, &r->from, r->path, &r->sum, &r->err);
}

static enum gate_status restore(struct rig *r)
{
    return gate_backup_restore(r->path, &memory_storage_ops, &r->to, &r->sum, &r->err);
}

/* The bytes of the file; freed by the caller. */
static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    char *bytes = gate_alloc(1 << 20);
    *len = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static void put_file(const char *path, const char *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

static void same_value(struct memory_storage *m, const char *key, const char *bytes, size_t len)
{
    size_t got;
    char *value = memory_storage_read(m, key, &got);
    ck_assert_ptr_nonnull(value);
    ck_assert_uint_eq(got, len);
    ck_assert(len == 0 || memcmp(value, bytes, len) == 0);
    free(value);
}

/* ---- there and back */

START_TEST(counters_and_credentials_come_back)
{
    struct rig r;
    struct gate_buf sealed, plain;
    rig_init(&r);
    struct gate_vault *v = vault_of(&r.d, "a secret of the environment");
    gate_buf_init(&sealed, 4096);
    gate_buf_init(&plain, 4096);
    ck_assert_int_eq(gate_vault_seal(v, GATE_STR("credential/qwen/0"), GATE_STR("{\"token\":1}"),
                                     &sealed, &r.err),
                     GATE_OK);
    memory_storage_write(&r.from, GATE_KEY_SCHEMA, GATE_STR("1"));
    memory_storage_write(&r.from, "credential/qwen/0", gate_buf_str(&sealed));
    memory_storage_write(&r.from, "account/qwen/0", GATE_STR("{}"));
    memory_storage_write(&r.from, "empty", GATE_STR(""));
    memory_storage_write(&r.from, "zero\x01", GATE_STR("a\0b"));
    ck_assert_int_eq(memory_storage_ops.add(&r.from, GATE_STR("audit/n"), 41, 0, NULL, &r.err),
                     GATE_OK);
    ck_assert_int_eq(write_backup(&r), GATE_OK);
    ck_assert_uint_eq(r.sum.records, 6);

    struct stat st;
    ck_assert_int_eq(stat(r.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq((uint64_t)st.st_size, r.sum.bytes);
    struct gate_backup_sum seen;
    ck_assert_int_eq(gate_backup_verify(r.path, &seen, &r.err), GATE_OK);
    ck_assert_uint_eq(seen.records, 6);
    ck_assert_uint_eq(seen.bytes, r.sum.bytes);

    ck_assert_int_eq(restore(&r), GATE_OK);
    ck_assert_uint_eq(r.sum.records, 6);
    ck_assert_uint_eq(r.to.count, 6);
    same_value(&r.to, "empty", "", 0);
    same_value(&r.to, "zero\x01", "a\0b", 3);
    same_value(&r.to, GATE_KEY_SCHEMA, "1", 1);
    ck_assert_int_eq(memory_storage_ops.add(&r.to, GATE_STR("audit/n"), 1, 0, NULL, &r.err),
                     GATE_OK);
    ck_assert_int_eq(memory_storage_counter(&r.to, "audit/n"), 42);
    size_t len;
    char *value = memory_storage_read(&r.to, "credential/qwen/0", &len);
    ck_assert_int_eq(gate_vault_open(v, GATE_STR("credential/qwen/0"),
                                     (struct gate_str){value, len}, &plain, &r.err),
                     GATE_OK);
    ck_assert(gate_str_eq(gate_buf_str(&plain), GATE_STR("{\"token\":1}")));
    free(value);
    gate_buf_finish(&sealed);
    gate_buf_wipe(&plain);
    gate_vault_destroy(v);
    rig_finish(&r);
}
END_TEST

START_TEST(many_records_go_in_batches)
{
    enum { RECORDS = 3 * GATE_BACKUP_BATCH + 7 };
    struct rig r;
    char key[32], value[32];
    rig_init(&r);
    memory_storage_write(&r.from, GATE_KEY_SCHEMA, GATE_STR("1"));
    for (int i = 0; i < RECORDS; i++) {
        snprintf(key, sizeof key, "k/%06d", i);
        snprintf(value, sizeof value, "v%d", i);
        memory_storage_write(&r.from, key, gate_str_of(value));
    }
    ck_assert_int_eq(write_backup(&r), GATE_OK);
    ck_assert_int_eq(restore(&r), GATE_OK);
    ck_assert_uint_eq(r.to.count, RECORDS + 1);
    for (int i = 0; i < RECORDS; i += 97) {
        snprintf(key, sizeof key, "k/%06d", i);
        snprintf(value, sizeof value, "v%d", i);
        same_value(&r.to, key, value, strlen(value));
    }
    struct memory_storage_numbers n = memory_storage_numbers(&r.to);
    ck_assert_uint_eq(n.commits, 5); /* three whole ones, the rest, the schema */
    rig_finish(&r);
}
END_TEST

START_TEST(an_empty_storage_is_a_backup_too)
{
    struct rig r;
    rig_init(&r);
    ck_assert_int_eq(write_backup(&r), GATE_OK);
    ck_assert_uint_eq(r.sum.records, 0);
    ck_assert_int_eq(restore(&r), GATE_OK);
    ck_assert_uint_eq(r.to.count, 0);
    rig_finish(&r);
}
END_TEST

/* ---- refusals */

START_TEST(nothing_is_overwritten)
{
    struct rig r;
    rig_init(&r);
    memory_storage_write(&r.from, GATE_KEY_SCHEMA, GATE_STR("1"));
    ck_assert_int_eq(write_backup(&r), GATE_OK);
    ck_assert_int_eq(write_backup(&r), GATE_ECONFLICT);
    memory_storage_write(&r.to, "x", GATE_STR("y"));
    ck_assert_int_eq(restore(&r), GATE_ECONFLICT);
    ck_assert_ptr_nonnull(strstr(r.err.message, "not empty"));
    ck_assert_uint_eq(r.to.count, 1);
    rig_finish(&r);
}
END_TEST

START_TEST(a_restore_that_fails_leaves_no_schema)
{
    struct rig r;
    char key[32];
    rig_init(&r);
    memory_storage_write(&r.from, GATE_KEY_SCHEMA, GATE_STR("1"));
    for (int i = 0; i < 2 * GATE_BACKUP_BATCH; i++) {
        snprintf(key, sizeof key, "k/%06d", i);
        memory_storage_write(&r.from, key, GATE_STR("v"));
    }
    ck_assert_int_eq(write_backup(&r), GATE_OK);
    memory_storage_fail_after(&r.to, GATE_BACKUP_BATCH + 10);
    ck_assert_int_eq(restore(&r), GATE_EIO);
    ck_assert_uint_eq(memory_storage_count(&r.to, GATE_KEY_SCHEMA), 0);
    ck_assert_uint_eq(memory_storage_count(&r.to, "k/"), GATE_BACKUP_BATCH);
    rig_finish(&r);
}
END_TEST

static size_t two_records(struct rig *r, char **bytes)
{
    size_t len;
    memory_storage_write(&r->from, GATE_KEY_SCHEMA, GATE_STR("1"));
    memory_storage_write(&r->from, "account/qwen/0", GATE_STR("{\"alias\":\"work\"}"));
    ck_assert_int_eq(write_backup(r), GATE_OK);
    *bytes = read_file(r->path, &len);
    ck_assert_uint_eq(len, r->sum.bytes);
    return len;
}

START_TEST(a_cut_file_is_refused)
{
    struct rig r;
    char *bytes;
    rig_init(&r);
    size_t len = two_records(&r, &bytes);
    for (size_t n = 0; n < len; n++) {
        put_file(r.path, bytes, n);
        ck_assert_int_eq(gate_backup_verify(r.path, &r.sum, &r.err), GATE_EPARSE);
        ck_assert_ptr_nonnull(strstr(r.err.message, n < 18 ? "not a backup" : "cut"));
        ck_assert_int_eq(restore(&r), GATE_EPARSE);
        ck_assert_uint_eq(r.to.count, 0);
    }
    free(bytes);
    rig_finish(&r);
}
END_TEST

START_TEST(a_damaged_file_is_refused)
{
    struct rig r;
    char *bytes;
    rig_init(&r);
    size_t len = two_records(&r, &bytes);
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (char)(1 << bit);
            put_file(r.path, bytes, len);
            ck_assert_int_eq(gate_backup_verify(r.path, &r.sum, &r.err), GATE_EPARSE);
            bytes[i] ^= (char)(1 << bit);
        }
    }
    bytes[len] = 'x'; /* and one byte too much */
    put_file(r.path, bytes, len + 1);
    ck_assert_int_eq(restore(&r), GATE_EPARSE);
    ck_assert_ptr_nonnull(strstr(r.err.message, "damaged"));
    ck_assert_uint_eq(r.to.count, 0);
    free(bytes);
    rig_finish(&r);
}
END_TEST

START_TEST(foreign_files_are_refused)
{
    static const struct {
        struct gate_str bytes;
        const char *why;
    } cases[] = {
        {GATE_STR(""), "not a backup"},
        {GATE_STR("PK\x03\x04 something else entirely, longer than the line"), "not a backup"},
        {GATE_STR("llm-gate backup 1"), "not a backup"},
        {GATE_STR("llm-gate backup 1 and more"), "not a backup"},
        {GATE_STR("llm-gate backup 2\nwhatever a later format holds"), "newer"},
        {GATE_STR("llm-gate backup 1\n"), "cut"},
        {GATE_STR("llm-gate backup 1\n\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0"),
         "damaged"},
    };
    struct rig r;
    rig_init(&r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file(r.path, cases[i].bytes.ptr, cases[i].bytes.len);
        ck_assert_int_eq(gate_backup_verify(r.path, &r.sum, &r.err), GATE_EPARSE);
        ck_assert_msg(strstr(r.err.message, cases[i].why) != NULL, "%zu: %s", i, r.err.message);
    }
    snprintf(r.path, sizeof r.path, "%s/absent", r.d.directory);
    ck_assert_int_eq(gate_backup_verify(r.path, &r.sum, &r.err), GATE_EIO);
    ck_assert_int_eq(gate_backup_verify(r.d.directory, &r.sum, &r.err), GATE_EIO);
    snprintf(r.path, sizeof r.path, "%s/absent/a.llmgate", r.d.directory);
    ck_assert_int_eq(write_backup(&r), GATE_EIO);
    rig_finish(&r);
}
END_TEST

START_TEST(a_directory_goes_with_all_in_it)
{
    struct rig r;
    char path[PATH_MAX];
    rig_init(&r);
    snprintf(path, sizeof path, "%s/copy", r.d.directory);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/copy/deeper", r.d.directory);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/copy/deeper/file", r.d.directory);
    put_file(path, "x", 1);
    snprintf(path, sizeof path, "%s/kept", r.d.directory);
    put_file(path, "x", 1);
    char link[PATH_MAX];
    snprintf(link, sizeof link, "%s/copy/link", r.d.directory);
    ck_assert_int_eq(symlink(path, link), 0);
    snprintf(path, sizeof path, "%s/copy", r.d.directory);
    ck_assert_int_eq(gate_backup_remove_directory(path, &r.err), GATE_OK);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(gate_backup_remove_directory(path, &r.err), GATE_OK);
    snprintf(path, sizeof path, "%s/kept", r.d.directory);
    ck_assert_int_eq(access(path, F_OK), 0); /* what a link names is not the link */
    rig_finish(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("backup");
    TCase *there = tcase_create("there and back"), *refused = tcase_create("refused");
    tcase_add_test(there, counters_and_credentials_come_back);
    tcase_add_test(there, many_records_go_in_batches);
    tcase_add_test(there, an_empty_storage_is_a_backup_too);
    tcase_add_test(refused, nothing_is_overwritten);
    tcase_add_test(refused, a_restore_that_fails_leaves_no_schema);
    tcase_add_test(refused, a_cut_file_is_refused);
    tcase_add_test(refused, a_damaged_file_is_refused);
    tcase_add_test(refused, foreign_files_are_refused);
    tcase_add_test(refused, a_directory_goes_with_all_in_it);
    tcase_set_timeout(there, 60);
    tcase_set_timeout(refused, 60);
    suite_add_tcase(s, there);
    suite_add_tcase(s, refused);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
