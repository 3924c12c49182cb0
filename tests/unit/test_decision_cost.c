/* What a decision costs with the scripts as shipped: route, mapping and selection among 20
 * accounts, and that ten million of them leave memory as it was. */
#include "pool_fixture.h"
#include "script/script.h"
#include <time.h>

#ifdef GATE_CPU_SCALE
enum { ROUNDS = 3, REQUESTS = 2000, MANY = 200000, BAR_NS = 1000000 }; /* instrumented builds */
#else
enum { ROUNDS = 9, REQUESTS = 40000, MANY = 10000000, BAR_NS = 3000 };
#endif
enum { ACCOUNTS = 20 };

static const uint64_t START = 1795400000000u;

struct fixture {
    struct pool_fixture pool;
    struct gate_generation *generation;
    struct gate_script_host host;
    struct gate_script *script;
};

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fixture_open(struct fixture *f)
{
    struct gate_error err = {.message = ""};
    pool_fixture_open(&f->pool, ACCOUNTS);
    ck_assert_msg(gate_generation_load(GATE_SOURCE_DIR "/conf", GATE_SOURCE_DIR "/scripts", NULL, 0,
                                       1, &f->generation, &err) == GATE_OK,
                  "%s", err.message);
    f->host = (struct gate_script_host){gate_kv_create(), gate_counters_create()};
    ck_assert_int_eq(gate_script_create(f->generation, &f->host, &f->script, &err), GATE_OK);
}

static void fixture_close(struct fixture *f)
{
    gate_script_destroy(f->script);
    gate_kv_destroy(f->host.kv);
    gate_counters_destroy(f->host.counters);
    gate_generation_release(f->generation);
    pool_fixture_close(&f->pool);
}

/* One request up to the account that serves it, and its end. False: something refused it. */
static bool decide(struct fixture *f, uint64_t now_ms)
{
    static struct gate_choice choice;
    static const struct gate_request_facts facts = {.message_count = 3, .stream = true};
    static const struct gate_route_view view = {.model = GATE_STR("qwen3-coder-plus"),
                                                .key_name = GATE_STR("default"),
                                                .path = GATE_STR("/v1/chat/completions"),
                                                .facts = &facts,
                                                .body_bytes = 4000};
    struct gate_decision decision;
    struct gate_error err;
    struct gate_str target;
    char mapped[GATE_SCRIPT_MAX_TARGET];
    if (gate_script_route(f->script, &view, &decision, &err) != GATE_OK ||
        decision.target_count != 0 ||
        gate_script_map(f->script, view.model, mapped, &target, &err) != GATE_OK || target.len != 0)
        return false;
    gate_decision_finish(&decision);
    struct gate_select s = f->pool.select;
    s.strategy = gate_generation_policy(f->generation)->strategy;
    s.now_ms = now_ms;
    if (gate_script_has_select(f->script) || gate_select(&s, &choice) != GATE_SELECT_CHOSEN)
        return false;
    pool_fixture_end(&f->pool, &choice, GATE_OUTCOME_ANSWERED, 150, now_ms);
    return true;
}

START_TEST(a_default_decision_is_cheap)
{
    struct fixture f;
    double best = 1e12;
    size_t refused = 0;
    fixture_open(&f);
    for (int round = 0; round < ROUNDS; round++) {
        double began = cpu_ns();
        for (int i = 0; i < REQUESTS; i++)
            refused += !decide(&f, START + (uint64_t)(round * REQUESTS + i) / 20);
        double each = (cpu_ns() - began) / REQUESTS;
        best = each < best ? each : best;
    }
    printf("route, mapping and selection among %d accounts: %.0f ns a request\n", ACCOUNTS, best);
    ck_assert_uint_eq(refused, 0);
    ck_assert_double_lt(best, BAR_NS);
    fixture_close(&f);
}
END_TEST

START_TEST(many_decisions_leave_memory_as_it_was)
{
    struct fixture f;
    size_t refused = 0, most = 0;
    fixture_open(&f);
    for (int i = 0; i < 10000; i++)
        refused += !decide(&f, START + (uint64_t)i / 20);
    size_t before = gate_script_memory(f.script);
    for (int i = 0; i < MANY; i++) {
        refused += !decide(&f, START + 10000 + (uint64_t)i / 20);
        size_t now = gate_script_memory(f.script);
        most = now > most ? now : most;
    }
    printf("%d decisions: %zu bytes of Lua before, at most %zu meanwhile\n", MANY, before, most);
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_le(most, before);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("decision cost");
    TCase *c = tcase_create("cost");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, a_default_decision_is_cheap);
    tcase_add_test(c, many_decisions_leave_memory_as_it_was);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
