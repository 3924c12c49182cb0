#include "live/watch_set.h"
#include "base/buf.h"
#include "script/sources.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_LINKS = 40,
    /* A name came, went, or can perhaps be read now. */
    NAMES_MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB,
    WRITES_MASK = IN_MODIFY | IN_CLOSE_WRITE,
    FILES_MASK = NAMES_MASK | WRITES_MASK,
    ALL_MASK = FILES_MASK | IN_DELETE_SELF | IN_MOVE_SELF,
};

/* What a directory is, besides a place where names are looked up. */
enum role {
    ROLE_CONF = 1 << 0,
    ROLE_TESTS = 1 << 1,
    ROLE_SCRIPTS = 1 << 2,
    ROLE_FILE = 1 << 3, /* no directory: a file of its own, which may be mounted there alone */
};

struct watch {
    int wd;
    uint32_t mask;
    unsigned roles;
    bool kept;  /* by the update that is under way */
    char *path; /* owned; of ROLE_SCRIPTS, else NULL */
};

/* A name that was looked up in a directory. */
struct lookup {
    int wd;
    char *name; /* owned */
};

struct gate_watch_set {
    int inotify; /* lent */
    char *conf_dir, *script_dir;
    struct watch *watches;
    size_t count;
    struct lookup *lookups;
    size_t lookup_count;
    enum gate_status status; /* of the update that is under way */
    struct gate_error err;
};

/* ---- watches */

static struct watch *find(struct gate_watch_set *s, int wd)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->watches[i].wd == wd)
            return &s->watches[i];
    return NULL;
}

static void note_failure(struct gate_watch_set *s, enum gate_status status, const char *path,
                         const char *why)
{
    if (s->status == GATE_OK)
        s->status = gate_fail(&s->err, status, "%.300s cannot be watched: %s", path, why);
}

static void note_errno(struct gate_watch_set *s, const char *path, uint32_t mask)
{
    if (errno == EACCES && mask == NAMES_MASK)
        return; /* a parent that may be passed through but not read */
    if (errno == ENOSPC)
        note_failure(s, GATE_ELIMIT, path,
                     "the limit of watches is reached (sysctl fs.inotify.max_user_watches)");
    else if (errno != ENOENT && errno != ENOTDIR) /* what is gone again made an event above it */
        note_failure(s, GATE_EIO, path, strerrordesc_np(errno));
}

/* Watches a path; of two that lead to one directory, both count. NULL: it cannot be watched. */
static struct watch *add(struct gate_watch_set *s, const char *path, uint32_t mask, unsigned roles)
{
    uint32_t kind = IN_EXCL_UNLINK | ((roles & ROLE_FILE) != 0 ? 0 : IN_ONLYDIR);
    int wd = inotify_add_watch(s->inotify, path, mask | kind);
    if (wd < 0) {
        note_errno(s, path, mask);
        return NULL;
    }
    struct watch *w = find(s, wd);
    if (w == NULL && s->count == GATE_WATCH_MAX) {
        inotify_rm_watch(s->inotify, wd);
        note_failure(s, GATE_ELIMIT, path, "there are too many files and directories");
        return NULL;
    }
    if (w == NULL) {
        w = &s->watches[s->count++];
        *w = (struct watch){.wd = wd};
    }
    if (!w->kept)
        w->mask = w->roles = 0;
    /* The call above took away what the mask held for another path. */
    if ((w->mask | mask) != mask)
        inotify_add_watch(s->inotify, path, w->mask | mask | kind);
    w->mask |= mask;
    w->roles |= roles;
    w->kept = true;
    return w;
}

static bool is_lookup(const struct gate_watch_set *s, int wd, const char *name)
{
    for (size_t i = 0; i < s->lookup_count; i++)
        if (s->lookups[i].wd == wd && strcmp(s->lookups[i].name, name) == 0)
            return true;
    return false;
}

static void add_lookup(struct gate_watch_set *s, int wd, const char *path, const char *name)
{
    if (is_lookup(s, wd, name))
        return;
    if (s->lookup_count == GATE_WATCH_MAX_NAMES) {
        note_failure(s, GATE_ELIMIT, path, "there are too many links");
        return;
    }
    s->lookups[s->lookup_count++] = (struct lookup){wd, gate_strdup(gate_str_of(name))};
}

static void forget_lookups(struct gate_watch_set *s)
{
    for (size_t i = 0; i < s->lookup_count; i++)
        free(s->lookups[i].name);
    s->lookup_count = 0;
}

/* ---- following a path */

/* A path that is followed: up to where it is free of links, and what is left of it. */
struct walk {
    char at[PATH_MAX]; /* empty: the root */
    char rest[PATH_MAX];
    int links;
};

