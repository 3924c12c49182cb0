/* config_seeds: login files that the gateway finds by their names: qwen_creds_<name>.json in the
 * working directory and in the data directory, and oauth_creds.json, as qwen-code writes it, in the
 * data directory. A file that cannot be used is left out with a warning, as it may be anyone's. */
#include "config_parts.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PREFIX "qwen_creds_"
#define SUFFIX ".json"
#define QWEN_CODE "oauth_creds.json"

enum { OPEN_TO_ALL = 0007 };

struct seeds {
    struct gate_config *config;
    struct gate_config_instance *instance;
    size_t found;              /* files with such a name, of both directories */
    size_t open;               /* of those that were taken, how many every user can reach */
    char first_open[PATH_MAX]; /* one of them */
};

static bool is_named_so(const char *name)
{
    size_t len = strlen(name), around = strlen(PREFIX) + strlen(SUFFIX);

    return len >= around && strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
           strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0;
}

static int select_named(const struct dirent *entry)
{
    return is_named_so(entry->d_name);
}

static int select_all_kinds(const struct dirent *entry)
{
    return is_named_so(entry->d_name) || strcmp(entry->d_name, QWEN_CODE) == 0;
}

/* "alice" of qwen_creds_alice.json, "oauth" of oauth_creds.json. False: it cannot be an alias. */
static bool alias_of(const char *name, char *alias, size_t cap)
{
    size_t len;

    if (strcmp(name, QWEN_CODE) == 0) {
        snprintf(alias, cap, "oauth");
        return true;
    }
    name += strlen(PREFIX);
    len = strlen(name) - strlen(SUFFIX);
    if (len >= cap)
        return false;
    memcpy(alias, name, len);
    alias[len] = '\0';
    return gate_config_is_alias(alias);
}

static void warn_left_out(struct seeds *s, const char *path, const char *why)
{
    gate_config_warn(s->config, "login file \"%s\" is left out: %s", gate_config_show(path).text,
                     why);
}

static void take(struct seeds *s, const char *path, const char *name)
{
    char alias[GATE_CONFIG_MAX_ALIAS + 1];
    struct gate_config_account *a;
    struct gate_error why;
    unsigned mode = 0;
    char *text;
    size_t len;

    if (!alias_of(name, alias, sizeof alias)) {
        warn_left_out(s, path,
                      "between " PREFIX " and " SUFFIX " 1 to 64 characters of A-Z, a-z, 0-9, '_', "
                      "'.' and '-' are expected, the first no '.' or '-'");
        return;
    }
    if (gate_config_read_secret_file(path, &text, &len, &mode, &why) != GATE_OK) {
        warn_left_out(s, path, why.message);
        return;
    }
    if (gate_config_check_oauth("it", text, &why) != GATE_OK) {
        warn_left_out(s, path, why.message);
        goto wipe;
    }
    a = gate_config_push_account(s->instance, "", alias, &why);
    if (a == NULL) {
        warn_left_out(s, path, why.message);
        goto wipe;
    }
    a->source = GATE_SOURCE_SEED;
    a->kind = GATE_CREDENTIAL_OAUTH;
    a->file = gate_strdup(gate_str_of(path));
    a->secret = text;
    a->secret_len = len;
    if ((mode & OPEN_TO_ALL) && s->open++ == 0)
        snprintf(s->first_open, sizeof s->first_open, "%s", path);
    return;

wipe:
    gate_wipe(text, len);
    free(text);
}

static void scan(struct seeds *s, const char *directory, int (*filter)(const struct dirent *entry))
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, filter, alphasort);

    if (count < 0) {
        if (errno != ENOENT)
            gate_config_warn(s->config, "cannot look for login files in \"%s\": %s",
                             gate_config_show(directory).text, strerror(errno));
        return;
    }
    for (int e = 0; e < count; e++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", directory, entries[e]->d_name);

        s->found++;
        if (s->found <= GATE_CONFIG_MAX_SEEDS && n > 0 && (size_t)n < sizeof path)
            take(s, path, entries[e]->d_name);
        free(entries[e]);
    }
    free(entries);
}

static bool is_working_directory(const char *path)
{
    struct stat a, b;

    return stat(path, &a) == 0 && stat(".", &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

void gate_config_add_seeds(struct gate_config *c, struct gate_config_instance *i)
{
    struct seeds s = {.config = c, .instance = i};

    if (!is_working_directory(c->data_dir))
        scan(&s, ".", select_named);
    scan(&s, c->data_dir, select_all_kinds);
    if (s.found > GATE_CONFIG_MAX_SEEDS)
        gate_config_warn(c, "%zu login files were found; those behind the first %d are left out",
                         s.found, GATE_CONFIG_MAX_SEEDS);
    if (s.open > 0)
        gate_config_warn(c,
                         "%zu login files are open to every user (one is \"%s\"); expected mode "
                         "600",
                         s.open, gate_config_show(s.first_open).text);
}
