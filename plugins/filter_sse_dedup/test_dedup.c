/* Tests of filter sse_dedup: its rule, its order, its bounds, its options. */
#include "base/json.h"
#include "harness.h"
#include <check.h>

static const struct harness_options exact = {"exact", 150, 64, 262144};

/* Texts are fed as deltas of one choice; what the client gets by then, and at the end. */
static void check_texts(struct harness_options options, const char *const *texts,
                        const char *want_at_once, const char *want)
{
    struct harness h;

    harness_open(&h, options);
    for (; *texts != NULL; texts++)
        harness_feed_text(&h, *texts);
    harness_expect_digest(&h, want_at_once);
    harness_end(&h);
    harness_expect_digest(&h, want);
    harness_close(&h);
}

#define CHECK_TEXTS(options, at_once, want, ...)                                                   \
    check_texts(options, (const char *const[]){__VA_ARGS__, NULL}, at_once, want)

START_TEST(test_named_cases)
{
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"-B -E -R -R -Y\"\nusages=0\n",
                "0.content=\"-B -E -R -R -Y\"\nusages=0\n", "-", "B", " -", "E", " -", "R", " -",
                "R", " -", "Y");
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"-RR-\"\nusages=0\n", "0.content=\"-RR-\"\nusages=0\n",
                "-", "R", "R", "-");
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\" 2000\"\nusages=0\n", "0.content=\" 2000\"\nusages=0\n",
                " ", "2", "0", "0", "0");
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"A.\\n\\n\"\nusages=0\n",
                "0.content=\"A.\\n\\n\"\nusages=0\n", "A.", "\n", "\n");
    /* From the very first delta on, a repetition waits, and comes. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"\\n\"\nusages=0\n",
                "0.content=\"\\n\\n\\n\"\nusages=0\n", "\n", "\n", "\n");
}
END_TEST

START_TEST(test_what_proves)
{
    /* Three growths, 24 characters and two words, all at the fourth delta. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"a b 89012345678901234567\"\nusages=0\n",
                "0.content=\"a b 89012345678901234567\"\nusages=0\n", "a", "a b", "a b 8",
                "a b 89012345678901234567");
    /* 23 characters: it waits on, and is given back. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"a\"\nusages=0\n",
                "0.content=\"aa ba b 8a b 8901234567890123456\"\nusages=0\n", "a", "a b", "a b 8",
                "a b 8901234567890123456");
    /* Two growths only. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"a b\"\nusages=0\n",
                "0.content=\"a ba b ca b c 8901234567890123456789\"\nusages=0\n", "a b", "a b c",
                "a b c 8901234567890123456789");
    /* One word. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"=\"\nusages=0\n",
                "0.content=\"===========abcdefghijklmnopqrstuvwxyz\"\nusages=0\n", "=",
                "==", "===", "=====abcdefghijklmnopqrstuvwxyz");
    /* 24 characters are counted, not bytes: these 12 have 36. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"目\"\nusages=0\n",
                "0.content=\"目目前目前杭目前杭州和上海的天气情况\"\nusages=0\n", "目", "目前",
                "目前杭", "目前杭州和上海的天气情况");
    /* One that does not start with the one before ends the hold at once. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"aa ba b ca b\"\nusages=0\n",
                "0.content=\"aa ba b ca b\"\nusages=0\n", "a", "a b", "a b c", "a b");
}
END_TEST

START_TEST(test_after_the_proof)
{
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"one two three four five six seven\"\nusages=0\n",
                "0.content=\"one two three four five six seven\"\nusages=0\n", HARNESS_PROVEN,
                "one two three four five six", /* again */
                "one two",                     /* from an earlier moment */
                "one two three four five six seven", "one two three four five six seven");
    /* A piece that repeats nothing is not lost. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"one two three four five six, seven\"\nusages=0\n",
                "0.content=\"one two three four five six, seven\"\nusages=0\n", HARNESS_PROVEN,
                ", seven", "one two three four five six, seven");
    /* A changed end cannot be taken back; what is new still comes, once. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"one two three four five sixeven and\"\nusages=0\n",
                "0.content=\"one two three four five sixeven and\"\nusages=0\n", HARNESS_PROVEN,
                "one two three four five seven", "one two three four five seven and");
    /* The cut lies between characters, though é and è share their first byte. */
    CHECK_TEXTS(HARNESS_AUTO, "0.content=\"one two three four five six éè!\"\nusages=0\n",
                "0.content=\"one two three four five six éè!\"\nusages=0\n", HARNESS_PROVEN,
                "one two three four five six é", "one two three four five six è",
                "one two three four five six è!");
}
END_TEST

