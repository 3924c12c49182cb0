/* sandbox: the allow-list, the limits, how errors read; patterns against those of stock Lua. */
#include "script_util.h"

#include "script/pattern.h"

#include <lualib.h>

static struct gate_sandbox *make(void)
{
    static const struct gate_sandbox_setup setup = {.memory = GATE_SCRIPT_MEMORY};
    struct gate_sandbox *sb = NULL;
    struct gate_error err;
    ck_assert_msg(gate_sandbox_create(&setup, &sb, &err) == GATE_OK, "%s", err.message);
    return sb;
}

static void expect(struct gate_sandbox *sb, const char *text, const char *result)
{
    struct test_run r;
    struct gate_error err = {0};
    enum gate_status status = test_run(sb, text, &r, &err);
    ck_assert_msg(status == GATE_OK, "%s\n-> %s", text, err.message);
    ck_assert_str_eq(r.result, result);
}

static void expect_error(struct gate_sandbox *sb, const char *text, const char *message)
{
    struct test_run r;
    struct gate_error err = {0};
    ck_assert_msg(test_run(sb, text, &r, &err) == GATE_EINTERNAL, "no error: %s", text);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s\n-> %s\nexpected %s", text, err.message,
                  message);
    ck_assert(strchr(err.message, '\n') == NULL);
}

START_TEST(library)
{
    struct gate_sandbox *sb = make();
    struct test_run r = {.text = test_read_file(GATE_SOURCE_DIR "/tests/unit/script/library.lua"),
                         .name = "library.lua"};
    struct gate_error err = {0};
    enum gate_status status =
        gate_sandbox_call(sb, "library.lua", &TEST_LIMITS, test_run_text, &r, &err);
    ck_assert_msg(status == GATE_OK, "%s", err.message);
    ck_assert_str_eq(r.result, "true");
    free((char *)r.text.ptr);
    gate_sandbox_destroy(sb);
}
END_TEST

START_TEST(errors_have_a_place_and_one_line)
{
    struct gate_sandbox *sb = make();
    expect_error(sb, "local a = 1\nlocal b = a +", "test.lua:2: unexpected symbol near <eof>");
    expect_error(sb, "\n\nerror('boom')", "test.lua:3: boom");
    expect_error(sb, "\nerror('boom', 0)", "test.lua:2: boom");
    expect_error(sb, "\nerror(nil)", "test.lua:2: error value is nil");
    expect_error(sb, "\nerror({})", "test.lua:2: error value is a table");
    expect_error(sb, "error(setmetatable({}, {__tostring = function() error('x') end}))",
                 "test.lua:1: error value is a table");
    expect_error(sb, "error(42)", "test.lua:1: 42");
    expect_error(sb, "error(function() end)", "test.lua:1: error value is a function");
    expect_error(sb, "error('a\\nb\\0c\\27[31m')", "test.lua:1: a b");
    expect_error(sb, "error(('x'):rep(100000))", "test.lua:1: xxxxxxxx");
    expect_error(sb, "error(('\xc3\xa4'):rep(100000))", "test.lua:1: \xc3\xa4");
    expect_error(sb, "\nreturn {} .. 'x'", "test.lua:2: attempt to concatenate a table value");
    expect_error(sb, "table.sort({3, 2, 1, 'x'})", "test.lua:1: attempt to compare");
    expect_error(sb, "\n\nlocal t = nil\nreturn t.x", "test.lua:4: attempt to index a nil value");
    expect_error(sb, "return string.dump(error)", "field 'dump'");
    expect_error(sb, "return nope", "test.lua:1: undefined variable 'nope'");
    expect_error(sb, "\nnope = 1", "test.lua:2: cannot set global 'nope'");
    expect_error(sb, "\x1bLua", "test.lua:1: compiled Lua code is not accepted");
    expect(sb, "\xEF\xBB\xBFreturn 'bom'", "bom");
    expect(sb, "return 1", "1");
    gate_sandbox_destroy(sb);
}
END_TEST

