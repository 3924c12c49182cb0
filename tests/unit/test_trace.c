/* Traces: snapshots of accounts and what they share, the ring and its bound, copies, JSON. */
#include "pool_fixture.h"
#include "request/trace.h"
#include <time.h>

enum { NOW_S = 1795400000 };

static const uint64_t NOW = (uint64_t)NOW_S * 1000;

/* What is asked for by an account is found by its id. */
START_TEST(names_of_accounts_are_whole)
{
    static struct gate_account account; /* lies on a cache line of its own: not on a stack */
    char id[GATE_ACCOUNT_MAX_ID + 1], alias[GATE_ACCOUNT_MAX_ALIAS + 1];
    struct gate_steps steps = {.attempts = NULL};
    memset(id, 'i', sizeof id - 1);
    memset(alias, 'a', sizeof alias - 1);
    id[sizeof id - 1] = alias[sizeof alias - 1] = '\0';
    account.id = id;
    const struct gate_entry entry = {.account = &account, .alias = alias};
    const struct gate_trace_attempt *a = gate_steps_attempt(&steps, &entry);
    ck_assert_str_eq(a->id, id);
    ck_assert_str_eq(a->alias, alias);
    gate_steps_finish(&steps);
}
END_TEST

/* ---- snapshots */

START_TEST(a_snapshot_says_what_the_accounts_say)
{
    struct pool_fixture f;
    static const struct gate_str tags[] = {{"paid", 4}, {"eu", 2}};
    size_t first = 9, count = 9;
    struct gate_account_facts a;
    struct gate_choice c;
    pool_fixture_open(&f, 3);
    struct gate_entry *e = &f.table->entries[0];
    e->tags = tags;
    e->tag_count = 2;
    e->alias = "one";
    e->weight = 7;
    e->limits[GATE_USAGE_CHAT].requests_per_day = 50;
    e->limits[GATE_USAGE_SEARCH].requests_per_day = 5;
    f.select.now_ms = NOW;
    ck_assert_int_eq(gate_select(&f.select, &c), GATE_SELECT_CHOSEN);
    gate_health_good(c.entry->account, false, false, 2500);
    gate_health_set(f.table->entries[1].account, GATE_CONDITION_COOLING, NOW + 5000, "", NOW);
    f.table->entries[2].enabled = false;
    struct gate_trace_accounts *s =
        gate_trace_accounts_create(f.table, &f.quota, GATE_USAGE_CHAT, NOW);
    struct gate_trace_accounts *search =
        gate_trace_accounts_create(f.table, &f.quota, GATE_USAGE_SEARCH, NOW);
    pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 100, NOW);
    e->alias = "two"; /* the snapshot has its own */
    ck_assert_uint_eq(gate_trace_accounts_at(s), NOW);
    ck_assert(gate_trace_accounts_find(s, GATE_STR("pool"), &first, &count));
    ck_assert(first == 0 && count == 3);
    ck_assert(!gate_trace_accounts_find(s, GATE_STR("other"), &first, &count));
    gate_trace_accounts_read(s, 0, &a);
    ck_assert(gate_str_eq(a.id, GATE_STR("pool/0")) && gate_str_eq(a.alias, GATE_STR("one")));
    ck_assert(gate_str_eq(a.provider, GATE_STR("pool")) && a.kind == GATE_CREDENTIAL_API_KEY);
    ck_assert(a.tag_count == 2 && gate_str_eq(a.tags[1], GATE_STR("eu")) && a.weight == 7);
    ck_assert(a.numbers.in_flight == 1 && a.numbers.requests_day == 1 && a.latency_us == 2500);
    ck_assert(a.numbers.tokens_minute == 100 && a.numbers.day_resets_at_ms > NOW);
    ck_assert(a.limits.requests_per_day == 50 && a.hash == e->account->hash && a.now_ms == NOW);
    ck_assert_str_eq(a.state, "serving");
    ck_assert(!a.cooling && !a.last_resort && a.until_ms == 0);
    gate_trace_accounts_read(search, 0, &a);
    ck_assert(a.limits.requests_per_day == 5 && a.numbers.requests_day == 0);
    gate_trace_accounts_read(s, 1, &a);
    ck_assert_str_eq(a.state, "cooling");
    ck_assert(a.last_resort && a.until_ms == NOW + 5000);
    gate_trace_accounts_read(s, 2, &a);
    ck_assert_str_eq(a.state, "disabled");
    gate_trace_accounts_release(search);
    gate_trace_accounts_release(s);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(made_up_accounts_are_copied)
{
    char id[] = "b/0", tag[] = "paid";
    const struct gate_str tags[] = {{tag, 4}};
    const struct gate_account_facts facts[] = {
        {.id = GATE_STR("a/0"), .provider = GATE_STR("a"), .state = "serving"},
        {.id = {id, 3},
         .provider = {id, 1},
         .tags = tags,
         .tag_count = 1,
         .weight = 2,
         .limits = {.requests_per_minute = 3},
         .state = "limited",
         .until_ms = NOW + 1},
    };
    struct gate_trace_accounts *s = gate_trace_accounts_make(facts, 2, NOW);
    struct gate_trace_accounts *none = gate_trace_accounts_make(facts, 0, NOW);
    struct gate_account_facts a;
    size_t first, count;
    memset(id, '?', 3);
    memset(tag, '?', 4);
    ck_assert(gate_trace_accounts_find(s, GATE_STR("b"), &first, &count));
    ck_assert(first == 1 && count == 1);
    gate_trace_accounts_read(s, 1, &a);
    ck_assert(gate_str_eq(a.id, GATE_STR("b/0")) && gate_str_eq(a.tags[0], GATE_STR("paid")));
    ck_assert(a.weight == 2 && a.limits.requests_per_minute == 3 && a.until_ms == NOW + 1);
    ck_assert_str_eq(a.state, "limited");
    ck_assert(!gate_trace_accounts_find(none, GATE_STR("a"), &first, &count));
    gate_trace_accounts_release(s);
    gate_trace_accounts_release(none);
    gate_trace_accounts_release(NULL);
}
END_TEST

