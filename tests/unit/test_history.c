/* The history: what is kept comes back byte for byte, after restarts and failures of storage. */
#include "live/history.h"
#include "live/history_record.h"
#include "store_fixture.h"
#include <stdlib.h>

enum { AT = 1700000000 };

static struct fixture f;
static struct gate_history *history;

static void open_history(void)
{
    struct gate_error err = {0};
    ck_assert_msg(gate_history_open(f.store, &history, &err) == GATE_OK, "%s", err.message);
}

static void setup(void)
{
    catch_log();
    start(&f, 0);
    open_history();
}

static void teardown(void)
{
    gate_history_close(history);
    stop(&f);
}

static void restart(void)
{
    struct gate_error err = {0};
    gate_history_close(history);
    gate_store_close(f.store);
    ck_assert_int_eq(try_open(&f, 0, &err), GATE_OK);
    open_history();
}

static struct gate_sources texts(const char *name, const char *text, size_t len)
{
    struct gate_sources s = {0};
    struct gate_error err = {0};
    ck_assert_msg(gate_sources_put(&s, gate_str_of(name), (struct gate_str){text, len}, &err) ==
                      GATE_OK,
                  "%s", err.message);
    return s;
}

static enum gate_status try_add(uint64_t number, const struct gate_sources *sources)
{
    struct gate_error err = {0};
    struct gate_history_entry e = {.number = number,
                                   .at_ms = (uint64_t)AT * 1000 + number,
                                   .base = number - 1,
                                   .origin = GATE_ORIGIN_ADMIN,
                                   .author = "ann",
                                   .note = "note"};
    return gate_history_add(history, &e, sources, &err);
}

/* Adds a generation whose text tells its number. */
static enum gate_status add_number(uint64_t number)
{
    char text[32];
    int len = snprintf(text, sizeof text, "return %llu\n", (unsigned long long)number);
    struct gate_sources s = texts("routing.lua", text, (size_t)len);
    enum gate_status status = try_add(number, &s);
    gate_sources_finish(&s);
    return status;
}

static void expect_number(uint64_t number)
{
    char text[32];
    struct gate_history_entry e;
    struct gate_sources s;
    struct gate_error err = {0};
    snprintf(text, sizeof text, "return %llu\n", (unsigned long long)number);
    ck_assert_msg(gate_history_get(history, number, &e, &s, &err) == GATE_OK, "%s", err.message);
    ck_assert_uint_eq(e.number, number);
    ck_assert_uint_eq(s.count, 1);
    ck_assert_str_eq(s.files[0].name, "routing.lua");
    ck_assert_str_eq(s.files[0].text, text);
    gate_sources_finish(&s);
}

static enum gate_status look(uint64_t number)
{
    struct gate_history_entry e;
    struct gate_error err;
    return gate_history_get(history, number, &e, NULL, &err);
}

/* The numbers of a list, as text. */
struct numbers {
    char text[256];
};
static struct numbers list(uint64_t before, size_t max)
{
    struct gate_history_entry entries[16];
    struct gate_error err;
    struct numbers out = {""};
    size_t count, len = 0;
    ck_assert_int_eq(gate_history_list(history, before, max, entries, &count, &err), GATE_OK);
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(out.text + len, sizeof out.text - len, "%llu ",
                                (unsigned long long)entries[i].number);
    return out;
}

START_TEST(starts_empty)
{
    ck_assert_uint_eq(gate_history_newest(history), 0);
    ck_assert_str_eq(list(0, 16).text, "");
    ck_assert_int_eq(look(1), GATE_ENOTFOUND);
    gate_history_flush(history);
    ck_assert_uint_eq(memory_storage_count(&f.memory, "generation"), 0);
}
END_TEST

