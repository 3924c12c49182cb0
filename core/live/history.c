#include "live/history.h"
#include "base/log.h"
#include "base/utf8.h"
#include "live/history_record.h"
#include <stdlib.h>

enum {
    DIGITS = 16, /* of a number in a key */
    MAX_KEY = 48,
    /* Generations whose texts wait for storage to work again. */
    MAX_WAITING = 64,
    MAX_WAITING_BYTES = 16 << 20,
};

#define MAX_NUMBER (UINT64_C(1) << 53) /* JSON holds it exactly */

struct item {
    struct gate_history_entry entry;
    struct gate_sources *texts; /* owned; not in storage yet; NULL: they are */
    bool unsaved;               /* the entry in storage, if any, is not this one */
};

struct gate_history {
    struct gate_store *store;
    struct item **items; /* owned, as are the items; oldest first */
    size_t count, cap;
    size_t bytes; /* of all texts */
    uint64_t newest;
    /* Whose records are to be removed. When there is no room, the oldest are forgotten: they are
     * found again at the next start. */
    uint64_t gone[GATE_HISTORY_KEEP];
    size_t gone_count;
};

/* ---- the index */

static void item_release_texts(struct item *it)
{
    if (it->texts != NULL)
        gate_sources_finish(it->texts);
    free(it->texts);
    it->texts = NULL;
}

static void item_destroy(struct item *it)
{
    item_release_texts(it);
    free(it);
}

static struct item *append(struct gate_history *h, const struct gate_history_entry *entry)
{
    if (h->count == h->cap) {
        h->cap = h->cap > 0 ? h->cap * 2 : 64;
        h->items = gate_realloc(h->items, h->cap * sizeof *h->items);
    }
    struct item *it = gate_calloc(1, sizeof *it);
    it->entry = *entry;
    h->items[h->count++] = it;
    h->bytes += entry->bytes;
    return it;
}

