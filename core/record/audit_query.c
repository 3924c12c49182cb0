#include "record/audit_internal.h"

/* ---------------------------------------------------------------- reading */

enum { MAX_OF_ROW = 16 /* records that one row can have at most; it has one for each sum */ };

static const char *const prefixes[GATE_AUDIT_GROUPS] = {
    [GATE_AUDIT_BY_MINUTE] = GATE_KEY_AUDIT,
    [GATE_AUDIT_BY_HOUR] = GATE_KEY_HOUR,
    [GATE_AUDIT_BY_DAY] = GATE_KEY_DAY,
};

/* Puts rows together from the records of their sums, which follow each other. */
struct reader {
    const struct gate_audit_reading *reading;
    const char *prefix;
    struct gate_audit_key key; /* of the row at hand, without a letter; empty: none */
    struct gate_audit_id id;
    struct gate_audit_text text;
    bool good; /* the row at hand is one */
    uint64_t sums[GATE_AUDIT_SUMS];
    size_t seen;  /* records */
    size_t begun; /* of them before the row at hand */
    bool stopped; /* cb has seen enough */
    struct gate_audit_place *place;
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

/* Moves the place behind the row at hand. Its keys end with ' ' and a letter, and '!' sorts behind
 * that and before every other row. */
static void move_behind(struct reader *r)
{
    size_t skip = strlen(r->prefix);
    r->place->len = r->key.len - skip;
    memcpy(r->place->bytes, r->key.bytes + skip, r->place->len);
    r->place->bytes[r->place->len - 1] = '!';
}

/* A record that is no row's is passed over for good. */
static void pass_over(struct reader *r, struct gate_str key)
{
    size_t skip = strlen(r->prefix);
    if (key.len <= skip || key.len - skip >= sizeof r->place->bytes)
        return;
    r->place->len = key.len - skip + 1;
    memcpy(r->place->bytes, key.ptr + skip, key.len - skip);
    r->place->bytes[r->place->len - 1] = '!';
}

/* Hands out the row at hand. */
static void hand_out(struct reader *r)
{
    if (!r->good)
        return;
    move_behind(r);
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
    r->stopped = !r->reading->cb(r->reading->ctx, &row);
}

static bool read_record(void *ctx, const struct gate_record *record)
{
    struct reader *r = ctx;
    r->seen++;
    if (record->key.len == 0 || record->key.len > sizeof r->key.bytes)
        return true;
    struct gate_str name = {record->key.ptr, record->key.len - 1};
    if (!gate_str_eq(name, gate_audit_key_str(&r->key))) {
        hand_out(r);
        if (r->stopped)
            return false;
        memcpy(r->key.bytes, name.ptr, name.len);
        r->key.len = name.len;
        r->begun = r->seen - 1;
        memset(r->sums, 0, sizeof r->sums);
        r->good = gate_audit_key_read(name, r->prefix, &r->id, &r->text);
    }
    enum gate_audit_sum sum = gate_audit_letter_sum(record->key.ptr[record->key.len - 1]);
    if (!r->good)
        pass_over(r, record->key);
    else if (sum < GATE_AUDIT_SUMS)
        r->sums[sum] += number(record->value);
    return true;
}

/* The first minute that does not begin before ms. */
static uint32_t minute_from(uint64_t ms)
{
    uint32_t minute = gate_audit_minute(ms);
    return minute < UINT32_MAX && ms % GATE_AUDIT_MINUTE_MS != 0 ? minute + 1 : minute;
}

static void bounds(const struct gate_audit *a, const struct gate_audit_reading *reading,
                   uint32_t *from, uint32_t *to)
{
    *from = minute_from(reading->from_ms);
    *to = minute_from(reading->to_ms);
    if (reading->group != GATE_AUDIT_BY_DAY || reading->from_ms >= reading->to_ms)
        return;
    *from = gate_audit_minute(gate_audit_day_end(a, reading->from_ms));
    *to = gate_audit_minute(gate_audit_day_end(a, reading->to_ms - 1)) + 1;
}

enum gate_status gate_audit_read(struct gate_audit *a, struct gate_storage *s,
                                 const struct gate_audit_reading *reading,
                                 struct gate_audit_place *place, bool *more, struct gate_error *err)
{
    struct reader r = {.reading = reading, .prefix = prefixes[reading->group], .place = place};
    struct gate_audit_key first, end;
    uint32_t from, to;
    size_t most = reading->most > MAX_OF_ROW ? reading->most : MAX_OF_ROW;
    *more = false;
    bounds(a, reading, &from, &to);
    if (from >= to)
        return GATE_OK;
    gate_audit_key_minute(&first, r.prefix, from);
    gate_audit_key_minute(&end, r.prefix, to);
    if (place->len > 0) {
        struct gate_audit_key key = {.len = strlen(r.prefix) + place->len};
        snprintf(key.bytes, sizeof key.bytes, "%s", r.prefix);
        memcpy(key.bytes + strlen(r.prefix), place->bytes, place->len);
        if (memcmp(key.bytes, first.bytes, first.len) >= 0)
            first = key;
    }
    enum gate_status status = s->ops->scan(s->handle, gate_audit_key_str(&first),
                                           gate_audit_key_str(&end), most, read_record, &r, err);
    if (status != GATE_OK)
        return status;
    if (r.stopped) {
        *more = true;
    } else if (r.seen == most && r.begun > 0) {
        *more = true; /* the row at hand may lack a sum: it is read again */
    } else {
        hand_out(&r);
        *more = r.seen == most;
    }
    return GATE_OK;
}

bool gate_audit_place_read(struct gate_str text, struct gate_audit_place *place)
{
    uint32_t minute;
    enum { DIGITS = 8 };
    if (text.len <= DIGITS || text.len > sizeof place->bytes || text.ptr[text.len - 1] != '!' ||
        !gate_audit_minute_read((struct gate_str){text.ptr, DIGITS}, &minute))
        return false;
    place->len = text.len;
    memcpy(place->bytes, text.ptr, text.len);
    return true;
}
