#include "audit_fixture.h"

/* ---- counting and asking */

START_TEST(sums_by_minute_and_day)
{
    struct fixture f;
    start(&f, 0);
    struct gate_audit_batch *a = gate_audit_batch_create(f.audit),
                            *b = gate_audit_batch_create(f.audit);
    count(a, NOW, "qwen/0", "success");
    count(a, NOW + MINUTE - 1, "qwen/0", "success");
    count(b, NOW + 1, "qwen/0", "success");
    count(b, NOW + MINUTE, "qwen/0", "limited:rpm");
    count(b, NOW + 9 * MINUTE, "", "cancelled");
    gate_audit_count(a, NOW + MINUTE,
                     &(struct gate_audit_event){.account = GATE_STR("qwen/1"),
                                                .outcome = GATE_STR("success"),
                                                .kind = GATE_USAGE_SEARCH});
    flush(&f);
    expect(&f, ALL,
           "+0 chat success|qwen/0 3 30 9 4\n" /* 3 times 1.5 ms: rounded once */
           "+1 chat limited:rpm|qwen/0 1 10 3 1\n"
           "+1 search success|qwen/1 1 0 0 0\n"
           "+9 chat cancelled|- 1 10 3 1\n");
    expect(&f, DAY_OF(NOW),
           "+360 chat cancelled|- 1 10 3 1\n"
           "+360 chat limited:rpm|qwen/0 1 10 3 1\n"
           "+360 chat success|qwen/0 3 30 9 4\n"
           "+360 search success|qwen/1 1 0 0 0\n");
    /* Sums that are 0 take no record. */
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_AUDIT), 3 * 4 + 1);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_HOUR), 3 * 4 + 1);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_DAY), 3 * 4 + 1);

    /* Later flushes add to them. */
    count(a, NOW, "qwen/0", "success");
    flush(&f);
    expect(&f, (struct asking){.from_ms = NOW, .to_ms = NOW + 1},
           "+0 chat success|qwen/0 4 40 12 6\n");
    uint64_t commits = memory_storage_numbers(&f.memory).commits;
    flush(&f);
    ck_assert_uint_eq(memory_storage_numbers(&f.memory).commits, commits);
    gate_audit_batch_destroy(a);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

