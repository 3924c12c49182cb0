/* The small tools of json: member, element, decode, encode. */
#include "base/json.h"
#include <check.h>
#include <cjson/cJSON.h>
#include <stdlib.h>

static const char *member(const char *object, const char *key, char *out)
{
    struct gate_str value = {"untouched", 9};
    bool found = gate_json_member(gate_str_of(object), gate_str_of(key), &value);
    snprintf(out, 128, "%.*s", (int)value.len, value.ptr);
    if (!found)
        ck_assert_str_eq(out, "untouched");
    return found ? out : NULL;
}

START_TEST(members)
{
    char out[128];
    const char *object =
        " {\"a\":1 , \"b\" : {\"a\":[2]},\"c\":\"x\\\"y\",\"d\":null,\"a\":3,\"\":4,"
        "\"e\\u0066\":[ 5 ] } trailing";
    ck_assert_str_eq(member(object, "a", out), "1");
    ck_assert_str_eq(member(object, "b", out), "{\"a\":[2]}");
    ck_assert_str_eq(member(object, "c", out), "\"x\\\"y\"");
    ck_assert_str_eq(member(object, "d", out), "null");
    ck_assert_str_eq(member(object, "", out), "4");
    ck_assert_str_eq(member(object, "ef", out), "[ 5 ]");
    ck_assert_ptr_null(member(object, "f", out));
    ck_assert_ptr_null(member(object, "e\\u0066", out));
    ck_assert_ptr_null(member(object, "efg", out));
}
END_TEST

START_TEST(members_of_what_is_no_object)
{
    static const char *const broken[] = {"",
                                         " ",
                                         "[\"a\",1]",
                                         "\"a\"",
                                         "{",
                                         "{\"",
                                         "{\"a",
                                         "{\"a\"",
                                         "{\"a\":",
                                         "{\"a\": ",
                                         "{\"a\" 1}",
                                         "{\"b\":1 \"a\":2}",
                                         "{a:1}",
                                         "{\"b\":,}",
                                         "{\"b\":[1}",
                                         "{\"b\":[,\"a\":1}",
                                         "{\"b\":\"x,\"a\":1}",
                                         "{,\"a\":1}",
                                         "{\"a\":}",
                                         "{\"a\":{\"x\":1"};
    char out[128];
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        ck_assert_msg(member(broken[i], "a", out) == NULL, "%s", broken[i]);
    struct gate_str value;
    ck_assert(!gate_json_member((struct gate_str){NULL, 0}, GATE_STR("a"), &value));
    /* What follows the member is not looked at. */
    ck_assert_str_eq(member("{\"a\":1,]", "a", out), "1");
}
END_TEST

/* The elements, each followed by '|'. */
static const char *elements(const char *array, char *out)
{
    size_t cursor = 0, len = 0;
    struct gate_str element;
    out[0] = '\0';
    while (gate_json_element(gate_str_of(array), &cursor, &element))
        len += (size_t)snprintf(out + len, 128 - len, "%.*s|", (int)element.len, element.ptr);
    return out;
}

START_TEST(elements_in_order)
{
    char out[128];
    ck_assert_str_eq(elements(" [ 1 ,\"a,]\" , [2,[3]],{\"b\":[4]},null ] ,5]", out),
                     "1|\"a,]\"|[2,[3]]|{\"b\":[4]}|null|");
    ck_assert_str_eq(elements("[]", out), "");
    ck_assert_str_eq(elements("[ ]", out), "");
    ck_assert_str_eq(elements("[7]", out), "7|");
}
END_TEST

START_TEST(elements_of_what_is_no_array)
{
    char out[128];
    ck_assert_str_eq(elements("", out), "");
    ck_assert_str_eq(elements("{\"a\":1}", out), "");
    ck_assert_str_eq(elements("1,2", out), "");
    ck_assert_str_eq(elements(",1]", out), "");
    ck_assert_str_eq(elements("[", out), "");
    ck_assert_str_eq(elements("[1", out), "1|");
    ck_assert_str_eq(elements("[1,", out), "1|");
    ck_assert_str_eq(elements("[1 2]", out), "1|");
    ck_assert_str_eq(elements("[1,,2]", out), "1|");
    ck_assert_str_eq(elements("[1,{]", out), "1|");
    size_t cursor = 100;
    struct gate_str element;
    ck_assert(!gate_json_element(GATE_STR("[1]"), &cursor, &element));
}
END_TEST

