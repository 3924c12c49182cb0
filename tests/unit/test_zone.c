/* Time zones: against the C library's for many zones and moments, and bytes that are no zone. */
#include "script/zone.h"

#include "base/buf.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool have_zones(const char *test)
{
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) == 0)
        return true;
    printf("test_zone: %s skipped: this system has no zoneinfo\n", test);
    return false;
}

static int64_t utc(int year, int month, int day, int hour, int min)
{
    return gate_zone_days(year, month, day) * 86400 + hour * 3600 + min * 60;
}

static int32_t offset_of(const char *name, int64_t unix_s)
{
    struct gate_error err = {0};
    int32_t offset = INT32_MIN;
    ck_assert_msg(gate_zone_offset(gate_str_of(name), unix_s, &offset, NULL, &err) == GATE_OK, "%s",
                  err.message);
    return offset;
}

/* ---------------------------------------------------------------- against the C library */

static const char *const ZONES[] = {
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "America/Nuuk",
    "America/St_Johns",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Asia/Tehran",
    "Asia/Jerusalem",
    "Asia/Gaza",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Antarctica/Troll",
    "America/Santiago",
    "Asia/Pyongyang",
    "Etc/GMT+12",
    "GMT",
    "America/Argentina/Buenos_Aires",
};

static void expect_same(const char *name, int64_t unix_s)
{
    struct tm tm;
    struct gate_zone_date date;
    time_t t = (time_t)unix_s;
    ck_assert_ptr_nonnull(localtime_r(&t, &tm));
    int32_t offset = offset_of(name, unix_s);
    ck_assert_msg(offset == tm.tm_gmtoff, "%s at %lld: %d, expected %ld", name, (long long)unix_s,
                  offset, tm.tm_gmtoff);
    gate_zone_split(unix_s, offset, &date);
    ck_assert_msg(date.year == tm.tm_year + 1900 && date.month == tm.tm_mon + 1 &&
                      date.day == tm.tm_mday && date.hour == tm.tm_hour && date.min == tm.tm_min &&
                      date.sec == tm.tm_sec && date.yday == tm.tm_yday + 1 &&
                      date.wday == (tm.tm_wday + 6) % 7 + 1,
                  "%s at %lld: %lld-%d-%d %d:%d:%d", name, (long long)unix_s, (long long)date.year,
                  date.month, date.day, date.hour, date.min, date.sec);
}

enum { STEP = 7 * 86400 + 1 };

/* Weeks, and both sides of every change of the offset, found by halving. */
static unsigned compare_years(const char *name, int from, int to)
{
    unsigned changes = 0;
    for (int64_t at = utc(from, 1, 1, 0, 0); at < utc(to, 1, 1, 0, 0); at += STEP) {
        int64_t low = at, high = at + STEP;
        expect_same(name, at);
        if (offset_of(name, low) == offset_of(name, high))
            continue;
        while (high - low > 1) {
            int64_t middle = low + (high - low) / 2;
            *(offset_of(name, middle) == offset_of(name, low) ? &low : &high) = middle;
        }
        changes++;
        expect_same(name, low);
        expect_same(name, high);
    }
    return changes;
}

START_TEST(zones_agree_with_libc)
{
    unsigned changes = 0;
    if (!have_zones("zones_agree_with_libc"))
        return;
    for (size_t i = 0; i < sizeof ZONES / sizeof ZONES[0]; i++) {
        setenv("TZ", ZONES[i], 1);
        tzset();
        changes += compare_years(ZONES[i], 1970, 2038);
        changes += compare_years(ZONES[i], 2038, 2060); /* by the rule at the end of the file */
        changes += compare_years(ZONES[i], 2396, 2404);
        expect_same(ZONES[i], utc(1900, 1, 1, 0, 0));
    }
    unsetenv("TZ");
    tzset();
    ck_assert_uint_gt(changes, 2000);
    printf("test_zone: %zu zones, %u changes compared\n", sizeof ZONES / sizeof ZONES[0], changes);
}
END_TEST

