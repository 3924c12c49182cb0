#include "base/buf.h"
#include "record/audit_internal.h"
#include <assert.h>
#include <stdlib.h>

/* Cells at the end that only "error:other" may take. */
enum { RESERVED = 256 };

void gate_audit_table_init(struct gate_audit_table *t, uint32_t capacity)
{
    assert(capacity >= 1024 && capacity < UINT16_MAX && (capacity & (capacity - 1)) == 0);
    *t = (struct gate_audit_table){.capacity = capacity, .mask = 2 * capacity - 1};
    t->cells = gate_calloc(capacity, sizeof *t->cells);
    t->latencies = gate_calloc(capacity, sizeof *t->latencies);
    t->slots = gate_calloc(2 * (size_t)capacity, sizeof *t->slots);
}

void gate_audit_table_finish(struct gate_audit_table *t)
{
    free(t->cells);
    free(t->latencies);
    free(t->slots);
    *t = (struct gate_audit_table){0};
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t mix_str(uint64_t hash, struct gate_str s)
{
    uint64_t word;
    for (; s.len >= sizeof word; s.ptr += sizeof word, s.len -= sizeof word) {
        memcpy(&word, s.ptr, sizeof word);
        hash = mix(hash, word);
    }
    word = (uint64_t)s.len << 56;
    memcpy(&word, s.ptr, s.len); /* at most 7 bytes: the length stays */
    return mix(hash, word);
}

static uint64_t hash_id(const struct gate_audit_id *id)
{
    uint64_t hash = mix(0, (uint64_t)id->minute << 8 | id->kind);
    return mix_str(mix_str(hash, id->outcome), id->account);
}

struct gate_audit_id gate_audit_cell_id(const struct gate_audit_cell *cell)
{
    return (struct gate_audit_id){
        .minute = cell->minute,
        .kind = (enum gate_usage_kind)cell->kind,
        .outcome = {cell->text, cell->outcome_len},
        .account = {cell->text + cell->outcome_len, cell->account_len},
    };
}

static bool is_of(const struct gate_audit_cell *cell, const struct gate_audit_id *id)
{
    struct gate_audit_id own = gate_audit_cell_id(cell);
    return own.minute == id->minute && own.kind == id->kind &&
           gate_str_eq(own.outcome, id->outcome) && gate_str_eq(own.account, id->account);
}

/* The cell of id, made if fewer than `most` are in use; NULL: it is new and there is no room. */
static struct gate_audit_cell *cell_of(struct gate_audit_table *t, const struct gate_audit_id *id,
                                       uint32_t most)
{
    uint64_t hash = hash_id(id);
    uint32_t slot = (uint32_t)hash & t->mask;
    for (; t->slots[slot] != 0; slot = (slot + 1) & t->mask) {
        struct gate_audit_cell *cell = &t->cells[t->slots[slot] - 1];
        if (cell->hash == hash && is_of(cell, id))
            return cell;
    }
    if (t->count >= most)
        return NULL;
    struct gate_audit_cell *cell = &t->cells[t->count++];
    t->slots[slot] = (uint16_t)t->count;
    cell->hash = hash;
    memset(cell->sums, 0, sizeof cell->sums);
    cell->minute = id->minute;
    cell->slot = (uint16_t)slot;
    cell->kind = (uint8_t)id->kind;
    cell->outcome_len = (uint8_t)id->outcome.len;
    cell->account_len = (uint8_t)id->account.len;
    memcpy(cell->text, id->outcome.ptr, id->outcome.len);
    memcpy(cell->text + id->outcome.len, id->account.ptr, id->account.len);
    struct gate_audit_latency *latency = gate_audit_table_latency(t, cell);
    if (latency != NULL)
        memset(latency, 0, sizeof *latency);
    return cell;
}

struct gate_audit_latency *gate_audit_table_latency(const struct gate_audit_table *t,
                                                    const struct gate_audit_cell *cell)
{
    static const char success[] = "success";
    enum { LEN = sizeof success - 1 };
    if (cell->outcome_len != LEN || memcmp(cell->text, success, LEN) != 0)
        return NULL;
    return &t->latencies[cell - t->cells];
}

struct gate_audit_cell *gate_audit_table_add(struct gate_audit_table *t,
                                             const struct gate_audit_id *id,
                                             const uint64_t sums[GATE_AUDIT_SUMS])
{
    struct gate_audit_cell *cell = cell_of(t, id, t->capacity - RESERVED);
    if (cell == NULL) {
        struct gate_audit_id other = {id->minute, id->kind, GATE_STR("error:other"), GATE_STR("-")};
        cell = cell_of(t, &other, t->capacity);
    }
    /* Hours without storage: even the minute is given up, the sums are not. */
    if (cell == NULL)
        cell = &t->cells[t->count - 1];
    for (int i = 0; i < GATE_AUDIT_SUMS; i++)
        cell->sums[i] += sums[i];
    return cell;
}

void gate_audit_table_clear(struct gate_audit_table *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        t->slots[t->cells[i].slot] = 0;
    t->count = 0;
}
