/* Hostile select and on_error, and hostile accounts.lua files: each ends as one clean error within
 * its limits, and the same state answers the next request. */
#include "script_util.h"

#include "script/policy.h"

#include <time.h>

enum { CPU_LIMIT_MS = 3000 }; /* far above the 20 ms of a call: sanitizers are slow */

#define BUDGET "instruction budget used up"
#define MEMORY "memory limit reached"
#define TIME "time limit reached"

/* What select and on_error do; their first argument is `it`. */
static const struct hostile {
    const char *body;
    const char *select, *on_error; /* parts of the errors; NULL: it is no error */
} HOSTILE[] = {
    {"while true do end", BUDGET, BUDGET},
    {"while true do pcall(function() while true do local _ = it[1] end end) end", BUDGET, BUDGET},
    {"while true do pcall(function() return it.kind end) end", BUDGET, BUDGET},
    {"for i = 1, math.huge do local _ = #it end", BUDGET, "attempt to get length"},
    {"for i = 1, math.huge do local _ = it[i] end", BUDGET, "a failure has no field 'number'"},
    {"while true do local _ = it[1].tags[1] end", BUDGET, "no field 'number'"},
    {"while true do local _ = it[1]:has_tag(('x'):rep(1e5)) end", BUDGET, "no field 'number'"},
    {"local t = {} for i = 1, 1e7 do t[i] = it end", BUDGET, BUDGET},
    {"local s = '' while true do s = s .. req.model .. 'x' end", BUDGET, BUDGET},
    {"local function f() return 1 + f() end return f()", "stack overflow", "stack overflow"},
    {"local t = {} for i = 1, 5e3 do t[i] = it[1] end return t", NULL, "no field 'number'"},
    {"local t = {} for i = 1, 2e3 do t[i] = 'i/' .. i end return t", "\"i/2\", which is not",
     "a table with a key that is a number"},
    {"return { [1] = 'i/0', [1 << 50] = 'i/1' }", "a list with a hole", "a key that is a number"},
    {"return setmetatable({}, { __index = function() return 'i/0' end,\n"
     "__len = function() return 1 << 60 end })",
     "a table that is no list", NULL},
    {"return setmetatable({}, { __index = function() while true do end end })",
     "a table that is no list", NULL},
    {"return ('i/0'):rep(5e4)", "which is not among", "the action \"i/0i/0"},
    {"return '\\0\\n\\27[2J'", "which is not among", "the action"},
    {"return { ['\\n'] = 1 }", "a table that is no list", "the unknown key ' '"},
    {"error(it)", "error value is a userdata", "error value is a userdata"},
    {"error(it[1])", "error value is a userdata", "no field 'number'"},
    {"return it", "returned a userdata", "returned a userdata"},
    {"it.x = 1", "accounts is read-only", "failure is read-only"},
    {"it[1] = nil", "accounts is read-only", "failure is read-only"},
    {"setmetatable(it, {})", "table expected", "table expected"},
    {"rawget(it, 1)", "table expected", "table expected"},
    {"table.sort(it)", "table expected", "table expected"},
    {"return table.unpack(it)", NULL, "attempt to get length"},
    {"for _ in pairs(it) do end", "bad argument", "bad argument"},
    {"return it[it]", "a list and has no field 'userdata'", "no field 'userdata'"},
    {"return it[nil]", "a list and has no field 'nil'", "no field 'nil'"},
    {"return it[math.mininteger] or it[math.maxinteger] or it[2^53]", NULL, "no field 'number'"},
    {"return it[0/0]", "a list and has no field", "no field 'number'"},
    {"return getmetatable(it).__index", "index a boolean value", "index a boolean value"},
    {"return getmetatable(it[1]).__index", "index a boolean value", "no field 'number'"},
    {"setmetatable(it[1], {})", "table expected", "no field 'number'"},
    {"return it[1].has_tag(it, 'x')", "has_tag is called on a userdata", "no field 'number'"},
    {"return it[1].has_tag(req, 'x')", "has_tag is called on a userdata", "no field 'number'"},
    {"return it[1].has_tag(it[1].tags, 'x')", "has_tag is called on a userdata", "no field"},
    {"return it[1]()", "attempt to call a userdata value", "no field 'number'"},
    {"return it[1] + 1", "attempt to perform arithmetic on a userdata", "no field 'number'"},
    {"return { cooldown_ms = math.huge }", "a table that is no list", "a cooldown_ms of inf"},
    {"return { cooldown_ms = math.mininteger }", "a table that is no list",
     "a cooldown_ms of -9.2"},
    {"kept = it", "cannot set global 'kept'", "cannot set global 'kept'"},
};

enum { HOSTILE_COUNT = sizeof HOSTILE / sizeof HOSTILE[0] };

