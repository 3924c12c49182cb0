/*
 * zone: time zones for gate.time: how far local time is from UTC at a moment. Names are those of
 * the system's zoneinfo (TZif files, RFC 9636); a file is read once in a process, by the first who
 * asks for it, and kept for good. The C library's TZ is process-wide state and is left alone. Any
 * thread.
 */
#ifndef GATE_SCRIPT_ZONE_H
#define GATE_SCRIPT_ZONE_H

#include "gate/plugin.h"

enum {
    GATE_ZONES_MAX = 64,        /* zones of one process */
    GATE_ZONE_NAME = 64,        /* bytes of a name */
    GATE_ZONE_FILE = 256 << 10, /* bytes of a file */
};

/* ---- what gate.time needs */

/* Seconds east of UTC at that moment. name: "UTC", "+08:00", "-0330" or a name of zoneinfo.
 * *loaded: a file was read (may be NULL). GATE_EINVAL: not a name; GATE_ENOTFOUND: there is no such
 * zone; GATE_ELIMIT: GATE_ZONES_MAX others are in use; GATE_EIO, GATE_EPARSE: the file is bad. err
 * says what to do. */
enum gate_status gate_zone_offset(struct gate_str name, int64_t unix_s, int32_t *offset,
                                  bool *loaded, struct gate_error *err);

/* A moment as a calendar and a clock on the wall show it. */
struct gate_zone_date {
    int64_t year;
    int month, day;     /* from 1 */
    int hour, min, sec; /* from 0 */
    int wday;           /* 1: Monday, 7: Sunday */
    int yday;           /* from 1 */
};
void gate_zone_split(int64_t unix_s, int32_t offset, struct gate_zone_date *out);

/* ---- one zone, as zone_file.c reads it */

struct gate_zone;

/* Reads the bytes of a TZif file of version 2 or later; *out is made only on success. GATE_EPARSE:
 * it is none; err says why. Owner: caller, who frees it with gate_zone_destroy. */
enum gate_status gate_zone_parse(struct gate_str bytes, struct gate_zone **out,
                                 struct gate_error *err);
void gate_zone_destroy(struct gate_zone *zone);
int32_t gate_zone_offset_at(const struct gate_zone *zone, int64_t unix_s);
/* Days from 1970-01-01 to a day of the calendar; day may lie outside of the month. */
int64_t gate_zone_days(int64_t year, int month, int64_t day);

#endif
