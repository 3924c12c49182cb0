/* Fuzzes the reader of time zone files: whatever the bytes are, a zone that it accepts gives
 * offsets of less than 26 hours at any moment, the same ones when asked again. */
#include "script/zone.h"

#include <assert.h>

enum { MAX_OFFSET = 26 * 3600 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t moments[] = {INT64_MIN / 4, -2208988800,  0, 1, 1700000000, 4102444800,
                                      253402300800,  INT64_MAX / 4};
    struct gate_zone *zone;
    struct gate_error err;
    struct gate_zone_date date;

    if (size > GATE_ZONE_FILE ||
        gate_zone_parse((struct gate_str){(const char *)data, size}, &zone, &err) != GATE_OK)
        return 0;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        int32_t offset = gate_zone_offset_at(zone, moments[i]);

        assert(offset > -MAX_OFFSET && offset < MAX_OFFSET);
        assert(offset == gate_zone_offset_at(zone, moments[i]));
        gate_zone_split(moments[i], offset, &date);
        assert(date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= 31);
        assert(date.yday >= 1 && date.yday <= 366 && date.wday >= 1 && date.wday <= 7);
        assert(gate_zone_days(date.year, date.month, date.day) * 86400 + date.hour * 3600 +
                   date.min * 60 + date.sec ==
               moments[i] + offset);
    }
    gate_zone_destroy(zone);
    return 0;
}
