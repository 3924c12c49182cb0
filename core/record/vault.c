#include "record/vault.h"
#include "record/store.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sealed bytes: format (1 byte), nonce, ciphertext, tag. The storage key is the associated data. */
enum {
    FORMAT = 1,
    KEY_BYTES = 32,
    NONCE_BYTES = 12,
    TAG_BYTES = 16,
    OVERHEAD = 1 + NONCE_BYTES + TAG_BYTES,
    MAX_PLAIN = 1 << 20,
    KEY_FILE_BYTES = 2 * KEY_BYTES + 1, /* hex digits and a newline */
    MAX_PROOF = 256,
    PROVE_TRIES = 2, /* the second after another gateway wrote its proof first */
};

static const char proof[] = "llm-gate can read its credentials";

struct gate_vault {
    unsigned char key[KEY_BYTES];
    bool from_secret;
    char path[PATH_MAX]; /* of the key file, which need not exist when from_secret */
};

/* ---------------------------------------------------------------- the key file */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool decode_key(const char *text, size_t len, unsigned char key[KEY_BYTES])
{
    if (len == KEY_FILE_BYTES && text[len - 1] == '\n')
        len--; /* an editor or a shell may have left it out */
    if (len != 2 * KEY_BYTES)
        return false;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* Up to cap bytes; -1 with errno set. */
static ssize_t read_all(int fd, char *out, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t n = read(fd, out + len, cap - len);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            len += (size_t)n;
    }
    return (ssize_t)len;
}

