/* What lint says of names and fields that the sandbox does not have. */
#include "lint_util.h"

static const struct lint_case names[] = {
    {"routing.lua",
     "local function f()\n"
     "    prnit('x')\n"
     "    print('x')\n"
     "    return os.time(), os.getenv('A'), tostirng(f), xyzzy\n"
     "end\n"
     "return f\n",
     "W 2:5-10 undefined_global: 'prnit' is not available: gate.log(\"info\", text) writes to the "
     "gateway's log\n"
     "W 3:5-10 undefined_global: 'print' is not available: gate.log(\"info\", text) writes to the "
     "gateway's log\n"
     "W 4:12-14 undefined_global: 'os' is not available: gate.now() tells the time\n"
     "W 4:23-25 undefined_global: 'os' is not available: scripts have no environment variables\n"
     "W 4:39-47 undefined_global: 'tostirng' is not defined; did you mean 'tostring'?\n"
     "W 4:52-57 undefined_global: 'xyzzy' is not defined\n"},
    {"routing.lua",
     "local counter = 0\n"
     "local function f() countr = 1; conter = counter end\n"
     "function route(req) return req.model end\n"
     "return f\n",
     "W 2:20-26 global_write: the global 'countr' cannot be set; did you mean the local "
     "'counter'?\n"
     "W 2:32-38 global_write: the global 'conter' cannot be set; did you mean the local "
     "'counter'?\n"
     "W 3:10-15 global_write: the global 'route' cannot be set: declare it with 'local "
     "function'\n"},
    {"routing.lua",
     "return string.dump(tostring), math.randomseed(1), string.pakc('x'), table.getn({}), "
     "math.pow(1, 2), utf8.len('x')\n",
     "W 1:15-19 unknown_field: string has no 'dump': scripts have no compiled code\n"
     "W 1:36-46 unknown_field: math has no 'randomseed': each state has a random seed of its own\n"
     "W 1:58-62 unknown_field: string has no field 'pakc', only byte\n"
     "W 1:75-79 unknown_field: table has no 'getn': write #t\n"
     "W 1:90-93 unknown_field: math has no 'pow': write x ^ y\n"},
    {"routing.lua",
     "gate.lgo('info', 'x')\n"
     "gate.kv.put('a', 1)\n"
     "gate.kv.set('a', 1)\n"
     "return gate.now(), gate.time, gate.random, gate.counter, gate.hash('x'), gate.print\n",
     "W 1:6-9 unknown_field: gate has no field 'lgo'; did you mean 'log'?\n"
     "W 2:9-12 unknown_field: gate.kv has no field 'put', only get\n"
     "W 4:79-84 unknown_field: gate has no 'print': gate.log(\"info\", text) writes to the "
     "gateway's log\n"},
    {"routing.lua",
     "gate.x = 1\n"
     "string.foo = 2\n"
     "table.insert = nil\n",
     "W 1:6-7 read_only: gate is read-only\n"
     "W 2:8-11 read_only: string is read-only\n"
     "W 3:7-13 read_only: table is read-only\n"},
    {"routing.lua",
     "local string, gate, print = {}, {}, nil\n"
     "return string.dump, gate.nothing, print\n",
     ""},
    {"gateway.lua",
     "return { listen = gate.x, a = require 'b', b = print, c = string.rep('x', 2) }\n",
     "W 1:19-23 undefined_global: gateway.lua cannot use 'gate'\n"
     "W 1:31-38 undefined_global: gateway.lua cannot use 'require'\n"
     "W 1:48-53 undefined_global: 'print' is not available: gateway.lua only returns settings\n"},
    {"models.lua", "return { ['a'] = modles }\n",
     "W 1:18-24 undefined_global: 'modles' is not available: a module is a file that returns a "
     "table\n"},
    {"tests/x.lua",
     "local function route(req) return req.anything end\n"
     "return { route }\n",
     ""},
    {"gate/x.lua",
     "local M = {}\n"
     "function M.route(req) return req.anything, seelct('#', req) end\n"
     "return M\n",
     "W 2:44-50 undefined_global: 'seelct' is not defined; did you mean 'select'?\n"},
    {"routing.lua",
     "local _ENV = { x = 1 }\n"
     "y = x + z\n",
     ""},
    {"routing.lua",
     "local function route(req)\n"
     "    if req.mesages > 1 or req.stream then return req.headers['x-a'] end\n"
     "    return req.modle, req['body_byte'], req['path']\n"
     "end\n"
     "return route\n",
     "W 2:12-19 unknown_field: a request has no field 'mesages'; did you mean 'messages'?\n"
     "W 3:16-21 unknown_field: a request has no field 'modle'; did you mean 'model'?\n"
     "W 3:27-38 unknown_field: a request has no field 'body_byte'; did you mean 'body_bytes'?\n"},
    {"routing.lua",
     "local M = {}\n"
     "function M.route(req) return req.a end\n"
     "local route = function(r) return r.b end\n"
     "M.route = function(x) return x.c end\n"
     "local t = { route = function(y) return y.d end }\n"
     "return M, route, t\n",
     "W 2:34-35 unknown_field: a request has no field 'a', only model\n"
     "W 3:36-37 unknown_field: a request has no field 'b', only model\n"
     "W 4:32-33 unknown_field: a request has no field 'c', only model\n"
     "W 5:42-43 unknown_field: a request has no field 'd', only model\n"},
    {"routing.lua", "return function(req) return req.foo end\n",
     "W 1:33-36 unknown_field: a request has no field 'foo', only model\n"},
    {"routing.lua",
     "local function route(req)\n"
     "    local function inner(req) return req.anything end\n"
     "    req.model = 'x'\n"
     "    req = inner(req)\n"
     "    return req.anything\n"
     "end\n"
     "return route\n",
     "W 3:9-14 read_only: a request is read-only\n"},
    {"routing.lua",
     "local function other(req) return req.anything end\n"
     "local function route(a, req) return a.key, req.anything end\n"
     "return other, route\n",
     ""},
    {"accounts.lua",
     "local function select(accounts, req)\n"
     "    for i, a in ipairs(accounts) do\n"
     "        if a.inflight == 0 and a.limits.rpx == 1 and a:has_tga('x') then return a end\n"
     "    end\n"
     "    local b = accounts[1]\n"
     "    return b.latncy_ms, req.kye, a\n"
     "end\n"
     "return { select = select }\n",
     "W 3:14-22 unknown_field: an account has no field 'inflight'; did you mean 'in_flight'?\n"
     "W 3:41-44 unknown_field: a table of limits has no field 'rpx'; did you mean 'rpm'?\n"
     "W 3:56-63 unknown_field: an account has no field 'has_tga'; did you mean 'has_tag'?\n"
     "W 6:14-23 unknown_field: an account has no field 'latncy_ms'; did you mean 'latency_ms'?\n"
     "W 6:29-32 unknown_field: a request has no field 'kye'; did you mean 'key'?\n"
     "W 6:34-35 undefined_global: 'a' is not defined\n"},
    {"accounts.lua",
     "return {\n"
     "    on_error = function(failure, attempt, req)\n"
     "        if failure.kind == 'ratelimited' or failure.knd then\n"
     "            return attempt.defualt\n"
     "        end\n"
     "        return attempt.default == 'next' and req.x\n"
     "    end,\n"
     "    on_response = function(response, attempt)\n"
     "        return response.total, response.total_ms, attempt.default, attempt.model\n"
     "    end,\n"
     "}\n",
     "W 3:28-41 unknown_value: failure.kind is never \"ratelimited\"; did you mean "
     "\"rate_limited\"?\n"
     "W 3:53-56 unknown_field: a failure has no field 'knd'; did you mean 'kind'?\n"
     "W 4:28-35 unknown_field: an attempt has no field 'defualt'; did you mean 'default'?\n"
     "W 6:35-41 unknown_value: attempt.default is never \"next\", only default\n"
     "W 6:50-51 unknown_field: a request has no field 'x', only model\n"
     "W 9:25-30 unknown_field: a response has no field 'total', only status\n"
     "W 9:59-66 unknown_field: the attempt of on_response has no field 'default', only number\n"},
    {"accounts.lua",
     "local function on_error(f, a)\n"
     "    local kind = f.kind\n"
     "    return kind == 'overloaded' or 'time_out' == kind or kind ~= 'nothing_like_it', "
     "a.number\n"
     "end\n"
     "return { on_error = on_error }\n",
     "W 3:36-46 unknown_value: failure.kind is never \"time_out\"; did you mean \"timeout\"?\n"
     "W 3:66-83 unknown_value: failure.kind is never \"nothing_like_it\", only auth\n"},
    {"routing.lua",
     "local function route(req)\n"
     "    local list = gate.accounts('qwen')\n"
     "    local p = gate.provider('qwen')\n"
     "    return list[1].state == 'exhuasted', list[1].until_ms, p.servnig, p.latency_ms\n"
     "end\n"
     "return route\n",
     "W 4:29-40 unknown_value: the state of an account is never \"exhuasted\"; did you mean "
     "\"exhausted\"?\n"
     "W 4:62-69 unknown_field: a provider has no field 'servnig'; did you mean 'serving'?\n"},
};

START_TEST(names_and_fields_that_are_not_there_are_warned_of)
{
    lint_check(&names[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names of lint");
    TCase *tcase = tcase_create("names of lint");
    tcase_add_loop_test(tcase, names_and_fields_that_are_not_there_are_warned_of, 0,
                        (int)(sizeof names / sizeof names[0]));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
