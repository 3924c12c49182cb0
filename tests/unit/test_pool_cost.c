/* What the pool costs a request: selection, quota and health of 20 accounts, beside the floor of a
 * pool with one account. Prints figures; fails only when they are absurd. */
#include "pool_fixture.h"
#include <time.h>

enum { ROUNDS = 9, REQUESTS = 40000, ACCOUNTS = 20 };

static const uint64_t START = 1795400000000u;

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One request's share of everything that the pool does for it. */
static double measure(struct pool_fixture *f, enum gate_strategy strategy)
{
    static struct gate_choice c;
    double best = 1e12;
    size_t refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double began = cpu_ns();
        for (int i = 0; i < REQUESTS; i++) {
            struct gate_select s = f->select;
            struct gate_quota_numbers n;
            s.strategy = strategy;
            s.sticky = (uint64_t)i;
            s.now_ms = START + (uint64_t)(round * REQUESTS + i) / 20; /* 20 in a ms */
            refused += gate_select(&s, &c) != GATE_SELECT_CHOSEN; /* Check's own calls cost more */
            f->quota.ops->numbers(f->quota.instance, c.entry->account->quota, s.kind, s.now_ms, &n);
            gate_health_good(c.entry->account, c.probe, c.last_resort, 1000);
            pool_fixture_end(f, &c, GATE_OUTCOME_ANSWERED, 150, s.now_ms);
        }
        double each = (cpu_ns() - began) / REQUESTS;
        best = each < best ? each : best;
    }
    ck_assert_uint_eq(refused, 0);
    return best;
}

static void set_limits(struct pool_fixture *f)
{
    for (size_t i = 0; i < f->table->count; i++)
        f->table->entries[i].limits[GATE_USAGE_CHAT] =
            (struct gate_limits){100000000, 1000000000, 1000000000, 1000000000, 1000};
}

START_TEST(cost_of_every_strategy)
{
    struct pool_fixture f;
    pool_fixture_open(&f, ACCOUNTS);
    set_limits(&f);
    double ns = measure(&f, (enum gate_strategy)_i);
    printf("pool and quota, %d accounts, all limits on, %s: %.0f ns a request\n", ACCOUNTS,
           gate_strategy_names[_i], ns);
    ck_assert_double_lt(ns, 100000);
    pool_fixture_close(&f);
}
END_TEST

START_TEST(cost_of_a_single_account)
{
    struct pool_fixture f;
    pool_fixture_open(&f, 1);
    printf("pool and quota, 1 account without limits: %.0f ns a request\n",
           measure(&f, GATE_STRATEGY_ROUND_ROBIN));
    pool_fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pool cost");
    TCase *c = tcase_create("cost");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, cost_of_every_strategy, 0, GATE_STRATEGIES);
    tcase_add_test(c, cost_of_a_single_account);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
