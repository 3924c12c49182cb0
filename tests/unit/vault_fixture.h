/*
 * vault_fixture: a data directory of one test, and vaults with keys in it. Used by test_vault*.c.
 */
#ifndef GATE_TEST_VAULT_FIXTURE_H
#define GATE_TEST_VAULT_FIXTURE_H

#include "record/vault.h"
#include <check.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct data {
    char directory[160], key[200];
};

static inline void data_init(struct data *d)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(d->directory, sizeof d->directory, "%s/llm-gate-vault-XXXXXX",
             tmp != NULL ? tmp : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(d->directory));
    snprintf(d->key, sizeof d->key, "%s/secret.key", d->directory);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void data_finish(struct data *d)
{
    nftw(d->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void write_file(const char *path, const char *text, mode_t mode)
{
    unlink(path);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static inline struct gate_vault *vault_of(const struct data *d, const char *secret)
{
    struct gate_vault *v = NULL;
    struct gate_error err = {0};
    ck_assert_msg(gate_vault_create(d->directory, secret, true, &v, &err) == GATE_OK, "%s",
                  err.message);
    return v;
}

/* Whether what a seals, b opens. */
static inline bool agree(const struct gate_vault *a, const struct gate_vault *b)
{
    struct gate_buf sealed, plain;
    gate_buf_init(&sealed, 256);
    gate_buf_init(&plain, 256);
    ck_assert_int_eq(gate_vault_seal(a, GATE_STR("n"), GATE_STR("text"), &sealed, NULL), GATE_OK);
    enum gate_status status =
        gate_vault_open(b, GATE_STR("n"), gate_buf_str(&sealed), &plain, NULL);
    ck_assert(status == GATE_EDENIED ||
              (status == GATE_OK && gate_str_eq(gate_buf_str(&plain), GATE_STR("text"))));
    ck_assert(status == GATE_OK || plain.len == 0);
    gate_buf_finish(&sealed);
    gate_buf_wipe(&plain);
    return status == GATE_OK;
}

#endif
