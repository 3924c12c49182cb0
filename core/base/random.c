#include "base/random.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

enum { MAX_AT_ONCE = 256 /* what getrandom gives whole, whatever signal comes */ };

void gate_random_bytes(void *out, size_t n)
{
    assert(n <= MAX_AT_ONCE);
    if (getrandom(out, n, 0) != (ssize_t)n)
        abort();
}

void gate_random_id(char out[GATE_RANDOM_ID + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[GATE_RANDOM_ID / 2];
    gate_random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[GATE_RANDOM_ID] = '\0';
}
