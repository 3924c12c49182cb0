/*
 * assets: the files of the console, which the build embeds (ui/embed.cmake). Used by console.c.
 * Immutable; any thread.
 */
#ifndef GATE_ADMIN_ASSETS_H
#define GATE_ADMIN_ASSETS_H

#include "request/console.h"

/* What the build made: all files of ui/dist/manifest.json. */
extern const struct gate_asset gate_assets[];
extern const size_t gate_asset_count; /* 0: this binary has no console */

/* NULL: there is no such file. */
const struct gate_asset *gate_asset_find(struct gate_str path);

#endif
