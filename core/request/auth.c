#include "request/auth.h"
#include "base/buf.h"
#include "base/clock.h"
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SALT = 64 };

/* A key that is right. Never changed once workers see it, and freed at the end alone: somebody may
 * be comparing with it. */
struct key {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct key *before;    /* NULL: the first */
    uint64_t old_until_ms; /* so long the one before is right too */
};

/* One SHA-256 block of secret salt in front of the key makes the digests useless to whoever times
 * the comparison, and costs the same for every key of the same number of blocks. */
struct gate_auth {
    SHA256_CTX salted;
    struct key *_Atomic key;
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* the EVP calls allocate at each use   \
                                                            */

static void digest_of(const struct gate_auth *auth, struct gate_str key, unsigned char *out)
{
    SHA256_CTX c = auth->salted;
    SHA256_Update(&c, key.ptr, key.len);
    SHA256_Final(out, &c);
}

struct gate_auth *gate_auth_create(struct gate_str key)
{
    unsigned char salt[SALT];
    struct gate_auth *auth = gate_calloc(1, sizeof *auth);
    if (getrandom(salt, sizeof salt, 0) != sizeof salt)
        abort(); /* no randomness: no safe way to go on */
    SHA256_Init(&auth->salted);
    SHA256_Update(&auth->salted, salt, sizeof salt);
    gate_wipe(salt, sizeof salt);
    gate_auth_change(auth, key, 0);
    return auth;
}

#pragma GCC diagnostic pop

void gate_auth_destroy(struct gate_auth *auth)
{
    if (auth == NULL)
        return;
    for (struct key *k = atomic_load(&auth->key), *before; k != NULL; k = before) {
        before = k->before;
        gate_wipe(k, sizeof *k);
        free(k);
    }
    gate_wipe(auth, sizeof *auth);
    free(auth);
}

void gate_auth_change(struct gate_auth *auth, struct gate_str key, uint64_t old_until_ms)
{
    struct key *made = gate_calloc(1, sizeof *made);
    digest_of(auth, key, made->digest);
    made->before = atomic_load(&auth->key);
    made->old_until_ms = made->before != NULL ? old_until_ms : 0;
    atomic_store(&auth->key, made);
}

bool gate_auth_key_matches(const struct gate_auth *auth, struct gate_str key)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    const struct key *right = atomic_load_explicit(&auth->key, memory_order_acquire);
    digest_of(auth, key, digest);
    if (CRYPTO_memcmp(digest, right->digest, sizeof digest) == 0)
        return true;
    return right->old_until_ms > 0 && gate_clock_wall_ms() < right->old_until_ms &&
           CRYPTO_memcmp(digest, right->before->digest, sizeof digest) == 0;
}

enum gate_auth_result gate_auth_bearer(const struct gate_auth *auth, struct gate_str value)
{
    static const char scheme[] = "bearer ";
    while (value.len > 0 && value.ptr[0] == ' ')
        value = (struct gate_str){value.ptr + 1, value.len - 1};
    if (value.len <= sizeof scheme - 1 || strncasecmp(value.ptr, scheme, sizeof scheme - 1) != 0)
        return value.len == 0 ? GATE_AUTH_MISSING : GATE_AUTH_WRONG;
    value = (struct gate_str){value.ptr + sizeof scheme - 1, value.len - (sizeof scheme - 1)};
    while (value.len > 0 && value.ptr[0] == ' ')
        value = (struct gate_str){value.ptr + 1, value.len - 1};
    while (value.len > 0 && value.ptr[value.len - 1] == ' ')
        value.len--;
    return gate_auth_key_matches(auth, value) ? GATE_AUTH_OK : GATE_AUTH_WRONG;
}
