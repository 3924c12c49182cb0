#include "base/json_tree.h"

#include <check.h>
#include <stdlib.h>

static cJSON *parse(struct gate_str text)
{
    char reason[GATE_JSON_TREE_REASON] = "";
    return gate_json_tree_parse(text, reason);
}

START_TEST(takes_what_is_right)
{
    static const struct gate_str texts[] = {
        GATE_STR("{}"),
        GATE_STR(" \t\r\n{\"a\":1}\n"),
        GATE_STR("{\"a\":{\"a\":[1,2,{\"a\":null}]},\"b\":\"\\u00e4\\\\\\\"\xc3\xa4\"}"),
        GATE_STR("{\"\\\\\":\"\\\\\"}"),
        GATE_STR("{\"a\":\"\\\\u0000\"}"), /* a backslash and text */
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cJSON *tree = parse(texts[i]);
        ck_assert_msg(tree != NULL, "%zu", i);
        gate_json_tree_free(tree);
    }
    gate_json_tree_free(NULL);
}
END_TEST

START_TEST(refuses_what_can_be_read_in_two_ways)
{
    static const struct {
        struct gate_str text;
        const char *reason;
    } cases[] = {
        {GATE_STR(""), "not JSON"},
        {GATE_STR("nonsense"), "not JSON"},
        {GATE_STR("{"), "not JSON"},
        {GATE_STR("{} {}"), "not JSON"},
        {GATE_STR("{}x"), "not JSON"},
        {GATE_STR("[]"), "not an object"},
        {GATE_STR("\"a\""), "not an object"},
        {GATE_STR("null"), "not an object"},
        {GATE_STR("{\"a\":1,\"a\":2}"), "twice"},
        {GATE_STR("{\"b\":[{\"a\":1,\"c\":2,\"a\":2}]}"), "twice"},
        {GATE_STR("{\"a\":1,\"\\u0061\":2}"), "twice"},
        {GATE_STR("{\"a\":\"x\\u0000y\"}"), "NUL"},
        {GATE_STR("{\"a\":\"x\ny\"}"), "control byte inside"},
        {GATE_STR("{\"a\":\x01 1}"), "control byte"},
        {GATE_STR("{\"a\":1}\0"), "control byte"},
        {GATE_STR("{\"a\":\"\xff\"}"), "UTF-8"},
        {GATE_STR("{\"a\":\"\xc0\x80\"}"), "UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char reason[GATE_JSON_TREE_REASON] = "";
        ck_assert_ptr_null(gate_json_tree_parse(cases[i].text, reason));
        ck_assert_msg(strstr(reason, cases[i].reason) != NULL, "%zu: %s", i, reason);
    }
}
END_TEST

START_TEST(depth_is_bounded)
{
    char text[4 * GATE_JSON_TREE_DEPTH];
    for (int depth = GATE_JSON_TREE_DEPTH; depth <= GATE_JSON_TREE_DEPTH + 1; depth++) {
        size_t len = 0;
        memcpy(text, "{\"a\":", 5);
        len = 5;
        for (int i = 1; i < depth; i++)
            text[len++] = '[';
        for (int i = 1; i < depth; i++)
            text[len++] = ']';
        text[len++] = '}';
        cJSON *tree = parse((struct gate_str){text, len});
        ck_assert_int_eq(tree != NULL, depth == GATE_JSON_TREE_DEPTH);
        gate_json_tree_free(tree);
    }
}
END_TEST

START_TEST(names_what_is_unknown)
{
    cJSON *tree = parse(GATE_STR("{\"rpm\":1,\"rp\":2}"));
    ck_assert_str_eq(gate_json_tree_unknown(tree, "rpm|rpd"), "rp");
    ck_assert_ptr_null(gate_json_tree_unknown(tree, "rp|rpm"));
    ck_assert_str_eq(gate_json_tree_unknown(tree, ""), "rpm");
    gate_json_tree_free(tree);
    tree = parse(GATE_STR("{\"a|b\":1}"));
    ck_assert_str_eq(gate_json_tree_unknown(tree, "a|b"), "a|b");
    gate_json_tree_free(tree);
    tree = parse(GATE_STR("{\"\":1}"));
    ck_assert_str_eq(gate_json_tree_unknown(tree, "a|b"), "");
    gate_json_tree_free(tree);
}
END_TEST

START_TEST(whole_numbers)
{
    cJSON *tree =
        parse(GATE_STR("{\"a\":5,\"b\":5.5,\"c\":-1,\"d\":\"5\",\"e\":1e300,\"f\":true}"));
    uint64_t n = 0;
    ck_assert(gate_json_tree_whole(cJSON_GetObjectItem(tree, "a"), 0, 5, &n));
    ck_assert_uint_eq(n, 5);
    ck_assert(!gate_json_tree_whole(cJSON_GetObjectItem(tree, "a"), 6, 9, &n));
    ck_assert(!gate_json_tree_whole(cJSON_GetObjectItem(tree, "a"), 0, 4, &n));
    for (const char *name = "bcdefg"; *name != '\0'; name++) {
        const char one[2] = {*name, '\0'};
        ck_assert(!gate_json_tree_whole(cJSON_GetObjectItem(tree, one), 0, 1e15, &n));
    }
    gate_json_tree_free(tree);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json_tree");
    TCase *t = tcase_create("json_tree");
    tcase_add_test(t, takes_what_is_right);
    tcase_add_test(t, refuses_what_can_be_read_in_two_ways);
    tcase_add_test(t, depth_is_bounded);
    tcase_add_test(t, names_what_is_unknown);
    tcase_add_test(t, whole_numbers);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