START_TEST(everything_comes_back)
{
    struct gate_error err = {0};
    struct gate_sources s = texts("gateway.lua", "a\n", 2), read;
    ck_assert_int_eq(gate_sources_put(&s, GATE_STR("tests/a.lua"), GATE_STR(""), &err), GATE_OK);
    struct gate_history_entry e = {.number = 7,
                                   .at_ms = 123,
                                   .base = 5,
                                   .of = 3,
                                   .origin = GATE_ORIGIN_ROLLBACK,
                                   .author = "J\"\\\n\t\x01\x7f",
                                   .note = "back \xe2\x82\xac"};
    uint64_t syncs = memory_storage_numbers(&f.memory).syncs;
    ck_assert_int_eq(gate_history_add(history, &e, &s, &err), GATE_OK);
    ck_assert_uint_ge(memory_storage_numbers(&f.memory).syncs, syncs + 2);
    ck_assert_uint_eq(e.files, 2);
    ck_assert_uint_eq(e.bytes, 2);
    for (int round = 0; round < 2; round++) {
        struct gate_history_entry got;
        ck_assert_uint_eq(gate_history_newest(history), 7);
        ck_assert_int_eq(gate_history_get(history, 7, &got, &read, &err), GATE_OK);
        ck_assert(gate_sources_equal(&read, &s));
        ck_assert_uint_eq(got.number, 7);
        ck_assert_uint_eq(got.at_ms, 123);
        ck_assert_uint_eq(got.base, 5);
        ck_assert_uint_eq(got.of, 3);
        ck_assert_int_eq(got.origin, GATE_ORIGIN_ROLLBACK);
        ck_assert(!got.failed);
        ck_assert_str_eq(got.author, e.author);
        ck_assert_str_eq(got.note, e.note);
        ck_assert_uint_eq(got.files, 2);
        ck_assert_uint_eq(got.bytes, 2);
        gate_sources_finish(&read);
        restart();
    }
    gate_sources_finish(&s);
}
END_TEST

/* All bytes, alone and in random company. */
START_TEST(texts_are_exact)
{
    uint32_t seed = 1;
    uint64_t number = 0;
    for (int i = 0; i < 600; i++) {
        char text[300];
        size_t len = i < 256 ? 1 : (size_t)(i % 280);
        for (size_t k = 0; k < len; k++) {
            seed = seed * 1664525u + 1013904223u;
            text[k] = i % 3 == 0 ? (char)(seed >> 24) : " \n\r\t\"\\/az\x7f"[(seed >> 24) % 10];
        }
        if (i < 256)
            text[0] = (char)i;
        struct gate_sources s = texts("models.lua", text, len), read;
        struct gate_history_entry e;
        struct gate_error err = {0};
        ck_assert_int_eq(try_add(++number, &s), GATE_OK);
        ck_assert_msg(gate_history_get(history, number, &e, &read, &err) == GATE_OK, "%s",
                      err.message);
        ck_assert_msg(gate_sources_equal(&read, &s), "text %d", i);
        gate_sources_finish(&read);
        gate_sources_finish(&s);
    }
}
END_TEST

/* The largest set fits, whatever it is made of. */
START_TEST(large_texts)
{
    static const char *const fills[] = {"\"", "\x01", "\xff", "\xf0\x9f\x98\x80", "\n"};
    char *text = gate_alloc(GATE_SOURCES_MAX_BYTES);
    for (uint64_t i = 0; i < sizeof fills / sizeof fills[0]; i++) {
        size_t unit = strlen(fills[i]);
        for (size_t k = 0; k < GATE_SOURCES_MAX_BYTES; k++)
            text[k] = fills[i][k % unit];
        struct gate_sources s = texts("models.lua", text, GATE_SOURCES_MAX_BYTES), read;
        struct gate_history_entry e;
        struct gate_error err = {0};
        ck_assert_int_eq(try_add(i + 1, &s), GATE_OK);
        ck_assert_msg(gate_history_get(history, i + 1, &e, &read, &err) == GATE_OK, "%s",
                      err.message);
        ck_assert(gate_sources_equal(&read, &s));
        gate_sources_finish(&read);
        gate_sources_finish(&s);
    }
    free(text);
}
END_TEST