START_TEST(edges_of_summer_time)
{
    if (!have_zones("edges_of_summer_time"))
        return;
    ck_assert_int_eq(offset_of("Europe/Berlin", utc(2026, 3, 29, 1, 0) - 1), 3600);
    ck_assert_int_eq(offset_of("Europe/Berlin", utc(2026, 3, 29, 1, 0)), 7200);
    ck_assert_int_eq(offset_of("Europe/Berlin", utc(2026, 10, 25, 1, 0) - 1), 7200);
    ck_assert_int_eq(offset_of("Europe/Berlin", utc(2026, 10, 25, 1, 0)), 3600);
    ck_assert_int_eq(offset_of("Europe/Berlin", utc(2050, 7, 1, 0, 0)), 7200);
    ck_assert_int_eq(offset_of("Asia/Shanghai", utc(2026, 7, 1, 0, 0)), 28800);
    ck_assert_int_eq(offset_of("Asia/Kolkata", utc(2026, 7, 1, 0, 0)), 19800);
}
END_TEST

/* ---------------------------------------------------------------- calendar and names */

START_TEST(calendar)
{
    struct gate_zone_date date;
    int64_t unix_s = utc(-800, 1, 1, 0, 0) / 86400 * 86400;
    for (; unix_s < utc(3000, 1, 1, 0, 0); unix_s += 86400) {
        struct tm tm;
        time_t t = (time_t)unix_s;
        gmtime_r(&t, &tm);
        gate_zone_split(unix_s, 0, &date);
        if (date.year != tm.tm_year + 1900 || date.month != tm.tm_mon + 1 ||
            date.day != tm.tm_mday || date.yday != tm.tm_yday + 1 ||
            date.wday != (tm.tm_wday + 6) % 7 + 1 ||
            gate_zone_days(date.year, date.month, date.day) * 86400 != unix_s)
            ck_abort_msg("%lld: %lld-%d-%d", (long long)unix_s, (long long)date.year, date.month,
                         date.day);
    }
    gate_zone_split(-1, 0, &date);
    ck_assert(date.year == 1969 && date.month == 12 && date.day == 31 && date.hour == 23 &&
              date.min == 59 && date.sec == 59 && date.wday == 3 && date.yday == 365);
}
END_TEST

START_TEST(fixed_offsets)
{
    static const char *const wrong[] = {"+8",     "+08",    "08:00",  "+8:00",  "+08:0", "+08:60",
                                        "+14:01", "-15:00", "+08-00", "+0a:00", "+"};
    int32_t offset;
    struct gate_error err;
    ck_assert_int_eq(offset_of("UTC", 0), 0);
    ck_assert_int_eq(offset_of("+08:00", 0), 28800);
    ck_assert_int_eq(offset_of("-0330", 0), -12600);
    ck_assert_int_eq(offset_of("+14:00", 0), 50400);
    ck_assert_int_eq(offset_of("-00:00", 0), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(gate_zone_offset(gate_str_of(wrong[i]), 0, &offset, NULL, &err) ==
                          GATE_EINVAL,
                      "%s", wrong[i]);
        ck_assert(strstr(err.message, "is no time zone: write \"UTC\"") != NULL);
    }
}
END_TEST