/* ---- the ring */

static struct gate_trace *add(struct gate_trace_ring *r, const struct pool_fixture *f,
                              uint64_t now_ms)
{
    struct gate_trace *t = gate_trace_ring_next(r);
    t->at_ms = now_ms;
    t->input.there = t->input.whole = true;
    t->input.accounts = gate_trace_ring_accounts(r, f->table, &f->quota, GATE_USAGE_CHAT, now_ms);
    return t;
}

START_TEST(one_pass_a_second_serves_all_requests)
{
    struct pool_fixture f;
    pool_fixture_open(&f, 2);
    struct gate_trace_ring *r = gate_trace_ring_create();
    const struct gate_trace_accounts *first = add(r, &f, NOW)->input.accounts;
    ck_assert_ptr_eq(add(r, &f, NOW + 999)->input.accounts, first);
    ck_assert_ptr_ne(add(r, &f, NOW + 1000)->input.accounts, first);
    ck_assert_ptr_ne(add(r, &f, NOW + 500)->input.accounts, NULL); /* the clock was set back */
    struct gate_trace_accounts *search =
        gate_trace_ring_accounts(r, f.table, &f.quota, GATE_USAGE_SEARCH, NOW + 500);
    ck_assert_ptr_ne(search, add(r, &f, NOW + 500)->input.accounts);
    gate_trace_accounts_release(search);
    gate_trace_ring_destroy(r);
    pool_fixture_close(&f);
}
END_TEST

/* Whoever asks again sees only what came since. */
START_TEST(traces_have_numbers)
{
    struct pool_fixture f;
    pool_fixture_open(&f, 2);
    struct gate_trace_ring *r = gate_trace_ring_create();
    ck_assert_uint_eq(gate_trace_ring_made(r), 0);
    for (uint64_t i = 1; i <= 3 * GATE_TRACE_RING; i++) {
        add(r, &f, NOW + i);
        ck_assert_uint_eq(gate_trace_ring_made(r), i);
    }
    gate_trace_ring_destroy(r);
    pool_fixture_close(&f);
}
END_TEST

static bool count_kept(void *ctx, const struct gate_trace *t)
{
    size_t *kept = ctx;
    *kept += t->input.accounts != NULL;
    return true;
}

