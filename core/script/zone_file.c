/* Reads TZif files (RFC 9636): a table of the moments at which the offset changes, and a rule in
 * the form of POSIX TZ for the time after the table. */
#include "script/zone.h"

#include "base/buf.h"

#include <stdlib.h>

enum {
    HEADER = 44,     /* bytes before each of the two blocks */
    TYPE = 6,        /* bytes of one local time type */
    MAX_TYPES = 256, /* their numbers are bytes */
    OFFSET_MIN = -89999,
    OFFSET_MAX = 93599, /* RFC 9636: sooner than 26 hours */
    RULE_HOURS = 167,   /* of the clock at which a rule begins */
    NAME_MIN = 3,       /* letters of an abbreviation */
    DAY = 86400,
};

enum when_kind { WHEN_JULIAN, WHEN_DAY, WHEN_MONTH };

/* When an offset begins in each year. */
struct when {
    enum when_kind kind;
    int month, week; /* of WHEN_MONTH: from 1; week 5 is the last one */
    int day;         /* WHEN_JULIAN: 1 to 365, without February 29; WHEN_DAY: 0 to 365; WHEN_MONTH:
                        0 is Sunday */
    int32_t clock;   /* seconds of local time; may be negative or beyond the day */
};

struct rule {
    int32_t standard, summer;
    bool has_summer;
    struct when begin, end; /* of summer time */
};

struct gate_zone {
    int32_t first; /* before the first change */
    bool has_rule;
    struct rule rule; /* from the last change on */
    size_t count;
    int64_t *times;   /* part of the block */
    int32_t *offsets; /* part of the block; offsets[i] begins at times[i] */
};

/* ---------------------------------------------------------------- the rule */