START_TEST(lists_page_from_the_newest)
{
    for (uint64_t n = 1; n <= 20; n += n == 9 ? 3 : 1) /* 10 and 11 never were */
        ck_assert_int_eq(add_number(n), GATE_OK);
    for (int round = 0; round < 2; round++) {
        ck_assert_str_eq(list(0, 3).text, "20 19 18 ");
        ck_assert_str_eq(list(18, 2).text, "17 16 ");
        ck_assert_str_eq(list(12, 2).text, "9 8 ");
        ck_assert_str_eq(list(11, 2).text, "9 8 ");
        ck_assert_str_eq(list(3, 16).text, "2 1 ");
        ck_assert_str_eq(list(1, 16).text, "");
        ck_assert_str_eq(list(1000, 1).text, "20 ");
        ck_assert_str_eq(list(0, 0).text, "");
        ck_assert_int_eq(look(10), GATE_ENOTFOUND);
        restart();
    }
    expect_number(9);
    expect_number(20);
}
END_TEST

START_TEST(numbers_only_grow)
{
    ck_assert_int_eq(add_number(5), GATE_OK);
    ck_assert_int_eq(add_number(5), GATE_EINVAL);
    ck_assert_int_eq(add_number(4), GATE_EINVAL);
    ck_assert_int_eq(add_number(UINT64_MAX), GATE_EINVAL);
    ck_assert_uint_eq(gate_history_newest(history), 5);
    expect_number(5);
}
END_TEST

START_TEST(failed_generations_are_marked)
{
    struct gate_history_entry e;
    struct gate_error err;
    add_number(1);
    add_number(2);
    ck_assert_int_eq(gate_history_mark_failed(history, 1, &err), GATE_OK);
    ck_assert_int_eq(gate_history_mark_failed(history, 1, &err), GATE_OK);
    ck_assert_int_eq(gate_history_mark_failed(history, 3, &err), GATE_ENOTFOUND);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(gate_history_get(history, 1, &e, NULL, &err), GATE_OK);
        ck_assert(e.failed);
        ck_assert_int_eq(gate_history_get(history, 2, &e, NULL, &err), GATE_OK);
        ck_assert(!e.failed);
        expect_number(1);
        restart();
    }
}
END_TEST

START_TEST(old_ones_go)
{
    for (uint64_t n = 1; n <= GATE_HISTORY_KEEP + 3; n++)
        ck_assert_int_eq(add_number(n), GATE_OK);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(look(3), GATE_ENOTFOUND);
        expect_number(4);
        ck_assert_str_eq(list(7, 16).text, "6 5 4 ");
        ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_GENERATION), GATE_HISTORY_KEEP);
        ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_TEXTS), GATE_HISTORY_KEEP);
        restart();
    }
}
END_TEST

START_TEST(large_ones_go_sooner)
{
    char *text = gate_calloc(1, GATE_SOURCES_MAX_BYTES);
    memset(text, 'x', GATE_SOURCES_MAX_BYTES);
    struct gate_sources s = texts("models.lua", text, GATE_SOURCES_MAX_BYTES);
    uint64_t fits = GATE_HISTORY_MAX_BYTES / GATE_SOURCES_MAX_BYTES;
    for (uint64_t n = 1; n <= fits + 2; n++)
        ck_assert_int_eq(try_add(n, &s), GATE_OK);
    ck_assert_int_eq(look(2), GATE_ENOTFOUND);
    ck_assert_int_eq(look(3), GATE_OK);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_TEXTS), fits);
    gate_sources_finish(&s);
    free(text);
}
END_TEST

/* ---- storage that fails */

