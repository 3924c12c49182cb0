/* backup_format: what backup.c (writing) and backup_read.c (reading) share. */
#ifndef GATE_RECORD_BACKUP_FORMAT_H
#define GATE_RECORD_BACKUP_FORMAT_H

#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>

#define BACKUP_LINE "llm-gate backup 1\n"

enum {
    BACKUP_HEAD = 16,   /* of a record: two lengths and the version */
    BACKUP_END = 12,    /* a zero and the number of records */
    BACKUP_DIGEST = 32, /* SHA-256 */
};

static inline void backup_put(unsigned char *out, size_t bytes, uint64_t value)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

static inline uint64_t backup_get(const unsigned char *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | in[i];
    return value;
}

/* A digest that has begun. */
static inline EVP_MD_CTX *backup_digest(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c == NULL || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
        abort(); /* a library without SHA-256, or no memory */
    return c;
}

#endif