static enum gate_status check_file(int fd, const char *path, struct gate_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return gate_fail(err, GATE_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return gate_fail(err, GATE_EDENIED, "%s is not a regular file", path);
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return gate_fail(err, GATE_EDENIED,
                         "%s is open to other users of this machine (mode %03o): run chmod 600 %s",
                         path, (unsigned)(st.st_mode & 0777), path);
    return GATE_OK;
}

static enum gate_status read_key(struct gate_vault *v, struct gate_error *err)
{
    /* O_NONBLOCK: a FIFO in its place must not hang the start. */
    int fd = open(v->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return gate_fail(err, GATE_EDENIED, "%s is a symbolic link", v->path);
    if (fd < 0)
        return gate_fail(err, errno == ENOENT ? GATE_ENOTFOUND : GATE_EIO, "%s: %s", v->path,
                         strerror(errno));
    char text[KEY_FILE_BYTES + 1];
    enum gate_status status = check_file(fd, v->path, err);
    if (status == GATE_OK) {
        ssize_t len = read_all(fd, text, sizeof text);
        if (len < 0)
            status = gate_fail(err, GATE_EIO, "%s: %s", v->path, strerror(errno));
        else if (!decode_key(text, (size_t)len, v->key))
            status =
                gate_fail(err, GATE_EINVAL,
                          "%s does not hold a key (%d hex digits and a newline): put the right "
                          "file back",
                          v->path, 2 * KEY_BYTES);
        gate_wipe(text, sizeof text);
    }
    close(fd);
    return status;
}

/* True: all of it is on disk. */
static bool write_key(int fd, const unsigned char key[KEY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char text[KEY_FILE_BYTES];
    for (size_t i = 0; i < KEY_BYTES; i++) {
        text[2 * i] = digits[key[i] >> 4];
        text[2 * i + 1] = digits[key[i] & 15];
    }
    text[KEY_FILE_BYTES - 1] = '\n';
    size_t done = 0;
    while (done < sizeof text) {
        ssize_t n = write(fd, text + done, sizeof text - done);
        if (n < 0 && errno != EINTR)
            break;
        if (n > 0)
            done += (size_t)n;
    }
    gate_wipe(text, sizeof text);
    return done == sizeof text && fsync(fd) == 0;
}

static bool sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

/* Gives the complete file its name, if nobody has it yet: whoever sees the name sees a whole key,
 * even behind a crash at any point. */
static bool publish(const char *from, const char *to)
{
    if (link(from, to) == 0) {
        unlink(from);
        return true;
    }
    /* Some file systems have no hard links. */
    return errno != EEXIST && renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0;
}

/* GATE_ECONFLICT: another start was first; its key counts. */
static enum gate_status make_key(struct gate_vault *v, const char *directory,
                                 struct gate_error *err)
{
    char temporary[PATH_MAX];
    enum gate_status status = GATE_OK;
    int fd = -1;
    if (RAND_bytes(v->key, sizeof v->key) != 1)
        return gate_fail(err, GATE_EINTERNAL, "no random bytes for a key");
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", v->path) >= sizeof temporary)
        return gate_fail(err, GATE_EINVAL, "%s: the name is too long", v->path);
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return gate_fail(err, GATE_EIO, "%s: %s", directory, strerror(errno));
    fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return gate_fail(err, GATE_EIO, "cannot make %s: %s", v->path, strerror(errno));
    if (!write_key(fd, v->key) || !publish(temporary, v->path)) {
        status = errno == EEXIST ? GATE_ECONFLICT : GATE_EIO;
        gate_fail(err, status, "cannot write %s: %s", v->path, strerror(errno));
        unlink(temporary);
    } else if (!sync_directory(directory)) {
        status = gate_fail(err, GATE_EIO, "%s: %s", directory, strerror(errno));
    }
    close(fd);
    return status;
}

static enum gate_status key_from_file(struct gate_vault *v, const char *directory, bool make,
                                      struct gate_error *err)
{
    enum gate_status status = read_key(v, err);
    if (status != GATE_ENOTFOUND || !make)
        return status;
    status = make_key(v, directory, err);
    return status == GATE_ECONFLICT ? read_key(v, err) : status;
}

/* ---------------------------------------------------------------- the key of a secret */

static enum gate_status key_from_secret(struct gate_vault *v, const char *secret,
                                        struct gate_error *err)
{
    /* Part of the format: another text would be another key. */
    static char digest[] = "SHA256", salt[] = "llm-gate", info[] = "vault key 1";
    if (*secret == '\0')
        return gate_fail(err, GATE_EINVAL, "LLM_GATE_SECRET is empty");
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (char *)(uintptr_t)secret,
                                          strlen(secret)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof salt - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof info - 1),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = hkdf != NULL ? EVP_KDF_CTX_new(hkdf) : NULL;
    bool ok = ctx != NULL && EVP_KDF_derive(ctx, v->key, sizeof v->key, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(hkdf);
    return ok ? GATE_OK : gate_fail(err, GATE_EINTERNAL, "HKDF-SHA-256 is not available");
}

enum gate_status gate_vault_create(const char *data_dir, const char *secret, bool make,
                                   struct gate_vault **out, struct gate_error *err)
{
    struct gate_vault *v = gate_calloc(1, sizeof *v);
    enum gate_status status;
    v->from_secret = secret != NULL;
    if ((size_t)snprintf(v->path, sizeof v->path, "%s/secret.key", data_dir) >= sizeof v->path)
        status = gate_fail(err, GATE_EINVAL, "%s: the name is too long", data_dir);
    else if (secret != NULL)
        status = key_from_secret(v, secret, err);
    else
        status = key_from_file(v, data_dir, make, err);
    if (status != GATE_OK) {
        gate_vault_destroy(v);
        return status;
    }
    *out = v;
    return GATE_OK;
}

void gate_vault_destroy(struct gate_vault *v)
{
    if (v == NULL)
        return;
    gate_wipe(v, sizeof *v);
    free(v);
}

/* ---------------------------------------------------------------- sealing */

static bool encrypt(EVP_CIPHER_CTX *ctx, const struct gate_vault *v, struct gate_str name,
                    struct gate_str plain, unsigned char *out)
{
    unsigned char *nonce = out + 1, *body = nonce + NONCE_BYTES;
    int len;
    out[0] = FORMAT;
    return RAND_bytes(nonce, NONCE_BYTES) == 1 &&
           EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, v->key, nonce) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &len, (const unsigned char *)name.ptr, (int)name.len) ==
               1 &&
           (plain.len == 0 || EVP_EncryptUpdate(ctx, body, &len, (const unsigned char *)plain.ptr,
                                                (int)plain.len) == 1) &&
           EVP_EncryptFinal_ex(ctx, body + plain.len, &len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + plain.len) == 1;
}

enum gate_status gate_vault_seal(const struct gate_vault *v, struct gate_str name,
                                 struct gate_str plain, struct gate_buf *out,
                                 struct gate_error *err)
{
    if (name.len == 0 || name.len > INT_MAX)
        return gate_fail(err, GATE_EINVAL, "what is sealed needs a name");
    if (plain.len > MAX_PLAIN)
        return gate_fail(err, GATE_ELIMIT, "%.*s has more than %d bytes", (int)name.len, name.ptr,
                         MAX_PLAIN);
    char *room = gate_buf_reserve(out, plain.len + OVERHEAD);
    if (room == NULL)
        return gate_fail(err, GATE_ELIMIT, "%.*s does not fit its buffer", (int)name.len, name.ptr);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx != NULL && encrypt(ctx, v, name, plain, (unsigned char *)room);
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        return gate_fail(err, GATE_EINTERNAL, "AES-256-GCM failed");
    out->len += plain.len + OVERHEAD;
    return GATE_OK;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const struct gate_vault *v, struct gate_str name,
                    struct gate_str sealed, unsigned char *out)
{
    const unsigned char *nonce = (const unsigned char *)sealed.ptr + 1, *body = nonce + NONCE_BYTES;
    size_t body_len = sealed.len - OVERHEAD;
    unsigned char tag[TAG_BYTES];
    int len;
    memcpy(tag, body + body_len, sizeof tag);
    return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, v->key, nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &len, (const unsigned char *)name.ptr, (int)name.len) ==
               1 &&
           (body_len == 0 || EVP_DecryptUpdate(ctx, out, &len, body, (int)body_len) == 1) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + body_len, &len) == 1;
}