/* What is left of the rule's text. */
struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool is_digit(const struct cursor *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* A number from min to max, of at most three digits. */
static bool take_number(struct cursor *c, int min, int max, int *out)
{
    int n = 0, digits = 0;
    for (; is_digit(c) && digits < 3; digits++)
        n = n * 10 + (*c->at++ - '0');
    *out = n;
    return digits > 0 && !is_digit(c) && n >= min && n <= max;
}

/* [+-]h[:mm[:ss]] */
static bool take_clock(struct cursor *c, int max_hours, int32_t *out)
{
    int sign = take(c, '-') ? -1 : 1, hours, minutes = 0, seconds = 0;
    if (sign > 0)
        take(c, '+');
    if (!take_number(c, 0, max_hours, &hours))
        return false;
    if (take(c, ':')) {
        if (!take_number(c, 0, 59, &minutes))
            return false;
        if (take(c, ':') && !take_number(c, 0, 59, &seconds))
            return false;
    }
    *out = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

/* CET, <+03> */
static bool skip_abbreviation(struct cursor *c)
{
    bool quoted = take(c, '<');
    int len = 0;
    for (; c->at < c->end; c->at++, len++) {
        char b = *c->at;
        bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
        if (!letter && !(quoted && (is_digit(c) || b == '+' || b == '-')))
            break;
    }
    return len >= NAME_MIN && (!quoted || take(c, '>'));
}

/* ,M3.5.0/2 */
static bool take_when(struct cursor *c, struct when *out)
{
    *out = (struct when){.kind = WHEN_DAY, .clock = 2 * 3600};
    if (!take(c, ','))
        return false;
    if (take(c, 'M')) {
        out->kind = WHEN_MONTH;
        if (!take_number(c, 1, 12, &out->month) || !take(c, '.') ||
            !take_number(c, 1, 5, &out->week) || !take(c, '.') || !take_number(c, 0, 6, &out->day))
            return false;
    } else if (take(c, 'J')) {
        out->kind = WHEN_JULIAN;
        if (!take_number(c, 1, 365, &out->day))
            return false;
    } else if (!take_number(c, 0, 365, &out->day)) {
        return false;
    }
    return !take(c, '/') || take_clock(c, RULE_HOURS, &out->clock);
}

/* CET-1CEST,M3.5.0,M10.5.0/3. The offsets of POSIX count westwards. */
static bool parse_rule(struct gate_str text, struct rule *out)
{
    struct cursor c = {text.ptr, text.ptr + text.len};
    int32_t west;
    *out = (struct rule){0};
    if (!skip_abbreviation(&c) || !take_clock(&c, 24, &west))
        return false;
    out->standard = -west;
    if (c.at == c.end)
        return true;
    if (!skip_abbreviation(&c))
        return false;
    out->has_summer = true;
    out->summer = out->standard + 3600;
    if (c.at < c.end && *c.at != ',') {
        if (!take_clock(&c, 24, &west))
            return false;
        out->summer = -west;
    }
    return take_when(&c, &out->begin) && take_when(&c, &out->end) && c.at == c.end;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Seconds of local time at which it begins in a year. */
static int64_t when_in(const struct when *when, int64_t year)
{
    int64_t day;
    if (when->kind == WHEN_MONTH) {
        int64_t first = gate_zone_days(year, when->month, 1);
        int64_t next = when->month < 12 ? gate_zone_days(year, when->month + 1, 1)
                                        : gate_zone_days(year + 1, 1, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        day = first + (when->day - weekday + 7) % 7 + (when->week - 1) * 7;
        if (day >= next)
            day -= 7;
    } else {
        day = gate_zone_days(year, 1, 1) + when->day;
        if (when->kind == WHEN_JULIAN && !(is_leap(year) && when->day >= 60))
            day--; /* day 60 is always March 1 */
    }
    return day * DAY + when->clock;
}

/* The offset of the change that was last before the moment. A clock of up to a week can move a
 * change into the next year, so three years are looked at. */
static int32_t rule_offset(const struct rule *rule, int64_t unix_s)
{
    struct gate_zone_date date;
    int64_t best = INT64_MIN;
    int32_t offset = rule->standard;
    if (!rule->has_summer)
        return rule->standard;
    gate_zone_split(unix_s, rule->standard, &date);
    for (int64_t year = date.year - 1; year <= date.year + 1; year++) {
        int64_t begin = when_in(&rule->begin, year) - rule->standard;
        int64_t end = when_in(&rule->end, year) - rule->summer;
        if (end <= unix_s && end > best) {
            best = end;
            offset = rule->standard;
        }
        /* Summer time that ends when it begins anew never ends. */
        if (begin <= unix_s && begin >= best) {
            best = begin;
            offset = rule->summer;
        }
    }
    return offset;
}

/* ---------------------------------------------------------------- the file */

static uint32_t read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t read_i64(const unsigned char *p)
{
    return (int64_t)((uint64_t)read_u32(p) << 32 | read_u32(p + 4));
}

/* Numbers of a header. */
struct counts {
    size_t ut, standard, leaps, times, types, letters;
};

/* False: no header there. All numbers are below 2^32, so sums of them do not wrap. */
static bool read_header(struct gate_str bytes, size_t at, struct counts *out)
{
    if (bytes.len < HEADER || at > bytes.len - HEADER)
        return false;
    const unsigned char *p = (const unsigned char *)bytes.ptr + at;
    if (memcmp(p, "TZif", 4) != 0)
        return false;
    *out = (struct counts){read_u32(p + 20), read_u32(p + 24), read_u32(p + 28),
                           read_u32(p + 32), read_u32(p + 36), read_u32(p + 40)};
    return true;
}

/* Bytes of the block behind a header; `wide` is how long a moment is. */
static uint64_t block_size(const struct counts *n, uint64_t wide)
{
    return n->times * (wide + 1) + n->types * (uint64_t)TYPE + n->letters + n->leaps * (wide + 4) +
           n->standard + n->ut;
}

/* Copies the changes of the second block, which starts at p and fits. NULL or what is wrong. */
static const char *read_changes(const unsigned char *p, const struct counts *n,
                                struct gate_zone *zone)
{
    const unsigned char *numbers = p + n->times * 8, *types = numbers + n->times;
    int32_t offsets[MAX_TYPES];
    for (size_t i = 0; i < n->types; i++) {
        offsets[i] = (int32_t)read_u32(types + i * TYPE);
        if (offsets[i] < OFFSET_MIN || offsets[i] > OFFSET_MAX)
            return "an offset of more than a day";
    }
    zone->first = offsets[0];
    for (size_t i = 0; i < n->times; i++) {
        zone->times[i] = read_i64(p + i * 8);
        if (i > 0 && zone->times[i] <= zone->times[i - 1])
            return "moments that are not in order";
        if (numbers[i] >= n->types)
            return "a type that it does not have";
        zone->offsets[i] = offsets[numbers[i]];
    }
    return NULL;
}

/* The rule between the newlines behind the second block. NULL or what is wrong. */
static const char *read_footer(struct gate_str rest, struct gate_zone *zone)
{
    const char *end = rest.len > 1 ? memchr(rest.ptr + 1, '\n', rest.len - 1) : NULL;
    if (end == NULL || rest.ptr[0] != '\n')
        return "no rule at its end";
    struct gate_str text = {rest.ptr + 1, (size_t)(end - rest.ptr - 1)};
    zone->has_rule = text.len > 0;
    if (zone->has_rule && !parse_rule(text, &zone->rule))
        return "a rule at its end that is none";
    return NULL;
}

static struct gate_zone *make_zone(size_t count)
{
    struct gate_zone *zone =
        gate_calloc(1, sizeof *zone + count * (sizeof *zone->times + sizeof *zone->offsets));
    zone->count = count;
    zone->times = (int64_t *)(zone + 1);
    zone->offsets = (int32_t *)(zone->times + count);
    return zone;
}

/* NULL or what is wrong. */
static const char *parse(struct gate_str bytes, struct gate_zone **out)
{
    struct counts n;
    if (!read_header(bytes, 0, &n))
        return "no header";
    if (bytes.ptr[4] < '2')
        return "version 1, expected 2 or later";
    uint64_t second = HEADER + block_size(&n, 4);
    if (second > bytes.len || !read_header(bytes, second, &n))
        return "no second header";
    uint64_t start = second + HEADER;
    if (block_size(&n, 8) > bytes.len - start)
        return "fewer bytes than it says";
    if (n.leaps > 0)
        return "leap seconds, which Unix time does not count";
    if (n.types == 0 || n.types > MAX_TYPES)
        return "no types of local time, or too many";
    struct gate_zone *zone = *out = make_zone(n.times);
    const char *wrong = read_changes((const unsigned char *)bytes.ptr + start, &n, zone);
    if (wrong != NULL)
        return wrong;
    start += block_size(&n, 8);
    return read_footer((struct gate_str){bytes.ptr + start, bytes.len - start}, zone);
}

enum gate_status gate_zone_parse(struct gate_str bytes, struct gate_zone **out,
                                 struct gate_error *err)
{
    struct gate_zone *zone = NULL;
    const char *wrong = parse(bytes, &zone);
    if (wrong != NULL) {
        gate_zone_destroy(zone);
        return gate_fail(err, GATE_EPARSE, "no usable time zone file: it has %s", wrong);
    }
    *out = zone;
    return GATE_OK;
}

void gate_zone_destroy(struct gate_zone *zone)
{
    free(zone);
}

int32_t gate_zone_offset_at(const struct gate_zone *zone, int64_t unix_s)
{
    size_t low = 0, high = zone->count; /* the first change after the moment */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->times[middle] <= unix_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule)
        return rule_offset(&zone->rule, unix_s);
    return low > 0 ? zone->offsets[low - 1] : zone->first;
}