START_TEST(limits_of_calls)
{
    static const struct gate_sandbox_limits few = {10000, 1000}, quick = {INT64_MAX / 2, 20};
    struct gate_sandbox *sb = make();
    struct gate_error err;
    struct test_run r = {.text = GATE_STR("local n = 0\nwhile true do n = n + 1 end")};
    ck_assert_int_eq(gate_sandbox_call(sb, "t", &few, test_run_text, &r, &err), GATE_EINTERNAL);
    ck_assert_str_eq(err.message, "test.lua:2: instruction budget used up (10000)");
    ck_assert_int_eq(gate_sandbox_call(sb, "t", &quick, test_run_text, &r, &err), GATE_EINTERNAL);
    ck_assert_str_eq(err.message, "test.lua:2: time limit reached (20 ms)");
    r.text = GATE_STR("local s = 0 for i = 1, 100 do s = s + i end return s");
    ck_assert_int_eq(gate_sandbox_call(sb, "t", &few, test_run_text, &r, &err), GATE_OK);
    ck_assert_str_eq(r.result, "5050");
    /* A few hundred instructions that copy much: the bytes count. */
    static const struct gate_sandbox_limits slow = {100000, 60000};
    r.text = GATE_STR("local s = ('x'):rep(100000) for i = 1, 100 do local _ = s .. i end");
    ck_assert_int_eq(gate_sandbox_call(sb, "t", &slow, test_run_text, &r, &err), GATE_EINTERNAL);
    ck_assert_str_eq(err.message, "test.lua:1: instruction budget used up (100000)");
    gate_sandbox_destroy(sb);
}
END_TEST

/* ---------------------------------------------------------------- stacks */

static void expect_stack(struct gate_sandbox *sb, const char *text, const char *stack)
{
    struct test_run r;
    struct gate_error err = {0};
    ck_assert_int_eq(test_run(sb, text, &r, &err), GATE_EINTERNAL);
    ck_assert_msg(strcmp(gate_sandbox_stack(sb), stack) == 0, "%s\n-> %s\n%s\nexpected\n%s", text,
                  err.message, gate_sandbox_stack(sb), stack);
}

START_TEST(errors_have_a_stack)
{
    struct gate_sandbox *sb = make();
    ck_assert_str_eq(gate_sandbox_stack(sb), "");
    expect_stack(sb, "local t = nil\nreturn t.x", "test.lua:2: in the file");
    expect_stack(
        sb,
        "local function pick(x)\n  return x.y.z + 1\nend\n"
        "local function route()\n  local r = pick({})\n  return r\nend\n\nlocal _ = route()",
        "test.lua:2: in function 'pick'\ntest.lua:5: in function 'route'\n"
        "test.lua:9: in the file");
    expect_stack(sb, "local s = ('x'):gsub('x',\nfunction(c) error('no') end)",
                 "in 'error'\ntest.lua:2: in the function of line 2\nin 'string.gsub'\n"
                 "test.lua:1: in the file");
    expect_stack(sb, "return (string.rep('x'))", "in 'string.rep'\ntest.lua:1: in the file");
    expect_stack(sb,
                 "local m = {__index = function(t, k) return t() end}\n"
                 "return setmetatable({}, m).name",
                 "test.lua:1: in metamethod 'index'\ntest.lua:2: in the file");
    expect_stack(sb, "local function spin() while true do end end\nspin()",
                 "test.lua:1: in function 'spin'\ntest.lua:2: in the file");
    expect_stack(sb, "local function spin() while true do end end\npcall(spin)",
                 "test.lua:1: in the function of line 1\nin 'pcall'\ntest.lua:2: in the file");
    expect_stack(sb,
                 "local t = {}\nlocal function fill()\nwhile true do t[#t + 1] = "
                 "{table.unpack(t, 1, 50)} end\nend\nfill()",
                 "test.lua:3: in function 'fill'\ntest.lua:5: in the file");
    expect_stack(sb, "\nxpcall(error, function(m) error(m) end) error({})",
                 "in 'error'\ntest.lua:2: in the file");
    expect_stack(sb, "local a = \n", "");
    expect(sb, "return pcall(error, 'caught')", "false");
    ck_assert_str_eq(gate_sandbox_stack(sb), "");
    gate_sandbox_destroy(sb);
}
END_TEST

