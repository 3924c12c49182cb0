/* Removing what is older than the retention. Records end by themselves; this is for those that were
 * written while it was longer. */
#include "record/audit_internal.h"

enum {
    EXPIRE_PIECE = 1000,   /* records that one call of gate_audit_expire removes */
    EXPIRE_ACCOUNTS = 100, /* series that one call looks at */
};

struct piece {
    struct gate_buf keys; /* each: length (2 bytes), bytes */
    size_t count;
};

static bool take_key(void *ctx, const struct gate_record *record)
{
    struct piece *p = ctx;
    uint16_t len = (uint16_t)record->key.len;
    gate_buf_append(&p->keys, (struct gate_str){(const char *)&len, sizeof len});
    gate_buf_append(&p->keys, (struct gate_str){record->key.ptr, len});
    p->count++;
    return true;
}

/* Removes up to `most` records of [from, to). Returns how many; -1: storage fails. */
static int expire(struct gate_storage *s, const struct gate_audit_key *from,
                  const struct gate_audit_key *to, size_t most)
{
    struct piece p = {0};
    gate_buf_init(&p.keys, (size_t)EXPIRE_PIECE * (UINT16_MAX + sizeof(uint16_t)));
    enum gate_status status = s->ops->scan(s->handle, gate_audit_key_str(from),
                                           gate_audit_key_str(to), most, take_key, &p, NULL);
    const char *at = p.keys.ptr;
    for (size_t i = 0; i < p.count && status == GATE_OK; i++) {
        uint16_t len;
        memcpy(&len, at, sizeof len);
        status = gate_storage_delete(s, (struct gate_str){at + sizeof len, len}, NULL);
        at += sizeof len + len;
    }
    gate_buf_finish(&p.keys);
    return status == GATE_OK ? (int)p.count : -1;
}

/* ---------------------------------------------------------------- series */

/* The series that a key belongs to: all of it up to the space before the time. */
static bool take_series(void *ctx, const struct gate_record *record)
{
    struct gate_audit_key *series = ctx;
    const char *space = memchr(record->key.ptr, ' ', record->key.len);
    size_t len = space != NULL ? (size_t)(space - record->key.ptr) : record->key.len;
    if (len + sizeof " 00000000!" > sizeof series->bytes)
        return false;
    memcpy(series->bytes, record->key.ptr, len);
    series->len = len;
    return false;
}

static struct gate_audit_key key_of(const struct gate_audit_key *series, const char *tail)
{
    struct gate_audit_key key = *series;
    size_t len = strlen(tail);
    memcpy(key.bytes + key.len, tail, len);
    key.len += len;
    return key;
}

/* Goes on where the last call ended: times lie behind the account in these keys, so each series has
 * a range of its own. */
static int expire_series(struct gate_audit *a, struct gate_storage *s, uint32_t minute)
{
    struct gate_audit_key *at = gate_audit_expiring(a), end = {.len = sizeof GATE_KEY_SERIES - 1};
    char before[16];
    int removed = 0;
    snprintf(before, sizeof before, " %08x", minute);
    memcpy(end.bytes, GATE_KEY_SERIES, end.len);
    if (at->len == 0)
        *at = end;
    end.bytes[end.len - 1]++; /* '/' becomes what follows it */
    for (int i = 0; i < EXPIRE_ACCOUNTS && removed < EXPIRE_PIECE; i++) {
        struct gate_audit_key series = {0};
        if (s->ops->scan(s->handle, gate_audit_key_str(at), gate_audit_key_str(&end), 1,
                         take_series, &series, NULL) != GATE_OK)
            return -1;
        at->len = 0;
        if (series.len == 0)
            break; /* the end: from the beginning next time */
        struct gate_audit_key first = key_of(&series, " "), last = key_of(&series, before);
        int n = expire(s, &first, &last, (size_t)(EXPIRE_PIECE - removed));
        if (n < 0)
            return -1;
        removed += n;
        *at = removed < EXPIRE_PIECE ? key_of(&series, "!") : series;
    }
    return removed;
}

/* ---------------------------------------------------------------- all */

bool gate_audit_expire(struct gate_audit *a, struct gate_storage *s, uint64_t now_ms)
{
    static const char *const prefixes[] = {GATE_KEY_AUDIT, GATE_KEY_HOUR, GATE_KEY_DAY};
    uint64_t retention = gate_audit_retention_ms(a);
    if (retention == 0 || now_ms < retention)
        return false;
    uint32_t minute = gate_audit_minute(now_ms - retention);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        struct gate_audit_key first, end;
        gate_audit_key_minute(&first, prefixes[i], 0);
        gate_audit_key_minute(&end, prefixes[i], minute);
        int removed = expire(s, &first, &end, EXPIRE_PIECE);
        if (removed < 0 || removed == EXPIRE_PIECE)
            return removed > 0;
    }
    return expire_series(a, s, minute) == EXPIRE_PIECE;
}