START_TEST(kept_until_storage_works)
{
    struct gate_error err = {0};
    struct gate_history_entry e;
    add_number(1);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_WRITES);
    ck_assert_int_eq(add_number(2), GATE_EIO);
    ck_assert_int_eq(add_number(3), GATE_EIO);
    ck_assert_int_eq(gate_history_mark_failed(history, 1, &err), GATE_EIO);
    ck_assert_int_eq(gate_history_mark_failed(history, 1, &err), GATE_EIO);
    ck_assert_int_eq(gate_history_mark_failed(history, 2, &err), GATE_EIO);
    ck_assert_ptr_nonnull(strstr(err.message, "no space left"));
    gate_history_flush(history);
    ck_assert_uint_eq(gate_history_newest(history), 3);
    ck_assert_str_eq(list(0, 16).text, "3 2 1 ");
    expect_number(2);
    expect_number(3);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_GENERATION), 1);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    gate_history_flush(history);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_GENERATION), 3);
    ck_assert(!gate_store_is_failing(f.store));
    restart();
    ck_assert_uint_eq(gate_history_newest(history), 3);
    for (uint64_t n = 1; n <= 3; n++) {
        expect_number(n);
        ck_assert_int_eq(gate_history_get(history, n, &e, NULL, &err), GATE_OK);
        ck_assert_int_eq(e.failed, n < 3);
    }
}
END_TEST

/* Each write fails once: the next add repairs it, and no entry is ever without its texts. */
START_TEST(every_write_may_fail)
{
    uint64_t number = 0;
    for (uint64_t write = 0; write < 2; write++) {
        memory_storage_fail_one(&f.memory, write);
        ck_assert_int_eq(add_number(++number), GATE_EIO);
        ck_assert_uint_le(memory_storage_count(&f.memory, GATE_KEY_GENERATION),
                          memory_storage_count(&f.memory, GATE_KEY_TEXTS));
        ck_assert_int_eq(add_number(++number), GATE_OK);
        ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_GENERATION), number);
    }
    restart();
    for (uint64_t n = 1; n <= number; n++)
        expect_number(n);
}
END_TEST

START_TEST(memory_has_a_bound)
{
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_WRITES);
    for (uint64_t n = 1; n <= 70; n++)
        ck_assert_int_eq(add_number(n), GATE_EIO);
    ck_assert_int_eq(look(6), GATE_ENOTFOUND);
    expect_number(7);
    expect_number(70);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    ck_assert_int_eq(add_number(71), GATE_OK);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_GENERATION), 65);
}
END_TEST

/* Removals that fail are made up for, without failing what was asked for. */
START_TEST(removals_may_fail)
{
    for (uint64_t n = 1; n <= GATE_HISTORY_KEEP; n++)
        add_number(n);
    memory_storage_fail_one(&f.memory, 3); /* texts, entry, texts of 1; then its entry */
    ck_assert_int_eq(add_number(GATE_HISTORY_KEEP + 1), GATE_OK);
    ck_assert_int_eq(look(1), GATE_ENOTFOUND);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_GENERATION), GATE_HISTORY_KEEP + 1);
    restart();
    ck_assert_int_eq(look(1), GATE_ENOTFOUND);
    gate_history_flush(history);
    ck_assert_uint_eq(memory_storage_count(&f.memory, GATE_KEY_GENERATION), GATE_HISTORY_KEEP);
}
END_TEST

START_TEST(close_writes_what_waits)
{
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_FAIL_WRITES);
    ck_assert_int_eq(add_number(1), GATE_EIO);
    memory_storage_set_mode(&f.memory, MEMORY_STORAGE_WELL);
    restart();
    expect_number(1);
}
END_TEST

/* ---- records that are not what they should be */

