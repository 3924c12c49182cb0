/*
 * clock: the two clocks. Monotonic time for durations and timers, wall time for logs, quota windows
 * and credentials. Any thread.
 */
#ifndef GATE_BASE_CLOCK_H
#define GATE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

uint64_t gate_clock_mono_us(void); /* microseconds since an arbitrary point, never backwards */
static inline uint64_t gate_clock_mono_ms(void)
{
    return gate_clock_mono_us() / 1000;
}
uint64_t gate_clock_wall_ms(void); /* milliseconds since the Unix epoch */

/* For tests: wall time runs this many ms ahead (or behind) from now on. */
void gate_clock_shift(int64_t ms);
/* For tests of the whole gateway: takes the shift, in ms, from the 8 bytes of a file, which a test
 * rewrites while the gateway runs. False: no such file. At start, before other threads. */
bool gate_clock_follow(const char *path);

#endif
