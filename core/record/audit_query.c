#include "record/audit.h"
#include "record/audit_internal.h"

enum {
    MAX_VISITED = 1000000, /* records that one query looks at: the store thread does nothing else
                              meanwhile */
    EXPIRE_PIECE = 1000,   /* records that one call of gate_audit_expire removes */
};

/* ---------------------------------------------------------------- reading */

/* Puts rows together from the records of their sums, which follow each other. */
struct reader {
    const char *prefix;
    struct gate_str account, outcome; /* wanted; empty: all */
    bool (*cb)(void *ctx, const struct gate_audit_row *row);
    void *ctx;
    struct gate_audit_key key; /* of the row at hand, without a letter; empty: none */
    struct gate_audit_id id;
    struct gate_audit_text text;
    bool wanted; /* the row at hand */
    uint64_t sums[GATE_AUDIT_SUMS];
    uint32_t visited, rows;
    bool stopped, too_many;
};

/* A counter reads as its sum in decimal. Negative or damaged ones count as nothing. */
static uint64_t number(struct gate_str text)
{
    uint64_t n = 0;
    if (text.len == 0 || text.len > 19)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return n;
}

static bool is_wanted(const struct reader *r)
{
    return (r->account.len == 0 || gate_str_eq(r->account, r->id.account)) &&
           (r->outcome.len == 0 || gate_str_eq(r->outcome, r->id.outcome));
}

/* Hands out the row at hand. */
static void hand_out(struct reader *r)
{
    if (r->key.len == 0 || !r->wanted || r->stopped || r->too_many)
        return;
    if (r->rows == GATE_AUDIT_MAX_ANSWER) {
        r->too_many = true;
        return;
    }
    const struct gate_audit_row row = {
        .at_ms = (uint64_t)r->id.minute * GATE_AUDIT_MINUTE_MS,
        .account = r->id.account,
        .outcome = r->id.outcome,
        .kind = r->id.kind,
        .count = r->sums[GATE_AUDIT_COUNT],
        .prompt_tokens = r->sums[GATE_AUDIT_PROMPT],
        .completion_tokens = r->sums[GATE_AUDIT_COMPLETION],
        .total_ms = r->sums[GATE_AUDIT_TIME] / 1000,
    };
    r->rows++;
    r->stopped = !r->cb(r->ctx, &row);
}

static bool read_record(void *ctx, const struct gate_record *record)
{
    struct reader *r = ctx;
    if (r->visited++ == MAX_VISITED) {
        r->too_many = true;
        return false;
    }
    if (record->key.len == 0 || record->key.len > sizeof r->key.bytes)
        return true;
    struct gate_str name = {record->key.ptr, record->key.len - 1};
    if (!gate_str_eq(name, gate_audit_key_str(&r->key))) {
        hand_out(r);
        memcpy(r->key.bytes, name.ptr, name.len);
        r->key.len = name.len;
        memset(r->sums, 0, sizeof r->sums);
        r->wanted = gate_audit_key_read(name, r->prefix, &r->id, &r->text) && is_wanted(r);
    }
    enum gate_audit_sum sum = gate_audit_letter_sum(record->key.ptr[record->key.len - 1]);
    if (r->wanted && sum < GATE_AUDIT_SUMS)
        r->sums[sum] += number(record->value);
    return !r->stopped && !r->too_many;
}

/* Reads the rows of minutes [from, to). */
static enum gate_status read_rows(struct reader *r, struct gate_storage *s, uint32_t from,
                                  uint32_t to, struct gate_error *err)
{
    struct gate_audit_key first, end;
    if (from >= to)
        return GATE_OK;
    gate_audit_key_minute(&first, r->prefix, from);
    gate_audit_key_minute(&end, r->prefix, to);
    enum gate_status status = s->ops->scan(s->handle, gate_audit_key_str(&first),
                                           gate_audit_key_str(&end), SIZE_MAX, read_record, r, err);
    if (status != GATE_OK)
        return status;
    /* Where it looked at too much, the row at hand may lack a sum. */
    if (!r->too_many)
        hand_out(r);
    if (r->too_many)
        return gate_fail(err, GATE_ELIMIT, "more than one answer can hold: ask for a shorter time");
    return GATE_OK;
}

/* The first minute that does not begin before ms. */
static uint32_t minute_from(uint64_t ms)
{
    uint32_t minute = gate_audit_minute(ms);
    return minute < UINT32_MAX && ms % GATE_AUDIT_MINUTE_MS != 0 ? minute + 1 : minute;
}

enum gate_status gate_audit_query(struct gate_audit *a, struct gate_storage *s, uint64_t from_ms,
                                  uint64_t to_ms, struct gate_str account, struct gate_str outcome,
                                  bool (*cb)(void *ctx, const struct gate_audit_row *row),
                                  void *ctx, struct gate_error *err)
{
    (void)a;
    struct reader r = {
        .prefix = GATE_KEY_AUDIT, .account = account, .outcome = outcome, .cb = cb, .ctx = ctx};
    return read_rows(&r, s, minute_from(from_ms), minute_from(to_ms), err);
}

enum gate_status gate_audit_today(struct gate_audit *a, struct gate_storage *s, uint64_t now_ms,
                                  bool (*cb)(void *ctx, const struct gate_audit_row *row),
                                  void *ctx, struct gate_error *err)
{
    struct reader r = {.prefix = GATE_KEY_DAY, .cb = cb, .ctx = ctx};
    uint32_t day = gate_audit_minute(gate_audit_day_end(a, now_ms));
    return read_rows(&r, s, day, day + 1, err);
}

/* ---------------------------------------------------------------- removing */

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

/* Removes up to `most` records of prefix from before minute. Returns how many; -1: storage fails.
 */
static int expire(struct gate_storage *s, const char *prefix, uint32_t minute, size_t most)
{
    struct gate_audit_key first, end;
    struct piece p = {0};
    gate_buf_init(&p.keys, (size_t)EXPIRE_PIECE * (UINT16_MAX + sizeof(uint16_t)));
    gate_audit_key_minute(&first, prefix, 0);
    gate_audit_key_minute(&end, prefix, minute);
    enum gate_status status = s->ops->scan(s->handle, gate_audit_key_str(&first),
                                           gate_audit_key_str(&end), most, take_key, &p, NULL);
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

bool gate_audit_expire(struct gate_audit *a, struct gate_storage *s, uint64_t now_ms)
{
    uint64_t retention = gate_audit_retention_ms(a);
    if (retention == 0 || now_ms < retention)
        return false;
    uint32_t minute = gate_audit_minute(now_ms - retention);
    int minutes = expire(s, GATE_KEY_AUDIT, minute, EXPIRE_PIECE);
    if (minutes < 0 || minutes == EXPIRE_PIECE)
        return minutes > 0;
    return expire(s, GATE_KEY_DAY, minute, EXPIRE_PIECE) == EXPIRE_PIECE;
}
