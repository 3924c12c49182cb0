/*
 * sweep: removes expired records, a few after each write. A compaction filter would not do: it
 * sees a counter's stored part without the additions that are still to be merged and may have
 * extended its life, and would take away what was counted.
 */
#include "store.h"

enum {
    SWEEP_CREDIT = 4, /* records looked at for each write; more than one, to get ahead of what
                         writes add */
    SWEEP_STEP = 64,  /* records looked at in one go */
};

void rocks_sweep_note(struct rocks_store *s, uint64_t expires_ms)
{
    if (expires_ms == 0)
        return;
    if (expires_ms < s->sweep.soonest_ms)
        s->sweep.soonest_ms = expires_ms;
    if (expires_ms < s->sweep.pass_soonest_ms)
        s->sweep.pass_soonest_ms = expires_ms;
}

static void begin_pass(struct rocks_sweep *w)
{
    w->cursor.bytes[0] = ROCKS_DATA;
    w->cursor.len = 1;
}

/* Collects the expired records of one step in `single`. Returns how many. */
static uint32_t collect(struct rocks_store *s, uint64_t now)
{
    struct rocks_sweep *w = &s->sweep;
    rocksdb_iterator_t *it = rocksdb_create_iterator(s->db, s->read);
    uint32_t expired = 0, seen = 0;
    bool more = false;

    for (rocksdb_iter_seek(it, w->cursor.bytes, w->cursor.len); rocksdb_iter_valid(it);
         rocksdb_iter_next(it)) {
        struct gate_str key, bytes;
        struct rocks_record r;

        key.ptr = rocksdb_iter_key(it, &key.len);
        if (key.ptr[0] != ROCKS_DATA || key.len > sizeof w->cursor.bytes)
            break;
        if (seen++ == SWEEP_STEP) {
            memcpy(w->cursor.bytes, key.ptr, key.len);
            w->cursor.len = key.len;
            more = true;
            break;
        }
        bytes.ptr = rocksdb_iter_value(it, &bytes.len);
        if (!rocks_record_decode(bytes, &r) || r.expires_ms == 0)
            continue;
        if (rocks_alive(r.expires_ms, now)) {
            if (r.expires_ms < w->pass_soonest_ms)
                w->pass_soonest_ms = r.expires_ms;
            continue;
        }
        rocksdb_writebatch_delete(s->single, key.ptr, key.len);
        expired++;
    }
    rocksdb_iter_destroy(it);
    if (!more) {
        w->soonest_ms = w->pass_soonest_ms;
        begin_pass(w);
    }
    return expired;
}

void rocks_sweep_step(struct rocks_store *s)
{
    struct rocks_sweep *w = &s->sweep;
    const uint64_t now = s->host->now_ms();
    char *text = NULL;

    w->credit += SWEEP_CREDIT;
    if (w->credit < SWEEP_STEP)
        return;
    w->credit = 0;
    if (w->cursor.len == 0)
        begin_pass(w);
    /* Between passes there is nothing to find before the soonest expiry. */
    if (w->cursor.len == 1) {
        if (now < w->soonest_ms)
            return;
        w->pass_soonest_ms = UINT64_MAX;
    }
    if (collect(s, now) == 0)
        return;
    rocksdb_write(s->db, s->write, s->single, &text);
    rocksdb_writebatch_clear(s->single);
    if (text != NULL)
        (void)rocks_write_failed(s, text, NULL);
}
