/* Device logins: what the service may answer to the request for a code and to each poll, and what
 * becomes of the account. */
#include "login_fixture.h"

/* ---- a new account */

START_TEST(a_login_makes_an_account)
{
    struct login l;
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_PENDING);
    ck_assert_str_eq(l.user_code, "AB-12");
    ck_assert_str_eq(l.uri, "https://svc.example/device");
    ck_assert_str_eq(l.uri_complete, "");
    ck_assert_str_eq(l.account, "");
    ck_assert_uint_eq(strlen(l.id), 32);
    ck_assert_uint_ge(l.expires_ms, l.started_ms + 600000);
    ck_assert_uint_lt(l.expires_ms, l.started_ms + 660000);
    tiny_wait(service.http, &g->provider.parsed, 3);
    get(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_PENDING);

    SERVICE(service.login = "a 1 1 5");
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_DONE);
    ck_assert_str_eq(l.message, "");
    ck_assert_uint_eq(strncmp(l.account, "svc/", 4), 0);
    struct seen s = look_at(g, l.account);
    ck_assert_str_eq(s.access, "access-a-1");
    ck_assert_str_eq(s.alias, "svc login");
    ck_assert_int_eq(s.account->kind, GATE_CREDENTIAL_OAUTH);
    size_t requests = service_requests(&service);
    let_timers_run();
    ck_assert_uint_eq(service_requests(&service), requests);
    ck_assert(cancel(l.id)); /* too late: it stays as it is */
    get(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_DONE);
    ck_assert_uint_eq(l.told, 1);
    SERVICE(ck_assert(service.same_verifier));
    SERVICE(ck_assert_uint_eq(strlen(service.verifier), 43));
    SERVICE(ck_assert_uint_eq(strspn(service.verifier, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                       "abcdefghijklmnopqrstuvwxyz0123456789-_"),
                              43));
}
END_TEST

START_TEST(two_at_once_are_two_accounts)
{
    struct login a, b;
    ck_assert_int_eq(start(&a, NULL, ""), GATE_OK);
    wait_told(&a);
    ck_assert_int_eq(start(&b, NULL, ""), GATE_OK);
    wait_told(&b);
    ck_assert_str_ne(a.id, b.id);
    SERVICE(service.login = "a 1 1 5");
    wait_over(&a);
    wait_over(&b);
    ck_assert_int_eq(a.state, GATE_LOGIN_DONE);
    ck_assert_int_eq(b.state, GATE_LOGIN_DONE);
    ck_assert_str_ne(a.account, b.account);
    ck_assert_str_ne(look_at(g, a.account).alias, look_at(g, b.account).alias);
    /* The first verifier is not the second's. */
    SERVICE(ck_assert(!service.same_verifier));
}
END_TEST

START_TEST(the_alias_that_was_asked_for)
{
    struct login l;
    SERVICE(service.login = "a 1 1 5");
    ck_assert_int_eq(start(&l, NULL, "of the office"), GATE_OK);
    wait_told(&l);
    wait_over(&l);
    ck_assert_str_eq(look_at(g, l.account).alias, "of the office");
}
END_TEST

/* ---- what a poll may answer */

START_TEST(slower_when_asked)
{
    struct login l;
    SERVICE(service.login = "slow_down");
    uint64_t begun = gate_clock_mono_ms();
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    tiny_wait(service.http, &g->provider.parsed, 4); /* behind 50, 100, 200 and 400 ms */
    ck_assert_uint_ge(gate_clock_mono_ms() - begun, 750);
    ck_assert(cancel(l.id));
}
END_TEST

static const struct {
    const char *answer;
    enum gate_login_state state;
} ends[] = {
    {"denied", GATE_LOGIN_DENIED},       {"expired", GATE_LOGIN_EXPIRED},
    {"broken", GATE_LOGIN_FAILED},       {"nothing", GATE_LOGIN_FAILED},
    {"not a secret", GATE_LOGIN_FAILED}, {"", GATE_LOGIN_FAILED},
};

