/* config_key: the keys that clients and administrators present. Clients' key comes from API_KEY, or
 * from a file that is made at the first start without one; administrators' from ADMIN_KEY. */
#include "config_parts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_PREFIX "gate-"

enum { KEY_RANDOM = 32, KEY_RANDOM_TEXT = 43, KEY_DISTINCT = 6 };
_Static_assert(sizeof KEY_PREFIX - 1 + KEY_RANDOM_TEXT == GATE_CONFIG_MADE_KEY, "a made key");

/* ---- what makes a key acceptable */

/* Keys out of documentation, which strangers try first. */
static bool is_sample_key(const char *key)
{
    static const char *const parts[] = {
        "123456789",   "abcdefgh",   "your-api-key", "your_api_key",  "your-key",   "your_key",
        "yourapikey",  "changeme",   "change-me",    "change_me",     "replace-me", "replace_me",
        "placeholder", "sample-key", "example-key",  "my-secret-key", "sk-xxxx"};
    char lower[GATE_CONFIG_MAX_KEY + 1];
    bool seen[256] = {false};
    size_t n = 0, distinct = 0;
    bool found = false;

    for (; key[n] != '\0' && n < GATE_CONFIG_MAX_KEY; n++) {
        unsigned char ch = (unsigned char)key[n];

        lower[n] = (char)tolower(ch);
        distinct += !seen[ch];
        seen[ch] = true;
    }
    lower[n] = '\0';
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !found; i++)
        found = strstr(lower, parts[i]) != NULL;
    gate_wipe(lower, sizeof lower);
    return found || distinct < KEY_DISTINCT;
}

enum gate_status gate_config_check_key(const char *label, const char *key, bool strict,
                                       struct gate_error *err)
{
    size_t len = strlen(key);

    if (len == 0 || len > GATE_CONFIG_MAX_KEY)
        return gate_fail(err, GATE_EINVAL, "%s has %zu characters; expected %d to %d", label, len,
                         GATE_CONFIG_MIN_KEY, GATE_CONFIG_MAX_KEY);
    for (size_t i = 0; i < len; i++)
        if (key[i] <= ' ' || key[i] >= 0x7f || strchr("/?#", key[i]) != NULL)
            return gate_fail(err, GATE_EINVAL,
                             "%s: character %zu is not allowed; expected printable ASCII without "
                             "spaces, '/', '?' and '#'",
                             label, i + 1);
    if (!strict)
        return GATE_OK;
    if (len < GATE_CONFIG_MIN_KEY)
        return gate_fail(err, GATE_EINVAL,
                         "%s has %zu characters; expected at least %d when the gateway listens on "
                         "an address that others can reach",
                         label, len, GATE_CONFIG_MIN_KEY);
    if (is_sample_key(key))
        return gate_fail(err, GATE_EINVAL,
                         "%s is a sample key that anyone can guess; expected a random one when the "
                         "gateway listens on an address that others can reach",
                         label);
    return GATE_OK;
}

/* *out stays NULL when the variable is not set. */
static enum gate_status use_env_key(struct gate_config *c, const char *env, char **out,
                                    struct gate_error *err)
{
    const char *key = gate_config_env(c, env);
    bool local = gate_config_is_loopback(c->listen_host);
    enum gate_status status;

    if (key == NULL)
        return GATE_OK;
    status = gate_config_check_key(env, key, !local, err);
    if (status != GATE_OK)
        return status;
    if (local && gate_config_check_key(env, key, true, NULL) != GATE_OK)
        gate_config_warn(c,
                         "%s is short or a sample key: it is accepted on %s only, and refused on "
                         "any address that others can reach",
                         env, c->listen_host);
    *out = gate_strdup(gate_str_of(key));
    return GATE_OK;
}

/* ---- the key file */

static enum gate_status make_key(char *out, size_t cap, struct gate_error *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[KEY_RANDOM + 1] = {0}; /* one zero byte pads the last six bits */
    size_t n = strlen(KEY_PREFIX);
    ssize_t got = getrandom(bytes, KEY_RANDOM, 0);

    if (got != KEY_RANDOM)
        return gate_fail(err, GATE_EIO, "no random bytes for an API key: %s", strerror(errno));
    if (cap < n + KEY_RANDOM_TEXT + 1)
        return gate_fail(err, GATE_EINTERNAL, "no room for an API key");
    memcpy(out, KEY_PREFIX, n);
    for (size_t i = 0; i < KEY_RANDOM_TEXT; i++) {
        size_t bit = i * 6;
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];

        out[n + i] = digits[pair >> (10 - bit % 8) & 63];
    }
    out[n + KEY_RANDOM_TEXT] = '\0';
    gate_wipe(bytes, sizeof bytes);
    return GATE_OK;
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* Writes the key beside its place and moves it there, so that a crash leaves a whole file or none.
 * The caller holds the lock of the directory dir. */
static enum gate_status write_key_file(int dir, const char *path, const char *key,
                                       struct gate_error *err)
{
    static const char temporary[] = "api_key.new";
    int fd;
    int why;

    if (unlinkat(dir, temporary, 0) != 0 && errno != ENOENT)
        goto fail;
    fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        goto fail;
    if (!write_all(fd, key, strlen(key)) || !write_all(fd, "\n", 1) || fsync(fd) != 0) {
        why = errno;
        close(fd);
        errno = why;
        goto fail;
    }
    if (close(fd) != 0 || renameat(dir, temporary, dir, "api_key") != 0 || fsync(dir) != 0)
        goto fail;
    return GATE_OK;

fail:
    why = errno;
    unlinkat(dir, temporary, 0);
    return gate_fail(err, GATE_EIO, "cannot write the API key to %s: %s", path, strerror(why));
}

