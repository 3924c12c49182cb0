/* config_accounts: the accounts that the configuration names, and where their secrets come from. */
#include "config_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_ACCOUNTS = 4, OPEN_TO_ALL = 0007 };

/* ---- the list */

bool gate_config_is_alias(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len <= GATE_CONFIG_MAX_ALIAS && s[0] != '.' && s[0] != '-' &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

bool gate_config_has_account(const struct gate_config_instance *i, const char *alias)
{
    for (size_t a = 0; a < i->account_count; a++)
        if (strcmp(i->accounts[a].alias, alias) == 0)
            return true;
    return false;
}

struct gate_config_account *gate_config_push_account(struct gate_config_instance *i,
                                                     const char *where, const char *alias,
                                                     struct gate_error *err)
{
    char id[GATE_CONFIG_MAX_INSTANCE_NAME + GATE_CONFIG_MAX_ALIAS + 2], position[24];
    struct gate_config_account *a;
    size_t count = i->account_count;

    if (count == GATE_CONFIG_MAX_ACCOUNTS) {
        gate_fail(err, GATE_EINVAL, "%saccounts has more than %d entries", where,
                  GATE_CONFIG_MAX_ACCOUNTS);
        return NULL;
    }
    snprintf(position, sizeof position, "%zu", count);
    if (alias == NULL)
        alias = position;
    snprintf(id, sizeof id, "%s/%s", i->name, alias);
    if (gate_config_has_account(i, alias)) {
        gate_fail(err, GATE_EINVAL, "%salias: another account has the id \"%s\"", where, id);
        return NULL;
    }
    /* Grows when the count is 0 or a power of two that the list has just filled. */
    if (count == 0 || (count >= FIRST_ACCOUNTS && (count & (count - 1)) == 0))
        i->accounts = gate_realloc(i->accounts,
                                   (count == 0 ? FIRST_ACCOUNTS : 2 * count) * sizeof *i->accounts);
    a = &i->accounts[i->account_count++];
    *a = (struct gate_config_account){.source = GATE_SOURCE_ENVIRONMENT, .weight = 1};
    a->id = gate_strdup(gate_str_of(id));
    a->alias = gate_strdup(gate_str_of(alias));
    return a;
}

void gate_config_account_finish(struct gate_config_account *a)
{
    for (size_t t = 0; t < a->tag_count; t++)
        free(a->tags[t]);
    free(a->tags);
    if (a->secret != NULL)
        gate_wipe(a->secret, a->secret_len);
    free(a->secret);
    free(a->file);
    free(a->key_env);
    free(a->alias);
    free(a->id);
}

/* ---- secrets */

/* Reads at most cap - 1 bytes and terminates them. -1: errno says why. */
static ssize_t read_all(int fd, char *text, size_t cap)
{
    size_t len = 0;

    while (len < cap - 1) {
        ssize_t n = read(fd, text + len, cap - 1 - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    return (ssize_t)len;
}

static enum gate_status read_open_file(int fd, const char *shown, char *text, size_t cap,
                                       unsigned *mode, struct gate_error *err)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0)
        return gate_fail(err, GATE_EIO, "\"%s\": %s", shown, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return gate_fail(err, GATE_EINVAL, "\"%s\" is not a regular file", shown);
    *mode = st.st_mode & 0777;
    n = read_all(fd, text, cap);
    if (n < 0)
        return gate_fail(err, GATE_EIO, "\"%s\": %s", shown, strerror(errno));
    if (memchr(text, '\0', (size_t)n) != NULL)
        return gate_fail(err, GATE_EINVAL, "\"%s\" has a NUL byte", shown);
    if (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    if (n > 0 && text[n - 1] == '\r')
        text[--n] = '\0';
    if (n > GATE_CONFIG_MAX_SECRET)
        return gate_fail(err, GATE_EINVAL, "\"%s\" is longer than %d bytes", shown,
                         GATE_CONFIG_MAX_SECRET);
    if (n == 0)
        return gate_fail(err, GATE_EINVAL, "\"%s\" is empty", shown);
    return GATE_OK;
}

enum gate_status gate_config_read_secret_file(const char *path, char **text, size_t *len,
                                              unsigned *mode, struct gate_error *err)
{
    enum { CAP = GATE_CONFIG_MAX_SECRET + sizeof "\r\n" + 1 };
    const struct gate_config_shown shown = gate_config_show(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum gate_status status;
    char *whole;

    if (fd < 0)
        return gate_fail(err, GATE_EIO, "\"%s\": %s", shown.text, strerror(errno));
    whole = gate_alloc(CAP);
    status = read_open_file(fd, shown.text, whole, CAP, mode, err);
    close(fd);
    if (status == GATE_OK) {
        *len = strlen(whole);
        *text = gate_strdup((struct gate_str){whole, *len});
    }
    gate_wipe(whole, CAP);
    free(whole);
    return status;
}

/* Header values and log lines are built from keys, so what could break out of them stops here. */
static enum gate_status check_secret(const char *label, enum gate_credential_kind kind,
                                     const char *value, struct gate_error *err)
{
    if (strlen(value) > GATE_CONFIG_MAX_SECRET)
        return gate_fail(err, GATE_EINVAL, "%s is longer than %d bytes", label,
                         GATE_CONFIG_MAX_SECRET);
    if (kind == GATE_CREDENTIAL_OAUTH)
        return gate_config_check_oauth(label, value, err);
    for (size_t n = 0; value[n] != '\0'; n++)
        if ((unsigned char)value[n] <= 0x20 || (unsigned char)value[n] >= 0x7f)
            return gate_fail(err, GATE_EINVAL,
                             "%s: character %zu is not allowed; expected an API key of printable "
                             "ASCII without spaces",
                             label, n + 1);
    return GATE_OK;
}

static enum gate_status read_variable(const struct gate_config *c, struct gate_config_account *a,
                                      struct gate_error *err)
{
    const char *value = gate_config_env(c, a->key_env);
    enum gate_status status;

    if (value == NULL)
        return gate_fail(err, GATE_EINVAL,
                         "gateway.lua: providers: account \"%s\" takes its key from %s, which is "
                         "not set",
                         a->id, a->key_env);
    status = check_secret(a->key_env, a->kind, value, err);
    if (status != GATE_OK)
        return status;
    a->secret = gate_strdup(gate_str_of(value));
    a->secret_len = strlen(value);
    return GATE_OK;
}

/* Who may edit gateway.lua must not be able to send the gateway's own keys to a provider. */
static bool is_beside_own_keys(const struct gate_config *c, const char *path)
{
    char real[PATH_MAX], *slash;
    struct stat file, data;

    if (realpath(path, real) == NULL)
        return false;
    slash = strrchr(real, '/');
    slash[slash == real ? 1 : 0] = '\0';
    return stat(real, &file) == 0 && stat(c->data_dir, &data) == 0 && file.st_dev == data.st_dev &&
           file.st_ino == data.st_ino;
}

static enum gate_status read_file(struct gate_config *c, struct gate_config_account *a,
                                  struct gate_error *err)
{
    char label[256];
    struct gate_error why;
    unsigned mode = 0;
    enum gate_status status;

    snprintf(label, sizeof label, "gateway.lua: providers: account \"%s\": key_file", a->id);
    if (is_beside_own_keys(c, a->file))
        return gate_fail(err, GATE_EINVAL,
                         "%s \"%s\" lies in the data directory, where the gateway keeps its own "
                         "keys; expected another place",
                         label, gate_config_show(a->file).text);
    status = gate_config_read_secret_file(a->file, &a->secret, &a->secret_len, &mode, &why);
    if (status != GATE_OK)
        return gate_fail(err, status, "%s %s", label, why.message);
    if (mode & OPEN_TO_ALL)
        gate_config_warn(c, "%s \"%s\" is open to every user (mode %03o); expected 600", label,
                         gate_config_show(a->file).text, mode);
    return check_secret(label, a->kind, a->secret, err);
}

enum gate_status gate_config_read_secrets(struct gate_config *c, struct gate_error *err)
{
    enum gate_status status = GATE_OK;

    for (size_t n = 0; n < c->instance_count; n++) {
        struct gate_config_instance *i = &c->instances[n];

        for (size_t m = 0; m < i->account_count && status == GATE_OK; m++) {
            struct gate_config_account *a = &i->accounts[m];

            if (a->secret != NULL) /* of a login file, read when it was found */
                continue;
            if (a->key_env != NULL)
                status = read_variable(c, a, err);
            else if (a->file != NULL)
                status = read_file(c, a, err);
        }
    }
    return status;
}
