/* Dry runs: what would change, in which order it is told, and what it costs. */
#include "candidate_fixture.h"
#include "live/dry_run.h"

enum { ACCOUNTS = 20, REQUESTS = 1000 };

static const uint64_t NOW = 1795400000000;

struct world {
    struct candidates base;
    struct gate_candidate running, draft;
    struct gate_trace_accounts *accounts;
    struct gate_trace *traces; /* newest first */
    const struct gate_trace *list[REQUESTS];
    size_t count;
    struct gate_dry_run out;
};

static struct gate_trace_accounts *make_accounts(void)
{
    static char ids[ACCOUNTS][16];
    struct gate_account_facts facts[ACCOUNTS];
    for (size_t i = 0; i < ACCOUNTS; i++) {
        bool ds = i >= ACCOUNTS / 2;
        snprintf(ids[i], sizeof ids[i], "%s/%zu", ds ? "ds" : "qwen", i);
        facts[i] = fixture_account_facts(ds ? "ds" : "qwen", ids[i]);
        facts[i].numbers.requests_day = i;
    }
    return gate_trace_accounts_make(facts, ACCOUNTS, NOW);
}

/* Requests for qwen-turbo, one second apart; every second one of a team. */
static struct world *world_open(const char *running[3], const char *draft[3], size_t count)
{
    struct world *w = gate_calloc(1, sizeof *w);
    candidates_open(&w->base);
    w->running = candidate_make(&w->base, running[0], running[1], running[2]);
    w->draft = candidate_make(&w->base, draft[0], draft[1], draft[2]);
    w->accounts = make_accounts();
    w->traces = gate_calloc(count, sizeof w->traces[0]);
    w->count = count;
    for (size_t i = 0; i < count; i++) {
        struct gate_trace *t = &w->traces[i];
        w->list[i] = t;
        t->at_ms = NOW - i * 1000;
        snprintf(t->id, sizeof t->id, "r%zu", i);
        snprintf(t->key, sizeof t->key, "ada");
        snprintf(t->provider, sizeof t->provider, "qwen");
        t->input = (struct gate_trace_input){.there = true,
                                             .whole = true,
                                             .message_count = (uint32_t)(i % 10),
                                             .body_bytes = 100 * i,
                                             .model = "qwen-turbo",
                                             .accounts = w->accounts};
        if (i % 2 == 0) {
            memcpy(t->input.headers, "x-team\0blue", 12);
            t->input.headers_len = 12;
        }
    }
    return w;
}

static const struct gate_dry_run *run(struct world *w, size_t max_rows)
{
    gate_dry_run_finish(&w->out);
    gate_dry_run(&w->running, &w->draft, w->list, w->count, max_rows, &w->out);
    return &w->out;
}

static void world_close(struct world *w)
{
    gate_dry_run_finish(&w->out);
    gate_trace_accounts_release(w->accounts);
    candidate_finish(&w->running);
    candidate_finish(&w->draft);
    candidates_close(&w->base);
    free(w->traces);
    free(w);
}

#define NONE ((const char *[3]){NULL, NULL, NULL})
#define ROUTING(text) ((const char *[3]){NULL, "return function(req) " text " end", NULL})

START_TEST(the_same_scripts_change_nothing)
{
    struct world *w = world_open(NONE, ROUTING("return nil"), 100);
    const struct gate_dry_run *d = run(w, 100);
    ck_assert_uint_eq(d->count, 100);
    ck_assert_uint_eq(d->changes[GATE_CHANGE_NONE], 100);
    ck_assert_uint_eq(d->row_count, 0);
    ck_assert(d->median_ns > 0 && d->median_ns <= d->p99_ns && d->p99_ns <= d->max_ns);
    world_close(w);
}
END_TEST