/* Brings the file's mode to 0600 when others may read it. */
static enum gate_status protect(struct gate_config *c, int fd, struct gate_error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return gate_fail(err, GATE_EIO, "%s: %s", c->api_key_file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return gate_fail(err, GATE_EINVAL, "%s is not a file", c->api_key_file);
    if ((st.st_mode & 077) == 0)
        return GATE_OK;
    if (fchmod(fd, 0600) != 0)
        return gate_fail(err, GATE_EDENIED,
                         "%s is open to other users (mode %03o) and that cannot be changed: %s",
                         c->api_key_file, (unsigned)(st.st_mode & 0777), strerror(errno));
    gate_config_warn(c, "%s was open to other users (mode %03o): its mode is 0600 now",
                     c->api_key_file, (unsigned)(st.st_mode & 0777));
    return GATE_OK;
}

/* GATE_ENOTFOUND: there is no such file. */
static enum gate_status read_key_file(struct gate_config *c, struct gate_error *err)
{
    char text[GATE_CONFIG_MAX_KEY + 2];
    int fd = open(c->api_key_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    enum gate_status status;
    ssize_t n;

    if (fd < 0 && errno == ENOENT)
        return GATE_ENOTFOUND;
    if (fd < 0)
        return gate_fail(err, GATE_EIO, "%s: %s", c->api_key_file,
                         errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    status = protect(c, fd, err);
    if (status != GATE_OK)
        goto done;
    n = read(fd, text, sizeof text - 1);
    if (n < 0) {
        status = gate_fail(err, GATE_EIO, "%s: %s", c->api_key_file, strerror(errno));
        goto done;
    }
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    status = gate_config_check_key(c->api_key_file, text, true, err);
    if (status == GATE_OK)
        c->api_key = gate_strdup(gate_str_of(text));
    gate_wipe(text, sizeof text);
done:
    close(fd);
    return status;
}

/* Reads the key file or makes it. The lock lets two gateways that start at once agree on one key.
 */
static enum gate_status read_or_make(struct gate_config *c, struct gate_error *err)
{
    char key[GATE_CONFIG_MADE_KEY + 1];
    enum gate_status status;
    int dir;

    if (mkdir(c->data_dir, 0700) != 0 && errno != EEXIST)
        return gate_fail(err, GATE_EIO, "cannot make the data directory \"%s\": %s",
                         gate_config_show(c->data_dir).text, strerror(errno));
    dir = open(c->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return gate_fail(err, GATE_EIO, "cannot open the data directory \"%s\": %s",
                         gate_config_show(c->data_dir).text, strerror(errno));
    /* Where locks are not supported the only loss is that agreement. */
    (void)flock(dir, LOCK_EX);
    status = read_key_file(c, err);
    if (status != GATE_ENOTFOUND)
        goto done;
    status = make_key(key, sizeof key, err);
    if (status == GATE_OK)
        status = write_key_file(dir, c->api_key_file, key, err);
    if (status == GATE_OK) {
        c->api_key = gate_strdup(gate_str_of(key));
        c->api_key_is_new = true;
    }
    gate_wipe(key, sizeof key);
done:
    close(dir);
    return status;
}

static enum gate_status use_env_keys(struct gate_config *c, struct gate_error *err)
{
    enum gate_status status = use_env_key(c, "ADMIN_KEY", &c->admin_key, err);

    return status == GATE_OK ? use_env_key(c, "API_KEY", &c->api_key, err) : status;
}

enum gate_status gate_config_keep_key(struct gate_config *c, const struct gate_config *running,
                                      struct gate_error *err)
{
    enum gate_status status = use_env_keys(c, err);

    if (status != GATE_OK || c->api_key != NULL)
        return status;
    if (running->api_key != NULL)
        c->api_key = gate_strdup(gate_str_of(running->api_key));
    if (running->api_key_file != NULL)
        c->api_key_file = gate_strdup(gate_str_of(running->api_key_file));
    return GATE_OK;
}

enum gate_status gate_config_read_key(struct gate_config *c, bool make, struct gate_error *err)
{
    enum gate_status status = use_env_keys(c, err);
    size_t cap;

    if (status != GATE_OK || c->api_key != NULL)
        return status;
    cap = strlen(c->data_dir) + sizeof "/api_key";
    c->api_key_file = gate_alloc(cap);
    snprintf(c->api_key_file, cap, "%s/api_key", c->data_dir);
    if (make)
        return read_or_make(c, err);
    status = read_key_file(c, err);
    return status == GATE_ENOTFOUND ? GATE_OK : status;
}

enum gate_status gate_config_new_key(const struct gate_config *c,
                                     char key[GATE_CONFIG_MADE_KEY + 1], struct gate_error *err)
{
    enum gate_status status;
    int dir;

    if (c->api_key_file == NULL)
        return gate_fail(err, GATE_ECONFLICT,
                         "the key comes from the environment variable API_KEY: set that anew and "
                         "restart the gateway");
    dir = open(c->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return gate_fail(err, GATE_EIO, "cannot open the data directory \"%s\": %s",
                         gate_config_show(c->data_dir).text, strerror(errno));
    (void)flock(dir, LOCK_EX);
    status = make_key(key, GATE_CONFIG_MADE_KEY + 1, err);
    if (status == GATE_OK)
        status = write_key_file(dir, c->api_key_file, key, err);
    if (status != GATE_OK)
        gate_wipe(key, GATE_CONFIG_MADE_KEY + 1);
    close(dir);
    return status;
}
