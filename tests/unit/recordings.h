/*
 * recordings: the streams that tests run over: recorded ones, which live outside the project and
 * may be absent (LLM_GATE_RECORDINGS, default ../shared beside the source), and the project's own
 * (tests/streams). Used by the tests of sse and of filter sse_dedup. Test code: aborts when a file
 * cannot be read.
 */
#ifndef GATE_TESTS_RECORDINGS_H
#define GATE_TESTS_RECORDINGS_H

#include "base/buf.h"
#include <dirent.h>
#include <stdlib.h>

enum { RECORDING_MAX_BYTES = 64 << 20, RECORDING_MAX_PATH = 4096 };

struct recording {
    char *name;           /* file name */
    char *path;           /* with its directory */
    struct gate_buf body; /* whole body of the answer */
};

struct recordings {
    struct recording *list;
    size_t count;
};

static inline void recording_read(const char *path, struct gate_buf *out)
{
    char piece[65536];
    FILE *f = fopen(path, "rb");
    size_t n;

    gate_buf_init(out, RECORDING_MAX_BYTES);
    if (f == NULL) {
        perror(path);
        abort();
    }
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        if (!gate_buf_append(out, (struct gate_str){piece, n}))
            abort();
    }
    fclose(f);
}

/* One payload a line becomes one event a line, with the end that the files leave out. */
static inline void recording_frame(struct gate_buf *b)
{
    struct gate_buf framed;

    gate_buf_init(&framed, RECORDING_MAX_BYTES);
    for (size_t at = 0; at < b->len;) {
        const char *line = b->ptr + at, *end = memchr(line, '\n', b->len - at);
        size_t len = end != NULL ? (size_t)(end - line) : b->len - at;
        if (len > 0)
            gate_buf_printf(&framed, "data: %.*s\n\n", (int)len, line);
        at += len + 1;
    }
    gate_buf_append(&framed, GATE_STR("data: [DONE]\n\n"));
    gate_buf_finish(b);
    *b = framed;
}

static inline bool recording_ends(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n >= m && strcmp(name + n - m, suffix) == 0;
}

/* Adds the streams of one directory, in no particular order. */
static inline void recordings_add(struct recordings *all, const char *directory)
{
    DIR *d = opendir(directory);
    struct dirent *entry;

    if (d == NULL)
        return;
    while ((entry = readdir(d)) != NULL) {
        bool chunks = recording_ends(entry->d_name, ".chunks.txt");
        char path[RECORDING_MAX_PATH];
        if (!chunks && !recording_ends(entry->d_name, ".sse"))
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        all->list = gate_realloc(all->list, (all->count + 1) * sizeof *all->list);
        struct recording *r = &all->list[all->count++];
        r->name = gate_strdup(gate_str_of(entry->d_name));
        r->path = gate_strdup(gate_str_of(path));
        recording_read(path, &r->body);
        if (chunks)
            recording_frame(&r->body);
    }
    closedir(d);
}

static inline struct recordings recordings_foreign(void)
{
    const char *root = getenv("LLM_GATE_RECORDINGS");
    struct recordings all = {NULL, 0};
    char path[RECORDING_MAX_PATH];
    struct dirent *entry;

    snprintf(path, sizeof path, "%s/fixtures", root != NULL ? root : GATE_SOURCE_DIR "/../shared");
    DIR *d = opendir(path);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        char vendor[RECORDING_MAX_PATH + 300];
        snprintf(vendor, sizeof vendor, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            recordings_add(&all, vendor);
    }
    if (d != NULL)
        closedir(d);
    return all;
}

static inline struct recordings recordings_own(void)
{
    struct recordings all = {NULL, 0};
    recordings_add(&all, GATE_SOURCE_DIR "/tests/streams");
    return all;
}

static inline void recordings_free(struct recordings *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->list[i].name);
        free(all->list[i].path);
        gate_buf_finish(&all->list[i].body);
    }
    free(all->list);
}

/* A small generator with a seed, so that a failing run can be repeated. */
static inline uint32_t recording_random(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % below;
}

#endif
