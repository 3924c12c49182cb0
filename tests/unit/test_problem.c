/* The list of problems: bounded, clean, sorted. */
#include "script/problem.h"

#include <check.h>
#include <stdlib.h>

static void add(struct gate_problems *p, const char *file, uint32_t line, uint32_t column,
                const char *message)
{
    gate_problems_add(p, GATE_SEVERITY_ERROR, "syntax", file, line, "%s", message)->column = column;
}

START_TEST(an_added_problem_has_what_was_said)
{
    struct gate_problems p = {0};
    struct gate_problem *first = gate_problems_add(&p, GATE_SEVERITY_WARNING, "undefined_global",
                                                   "routing.lua", 12, "'%s' is %d", "x", 7);
    first->column = 3;
    for (int i = 0; i < 50; i++)
        add(&p, "a.lua", 1, 1, "later");
    ck_assert_ptr_eq(first, &p.list[0]); /* the list does not move */
    ck_assert_str_eq(first->file, "routing.lua");
    ck_assert_str_eq(first->code, "undefined_global");
    ck_assert_str_eq(first->message, "'x' is 7");
    ck_assert_str_eq(first->stack, "");
    ck_assert_uint_eq(first->line, 12);
    ck_assert_uint_eq(first->column, 3);
    ck_assert_uint_eq(first->end_column + first->open_line + first->open_column, 0);
    ck_assert_int_eq(first->severity, GATE_SEVERITY_WARNING);
    ck_assert_uint_eq(p.count, 51);
    ck_assert_uint_eq(p.errors, 50);
    gate_problems_finish(&p);
    ck_assert_ptr_null(p.list);
    ck_assert_uint_eq(p.count + p.kept + p.errors, 0);
    gate_problems_finish(&p);
}
END_TEST

START_TEST(texts_are_cleaned_and_cut)
{
    struct gate_problems p = {0};
    char longest[2 * GATE_PROBLEM_TEXT];
    struct gate_problem *a = gate_problems_add(&p, GATE_SEVERITY_ERROR, "x", "f\n.lua", 1,
                                               "a\nb\tc\x7f\x01 \xff \xC3\xA9");
    ck_assert_str_eq(a->message, "a b c   ? \xC3\xA9");
    ck_assert_str_eq(a->file, "f .lua");
    for (size_t i = 0; i + 1 < sizeof longest; i += 2)
        memcpy(longest + i, "\xC3\xA9", 2);
    longest[sizeof longest - 2] = '\0';
    a = gate_problems_add(&p, GATE_SEVERITY_ERROR, longest, longest, 1, "%s", longest);
    ck_assert_uint_eq(strlen(a->message), GATE_PROBLEM_TEXT - 2); /* no half of a character */
    ck_assert_uint_eq(strlen(a->file), GATE_PROBLEM_FILE - 2);
    ck_assert_uint_eq(strlen(a->code), sizeof a->code - 2);
    a = gate_problems_add(&p, GATE_SEVERITY_ERROR, "x", "", 1, "x%s", longest);
    ck_assert_uint_eq(strlen(a->message), GATE_PROBLEM_TEXT - 1);
    gate_problems_finish(&p);
}
END_TEST

START_TEST(too_many_are_counted_and_errors_push_warnings_out)
{
    struct gate_problems p = {0};
    for (int i = 0; i < GATE_PROBLEMS_MAX; i++)
        gate_problems_add(&p, GATE_SEVERITY_WARNING, "w", "f.lua", 1, "%d", i);
    struct gate_problem *w = gate_problems_add(&p, GATE_SEVERITY_WARNING, "w", "f.lua", 1, "more");
    w->column = 77; /* a place that nobody reads */
    add(&p, "f.lua", 2, 1, "first");
    add(&p, "f.lua", 3, 1, "second");
    ck_assert_uint_eq(p.kept, GATE_PROBLEMS_MAX);
    ck_assert_uint_eq(p.count, GATE_PROBLEMS_MAX + 3);
    ck_assert_uint_eq(p.errors, 2);
    ck_assert_str_eq(p.list[GATE_PROBLEMS_MAX - 1].message, "first");
    ck_assert_str_eq(p.list[GATE_PROBLEMS_MAX - 2].message, "second");
    ck_assert_str_eq(p.list[GATE_PROBLEMS_MAX - 3].message, "97");
    for (int i = 0; i < GATE_PROBLEMS_MAX; i++)
        add(&p, "f.lua", 4, 1, "last");
    for (size_t i = 0; i < p.kept; i++) {
        ck_assert_int_eq(p.list[i].severity, GATE_SEVERITY_ERROR);
        ck_assert_uint_ne(p.list[i].column, 77);
    }
    ck_assert_uint_eq(p.errors, GATE_PROBLEMS_MAX + 2);
    gate_problems_finish(&p);
}
END_TEST

