#include "state.h"

enum { EARLIEST_H = 12, LATEST_H = 14 }; /* offsets in use reach from -12:00 to +14:00 */

static bool two_digits(const char *p, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return true;
}

enum gate_status window_zone_parse(struct gate_str text, int64_t *offset_s, struct gate_error *err)
{
    int hours, minutes, most;

    if (gate_str_eq(text, GATE_STR("UTC")) || gate_str_eq(text, GATE_STR("Z"))) {
        *offset_s = 0;
        return GATE_OK;
    }
    if (text.len != 6 || (text.ptr[0] != '+' && text.ptr[0] != '-') || text.ptr[3] != ':' ||
        !two_digits(text.ptr + 1, &hours) || !two_digits(text.ptr + 4, &minutes))
        return gate_fail(err, GATE_EINVAL,
                         "zone: expected an offset such as \"+08:00\", \"-05:30\", \"UTC\" or "
                         "\"Z\"");
    most = text.ptr[0] == '-' ? EARLIEST_H : LATEST_H;
    if (minutes > 59 || hours * 60 + minutes > most * 60)
        return gate_fail(err, GATE_EINVAL,
                         "zone: an offset lies between \"-12:00\" and \"+14:00\"");
    *offset_s = (hours * 60 + minutes) * 60;
    if (text.ptr[0] == '-')
        *offset_s = -*offset_s;
    return GATE_OK;
}

uint64_t window_day_of(uint64_t second, int64_t offset_s)
{
    return (second + (uint64_t)(WINDOW_DAY_S + offset_s)) / WINDOW_DAY_S;
}

uint64_t window_day_end(uint64_t now_ms, int64_t offset_s)
{
    uint64_t shift = (uint64_t)(WINDOW_DAY_S + offset_s);

    return (((now_ms / 1000 + shift) / WINDOW_DAY_S + 1) * WINDOW_DAY_S - shift) * 1000;
}
