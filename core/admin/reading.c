/* Questions to storage that may take long. They run on the store thread, a bounded slice at a time,
 * with other jobs and flushes in between, and the control thread does not wait for them. */
#include "admin/admin_internal.h"

struct reading {
    struct gate_admin *admin; /* there until admin_readings_end has returned */
    bool (*read)(struct gate_storage *s, void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void on_read(void *arg)
{
    struct reading *r = arg;
    r->done(r->arg);
    free(r);
}

static void run(struct gate_storage *s, void *arg)
{
    struct reading *r = arg;
    struct gate_admin *a = r->admin;
    if (r->read(s, r->arg) && !atomic_load(&a->ending)) {
        gate_store_post(s->store, run, r);
        return;
    }
    gate_control_post(a->parts.control, on_read, r);
    atomic_fetch_sub(&a->readings, 1); /* the last touch: the API may be gone now */
}

void admin_read(struct gate_admin *a, bool (*read)(struct gate_storage *s, void *arg),
                void (*done)(void *arg), void *arg)
{
    struct reading *r = gate_alloc(sizeof *r);
    *r = (struct reading){a, read, done, arg};
    atomic_fetch_add(&a->readings, 1);
    gate_store_post(a->parts.store, run, r);
}

static void nothing(struct gate_storage *s, void *arg)
{
    (void)s;
    (void)arg;
}

void admin_readings_end(struct gate_admin *a)
{
    atomic_store(&a->ending, true);
    while (atomic_load(&a->readings) > 0)
        gate_store_call(a->parts.store, nothing, NULL);
}
