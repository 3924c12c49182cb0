#include "record/schema.h"
#include "store_fixture.h"

START_TEST(new_storage_gets_the_schema_durably)
{
    struct fixture f;
    start(&f, 0);
    char *schema = memory_storage_read(&f.memory, GATE_KEY_SCHEMA, NULL);
    ck_assert_str_eq(schema, "1");
    free(schema);
    ck_assert_uint_eq(memory_storage_numbers(&f.memory).syncs, 1);
    gate_store_close(f.store);

    struct gate_error err;
    ck_assert_int_eq(try_open(&f, 0, &err), GATE_OK);
    ck_assert_uint_eq(memory_storage_numbers(&f.memory).writes, 1);
    stop(&f);
}
END_TEST

static void refuse(struct gate_str schema, const char *shown)
{
    struct fixture f;
    struct gate_error err;
    char expected[256];
    memory_storage_init(&f.memory);
    memory_storage_write(&f.memory, GATE_KEY_SCHEMA, schema);
    memory_storage_write(&f.memory, "account/a", GATE_STR("{}"));
    ck_assert_int_eq(try_open(&f, 0, &err), GATE_EINVAL);
    ck_assert_ptr_null(f.store);
    snprintf(expected, sizeof expected,
             "storage in /var/lib/gate/db was written by a newer llm-gate (schema %s, this one "
             "knows 1): use that version or restore a backup",
             shown);
    ck_assert_str_eq(err.message, expected);
    ck_assert_uint_eq(memory_storage_numbers(&f.memory).writes, 0);
    memory_storage_finish(&f.memory);
}

START_TEST(newer_or_unreadable_schema_is_refused)
{
    char long_one[300];
    memset(long_one, '1', sizeof long_one);
    refuse(GATE_STR("2"), "2");
    refuse(GATE_STR("999999999"), "999999999");
    refuse(GATE_STR("4294967297"), "4294967297");
    refuse(GATE_STR("0"), "0");
    refuse(GATE_STR("01"), "01");
    refuse(GATE_STR(" 1"), "?1");
    refuse(GATE_STR("1\n"), "1?");
    refuse(GATE_STR("2.1"), "2.1");
    refuse(GATE_STR(""), "");
    refuse(GATE_STR("\x01\x80garbage that goes on and on"), "??garbage?that?goes?");
    refuse((struct gate_str){long_one, sizeof long_one}, "");
}
END_TEST

START_TEST(records_without_a_schema_are_refused)
{
    struct fixture f;
    struct gate_error err;
    memory_storage_init(&f.memory);
    memory_storage_write(&f.memory, "account/a", GATE_STR("{}"));
    ck_assert_int_eq(try_open(&f, 0, &err), GATE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.message, "/var/lib/gate/db holds records but not"));
    ck_assert_uint_eq(memory_storage_numbers(&f.memory).writes, 0);
    memory_storage_finish(&f.memory);
}
END_TEST

START_TEST(storage_that_does_not_open_says_why)
{
    struct fixture f;
    struct gate_error err;
    memory_storage_init(&f.memory);
    memory_storage_set_damaged(&f.memory, true);
    ck_assert_int_eq(try_open(&f, 0, &err), GATE_EIO);
    ck_assert_str_eq(err.message, "storage in /var/lib/gate/db is damaged");
    memory_storage_set_damaged(&f.memory, false);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_WRITES);
    int log = catch_log();
    ck_assert_int_eq(try_open(&f, 0, &err), GATE_EIO);
    ck_assert_uint_eq(memory_storage_count(&f.memory, ""), 0);
    close(log);
    memory_storage_finish(&f.memory);
}
END_TEST

/* Two steps of an imaginary future: "old" becomes "middle", then "new". */
static enum gate_status move_record(struct gate_storage *s, const char *from, const char *to,
                                    struct gate_error *err)
{
    struct gate_buf value;
    gate_buf_init(&value, 64);
    enum gate_status status = gate_storage_get(s, gate_str_of(from), &value, NULL, err);
    if (status == GATE_OK)
        status =
            gate_storage_put_if(s, gate_str_of(to), gate_buf_str(&value), 0, 0, 0, 0, NULL, err);
    if (status == GATE_OK)
        status = gate_storage_delete(s, gate_str_of(from), err);
    gate_buf_finish(&value);
    return status;
}

static enum gate_status first_step(struct gate_storage *s, struct gate_error *err)
{
    return move_record(s, "old", "middle", err);
}

static enum gate_status second_step(struct gate_storage *s, struct gate_error *err)
{
    enum gate_status status = move_record(s, "middle", "new", err);
    return status == GATE_OK ? move_record(s, "needed", "found", err) : status;
}

struct bringing {
    enum gate_status status;
    struct gate_error err;
};

static void bring_to_three(struct gate_storage *s, void *arg)
{
    static const struct gate_schema_step steps[] = {{"the first", first_step},
                                                    {"the second", second_step}};
    struct bringing *b = arg;
    b->status = gate_schema_bring(s, "DIR", steps, 3, &b->err);
}

static void expect_record(struct fixture *f, const char *key, const char *value)
{
    char *text = memory_storage_read(&f->memory, key, NULL);
    if (value == NULL) {
        ck_assert_ptr_null(text);
    } else {
        ck_assert_ptr_nonnull(text);
        ck_assert_str_eq(text, value);
    }
    free(text);
}

START_TEST(older_schema_is_migrated_step_by_step)
{
    struct fixture f;
    struct bringing b;
    int log = catch_log();
    start(&f, 0);
    memory_storage_write(&f.memory, "old", GATE_STR("x"));
    /* The second step lacks a record: the first stays, the second leaves nothing. */
    gate_store_call(f.store, bring_to_three, &b);
    ck_assert_int_eq(b.status, GATE_ENOTFOUND);
    ck_assert_ptr_nonnull(
        strstr(b.err.message, "storage in DIR: migration to schema 3 (the second)"));
    expect_record(&f, GATE_KEY_SCHEMA, "2");
    expect_record(&f, "middle", "x");
    expect_record(&f, "new", NULL);

    memory_storage_write(&f.memory, "needed", GATE_STR("y"));
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_COMMITS);
    gate_store_call(f.store, bring_to_three, &b);
    ck_assert_int_eq(b.status, GATE_EIO);
    expect_record(&f, GATE_KEY_SCHEMA, "2");
    expect_record(&f, "middle", "x");

    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    uint64_t syncs = memory_storage_numbers(&f.memory).syncs;
    gate_store_call(f.store, bring_to_three, &b);
    ck_assert_int_eq(b.status, GATE_OK);
    ck_assert_uint_gt(memory_storage_numbers(&f.memory).syncs, syncs);
    expect_record(&f, GATE_KEY_SCHEMA, "3");
    expect_record(&f, "middle", NULL);
    expect_record(&f, "new", "x");
    expect_record(&f, "found", "y");
    gate_store_call(f.store, bring_to_three, &b);
    ck_assert_int_eq(b.status, GATE_OK);
    stop(&f);
    ck_assert_int_eq(count_lines(log, "migrated to schema 3: the second"), 1);
    close(log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema");
    TCase *tests = tcase_create("schema");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, new_storage_gets_the_schema_durably);
    tcase_add_test(tests, newer_or_unreadable_schema_is_refused);
    tcase_add_test(tests, records_without_a_schema_are_refused);
    tcase_add_test(tests, storage_that_does_not_open_says_why);
    tcase_add_test(tests, older_schema_is_migrated_step_by_step);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
