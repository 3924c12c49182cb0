/* Tests of filter sse_dedup: bounds of holding, and what it does not understand. */
#include "harness.h"
#include "slot.h"
#include <check.h>

enum { MAX_BYTES = 1 << 20, MAX_TEXT = 512 };

START_TEST(test_hold_is_bounded_in_time)
{
    struct harness h;

    harness_open(&h, HARNESS_AUTO);
    harness_feed_text(&h, "one");
    ck_assert_uint_eq(h.side.timer_sets, 0);
    harness_feed_text(&h, "one two");
    harness_feed_text(&h, "one two three");
    ck_assert_uint_eq(h.side.timer_ms, 150);
    ck_assert_uint_eq(h.side.timer_sets, 1); /* the timer runs from the first */
    harness_fire(&h);
    harness_expect_digest(&h, "0.content=\"oneone twoone two three\"\nusages=0\n");
    /* Nothing waits any more; the proof still ends the repetition. */
    harness_feed_text(&h, "one two three four");
    harness_expect_digest(&h,
                          "0.content=\"oneone twoone two threeone two three four\"\nusages=0\n");
    harness_feed_text(&h, "one two three four five six");
    harness_feed_text(&h, "one two three four five six seven");
    harness_expect_digest(
        &h, "0.content=\"oneone twoone two threeone two three four five six seven\"\nusages=0\n");
    ck_assert_uint_eq(h.side.timer_ms, 0);
    ck_assert_uint_eq(h.side.timer_sets, 1);
    harness_close(&h);

    harness_open(&h, (struct harness_options){"auto", 0, 64, 262144});
    harness_feed_text(&h, "ha");
    harness_feed_text(&h, "ha");
    harness_expect_digest(&h, "0.content=\"haha\"\nusages=0\n");
    ck_assert_uint_eq(h.side.timer_sets, 0);
    harness_close(&h);
}
END_TEST

START_TEST(test_hold_is_bounded_in_count_and_bytes)
{
    struct harness h;

    harness_open(&h, (struct harness_options){"auto", 150, 3, 262144});
    for (unsigned i = 0; i < 4; i++)
        harness_feed_text(&h, "x");
    harness_expect_digest(&h, "0.content=\"x\"\nusages=0\n");
    harness_feed_text(&h, "x");
    harness_expect_digest(&h, "0.content=\"xxxxx\"\nusages=0\n");
    ck_assert_uint_eq(h.side.timer_ms, 0);
    harness_feed_text(&h, "x");
    harness_expect_digest(&h, "0.content=\"xxxxxx\"\nusages=0\n");
    harness_close(&h);

    harness_open(&h, (struct harness_options){"auto", 150, 64, 1024});
    char text[MAX_TEXT];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    harness_feed_text(&h, text);
    size_t one = h.out.len;
    harness_feed_text(&h, text);
    ck_assert_uint_eq(h.out.len, one);
    harness_feed_text(&h, text);
    ck_assert_uint_eq(h.out.len, 3 * one);
    harness_close(&h);
}
END_TEST

START_TEST(test_what_is_not_understood_passes)
{
    static const char *const odd[] = {
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\",\"content\":\"x\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":-1,\"delta\":{\"content\":\"x\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":1e9,\"delta\":{\"content\":\"x\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]} trailing\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[\"x\"]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":[]}]}\n\n",
        "data: {\"choices\":{\"a\":1}}\n\n",
        "data: {\"a\":[1,2},\"b\":1}\n\n",
        "data: {\"a\":[1,2\n\n",
        "data: {\"choices\":[1]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":{\"a\":1}}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[1]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":1}]}}]}\n\n",
        "data: "
        "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":{}}}]}}]}\n\n",
        "data: "
        "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":[1],\"x\":1}}]}}]}"
        "\n\n",
        "data: "
        "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"\\x\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\ud83d\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\x\"}}]}\n\n",
        "data: {,}\n\ndata: {\"a\":}\n\ndata: {\"a\" 1}\n\ndata: []\n\ndata: \n\ndata\n\n",
        "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"x\"}}]}\n\n",
        "event: error\ndata: {\"error\":{\"message\":\"x\"}}\n\n",
    };
    struct harness h;

    /* In an undecided stream, and in a proven one. */
    for (unsigned proven = 0; proven < 2; proven++) {
        harness_open(&h, HARNESS_AUTO);
        static const char *const texts[] = {HARNESS_PROVEN, NULL};
        for (unsigned i = 0; proven && texts[i] != NULL; i++)
            harness_feed_text(&h, texts[i]);
        for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
            h.out.len = 0;
            harness_feed(&h, gate_str_of(odd[i]));
            harness_end(&h);
            ck_assert_msg(gate_str_eq(gate_buf_str(&h.out), gate_str_of(odd[i])), "changed: %s",
                          odd[i]);
        }
        harness_close(&h);
    }
    /* Nested too deep, and more choices than are looked at. */
    struct gate_buf b;
    gate_buf_init(&b, MAX_BYTES);
    gate_buf_append(&b, GATE_STR("data: {\"a\":"));
    for (unsigned i = 0; i < 5000; i++)
        gate_buf_append_byte(&b, '[');
    gate_buf_append(&b, GATE_STR("\n\ndata: {\"choices\":["));
    for (unsigned i = 0; i < 200; i++)
        gate_buf_printf(&b, "%s{\"index\":%u,\"delta\":{\"content\":\"x\"}}", i > 0 ? "," : "", i);
    gate_buf_append(&b, GATE_STR("]}\n\n"));
    harness_open(&h, HARNESS_AUTO);
    harness_feed(&h, gate_buf_str(&b));
    ck_assert(gate_str_eq(gate_buf_str(&h.out), gate_buf_str(&b)));
    harness_close(&h);
    gate_buf_finish(&b);
}
END_TEST

