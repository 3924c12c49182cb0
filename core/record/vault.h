/*
 * vault: encrypts what must not lie in storage as it is. AES-256-GCM with a key that comes from
 * LLM_GATE_SECRET (through HKDF-SHA-256) or from a file of 0600 made at the first start. Used by
 * pool (credentials) and main. Immutable after creation; any thread.
 */
#ifndef GATE_RECORD_VAULT_H
#define GATE_RECORD_VAULT_H

#include "base/buf.h"

struct gate_vault;
struct gate_store;

/* secret: LLM_GATE_SECRET, or NULL: the file data_dir/secret.key is read, or made when it is
 * missing and `make` is set. Errors name the file. GATE_ENOTFOUND: it is missing. */
enum gate_status gate_vault_create(const char *data_dir, const char *secret, bool make,
                                   struct gate_vault **out, struct gate_error *err);
void gate_vault_destroy(struct gate_vault *v); /* wipes the key; NULL is fine */

/* Appends nonce, ciphertext and tag. `name` (the storage key) is bound to the bytes: under another
 * name they do not open. */
enum gate_status gate_vault_seal(const struct gate_vault *v, struct gate_str name,
                                 struct gate_str plain, struct gate_buf *out,
                                 struct gate_error *err);
/* Appends the plain bytes (a secret: gate_buf_wipe). GATE_EDENIED: another key, another name or
 * damaged bytes. */
enum gate_status gate_vault_open(const struct gate_vault *v, struct gate_str name,
                                 struct gate_str sealed, struct gate_buf *out,
                                 struct gate_error *err);

/* Writes the proof of the key into the storage, or checks it against the one that is there, so that
 * a wrong key stops the start instead of losing logins. GATE_EDENIED: the storage was written with
 * another key; err says what to do. Blocks; control thread. */
enum gate_status gate_vault_prove(const struct gate_vault *v, struct gate_store *store,
                                  struct gate_error *err);

#endif
