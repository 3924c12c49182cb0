/*
 * console: what workers ask of the console's side: the files of its pages, sessions, links.
 * Implemented by admin/console.c; used by serve. Any worker. Sessions are behind a lock, so nothing
 * here is asked on the way of a chat request.
 */
#ifndef GATE_REQUEST_CONSOLE_H
#define GATE_REQUEST_CONSOLE_H

#include "request/env.h"

enum { GATE_CONSOLE_TOKEN = 43 /* characters: 256 bits in base64url */ };

/* One file of the console, part of the binary. */
struct gate_asset {
    struct gate_str path; /* below /ui/: "index.html", "assets/app-1a2b.js" */
    struct gate_str type; /* Content-Type */
    struct gate_str raw;
    struct gate_str br;   /* the same with brotli; empty: there is no such form */
    struct gate_str hash; /* of raw: hex digits */
    bool immutable;       /* its name holds a hash of its content */
};

/* Who enters. The strings are lent. */
struct gate_console_client {
    struct gate_str peer;  /* address */
    struct gate_str agent; /* User-Agent, any bytes */
    const char *replaces;  /* id of the session that this browser had until now; NULL: none */
};

struct gate_console {
    void *ctx;
    /* Makes a session and writes its token, with a NUL. */
    void (*enter)(void *ctx, const struct gate_console_client *client,
                  char token[GATE_CONSOLE_TOKEN + 1]);
    /* Is this a link's token that can be used? With `use` it cannot be used again. */
    bool (*take_link)(void *ctx, struct gate_str token, bool use);
    /* Writes the id of the session that has this token. False: none has. */
    bool (*find)(void *ctx, struct gate_str token, char id[GATE_CONSOLE_SESSION + 1]);
    /* Has this session neither ended nor been ended? */
    bool (*lives)(void *ctx, const char *id);
    /* NULL: there is no such file. Files are there for ever. */
    const struct gate_asset *(*asset)(void *ctx, struct gate_str path);
    /* Appends the page that takes the console's place in a binary without one. authority: host and
     * port as the client addressed us. */
    void (*plain_page)(const struct gate_env *env, struct gate_str authority, struct gate_buf *out);
};

#endif