START_TEST(ends_of_a_login)
{
    struct login l;
    SERVICE(service.login = ends[_i].answer);
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    wait_over(&l);
    ck_assert_int_eq(l.state, ends[_i].state);
    ck_assert_str_ne(l.message, "");
    ck_assert_str_eq(l.account, "");
    size_t requests = service_requests(&service);
    let_timers_run();
    ck_assert_uint_eq(service_requests(&service), requests);
}
END_TEST

START_TEST(answers_that_teach_nothing_do_not_end_it)
{
    struct login l;
    SERVICE(service.login = "page");
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    tiny_wait(service.http, &g->provider.parsed, 2);
    service_set(&service, SERVICE_CLOSES);
    size_t parsed = tiny_read_number(service.http, &g->provider.parsed);
    tiny_wait(service.http, &g->provider.parsed, parsed + 2);
    get(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_PENDING);
    SERVICE(service.login = "a 1 1 5"; service.mode = SERVICE_GRANTS);
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_DONE);
}
END_TEST

START_TEST(nobody_confirms_it)
{
    struct login l;
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    service_set(&service, SERVICE_CLOSES);
    size_t parsed = tiny_read_number(service.http, &g->provider.parsed);
    tiny_wait(service.http, &g->provider.parsed, parsed + 2);
    advance(600000);
    let_timers_run();
    get(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_EXPIRED);
    ck_assert_str_eq(
        l.message,
        "nobody confirmed the code before it expired; the last poll failed: not reached");
}
END_TEST

/* ---- what the request for a code may bring */

START_TEST(no_code_comes)
{
    struct login l;
    static const char *const codes[] = {"<html>", "{}", "{\"user_code\":\"A\"}",
                                        "{\"user_code\":7,\"verification_uri\":\"u\"}"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        SERVICE(service.code = codes[i]);
        ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
        wait_told(&l);
        ck_assert_int_eq(l.state, GATE_LOGIN_FAILED);
        ck_assert_str_eq(l.message, "the login service gave no usable code");
    }
    service_set(&service, SERVICE_CLOSES);
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_FAILED);
    ck_assert_ptr_ne(strstr(l.message, "not reached"), NULL);
    let_timers_run();
    ck_assert_uint_eq(l.told, 1);
}
END_TEST

static const struct {
    const char *code;
    uint64_t life_ms;
} lives[] = {
    {"{\"user_code\":\"A\",\"verification_uri\":\"u\",\"device_code\":\"device-secret\"}", 600000},
    {"{\"user_code\":\"A\",\"verification_uri\":\"u\",\"expires_in\":\"9\"}", 600000},
    {"{\"user_code\":\"A\",\"verification_uri\":\"u\",\"expires_in\":-4,\"interval\":-1}", 600000},
    {"{\"user_code\":\"A\",\"verification_uri\":\"u\",\"expires_in\":90}", 90000},
    {"{\"user_code\":\"A\",\"verification_uri\":\"u\",\"expires_in\":1e300}", 86400000},
};

START_TEST(lives_of_codes)
{
    struct login l;
    SERVICE(service.code = lives[_i].code);
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_PENDING);
    ck_assert_uint_ge(l.expires_ms, l.started_ms + lives[_i].life_ms);
    ck_assert_uint_lt(l.expires_ms, l.started_ms + lives[_i].life_ms + 60000);
}
END_TEST

/* ---- ending it */

START_TEST(cancelled)
{
    struct login l;
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    tiny_wait(service.http, &g->provider.parsed, 1);
    ck_assert(cancel(l.id));
    get(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_CANCELLED);
    size_t requests = service_requests(&service);
    let_timers_run();
    ck_assert_uint_eq(service_requests(&service), requests);
    ck_assert_uint_eq(l.told, 1);
    ck_assert(!cancel("0123456789abcdef0123456789abcdef"));
}
END_TEST

