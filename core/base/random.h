/*
 * random: bytes that nobody can guess, from the kernel. Used for names of logins and leases, PKCE
 * verifiers and the seeds of jitter. Any thread. A kernel that has none aborts the process: there
 * is no safe way to go on.
 */
#ifndef GATE_BASE_RANDOM_H
#define GATE_BASE_RANDOM_H

#include <stddef.h>

enum { GATE_RANDOM_ID = 32 /* characters of an id: 128 bits as hex digits */ };

/* Fills out. n <= 256. */
void gate_random_bytes(void *out, size_t n);
/* Writes GATE_RANDOM_ID lower-case hex digits and a NUL. */
void gate_random_id(char out[GATE_RANDOM_ID + 1]);

#endif