/* The next component. False: there is none. */
static bool next_component(struct walk *w, char name[NAME_MAX + 2])
{
    for (;;) {
        size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");
        if (len == 0)
            return false;
        /* A name that is too long stays so: nothing is found under it. */
        snprintf(name, NAME_MAX + 2, "%.*s", (int)len, w->rest + skip);
        memmove(w->rest, w->rest + skip + len, strlen(w->rest + skip + len) + 1);
        if (strcmp(name, "..") == 0) {
            char *slash = strrchr(w->at, '/');
            if (slash != NULL)
                *slash = '\0';
        } else if (strcmp(name, ".") != 0) {
            return true;
        }
    }
}

/* Goes where the link at `path` leads. */
static bool follow_link(struct walk *w, const char *path)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 0 || ++w->links > MAX_LINKS)
        return false;
    target[n] = '\0';
    int len = snprintf(rest, sizeof rest, "%s/%s", target, w->rest);
    if (len < 0 || (size_t)len >= sizeof rest)
        return false;
    memcpy(w->rest, rest, (size_t)len + 1);
    if (target[0] == '/')
        w->at[0] = '\0';
    return true;
}

/* Follows an absolute path and watches each directory on its way. mask: of the directory that the
 * last component lies in. True: it is there, at out, which holds no links. */
static bool follow(struct gate_watch_set *s, const char *path, uint32_t mask, char out[PATH_MAX],
                   struct stat *st)
{
    struct walk w = {.links = 0};
    char name[NAME_MAX + 2], next[PATH_MAX];
    if ((size_t)snprintf(w.rest, sizeof w.rest, "%s", path) >= sizeof w.rest)
        return false;
    while (next_component(&w, name)) {
        bool last = w.rest[strspn(w.rest, "/")] == '\0';
        const char *directory = w.at[0] != '\0' ? w.at : "/";
        const struct watch *dir = add(s, directory, last ? mask : NAMES_MASK, 0);
        if (dir != NULL)
            add_lookup(s, dir->wd, directory, name);
        int len = snprintf(next, sizeof next, "%s/%s", w.at, name);
        if ((size_t)len >= sizeof next || lstat(next, st) != 0)
            return false;
        if (!S_ISLNK(st->st_mode))
            memcpy(w.at, next, (size_t)len + 1);
        else if (!follow_link(&w, next))
            return false;
        if (!last && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode))
            return false;
    }
    snprintf(out, PATH_MAX, "%s", w.at[0] != '\0' ? w.at : "/");
    return stat(out, st) == 0;
}

/* ---- conf/ */

/* Whether one of the files of a directory, which is conf/ or its tests/. */
static bool is_file_name(unsigned role, const char *name)
{
    char full[sizeof "tests/" + NAME_MAX];
    int n = snprintf(full, sizeof full, "%s%s", role == ROLE_TESTS ? "tests/" : "", name);
    return n > 0 && gate_sources_is_name((struct gate_str){full, (size_t)n});
}

static void scan_files(struct gate_watch_set *s, const char *path, unsigned role)
{
    char real[PATH_MAX], file[PATH_MAX];
    struct stat st;
    const struct dirent *entry;
    if (!follow(s, path, NAMES_MASK, real, &st) || add(s, real, ALL_MASK, role) == NULL)
        return;
    DIR *dir = opendir(real);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!is_file_name(role, entry->d_name) ||
            (size_t)snprintf(file, sizeof file, "%s/%s", real, entry->d_name) >= sizeof file)
            continue;
        char target[PATH_MAX];
        if (follow(s, file, FILES_MASK, target, &st) && S_ISREG(st.st_mode))
            add(s, target, WRITES_MASK, ROLE_FILE);
    }
    if (dir != NULL)
        closedir(dir);
}

static void scan_conf(struct gate_watch_set *s)
{
    char tests[PATH_MAX];
    scan_files(s, s->conf_dir, ROLE_CONF);
    if ((size_t)snprintf(tests, sizeof tests, "%s/tests", s->conf_dir) < sizeof tests)
        scan_files(s, tests, ROLE_TESTS);
}

/* ---- scripts/ */

static bool is_script_name(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len > 4 && strcmp(name + len - 4, ".lua") == 0;
}

/* A part of a module's name: a directory, or a link to one. */
static bool is_module_directory(const char *name)
{
    return strpbrk(name, ".~#") == NULL;
}