static void take_id(void *ctx, const struct gate_login_view *view)
{
    snprintf(ctx, 33, "%s", view->id);
}

static void work_last_id(struct work *w)
{
    gate_login_each(w->g->logins, take_id, (void *)(uintptr_t)w->text.ptr);
}

START_TEST(cancelled_before_there_is_a_code)
{
    struct login l;
    char id[33] = "";
    service_set(&service, SERVICE_HOLDS);
    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    tiny_wait(service.http, &service.http->requests, 1);
    on_control(&(struct work){.g = g, .what = work_last_id, .text = {id, sizeof id}});
    ck_assert(cancel(id));
    wait_told(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_CANCELLED);
    tiny_wait(service.http, &service.http->left, 1);
}
END_TEST

START_TEST(the_gateway_stops)
{
    struct gateway *first = g;
    struct login waits, starts;
    ck_assert_int_eq(start(&waits, NULL, ""), GATE_OK);
    wait_told(&waits);
    service_set(&service, SERVICE_HOLDS);
    ck_assert_int_eq(start(&starts, NULL, ""), GATE_OK);
    g = gateway_start();
    gateway_stop(first);
    wait_told(&starts);
    ck_assert_int_eq(starts.state, GATE_LOGIN_CANCELLED);
    ck_assert_uint_eq(waits.told, 1);
}
END_TEST

static void count_flow(void *ctx, const struct gate_login_view *view)
{
    (void)view;
    ++*(size_t *)ctx;
}

static void work_count(struct work *w)
{
    size_t count = 0;
    gate_login_each(w->g->logins, count_flow, &count);
    w->result = count;
}

static size_t count_flows(void)
{
    struct work w = {.g = g, .what = work_count};
    on_control(&w);
    return w.result;
}

static void work_ten_minutes(struct work *w)
{
    gate_timers_run(gate_control_timers(w->g->control),
                    gate_clock_mono_ms() + GATE_LOGIN_KEEP_MS + 1000);
}

START_TEST(bounds)
{
    struct login all[GATE_LOGIN_MAX], more;
    for (size_t i = 0; i < GATE_LOGIN_MAX; i++) {
        ck_assert_int_eq(start(&all[i], NULL, ""), GATE_OK);
        wait_told(&all[i]);
    }
    ck_assert_int_eq(start(&more, NULL, ""), GATE_ELIMIT);
    for (size_t i = 0; i < 4 * GATE_LOGIN_MAX; i++) {
        ck_assert(cancel(all[i % GATE_LOGIN_MAX].id));
        ck_assert_int_eq(start(&all[i % GATE_LOGIN_MAX], NULL, ""), GATE_OK);
        wait_told(&all[i % GATE_LOGIN_MAX]);
    }
    ck_assert_uint_le(count_flows(), 2 * GATE_LOGIN_MAX);
    for (size_t i = 0; i < GATE_LOGIN_MAX; i++) {
        ck_assert(cancel(all[i].id));
        get(&all[i]);
        ck_assert(all[i].found);
    }
    on_control(&(struct work){.g = g, .what = work_ten_minutes});
    ck_assert_uint_eq(count_flows(), 0);
    get(&all[0]);
    ck_assert(!all[0].found);
}
END_TEST

/* ---- renewing */

static void work_sign_in(struct work *w)
{
    gate_roster_needs_sign_in(w->g->roster, w->m, "test");
}

START_TEST(a_renewed_account_stays_the_same)
{
    struct login l;
    add_account(g, 'a', 5);
    struct seen before = look_at(g, "svc/a");
    on_control(&(struct work){.g = g, .id = "svc/a", .what = work_sign_in});
    SERVICE(service.login = "a 7 7 5");
    ck_assert_int_eq(start(&l, "svc/a", "ignored"), GATE_OK);
    wait_told(&l);
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_DONE);
    ck_assert_str_eq(l.account, "svc/a");
    struct seen after = look_at(g, "svc/a");
    ck_assert_str_eq(after.access, "access-a-7");
    ck_assert_str_eq(after.alias, before.alias);
    ck_assert_ptr_eq(after.account, before.account);
    ck_assert_uint_gt(after.version, before.version);
    ck_assert_int_eq(after.condition, GATE_CONDITION_SERVING);
}
END_TEST