START_TEST(stacks_are_one_clean_text)
{
    struct gate_sandbox *sb = make();
    /* Deep: shortened in the middle, and the count is exact. */
    expect_stack(sb,
                 "local function down(n) if n == 0 then error('end') end down(n - 1) return end\n"
                 "down(1000)",
                 "in 'error'\ntest.lua:1: in function 'down'\ntest.lua:1: in function 'down'\n"
                 "test.lua:1: in function 'down'\ntest.lua:1: in function 'down'\n"
                 "test.lua:1: in function 'down'\n... 992 more\n"
                 "test.lua:1: in function 'down'\ntest.lua:1: in function 'down'\n"
                 "test.lua:1: in function 'down'\ntest.lua:1: in function 'down'\n"
                 "test.lua:2: in the file");
    gate_sandbox_destroy(sb);
}
END_TEST

START_TEST(small_cap_refuses_the_state)
{
    for (size_t memory = 0; memory < 48 * 1024; memory += 512) {
        const struct gate_sandbox_setup setup = {.memory = memory};
        struct gate_sandbox *sb = NULL;
        struct gate_error err = {0};
        if (gate_sandbox_create(&setup, &sb, &err) == GATE_OK) {
            ck_assert_uint_le(gate_sandbox_memory(sb), memory);
            gate_sandbox_destroy(sb);
        } else {
            ck_assert(err.message[0] != '\0');
        }
    }
}
END_TEST

START_TEST(memory_comes_back)
{
    static const struct gate_sandbox_limits plenty = {1000000000, 60000};
    struct gate_sandbox *sb = make();
    expect(sb, "return 1", "1");
    size_t before = gate_sandbox_memory(sb);
    for (int i = 0; i < 20; i++) {
        struct test_run r = {.text = GATE_STR("local t = {}\n"
                                              "for i = 1, 1e9 do t[i] = {i} end")};
        struct gate_error err;
        ck_assert_int_eq(gate_sandbox_call(sb, "t", &plenty, test_run_text, &r, &err),
                         GATE_EINTERNAL);
        ck_assert_msg(strstr(err.message, "test.lua:2: memory limit reached") != NULL, "%s",
                      err.message);
        ck_assert_str_eq(gate_sandbox_stack(sb), "test.lua:2: in the file");
        ck_assert(!gate_sandbox_is_full(sb));
    }
    ck_assert_uint_le(gate_sandbox_memory(sb), before + 4096);
    expect_error(sb, "return ('x'):rep(5000000)", "too large (256 KiB at most)");
    expect(sb, "return #('x'):rep(262144)", "262144");
    gate_sandbox_destroy(sb);
}
END_TEST

START_TEST(states_differ_in_random)
{
    char first[256];
    for (int i = 0; i < 2; i++) {
        struct gate_sandbox *sb = make();
        struct test_run r;
        struct gate_error err;
        ck_assert_int_eq(test_run(sb, "return math.random(0)", &r, &err), GATE_OK);
        if (i == 0)
            snprintf(first, sizeof first, "%s", r.result);
        else
            ck_assert_str_ne(first, r.result);
        gate_sandbox_destroy(sb);
    }
}
END_TEST

/* ---------------------------------------------------------------- patterns */

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Pieces that make many patterns valid and some not. */
static size_t make_pattern(uint32_t *seed, char *out)
{
    static const char *const pieces[] = {
        "a",      "b", "c",  ".",     "%a", "%d", "%s",    "%W",   "[ab]",  "[^a]",   "[a-c]",
        "[%d]",   "(", ")",  "()",    "*",  "+",  "-",     "?",    "%b()",  "%f[%a]", "%1",
        "$",      "^", "%.", "[]]",   "1",  " ",  "[^%s]", "(a)",  "(.-)",  "%2",     "[a-]",
        "%f[^a]", "x", "%%", "[%a1]", ".-", ".*", "a+",    "(b*)", "[b-a]", "%w",     "%S"};
    size_t len = 0;
    for (uint32_t n = next_random(seed) % 7; n > 0; n--) {
        const char *p = pieces[next_random(seed) % (sizeof pieces / sizeof pieces[0])];
        memcpy(out + len, p, strlen(p));
        len += strlen(p);
    }
    return len;
}

static size_t make_subject(uint32_t *seed, char *out)
{
    static const char letters[] = "aabbcc1 ().x]";
    size_t len = next_random(seed) % 14;
    for (size_t i = 0; i < len; i++)
        out[i] = letters[next_random(seed) % (sizeof letters - 1)];
    return len;
}