START_TEST(bounds_and_filters)
{
    struct fixture f;
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (int i = 0; i < 4; i++) {
        count(b, NOW + (uint64_t)i * MINUTE, "a", "success");
        count(b, NOW + (uint64_t)i * MINUTE, "b", "error:timeout");
    }
    flush(&f);
    const uint64_t from = NOW + MINUTE;
    expect(&f, (struct asking){.from_ms = from, .to_ms = from + MINUTE},
           "+1 chat error:timeout|b 1 10 3 1\n+1 chat success|a 1 10 3 1\n");
    /* A minute belongs to a range when its beginning does. */
    expect(
        &f,
        (struct asking){.from_ms = from + 1, .to_ms = from + MINUTE + 1, .account = GATE_STR("a")},
        "+2 chat success|a 1 10 3 1\n");
    expect(&f, (struct asking){.from_ms = from - 1, .to_ms = from, .account = GATE_STR("a")}, "");
    expect(&f, (struct asking){.from_ms = from, .to_ms = from}, "");
    expect(&f, (struct asking){.from_ms = from, .to_ms = NOW}, "");
    expect(&f, (struct asking){.from_ms = UINT64_MAX, .to_ms = UINT64_MAX}, "");
    expect(&f,
           (struct asking){
               .from_ms = NOW, .to_ms = UINT64_MAX, .outcome = GATE_STR("success"), .limit = 2},
           "+0 chat success|a 1 10 3 1\n+1 chat success|a 1 10 3 1\n");
    expect(&f,
           (struct asking){.from_ms = NOW,
                           .to_ms = NOW + MINUTE,
                           .account = GATE_STR("a"),
                           .outcome = GATE_STR("error:timeout")},
           "");
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

START_TEST(names_of_any_bytes)
{
    static const char *const names[] = {"a",     "a/n", "a/n/n", "a n",      "a%20n",       "a\t\n",
                                        "a\x01", "a%",  "a/",    "\xff\xfe", "\xe4\xbd\xa0"};
    struct fixture f;
    char long_name[300];
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k <= i; k++)
            count(b, NOW, names[i], "success");
    flush(&f);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[128];
        snprintf(line, sizeof line, "+0 chat success|%s %zu %zu %zu %zu\n", names[i], i + 1,
                 (i + 1) * 10, (i + 1) * 3, (i + 1) * 1500 / 1000);
        struct asking q = ALL;
        q.account = gate_str_of(names[i]);
        expect(&f, q, line);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        count(b, NOW, "-", names[i]);
    flush(&f);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[128];
        snprintf(line, sizeof line, "+0 chat %s|- 1 10 3 1\n", names[i]);
        struct asking q = ALL;
        q.outcome = gate_str_of(names[i]);
        expect(&f, q, line);
    }
    /* Too long: cut, the worst case of escaping included. */
    memset(long_name, '\n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    count(b, NOW + MINUTE, long_name, long_name);
    flush(&f);
    struct asking q = ALL;
    q.from_ms = NOW + MINUTE;
    q.account = (struct gate_str){long_name, GATE_AUDIT_MAX_ACCOUNT};
    q.outcome = (struct gate_str){long_name, GATE_AUDIT_MAX_OUTCOME};
    ask(&f, &q);
    ck_assert_uint_eq(q.rows, 1);
    ck_assert_uint_eq(q.count, 1);
    gate_buf_finish(&q.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

START_TEST(days_end_in_the_zone)
{
    struct fixture f;
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    const uint64_t midnight = day_end(&f, NOW);
    count(b, midnight - 1, "a", "success");
    count(b, midnight, "a", "success");
    count(b, midnight + DAY - 1, "a", "success");
    count(b, midnight + DAY, "a", "success");
    flush(&f);
    struct asking today = DAY_OF(NOW), next = DAY_OF(midnight), third = DAY_OF(midnight + DAY);
    ask(&f, &today);
    ask(&f, &next);
    ask(&f, &third);
    ck_assert_uint_eq(today.count, 1);
    ck_assert_uint_eq(today.last_at_ms, midnight);
    ck_assert_uint_eq(next.count, 2);
    ck_assert_uint_eq(next.last_at_ms, midnight + DAY);
    ck_assert_uint_eq(third.count, 1);
    gate_buf_finish(&today.lines);
    gate_buf_finish(&next.lines);
    gate_buf_finish(&third.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

START_TEST(absurd_numbers_do_not_wrap)
{
    struct fixture f;
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (int i = 0; i < 1000; i++)
        gate_audit_count(b, NOW,
                         &(struct gate_audit_event){.account = GATE_STR("a"),
                                                    .outcome = GATE_STR("success"),
                                                    .prompt_tokens = UINT64_MAX,
                                                    .completion_tokens = UINT64_MAX / 2,
                                                    .total_us = UINT64_MAX});
    flush(&f);
    struct asking q = ALL;
    ask(&f, &q);
    ck_assert_uint_eq(q.count, 1000);
    ck_assert_uint_eq(q.prompt, 1000 * (UINT64_C(1) << 40));
    ck_assert_uint_eq(q.completion, q.prompt);
    gate_buf_finish(&q.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

START_TEST(foreign_records_are_passed_over)
{
    struct fixture f;
    char minute[64], key[128];
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    count(b, NOW, "m", "success");
    flush(&f);
    snprintf(minute, sizeof minute, "%s%08x", GATE_KEY_AUDIT, (unsigned)(NOW / MINUTE));
    static const char *const tails[] = {"",
                                        "/",
                                        "/chat",
                                        "/chat/success/x",
                                        "/chat/success/x q",
                                        "/fish/success/x n",
                                        "/chat/success/x%4 n",
                                        "/chat/success/x%zz n",
                                        "/chat/success/x y n",
                                        "0/x/y/z n"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        snprintf(key, sizeof key, "%s%s", minute, tails[i]);
        memory_storage_write(&f.memory, key, GATE_STR("5"));
    }
    snprintf(key, sizeof key, "%s/chat/success/m t", minute);
    memory_storage_write(&f.memory, key, GATE_STR("-5"));
    snprintf(key, sizeof key, "%s/chat/success/m p", minute);
    memory_storage_write(&f.memory, key, GATE_STR("5x"));
    struct asking q = ALL;
    q.account = GATE_STR("m");
    expect(&f, q, "+0 chat success|m 1 0 3 0\n");
    struct asking all = ALL;
    ask(&f, &all);
    ck_assert_uint_eq(all.count, 1);
    gate_buf_finish(&all.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

START_TEST(hours_have_sums_of_their_own)
{
    struct fixture f;
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    count(b, NOW, "a", "success");
    count(b, NOW + 59 * MINUTE, "a", "success");
    count(b, NOW + 60 * MINUTE, "a", "success");
    count(b, NOW + 61 * MINUTE, "a", "cancelled");
    flush(&f);
    struct asking q = ALL;
    q.group = GATE_AUDIT_BY_HOUR;
    expect(&f, q,
           "+0 chat success|a 2 20 6 3\n"
           "+60 chat cancelled|a 1 10 3 1\n"
           "+60 chat success|a 1 10 3 1\n");
    q.from_ms = NOW + 1;
    q.to_ms = NOW + 61 * MINUTE;
    q.outcome = GATE_STR("success");
    expect(&f, q, "+60 chat success|a 1 10 3 1\n");
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

/* However small the slices, each row is seen once and whole. */
START_TEST(readings_go_on_where_they_ended)
{
    struct fixture f;
    char account[32];
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (int i = 0; i < 300; i++) {
        snprintf(account, sizeof account, "a %d!/%d", i % 7, i);
        count(b, NOW + (uint64_t)(i % 5) * MINUTE, account, i % 2 ? "success" : "error:x");
    }
    flush(&f);
    snprintf(account, sizeof account, "%08x", (unsigned)(NOW / MINUTE));
    for (int i = 0; i < 40; i++) { /* more than a slice of what is no row */
        char key[64];
        snprintf(key, sizeof key, "%s%s/chat/junk%02d", GATE_KEY_AUDIT, account, i);
        memory_storage_write(&f.memory, key, GATE_STR("1"));
    }
    struct asking whole = ALL;
    ask(&f, &whole);
    ck_assert_uint_eq(whole.rows, 300);
    for (size_t most = 1; most < 60; most += 7) {
        struct asking q = ALL;
        q.most = most;
        ask(&f, &q);
        ck_assert_uint_eq(q.rows, 300);
        ck_assert_uint_ge(q.readings, 1200 / 60);
        ck_assert_uint_eq(q.lines.len, whole.lines.len);
        ck_assert_mem_eq(q.lines.ptr, whole.lines.ptr, q.lines.len);
        gate_buf_finish(&q.lines);
    }
    gate_buf_finish(&whole.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

START_TEST(a_page_ends_behind_its_last_row)
{
    struct fixture f;
    char account[32];
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    for (int i = 0; i < 20; i++) {
        snprintf(account, sizeof account, "a/%02d", i);
        count(b, NOW, account, "success");
    }
    flush(&f);
    struct asking q = ALL;
    q.limit = 7;
    for (uint64_t rows = 7; rows <= 20; rows += 7, q.limit += 7) {
        if (rows == 7)
            ask(&f, &q);
        else
            gate_store_call(f.store, run_query, &q);
        ck_assert_uint_eq(q.rows, rows);
        struct gate_audit_place same;
        ck_assert(gate_audit_place_read((struct gate_str){q.place.bytes, q.place.len}, &same));
        ck_assert_uint_eq(same.len, q.place.len);
    }
    gate_store_call(f.store, run_query, &q);
    ck_assert_uint_eq(q.rows, 20);
    gate_buf_append_byte(&q.lines, '\0');
    for (int i = 0; i < 20; i++) {
        snprintf(account, sizeof account, "|a/%02d ", i);
        const char *at = strstr(q.lines.ptr, account);
        ck_assert_ptr_nonnull(at);
        ck_assert_ptr_null(strstr(at + 1, account));
    }
    gate_buf_finish(&q.lines);
    static const char *const wrong[] = {"", "!", "12345678", "1234567g/chat!", "12345678/chat"};
    struct gate_audit_place place;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert(!gate_audit_place_read(gate_str_of(wrong[i]), &place));
    /* A place before or behind what is asked for. */
    q = (struct asking){.from_ms = NOW, .to_ms = NOW + MINUTE};
    ck_assert(gate_audit_place_read(GATE_STR("00000000!"), &q.place));
    ask(&f, &q);
    ck_assert_uint_eq(q.rows, 20);
    gate_buf_finish(&q.lines);
    q = (struct asking){.from_ms = NOW, .to_ms = NOW + MINUTE};
    ck_assert(gate_audit_place_read(GATE_STR("ffffffff!"), &q.place));
    ask(&f, &q);
    ck_assert_uint_eq(q.rows, 0);
    gate_buf_finish(&q.lines);
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

/* ---- the end of rows */

START_TEST(rows_live_as_long_as_they_are_kept)
{
    struct fixture f;
    start(&f, 0);
    struct gate_audit_batch *b = gate_audit_batch_create(f.audit);
    count(b, NOW, "a", "success");
    flush(&f);
    memory_storage_set_now(&f.memory, NOW + RETENTION_DAYS * DAY - 1);
    expect(&f, ALL, "+0 chat success|a 1 10 3 1\n");
    memory_storage_set_now(&f.memory, NOW + RETENTION_DAYS * DAY);
    expect(&f, ALL, "");
    expect(&f, DAY_OF(NOW), "");
    gate_audit_batch_destroy(b);
    stop(&f);
}
END_TEST

struct expiring {
    struct gate_audit *audit;
    uint64_t now_ms;
    bool more;
};

static void run_expire(struct gate_storage *s, void *arg)
{
    struct expiring *e = arg;
    e->more = gate_audit_expire(e->audit, s, e->now_ms);
}

static bool expire(struct fixture *f, uint64_t now_ms)
{
    struct expiring e = {.audit = f->audit, .now_ms = now_ms};
    gate_store_call(f->store, run_expire, &e);
    return e.more;
}

START_TEST(old_rows_are_removed_in_pieces)
{
    struct fixture f;
    char key[128];
    const unsigned first = (unsigned)(NOW / MINUTE);
    mute_log();
    start(&f, 0);
    for (unsigned i = 0; i < 2500; i++) {
        snprintf(key, sizeof key, "%s%08x/chat/success/a n", GATE_KEY_AUDIT, first + i);
        memory_storage_write(&f.memory, key, GATE_STR("1"));
    }
    snprintf(key, sizeof key, "%s%08x/chat/success/a n", GATE_KEY_DAY, first);
    memory_storage_write(&f.memory, key, GATE_STR("1"));
    memory_storage_write(&f.memory, "auditor", GATE_STR("another's"));

    ck_assert(!expire(&f, 5 * DAY)); /* a clock that is not set */
    ck_assert(!expire(&f, NOW + RETENTION_DAYS * DAY));
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_AUDIT), 2500);

    /* All but the last 100 minutes. */
    const uint64_t later = NOW + RETENTION_DAYS * DAY + 2400 * MINUTE;
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_WRITES);
    ck_assert(!expire(&f, later));
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    int pieces = 1;
    while (expire(&f, later))
        ck_assert_int_lt(pieces++, 100);
    ck_assert_int_gt(pieces, 2);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_AUDIT), 100);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_DAY), 0);
    ck_assert_uint_eq(memory_storage_count(&f.memory, "auditor"), 1);
    struct asking q = ALL;
    q.to_ms = NOW + 2400 * MINUTE;
    expect(&f, q, "");
    stop(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit");
    TCase *tests = tcase_create("audit");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, sums_by_minute_and_day);
    tcase_add_test(tests, bounds_and_filters);
    tcase_add_test(tests, names_of_any_bytes);
    tcase_add_test(tests, days_end_in_the_zone);
    tcase_add_test(tests, absurd_numbers_do_not_wrap);
    tcase_add_test(tests, foreign_records_are_passed_over);
    tcase_add_test(tests, hours_have_sums_of_their_own);
    tcase_add_test(tests, readings_go_on_where_they_ended);
    tcase_add_test(tests, a_page_ends_behind_its_last_row);
    tcase_add_test(tests, rows_live_as_long_as_they_are_kept);
    tcase_add_test(tests, old_rows_are_removed_in_pieces);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