enum gate_status gate_vault_open(const struct gate_vault *v, struct gate_str name,
                                 struct gate_str sealed, struct gate_buf *out,
                                 struct gate_error *err)
{
    if (name.len == 0 || name.len > INT_MAX)
        return gate_fail(err, GATE_EINVAL, "what is sealed needs a name");
    if (sealed.len < OVERHEAD || sealed.len > MAX_PLAIN + OVERHEAD || sealed.ptr[0] != FORMAT)
        return gate_fail(err, GATE_EDENIED, "%.*s is not sealed in a known way", (int)name.len,
                         name.ptr);
    size_t len = sealed.len - OVERHEAD;
    char *room = gate_buf_reserve(out, len + 1); /* for an empty one too */
    if (room == NULL)
        return gate_fail(err, GATE_ELIMIT, "%.*s does not fit its buffer", (int)name.len, name.ptr);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx != NULL && decrypt(ctx, v, name, sealed, (unsigned char *)room);
    EVP_CIPHER_CTX_free(ctx);
    if (!ok) {
        gate_wipe(room, len);
        return gate_fail(err, GATE_EDENIED,
                         "%.*s does not open: it was sealed with another key or is damaged",
                         (int)name.len, name.ptr);
    }
    out->len += len;
    return GATE_OK;
}

/* ---------------------------------------------------------------- the proof */

struct proving {
    const struct gate_vault *v;
    enum gate_status status;
    struct gate_error err;
};

static bool note_credential(void *ctx, const struct gate_record *record)
{
    (void)record;
    *(bool *)ctx = true;
    return false;
}

static enum gate_status wrong_key(const struct gate_vault *v, const struct gate_storage *s,
                                  struct gate_error *err)
{
    const char *directory = gate_store_directory(s->store);
    if (v->from_secret)
        return gate_fail(err, GATE_EDENIED,
                         "the credentials in storage were encrypted with another key: set "
                         "LLM_GATE_SECRET to what it was, or unset it if %s is their key; to give "
                         "them up, remove %s",
                         v->path, directory);
    return gate_fail(err, GATE_EDENIED,
                     "the credentials in storage were encrypted with another key: set "
                     "LLM_GATE_SECRET to what it was, or put the old %s back; to give them up, "
                     "remove %s",
                     v->path, directory);
}

/* There is no proof: the first start, or somebody removed it. */
static enum gate_status write_proof(const struct gate_vault *v, struct gate_storage *s,
                                    struct gate_error *err)
{
    struct gate_str name = GATE_STR(GATE_KEY_VAULT);
    bool any = false;
    enum gate_status status =
        gate_storage_scan(s, GATE_STR(GATE_KEY_CREDENTIAL), note_credential, &any, err);
    if (status != GATE_OK)
        return status;
    if (any)
        return wrong_key(v, s, err);
    struct gate_buf sealed;
    gate_buf_init(&sealed, MAX_PROOF);
    status = gate_vault_seal(v, name, GATE_STR(proof), &sealed, err);
    if (status == GATE_OK)
        status =
            gate_storage_put_if(s, name, gate_buf_str(&sealed), 0, 0, 0, GATE_PUT_SYNC, NULL, err);
    gate_buf_finish(&sealed);
    return status;
}

static enum gate_status check_proof(const struct gate_vault *v, struct gate_storage *s,
                                    struct gate_str sealed, struct gate_error *err)
{
    struct gate_buf plain;
    gate_buf_init(&plain, MAX_PROOF);
    enum gate_status status = gate_vault_open(v, GATE_STR(GATE_KEY_VAULT), sealed, &plain, NULL);
    bool same = status == GATE_OK && gate_str_eq(gate_buf_str(&plain), GATE_STR(proof));
    gate_buf_wipe(&plain);
    return same ? GATE_OK : wrong_key(v, s, err);
}

static void prove(struct gate_storage *s, void *arg)
{
    struct proving *p = arg;
    struct gate_buf sealed;
    p->status = GATE_ECONFLICT;
    for (int i = 0; i < PROVE_TRIES && p->status == GATE_ECONFLICT; i++) {
        gate_buf_init(&sealed, MAX_PROOF);
        p->status = gate_storage_get(s, GATE_STR(GATE_KEY_VAULT), &sealed, NULL, &p->err);
        if (p->status == GATE_OK)
            p->status = check_proof(p->v, s, gate_buf_str(&sealed), &p->err);
        else if (p->status == GATE_ELIMIT)
            p->status = wrong_key(p->v, s, &p->err);
        else if (p->status == GATE_ENOTFOUND)
            p->status = write_proof(p->v, s, &p->err);
        gate_buf_finish(&sealed);
    }
}

enum gate_status gate_vault_prove(const struct gate_vault *v, struct gate_store *store,
                                  struct gate_error *err)
{
    struct proving p = {.v = v};
    gate_store_call(store, prove, &p);
    if (p.status != GATE_OK)
        gate_fail(err, p.status, "%s", p.err.message);
    return p.status;
}