START_TEST(an_error_is_taken_apart)
{
    static const struct {
        const char *text, *file, *message;
        uint32_t line;
    } cases[] = {
        {"routing.lua:12: boom", "routing.lua", "boom", 12},
        {"tests/x.lua:3: a: b", "tests/x.lua", "a: b", 3},
        {"gate/match.lua:1: attempt", "gate/match.lua", "attempt", 1},
        {"gateway.lua: listen is 7", "gateway.lua", "listen is 7", 0},
        {"routing.lua:12 boom", "routing.lua", "12 boom", 0},
        {"routing.lua:x: boom", "routing.lua", "x: boom", 0},
        {"routing.lua:9999999999: boom", "routing.lua", "9999999999: boom", 0},
        {"no place at all", "", "no place at all", 0},
        {"cannot read routing.lua: no such file", "", "cannot read routing.lua: no such file", 0},
        {"instance: broken", "", "instance: broken", 0},
        {".lua:3: x", "", ".lua:3: x", 0},
        {"routing.lua", "", "routing.lua", 0},
        {"", "", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gate_problems p = {0};
        struct gate_error err;
        gate_fail(&err, GATE_EINVAL, "%s", cases[i].text);
        const struct gate_problem *got = gate_problems_add_error(&p, "runtime", &err);
        ck_assert_str_eq(got->file, cases[i].file);
        ck_assert_str_eq(got->message, cases[i].message);
        ck_assert_uint_eq(got->line, cases[i].line);
        ck_assert_str_eq(got->code, "runtime");
        ck_assert_int_eq(got->severity, GATE_SEVERITY_ERROR);
        ck_assert_uint_eq(p.errors, 1);
        gate_problems_finish(&p);
    }
}
END_TEST

START_TEST(sorting_orders_by_place_and_drops_what_is_said_twice)
{
    static const char *const order[] = {"none",  "a1",     "a2",   "b9",
                                        "b10:2", "b10:11", "same", "other"};
    struct gate_problems p = {0};
    add(&p, "c.lua", 1, 1, "same");
    add(&p, "b.lua", 10, 11, "b10:11");
    add(&p, "b.lua", 9, 50, "b9");
    add(&p, "a.lua", 1, 2, "a2");
    add(&p, "c.lua", 1, 1, "same");
    add(&p, "", 0, 0, "none");
    add(&p, "a.lua", 1, 1, "a1");
    gate_problems_add(&p, GATE_SEVERITY_WARNING, "w", "c.lua", 1, "other")->column = 1;
    add(&p, "b.lua", 10, 2, "b10:2");
    add(&p, "c.lua", 1, 1, "same");
    gate_problems_sort(&p);
    ck_assert_uint_eq(p.kept, sizeof order / sizeof order[0]);
    for (size_t i = 0; i < p.kept; i++)
        ck_assert_str_eq(p.list[i].message, order[i]);
    ck_assert_uint_eq(p.count, 8);
    ck_assert_uint_eq(p.errors, 7);
    gate_problems_finish(&p);
    gate_problems_sort(&p); /* of an empty list */
    ck_assert_uint_eq(p.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("problem");
    TCase *tcase = tcase_create("problem");
    tcase_add_test(tcase, an_added_problem_has_what_was_said);
    tcase_add_test(tcase, texts_are_cleaned_and_cut);
    tcase_add_test(tcase, too_many_are_counted_and_errors_push_warnings_out);
    tcase_add_test(tcase, an_error_is_taken_apart);
    tcase_add_test(tcase, sorting_orders_by_place_and_drops_what_is_said_twice);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