/* How many are below `number`, which is where it lies if it is there. */
static size_t position(const struct gate_history *h, uint64_t number)
{
    size_t low = 0, high = h->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->items[middle]->entry.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct item *find(const struct gate_history *h, uint64_t number)
{
    size_t at = position(h, number);
    return at < h->count && h->items[at]->entry.number == number ? h->items[at] : NULL;
}

static void drop(struct gate_history *h, size_t at)
{
    struct item *it = h->items[at];
    if (h->gone_count == GATE_HISTORY_KEEP)
        memmove(h->gone, h->gone + 1, --h->gone_count * sizeof *h->gone);
    h->gone[h->gone_count++] = it->entry.number;
    h->bytes -= it->entry.bytes;
    h->count--;
    memmove(h->items + at, h->items + at + 1, (h->count - at) * sizeof *h->items);
    item_destroy(it);
}

/* The newest always stays. */
static void trim(struct gate_history *h)
{
    while (h->count > 1 && (h->count > GATE_HISTORY_KEEP || h->bytes > GATE_HISTORY_MAX_BYTES))
        drop(h, 0);
}

/* Storage does not work: memory is not to take its place for good. */
static void trim_waiting(struct gate_history *h)
{
    size_t waiting = 0, bytes = 0, at = h->count;
    while (at > 0) {
        const struct item *it = h->items[at - 1];
        waiting += it->texts != NULL;
        bytes += it->texts != NULL ? it->entry.bytes : 0;
        if (waiting > MAX_WAITING || bytes > MAX_WAITING_BYTES)
            break;
        at--;
    }
    while (at-- > 0) {
        uint64_t number = h->items[at]->entry.number;
        if (h->items[at]->texts == NULL)
            continue;
        gate_log_warn("history: generation %llu could not be written for too long and is forgotten",
                      (unsigned long long)number);
        drop(h, at);
    }
}

/* ---- storage */

static struct gate_str key_of(char buf[MAX_KEY], const char *prefix, uint64_t number)
{
    int n = snprintf(buf, MAX_KEY, "%s%016llx", prefix, (unsigned long long)number);
    return (struct gate_str){buf, (size_t)n};
}

static enum gate_status put(struct gate_storage *s, const char *prefix, uint64_t number,
                            const struct gate_buf *value, struct gate_error *err)
{
    char key[MAX_KEY];
    return gate_storage_put_if(s, key_of(key, prefix, number), gate_buf_str(value), UINT64_MAX, 0,
                               0, GATE_PUT_SYNC, NULL, err);
}

/* Texts first: an entry is there only with its texts. What a crash leaves of texts without an entry
 * is written over by the next generation, which gets the same number. No batch, as store.h hears of
 * a failure only from single writes. */
static enum gate_status save_item(struct gate_storage *s, struct item *it, struct gate_error *err)
{
    enum gate_status status = GATE_OK;
    struct gate_buf value;
    gate_buf_init(&value, GATE_HISTORY_MAX_TEXTS);
    if (it->texts != NULL) {
        gate_history_put_texts(it->texts, &value);
        status = put(s, GATE_KEY_TEXTS, it->entry.number, &value, err);
        value.len = 0;
    }
    if (status == GATE_OK) {
        gate_history_put_entry(&it->entry, &value);
        status = put(s, GATE_KEY_GENERATION, it->entry.number, &value, err);
    }
    gate_buf_finish(&value);
    if (status == GATE_OK) {
        item_release_texts(it);
        it->unsaved = false;
    }
    return status;
}

/* Texts first: an entry that a crash leaves is found at the next start and removed then. */
static bool remove_records(struct gate_storage *s, uint64_t number)
{
    char key[MAX_KEY];
    return gate_storage_delete(s, key_of(key, GATE_KEY_TEXTS, number), NULL) == GATE_OK &&
           gate_storage_delete(s, key_of(key, GATE_KEY_GENERATION, number), NULL) == GATE_OK;
}

struct saving {
    struct gate_history *history;
    enum gate_status status;
    struct gate_error *err;
};

/* The control thread waits meanwhile. */
static void run_save(struct gate_storage *s, void *arg)
{
    struct saving *saving = arg;
    struct gate_history *h = saving->history;
    for (size_t i = 0; i < h->count && saving->status == GATE_OK; i++)
        if (h->items[i]->unsaved)
            saving->status = save_item(s, h->items[i], saving->err);
    size_t removed = 0;
    while (saving->status == GATE_OK && removed < h->gone_count &&
           remove_records(s, h->gone[removed]))
        removed++;
    h->gone_count -= removed;
    memmove(h->gone, h->gone + removed, h->gone_count * sizeof *h->gone);
}

/* Writes all that is to be written. */
static enum gate_status save(struct gate_history *h, struct gate_error *err)
{
    struct gate_error why = {0};
    struct saving saving = {.history = h, .err = &why};
    gate_store_call(h->store, run_save, &saving);
    if (saving.status == GATE_OK)
        return GATE_OK;
    trim_waiting(h);
    return gate_fail(err, GATE_EIO, "the history cannot be written: %.400s", why.message);
}

/* ---- opening */

struct loading {
    struct gate_history *history;
    enum gate_status status;
    struct gate_error err;
};

static bool parse_number(struct gate_str digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.ptr[i];
        bool decimal = c >= '0' && c <= '9';
        if (!decimal && (c < 'a' || c > 'f'))
            return false;
        *out = *out << 4 | (uint64_t)(decimal ? c - '0' : c - 'a' + 10);
    }
    return digits.len == DIGITS && *out > 0 && *out <= MAX_NUMBER;
}

static bool load_one(void *ctx, const struct gate_record *record)
{
    struct loading *l = ctx;
    struct gate_history *h = l->history;
    struct gate_history_entry entry = {0};
    struct gate_error why = {0};
    size_t prefix = strlen(GATE_KEY_GENERATION);
    struct gate_str digits = {record->key.ptr + prefix, record->key.len - prefix};
    if (!parse_number(digits, &entry.number)) {
        gate_log_warn("history: a record is no generation and is left as it is");
        return true;
    }
    /* Numbers are never used again, not even those of records that cannot be read. */
    h->newest = entry.number;
    if (gate_history_parse_entry(record->value, &entry, &why) != GATE_OK) {
        gate_log_warn("history: the record of generation %llu cannot be read and is left out: %s",
                      (unsigned long long)entry.number, why.message);
        return true;
    }
    append(h, &entry);
    return true;
}

static void run_load(struct gate_storage *s, void *arg)
{
    struct loading *l = arg;
    l->status = gate_storage_scan(s, GATE_STR(GATE_KEY_GENERATION), load_one, l, &l->err);
}

enum gate_status gate_history_open(struct gate_store *store, struct gate_history **out,
                                   struct gate_error *err)
{
    struct gate_history *h = gate_calloc(1, sizeof *h);
    struct loading l = {.history = h};
    h->store = store;
    gate_store_call(store, run_load, &l);
    if (l.status != GATE_OK) {
        gate_history_close(h);
        return gate_fail(err, l.status, "the history cannot be read: %.400s", l.err.message);
    }
    trim(h);
    *out = h;
    return GATE_OK;
}

void gate_history_close(struct gate_history *h)
{
    if (h == NULL)
        return;
    gate_history_flush(h);
    for (size_t i = 0; i < h->count; i++)
        item_destroy(h->items[i]);
    free(h->items);
    free(h);
}