/* 3,000 accounts: a snapshot is some 200 KB, so that the bound holds a few only. */
START_TEST(old_traces_lose_their_snapshots_at_the_bound)
{
    struct pool_fixture f;
    size_t kept = 0;
    uint64_t newest = 0;
    pool_fixture_open(&f, 3000);
    struct gate_trace_ring *r = gate_trace_ring_create();
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_ptr_nonnull(add(r, &f, NOW + i * 1000)->input.accounts);
        f.table->number += i % 10 == 9; /* changed: its names are not shared any more */
    }
    gate_trace_ring_each(r, GATE_TRACE_RING, count_kept, &kept);
    printf("3,000 accounts: %zu snapshots within %d bytes\n", kept, GATE_TRACE_SNAPSHOT_BYTES);
    ck_assert(kept >= 5 && kept <= GATE_TRACE_SNAPSHOT_BYTES / (3000 * 64));
    gate_trace_ring_each(r, 1, count_kept, &newest);
    ck_assert_uint_eq(newest, 1);
    gate_trace_ring_destroy(r);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(the_ring_goes_round_for_ever)
{
    struct pool_fixture f;
    size_t kept = 0;
    pool_fixture_open(&f, 20);
    struct gate_trace_ring *r = gate_trace_ring_create();
    for (uint64_t i = 0; i < 5 * GATE_TRACE_RING; i++)
        add(r, &f, NOW + i * 700); /* two traces of three share a snapshot */
    gate_trace_ring_each(r, GATE_TRACE_RING, count_kept, &kept);
    ck_assert_uint_eq(kept, GATE_TRACE_RING);
    gate_trace_ring_destroy(r);
    gate_trace_ring_destroy(NULL);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(too_many_accounts_are_not_kept)
{
    static char text[4096];
    struct pool_fixture f;
    memset(text, 'a', sizeof text - 1);
    pool_fixture_open(&f, 1200);
    for (size_t i = 0; i < f.table->count; i++)
        f.table->entries[i].alias = text;
    struct gate_trace_ring *r = gate_trace_ring_create();
    ck_assert_ptr_null(add(r, &f, NOW)->input.accounts);
    ck_assert_ptr_null(add(r, &f, NOW + 1)->input.accounts);
    gate_trace_ring_destroy(r);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(a_copy_outlives_the_ring)
{
    struct pool_fixture f;
    struct gate_choice c = {.skipped = {{1, GATE_SKIP_COOLING, GATE_LIMIT_NONE, 5}},
                            .skipped_count = 1};
    struct gate_account_facts a;
    pool_fixture_open(&f, 2);
    struct gate_trace_ring *r = gate_trace_ring_create();
    struct gate_trace *t = add(r, &f, NOW);
    gate_steps_look(&t->steps, f.table, 0, &c);
    gate_steps_attempt(&t->steps, &f.table->entries[0])->status = 200;
    snprintf(t->input.model, sizeof t->input.model, "m");
    struct gate_trace *copy = gate_trace_copy(t);
    gate_trace_ring_destroy(r);
    ck_assert_uint_eq(copy->steps.attempt_count + copy->steps.look_count, 0); /* not its steps */
    gate_trace_accounts_read(copy->input.accounts, 1, &a);
    ck_assert(gate_str_eq(a.id, GATE_STR("pool/1")));
    ck_assert_str_eq(copy->input.model, "m");
    gate_trace_free(copy);
    gate_trace_free(NULL);
    pool_fixture_close(&f);
}
END_TEST

/* ---- JSON */

START_TEST(json_tells_features_and_no_header)
{
    struct gate_trace *t = gate_calloc(1, sizeof *t);
    struct gate_buf out;
    t->first_us = -1;
    snprintf(t->provider, sizeof t->provider, "qwen");
    snprintf(t->reason, sizeof t->reason, "short");
    gate_buf_init(&out, 1 << 16);
    gate_trace_json(t, &out);
    gate_buf_append_byte(&out, '\0');
    ck_assert_ptr_nonnull(strstr(out.ptr, "\"provider\":\"qwen\",\"reason\":\"short\""));
    ck_assert_ptr_null(strstr(out.ptr, "input"));
    t->input.there = t->input.whole = t->input.has_images = true;
    t->input.tool_count = 3;
    memcpy(t->input.headers, "x-team\0secret", 14);
    t->input.headers_len = 14;
    out.len = 0;
    gate_trace_json(t, &out);
    gate_buf_append_byte(&out, '\0');
    ck_assert_ptr_nonnull(strstr(out.ptr, "\"tools\":3,\"has_images\":true"));
    ck_assert_ptr_nonnull(strstr(out.ptr, "\"replayable\":true}"));
    ck_assert_ptr_null(strstr(out.ptr, "secret"));
    gate_buf_finish(&out);
    free(t);
}
END_TEST

START_TEST(cost_of_a_snapshot)
{
    enum { ROUNDS = 2000 };
    struct pool_fixture f;
    struct timespec from, to;
    pool_fixture_open(&f, 20);
    struct gate_trace_ring *r = gate_trace_ring_create();
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (uint64_t i = 0; i < ROUNDS; i++)
        add(r, &f, NOW + i * 1000);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double ns = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec));
    printf("a snapshot of 20 accounts: %.0f ns, once a second; the ring: %zu bytes a worker\n",
           ns / ROUNDS, sizeof(struct gate_trace) * GATE_TRACE_RING);
    gate_trace_ring_destroy(r);
    pool_fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace");
    TCase *c = tcase_create("trace");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, names_of_accounts_are_whole);
    tcase_add_test(c, a_snapshot_says_what_the_accounts_say);
    tcase_add_test(c, traces_have_numbers);
    tcase_add_test(c, made_up_accounts_are_copied);
    tcase_add_test(c, one_pass_a_second_serves_all_requests);
    tcase_add_test(c, old_traces_lose_their_snapshots_at_the_bound);
    tcase_add_test(c, the_ring_goes_round_for_ever);
    tcase_add_test(c, too_many_accounts_are_not_kept);
    tcase_add_test(c, a_copy_outlives_the_ring);
    tcase_add_test(c, json_tells_features_and_no_header);
    tcase_add_test(c, cost_of_a_snapshot);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
