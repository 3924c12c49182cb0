/*
 * watch_set: which directories and files inotify has to look at so that every change of conf/ and
 * scripts/ is noticed, and which of its events tell of one. Used by watch.c; one thread at a time.
 *
 * A path is followed component by component as the kernel does it, links too. Each directory in
 * which a name was looked up is watched, and an event there counts when it is about that name: so
 * parents that are replaced or made later and links that are swapped are noticed, while everything
 * else that goes on in those directories is not.
 */
#ifndef GATE_LIVE_WATCH_SET_H
#define GATE_LIVE_WATCH_SET_H

#include "gate/plugin.h"
#include <sys/inotify.h>

enum {
    GATE_WATCH_MAX = 1024,       /* directories and files of one set */
    GATE_WATCH_MAX_DEPTH = 8,    /* directories below the script directory */
    GATE_WATCH_MAX_NAMES = 4096, /* names that are looked up */
};

enum gate_watch_verdict {
    GATE_WATCH_NOTHING = 0,
    GATE_WATCH_CHANGED,
    GATE_WATCH_WRITING, /* changed, and whoever did it has not closed the file */
};

struct gate_watch_set;

/* inotify is lent. Either directory may be NULL; copied. */
struct gate_watch_set *gate_watch_set_create(int inotify, const char *conf_dir,
                                             const char *script_dir);
/* Leaves the watches to whoever closes inotify. NULL is fine. */
void gate_watch_set_destroy(struct gate_watch_set *s);

/* Makes the watches fit what is on disk now. Every change behind the call makes an event. GATE_EIO,
 * GATE_ELIMIT: some could not be made; err says why. */
enum gate_status gate_watch_set_update(struct gate_watch_set *s, struct gate_error *err);
enum gate_watch_verdict gate_watch_set_judge(struct gate_watch_set *s,
                                             const struct inotify_event *event);

#endif
