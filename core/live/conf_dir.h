/*
 * conf_dir: conf/ on disk: writing the active text there, and noticing when somebody edits it (or
 * scripts/). Control thread, but for the watcher's own thread, which only reads inotify and posts.
 */
#ifndef GATE_LIVE_CONF_DIR_H
#define GATE_LIVE_CONF_DIR_H

#include "script/sources.h"
#include "upstream/control.h"

/* Makes the directory's known files be `sources`: what differs is written to a temporary file
 * beside it, synced and renamed; owner and mode of the old file are kept. Where they cannot be, or
 * the file is a mount point, it is written over. Files that the set does not have are removed. The
 * directory (and tests/) is made when it is missing. A file that is a link is replaced where it
 * points to. GATE_EIO: err names the file. While a text cannot be written (a full disk, a file or
 * directory that is read-only) no file is touched; behind that, others may have been replaced. */
enum gate_status gate_conf_dir_write(const char *conf_dir, const struct gate_sources *sources,
                                     struct gate_error *err);

enum {
    GATE_WATCH_SETTLE_MS = 50, /* quiet this long, and what was written closed: an editor is done */
    GATE_WATCH_MAX_MS = 1000,  /* told at the latest after this much of unrest */
};

struct gate_watch;
/* Calls changed(arg) on the control thread when files of conf_dir, conf_dir/tests or the script
 * directory (below it too) may have changed: written, renamed over, removed, the directory itself
 * replaced or made later (also by a link that is swapped, as in mounted configuration). Changes of
 * other files (an editor's swap file) wake nobody. Either directory may be NULL or missing.
 * GATE_EIO: there is no inotify here; err says why, and nothing is watched. */
enum gate_status gate_watch_create(struct gate_control *control, const char *conf_dir,
                                   const char *script_dir, void (*changed)(void *arg), void *arg,
                                   struct gate_watch **out, struct gate_error *err);
/* Before control. No call comes any more. NULL is fine. */
void gate_watch_destroy(struct gate_watch *w);

#endif