START_TEST(test_more_channels_than_are_followed)
{
    struct harness h;

    harness_open(&h, HARNESS_AUTO);
    for (unsigned i = 0; i < 300; i++)
        harness_feed_delta(&h, i, "content", "x", NULL);
    size_t len = h.out.len;
    harness_feed_delta(&h, 299, "content", "x", NULL); /* not followed: does not wait */
    ck_assert_uint_gt(h.out.len, len);
    len = h.out.len;
    harness_feed_delta(&h, 200, "content", "x", NULL); /* followed: waits */
    ck_assert_uint_eq(h.out.len, len);
    harness_end(&h);
    ck_assert_uint_gt(h.out.len, len);
    harness_close(&h);
}
END_TEST

START_TEST(test_longer_text_than_is_followed)
{
    size_t n = DEDUP_SLOT_MAX_TEXT + 1;
    char *text = dedup_alloc(n);
    struct dedup_slot slot = {.may_hold = true};

    memset(text, 'x', n);
    dedup_slot_observe(&slot, (struct gate_str){text, n}, false);
    ck_assert_int_eq(slot.state, DEDUP_INCREMENTAL);
    ck_assert_ptr_null(slot.text.ptr);

    slot = (struct dedup_slot){.state = DEDUP_CUMULATIVE};
    ck_assert_uint_eq(dedup_slot_cut(&slot, (struct gate_str){text, 10}), 0);
    ck_assert_uint_eq(dedup_slot_cut(&slot, (struct gate_str){text, n}), 10);
    ck_assert_int_eq(slot.state, DEDUP_INCREMENTAL);
    ck_assert_ptr_null(slot.text.ptr);
    free(text);
}
END_TEST

/* In a stream that is proven cumulative, repetitions that wait are replays when the hold ends. */
START_TEST(test_hold_in_a_cumulative_stream)
{
    static const char *const texts[] = {HARNESS_PROVEN, NULL};
    struct harness h;

    harness_open(&h, HARNESS_AUTO);
    for (unsigned i = 0; texts[i] != NULL; i++)
        harness_feed_delta(&h, 0, "reasoning_content", texts[i], NULL);
    harness_feed_text(&h, "42");
    harness_feed_text(&h, "42");
    ck_assert_uint_eq(h.side.timer_ms, 150);
    harness_fire(&h);
    harness_feed_text(&h, "42.");
    harness_expect_digest(&h, "0.content=\"42.\"\n0.reasoning=\"one two three four five six\"\n"
                              "usages=0\n");
    harness_close(&h);
}
END_TEST

/* The first delta of a choice that comes behind a held event of another must not be lost when the
 * hold ends with neither proven. */
START_TEST(test_hold_of_two_choices)
{
    struct harness h;

    harness_open(&h, HARNESS_AUTO);
    harness_feed_text(&h, "ha");
    harness_feed_text(&h, "ha");
    harness_feed_delta(&h, 1, "content", "ho", NULL);
    harness_feed_delta(&h, 1, "content", "ho", NULL);
    harness_fire(&h);
    harness_expect_digest(&h, "0.content=\"haha\"\n1.content=\"hoho\"\nusages=0\n");
    ck_assert_uint_eq(h.side.timer_ms, 0);
    harness_close(&h);
}
END_TEST

void test_bounds_add(Suite *suite)
{
    TCase *cases = tcase_create("bounds");

    tcase_add_test(cases, test_hold_is_bounded_in_time);
    tcase_add_test(cases, test_hold_is_bounded_in_count_and_bytes);
    tcase_add_test(cases, test_what_is_not_understood_passes);
    tcase_add_test(cases, test_more_channels_than_are_followed);
    tcase_add_test(cases, test_longer_text_than_is_followed);
    tcase_add_test(cases, test_hold_in_a_cumulative_stream);
    tcase_add_test(cases, test_hold_of_two_choices);
    suite_add_tcase(suite, cases);
}