START_TEST(damaged_records_are_left_out)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"v\":1}",
        "not JSON",
        "{\"v\":2,\"at\":1,\"base\":0,\"of\":0,\"origin\":\"admin\",\"failed\":false,\"files\":1,"
        "\"bytes\":1,\"author\":\"\",\"note\":\"\"}",
        "{\"v\":1,\"at\":1,\"base\":0,\"of\":0,\"origin\":\"moon\",\"failed\":false,\"files\":1,"
        "\"bytes\":1,\"author\":\"\",\"note\":\"\"}",
        "{\"v\":1,\"at\":1,\"base\":0,\"of\":0,\"origin\":\"admin\",\"failed\":false,\"files\":1,"
        "\"bytes\":9007199254740991,\"author\":\"\",\"note\":\"\"}",
    };
    char key[64];
    add_number(1);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(key, sizeof key, "%s%016x", GATE_KEY_GENERATION, i + 2);
        memory_storage_write(&f.memory, key, gate_str_of(bad[i]));
    }
    memory_storage_write(&f.memory, GATE_KEY_GENERATION "zz", GATE_STR("x"));
    memory_storage_write(&f.memory, GATE_KEY_GENERATION "ffffffffffffffff", GATE_STR("x"));
    restart();
    ck_assert_str_eq(list(0, 16).text, "1 ");
    /* Their numbers are not used again. */
    ck_assert_uint_eq(gate_history_newest(history), 1 + sizeof bad / sizeof bad[0]);
    expect_number(1);
}
END_TEST

START_TEST(damaged_texts)
{
    static const char *const bad[] = {
        "",
        "{\"v\":1}",
        "{\"v\":9,\"files\":[]}",
        "{\"v\":1,\"files\":[1]}",
        "{\"v\":1,\"files\":[{\"name\":\"x\",\"text\":\"\"}]}",
        "{\"v\":1,\"files\":[{\"name\":\"models.lua\"}]}",
        "{\"v\":1,\"files\":[{\"name\":\"models.lua\",\"text\":\"\",\"base64\":\"\"}]}",
        "{\"v\":1,\"files\":[{\"name\":\"models.lua\",\"base64\":\"abc\"}]}",
        "{\"v\":1,\"files\":[{\"name\":\"models.lua\",\"base64\":\"a!==\"}]}",
    };
    struct gate_history_entry e;
    struct gate_sources s;
    struct gate_error err = {0};
    add_number(1);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memory_storage_write(&f.memory, GATE_KEY_TEXTS "0000000000000001", gate_str_of(bad[i]));
        ck_assert_msg(gate_history_get(history, 1, &e, &s, &err) == GATE_EIO, "%s", bad[i]);
        ck_assert_ptr_nonnull(strstr(err.message, "generation 1 "));
        ck_assert_uint_eq(s.count, 0);
    }
}
END_TEST

/* A caller that cuts may cut a character in two. */
START_TEST(names_are_made_text)
{
    struct gate_sources s = {0};
    struct gate_error err = {0};
    struct gate_history_entry e = {.number = 1,
                                   .author = "a\xff"
                                             "b\xc3\xa9\xe2\x82"},
                              got;
    memset(e.note, 'n', sizeof e.note); /* not even an end */
    ck_assert_int_eq(gate_history_add(history, &e, &s, &err), GATE_OK);
    ck_assert_str_eq(e.author, "a?b\xc3\xa9");
    restart();
    ck_assert_int_eq(gate_history_get(history, 1, &got, &s, &err), GATE_OK);
    ck_assert_str_eq(got.author, "a?b\xc3\xa9");
    ck_assert_uint_eq(strlen(got.note), GATE_HISTORY_NOTE);
    ck_assert_uint_eq(s.count, 0);
    gate_sources_finish(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tests = tcase_create("history");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, starts_empty);
    tcase_add_test(tests, everything_comes_back);
    tcase_add_test(tests, texts_are_exact);
    tcase_add_test(tests, large_texts);
    tcase_add_test(tests, lists_page_from_the_newest);
    tcase_add_test(tests, numbers_only_grow);
    tcase_add_test(tests, failed_generations_are_marked);
    tcase_add_test(tests, old_ones_go);
    tcase_add_test(tests, large_ones_go_sooner);
    tcase_add_test(tests, kept_until_storage_works);
    tcase_add_test(tests, every_write_may_fail);
    tcase_add_test(tests, memory_has_a_bound);
    tcase_add_test(tests, removals_may_fail);
    tcase_add_test(tests, close_writes_what_waits);
    tcase_add_test(tests, damaged_records_are_left_out);
    tcase_add_test(tests, damaged_texts);
    tcase_add_test(tests, names_are_made_text);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