static void scan_scripts(struct gate_watch_set *s, const char *path, unsigned depth)
{
    char real[PATH_MAX], below[PATH_MAX], target[PATH_MAX];
    struct stat st;
    const struct dirent *entry;
    if (!follow(s, path, NAMES_MASK, real, &st) || !S_ISDIR(st.st_mode))
        return;
    struct watch *w = add(s, real, ALL_MASK, 0);
    if (w == NULL || (w->roles & ROLE_SCRIPTS) != 0) /* seen: a link leads back */
        return;
    w->roles |= ROLE_SCRIPTS;
    free(w->path);
    w->path = gate_strdup(gate_str_of(real));
    DIR *dir = opendir(real);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        bool script = is_script_name(entry->d_name);
        if ((!script && !is_module_directory(entry->d_name)) || entry->d_type == DT_REG ||
            (size_t)snprintf(below, sizeof below, "%s/%s", real, entry->d_name) >= sizeof below)
            continue;
        if (script)
            follow(s, below, FILES_MASK, target, &st);
        else if (depth < GATE_WATCH_MAX_DEPTH)
            scan_scripts(s, below, depth + 1);
    }
    if (dir != NULL)
        closedir(dir);
}

/* ---- the set */

/* The path from the root on; it stays right whatever becomes of the directories on its way. */
static char *absolute(const char *path)
{
    char cwd[PATH_MAX];
    struct gate_buf out;
    if (path == NULL)
        return NULL;
    gate_buf_init(&out, 2 * PATH_MAX);
    if (path[0] != '/' && getcwd(cwd, sizeof cwd) != NULL)
        gate_buf_printf(&out, "%s/", cwd);
    gate_buf_append(&out, gate_str_of(path));
    char *copy = gate_strdup(gate_buf_str(&out));
    gate_buf_finish(&out);
    return copy;
}

struct gate_watch_set *gate_watch_set_create(int inotify, const char *conf_dir,
                                             const char *script_dir)
{
    struct gate_watch_set *s = gate_calloc(1, sizeof *s);
    s->inotify = inotify;
    s->conf_dir = absolute(conf_dir);
    s->script_dir = absolute(script_dir);
    s->watches = gate_calloc(GATE_WATCH_MAX, sizeof *s->watches);
    s->lookups = gate_calloc(GATE_WATCH_MAX_NAMES, sizeof *s->lookups);
    return s;
}

void gate_watch_set_destroy(struct gate_watch_set *s)
{
    if (s == NULL)
        return;
    forget_lookups(s);
    for (size_t i = 0; i < s->count; i++)
        free(s->watches[i].path);
    free(s->lookups);
    free(s->watches);
    free(s->conf_dir);
    free(s->script_dir);
    free(s);
}

enum gate_status gate_watch_set_update(struct gate_watch_set *s, struct gate_error *err)
{
    forget_lookups(s);
    s->status = GATE_OK;
    for (size_t i = 0; i < s->count; i++)
        s->watches[i].kept = false;
    if (s->conf_dir != NULL)
        scan_conf(s);
    if (s->script_dir != NULL)
        scan_scripts(s, s->script_dir, 0);
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->watches[i].kept) {
            s->watches[kept++] = s->watches[i];
            continue;
        }
        inotify_rm_watch(s->inotify, s->watches[i].wd); /* fails when the kernel did it */
        free(s->watches[i].path);
    }
    s->count = kept;
    return s->status == GATE_OK ? GATE_OK : gate_fail(err, s->status, "%s", s->err.message);
}

/* Something of that name was made: a link, perhaps to a directory of modules? */
static bool is_link(const struct watch *w, const struct inotify_event *event)
{
    char path[PATH_MAX];
    struct stat st;
    return (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0 &&
           (size_t)snprintf(path, sizeof path, "%s/%s", w->path, event->name) < sizeof path &&
           lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* Whether an event about a name in a watched directory matters. */
static bool is_about_us(const struct gate_watch_set *s, const struct watch *w,
                        const struct inotify_event *event)
{
    const char *name = event->name;
    if (is_lookup(s, w->wd, name))
        return true;
    if ((w->roles & ROLE_CONF) != 0 && is_file_name(ROLE_CONF, name))
        return true;
    if ((w->roles & ROLE_TESTS) != 0 && is_file_name(ROLE_TESTS, name))
        return true;
    if ((w->roles & ROLE_SCRIPTS) == 0)
        return false;
    return is_script_name(name) ||
           (is_module_directory(name) && ((event->mask & IN_ISDIR) != 0 || is_link(w, event)));
}

enum gate_watch_verdict gate_watch_set_judge(struct gate_watch_set *s,
                                             const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return GATE_WATCH_CHANGED;
    const struct watch *w = find(s, event->wd);
    if (w == NULL) /* of a watch that was given up */
        return GATE_WATCH_NOTHING;
    if (event->len > 0 && !is_about_us(s, w, event))
        return GATE_WATCH_NOTHING;
    return (event->mask & IN_MODIFY) != 0 ? GATE_WATCH_WRITING : GATE_WATCH_CHANGED;
}
