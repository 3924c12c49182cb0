/* Fills the storage of a stopped gateway with counts and requests of the past, through the audit
 * and the journal themselves, so that scale.mjs can measure the admin API on them.
 *
 *     fill PLUGIN_DIR DB_DIR ACCOUNTS ROWS
 *
 * ROWS rows of minutes for accounts openai/a0 ... : for each account one row a minute, from now
 * back for 24 hours, and what is left for a few accounts a minute on the 29 days before. And as
 * many requests as are kept, over the last days. */
#include "base/clock.h"
#include "plugin/registry.h"
#include "record/audit.h"
#include "request/trace_pack.h"
#include <stdlib.h>

enum {
    MINUTE_MS = 60 * 1000,
    DAY_MINUTES = 24 * 60,
    OLD_MINUTES = 29 * DAY_MINUTES,
    RETENTION_DAYS = 60,
    FLUSH_ROWS = 3000,                        /* fewer than a batch holds */
    REQUESTS = GATE_JOURNAL_MAX_COUNT + 1000, /* the oldest of them make way */
    REQUEST_MS = 50 * 1000,                   /* between two of them */
    FLUSH_REQUESTS = 20,
    ARGUMENTS = 5,
};

struct fill {
    struct gate_store *store;
    struct gate_audit_batch *batch;
    uint64_t written, wanted;
    unsigned random;
};

static uint64_t day_end(void *ctx, uint64_t now_ms)
{
    const uint64_t day = (uint64_t)DAY_MINUTES * MINUTE_MS, zone = (uint64_t)8 * 60 * MINUTE_MS;
    (void)ctx;
    return ((now_ms + zone) / day + 1) * day - zone;
}

static void nothing(struct gate_storage *s, void *arg)
{
    (void)s;
    (void)arg;
}

static void flush(struct fill *f)
{
    gate_store_flush(f->store, NULL, NULL);
    gate_store_call(f->store, nothing, NULL);
}

static void count(struct fill *f, uint64_t at_ms, unsigned account)
{
    static const char *const outcomes[] = {"success", "success", "success", "limited:rpm",
                                           "error:upstream_timeout"};
    char id[32];
    unsigned r = (unsigned)rand_r(&f->random);
    snprintf(id, sizeof id, "openai/a%u", account);
    const struct gate_audit_event event = {
        .account = gate_str_of(id),
        .outcome = gate_str_of(outcomes[r % (sizeof outcomes / sizeof outcomes[0])]),
        .prompt_tokens = r % 1000,
        .completion_tokens = r % 300,
        .total_us = 200000 + (uint64_t)(r % 8000000),
        .first_us = 100000 + r % 500000,
    };
    gate_audit_count(f->batch, at_ms, &event);
    if (++f->written % FLUSH_ROWS == 0)
        flush(f);
}

static void fill(struct fill *f, unsigned accounts)
{
    uint64_t now_ms = gate_clock_wall_ms();
    for (unsigned m = 0; m < DAY_MINUTES; m++)
        for (unsigned a = 0; a < accounts && f->written < f->wanted; a++)
            count(f, now_ms - (uint64_t)m * MINUTE_MS, a);
    uint64_t left = f->wanted - f->written;
    for (unsigned m = DAY_MINUTES; m < DAY_MINUTES + OLD_MINUTES; m++)
        for (uint64_t i = 0; i < left / OLD_MINUTES + 1 && f->written < f->wanted; i++)
            count(f, now_ms - (uint64_t)m * MINUTE_MS, (unsigned)rand_r(&f->random) % accounts);
}

