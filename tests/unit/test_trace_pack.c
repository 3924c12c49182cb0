/* Traces as bytes: what is unpacked says what was packed, whatever the trace, and damaged bytes are
 * refused or are another trace, and nothing else happens. */
#include "request/trace_pack.h"
#include <check.h>
#include <stdlib.h>
#include <time.h>

static void fill_text(char *out, size_t cap, unsigned *seed)
{
    size_t len = (size_t)rand_r(seed) % cap;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)('!' + rand_r(seed) % 90);
    out[len] = '\0';
}

static uint64_t number(unsigned *seed)
{
    return (uint64_t)rand_r(seed) << rand_r(seed) % 33;
}

static void fill_attempt(struct gate_trace_attempt *a, unsigned *seed)
{
    memset(a, 0, sizeof *a);
    fill_text(a->id, sizeof a->id, seed);
    fill_text(a->alias, sizeof a->alias, seed);
    fill_text(a->code, sizeof a->code, seed);
    fill_text(a->reason, sizeof a->reason, seed);
    a->target = (uint8_t)rand_r(seed);
    a->last_resort = rand_r(seed) % 2;
    a->probe = rand_r(seed) % 2;
    a->verdict = (enum gate_verdict_kind)(rand_r(seed) % (GATE_VERDICT_GARBAGE + 1));
    a->action = (enum gate_action)(rand_r(seed) % GATE_ACTIONS);
    a->status = rand_r(seed) % 600;
    a->start_us = number(seed);
    a->took_us = number(seed);
    a->cooldown_ms = number(seed);
    a->quota.requests_minute = number(seed);
    a->quota.tokens_day = number(seed);
}

static void fill_look(struct gate_trace_look *l, uint8_t target, size_t count, unsigned *seed)
{
    l->target = target;
    l->count = count;
    l->skipped = gate_calloc(count, sizeof l->skipped[0]);
    for (size_t i = 0; i < count; i++) {
        struct gate_trace_skip *s = &l->skipped[i];
        fill_text(s->id, sizeof s->id, seed);
        fill_text(s->alias, sizeof s->alias, seed);
        s->skip = (enum gate_skip)(rand_r(seed) % (GATE_SKIP_NOT_SELECTED + 1));
        s->limit = (enum gate_limit_name)(rand_r(seed) % (GATE_LIMIT_UPSTREAM + 1));
        s->until_ms = number(seed);
    }
}

static struct gate_trace *make(unsigned *seed, size_t attempts, size_t looks, size_t skipped)
{
    struct gate_trace *t = gate_calloc(1, sizeof *t);
    fill_text(t->id, sizeof t->id, seed);
    fill_text(t->model, sizeof t->model, seed);
    fill_text(t->target, sizeof t->target, seed);
    fill_text(t->key, sizeof t->key, seed);
    fill_text(t->path, sizeof t->path, seed);
    fill_text(t->outcome, sizeof t->outcome, seed);
    fill_text(t->provider, sizeof t->provider, seed);
    fill_text(t->reason, sizeof t->reason, seed);
    t->at_ms = number(seed);
    t->kind = (enum gate_usage_kind)(rand_r(seed) % GATE_USAGE_KINDS);
    t->generation = number(seed);
    if (rand_r(seed) % 4 == 0)
        fill_text(t->stage, sizeof t->stage, seed);
    t->stream = rand_r(seed) % 2;
    t->status = rand_r(seed) % 600;
    t->total_us = number(seed);
    t->first_us = rand_r(seed) % 2 ? -1 : (int64_t)number(seed);
    t->bytes_in = number(seed);
    t->bytes_out = number(seed);
    t->usage.prompt = number(seed);
    t->usage.cached = number(seed);
    t->usage_estimated = rand_r(seed) % 2;
    t->input.there = rand_r(seed) % 2;
    t->input.whole = rand_r(seed) % 2;
    t->input.has_images = rand_r(seed) % 2;
    t->input.tool_count = (uint32_t)rand_r(seed);
    t->input.body_bytes = number(seed);
    t->steps.strategy = (enum gate_strategy)(rand_r(seed) % GATE_STRATEGIES);
    t->steps.tokens_reserved = number(seed);
    t->steps.attempt_count = attempts;
    t->steps.attempts = gate_calloc(attempts + 1, sizeof t->steps.attempts[0]);
    for (size_t i = 0; i < attempts; i++)
        fill_attempt(&t->steps.attempts[i], seed);
    t->steps.look_count = looks;
    t->steps.looks = gate_calloc(looks + 1, sizeof t->steps.looks[0]);
    for (size_t i = 0; i < looks; i++)
        fill_look(&t->steps.looks[i], (uint8_t)(i / 2), skipped, seed);
    return t;
}

static struct gate_trace *unpack(const struct gate_trace *t, const char *bytes, size_t len)
{
    const struct gate_journal_record record = {t->at_ms, 1, gate_str_of(t->id), {bytes, len}};
    return gate_trace_unpack(&record);
}

static char *json_of(const struct gate_trace *t)
{
    struct gate_buf out;
    gate_buf_init(&out, 4 << 20);
    gate_trace_json(t, &out);
    gate_buf_append_byte(&out, '\0');
    return out.ptr;
}

