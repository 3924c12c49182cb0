/* Selection over a pool: strategies, health and quota together; random traces against a slow, exact
 * model. */
#include "pool_fixture.h"

enum {
    TRACE = 100000, /* requests of one trace */
    MAX_ACCOUNTS = 50,
    MAX_RUNNING = 64,
    DAY_MS = 86400000,
    ZONE_MS = 8 * 3600 * 1000,
};

static const uint64_t START = 1795400000000u;

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- the model: every request by its time */

struct modelled {
    uint64_t *minute; /* times of requests that count in the minute; none is ever given back but
                         what was not sent */
    size_t count, room;
    uint64_t day, day_count;
    uint32_t running;
};

static uint64_t day_of(uint64_t now)
{
    return (now + ZONE_MS) / DAY_MS;
}

/* Requests in any 60 s that end now, in the quota's grain of one second. */
static uint64_t in_minute(const struct modelled *m, uint64_t now)
{
    uint64_t count = 0;
    for (size_t i = m->count; i-- > 0 && m->minute[i] / 1000 + 61 > now / 1000;)
        count++;
    return count;
}

static bool has_room(const struct modelled *m, const struct gate_limits *l, uint64_t now)
{
    uint64_t today = m->day == day_of(now) ? m->day_count : 0;
    return (l->requests_per_minute == 0 || in_minute(m, now) < l->requests_per_minute) &&
           (l->requests_per_day == 0 || today < l->requests_per_day) &&
           (l->concurrency == 0 || m->running < l->concurrency);
}

static void model_take(struct modelled *m, uint64_t now)
{
    if (m->count == m->room) {
        m->room = m->room * 2 + 64;
        m->minute = realloc(m->minute, m->room * sizeof m->minute[0]);
        ck_assert_ptr_nonnull(m->minute);
    }
    m->minute[m->count++] = now;
    if (m->day != day_of(now)) {
        m->day = day_of(now);
        m->day_count = 0;
    }
    m->day_count++;
    m->running++;
}

static void model_end(struct modelled *m, uint64_t taken_at, enum gate_outcome outcome)
{
    m->running--;
    if (outcome == GATE_OUTCOME_REFUSED || outcome == GATE_OUTCOME_NOT_SENT)
        if (m->day == day_of(taken_at))
            m->day_count--;
    if (outcome != GATE_OUTCOME_NOT_SENT)
        return;
    for (size_t i = m->count; i-- > 0;) {
        if (m->minute[i] != taken_at)
            continue;
        memmove(m->minute + i, m->minute + i + 1, (m->count - i - 1) * sizeof m->minute[0]);
        m->count--;
        return;
    }
}

/* ---- a trace */

struct running {
    struct gate_choice choice;
    uint64_t at;
    size_t account;
};

struct trace {
    struct pool_fixture f;
    struct modelled accounts[MAX_ACCOUNTS];
    struct running running[MAX_RUNNING];
    size_t count, running_count;
    uint64_t now, random, chosen, refused;
    struct gate_choice choice;
};

static void random_limits(struct trace *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct gate_limits *l = &t->f.table->entries[i].limits[GATE_USAGE_CHAT];
        l->requests_per_minute =
            next_random(&t->random) % 4 == 0 ? 0 : next_random(&t->random) % 30;
        l->requests_per_day = next_random(&t->random) % 3 == 0 ? 0 : next_random(&t->random) % 400;
        l->concurrency = next_random(&t->random) % 3 == 0 ? 0 : next_random(&t->random) % 5;
        t->f.table->entries[i].enabled = next_random(&t->random) % 10 != 0;
        t->f.table->entries[i].weight = next_random(&t->random) % 8;
    }
}

static bool may_serve(const struct trace *t, size_t i)
{
    const struct gate_entry *e = &t->f.table->entries[i];
    struct gate_health h = gate_health_read(e->account, t->now);
    return e->enabled && e->weight > 0 && h.condition == GATE_CONDITION_SERVING && !h.probing &&
           has_room(&t->accounts[i], &e->limits[GATE_USAGE_CHAT], t->now);
}

static void check_not_exceeded(const struct trace *t, size_t i)
{
    const struct gate_limits *l = &t->f.table->entries[i].limits[GATE_USAGE_CHAT];
    const struct modelled *m = &t->accounts[i];
    if (l->requests_per_minute != 0)
        ck_assert_uint_le(in_minute(m, t->now), l->requests_per_minute);
    if (l->requests_per_day != 0)
        ck_assert_uint_le(m->day_count, l->requests_per_day);
    if (l->concurrency != 0)
        ck_assert_uint_le(m->running, l->concurrency);
}