/* A request that one account refused and another answered, or not. */
static void record(struct fill *f, struct gate_journal_batch *journal, unsigned i, uint64_t at_ms,
                   unsigned accounts)
{
    struct gate_trace_attempt attempts[2] = {0};
    struct gate_trace t = {.at_ms = at_ms, .kind = GATE_USAGE_CHAT, .generation = 1};
    unsigned r = (unsigned)rand_r(&f->random);
    bool failed = r % 10 == 0;
    t.status = failed ? 503 : 200;
    t.stream = r % 2 == 0;
    t.total_us = 200000 + r % 8000000;
    t.first_us = 100000 + r % 100000;
    t.usage.prompt = r % 1000;
    t.usage.completion = r % 300;
    t.input.there = true;
    snprintf(t.id, sizeof t.id, "request-%08x-%u", r, i);
    snprintf(t.model, sizeof t.model, "openai/m%u", r % 20);
    snprintf(t.target, sizeof t.target, "m%u", r % 20);
    snprintf(t.key, sizeof t.key, "default");
    snprintf(t.path, sizeof t.path, "/v1/chat/completions");
    snprintf(t.provider, sizeof t.provider, "openai");
    snprintf(t.outcome, sizeof t.outcome, failed ? "error:accounts_failed" : "success");
    for (unsigned k = 0; k < 2; k++) {
        struct gate_trace_attempt *a = &attempts[k];
        snprintf(a->id, sizeof a->id, "openai/a%u", (r + k) % accounts);
        snprintf(a->alias, sizeof a->alias, "a%u", (r + k) % accounts);
        a->verdict = k == 0 || failed ? GATE_VERDICT_OVERLOADED : GATE_VERDICT_OK;
        a->status = a->verdict == GATE_VERDICT_OK ? 200 : 503;
        snprintf(a->reason, sizeof a->reason, "%s", a->status == 200 ? "" : "busy now");
    }
    t.steps.attempts = attempts;
    t.steps.attempt_count = 2;
    gate_trace_record(&t, journal);
}

static void record_all(struct fill *f, struct gate_journal *j, unsigned accounts)
{
    struct gate_journal_batch *batch = gate_journal_batch_create(j);
    uint64_t from_ms = gate_clock_wall_ms() - (uint64_t)REQUESTS * REQUEST_MS;
    for (unsigned i = 0; i < REQUESTS; i++) {
        record(f, batch, i, from_ms + (uint64_t)i * REQUEST_MS, accounts);
        if (i % FLUSH_REQUESTS == 0)
            flush(f);
    }
    gate_journal_batch_destroy(batch);
}

int main(int argc, char **argv)
{
    struct gate_registry *registry = NULL;
    struct gate_value *values = NULL;
    struct gate_error err = {0};
    struct fill f = {.random = 1};
    if (argc != ARGUMENTS) {
        fprintf(stderr, "usage: fill PLUGIN_DIR DB_DIR ACCOUNTS ROWS\n");
        return 2;
    }
    f.wanted = strtoull(argv[4], NULL, 10);
    enum gate_status status =
        gate_registry_load(argv[1], gate_host_services(false), &registry, &err);
    const struct gate_plugin *plugin =
        status == GATE_OK ? gate_registry_find(registry, GATE_KIND_STORAGE, GATE_STR("rocksdb"))
                          : NULL;
    if (plugin != NULL)
        status = gate_values_make(plugin, NULL, 0, &values, &err);
    if (plugin == NULL || status != GATE_OK ||
        gate_store_open(plugin, values, argv[2], 0, &f.store, &err) != GATE_OK) {
        fprintf(stderr, "fill: %s\n", err.message);
        return 1;
    }
    struct gate_audit *audit = gate_audit_create(f.store, RETENTION_DAYS, day_end, NULL);
    struct gate_journal *journal = gate_journal_create(f.store, RETENTION_DAYS);
    unsigned accounts = (unsigned)strtoul(argv[3], NULL, 10);
    f.batch = gate_audit_batch_create(audit);
    uint64_t begin = gate_clock_mono_ms();
    record_all(&f, journal, accounts);
    fill(&f, accounts);
    gate_audit_batch_destroy(f.batch);
    gate_store_close(f.store);
    gate_audit_destroy(audit);
    gate_journal_destroy(journal);
    printf("%llu rows in %llu ms\n", (unsigned long long)f.written,
           (unsigned long long)(gate_clock_mono_ms() - begin));
    gate_values_free(plugin, values);
    gate_registry_destroy(registry);
    return 0;
}