/* Each kind of change, by what the draft does with all of ten requests. */
static const struct {
    const char *running[3], *draft[3];
    enum gate_change change;
} kinds[] = {
    {{NULL, NULL, NULL}, {NULL, NULL, "return { strategy = 'least_used' }"}, GATE_CHANGE_ACCOUNT},
    {{NULL, NULL, NULL}, {"return { ['qwen-turbo'] = 'qwen-max' }", NULL, NULL}, GATE_CHANGE_MODEL},
    {{NULL, NULL, NULL},
     {NULL, "return function() return 'ds-chat' end", NULL},
     GATE_CHANGE_PROVIDER},
    {{NULL, NULL, NULL},
     {NULL, "return function() return { reject = { status = 403 } } end", NULL},
     GATE_CHANGE_REJECTED},
    {{NULL, NULL, NULL},
     {NULL, "return function() return 'nobody' end", NULL},
     GATE_CHANGE_REJECTED},
    {{NULL, "return function() return { reject = { status = 403 } } end", NULL},
     {NULL, "return function() return { reject = { status = 429 } } end", NULL},
     GATE_CHANGE_REJECTED},
    {{NULL, "return function() return { reject = { status = 403 } } end", NULL},
     {NULL, "return function() return { reject = { status = 403, code = 'x' } } end", NULL},
     GATE_CHANGE_NONE},
    {{NULL, "return function() return 'nobody' end", NULL}, {NULL, NULL, NULL}, GATE_CHANGE_SERVED},
    {{NULL, "return function() error('x') end", NULL}, {NULL, NULL, NULL}, GATE_CHANGE_SERVED},
    {{NULL, NULL, NULL}, {NULL, "return function() error('x') end", NULL}, GATE_CHANGE_ERROR},
};

START_TEST(kinds_of_changes)
{
    const char *running[3] = {kinds[_i].running[0], kinds[_i].running[1], kinds[_i].running[2]};
    const char *draft[3] = {kinds[_i].draft[0], kinds[_i].draft[1], kinds[_i].draft[2]};
    struct world *w = world_open(running, draft, 10);
    const struct gate_dry_run *d = run(w, 100);
    /* least_used takes the first one, which one request of ten had anyway */
    size_t expected = kinds[_i].change == GATE_CHANGE_ACCOUNT ? 9 : 10;
    ck_assert_uint_eq(d->changes[kinds[_i].change], expected);
    ck_assert_uint_eq(d->row_count, kinds[_i].change == GATE_CHANGE_NONE ? 0 : expected);
    world_close(w);
}
END_TEST

START_TEST(features_reach_the_scripts)
{
    struct world *w = world_open(
        NONE,
        ROUTING("if req.headers['x-team'] == 'blue' and req.messages == 4 and req.key == 'ada' and "
                "req.body_bytes >= 400 and gate.now() % 1000 == 0 then return 'ds-chat' end"),
        100);
    ck_assert_uint_eq(run(w, 100)->changes[GATE_CHANGE_PROVIDER], 10);
    for (size_t i = 0; i < w->out.row_count; i++)
        ck_assert_str_eq(w->out.rows[i].after.targets[0].provider, "ds");
    world_close(w);
}
END_TEST

START_TEST(errors_first_then_the_newest)
{
    struct world *w = world_open(NONE,
                                 ROUTING("if req.messages == 7 then error('seven') end "
                                         "return 'ds-chat'"),
                                 60);
    const struct gate_dry_run *d = run(w, 8);
    static const char *const ids[] = {"r7", "r17", "r27", "r37", "r47", "r57", "r0", "r1"};
    ck_assert_uint_eq(d->row_count, 8);
    for (size_t i = 0; i < 8; i++)
        ck_assert_str_eq(d->rows[i].request->id, ids[i]);
    ck_assert_uint_eq(d->changes[GATE_CHANGE_ERROR], 6);
    ck_assert_uint_eq(d->changes[GATE_CHANGE_PROVIDER], 54);
    ck_assert_msg(strstr(d->rows[0].after.message, "routing.lua:1: seven") != NULL, "%s",
                  d->rows[0].after.message);
    ck_assert_uint_eq(run(w, 3)->row_count, 3);
    ck_assert_str_eq(w->out.rows[2].request->id, "r27");
    ck_assert_uint_eq(run(w, 0)->row_count, 0);
    ck_assert_uint_eq(w->out.changes[GATE_CHANGE_ERROR], 6);
    world_close(w);
}
END_TEST

START_TEST(from_the_oldest_on)
{
    struct world *w =
        world_open(NONE, ROUTING("if gate.counter('n', 1) <= 3 then return 'ds-chat' end"), 10);
    const struct gate_dry_run *d = run(w, 10);
    ck_assert_uint_eq(d->row_count, 3);
    ck_assert_str_eq(d->rows[0].request->id, "r7");
    ck_assert_str_eq(d->rows[2].request->id, "r9");
    world_close(w);
}
END_TEST