/* ---- the rest */

uint64_t gate_history_newest(const struct gate_history *h)
{
    return h->newest;
}

/* Whether what is left is a character whose end is missing. */
static bool is_cut(const char *text, size_t left)
{
    unsigned char first = (unsigned char)text[0];
    size_t need = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || left >= need)
        return false;
    for (size_t i = 1; i < left; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* Makes the text one that JSON gives back as it is. Whoever cut it may have cut a character. */
static void tidy(char *text, size_t max)
{
    size_t len = strnlen(text, max);
    for (size_t i = 0, n; i < len; i += n) {
        n = gate_utf8_length(text + i, len - i);
        if (n == 0 && is_cut(text + i, len - i)) {
            len = i;
        } else if (n == 0) {
            text[i] = '?';
            n = 1;
        }
    }
    text[len] = '\0';
}

enum gate_status gate_history_add(struct gate_history *h, struct gate_history_entry *entry,
                                  const struct gate_sources *sources, struct gate_error *err)
{
    if (entry->number <= h->newest || entry->number > MAX_NUMBER)
        return gate_fail(err, GATE_EINVAL, "generation %llu cannot follow %llu",
                         (unsigned long long)entry->number, (unsigned long long)h->newest);
    tidy(entry->author, GATE_HISTORY_AUTHOR);
    tidy(entry->note, GATE_HISTORY_NOTE);
    entry->files = sources->count;
    entry->bytes = 0;
    for (size_t i = 0; i < sources->count; i++)
        entry->bytes += sources->files[i].len;
    struct item *it = append(h, entry);
    it->texts = gate_calloc(1, sizeof *it->texts);
    gate_sources_copy(sources, it->texts);
    it->unsaved = true;
    h->newest = entry->number;
    trim(h);
    return save(h, err);
}

void gate_history_flush(struct gate_history *h)
{
    bool unsaved = h->gone_count > 0;
    for (size_t i = 0; i < h->count && !unsaved; i++)
        unsaved = h->items[i]->unsaved;
    if (unsaved)
        save(h, NULL);
}

enum gate_status gate_history_mark_failed(struct gate_history *h, uint64_t number,
                                          struct gate_error *err)
{
    struct item *it = find(h, number);
    if (it == NULL)
        return gate_fail(err, GATE_ENOTFOUND, "there is no generation %llu in the history",
                         (unsigned long long)number);
    if (it->entry.failed && !it->unsaved)
        return GATE_OK;
    it->entry.failed = true;
    it->unsaved = true;
    return save(h, err);
}

enum gate_status gate_history_list(struct gate_history *h, uint64_t before, size_t max,
                                   struct gate_history_entry *out, size_t *count,
                                   struct gate_error *err)
{
    (void)err; /* the index is in memory */
    size_t at = before > 0 ? position(h, before) : h->count;
    for (*count = 0; *count < max && at > 0; at--)
        out[(*count)++] = h->items[at - 1]->entry;
    return GATE_OK;
}

struct reading {
    uint64_t number;
    struct gate_buf text;
    enum gate_status status;
    struct gate_error err;
};

static void run_read(struct gate_storage *s, void *arg)
{
    struct reading *r = arg;
    char key[MAX_KEY];
    r->status =
        gate_storage_get(s, key_of(key, GATE_KEY_TEXTS, r->number), &r->text, NULL, &r->err);
}

static enum gate_status read_texts(struct gate_history *h, uint64_t number,
                                   struct gate_sources *out, struct gate_error *err)
{
    struct reading r = {.number = number};
    *out = (struct gate_sources){0};
    gate_buf_init(&r.text, GATE_HISTORY_MAX_TEXTS);
    gate_store_call(h->store, run_read, &r);
    if (r.status == GATE_OK)
        r.status = gate_history_parse_texts(gate_buf_str(&r.text), out, &r.err);
    gate_buf_finish(&r.text);
    if (r.status == GATE_OK)
        return GATE_OK;
    return gate_fail(err, GATE_EIO, "the texts of generation %llu cannot be read: %.400s",
                     (unsigned long long)number, r.err.message);
}

enum gate_status gate_history_get(struct gate_history *h, uint64_t number,
                                  struct gate_history_entry *entry, struct gate_sources *sources,
                                  struct gate_error *err)
{
    const struct item *it = find(h, number);
    if (it == NULL)
        return gate_fail(err, GATE_ENOTFOUND, "there is no generation %llu in the history",
                         (unsigned long long)number);
    *entry = it->entry;
    if (sources == NULL)
        return GATE_OK;
    if (it->texts == NULL)
        return read_texts(h, number, sources, err);
    gate_sources_copy(it->texts, sources);
    return GATE_OK;
}