START_TEST(names_are_checked)
{
    static const struct gate_str wrong[] = {
        {"", 0},
        {"/usr/share/zoneinfo/UTC", 23},
        {"../../../etc/passwd", 19},
        {"Europe/../Europe/Berlin", 23},
        {"Europe//Berlin", 14},
        {"Europe/", 7},
        {".", 1},
        {"zone.tab", 8},
        {"Europe/Berlin\0x", 15},
        {"Europe Berlin", 13},
        {"Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 65},
    };
    int32_t offset;
    struct gate_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(gate_zone_offset(wrong[i], 0, &offset, NULL, &err) == GATE_EINVAL, "%.*s",
                      (int)wrong[i].len, wrong[i].ptr);
    ck_assert_int_eq(gate_zone_offset(GATE_STR("No/Such_Place"), 0, &offset, NULL, &err),
                     GATE_ENOTFOUND);
    if (!have_zones("names_are_checked")) {
        ck_assert_msg(strstr(err.message, "install tzdata") != NULL, "%s", err.message);
        return;
    }
    ck_assert_msg(strstr(err.message, "there is no time zone \"No/Such_Place\" in /usr/share") !=
                      NULL,
                  "%s", err.message);
    ck_assert_int_eq(gate_zone_offset(GATE_STR("Europe"), 0, &offset, NULL, &err), GATE_ENOTFOUND);
    if (access("/usr/share/zoneinfo/leapseconds", R_OK) == 0)
        ck_assert_int_eq(gate_zone_offset(GATE_STR("leapseconds"), 0, &offset, NULL, &err),
                         GATE_EPARSE);
    if (access("/usr/share/zoneinfo/right/Europe/Berlin", R_OK) == 0) {
        ck_assert_int_eq(gate_zone_offset(GATE_STR("right/Europe/Berlin"), 0, &offset, NULL, &err),
                         GATE_EPARSE);
        ck_assert(strstr(err.message, "it has leap seconds") != NULL);
    }
}
END_TEST

static void *ask(void *arg)
{
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof ZONES / sizeof ZONES[0]; i++) {
            struct gate_error err;
            int32_t offset = 1;
            if (gate_zone_offset(gate_str_of(ZONES[i]), 1700000000, &offset, NULL, &err) !=
                    GATE_OK ||
                offset % 900 != 0)
                return arg;
        }
    }
    return NULL;
}

START_TEST(threads_share_zones)
{
    pthread_t threads[4];
    void *failed;
    if (!have_zones("threads_share_zones"))
        return;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, threads), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
}
END_TEST

START_TEST(zones_are_bounded)
{
    static const char *const MORE[] = {
        "Europe/Rome", "Europe/Madrid", "Europe/Vienna", "Europe/Prague",  "Europe/Warsaw",
        "Europe/Oslo", "Europe/Sofia",  "Europe/Athens", "Europe/Lisbon",  "Asia/Seoul",
        "Asia/Dubai",  "Asia/Manila",   "Asia/Bangkok",  "Asia/Singapore", "Africa/Lagos",
    };
    bool loaded, full = false;
    char name[32];
    if (!have_zones("zones_are_bounded"))
        return;
    ck_assert_int_eq(offset_of("Europe/Paris", 1700000000), 3600);
    struct gate_error err;
    int32_t offset;
    ck_assert_int_eq(gate_zone_offset(GATE_STR("Europe/Paris"), 0, &offset, &loaded, &err),
                     GATE_OK);
    ck_assert(!loaded);
    for (size_t i = 0; i < sizeof ZONES / sizeof ZONES[0] - 2; i++)
        offset_of(ZONES[i], 0);
    for (int i = -14; i <= 12 && !full; i++) {
        snprintf(name, sizeof name, "Etc/GMT%+d", i);
        offset_of(name, 0);
    }
    for (size_t i = 0; i < sizeof MORE / sizeof MORE[0] && !full; i++) {
        enum gate_status status = gate_zone_offset(gate_str_of(MORE[i]), 0, &offset, &loaded, &err);
        ck_assert(loaded == (status == GATE_OK));
        full = status == GATE_ELIMIT;
    }
    ck_assert(full && strstr(err.message, "more than 64 time zones are in use") != NULL);
    ck_assert_int_eq(offset_of("Europe/Paris", 1700000000), 3600);
    ck_assert_int_eq(offset_of("+01:00", 0), 3600);
}
END_TEST

/* ---------------------------------------------------------------- bytes */

