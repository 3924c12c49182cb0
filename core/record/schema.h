/*
 * schema: the version of what lies in storage, kept under GATE_KEY_SCHEMA as decimal text. Used by
 * gate_store_open before any job runs. Store thread.
 */
#ifndef GATE_RECORD_SCHEMA_H
#define GATE_RECORD_SCHEMA_H

#include "record/store.h"

/* One step from a version to the next. run changes records; what it writes and the new version
 * become one durable write. Reads inside run see what it wrote. */
struct gate_schema_step {
    const char *what;
    enum gate_status (*run)(struct gate_storage *s, struct gate_error *err);
};

/* Brings the storage to version `target`: marks an empty one, takes steps[n - 1] from version n on.
 * steps has target - 1 elements. Fails, with nothing changed, for a newer version, for one that
 * cannot be read, and for records without a version. A failing step leaves the version before it.
 */
enum gate_status gate_schema_bring(struct gate_storage *s, const char *directory,
                                   const struct gate_schema_step *steps, uint32_t target,
                                   struct gate_error *err);

#endif
