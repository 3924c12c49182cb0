/*
 * console: the page at /<API_KEY>/ui. It shows what this gateway serves now: version, provider
 * instances, models and a ready request. Plain HTML without scripts. Used by serve/endpoints. Any
 * thread.
 */
#ifndef GATE_ADMIN_CONSOLE_H
#define GATE_ADMIN_CONSOLE_H

#include "request/env.h"

/* Appends the page. The key is not on it. authority: host and port as the client addressed us. */
void gate_console_page(const struct gate_env *env, struct gate_str authority, struct gate_buf *out);

#endif