/* A file of version 2 with an empty first block. */
struct file {
    unsigned char bytes[512];
    size_t len;
};

static void put(struct file *f, uint64_t n, int size)
{
    while (size-- > 0)
        f->bytes[f->len++] = (unsigned char)(n >> 8 * size);
}

static void put_header(struct file *f, uint32_t leaps, uint32_t times, uint32_t types,
                       uint32_t letters)
{
    memcpy(f->bytes + f->len, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    f->len += 20;
    put(f, 0, 4);
    put(f, 0, 4);
    put(f, leaps, 4);
    put(f, times, 4);
    put(f, types, 4);
    put(f, letters, 4);
}

static struct file make_file(const char *footer)
{
    struct file f = {.len = 0};
    put_header(&f, 0, 0, 0, 0);
    put_header(&f, 0, 2, 2, 8);
    put(&f, 1000, 8);
    put(&f, 2000, 8);
    put(&f, 1, 1);
    put(&f, 0, 1);
    put(&f, 3600, 4);
    put(&f, 0, 2);
    put(&f, 7200, 4);
    put(&f, 0x0104, 2);
    memcpy(f.bytes + f.len, "ONE\0TWO", 8);
    f.len += 8;
    f.len += (size_t)snprintf((char *)f.bytes + f.len, sizeof f.bytes - f.len, "\n%s\n", footer);
    return f;
}

/* The bytes in memory of their own size, so that a read beyond them is seen. NULL: refused. */
static struct gate_zone *parse(const struct file *f, size_t len, struct gate_error *err)
{
    struct gate_zone *zone = NULL;
    char *copy = gate_alloc(len + (len == 0));
    memcpy(copy, f->bytes, len);
    enum gate_status status = gate_zone_parse((struct gate_str){copy, len}, &zone, err);
    ck_assert((status == GATE_OK) == (zone != NULL));
    free(copy);
    return zone;
}

START_TEST(files)
{
    struct gate_error err = {0};
    struct file f = make_file("");
    struct gate_zone *zone = parse(&f, f.len, &err);
    ck_assert_msg(zone != NULL, "%s", err.message);
    ck_assert_int_eq(gate_zone_offset_at(zone, INT64_MIN), 3600);
    ck_assert_int_eq(gate_zone_offset_at(zone, 999), 3600);
    ck_assert_int_eq(gate_zone_offset_at(zone, 1000), 7200);
    ck_assert_int_eq(gate_zone_offset_at(zone, 2000), 3600);
    ck_assert_int_eq(gate_zone_offset_at(zone, INT64_MAX), 3600); /* no rule: the last one stays */
    gate_zone_destroy(zone);
    for (size_t len = 0; len < f.len; len++)
        ck_assert_ptr_null(parse(&f, len, &err));
    for (size_t at = 0; at < f.len; at++) { /* whatever comes of it */
        for (int bit = 0; bit < 8; bit++) {
            struct file changed = f;
            changed.bytes[at] ^= (unsigned char)(1 << bit);
            zone = parse(&changed, f.len, &err);
            for (int64_t when = 0; zone != NULL && when < 4000; when += 500)
                gate_zone_offset_at(zone, when);
            gate_zone_destroy(zone);
        }
    }
    f.bytes[4] = '\0';
    ck_assert_ptr_null(parse(&f, f.len, &err));
    ck_assert_msg(strstr(err.message, "version 1, expected 2 or later") != NULL, "%s", err.message);
}
END_TEST

START_TEST(rules)
{
    static const struct {
        const char *rule;
        int year, month, day, hour;
        int32_t offset;
    } right[] = {
        {"XXX-3", 2030, 1, 1, 0, 10800},
        {"<+0330>-3:30:15", 2030, 1, 1, 0, 12615},
        {"AAA5BBB,M3.2.0,M11.1.0", 2030, 3, 10, 6, -18000},
        {"AAA5BBB,M3.2.0,M11.1.0", 2030, 3, 10, 7, -14400},
        {"AAA5BBB,M3.2.0,M11.1.0", 2030, 11, 3, 5, -14400},
        {"AAA5BBB,M3.2.0,M11.1.0", 2030, 11, 3, 6, -18000},
        {"AAA-10BBB,M10.1.0,M4.1.0/3", 2030, 12, 31, 23, 39600}, /* over the new year */
        {"AAA-10BBB,M10.1.0,M4.1.0/3", 2030, 6, 1, 0, 36000},
        {"XXX3YYY2,0/0,J365/23", 2030, 1, 1, 3, -7200},
        {"AAA3BBB,0/0,J365/25", 2030, 7, 1, 0, -7200}, /* summer all year */
        {"AAA3BBB,0/0,J365/25", 2031, 1, 1, 2, -7200},
        {"AAA0BBB,J60/0,J300/0", 2028, 2, 29, 23, 0}, /* J60 is March 1 in leap years, too */
        {"AAA0BBB,J60/0,J300/0", 2028, 3, 1, 0, 3600},
        {"AAA0BBB,J60/0,J300/0", 2027, 3, 1, 0, 3600},
        {"AAA0BBB,J60/0,J300/0", 2027, 2, 28, 23, 0},
        {"AAA0BBB,59/0,300/0", 2028, 2, 29, 0, 3600},          /* 59 is February 29 there */
        {"AAA0BBB,M1.1.1/-167,M6.1.1", 2029, 12, 31, 1, 3600}, /* begins in the year before */
        {"AAA0BBB,M12.5.0/167,M6.1.1", 2031, 1, 1, 0, 0},
        {"AAA0BBB,M12.5.0/167,M6.1.1", 2031, 1, 5, 0, 3600}, /* begins in the year after */
    };
    static const char *const wrong[] = {
        "X",
        "XX3",
        "XXX",
        "XXX25",
        "XXX3:60",
        "<XXX3",
        "XXX3YYY",
        "XXX3YYY,",
        "XXX3YYY,M3.2.0",
        "XXX3YYY,M13.2.0,M11.1.0",
        "XXX3YYY,M3.6.0,M11.1.0",
        "XXX3YYY,M3.0.0,M11.1.0",
        "XXX3YYY,M3.2.7,M11.1.0",
        "XXX3YYY,J0,J365",
        "XXX3YYY,J1,J366",
        "XXX3YYY,0,366",
        "XXX3YYY,0/168,1",
        "XXX3YYY,0,1x",
        "XXX3YYY,0000,1",
        "XXX3,M3.2.0,M11.1.0",
        "\x80\x80\x80-1",
    };
    struct gate_error err = {0};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct file f = make_file(right[i].rule);
        struct gate_zone *zone = parse(&f, f.len, &err);
        ck_assert_msg(zone != NULL, "%s: %s", right[i].rule, err.message);
        int32_t offset = gate_zone_offset_at(
            zone, utc(right[i].year, right[i].month, right[i].day, right[i].hour, 0));
        ck_assert_msg(offset == right[i].offset, "%s, line %zu: %d", right[i].rule, i, offset);
        gate_zone_destroy(zone);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct file f = make_file(wrong[i]);
        ck_assert_msg(parse(&f, f.len, &err) == NULL, "%s", wrong[i]);
        ck_assert_msg(strstr(err.message, "a rule at its end that is none") != NULL, "%s: %s",
                      wrong[i], err.message);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("zone");
    TCase *tc = tcase_create("zone");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, zones_agree_with_libc);
    tcase_add_test(tc, edges_of_summer_time);
    tcase_add_test(tc, calendar);
    tcase_add_test(tc, fixed_offsets);
    tcase_add_test(tc, names_are_checked);
    tcase_add_test(tc, threads_share_zones);
    tcase_add_test(tc, zones_are_bounded);
    tcase_add_test(tc, files);
    tcase_add_test(tc, rules);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
