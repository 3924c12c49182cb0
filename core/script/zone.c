/* Zones by name, the files of the system's zoneinfo, and the calendar. */
#include "script/zone.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_CAP = 128,
    MAX_OFFSET_HOURS = 14, /* the easternmost zone that is in use */
    DAY = 86400,
};

/* Where systems keep zoneinfo. */
static const char *const DIRECTORIES[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo",
                                          "/usr/share/lib/zoneinfo", "/etc/zoneinfo"};
enum { DIRECTORY_COUNT = sizeof DIRECTORIES / sizeof DIRECTORIES[0] };

struct known {
    size_t len;
    char name[GATE_ZONE_NAME];
    struct gate_zone *zone;
};

/* The zones of the process. An entry never changes or goes once it is there, so it is found without
 * a lock; the lock is for adding one. Zones are the same for all, and parsing is pure. */
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct known *) zones[GATE_ZONES_MAX];

/* ---------------------------------------------------------------- calendar */

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Years begin in March here, so that February 29 comes last, and 400 of them are one cycle. */
enum { CYCLE_DAYS = 146097, DAYS_TO_1970 = 719468 /* from March 1 of year 0 */ };

int64_t gate_zone_days(int64_t year, int month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t cycle = divide_down(y, 400), in_cycle = y - cycle * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    return cycle * CYCLE_DAYS + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year + day - 1 -
           DAYS_TO_1970;
}

void gate_zone_split(int64_t unix_s, int32_t offset, struct gate_zone_date *out)
{
    int64_t local = unix_s + offset, days = divide_down(local, DAY);
    int second = (int)(local - days * DAY);
    int64_t shifted = days + DAYS_TO_1970, cycle = divide_down(shifted, CYCLE_DAYS);
    int64_t in_cycle = shifted - cycle * CYCLE_DAYS;
    int64_t year =
        (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / (CYCLE_DAYS - 1)) / 365;
    int64_t in_year = in_cycle - (365 * year + year / 4 - year / 100);
    int month = (int)((5 * in_year + 2) / 153); /* 0: March */
    out->month = month < 10 ? month + 3 : month - 9;
    out->day = (int)(in_year - (153 * month + 2) / 5) + 1;
    out->year = year + cycle * 400 + (out->month <= 2);
    out->hour = second / 3600;
    out->min = second / 60 % 60;
    out->sec = second % 60;
    out->wday = (int)(days + 3 - divide_down(days + 3, 7) * 7) + 1; /* 1970-01-01: a Thursday */
    out->yday = (int)(days - gate_zone_days(out->year, 1, 1)) + 1;
}

/* ---------------------------------------------------------------- names */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Words of letters, digits, + - _ parted by single slashes, the first byte a letter. */
static bool is_zone_name(struct gate_str name)
{
    char before = '/';
    if (name.len == 0 || name.len > GATE_ZONE_NAME)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool inner = is_digit(c) || c == '_' || c == '+' || c == '-' || (c == '/' && before != '/');
        if (!letter && (i == 0 || !inner))
            return false;
        before = c;
    }
    return before != '/';
}

/* +08:00, -0330 */
static bool parse_offset(struct gate_str s, int32_t *out)
{
    bool colon = s.len == 6 && s.ptr[3] == ':';
    if ((s.len != 5 && !colon) || (s.ptr[0] != '+' && s.ptr[0] != '-'))
        return false;
    const char *h = s.ptr + 1, *m = s.ptr + (colon ? 4 : 3);
    if (!is_digit(h[0]) || !is_digit(h[1]) || !is_digit(m[0]) || !is_digit(m[1]))
        return false;
    int hours = (h[0] - '0') * 10 + h[1] - '0', minutes = (m[0] - '0') * 10 + m[1] - '0';
    if (minutes > 59 || hours * 60 + minutes > MAX_OFFSET_HOURS * 60)
        return false;
    *out = (hours * 60 + minutes) * (s.ptr[0] == '-' ? -60 : 60);
    return true;
}

/* ---------------------------------------------------------------- files */

static enum gate_status fail_unknown(struct gate_str name, struct gate_error *err)
{
    for (size_t i = 0; i < DIRECTORY_COUNT; i++) {
        if (access(DIRECTORIES[i], F_OK) == 0)
            return gate_fail(err, GATE_ENOTFOUND,
                             "there is no time zone \"%.*s\" in %s: write a name like "
                             "\"Europe/Berlin\", \"UTC\", or an offset like \"+08:00\"",
                             (int)name.len, name.ptr, DIRECTORIES[i]);
    }
    return gate_fail(err, GATE_ENOTFOUND,
                     "the time zone \"%.*s\" cannot be looked up, as this system has no %s: "
                     "install tzdata, or write an offset like \"+08:00\"",
                     (int)name.len, name.ptr, DIRECTORIES[0]);
}