START_TEST(test_events_do_not_overtake)
{
    struct harness h;

    harness_open(&h, HARNESS_AUTO);
    harness_feed_text(&h, "ha");
    size_t first = h.out.len;
    harness_feed_text(&h, "ha");
    harness_feed_delta(&h, 1, "content", "other", NULL);
    harness_feed(&h, GATE_STR(": ping\n\n"));
    harness_feed(&h, GATE_STR("data: {\"choices\":[],\"usage\":{\"n\":1}}\n\n"));
    ck_assert_uint_eq(h.out.len, first);
    ck_assert_uint_eq(h.side.timer_ms, 150);
    ck_assert_uint_eq(h.side.timer_sets, 1);
    harness_feed_text(&h, "!");
    ck_assert_uint_eq(h.side.timer_ms, 0);
    ck_assert_uint_eq(h.side.emitted, 4);
    const char *p = h.out.ptr;
    gate_buf_append_byte(&h.out, '\0');
    p = strstr(p + first, "\"ha\"");
    ck_assert_ptr_nonnull(p);
    p = strstr(p, "other");
    ck_assert_ptr_nonnull(p);
    p = strstr(p, ": ping");
    ck_assert_ptr_nonnull(p);
    p = strstr(p, "usage");
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(strstr(p, "\"!\""));
    harness_close(&h);
}
END_TEST

START_TEST(test_end_of_choice_and_stream_end_the_hold)
{
    struct harness h;

    harness_open(&h, HARNESS_AUTO);
    harness_feed_text(&h, "ha");
    harness_feed_text(&h, "ha");
    harness_feed_delta(&h, 0, "content", NULL, "stop");
    harness_expect_digest(&h, "0.content=\"haha\"\n0.finish=\"stop\"\nusages=0\n");
    ck_assert_uint_eq(h.side.timer_ms, 0);
    harness_close(&h);

    harness_open(&h, HARNESS_AUTO);
    harness_feed_text(&h, "ha");
    harness_feed_text(&h, "ha");
    ck_assert_uint_eq(h.side.timer_ms, 150);
    harness_feed(&h, GATE_STR("data: [DONE]\n\n"));
    harness_expect_digest(&h, "0.content=\"haha\"\nusages=0\n");
    ck_assert_uint_eq(h.side.timer_ms, 0);
    harness_close(&h);

    /* Closed without an end, as when the client left: nothing leaks. */
    harness_open(&h, HARNESS_AUTO);
    harness_feed_text(&h, "ha");
    harness_feed_text(&h, "ha");
    harness_close(&h);
}
END_TEST

START_TEST(test_choices_and_channels_are_apart)
{
    static const char *const texts[] = {HARNESS_PROVEN, NULL};
    struct harness h;

    /* Choice 0 repeats everything, choice 1 says its pieces, reasoning stutters by right. */
    harness_open(&h, HARNESS_AUTO);
    harness_feed_delta(&h, 0, "reasoning_content", "hm", NULL);
    harness_feed_delta(&h, 0, "reasoning_content", "hm", NULL);
    harness_feed_delta(&h, 0, "reasoning_content", ".", NULL);
    for (unsigned i = 0; texts[i] != NULL; i++) {
        harness_feed_text(&h, texts[i]);
        harness_feed_delta(&h, 1, "content", i % 2 ? "no" : " ", NULL);
        harness_feed_delta(&h, 1, "content", "no", NULL);
    }
    harness_expect_digest(&h, "0.content=\"one two three four five six\"\n0.reasoning=\"hmhm.\"\n"
                              "1.content=\" nonono nonono no\"\nusages=0\n");
    harness_close(&h);
}
END_TEST

START_TEST(test_only_the_delta_is_rewritten)
{
    struct harness h;

    harness_open(&h, HARNESS_AUTO);
    static const char *const texts[] = {HARNESS_PROVEN, NULL};
    for (unsigned i = 0; texts[i] != NULL; i++)
        harness_feed_text(&h, texts[i]);
    h.out.len = 0;
    harness_feed(&h,
                 GATE_STR("id: 9\r\n: note\r\ndata:{ \"x\":[1,{\"choices\":2}], \"choices\" : [ "
                          "{\"delta\": {\"content\" : \"one two three four five six \\u201Cseven"
                          "\\n\\\"\" , \"role\":null}, \"index\":0 } ],\"y\":1.50}\r\n\r\n"));
    gate_buf_append_byte(&h.out, '\0');
    ck_assert_str_eq(
        h.out.ptr, "id: 9\r\n: note\r\ndata:{ \"x\":[1,{\"choices\":2}], \"choices\" : [ "
                   "{\"delta\": {\"content\" : \" “seven\\n\\\"\" , \"role\":null}, \"index\":0 } "
                   "],\"y\":1.50}\r\n\r\n");
    harness_close(&h);
}
END_TEST