START_TEST(a_renewed_account_was_deleted)
{
    struct login l;
    add_account(g, 'a', 5);
    ck_assert_int_eq(start(&l, "svc/a", ""), GATE_OK);
    wait_told(&l);
    delete_account(g, "svc/a", false);
    SERVICE(service.login = "a 7 7 5");
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_FAILED);
    ck_assert_ptr_ne(strstr(l.message, "svc/a was deleted meanwhile"), NULL);
    ck_assert_int_eq(start(&l, "svc/a", ""), GATE_EINVAL);
}
END_TEST

START_TEST(storage_takes_no_writes)
{
    struct login l;
    add_account(g, 'a', 5);
    memory_storage_set_mode(&memory, MEMORY_STORAGE_FAIL_WRITES);
    SERVICE(service.login = "a 7 7 5");
    ck_assert_int_eq(start(&l, "svc/a", ""), GATE_OK);
    wait_told(&l);
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_DONE);
    ck_assert_ptr_ne(strstr(l.message, "not in storage yet"), NULL);
    ck_assert_str_eq(look_at(g, "svc/a").access, "access-a-7");

    ck_assert_int_eq(start(&l, NULL, ""), GATE_OK);
    wait_told(&l);
    wait_over(&l);
    ck_assert_int_eq(l.state, GATE_LOGIN_FAILED);
    ck_assert_ptr_ne(strstr(l.message, "could not be kept"), NULL);
    memory_storage_set_mode(&memory, MEMORY_STORAGE_WELL);
}
END_TEST

START_TEST(not_startable)
{
    struct login l;
    on_control(&(struct work){
        .g = g, .id = "svc/k", .what = work_add, .flag = true, .text = GATE_STR("key")});
    ck_assert_int_eq(start(&l, "svc/k", ""), GATE_EINVAL);
    ck_assert_int_eq(start(&l, NULL, "a\033[2J"), GATE_EINVAL);
    l.work.text = GATE_STR("other");
    l.alias = GATE_STR("");
    on_control(&l.work);
    ck_assert_int_eq(l.work.status, GATE_ENOTFOUND);
    struct gate_provider_ops none = {.size = sizeof none};
    g->pool->instance->ops = &none;
    ck_assert_int_eq(start(&l, NULL, ""), GATE_EINVAL);
    g->pool->instance->ops = &provider_ops;
    ck_assert_uint_eq(service_requests(&service), 0);
    ck_assert_uint_eq(count_flows(), 0);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_test(tests, a_login_makes_an_account);
    tcase_add_test(tests, two_at_once_are_two_accounts);
    tcase_add_test(tests, the_alias_that_was_asked_for);
    tcase_add_test(tests, slower_when_asked);
    tcase_add_loop_test(tests, ends_of_a_login, 0, (int)(sizeof ends / sizeof ends[0]));
    tcase_add_test(tests, answers_that_teach_nothing_do_not_end_it);
    tcase_add_test(tests, nobody_confirms_it);
    tcase_add_test(tests, no_code_comes);
    tcase_add_loop_test(tests, lives_of_codes, 0, (int)(sizeof lives / sizeof lives[0]));
    tcase_add_test(tests, cancelled);
    tcase_add_test(tests, cancelled_before_there_is_a_code);
    tcase_add_test(tests, the_gateway_stops);
    tcase_add_test(tests, bounds);
    tcase_add_test(tests, a_renewed_account_stays_the_same);
    tcase_add_test(tests, a_renewed_account_was_deleted);
    tcase_add_test(tests, storage_takes_no_writes);
    tcase_add_test(tests, not_startable);
}

int main(void)
{
    return oauth_main("login", login_setup, login_teardown, add);
}
