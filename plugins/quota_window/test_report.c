/* Test of what the console is shown. */
#include "test_window.h"

#include <stdlib.h>

START_TEST(test_snapshot)
{
    static const char expected[] =
        "{\"zone\":\"+08:00\",\"chat\":{"
        "\"requests_minute\":{\"used\":2,\"limit\":3,\"percent\":66,"
        "\"resets_at_ms\":1699934471000},"
        "\"requests_day\":{\"used\":2,\"limit\":2000,\"percent\":0,"
        "\"resets_at_ms\":1699977600000},"
        "\"tokens_minute\":{\"used\":30,\"limit\":20,\"percent\":150,"
        "\"resets_at_ms\":1699934471000},"
        "\"tokens_day\":{\"used\":30,\"limit\":null,\"percent\":null,"
        "\"resets_at_ms\":1699977600000},"
        "\"concurrency\":{\"used\":1,\"limit\":4,\"percent\":25},"
        "\"blocked_until_ms\":null},"
        "\"search\":{"
        "\"requests_minute\":{\"used\":0,\"limit\":null,\"percent\":null,"
        "\"resets_at_ms\":null},"
        "\"requests_day\":{\"used\":0,\"limit\":null,\"percent\":null,"
        "\"resets_at_ms\":1699977600000},"
        "\"tokens_minute\":{\"used\":0,\"limit\":null,\"percent\":null,"
        "\"resets_at_ms\":null},"
        "\"tokens_day\":{\"used\":0,\"limit\":null,\"percent\":null,"
        "\"resets_at_ms\":1699977600000},"
        "\"concurrency\":{\"used\":0,\"limit\":null,\"percent\":null},"
        "\"blocked_until_ms\":1699934415000}}";
    struct rig rig;
    struct gate_limits *limits = &rig.limits[GATE_USAGE_CHAT];
    struct gate_header block = {GATE_STR("retry-after"), GATE_STR("5")};
    struct gate_reservation res;
    struct heap json;
    struct gate_writer out = heap_writer(&json);

    rig_open(&rig, "+08:00");
    ck_assert(rig_reserve(&rig, 10, &res));
    rig.now_ms += 10000;
    rig_answer(&rig, 20);
    *limits = (struct gate_limits){3, 2000, 20, 0, 4};
    rig.ops->observe(rig.instance, rig.state, GATE_USAGE_SEARCH, &block, 1, rig.now_ms);
    rig.ops->snapshot(rig.instance, rig.state, rig.limits, rig.now_ms, &out);
    ck_assert_str_eq(json.ptr, expected);
    free(json.ptr);
    rig_close(&rig);
}
END_TEST

TCase *case_report(void)
{
    TCase *tc = tcase_create("report");

    tcase_add_test(tc, test_snapshot);
    return tc;
}