START_TEST(test_tool_calls)
{
    struct harness h;

    /* A call sent whole, and again: the replay goes. Another id at the same index is another call,
     * and so is another call without any id. */
    harness_open(&h, HARNESS_AUTO);
    harness_feed_call(&h, "c1", "f", "{\"a\":1}");
    size_t one = h.out.len;
    harness_feed_call(&h, "c1", "f", "{\"a\":1}");
    harness_feed_call(&h, "", "", "{\"a\"");
    ck_assert_uint_eq(h.out.len, one);
    harness_feed_call(&h, "", "", "\n"); /* white space does no harm */
    harness_feed_call(&h, "c2", "f", "{\"a\":1}");
    harness_expect_digest(&h, "0.tool.0=c2|ff|{\"a\":1}\n{\"a\":1}\nusages=0\n");
    harness_close(&h);

    harness_open(&h, HARNESS_AUTO);
    harness_feed_call(&h, "", "f", "{\"a\":1}");
    harness_feed_call(&h, "", "f", "{\"a\":2}");
    harness_feed_call(&h, "", "f", "{\"a\":2}");
    harness_expect_digest(&h, "0.tool.0=|ff|{\"a\":1}{\"a\":2}\nusages=0\n");
    harness_close(&h);

    /* Another call starts afresh, also with empty arguments: its first delta goes out at once. */
    harness_open(&h, HARNESS_AUTO);
    harness_feed_call(&h, "c1", "f", "{\"ab\"");
    harness_feed_call(&h, "c2", "f", "");
    harness_feed_call(&h, "", "", "{");
    ck_assert_uint_eq(h.side.timer_sets, 0);
    harness_feed_call(&h, "", "", "{");
    ck_assert_uint_eq(h.side.timer_sets, 1);
    harness_close(&h);

    /* Braces and quotes inside strings end nothing. */
    harness_open(&h, HARNESS_AUTO);
    harness_feed_call(&h, "c1", "f", "{\"a\":\"}\\\"");
    harness_feed_call(&h, "", "", "}\",\"b\":[]");
    harness_feed_call(&h, "", "", "}");
    harness_feed_call(&h, "", "", "}");
    harness_expect_digest(&h, "0.tool.0=c1|f|{\"a\":\"}\\\"}\",\"b\":[]}\nusages=0\n");
    harness_close(&h);
}
END_TEST

START_TEST(test_exact_mode)
{
    /* What the naive rule does, damage included. */
    CHECK_TEXTS(exact, "0.content=\"20\"\nusages=0\n", "0.content=\"20\"\nusages=0\n", "2", "0",
                "0", "0");
    CHECK_TEXTS(exact, "0.content=\"aaba b c\"\nusages=0\n", "0.content=\"aaba b c\"\nusages=0\n",
                "a", "ab", "a b c");
    struct harness h;
    harness_open(&h, exact);
    harness_feed_text(&h, "x");
    harness_feed_delta(&h, 1, "content", "x", NULL);
    harness_feed_delta(&h, 0, "reasoning_content", "x", NULL);
    harness_feed_delta(&h, 0, "content", "x", "stop"); /* the finish reason stays */
    harness_feed_delta(&h, 0, "content", NULL, "stop");
    harness_expect_digest(&h, "0.content=\"x\"\n0.reasoning=\"x\"\n0.finish=\"stop,stop\"\n"
                              "1.content=\"x\"\nusages=0\n");
    ck_assert_uint_eq(h.side.timer_sets, 0);
    harness_close(&h);
}
END_TEST

START_TEST(test_options)
{
    static const struct harness_options wrong[] = {
        {"auto", -1, 64, 262144}, {"auto", 10001, 64, 262144},     {"auto", 1.5, 64, 262144},
        {"auto", 150, 0, 262144}, {"auto", 150, 2000, 262144},     {"auto", 150, 64, 1000},
        {"auto", 150, 64, 1e12},  {"auto", 0.0 / 0.0, 64, 262144},
    };
    const struct gate_filter_ops *ops = gate_plugin.ops;
    struct harness h;
    void *instance;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_int_eq(harness_create(wrong[i], &instance), GATE_EINVAL);
    harness_open(&h, (struct harness_options){"off", 150, 64, 262144});
    ck_assert_ptr_null(h.side.state);
    harness_close(&h);
    harness_open(&h, HARNESS_AUTO);
    ck_assert_ptr_nonnull(h.side.state);
    ck_assert_ptr_null(ops->open(h.instance, GATE_STR("anthropic_messages")));
    harness_close(&h);
    ck_assert_uint_eq(gate_plugin.kind, GATE_KIND_FILTER);
    ck_assert_str_eq(gate_plugin.name, "sse_dedup");
    ck_assert_str_eq(gate_plugin.options[0].name, "mode");
    ck_assert_str_eq(gate_plugin.options[0].fallback, "auto");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter_sse_dedup");
    TCase *cases = tcase_create("rule");

    tcase_add_test(cases, test_named_cases);
    tcase_add_test(cases, test_what_proves);
    tcase_add_test(cases, test_after_the_proof);
    tcase_add_test(cases, test_events_do_not_overtake);
    tcase_add_test(cases, test_end_of_choice_and_stream_end_the_hold);
    tcase_add_test(cases, test_choices_and_channels_are_apart);
    tcase_add_test(cases, test_only_the_delta_is_rewritten);
    tcase_add_test(cases, test_tool_calls);
    tcase_add_test(cases, test_exact_mode);
    tcase_add_test(cases, test_options);
    suite_add_tcase(suite, cases);
    test_bounds_add(suite);
    test_streams_add(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