static void end_one(struct trace *t, size_t at)
{
    static const enum gate_outcome outcomes[] = {GATE_OUTCOME_ANSWERED, GATE_OUTCOME_ANSWERED,
                                                 GATE_OUTCOME_ANSWERED, GATE_OUTCOME_CANCELLED,
                                                 GATE_OUTCOME_REFUSED,  GATE_OUTCOME_NOT_SENT};
    struct running r = t->running[at];
    enum gate_outcome outcome = outcomes[next_random(&t->random) % 6];
    t->running[at] = t->running[--t->running_count];
    if (outcome == GATE_OUTCOME_REFUSED && next_random(&t->random) % 4 == 0) {
        struct gate_verdict v = {.kind = next_random(&t->random) % 2 ? GATE_VERDICT_OVERLOADED
                                                                     : GATE_VERDICT_RATE_LIMITED};
        struct gate_health_failure failure = {
            .verdict = &v,
            .reason = "",
            .pause_ms = gate_health_pause(r.choice.entry->account, &v, 0, t->now)};
        gate_health_bad(r.choice.entry->account, &failure, next_random(&t->random), t->now);
    } else if (outcome == GATE_OUTCOME_ANSWERED) {
        gate_health_good(r.choice.entry->account, r.choice.probe, r.choice.last_resort, 1000);
        r.choice.probe = false;
    }
    pool_fixture_end(&t->f, &r.choice, outcome, next_random(&t->random) % 300, t->now);
    model_end(&t->accounts[r.account], r.at, outcome);
}

static void ask(struct trace *t)
{
    struct gate_select s = t->f.select;
    s.now_ms = t->now;
    s.strategy = next_random(&t->random) % GATE_STRATEGIES;
    s.sticky = next_random(&t->random) % 100;
    bool could[MAX_ACCOUNTS]; /* before the choice changes anything */
    size_t room = 0;
    for (size_t i = 0; i < t->count; i++)
        room += could[i] = may_serve(t, i);
    if (gate_select(&s, &t->choice) == GATE_SELECT_NONE) {
        ck_assert_msg(room == 0, "%zu accounts had room", room);
        t->refused++;
        return;
    }
    size_t i = (size_t)(t->choice.entry - t->f.table->entries);
    ck_assert_msg(t->choice.last_resort ? room == 0 : could[i], "account %zu", i);
    for (size_t k = 0; k < t->choice.skipped_count; k++)
        ck_assert_msg(!could[t->choice.skipped[k].index], "passed by without reason");
    model_take(&t->accounts[i], t->now);
    check_not_exceeded(t, i);
    t->chosen++;
    if (t->running_count == MAX_RUNNING)
        end_one(t, next_random(&t->random) % MAX_RUNNING);
    t->running[t->running_count++] = (struct running){t->choice, t->now, i};
}

static void run_trace(size_t accounts, uint64_t seed)
{
    static struct trace t;
    memset(&t, 0, sizeof t);
    t.count = accounts;
    t.random = seed;
    t.now = START + next_random(&t.random) % DAY_MS;
    pool_fixture_open(&t.f, accounts);
    random_limits(&t);
    for (int i = 0; i < TRACE; i++) {
        uint64_t kind = next_random(&t.random) % 1000;
        t.now += kind == 0   ? next_random(&t.random) % DAY_MS
                 : kind < 20 ? next_random(&t.random) % 90000
                             : next_random(&t.random) % 400;
        while (t.running_count > 0 && next_random(&t.random) % 2 == 0)
            end_one(&t, next_random(&t.random) % t.running_count);
        ask(&t);
    }
    printf("%zu accounts, seed %llu: %llu chosen, %llu refused\n", accounts,
           (unsigned long long)seed, (unsigned long long)t.chosen, (unsigned long long)t.refused);
    ck_assert_uint_gt(t.chosen, TRACE / 100);
    for (size_t i = 0; i < accounts; i++)
        free(t.accounts[i].minute);
    pool_fixture_close(&t.f);
}

START_TEST(traces_never_exceed_a_limit_and_never_pass_by_room)
{
    static const size_t sizes[] = {2, 3, 7, 20, 50};
    run_trace(sizes[_i], 1000 + (uint64_t)_i);
}
END_TEST

/* ---- strategies */

static size_t choose(struct pool_fixture *f, enum gate_strategy strategy, uint64_t sticky,
                     struct gate_choice *c)
{
    struct gate_select s = f->select;
    s.strategy = strategy;
    s.sticky = sticky;
    s.now_ms = START;
    ck_assert_int_eq(gate_select(&s, c), GATE_SELECT_CHOSEN);
    return (size_t)(c->entry - f->table->entries);
}

