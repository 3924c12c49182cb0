/* Limits that may be set or left to others. */
#include "base/limits.h"

#include <check.h>
#include <stdlib.h>

START_TEST(every_field_is_put_and_read_by_its_name)
{
    static const char *const names[] = {"rpm", "rpd", "tpm", "tpd", "concurrency"};
    struct gate_limits_patch patch = {0};

    for (unsigned field = 0; field < GATE_LIMITS_FIELDS; field++) {
        ck_assert_str_eq(gate_limits_names[field], names[field]);
        gate_limits_put(&patch, field, GATE_LIMITS_MAX - field);
        ck_assert_uint_eq(patch.set, (2u << field) - 1);
    }
    for (unsigned field = 0; field < GATE_LIMITS_FIELDS; field++)
        ck_assert_uint_eq(gate_limits_value(&patch.values, field), GATE_LIMITS_MAX - field);
    ck_assert_uint_eq(patch.values.requests_per_minute, GATE_LIMITS_MAX);
    ck_assert_uint_eq(patch.values.requests_per_day, GATE_LIMITS_MAX - 1);
    ck_assert_uint_eq(patch.values.tokens_per_minute, GATE_LIMITS_MAX - 2);
    ck_assert_uint_eq(patch.values.tokens_per_day, GATE_LIMITS_MAX - 3);
    ck_assert_uint_eq(patch.values.concurrency, GATE_LIMITS_MAX - 4);
    ck_assert_str_eq(gate_usage_kind_names[GATE_USAGE_CHAT], "chat");
    ck_assert_str_eq(gate_usage_kind_names[GATE_USAGE_SEARCH], "search");
}
END_TEST

START_TEST(a_patch_covers_only_what_it_sets)
{
    struct gate_limits limits = {.requests_per_minute = 60, .requests_per_day = 2000};
    struct gate_limits_patch patch = {0};

    gate_limits_apply(&limits, &patch);
    ck_assert_uint_eq(limits.requests_per_minute, 60);
    ck_assert_uint_eq(limits.requests_per_day, 2000);

    gate_limits_put(&patch, 1, 0); /* rpd: no limit, which is not the same as not set */
    gate_limits_put(&patch, 4, 3);
    gate_limits_apply(&limits, &patch);
    ck_assert_uint_eq(limits.requests_per_minute, 60);
    ck_assert_uint_eq(limits.requests_per_day, 0);
    ck_assert_uint_eq(limits.tokens_per_minute, 0);
    ck_assert_uint_eq(limits.concurrency, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits");
    TCase *tcase = tcase_create("limits");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, every_field_is_put_and_read_by_its_name);
    tcase_add_test(tcase, a_patch_covers_only_what_it_sets);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
