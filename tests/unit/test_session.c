/* The console's sessions: admin/session.c and session_store.c. */
#include "session_fixture.h"
#include <ctype.h>

/* ---- tokens */

START_TEST(a_token_opens_its_session)
{
    struct rig r;
    struct id id, other;
    rig_start(&r);
    struct token a = enter(&r, NOW), b = enter(&r, NOW);
    ck_assert_uint_eq(strlen(a.text), GATE_CONSOLE_TOKEN);
    for (const char *p = a.text; *p != '\0'; p++)
        ck_assert(isalnum((unsigned char)*p) || *p == '-' || *p == '_');
    ck_assert_str_ne(a.text, b.text);
    ck_assert(find(&r, &a, NOW, &id));
    ck_assert(find(&r, &b, NOW, &other));
    ck_assert_str_ne(id.text, other.text);
    ck_assert(gate_sessions_lives(r.sessions, id.text, NOW));
    ck_assert(!gate_sessions_lives(r.sessions, "0123456789abcdef", NOW));
    ck_assert(!gate_sessions_lives(r.sessions, "", NOW));
    rig_stop(&r);
}
END_TEST

START_TEST(nothing_but_the_token_opens_it)
{
    struct rig r;
    struct id id;
    rig_start(&r);
    struct token t = enter(&r, NOW);
    ck_assert(find(&r, &t, NOW, &id));
    for (size_t i = 0; i < GATE_CONSOLE_TOKEN; i++) {
        struct token wrong = t;
        wrong.text[i] = wrong.text[i] == 'A' ? 'B' : 'A';
        ck_assert(!find(&r, &wrong, NOW, NULL));
    }
    const struct gate_str texts[] = {
        {NULL, 0},
        {t.text, 1},
        {t.text, GATE_CONSOLE_TOKEN - 1},
        gate_str_of(id.text),
        {t.text, GATE_CONSOLE_TOKEN + 1},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert(!gate_sessions_find(r.sessions, texts[i], NOW, id.text));
    rig_stop(&r);
}
END_TEST

START_TEST(it_ends_after_twelve_hours_whatever_is_done)
{
    struct rig r;
    struct id id;
    rig_start(&r);
    struct token t = enter(&r, NOW);
    for (uint64_t hour = 0; hour < 12; hour++)
        ck_assert(find(&r, &t, NOW + hour * HOUR, &id));
    ck_assert(find(&r, &t, NOW + 12 * HOUR - 1, NULL));
    ck_assert_uint_eq(count(&r, NOW + 12 * HOUR - 1), 1);
    ck_assert(!find(&r, &t, NOW + 12 * HOUR, NULL));
    ck_assert(!gate_sessions_lives(r.sessions, id.text, NOW + 12 * HOUR));
    ck_assert_uint_eq(count(&r, NOW + 12 * HOUR), 0);
    rig_stop(&r);
}
END_TEST

START_TEST(a_clock_that_is_set_back_makes_it_no_longer)
{
    struct rig r;
    rig_start(&r);
    struct token t = enter(&r, NOW + 1000 * (uint64_t)HOUR);
    ck_assert(find(&r, &t, NOW, NULL));
    ck_assert(find(&r, &t, NOW + 12 * HOUR - 1, NULL));
    ck_assert(!find(&r, &t, NOW + 12 * HOUR, NULL));
    rig_stop(&r);
}
END_TEST

/* ---- the list */

START_TEST(the_list_says_who_came)
{
    struct rig r;
    struct gate_session_view all[GATE_SESSIONS_MAX];
    char longer[400];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    rig_start(&r);
    enter_as(&r, "192.0.2.1", "A \"b\" \\ \x01 \xc3\xa9", NOW);
    struct token last = enter_as(&r, longer, longer, NOW + 5);
    ck_assert(find(&r, &last, NOW + 5 + GATE_SESSION_SEEN_MS, NULL));
    restart(&r, "the-key", NOW + 10);
    ck_assert_uint_eq(gate_sessions_list(r.sessions, NOW + 10, all), 2);
    ck_assert_uint_eq(all[0].created_ms, NOW + 5);
    ck_assert_uint_eq(all[0].last_seen_ms, NOW + 5 + GATE_SESSION_SEEN_MS);
    ck_assert_uint_eq(strlen(all[0].agent), GATE_SESSION_AGENT - 1);
    ck_assert_uint_eq(strlen(all[0].peer), GATE_SESSION_PEER - 1);
    ck_assert_uint_eq(all[1].created_ms, NOW);
    ck_assert_uint_eq(all[1].last_seen_ms, NOW);
    ck_assert_uint_eq(all[1].expires_ms, NOW + 12 * HOUR);
    ck_assert_str_eq(all[1].peer, "192.0.2.1");
    ck_assert_str_eq(all[1].agent, "A \"b\" \\ ? ??");
    rig_stop(&r);
}
END_TEST

START_TEST(one_too_many_ends_the_oldest)
{
    struct rig r;
    rig_start(&r);
    struct token first = enter(&r, NOW), second = enter(&r, NOW + 1);
    for (int i = 2; i < GATE_SESSIONS_MAX; i++)
        enter(&r, NOW + (uint64_t)i);
    ck_assert_uint_eq(count(&r, NOW + 200), GATE_SESSIONS_MAX);
    ck_assert(find(&r, &first, NOW + 200, NULL));
    struct token last = enter(&r, NOW + 200);
    ck_assert_uint_eq(count(&r, NOW + 200), GATE_SESSIONS_MAX);
    ck_assert(!find(&r, &first, NOW + 200, NULL));
    ck_assert(find(&r, &second, NOW + 200, NULL));
    ck_assert(find(&r, &last, NOW + 200, NULL));
    restart(&r, "the-key", NOW + 200);
    ck_assert_uint_eq(count(&r, NOW + 200), GATE_SESSIONS_MAX);
    ck_assert(find(&r, &last, NOW + 200, NULL));
    rig_stop(&r);
}
END_TEST

START_TEST(entering_again_replaces_the_own_session)
{
    struct rig r;
    struct id id;
    rig_start(&r);
    struct token other = enter(&r, NOW), old = enter(&r, NOW);
    ck_assert(find(&r, &old, NOW, &id));
    const struct gate_console_client again = {.replaces = id.text};
    struct token fresh;
    gate_sessions_enter(r.sessions, &again, NOW, fresh.text);
    ck_assert(!find(&r, &old, NOW, NULL));
    ck_assert(find(&r, &fresh, NOW, NULL));
    ck_assert(find(&r, &other, NOW, NULL));
    ck_assert_uint_eq(count(&r, NOW), 2);
    rig_stop(&r);
}
END_TEST

/* ---- ending */

START_TEST(an_ended_session_stays_ended)
{
    struct rig r;
    struct id id;
    struct gate_error err;
    rig_start(&r);
    struct token a = enter(&r, NOW), b = enter(&r, NOW);
    ck_assert(find(&r, &a, NOW, &id));
    uint64_t syncs = memory_storage_numbers(&r.f.memory).syncs;
    ck_assert_int_eq(gate_sessions_end(r.sessions, gate_str_of(id.text), NOW, &err), GATE_OK);
    ck_assert_uint_gt(memory_storage_numbers(&r.f.memory).syncs, syncs);
    ck_assert(!find(&r, &a, NOW, NULL));
    ck_assert(!gate_sessions_lives(r.sessions, id.text, NOW));
    ck_assert(find(&r, &b, NOW, NULL));
    ck_assert_int_eq(gate_sessions_end(r.sessions, gate_str_of(id.text), NOW, &err),
                     GATE_ENOTFOUND);
    ck_assert_int_eq(gate_sessions_end(r.sessions, GATE_STR(""), NOW, &err), GATE_ENOTFOUND);
    restart(&r, "the-key", NOW);
    ck_assert(!find(&r, &a, NOW, NULL));
    ck_assert(find(&r, &b, NOW, NULL));
    rig_stop(&r);
}
END_TEST

START_TEST(all_others_end)
{
    struct rig r;
    struct id id;
    struct gate_error err;
    size_t ended;
    rig_start(&r);
    struct token a = enter(&r, NOW), b = enter(&r, NOW), c = enter(&r, NOW);
    ck_assert(find(&r, &b, NOW, &id));
    ck_assert_int_eq(gate_sessions_end_others(r.sessions, gate_str_of(id.text), NOW, &ended, &err),
                     GATE_OK);
    ck_assert_uint_eq(ended, 2);
    ck_assert(!find(&r, &a, NOW, NULL));
    ck_assert(find(&r, &b, NOW, NULL));
    ck_assert(!find(&r, &c, NOW, NULL));
    ck_assert_int_eq(gate_sessions_end_others(r.sessions, gate_str_of(id.text), NOW, &ended, &err),
                     GATE_OK);
    ck_assert_uint_eq(ended, 0);
    ck_assert_int_eq(gate_sessions_end_others(r.sessions, GATE_STR(""), NOW, &ended, &err),
                     GATE_OK);
    ck_assert_uint_eq(ended, 1);
    restart(&r, "the-key", NOW);
    ck_assert_uint_eq(count(&r, NOW), 0);
    rig_stop(&r);
}
END_TEST

START_TEST(ended_even_where_storage_fails)
{
    struct rig r;
    struct id id;
    struct gate_error err;
    rig_start(&r);
    struct token t = enter(&r, NOW);
    settle(&r.f);
    ck_assert(find(&r, &t, NOW, &id));
    memory_storage_set_mode(&r.f.memory, MEMORY_STORAGE_FAIL_WRITES);
    ck_assert_int_eq(gate_sessions_end(r.sessions, gate_str_of(id.text), NOW, &err), GATE_EIO);
    ck_assert(!find(&r, &t, NOW, NULL));
    struct token kept = enter(&r, NOW);
    settle(&r.f);
    ck_assert(find(&r, &kept, NOW, NULL));
    memory_storage_set_mode(&r.f.memory, MEMORY_STORAGE_WELL);
    rig_stop(&r);
}
END_TEST

/* ---- storage */

START_TEST(a_restart_keeps_them)
{
    struct rig r;
    struct id before, after;
    rig_start(&r);
    struct token t = enter(&r, NOW);
    ck_assert(find(&r, &t, NOW, &before));
    restart(&r, "the-key", NOW + HOUR);
    ck_assert(find(&r, &t, NOW + HOUR, &after));
    ck_assert_str_eq(before.text, after.text);
    ck_assert(!find(&r, &t, NOW + 12 * HOUR, NULL));
    restart(&r, "the-key", NOW + 12 * HOUR);
    ck_assert(!find(&r, &t, NOW + HOUR, NULL)); /* not even read */
    rig_stop(&r);
}
END_TEST

START_TEST(another_key_ends_them)
{
    struct rig r;
    rig_start(&r);
    struct token t = enter(&r, NOW);
    restart(&r, "another-key", NOW);
    ck_assert(!find(&r, &t, NOW, NULL));
    ck_assert_uint_eq(count(&r, NOW), 0);
    rig_stop(&r);
}
END_TEST

START_TEST(no_token_is_in_storage)
{
    struct rig r;
    size_t len;
    rig_start(&r);
    struct token t = enter_as(&r, "192.0.2.99", "Telltale/9", NOW);
    settle(&r.f);
    char *record = memory_storage_read(&r.f.memory, GATE_KEY_SESSIONS, &len);
    ck_assert_ptr_nonnull(record);
    const char *const secrets[] = {t.text, "192.0.2.99", "Telltale", "digest"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        ck_assert_ptr_null(memmem(record, len, secrets[i], strlen(secrets[i])));
    free(record);
    rig_stop(&r);
}
END_TEST

/* Reads what somebody else left under the key: nobody is in, and the gateway goes on. */
static void check_foreign(struct rig *r, struct gate_str record)
{
    settle(&r->f); /* what is on its way would be written over it */
    memory_storage_write(&r->f.memory, GATE_KEY_SESSIONS, record);
    restart(r, "the-key", NOW);
    ck_assert_uint_eq(count(r, NOW), 0);
    struct token t = enter(r, NOW);
    restart(r, "the-key", NOW);
    ck_assert(find(r, &t, NOW, NULL));
}

START_TEST(a_record_that_is_not_ours_opens_nothing)
{
    static const char plain[] = "{\"key\":\"\",\"sessions\":[{\"id\":\"0123456789abcdef\"}]}";
    static const char *const odd[] = {
        "", "[]", "{}", "{\"key\":1,\"sessions\":[]}", plain, "{\"key\":\"zz\",\"sessions\":{}}",
    };
    struct rig r;
    rig_start(&r);
    enter(&r, NOW);
    check_foreign(&r, GATE_STR(plain)); /* not sealed */
    check_foreign(&r, GATE_STR(""));
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct gate_buf sealed;
        gate_buf_init(&sealed, 4096);
        ck_assert_int_eq(gate_vault_seal(r.vault, GATE_STR(GATE_KEY_SESSIONS), gate_str_of(odd[i]),
                                         &sealed, NULL),
                         GATE_OK);
        check_foreign(&r, gate_buf_str(&sealed));
        gate_buf_finish(&sealed);
    }
    rig_stop(&r);
}
END_TEST

START_TEST(one_write_serves_a_crowd)
{
    struct rig r;
    struct keeper keeper;
    rig_start(&r);
    hold_thread(&r.f, &keeper);
    uint64_t writes = memory_storage_numbers(&r.f.memory).writes;
    for (int i = 0; i < 50; i++)
        enter(&r, NOW);
    sem_post(&keeper.leave);
    settle(&r.f);
    ck_assert_uint_eq(memory_storage_numbers(&r.f.memory).writes, writes + 1);
    restart(&r, "the-key", NOW);
    ck_assert_uint_eq(count(&r, NOW), 50);
    rig_stop(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_token_opens_its_session);
    tcase_add_test(tests, nothing_but_the_token_opens_it);
    tcase_add_test(tests, it_ends_after_twelve_hours_whatever_is_done);
    tcase_add_test(tests, a_clock_that_is_set_back_makes_it_no_longer);
    tcase_add_test(tests, the_list_says_who_came);
    tcase_add_test(tests, one_too_many_ends_the_oldest);
    tcase_add_test(tests, entering_again_replaces_the_own_session);
    tcase_add_test(tests, an_ended_session_stays_ended);
    tcase_add_test(tests, all_others_end);
    tcase_add_test(tests, ended_even_where_storage_fails);
    tcase_add_test(tests, a_restart_keeps_them);
    tcase_add_test(tests, another_key_ends_them);
    tcase_add_test(tests, no_token_is_in_storage);
    tcase_add_test(tests, a_record_that_is_not_ours_opens_nothing);
    tcase_add_test(tests, one_write_serves_a_crowd);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