START_TEST(nothing_is_lost)
{
    char bytes[GATE_JOURNAL_MAX_RECORD];
    unsigned seed = 7;
    for (int round = 0; round < 500; round++) {
        struct gate_trace *t = make(&seed, (size_t)rand_r(&seed) % 5, (size_t)rand_r(&seed) % 4,
                                    (size_t)rand_r(&seed) % 9);
        size_t len = gate_trace_pack(t, bytes);
        ck_assert_uint_le(len, sizeof bytes);
        struct gate_trace *back = unpack(t, bytes, len);
        ck_assert_ptr_nonnull(back);
        char *before = json_of(t), *after = json_of(back);
        ck_assert_str_eq(before, after);
        free(before);
        free(after);
        gate_trace_free(back);
        gate_trace_free(t);
    }
}
END_TEST

START_TEST(too_much_is_cut_at_its_end)
{
    char bytes[GATE_JOURNAL_MAX_RECORD];
    unsigned seed = 11;
    for (int round = 0; round < 50; round++) {
        struct gate_trace *t = make(&seed, GATE_TRACE_MAX_ATTEMPTS, GATE_TRACE_MAX_LOOKS, 64);
        size_t len = gate_trace_pack(t, bytes);
        ck_assert_uint_le(len, sizeof bytes);
        ck_assert_uint_gt(len, sizeof bytes * 9 / 10);
        struct gate_trace *back = unpack(t, bytes, len);
        ck_assert_ptr_nonnull(back);
        ck_assert_uint_gt(back->steps.attempt_count, 15);
        ck_assert_uint_lt(back->steps.attempt_count, GATE_TRACE_MAX_ATTEMPTS);
        ck_assert_uint_gt(back->steps.look_count, 0); /* attempts leave room */
        ck_assert_str_eq(back->steps.attempts[14].reason, t->steps.attempts[14].reason);
        ck_assert_str_eq(back->steps.looks[0].skipped[3].id, t->steps.looks[0].skipped[3].id);
        gate_trace_free(back);
        gate_trace_free(t);
    }
}
END_TEST

START_TEST(damaged_bytes_do_no_harm)
{
    char bytes[GATE_JOURNAL_MAX_RECORD];
    unsigned seed = 3;
    for (int round = 0; round < 200; round++) {
        struct gate_trace *t = make(&seed, 2, 2, 3);
        size_t len = gate_trace_pack(t, bytes);
        /* Each cut is noticed; exact copies on the heap, so that reading on would be too. */
        size_t cut = (size_t)rand_r(&seed) % len;
        char *part = memcpy(gate_alloc(len), bytes, len);
        part = gate_realloc(part, cut + 1);
        ck_assert_ptr_null(unpack(t, part, cut));
        free(part);
        for (int k = 0; k < 50; k++) {
            char *copy = memcpy(gate_alloc(len), bytes, len);
            copy[(size_t)rand_r(&seed) % len] ^= (char)(1 << rand_r(&seed) % 8);
            struct gate_trace *other = unpack(t, copy, len);
            if (other != NULL)
                free(json_of(other));
            gate_trace_free(other);
            free(copy);
        }
        gate_trace_free(t);
    }
}
END_TEST

/* Also behind a beginning that is good, so that each part of a trace meets them. */
START_TEST(random_bytes_do_no_harm)
{
    char bytes[GATE_JOURNAL_MAX_RECORD];
    unsigned seed = 5;
    for (int round = 0; round < 5000; round++) {
        struct gate_trace *t = make(&seed, 2, 2, 3);
        size_t good = (size_t)rand_r(&seed) % gate_trace_pack(t, bytes);
        size_t len = good + (size_t)rand_r(&seed) % 400;
        char *copy = memcpy(gate_alloc(len + 1), bytes, good);
        for (size_t i = good; i < len; i++)
            copy[i] = (char)(rand_r(&seed) % 3 == 0 ? rand_r(&seed) : rand_r(&seed) % 3);
        copy = gate_realloc(copy, len > 0 ? len : 1);
        struct gate_trace *other = unpack(t, copy, len);
        if (other != NULL)
            free(json_of(other));
        gate_trace_free(other);
        free(copy);
        gate_trace_free(t);
    }
}
END_TEST

START_TEST(cost_of_packing)
{
    enum { ROUNDS = 20000 };
    struct gate_trace *t = gate_calloc(1, sizeof *t);
    struct gate_trace_attempt attempt = {.id = "qwen-oauth/main", .alias = "main", .status = 200};
    char bytes[GATE_JOURNAL_MAX_RECORD];
    struct timespec from, to;
    size_t len = 0;
    snprintf(t->id, sizeof t->id, "req-0123456789abcdef");
    snprintf(t->model, sizeof t->model, "qwen3-coder-plus");
    snprintf(t->target, sizeof t->target, "qwen3-coder-plus");
    snprintf(t->path, sizeof t->path, "/v1/chat/completions");
    snprintf(t->outcome, sizeof t->outcome, "success");
    snprintf(t->provider, sizeof t->provider, "qwen-oauth");
    t->input.there = true;
    t->steps.attempts = &attempt;
    t->steps.attempt_count = 1;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned i = 0; i < ROUNDS; i++) {
        t->total_us = i;
        len += gate_trace_pack(t, bytes);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("trace_pack: %.0f ns and %zu bytes for a usual request\n",
           ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / ROUNDS,
           len / ROUNDS);
    free(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace_pack");
    TCase *c = tcase_create("trace_pack");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, nothing_is_lost);
    tcase_add_test(c, too_much_is_cut_at_its_end);
    tcase_add_test(c, damaged_bytes_do_no_harm);
    tcase_add_test(c, random_bytes_do_no_harm);
    tcase_add_test(c, cost_of_packing);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
