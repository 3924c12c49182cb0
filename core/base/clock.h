/*
 * clock: the two clocks. Monotonic time for durations and timers, wall time for logs and
 * credentials. Any thread.
 */
#ifndef GATE_BASE_CLOCK_H
#define GATE_BASE_CLOCK_H

#include <stdint.h>

uint64_t gate_clock_mono_us(void); /* microseconds since an arbitrary point, never backwards */
static inline uint64_t gate_clock_mono_ms(void)
{
    return gate_clock_mono_us() / 1000;
}
uint64_t gate_clock_wall_ms(void); /* milliseconds since the Unix epoch */

#endif