START_TEST(weights_are_exact_in_every_round)
{
    struct pool_fixture f;
    struct gate_choice c;
    size_t counts[4] = {0};
    static const uint32_t weights[4] = {1, 3, 0, 6};
    pool_fixture_open(&f, 4);
    for (size_t i = 0; i < 4; i++)
        f.table->entries[i].weight = weights[i];
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < 10; i++) {
            counts[choose(&f, GATE_STRATEGY_WEIGHTED, 0, &c)]++;
            pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 1, START);
        }
        for (size_t i = 0; i < 4; i++)
            ck_assert_uint_eq(counts[i], weights[i] * (size_t)round);
    }
    pool_fixture_close(&f);
}
END_TEST

START_TEST(a_conversation_stays_yields_and_comes_back)
{
    struct pool_fixture f;
    struct gate_choice c;
    size_t counts[5] = {0};
    pool_fixture_open(&f, 5);
    for (uint64_t conversation = 1; conversation <= 500; conversation++) {
        size_t home = choose(&f, GATE_STRATEGY_STICKY, conversation, &c);
        struct gate_account *a = c.entry->account;
        pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 1, START);
        counts[home]++;
        gate_health_set(a, GATE_CONDITION_LIMITED, START + 60000, "", START);
        size_t other = choose(&f, GATE_STRATEGY_STICKY, conversation, &c);
        pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 1, START);
        ck_assert_uint_ne(other, home);
        ck_assert_uint_eq(choose(&f, GATE_STRATEGY_STICKY, conversation, &c), other);
        pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 1, START);
        gate_health_clear(a);
        ck_assert_uint_eq(choose(&f, GATE_STRATEGY_STICKY, conversation, &c), home);
        pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 1, START);
    }
    for (size_t i = 0; i < 5; i++) /* 100 each on average */
        ck_assert_msg(counts[i] > 60 && counts[i] < 140, "account %zu has %zu of 500", i,
                      counts[i]);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(in_turn_is_exact_and_skips_who_is_away)
{
    struct pool_fixture f;
    struct gate_choice c;
    pool_fixture_open(&f, 3);
    for (size_t i = 0; i < 9; i++) {
        ck_assert_uint_eq(choose(&f, GATE_STRATEGY_ROUND_ROBIN, 0, &c), i % 3);
        pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 1, START);
    }
    f.table->entries[1].enabled = false;
    size_t counts[3] = {0};
    for (size_t i = 0; i < 10; i++) {
        counts[choose(&f, GATE_STRATEGY_ROUND_ROBIN, 0, &c)]++;
        pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 1, START);
    }
    ck_assert_uint_eq(counts[0], 5);
    ck_assert_uint_eq(counts[1], 0);
    ck_assert_uint_eq(counts[2], 5);
    pool_fixture_close(&f);
}
END_TEST

/* Accounts that lack a tag are passed by, also as a last resort. */
START_TEST(tags_narrow_the_choice)
{
    static const struct gate_str has[] = {{"eu", 2}, {"paid", 4}}, wants[] = {{"paid", 4}};
    struct pool_fixture f;
    struct gate_choice c;
    pool_fixture_open(&f, 3);
    f.table->entries[1].tags = has;
    f.table->entries[1].tag_count = 2;
    f.table->entries[2].tags = has;
    f.table->entries[2].tag_count = 1;
    f.select.tags = wants;
    f.select.tag_count = 1;
    f.select.now_ms = START;
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(gate_select(&f.select, &c), GATE_SELECT_CHOSEN);
        ck_assert_ptr_eq(c.entry, &f.table->entries[1]);
        ck_assert_uint_eq(c.skipped_count, 2);
        ck_assert_int_eq(c.skipped[1].skip, GATE_SKIP_TAGS);
        pool_fixture_end(&f, &c, GATE_OUTCOME_ANSWERED, 1, START);
    }
    f.table->entries[1].enabled = false;
    for (size_t i = 0; i < 3; i += 2)
        gate_health_set(f.table->entries[i].account, GATE_CONDITION_COOLING, START + 1000, "",
                        START);
    ck_assert_int_eq(gate_select(&f.select, &c), GATE_SELECT_NONE);
    ck_assert_uint_eq(c.free_at_ms, 0); /* waiting for the two would not help */
    pool_fixture_close(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("pool");
    TCase *traces = tcase_create("traces"), *c = tcase_create("rules");
    tcase_set_timeout(traces, 600);
    tcase_add_loop_test(traces, traces_never_exceed_a_limit_and_never_pass_by_room, 0, 5);
    tcase_add_test(c, weights_are_exact_in_every_round);
    tcase_add_test(c, a_conversation_stays_yields_and_comes_back);
    tcase_add_test(c, in_turn_is_exact_and_skips_who_is_away);
    tcase_add_test(c, tags_narrow_the_choice);
    suite_add_tcase(s, traces);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
