#include "base/buf.h"
#include <check.h>
#include <stdlib.h>

START_TEST(starts_empty_and_allocates_nothing)
{
    struct gate_buf b;
    gate_buf_init(&b, 10);
    ck_assert_ptr_null(b.ptr);
    ck_assert_uint_eq(gate_buf_str(&b).len, 0);
    gate_buf_finish(&b);
}
END_TEST

START_TEST(cap_is_exact)
{
    struct gate_buf b;
    gate_buf_init(&b, 10);
    ck_assert(gate_buf_append(&b, GATE_STR("0123456")));
    ck_assert(!gate_buf_append(&b, GATE_STR("789a")));
    ck_assert(gate_str_eq(gate_buf_str(&b), GATE_STR("0123456")));
    ck_assert_ptr_null(gate_buf_reserve(&b, 4));
    ck_assert_ptr_null(gate_buf_reserve(&b, SIZE_MAX));
    ck_assert_ptr_nonnull(gate_buf_reserve(&b, 3));
    ck_assert(gate_buf_append(&b, GATE_STR("789")));
    ck_assert(gate_buf_append(&b, (struct gate_str){NULL, 0}));
    ck_assert(!gate_buf_append_byte(&b, 'a'));
    ck_assert(gate_str_eq(gate_buf_str(&b), GATE_STR("0123456789")));
    gate_buf_finish(&b);
}
END_TEST

START_TEST(empty_buffer_gives_a_pointer)
{
    struct gate_buf b;
    gate_buf_init(&b, 0);
    ck_assert_ptr_nonnull(gate_buf_reserve(&b, 0));
    ck_assert(!gate_buf_append_byte(&b, 'a'));
    gate_buf_finish(&b);
}
END_TEST

START_TEST(grows_byte_by_byte_without_limit_of_its_own)
{
    struct gate_buf b;
    gate_buf_init(&b, SIZE_MAX);
    size_t same = 0;
    for (size_t i = 0; i < 100000; i++)
        gate_buf_append_byte(&b, (char)(i % 251));
    ck_assert_uint_eq(b.len, 100000);
    for (size_t i = 0; i < b.len; i++)
        same += b.ptr[i] == (char)(i % 251);
    ck_assert_uint_eq(same, 100000);
    /* Doubling: no more than twice of what is needed. */
    ck_assert_uint_le(b.cap, 200000);
    gate_buf_finish(&b);
}
END_TEST

START_TEST(allocation_stays_within_max)
{
    struct gate_buf b;
    gate_buf_init(&b, 1000);
    for (size_t i = 0; i < 1000; i++)
        ck_assert(gate_buf_append_byte(&b, 'x'));
    ck_assert_uint_eq(b.cap, 1000);
    gate_buf_finish(&b);
}
END_TEST

START_TEST(printf_fits_exactly_or_not_at_all)
{
    for (size_t max = 0; max < 200; max++) {
        struct gate_buf b;
        gate_buf_init(&b, max);
        bool all = true;
        size_t expected = 0;
        for (int i = 0; i < 12; i++) {
            bool fits = gate_buf_printf(&b, "%d-%s;", i, "some words");
            size_t n = i < 10 ? 13 : 14;
            ck_assert_int_eq(fits, expected + n <= max);
            expected += fits ? n : 0;
            all = all && fits;
            ck_assert_uint_eq(b.len, expected);
            ck_assert_uint_le(b.len, max);
        }
        if (all)
            ck_assert(gate_str_starts(gate_buf_str(&b), GATE_STR("0-some words;1-some words;2-")));
        gate_buf_finish(&b);
    }
}
END_TEST

START_TEST(consume_moves_the_rest_down)
{
    struct gate_buf b;
    gate_buf_init(&b, 100);
    gate_buf_consume(&b, 0);
    ck_assert(gate_buf_append(&b, GATE_STR("abcdef")));
    gate_buf_consume(&b, 0);
    gate_buf_consume(&b, 4);
    ck_assert(gate_str_eq(gate_buf_str(&b), GATE_STR("ef")));
    gate_buf_consume(&b, 2);
    ck_assert_uint_eq(b.len, 0);
    gate_buf_finish(&b);
}
END_TEST

START_TEST(finish_and_wipe_leave_a_usable_buffer)
{
    struct gate_buf b;
    gate_buf_init(&b, 4);
    ck_assert(gate_buf_append(&b, GATE_STR("abcd")));
    gate_buf_wipe(&b);
    ck_assert_ptr_null(b.ptr);
    ck_assert_uint_eq(b.len, 0);
    ck_assert(!gate_buf_append(&b, GATE_STR("abcde")));
    ck_assert(gate_buf_append(&b, GATE_STR("abcd")));
    gate_buf_finish(&b);
    gate_buf_wipe(&b);
    gate_buf_finish(&b);
}
END_TEST

START_TEST(writer_appends_and_drops)
{
    struct gate_buf b;
    gate_buf_init(&b, 5);
    struct gate_writer w = gate_buf_writer(&b);
    gate_write(&w, GATE_STR("abc"));
    gate_write(&w, GATE_STR("def"));
    gate_write(&w, GATE_STR("gh"));
    ck_assert(gate_str_eq(gate_buf_str(&b), GATE_STR("abcgh")));
    gate_buf_finish(&b);
}
END_TEST

START_TEST(strdup_and_wipe)
{
    char *s = gate_strdup((struct gate_str){"secret!", 6});
    ck_assert_str_eq(s, "secret");
    gate_wipe(s, 6);
    ck_assert_mem_eq(s, "\0\0\0\0\0\0\0", 7);
    free(s);
    s = gate_strdup((struct gate_str){NULL, 0});
    ck_assert_str_eq(s, "");
    free(s);
    gate_wipe(NULL, 0);
    unsigned char *zeros = gate_calloc(3, 5);
    for (size_t i = 0; i < 15; i++)
        ck_assert_uint_eq(zeros[i], 0);
    zeros = gate_realloc(zeros, 0);
    ck_assert_ptr_nonnull(zeros);
    free(zeros);
    free(gate_alloc(0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tests = tcase_create("buf");
    tcase_add_test(tests, starts_empty_and_allocates_nothing);
    tcase_add_test(tests, cap_is_exact);
    tcase_add_test(tests, empty_buffer_gives_a_pointer);
    tcase_add_test(tests, grows_byte_by_byte_without_limit_of_its_own);
    tcase_add_test(tests, allocation_stays_within_max);
    tcase_add_test(tests, printf_fits_exactly_or_not_at_all);
    tcase_add_test(tests, consume_moves_the_rest_down);
    tcase_add_test(tests, finish_and_wipe_leave_a_usable_buffer);
    tcase_add_test(tests, writer_appends_and_drops);
    tcase_add_test(tests, strdup_and_wipe);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
