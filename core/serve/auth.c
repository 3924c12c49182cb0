#include "serve/auth.h"
#include "base/buf.h"
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SALT = 64 };

/* One SHA-256 block of secret salt in front of the key makes the digests useless to whoever times
 * the comparison, and costs the same for every key of the same number of blocks. */
struct gate_auth {
    SHA256_CTX salted;
    unsigned char digest[SHA256_DIGEST_LENGTH];
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
    struct gate_auth *auth = gate_alloc(sizeof *auth);
    if (getrandom(salt, sizeof salt, 0) != sizeof salt)
        abort(); /* no randomness: no safe way to go on */
    SHA256_Init(&auth->salted);
    SHA256_Update(&auth->salted, salt, sizeof salt);
    gate_wipe(salt, sizeof salt);
    digest_of(auth, key, auth->digest);
    return auth;
}

#pragma GCC diagnostic pop

void gate_auth_destroy(struct gate_auth *auth)
{
    if (auth == NULL)
        return;
    gate_wipe(auth, sizeof *auth);
    free(auth);
}

bool gate_auth_key_matches(const struct gate_auth *auth, struct gate_str key)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    digest_of(auth, key, digest);
    return CRYPTO_memcmp(digest, auth->digest, sizeof digest) == 0;
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