START_TEST(turns_do_not_depend_on_the_draft)
{
    struct world *w =
        world_open(NONE, ROUTING("if req.messages % 2 == 0 then return 'ds-chat' end"), 40);
    const struct gate_dry_run *d = run(w, 40);
    ck_assert_uint_eq(d->changes[GATE_CHANGE_PROVIDER], 20);
    ck_assert_uint_eq(d->changes[GATE_CHANGE_ACCOUNT], 0);
    for (size_t i = 0; i + 1 < d->row_count; i++) /* and all accounts have their turn */
        ck_assert_str_ne(d->rows[i].before.account, d->rows[i + 1].before.account);
    world_close(w);
}
END_TEST

START_TEST(what_cannot_be_replayed_is_left_out)
{
    struct world *w = world_open(NONE, ROUTING("return 'ds-chat'"), 10);
    w->traces[2].input.whole = false;
    w->traces[5].input.there = false;
    w->traces[6].input.accounts = NULL; /* lost to the bound: targets are compared all the same */
    const struct gate_dry_run *d = run(w, 10);
    ck_assert_uint_eq(d->count, 8);
    ck_assert_uint_eq(d->changes[GATE_CHANGE_PROVIDER], 8);
    gate_dry_run_finish(&w->out);
    gate_dry_run(&w->running, &w->draft, w->list, 0, 10, &w->out);
    ck_assert_uint_eq(w->out.count, 0);
    world_close(w);
}
END_TEST

START_TEST(json_tells_rows)
{
    struct world *w = world_open(NONE, ROUTING("return 'ds-chat'"), 2);
    struct gate_buf out;
    gate_buf_init(&out, 1 << 16);
    run(w, 1);
    gate_dry_run_json(&w->out, &out);
    gate_buf_append_byte(&out, '\0');
    ck_assert_ptr_eq(
        strstr(out.ptr, "{\"requests\":2,\"stopped\":false,\"changed\":2,\"changes\":{\"none\":0,"),
        out.ptr);
    ck_assert_ptr_nonnull(strstr(out.ptr, "\"rows\":[{\"id\":\"r0\",\"at\":1795400000000,"));
    ck_assert_ptr_nonnull(strstr(out.ptr, "\"change\":\"provider\",\"before\":{\"outcome\":"));
    gate_buf_finish(&out);
    world_close(w);
}
END_TEST

/* A draft whose rules differ for every account, with a select: the dearest case. */
START_TEST(a_thousand_requests_take_less_than_200_ms)
{
    static const char routing[] = "return function(req) if req.messages > 5 then return { "
                                  "'qwen-max', 'ds-chat' } end return 'qwen-turbo' end";
    const char *running[3] = {NULL, routing, NULL};
    const char *draft[3] = {
        "return { ['qwen-*'] = 'qwen/*' }", routing,
        "return { limits = { chat = { rpm = 50 } }, strategy = 'least_used', "
        "select = function(accounts, req)\n"
        "  local best\n"
        "  for _, a in ipairs(accounts) do\n"
        "    if not best or a.requests_day < best.requests_day then best = a end\n"
        "  end\n"
        "  return best end }"};
    struct world *w = world_open(running, draft, REQUESTS);
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; i++)
        best = run(w, 50)->took_us < best ? w->out.took_us : best;
    printf("%d requests, %d accounts, both sides: %.1f ms; one decision: median %.1f us, p99 %.1f "
           "us\n",
           REQUESTS, ACCOUNTS, (double)best / 1000, (double)w->out.median_ns / 1000,
           (double)w->out.p99_ns / 1000);
    ck_assert_uint_eq(w->out.count, REQUESTS);
    ck_assert_uint_eq(w->out.changes[GATE_CHANGE_ERROR], 0);
    ck_assert_uint_lt(best, 200000);
    world_close(w);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, the_same_scripts_change_nothing);
    FIXTURE_ADD_ROWS(c, kinds_of_changes, kinds);
    tcase_add_test(c, features_reach_the_scripts);
    tcase_add_test(c, errors_first_then_the_newest);
    tcase_add_test(c, from_the_oldest_on);
    tcase_add_test(c, turns_do_not_depend_on_the_draft);
    tcase_add_test(c, what_cannot_be_replayed_is_left_out);
    tcase_add_test(c, json_tells_rows);
    tcase_add_test(c, a_thousand_requests_take_less_than_200_ms);
}

int main(void)
{
    return fixture_main("dry run", add);
}
