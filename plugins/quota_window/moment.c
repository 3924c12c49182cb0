#include "moment.h"

#include "state.h"

enum {
    UNIX_FROM = 1000000000, /* a number from there on is a time stamp: of 2001 or later */
    EPOCH_YEAR = 1970,
    LAST_YEAR = 2500, /* what stamps can hold, with room */
};

#define UNIX_MS_FROM 100000000000u /* in ms: of 1973 or later; in seconds it would be 5138 */

/* A cursor into a text. Each take_ function moves it only when it returns true. */
struct cursor {
    const char *p, *end;
};

static bool take_char(struct cursor *c, char wanted)
{
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

static bool take_word(struct cursor *c, struct gate_str word)
{
    if ((size_t)(c->end - c->p) < word.len || memcmp(c->p, word.ptr, word.len) != 0)
        return false;
    c->p += word.len;
    return true;
}

/* From `least` to `most` digits, and no digit behind them. */
static bool take_digits(struct cursor *c, int least, int most, uint64_t *out)
{
    const char *p = c->p;
    uint64_t n = 0;

    for (; p < c->end && *p >= '0' && *p <= '9'; p++) {
        if (p - c->p == most)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (p - c->p < least)
        return false;
    c->p = p;
    *out = n;
    return true;
}

/* ".25", cut to thousandths. */
static bool take_fraction(struct cursor *c, uint64_t *thousandths)
{
    struct cursor try = *c;
    const char *start;
    uint64_t n, place = 100;

    if (!take_char(&try, '.'))
        return false;
    start = try.p;
    if (!take_digits(&try, 1, WINDOW_DIGITS_MAX, &n))
        return false;
    *thousandths = 0;
    for (const char *p = start; p < try.p; p++, place /= 10)
        *thousandths += (uint64_t)(*p - '0') * place;
    *c = try;
    return true;
}

/* ---------------------------------------------------------------- numbers and durations */

static bool take_number(struct cursor *c, uint64_t *thousandths)
{
    uint64_t whole, part = 0;

    if (!take_digits(c, 1, WINDOW_DIGITS_MAX, &whole))
        return false;
    take_fraction(c, &part);
    *thousandths = whole * 1000 + part;
    return true;
}

bool window_number_parse(struct gate_str text, uint64_t *thousandths)
{
    struct cursor c = {text.ptr, text.ptr};

    if (text.len == 0)
        return false;
    c.end += text.len;
    return take_number(&c, thousandths) && c.p == c.end;
}

/* "6m0s", "1h2m3.5s", "120ms": the units fall. */
static bool parse_duration(struct gate_str text, uint64_t *ms)
{
    static const struct unit {
        struct gate_str name;
        uint64_t ms;
    } units[] = {{{"d", 1}, 24 * 3600 * 1000},
                 {{"h", 1}, 3600 * 1000},
                 {{"ms", 2}, 1}, /* before its first letter */
                 {{"m", 1}, 60 * 1000},
                 {{"s", 1}, 1000}};
    struct cursor c = {text.ptr, text.ptr + text.len};
    uint64_t sum = 0, last = UINT64_MAX, n;

    do {
        const struct unit *unit = NULL;

        if (!take_number(&c, &n))
            return false;
        for (size_t i = 0; i < sizeof units / sizeof units[0] && unit == NULL; i++)
            if (take_word(&c, units[i].name))
                unit = &units[i];
        if (unit == NULL || unit->ms >= last)
            return false;
        last = unit->ms;
        /* Longer than any block is kept; the product would not hold it. */
        if (n > UINT32_MAX * (uint64_t)1000)
            n = UINT32_MAX * (uint64_t)1000;
        sum += n * unit->ms / 1000;
    } while (c.p < c.end);
    *ms = sum;
    return true;
}

/* ---------------------------------------------------------------- dates */

struct date {
    uint64_t year, month, day, hour, minute, second;
};

static bool is_leap(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* The date in Unix seconds. False: there is no such date. */
static bool date_seconds(const struct date *d, uint64_t *out)
{
    static const uint64_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t days = 0;

    if (d->year < EPOCH_YEAR || d->year > LAST_YEAR || d->month < 1 || d->month > 12 ||
        d->hour > 23 || d->minute > 59 || d->second > 60 || d->day < 1 ||
        d->day > lengths[d->month - 1] + (d->month == 2 && is_leap(d->year) ? 1 : 0))
        return false;
    for (uint64_t year = EPOCH_YEAR; year < d->year; year++)
        days += is_leap(year) ? 366 : 365;
    for (uint64_t month = 1; month < d->month; month++)
        days += lengths[month - 1] + (month == 2 && is_leap(d->year) ? 1 : 0);
    days += d->day - 1;
    *out = ((days * 24 + d->hour) * 60 + d->minute) * 60 + d->second;
    return true;
}

static bool take_time(struct cursor *c, struct date *d)
{
    return take_digits(c, 2, 2, &d->hour) && take_char(c, ':') &&
           take_digits(c, 2, 2, &d->minute) && take_char(c, ':') &&
           take_digits(c, 2, 2, &d->second);
}

/* One of `count` names of three letters each. */
static bool take_name(struct cursor *c, const char *names, uint64_t count, uint64_t *index)
{
    for (uint64_t i = 0; i < count; i++) {
        if (take_word(c, (struct gate_str){names + 3 * i, 3})) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_http_date(struct gate_str text, uint64_t *ms)
{
    struct cursor c = {text.ptr, text.ptr + text.len};
    struct date d = {0};
    uint64_t weekday;

    if (!take_name(&c, "SunMonTueWedThuFriSat", 7, &weekday) || !take_word(&c, GATE_STR(", ")) ||
        !take_digits(&c, 2, 2, &d.day) || !take_char(&c, ' ') ||
        !take_name(&c, "JanFebMarAprMayJunJulAugSepOctNovDec", 12, &d.month) ||
        !take_char(&c, ' ') || !take_digits(&c, 4, 4, &d.year) || !take_char(&c, ' ') ||
        !take_time(&c, &d) || !take_word(&c, GATE_STR(" GMT")) || c.p != c.end)
        return false;
    d.month++;
    if (!date_seconds(&d, ms))
        return false;
    *ms *= 1000;
    return true;
}

/* "2024-05-01T12:00:00Z", "2024-05-01T12:00:00.5+08:00" */
static bool parse_iso_date(struct gate_str text, uint64_t *ms)
{
    struct cursor c = {text.ptr, text.ptr + text.len};
    struct date d = {0};
    uint64_t seconds, part = 0;
    int64_t offset_s;

    if (!take_digits(&c, 4, 4, &d.year) || !take_char(&c, '-') ||
        !take_digits(&c, 2, 2, &d.month) || !take_char(&c, '-') || !take_digits(&c, 2, 2, &d.day) ||
        !take_char(&c, 'T') || !take_time(&c, &d))
        return false;
    take_fraction(&c, &part);
    if (window_zone_parse((struct gate_str){c.p, (size_t)(c.end - c.p)}, &offset_s, NULL) !=
            GATE_OK ||
        !date_seconds(&d, &seconds) || (int64_t)seconds < offset_s)
        return false;
    *ms = (seconds - (uint64_t)offset_s) * 1000 + part;
    return true;
}

bool window_moment_parse(struct gate_str text, uint64_t now_ms, uint64_t *until)
{
    uint64_t n;

    if (text.len == 0)
        return false;
    if (window_number_parse(text, &n)) {
        if (n >= UNIX_MS_FROM * 1000)
            *until = n / 1000;
        else if (n >= (uint64_t)UNIX_FROM * 1000)
            *until = n;
        else
            *until = now_ms + n;
        return true;
    }
    if (parse_duration(text, &n)) {
        *until = now_ms + n;
        return true;
    }
    return parse_http_date(text, until) || parse_iso_date(text, until);
}