/* Where code is slow (sanitizers) the time may run out before another limit does. */
static bool is_limit(const char *message)
{
    return strcmp(message, BUDGET) == 0 || strcmp(message, MEMORY) == 0;
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void read_facts(void *ctx, size_t index, struct gate_account_facts *out)
{
    static const struct gate_str tag = {"paid", 4};
    static const struct gate_str ids[] = {{"i/0", 3}, {"i/1", 3}};
    (void)ctx;
    *out = (struct gate_account_facts){.id = ids[index], .tags = &tag, .tag_count = 1};
}

/* Calls select, or on_error. What it decided counts as good if it is what a good request gets. */
static enum gate_status ask_policy(struct gate_script *s, bool on_error, const char *model,
                                   bool *good, struct gate_error *err)
{
    static const struct gate_select_view accounts = {2, read_facts, NULL, NULL};
    static const struct gate_verdict verdict = {.kind = GATE_VERDICT_OVERLOADED};
    static const struct gate_error_view failure = {.verdict = &verdict};
    struct gate_route_view req = test_view(model);
    enum gate_status status;
    if (on_error) {
        struct gate_error_decision out;
        status = gate_script_on_error(s, &failure, &req, &out, err);
        *good = out.action == GATE_ACTION_RETRY;
    } else {
        struct gate_selection out;
        status = gate_script_select(s, &accounts, &req, &out, err);
        *good = out.count == 1 && out.order[0] == 1;
    }
    return status;
}

static void attack_policy(struct gate_script *s, bool on_error, const char *body,
                          const char *message)
{
    for (int round = 0; round < 3; round++) {
        struct gate_error err = {0};
        bool good;
        double start = cpu_ms();
        enum gate_status status = ask_policy(s, on_error, "bad", &good, &err);
        double took = cpu_ms() - start;
        ck_assert_msg(took < CPU_LIMIT_MS, "%s took %.0f ms", body, took);
        ck_assert_msg((status == GATE_OK) == (message == NULL), "%s\n-> %s", body, err.message);
        if (message != NULL) {
            ck_assert_msg(strstr(err.message, message) != NULL ||
                              (is_limit(message) && strstr(err.message, TIME) != NULL),
                          "%s\n-> %s\nexpected %s", body, err.message, message);
            ck_assert_msg(strncmp(err.message, "accounts.lua:", 13) == 0, "%s", err.message);
            ck_assert(!good);
            for (const char *c = err.message; *c != '\0'; c++)
                ck_assert((unsigned char)*c >= 0x20);
        }
        ck_assert_msg(ask_policy(s, on_error, "good", &good, &err) == GATE_OK && good,
                      "after %s: %s", body, err.message);
        ck_assert_uint_lt(gate_script_memory(s), GATE_SCRIPT_MEMORY);
    }
}

START_TEST(hostile_policy_ends_and_the_state_goes_on)
{
    const struct hostile *h = &HOSTILE[_i];
    struct test_dir dir;
    char text[2048];
    struct gate_script *s;
    struct gate_error err = {0};
    test_dir_init(&dir);
    snprintf(text, sizeof text,
             "local function attack(it, req)\n%s\nend\n"
             "return {\n"
             "select = function(accounts, req)\n"
             "if req.model == 'good' then return accounts[2] end\n"
             "return attack(accounts, req)\nend,\n"
             "on_error = function(failure, _, req)\n"
             "if req.model == 'good' then return 'retry' end\n"
             "return attack(failure, req)\nend }\n",
             h->body);
    test_dir_write(&dir, "conf/accounts.lua", text);
    struct gate_generation *g = test_load(&dir);
    ck_assert_msg(gate_script_create(g, NULL, &s, &err) == GATE_OK, "%s\n%s", text, err.message);
    gate_generation_release(g);
    attack_policy(s, false, h->body, h->select);
    attack_policy(s, true, h->body, h->on_error);
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

START_TEST(hostile_policy_file_is_refused)
{
    static const struct {
        const char *text, *message;
    } files[] = {
        {"while true do end", BUDGET},
        {"local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", MEMORY},
        {"return {}, error('x')", "accounts.lua:1: x"},
        {"return { accounts = _G }", "accounts is a table with a metatable"},
        {"local t = {} t.accounts = t return t", "accounts[\"accounts\"].\"accounts\""},
        {"local t = {} for i = 1, 1e5 do t['k' .. i] = i end return t", "unknown key \"k"},
        {"local t = {} for i = 1, 1e5 do t[i] = 'k' end\n"
         "return { accounts = { q = { tags = t } } }",
         "tags has 100000 entries"},
        {"return { accounts = { q = { tags = { [1e15] = 'a' } } } }", "other keys than 1 to 1"},
        {"return { [('x'):rep(2e5)] = 1 }", "unknown key \"xxx"},
        {"return { strategy = ('x'):rep(2e5) }", "strategy is \"xxx"},
        {"return { accounts = { ['\\27[2J'] = {} } }", "no control characters"},
        {"\x1bLuaT", "compiled Lua code is not accepted"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct gate_generation *g;
        struct gate_error err = {0};
        test_dir_write(&dir, "conf/accounts.lua", files[i].text);
        ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                         GATE_EINTERNAL);
        ck_assert_msg(strstr(err.message, files[i].message) != NULL, "%s\n-> %s", files[i].text,
                      err.message);
        for (const char *c = err.message; *c != '\0'; c++)
            ck_assert((unsigned char)*c >= 0x20);
    }
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("policy_hostile");
    printf("hostile account policies: %d\n", HOSTILE_COUNT);
    tcase_add_loop_test(tc, hostile_policy_ends_and_the_state_goes_on, 0, HOSTILE_COUNT);
    tcase_add_test(tc, hostile_policy_file_is_refused);
    return test_main(tc, "policy_hostile");
}