/* Opens the first of the directories' files of that name; -1: none. */
static int open_zone(struct gate_str name)
{
    char path[PATH_CAP];
    struct stat st;
    for (size_t i = 0; i < DIRECTORY_COUNT; i++) {
        snprintf(path, sizeof path, "%s/%.*s", DIRECTORIES[i], (int)name.len, name.ptr);
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

static enum gate_status read_zone(struct gate_str name, struct gate_buf *out,
                                  struct gate_error *err)
{
    int fd = open_zone(name);
    if (fd < 0)
        return fail_unknown(name, err);
    enum gate_status status = GATE_OK;
    for (;;) {
        char *room = gate_buf_reserve(out, out->max - out->len);
        ssize_t n = room != NULL ? read(fd, room, out->max - out->len) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = gate_fail(err, GATE_EIO, "the time zone \"%.*s\" cannot be read: %s",
                               (int)name.len, name.ptr, strerror(errno));
        if (n <= 0)
            break;
        out->len += (size_t)n;
        if (out->len == out->max) {
            status =
                gate_fail(err, GATE_ELIMIT, "the time zone file \"%.*s\" has more than %d bytes",
                          (int)name.len, name.ptr, GATE_ZONE_FILE);
            break;
        }
    }
    close(fd);
    return status;
}

static enum gate_status load_zone(struct gate_str name, struct gate_zone **out,
                                  struct gate_error *err)
{
    struct gate_error why;
    struct gate_buf bytes;
    gate_buf_init(&bytes, GATE_ZONE_FILE + 1);
    enum gate_status status = read_zone(name, &bytes, err);
    if (status == GATE_OK) {
        status = gate_zone_parse(gate_buf_str(&bytes), out, &why);
        if (status != GATE_OK)
            gate_fail(err, status, "the time zone \"%.*s\": %s", (int)name.len, name.ptr,
                      why.message);
    }
    gate_buf_finish(&bytes);
    return status;
}

/* ---------------------------------------------------------------- zones */

/* The zone, or NULL and the place for the next one. */
static const struct gate_zone *find_zone(struct gate_str name, size_t *free_place)
{
    size_t i = 0;
    for (; i < GATE_ZONES_MAX; i++) {
        const struct known *known = atomic_load_explicit(&zones[i], memory_order_acquire);
        if (known == NULL)
            break;
        if (known->len == name.len && memcmp(known->name, name.ptr, name.len) == 0)
            return known->zone;
    }
    *free_place = i;
    return NULL;
}

/* With the lock. */
static enum gate_status add_zone(struct gate_str name, const struct gate_zone **out, bool *loaded,
                                 struct gate_error *err)
{
    size_t place;
    struct gate_zone *zone;
    *out = find_zone(name, &place);
    if (*out != NULL)
        return GATE_OK; /* another thread was first */
    if (place == GATE_ZONES_MAX)
        return gate_fail(
            err, GATE_ELIMIT,
            "more than %d time zones are in use: do not take their names from requests",
            GATE_ZONES_MAX);
    *loaded = true;
    enum gate_status status = load_zone(name, &zone, err);
    if (status != GATE_OK)
        return status;
    struct known *known = gate_calloc(1, sizeof *known);
    memcpy(known->name, name.ptr, name.len);
    known->len = name.len;
    *out = known->zone = zone;
    atomic_store_explicit(&zones[place], known, memory_order_release);
    return GATE_OK;
}

enum gate_status gate_zone_offset(struct gate_str name, int64_t unix_s, int32_t *offset,
                                  bool *loaded, struct gate_error *err)
{
    size_t place;
    bool ignored;
    if (loaded == NULL)
        loaded = &ignored;
    *loaded = false;
    *offset = 0;
    if (gate_str_eq(name, GATE_STR("UTC")) || parse_offset(name, offset))
        return GATE_OK;
    if (!is_zone_name(name))
        return gate_fail(
            err, GATE_EINVAL,
            "\"%.*s\" is no time zone: write \"UTC\", a name like \"Europe/Berlin\", or "
            "an offset like \"+08:00\"",
            (int)(name.len < GATE_ZONE_NAME ? name.len : GATE_ZONE_NAME), name.ptr);
    const struct gate_zone *zone = find_zone(name, &place);
    if (zone == NULL) {
        pthread_mutex_lock(&adding);
        enum gate_status status = add_zone(name, &zone, loaded, err);
        pthread_mutex_unlock(&adding);
        if (status != GATE_OK)
            return status;
    }
    *offset = gate_zone_offset_at(zone, unix_s);
    return GATE_OK;
}