static bool decode(struct gate_str value, struct gate_buf *b)
{
    gate_buf_init(b, 1 << 20);
    struct gate_writer out = gate_buf_writer(b);
    return gate_json_decode(value, &out);
}

static const struct {
    struct gate_str value, text;
} decoded[] = {
    {{"\"\"", 2}, {"", 0}},
    {{"\"abc\"", 5}, {"abc", 3}},
    {{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 18}, {"\"\\/\b\f\n\r\t", 8}},
    {{"\"\\u0041\\u00e9\\u20AC\"", 20}, {"A\xc3\xa9\xe2\x82\xac", 6}},
    {{"\"\\ud83d\\ude00!\"", 15}, {"\xf0\x9f\x98\x80!", 5}},
    {{"\"\\udbff\\udfff\"", 14}, {"\xf4\x8f\xbf\xbf", 4}},
    {{"\"\\ud83d\"", 8}, {"\xef\xbf\xbd", 3}},
    {{"\"\\ud83dx\"", 9}, {"\xef\xbf\xbdx", 4}},
    {{"\"\\ude00\\ud83d\"", 14}, {"\xef\xbf\xbd\xef\xbf\xbd", 6}},
    {{"\"\\ud83d\\u0041\"", 14},
     {"\xef\xbf\xbd"
      "A",
      4}},
    {{"\"\\ud83d\\n\"", 10}, {"\xef\xbf\xbd\n", 4}},
    {{"\"\\u0000a\"", 9}, {"\0a", 2}},
    {{"\"a\0b\"", 5}, {"a\0b", 3}},
    {{"\"a\xff\xc3\"", 5}, {"a\xef\xbf\xbd\xef\xbf\xbd", 7}},
    {{"\"\xed\xa0\x80\"", 5}, {"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 9}},
    {{"\"gr\xc3\xbc\xc3\x9f\"", 8}, {"gr\xc3\xbc\xc3\x9f", 6}},
    {{"\"\n\"", 3}, {"\n", 1}},
};

START_TEST(decode_gives_utf8)
{
    struct gate_buf b;
    ck_assert(decode(decoded[_i].value, &b));
    ck_assert(gate_str_eq(gate_buf_str(&b), decoded[_i].text));
    gate_buf_finish(&b);
}
END_TEST

START_TEST(decode_refuses_what_is_no_string)
{
    static const struct gate_str values[] = {
        GATE_STR(""),           GATE_STR("\""),          GATE_STR("a"),
        GATE_STR("null"),       GATE_STR("\"a"),         GATE_STR("a\""),
        GATE_STR(" \"a\""),     GATE_STR("\"a\" "),      GATE_STR("\"a\"b\""),
        GATE_STR("\"\\\""),     GATE_STR("\"\\x\""),     GATE_STR("\"\\u12\""),
        GATE_STR("\"\\u\""),    GATE_STR("\"\\u00g0\""), GATE_STR("\"a\\\\\\\""),
        GATE_STR("\"\\u+123\"")};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct gate_buf b;
        ck_assert_msg(!decode(values[i], &b), "%.*s", (int)values[i].len, values[i].ptr);
        ck_assert_uint_eq(b.len, 0);
        gate_buf_finish(&b);
    }
}
END_TEST

START_TEST(decode_to_an_array)
{
    char out[8];
    size_t len = 99;
    ck_assert(gate_json_decode_to(GATE_STR("\"1234567\""), out, sizeof out, &len));
    ck_assert_str_eq(out, "1234567");
    ck_assert_uint_eq(len, 7);
    ck_assert(gate_json_decode_to(GATE_STR("\"\""), out, 1, &len));
    ck_assert_uint_eq(len, 0);
    ck_assert(!gate_json_decode_to(GATE_STR("\"12345678\""), out, sizeof out, &len));
    ck_assert(
        !gate_json_decode_to(GATE_STR("\"123\\u00e9\\u00e9\\u00e9\""), out, sizeof out, &len));
    ck_assert(!gate_json_decode_to(GATE_STR("\"1\\u00002\""), out, sizeof out, &len));
    ck_assert(!gate_json_decode_to(GATE_STR("12"), out, sizeof out, &len));
    ck_assert(!gate_json_decode_to(GATE_STR("\"\""), out, 0, &len));
}
END_TEST

static void check_encoded(struct gate_str text, struct gate_str expected)
{
    struct gate_buf b;
    gate_buf_init(&b, 1 << 20);
    gate_json_put(&b, text);
    ck_assert_msg(gate_str_eq(gate_buf_str(&b), expected), "%.*s", (int)b.len, b.ptr);
    gate_buf_finish(&b);
}

START_TEST(encode_escapes)
{
    check_encoded((struct gate_str){NULL, 0}, GATE_STR("\"\""));
    check_encoded(GATE_STR("plain/text"), GATE_STR("\"plain/text\""));
    check_encoded(GATE_STR("\"\\\b\f\n\r\t"), GATE_STR("\"\\\"\\\\\\b\\f\\n\\r\\t\""));
    check_encoded(GATE_STR("\0\x01\x1f\x7f"), GATE_STR("\"\\u0000\\u0001\\u001f\x7f\""));
    check_encoded(GATE_STR("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"),
                  GATE_STR("\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\""));
    /* Stray and missing continuation, overlong, surrogate, too large. */
    check_encoded(GATE_STR("\x80|\xc3|\xc0\xaf|\xed\xbf\xbf|\xf5\x80|\xf4\x90\x80\x80|\xe2\x82"),
                  GATE_STR("\"\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|"
                           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|"
                           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|"
                           "\xef\xbf\xbd\xef\xbf\xbd\""));
}
END_TEST

START_TEST(put_is_whole_or_nothing)
{
    struct gate_buf b;
    gate_buf_init(&b, 8);
    gate_json_put(&b, GATE_STR("abc"));
    ck_assert_uint_eq(b.len, 5);
    gate_json_put(&b, GATE_STR("de"));
    ck_assert(gate_str_eq(gate_buf_str(&b), GATE_STR("\"abc\"")));
    gate_json_put(&b, GATE_STR("d"));
    ck_assert(gate_str_eq(gate_buf_str(&b), GATE_STR("\"abc\"\"d\"")));
    gate_buf_finish(&b);
}
END_TEST

START_TEST(random_bytes_survive_the_round)
{
    uint64_t state = 0x853c49e6748fea9bu;
    for (size_t i = 0; i < 20000; i++) {
        char bytes[64];
        size_t len = i % sizeof bytes;
        for (size_t k = 0; k < len; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            uint8_t c = (uint8_t)(state >> 56);
            /* No NUL: cJSON's strings end there. Half of the bytes are plain. */
            bytes[k] = (char)(state >> 40 & 1 ? 'a' + c % 26 : c == 0 ? 1 : c);
        }
        struct gate_buf first, second, again;
        gate_buf_init(&first, 1 << 20);
        gate_json_put(&first, (struct gate_str){bytes, len});
        cJSON *parsed = cJSON_ParseWithLength(first.ptr, first.len);
        ck_assert_ptr_nonnull(parsed);
        ck_assert(decode(gate_buf_str(&first), &second));
        ck_assert(gate_str_eq(gate_buf_str(&second), gate_str_of(parsed->valuestring)));
        /* What went through once is valid UTF-8 and stays as it is. */
        gate_buf_init(&again, 1 << 20);
        gate_json_put(&again, gate_buf_str(&second));
        ck_assert(gate_str_eq(gate_buf_str(&again), gate_buf_str(&first)));
        cJSON_Delete(parsed);
        gate_buf_finish(&first);
        gate_buf_finish(&second);
        gate_buf_finish(&again);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_text");
    TCase *tests = tcase_create("json_text");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, members);
    tcase_add_test(tests, members_of_what_is_no_object);
    tcase_add_test(tests, elements_in_order);
    tcase_add_test(tests, elements_of_what_is_no_array);
    tcase_add_loop_test(tests, decode_gives_utf8, 0, sizeof decoded / sizeof decoded[0]);
    tcase_add_test(tests, decode_refuses_what_is_no_string);
    tcase_add_test(tests, decode_to_an_array);
    tcase_add_test(tests, encode_escapes);
    tcase_add_test(tests, put_is_whole_or_nothing);
    tcase_add_test(tests, random_bytes_survive_the_round);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
