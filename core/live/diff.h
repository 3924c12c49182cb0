/*
 * diff: the differences between two sets of scripts as a unified diff. Pure, any thread, bounded
 * time: texts that have little in common come out as removed and added wholly.
 */
#ifndef GATE_LIVE_DIFF_H
#define GATE_LIVE_DIFF_H

#include "base/buf.h"
#include "script/sources.h"

enum { GATE_DIFF_CONTEXT = 3 /* lines around a change */ };

/* One file: "--- a/name\n+++ b/name\n@@ -1,3 +1,4 @@\n ..."; nothing when they are equal. A file
 * that is not there is NULL and named /dev/null. Returns how many lines were added and removed. */
struct gate_diff_lines {
    size_t added, removed;
};
struct gate_diff_lines gate_diff_file(const char *name, const struct gate_source *from,
                                      const struct gate_source *to, struct gate_buf *out);
/* All files that differ, in the order of their names. */
struct gate_diff_lines gate_diff_sources(const struct gate_sources *from,
                                         const struct gate_sources *to, struct gate_buf *out);

#endif