/* Describes every answer of find, match, gmatch and gsub as one string. */
static const char PROBE[] =
    "local s, p = ...\n"
    "local out = {}\n"
    "local function add(...)\n"
    "  for i = 1, select('#', ...) do out[#out + 1] = tostring((select(i, ...))) end\n"
    "  out[#out + 1] = ';'\n"
    "end\n"
    "add(s:find(p)) add(s:find(p, 3)) add(s:match(p)) add(s:match(p, -2)) add(s:gsub(p, '<%0>'))\n"
    "add(s:gsub(p, function(...) return select('#', ...) end)) add(s:gsub(p, '%1', 2))\n"
    "for a, b in s:gmatch(p) do add(a, b) end\n"
    "return table.concat(out, ',')\n";

struct probe {
    struct gate_str subject, pattern;
    bool ok;
    char result[4096];
};

static int probe_call(lua_State *L)
{
    struct probe *p = lua_touserdata(L, 1);
    ck_assert_int_eq(luaL_loadstring(L, PROBE), LUA_OK);
    lua_pushlstring(L, p->subject.ptr, p->subject.len);
    lua_pushlstring(L, p->pattern.ptr, p->pattern.len);
    p->ok = lua_pcall(L, 2, 1, 0) == LUA_OK;
    snprintf(p->result, sizeof p->result, "%s", luaL_tolstring(L, -1, NULL));
    return 0;
}

START_TEST(patterns_answer_as_stock_lua)
{
    lua_State *stock = luaL_newstate();
    luaL_openlibs(stock);
    struct gate_sandbox *sb = make();
    uint32_t seed = 2463534242u;
    int compared = 0, refused = 0;
    for (int i = 0; i < 40000; i++) {
        char subject[64], pattern[128];
        struct probe ours = {.subject = {subject, make_subject(&seed, subject)},
                             .pattern = {pattern, make_pattern(&seed, pattern)}};
        struct probe theirs = ours;
        struct gate_error err;
        lua_pushcfunction(stock, probe_call);
        lua_pushlightuserdata(stock, &theirs);
        lua_call(stock, 1, 0);
        ck_assert_int_eq(gate_sandbox_call(sb, "t", &TEST_LIMITS, probe_call, &ours, &err),
                         GATE_OK);
        if (!ours.ok) {
            refused++; /* stock Lua notices a bad pattern only when matching gets there */
            continue;
        }
        compared++;
        ck_assert_msg(theirs.ok && strcmp(ours.result, theirs.result) == 0,
                      "subject '%.*s' pattern '%.*s'\nours   %s\ntheirs %s", (int)ours.subject.len,
                      subject, (int)ours.pattern.len, pattern, ours.result, theirs.result);
    }
    printf("patterns: %d compared, %d malformed\n", compared, refused);
    ck_assert_int_gt(compared, 15000);
    lua_close(stock);
    gate_sandbox_destroy(sb);
}
END_TEST

START_TEST(patterns_stop_when_steps_run_out)
{
    static const char *const bombs[] = {".-.-.-.-b", "a*a*a*a*a*b", "(a-)(a-)(a-)%1%2%3b",
                                        "%f[b]",     "%b()%b()",    "[^b]-[^b]-[^b]-b"};
    size_t len = 30000;
    char *subject = gate_alloc(len);
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        struct gate_pattern p;
        struct gate_match m = {.subject = {subject, len}, .steps_left = 20000};
        size_t start, end;
        memset(subject, i == 4 ? '(' : 'a', len);
        ck_assert(gate_pattern_compile(&p, gate_str_of(bombs[i]), true) == NULL);
        ck_assert_int_eq(gate_pattern_search(&p, &m, 0, &start, &end), GATE_MATCH_OUT_OF_STEPS);
        ck_assert_uint_eq(m.steps_left, 0);
    }
    free(subject);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("sandbox");
    tcase_add_test(tc, library);
    tcase_add_test(tc, errors_have_a_place_and_one_line);
    tcase_add_test(tc, limits_of_calls);
    tcase_add_test(tc, errors_have_a_stack);
    tcase_add_test(tc, stacks_are_one_clean_text);
    tcase_add_test(tc, small_cap_refuses_the_state);
    tcase_add_test(tc, memory_comes_back);
    tcase_add_test(tc, states_differ_in_random);
    tcase_add_test(tc, patterns_answer_as_stock_lua);
    tcase_add_test(tc, patterns_stop_when_steps_run_out);
    return test_main(tc, "sandbox");
}
