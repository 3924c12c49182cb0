/* Hostile routing scripts on the request path: each ends as one clean error within its limits, and
 * the same state answers the next request. */
#include "script_util.h"

#include <time.h>

enum { CPU_LIMIT_MS = 3000 }; /* far above the 20 ms of a call: sanitizers are slow */

struct hostile {
    const char *body;    /* of attack(req) */
    const char *message; /* part of the error; NULL: any outcome, but it must come back */
    const char *file;    /* file-level text before attack; may be NULL */
};

#define BUDGET "instruction budget used up"
#define MEMORY "memory limit reached"
#define TIME "time limit reached"
#define LARGE "resulting string too large"

static const struct hostile HOSTILE[] = {
    /* loops that catch their own end */
    {"while true do end", BUDGET, NULL},
    {"while true do pcall(function() while true do end end) end", BUDGET, NULL},
    {"repeat local ok = pcall(error) until false", BUDGET, NULL},
    {"xpcall(function() while true do end end, function() while true do end end)", BUDGET, NULL},
    {"while true do xpcall(error, function() while true do end end) end", BUDGET, NULL},
    {"xpcall(function() xpcall(attack, attack) end, attack)", NULL, "local attack"},
    {"local function f() pcall(f) pcall(f) end f()", NULL, NULL},
    {"local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
     "while true do end",
     "'__close' is not available", NULL},
    {"while true do pcall(function() local x <close> = setmetatable({}, {__close = function()\n"
     "while true do pcall(error) end end}) error('x') end) end",
     BUDGET, NULL},
    {"for i = 1, math.huge do end", BUDGET, NULL},
    {"goto a ::a:: goto a", BUDGET, NULL},
    {"for _ in function() return 1 end do end", BUDGET, NULL},
    {"for _ in pcall, error do end", NULL, NULL},
    {"for _ in next, {1}, nil do pcall(function() while true do end end) end", BUDGET, NULL},
    /* recursion */
    {"local function f() return 1 + f() end return f()", "stack overflow", NULL},
    {"local function f(...) return f(1, ...) end return f()", NULL, NULL},
    {"local function f() return f() end return f()", BUDGET, NULL},
    {"local function f() pcall(f) error('x') end f()", NULL, NULL},
    {"local t = setmetatable({}, {}) getmetatable(t).__index = function(a, k) return a[k] end\n"
     "return t.x",
     "C stack overflow", NULL},
    {"local s = 'x' local function f() return (s:gsub('x', f)) end return f()", "C stack overflow",
     NULL},
    {"local function f() return tostring(setmetatable({}, {__tostring = f})) end f()",
     "C stack overflow", NULL},
    {"local f = pcall for i = 1, 1e5 do local g = f f = function() return pcall(g) end end f()",
     NULL, NULL},
    {"local function f(a, b) table.sort({3, 1, 2}, f) return true end f()", "C stack overflow",
     NULL},
    {"local a, b = {}, {} setmetatable(a, {__index = b}) setmetatable(b, {__index = a})\n"
     "return a.x",
     "'__index' chain too long", NULL},
    {"local t = {} setmetatable(t, {__newindex = t}) t.x = 1", "'__newindex' chain too long", NULL},
    {"local t = {} setmetatable(t, {__call = t}) t()", "'__call' is not available", NULL},
    {"local m = {__eq = function(a, b) return a == b end}\n"
     "return setmetatable({}, m) == setmetatable({}, m)",
     "C stack overflow", NULL},
    {"return setmetatable({}, {__concat = function(a, b) return a .. b end}) .. 'x'",
     "C stack overflow", NULL},
    /* memory */
    {"return ('x'):rep(1e10)", LARGE, NULL},
    {"return ('x'):rep(1e9, ('y'):rep(1e5))", LARGE, NULL},
    {"return ('x'):rep(math.maxinteger)", NULL, NULL},
    {"return (''):rep(math.maxinteger)", "empty string", NULL},
    {"local t = {} for i = 1, 1e9 do t[i] = i end", BUDGET, NULL},
    {"local t = {} for i = 1, 1e9 do t[i] = {i} end", NULL, NULL},
    {"for i = 1, 1e9 do kept[i] = ('k'):rep(4096) .. i end", NULL, "local kept = {}"},
    {"while true do pcall(function() for i = 1, 1e9 do kept[i] = {{}, {}} end end) end", NULL,
     "local kept = {}"},
    {"local s = 'x' while true do s = s .. s end", MEMORY, NULL},
    {"while true do pcall(string.rep, 'x', 1e9) end", BUDGET, NULL},
    {"local s = ('x'):rep(2e5) while true do s:upper() end", BUDGET, NULL},
    {"local s = ('x'):rep(2e5) while true do local _ = s .. 'y' end", BUDGET, NULL},
    {"return table.concat({('x'):rep(2e5), ('y'):rep(2e5)})", MEMORY, NULL},
    {"local t = {} for i = 1, 400 do t[i] = ('x'):rep(1000) end return table.concat(t)", MEMORY,
     NULL},
    {"return string.format('%99999d', 1)", "invalid conversion", NULL},
    {"return ('%s'):rep(1e3):format()", "bad argument", NULL},
    {"return select('#', table.unpack({}, 1, 1e8))", NULL, NULL},
    {"return select('#', table.unpack({}, 1, 900000))", NULL, NULL},
    {"return #string.char(table.unpack({}, 1, 1e6))", NULL, NULL},
    {"return (('x'):rep(2e5)):byte(1, -1)", NULL, NULL},
    {"return utf8.codepoint(('x'):rep(2e5), 1, -1)", NULL, NULL},
    {"return ('x'):rep(1e5):gsub('', ('y'):rep(1e5))", BUDGET, NULL},
    /* slow work inside one instruction */
    {"return ('a'):rep(30000):find('.-.-.-.-b')", BUDGET, NULL},
    {"return ('a'):rep(2e5):match('a*a*a*a*b')", BUDGET, NULL},
    {"return ('a'):rep(2e5):gsub('a-b', '')", BUDGET, NULL},
    {"for _ in ('a'):rep(2e5):gmatch('.-.-b') do end", BUDGET, NULL},
    {"return ('('):rep(2e5):find('%b()')", BUDGET, NULL},
    {"return ('x'):rep(100):gsub('x', function() while true do end end)", BUDGET, NULL},
    {"while true do pcall(string.find, ('a'):rep(30000), '.-.-.-.-b') end", BUDGET, NULL},
    {"local s = ('a'):rep(2e5) while true do s:find('b', 1, true) end", BUDGET, NULL},
    {"return ('a'):rep(100):find(('a?'):rep(100) .. ('a'):rep(100))", NULL, NULL},
    {"local a = ('x'):rep(2e5) local b = ('x'):rep(2e5 - 1) .. 'x' while a == b do end", NULL,
     NULL},
    {"local a = ('x'):rep(2e5) local b = ('x'):rep(2e5 - 1) .. 'y' while a < b do end", NULL, NULL},
    {"local s = ('0'):rep(2e5) while true do local _ = s + 1 end", NULL, NULL},
    {"local s = ('0'):rep(2e5) while true do tonumber(s) end", NULL, NULL},
    {"local t = {} for i = 1, 60000 do t['k' .. i] = i end for k in next, t do t[k] = nil end\n"
     "while true do next(t) end",
     NULL, NULL},
    {"table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)", BUDGET, NULL},
    {"table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)", BUDGET, NULL},
    {"table.move({}, 1, math.maxinteger - 1, 2)", BUDGET, NULL},
    {"table.move({}, math.mininteger, math.maxinteger, 1, {})", BUDGET, NULL},
    {"table.concat(setmetatable({}, {__index = function() return '' end}), '', 1, 1 << 60)", BUDGET,
     NULL},
    {"table.sort(setmetatable({}, {__len = function() return 1 << 30 end}), math.type)", BUDGET,
     NULL},
    {"table.unpack(setmetatable({}, {__len = function() return 1 << 60 end}))", BUDGET, NULL},
    {"table.sort({5, 3, 1, 4, 2}, function() return true end) error('sorted')", "sorted", NULL},
    {"table.sort({5, 3, 1}, function() while true do end end)", BUDGET, NULL},
    {"local t = {3, 2, 1} table.sort(t, function(a, b) t[a] = nil return a < b end) error('s')",
     NULL, NULL},
    {"while true do gate.log('debug', ('x'):rep(1e5)) end", BUDGET, NULL},
    {"while true do gate.hash(big) end", BUDGET, "local big = ('x'):rep(2e5)"},
    /* odd errors */
    {"error(nil)", "error value is nil", NULL},
    {"error({})", "error value is a table", NULL},
    {"error(setmetatable({}, {__tostring = function() error('again') end}))",
     "error value is a table", NULL},
    {"error(req)", "error value is a userdata", NULL},
    {"local function f() error(f) end f()", "error value is a function", NULL},
    {"xpcall(error, function(m) error(m) end) error('after')", "after", NULL},
    {"error(('m'):rep(2e5))", "mmmm", NULL},
    {"error('\\0\\n\\27[2J')", "routing.lua:", NULL},
    {"assert(false)", "assertion failed!", NULL},
    {"assert(nil, {})", "error value is a table", NULL},
    {"for k in next, {a = 1}, 'zz' do end", "invalid key to 'next'", NULL},
    {"local t = {} for i = 1, 100 do t['k' .. i] = 1 end\n"
     "for k in pairs(t) do t[k] = nil t[k .. 'x'] = 1 end error('walked')",
     NULL, NULL},
    /* ways out */
    {"return load('return 1')()", "undefined variable 'load'", NULL},
    {"return os.execute('true')", "undefined variable 'os'", NULL},
    {"return io.open('/etc/passwd')", "undefined variable 'io'", NULL},
    {"return debug.getregistry()", "undefined variable 'debug'", NULL},
    {"return coroutine.wrap(attack)()", "undefined variable 'coroutine'", "local attack"},
    {"return string.dump(attack)", "field 'dump'", "local attack"},
    {"return require '../../conf/models'", "not a module name", NULL},
    {"return require '/etc/passwd'", "not a module name", NULL},
    {"return require 'gate..match'", "not a module name", NULL},
    {"return require 'gate.match\\0x'", "not a module name", NULL},
    {"return require 'gate.late'", "was not required while the file was loaded", NULL},
    {"setmetatable('', {__index = {}})", "table expected", NULL},
    {"getmetatable('').__index = nil", "index a boolean value", NULL},
    {"string.find = nil", "'string' is read-only", NULL},
    {"_G.pairs = nil", "cannot set global 'pairs'", NULL},
    {"leak = req", "cannot set global 'leak'", NULL},
    {"setmetatable(_G, {})", "protected metatable", NULL},
    {"_ENV = setmetatable({}, {__index = function() while true do end end}) return x", NULL, NULL},
    {"local _ENV <const> = {} local function f() x = 1 return y.z end return f()",
     "index a nil value", NULL},
    {"rawset(_G, 'x', 1)", "undefined variable 'rawset'", NULL},
    {"local m = {} setmetatable({}, m) m.__mode = 'k'", "'__mode' is not available", NULL},
    {"setmetatable({}, {__gc = function() while true do end end})", "'__gc' is not available",
     NULL},
    {"req.model = 'x'", "req is read-only", NULL},
    {"req.headers['x-team'] = 'x'", "req.headers is read-only", NULL},
    {"setmetatable(req, {})", "table expected", NULL},
    {"rawget(req, 'model')", "table expected", NULL},
    {"return #req", "attempt to get length", NULL},
    {"for k in pairs(req) do end", "bad argument", NULL},
    {"return req.nope", "a request has no field 'nope'", NULL},
    {"return req[nil]", "a request has no field 'nil'", NULL},
    {"return req[req]", "a request has no field 'userdata'", NULL},
    {"return req.headers[{}]", "string expected", NULL},
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

static struct gate_script *load(const struct test_dir *dir, const struct hostile *h)
{
    char text[2048];
    struct gate_generation *g;
    struct gate_script *s;
    struct gate_error err = {0};
    snprintf(text, sizeof text,
             "%s\n%s attack(req)\n%s\nend\n"
             "return function(req)\nif req.model == 'good' then return 'fine' end\n"
             "return attack(req)\nend\n",
             h->file != NULL ? h->file : "",
             h->file != NULL && strcmp(h->file, "local attack") == 0 ? "function"
                                                                     : "local function",
             h->body);
    test_dir_write(dir, "conf/routing.lua", text);
    ck_assert_msg(gate_generation_load(dir->conf, dir->scripts, NULL, 0, 1, &g, &err) == GATE_OK,
                  "%s\n%s", text, err.message);
    ck_assert_msg(gate_script_create(g, NULL, &s, &err) == GATE_OK, "%s\n%s", text, err.message);
    gate_generation_release(g);
    return s;
}

static void check_good(struct gate_script *s, const char *body)
{
    static const struct gate_request_facts facts = {0};
    struct gate_route_view view = {.model = GATE_STR("good"), .facts = &facts};
    struct gate_decision d;
    struct gate_error err = {0};
    ck_assert_msg(gate_script_route(s, &view, &d, &err) == GATE_OK, "after %s: %s", body,
                  err.message);
    ck_assert(d.target_count == 1 && gate_str_eq(d.targets[0].name, GATE_STR("fine")));
}

START_TEST(hostile_script_ends_and_the_state_goes_on)
{
    static const struct gate_request_facts facts = {0};
    const struct hostile *h = &HOSTILE[_i];
    struct gate_route_view view = {.model = GATE_STR("bad"), .facts = &facts};
    struct test_dir dir;
    test_dir_init(&dir);
    struct gate_script *s = load(&dir, h);
    check_good(s, "start");
    for (int round = 0; round < 3; round++) {
        struct gate_decision d;
        struct gate_error err = {0};
        double start = cpu_ms();
        enum gate_status status = gate_script_route(s, &view, &d, &err);
        double took = cpu_ms() - start;
        if (getenv("LLM_GATE_TEST_VERBOSE") != NULL)
            printf("%7.2f ms  %5zu KiB  %.70s\n             %s\n", took,
                   gate_script_memory(s) / 1024, h->body, status == GATE_OK ? "-" : err.message);
        ck_assert_msg(took < CPU_LIMIT_MS, "%s took %.0f ms", h->body, took);
        if (h->message != NULL)
            ck_assert_int_eq(status, GATE_EINTERNAL);
        if (status != GATE_OK) {
            const char *expected = h->message != NULL ? h->message : "routing.lua:";
            ck_assert_msg(strstr(err.message, expected) != NULL ||
                              (is_limit(expected) && strstr(err.message, TIME) != NULL),
                          "%s\n-> %s", h->body, err.message);
            ck_assert_msg(strncmp(err.message, "routing.lua:", 12) == 0 && err.message[12] >= '1' &&
                              err.message[12] <= '9',
                          "%s\n-> %s", h->body, err.message);
            for (const char *c = err.message; *c != '\0'; c++)
                ck_assert((unsigned char)*c >= 0x20);
            ck_assert_uint_eq(d.target_count, 0);
        }
        check_good(s, h->body);
        ck_assert_uint_lt(gate_script_memory(s), GATE_SCRIPT_MEMORY);
    }
    gate_script_destroy(s);
    test_dir_finish(&dir);
}
END_TEST

/* Text that hurts while it is compiled or run as a file. */
START_TEST(hostile_file_is_refused)
{
    static const struct {
        const char *text, *message;
    } files[] = {
        {"while true do end", BUDGET},
        {"local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", MEMORY},
        {"return setmetatable({}, {__index = function() while true do end end})", BUDGET},
        {"return function(req) return nil end, error('x')", "routing.lua:1: x"},
        {"return 5", "routing.lua: the file returned number, expected a function"},
        {"-- empty", "routing.lua: the file returned nothing"},
        {"return {rout = 1}",
         "routing.lua: the file returned a table whose field `route` is missing"},
        {"return {route = 1}", "whose field `route` is number"},
        {"function route(req) end", "routing.lua:1: cannot set global 'route'"},
        {"return require 'gate.none'", "routing.lua:1: module 'gate.none' not found"},
        {"\x1bLuaT\0", "compiled Lua code is not accepted"},
        {"return function(req) return end end", "routing.lua:1: <eof> expected near 'end'"},
    };
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct gate_generation *g;
        struct gate_error err = {0};
        test_dir_write(&dir, "conf/routing.lua", files[i].text);
        ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                         GATE_EINTERNAL);
        ck_assert_msg(strstr(err.message, files[i].message) != NULL, "%s\n-> %s", files[i].text,
                      err.message);
    }
    test_dir_finish(&dir);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    static const struct {
        const char *open, *middle, *close;
    } shapes[] = {{"(", "1", ")"},
                  {"{", "", "}"},
                  {"do ", "", " end"},
                  {"not ", "1", ""},
                  {"function() return ", "1", " end"},
                  {"a.", "b", ""},
                  {"1 ..", "1", ""}};
    struct test_dir dir;
    test_dir_init(&dir);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct gate_buf b;
        struct gate_generation *g;
        struct gate_error err = {0};
        gate_buf_init(&b, 1 << 20);
        gate_buf_append(&b, gate_str_of(shapes[i].open[0] == 'd' ? "" : "local a = {} return "));
        for (int k = 0; k < 20000; k++)
            gate_buf_append(&b, gate_str_of(shapes[i].open));
        gate_buf_append(&b, gate_str_of(shapes[i].middle));
        for (int k = 0; k < 20000; k++)
            gate_buf_append(&b, gate_str_of(shapes[i].close));
        test_dir_write_bytes(&dir, "conf/routing.lua", gate_buf_str(&b));
        gate_buf_finish(&b);
        ck_assert_int_eq(gate_generation_load(dir.conf, dir.scripts, NULL, 0, 1, &g, &err),
                         GATE_EINTERNAL);
        ck_assert_msg(strncmp(err.message, "routing.lua:", 12) == 0, "%s", err.message);
    }
    test_dir_finish(&dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("hostile");
    printf("hostile scripts: %d\n", HOSTILE_COUNT);
    tcase_add_loop_test(tc, hostile_script_ends_and_the_state_goes_on, 0, HOSTILE_COUNT);
    tcase_add_test(tc, hostile_file_is_refused);
    tcase_add_test(tc, deep_nesting_is_refused);
    return test_main(tc, "script_hostile");
}
