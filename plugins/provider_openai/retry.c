#include "retry.h"

#include "../quota_window/moment.h"

#include <time.h>

enum { DATE_MAX = 64 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

const char *openai_find(struct gate_str s, struct gate_str text)
{
    for (size_t i = 0; i + text.len <= s.len; i++) {
        size_t n = 0;

        while (n < text.len && lower(s.ptr[i + n]) == text.ptr[n])
            n++;
        if (n == text.len)
            return s.ptr + i;
    }
    return NULL;
}

struct gate_str openai_header(const struct gate_answer *answer, struct gate_str name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        struct gate_str have = answer->headers[i].name;

        if (have.len == name.len && openai_find(have, name) == have.ptr)
            return answer->headers[i].value;
    }
    return GATE_STR("");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads "12" or "1.25" at *p as thousandths. False: no number there. */
static bool read_thousandths(const char **p, const char *end, uint64_t *out)
{
    const char *start = *p;
    uint64_t n = 0, place = 100;

    for (; *p < end && is_digit(**p); (*p)++)
        if (n < OPENAI_RETRY_MAX_MS)
            n = n * 10 + (uint64_t)(**p - '0');
    if (*p == start)
        return false;
    n *= 1000;
    if (end - *p >= 2 && **p == '.' && is_digit((*p)[1])) {
        for ((*p)++; *p < end && is_digit(**p); (*p)++, place /= 10)
            n += (uint64_t)(**p - '0') * place;
    }
    *out = n;
    return true;
}

/* The ms of one unit at *p: "ms", "s", "sec...", "m", "min...", "h...", "d..."; 0: no unit. */
static uint64_t read_unit(const char **p, const char *end)
{
    const char *start = *p;
    size_t len;

    while (*p < end && lower(**p) >= 'a' && lower(**p) <= 'z')
        (*p)++;
    len = (size_t)(*p - start);
    if (len == 0)
        return 0;
    switch (lower(start[0])) {
    case 's':
        return 1000;
    case 'h':
        return 3600 * 1000;
    case 'd':
        return 24 * 3600 * 1000;
    case 'm':
        return len > 1 && (lower(start[1]) == 's' ||
                           openai_find((struct gate_str){start, len}, GATE_STR("milli")) == start)
                   ? 1
                   : 60 * 1000;
    default:
        return 0;
    }
}

/* "1.2s", "6m0s", "250ms", "20 seconds", "1h2m"; a number without a unit is seconds. */
static uint64_t read_duration(struct gate_str s)
{
    const char *p = s.ptr, *end = s.ptr + s.len;
    uint64_t total = 0, n, unit, factor;

    while (p < end && total < OPENAI_RETRY_MAX_MS && read_thousandths(&p, end, &n)) {
        if (end - p >= 2 && *p == ' ' && !is_digit(p[1]))
            p++;
        unit = read_unit(&p, end);
        if (unit == 0 && total > 0)
            break;
        factor = unit == 0 ? 1000 : unit;
        if (n / 1000 >= OPENAI_RETRY_MAX_MS / factor)
            return OPENAI_RETRY_MAX_MS;
        total += n * factor / 1000;
        if (unit == 0)
            break;
    }
    return total < OPENAI_RETRY_MAX_MS ? total : OPENAI_RETRY_MAX_MS;
}

static uint64_t read_date(const struct gate_host *host, struct gate_str s)
{
    char text[DATE_MAX];
    struct tm tm = {0};
    uint64_t now = host->now_ms();
    time_t then;

    if (s.len >= sizeof text)
        return 0;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
        return 0;
    then = timegm(&tm);
    if (then < 0 || (uint64_t)then * 1000 <= now)
        return 0;
    return (uint64_t)then * 1000 - now;
}

static struct gate_str behind(struct gate_str s, struct gate_str words)
{
    const char *at = openai_find(s, words);

    if (at == NULL)
        return GATE_STR("");
    at += words.len;
    return (struct gate_str){at, (size_t)(s.ptr + s.len - at)};
}

static uint64_t read_headers(const struct gate_host *host, const struct gate_answer *answer)
{
    struct gate_str ms = openai_header(answer, GATE_STR("retry-after-ms"));
    struct gate_str after = openai_header(answer, GATE_STR("retry-after"));
    const char *p = ms.ptr;
    uint64_t n;

    if (ms.len > 0 && read_thousandths(&p, ms.ptr + ms.len, &n))
        return n / 1000;
    if (after.len == 0)
        return 0;
    return is_digit(after.ptr[0]) ? read_duration(after) : read_date(host, after);
}

static uint64_t read_words(const struct gate_answer *answer, struct gate_str message)
{
    static const char *const phrases[] = {"try again in ", "retry in ", "retry after "};
    struct gate_str rest = behind(answer->body, GATE_STR("\"retrydelay\""));
    uint64_t n;

    while (rest.len > 0 && (*rest.ptr == ' ' || *rest.ptr == ':' || *rest.ptr == '"')) {
        rest.ptr++;
        rest.len--;
    }
    n = read_duration(rest);
    for (size_t i = 0; n == 0 && i < sizeof phrases / sizeof phrases[0]; i++)
        n = read_duration(behind(message, gate_str_of(phrases[i])));
    return n;
}

uint64_t openai_retry_read(const struct gate_host *host, const struct gate_answer *answer,
                           struct gate_str message)
{
    uint64_t n = read_headers(host, answer);

    if (n == 0)
        n = read_words(answer, message);
    return n < OPENAI_RETRY_MAX_MS ? n : OPENAI_RETRY_MAX_MS;
}

static bool is_zero(struct gate_str value)
{
    uint64_t n;

    return window_number_parse(value, &n) && n == 0;
}

uint64_t openai_counters_read(const struct gate_host *host, const struct gate_answer *answer)
{
    static const struct {
        struct gate_str limit, remaining, reset;
    } counters[] = {
        {GATE_STR("x-ratelimit-limit-requests"), GATE_STR("x-ratelimit-remaining-requests"),
         GATE_STR("x-ratelimit-reset-requests")},
        {GATE_STR("x-ratelimit-limit-tokens"), GATE_STR("x-ratelimit-remaining-tokens"),
         GATE_STR("x-ratelimit-reset-tokens")},
    };
    uint64_t now = host->now_ms(), latest = now, until;

    if (answer->in_stream || answer->status != 429 ||
        openai_header(answer, GATE_STR("retry-after-ms")).len > 0 ||
        openai_header(answer, GATE_STR("retry-after")).len > 0)
        return 0;
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        /* A limit of 0 means that there is none. */
        if (is_zero(openai_header(answer, counters[i].remaining)) &&
            !is_zero(openai_header(answer, counters[i].limit)) &&
            window_moment_parse(openai_header(answer, counters[i].reset), now, &until) &&
            until > latest)
            latest = until;
    }
    return latest - now < OPENAI_COUNTERS_MAX_MS ? latest - now : OPENAI_COUNTERS_MAX_MS;
}
