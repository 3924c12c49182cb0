/* What lint says of texts that are no Lua: every error with its place, and which opener was never
 * closed. */
#include "lint_util.h"

static const struct lint_case blocks[] = {
    {"routing.lua",
     "local function route(req)\n"
     "    if req.stream then\n"
     "        return 'a'\n"
     "\n"
     "    return nil\n"
     "end\n"
     "\n"
     "return route\n",
     "E 2:5-7 @2:5 unclosed: this 'if' is never closed: 'end' expected before 'return' at line "
     "5\n"},
    {"routing.lua",
     "local function f(x)\n"
     "    if x then\n"
     "        x()\n"
     "    x()\n"
     "end\n"
     "\n"
     "return f\n",
     "E 2:5-7 @2:5 unclosed: this 'if' is never closed: 'end' expected before 'x' at line 4\n"},
    {"routing.lua",
     "local function f(x)\n"
     "    for i = 1, 2 do\n"
     "        x(i)\n"
     "end\n",
     "E 2:5-8 @2:5 unclosed: this 'for' is never closed: 'end' expected before 'end' at line 4\n"},
    {"routing.lua",
     "local function f(x)\n"
     "    while x do\n"
     "        if x then\n"
     "            x()\n"
     "    end\n"
     "end\n",
     "E 3:9-11 @3:9 unclosed: this 'if' is never closed: 'end' expected before 'end' at line 5\n"},
    {"routing.lua",
     "local function f()\n"
     "    return 1\n"
     "\n"
     "local function g()\n"
     "    return 2\n"
     "end\n"
     "\n"
     "return f, g\n",
     "E 1:7-15 @1:7 unclosed: this 'function' is never closed: 'end' expected before 'local' at "
     "line 4\n"},
    {"routing.lua",
     "local x = 1\n"
     "if x then\n"
     "    x = 2\n",
     "E 2:1-3 @2:1 unclosed: this 'if' is never closed: 'end' expected before the end of the "
     "file\n"},
    {"routing.lua",
     "local x = 1\n"
     "if x then\n"
     "x = 2\n"
     "while x do\n"
     "x = 3\n"
     "end\n",
     "E 2:1-3 @2:1 unclosed: this 'if' is never closed: 'end' expected before the end of the "
     "file\n"},
    {"accounts.lua",
     "return {\n"
     "    a = { 1, 2,\n"
     "    b = 3,\n"
     "}\n",
     "E 2:9-10 @2:9 unclosed: this '{' is never closed: '}' expected before 'b' at line 3\n"},
    {"accounts.lua",
     "return {\n"
     "    select = function(a, req)\n"
     "        if req.key then\n"
     "            return a\n"
     "    end,\n"
     "    strategy = 'sticky',\n"
     "}\n",
     "E 3:9-11 @3:9 unclosed: this 'if' is never closed: 'end' expected before 'end' at line 5\n"},
    {"routing.lua",
     "local f = tostring\n"
     "f(function() if f then f() end)\n",
     "E 2:3-11 @2:3 unclosed: this 'function' is never closed: 'end' expected before ')' at line "
     "2\n"},
    {"routing.lua",
     "local function f(x)\n"
     "    if x == 1 then\n"
     "        return 1\n"
     "    else if x == 2 then\n"
     "        return 2\n"
     "    end\n"
     "end\n"
     "return f\n",
     "E 4:10-12 @4:10 unclosed: this 'if' is never closed: 'end' expected before 'end' at line 7 "
     "('elseif', in one word, needs none of its own)\n"},
    {"routing.lua",
     "local f\n"
     "repeat\n"
     "    f()\n"
     "end\n"
     "f()\n",
     "E 4:1-4 @2:1 unclosed: a 'repeat' is closed by 'until', not by 'end'\n"},
    {"routing.lua",
     "local x = 1\n"
     "do\n"
     "    repeat\n"
     "        x = x + 1\n"
     "end\n",
     "E 3:5-11 @3:5 unclosed: this 'repeat' is never closed: 'until' expected before 'end' at line "
     "5\n"},
    {"routing.lua",
     "local x = (1 + 2\n"
     "local y = x\n",
     "E 1:17-18 @1:11 unclosed: ')' expected to close '(' at line 1, column 11\n"},
    {"routing.lua",
     "local x = tostring(tostring(1)\n"
     "local y = x[1\n"
     "local z = y\n",
     "E 1:31-32 @1:19 unclosed: ')' expected to close '(' at line 1, column 19\n"
     "E 2:14-15 @2:12 unclosed: ']' expected to close '[' at line 2, column 12\n"},
    {"routing.lua", "local t = { 1, { 2, 3 }\n",
     "E 1:11-12 @1:11 unclosed: this '{' is never closed: '}' expected before the end of the "
     "file\n"},
    {"routing.lua",
     "if true then\n"
     "\tlocal x = 1\n"
     "else\n"
     "\tlocal y = 2\n",
     "E 1:1-3 @1:1 unclosed: this 'if' is never closed: 'end' expected before the end of the "
     "file\n"},
    {"routing.lua",
     "local function f()\n"
     "    if f then\n"
     "        f()\n"
     "    end\n"
     "    end\n"
     "    f()\n"
     "end\n"
     "return f\n",
     "E 5:5-8 syntax: this 'end' closes nothing: there is one too many\n"},
    {"routing.lua",
     "local x = 1\n"
     "end\n"
     "local y = )\n",
     "E 2:1-4 syntax: this 'end' closes nothing: there is one too many\n"
     "E 3:11-12 syntax: a value is expected, not ')'\n"},
    {"routing.lua",
     "local x = 1\n"
     "else x = 2\n"
     "elseif x then x = 3\n"
     "until x\n",
     "E 2:1-5 syntax: 'else' without an 'if'\n"
     "E 3:1-7 syntax: 'elseif' without an 'if'\n"
     "E 4:1-6 syntax: 'until' without a 'repeat'\n"
     "E 4:8-9 syntax: a value alone is no statement: '=' or the '(' of a call expected\n"},
    {"routing.lua",
     "local x = 1\n"
     "if x then\n"
     "    x = 2\n"
     "else\n"
     "    x = 3\n"
     "else\n"
     "    x = 4\n"
     "end\n",
     "E 6:1-5 syntax: 'else' behind the 'else' of the same 'if'\n"},
    {"routing.lua",
     "local x = {}\n"
     "}\n"
     "local y = 1\n"
     "]\n"
     ",\n",
     "E 2:1-2 syntax: '}' that nothing has opened\n"
     "E 4:1-2 syntax: ']' that nothing has opened\n"
     "E 5:1-2 syntax: ',' that nothing has opened\n"},
    {"routing.lua",
     "local x =\n"
     "local y = = 2\n"
     "if x = y then\n"
     "    y(\n"
     "end\n"
     "for i = 1 do end\n"
     "while x y do end\n"
     "return x\n",
     "E 1:10-11 syntax: a value is expected, not 'local'\n"
     "E 2:11-12 syntax: a value is expected, not '='\n"
     "E 3:6-7 syntax: 'then' expected after the condition of 'if', not '=' ('==' compares)\n"
     "E 4:7-8 syntax: a value is expected, not 'end'\n"
     "E 6:11-13 syntax: ',' and the last value of the loop are expected, not 'do'\n"
     "E 7:9-10 syntax: 'do' expected after the condition of 'while', not 'y'\n"},
    {"routing.lua",
     "local f = tostring\n"
     "f(1 2)\n"
     "f(1, , 2)\n"
     "f{ a = 1 b = 2 }\n"
     "f{ 'a' 'b' }\n"
     "f{ a: 1 }\n"
     "f{ 'a': 1 }\n",
     "E 2:5-6 @2:2 syntax: ',' or ')' expected, not '2'\n"
     "E 3:6-7 syntax: a value is expected, not ','\n"
     "E 4:10-11 syntax: ',' expected between the fields of a table, before 'b'\n"
     "E 5:8-11 syntax: ',' expected between the fields of a table, before a string\n"
     "E 6:7-8 syntax: a name is expected behind ':', not '1' (a field is written key = value)\n"
     "E 7:7-8 syntax: a field is written key = value or [\"key\"] = value, not with ':'\n"},
    {"routing.lua",
     "local x, y = 1\n"
     "x + 1\n"
     "x\n"
     "y == 2\n"
     "x.y\n"
     "(x)\n"
     "'a'\n"
     "x y\n",
     "E 2:3-4 syntax: '=' or the '(' of a call is expected, not '+'\n"
     "E 3:2-3 syntax: a value alone is no statement: '=' or the '(' of a call expected\n"
     "E 4:3-5 syntax: a comparison is no statement: '=' assigns\n"
     "E 8:3-4 syntax: '=' or the '(' of a call is expected, not 'y'\n"},
    {"routing.lua",
     "local x = 1\n"
     "x += 1\n"
     "x++\n"
     "x = x++\n"
     "x = x !== 2\n",
     "E 2:3-4 syntax: Lua has no '+=': write x = x + ...\n"
     "E 3:2-3 syntax: Lua has no '++': write x = x + 1\n"
     "E 4:7-8 syntax: a value is expected, not '+' (Lua has no '++': write x = x + 1)\n"
     "E 5:7-9 syntax: Lua has no '!=': write '~='\n"},
    {"routing.lua",
     "local x = 1 != 2\n"
     "local y = x && not x || !x\n"
     "local z = x ? 1 : 2\n",
     "E 1:13-15 syntax: Lua has no '!=': write '~='\n"
     "E 2:13-15 syntax: Lua has no '&&': write 'and'\n"
     "E 2:22-24 syntax: Lua has no '||': write 'or'\n"
     "E 2:25-26 syntax: Lua has no '!': write 'not'\n"
     "E 3:13-14 syntax: Lua has no '?'\n"},
    {"routing.lua", "retrun 1\n",
     "E 1:1-7 syntax: 'retrun' begins no statement; did you mean 'return'?\n"},
    {"routing.lua",
     "local x = 1\n"
     "whlie x do\n"
     "    x = nil\n"
     "end\n"
     "if x then\n"
     "    x = 1\n"
     "elif not x then\n"
     "    x = 2\n"
     "end\n"
     "let y = 2\n"
     "functoin f() end\n",
     "E 2:1-6 syntax: 'whlie' begins no statement; did you mean 'while'?\n"
     "E 7:1-5 syntax: 'elif' begins no statement; did you mean 'elseif'?\n"
     "E 10:1-4 syntax: 'let' begins no statement; did you mean 'local'?\n"
     "E 11:1-9 syntax: 'functoin' begins no statement; did you mean 'function'?\n"},
    {"routing.lua",
     "local function f(a b) end\n"
     "local function g(1) end\n"
     "local function h(..., a) end\n"
     "local function end\n"
     "local function M.x() end\n"
     "function () end\n",
     "E 1:20-21 @1:17 syntax: ',' or ')' expected, not 'b'\n"
     "E 2:18-19 syntax: the name of a parameter is expected, not '1'\n"
     "E 3:21-22 @3:17 syntax: ',' or ')' expected, not ','\n"
     "E 4:16-19 syntax: the name of the function is expected, not 'end', a reserved word\n"
     "E 5:17-18 syntax: a local function has a plain name, not '.' behind it\n"
     "E 6:10-11 syntax: the name of the function is expected, not '('\n"},
    {"routing.lua",
     "local t = {}\n"
     "t.end = 1\n"
     "t. = 2\n"
     "t:x = 3\n"
     "t.f:\n",
     "E 2:3-6 syntax: 'end' is a reserved word: write [\"end\"]\n"
     "E 3:4-5 syntax: a name is expected behind '.', not '='\n"
     "E 4:5-6 syntax: the arguments of a call are expected: '('\n"
     "E 5:5-6 syntax: a name is expected behind ':', not the end of the file\n"},
    {"routing.lua",
     "local x\n"
     "return x\n"
     "local y = 1\n",
     "E 3:1-6 syntax: 'return' must be the last statement of its block, but 'local' follows\n"},
    {"routing.lua",
     "for in pairs({}) do end\n"
     "for a, b do end\n"
     "for a, in pairs({}) do end\n"
     "for a = 1, 2 print() end\n",
     "E 1:5-7 syntax: the name of a variable is expected, not 'in', a reserved word\n"
     "E 2:10-12 syntax: 'in' expected behind the variables of 'for'\n"
     "E 3:8-10 syntax: the name of a variable is expected, not 'in', a reserved word\n"
     "E 4:14-19 syntax: 'do' expected after the head of 'for', not 'print'\n"},
    {"routing.lua",
     "local t = { [1 = 2, [3] 4 }\n"
     "local u = t[\n",
     "E 1:16-17 @1:13 unclosed: ']' expected to close '['\n"
     "E 2:13-14 syntax: a value is expected, not the end of the file\n"},
};

START_TEST(what_does_not_fit_together_is_named)
{
    lint_check(&blocks[_i]);
}
END_TEST

static const struct lint_case tokens[] = {
    {"routing.lua",
     "local s = 'abc\n"
     "local t = \"x\n"
     "y\"\n",
     "E 1:11-15 @1:11 unclosed: this string is never closed: the second ' is missing\n"
     "E 2:11-13 @2:11 unclosed: this string is never closed: the second \" is missing\n"
     "E 3:2-3 @3:2 unclosed: this string is never closed: the second \" is missing\n"},
    {"routing.lua",
     "local s = 'a\\qb' .. '\\300' .. '\\xg0' .. '\\u{110000000}' .. '\\u41' .. '\\u{}'\n",
     "E 1:13-15 syntax: '\\q' in a string: there is no such escape; a backslash itself is written "
     "\\\\\n"
     "E 1:22-26 syntax: '\\300' in a string: a decimal escape is at most \\255\n"
     "E 1:32-35 syntax: '\\xg' in a string: two hexadecimal digits are expected, as in \\x7F\n"
     "E 1:42-53 syntax: '\\u{11000000' in a string: the number of the character is too large\n"
     "E 1:61-64 syntax: '\\u4' in a string: '{' expected, as in \\u{20AC}\n"
     "E 1:71-75 syntax: '\\u{}' in a string: a hexadecimal digit is expected, as in \\u{20AC}\n"},
    {"routing.lua", "local a, b, c, d = 3x, 0x, 1e, 1..2\n",
     "E 1:20-22 syntax: '3x' is not a number\n"
     "E 1:24-26 syntax: '0x' is not a number\n"
     "E 1:28-30 syntax: '1e' is not a number\n"
     "E 1:32-36 syntax: '1..2' is not a number\n"},
    {"routing.lua",
     "local s = [==[ abc\n"
     "]] ]=]\n",
     "E 1:11-15 @1:11 unclosed: this long string is never closed: ']==]' expected\n"},
    {"routing.lua",
     "local x = 1 --[[ never\n"
     "closed\n",
     "E 1:15-17 @1:15 unclosed: this long comment is never closed: ']]' expected\n"},
    {"routing.lua", "local x = [=\n",
     "E 1:11-13 syntax: a long string begins with '[[' or '[=[': '[' expected\n"},
    {"routing.lua",
     "local x = \342\200\234a\342\200\235\n"
     "local y = @x\n"
     "local z = \001\n",
     "E 1:11-14 syntax: '\342\200\234' can only be in a string or comment\n"
     "E 1:15-18 syntax: '\342\200\235' can only be in a string or comment\n"
     "E 2:11-12 syntax: Lua has no '@'\n"
     "E 3:11-12 syntax: the byte 1 can only be in a string or comment\n"},
    {"routing.lua",
     "local x = 'a\\\n"
     "b' .. y .. 'c\n",
     "E 2:12-14 @2:12 unclosed: this string is never closed: the second ' is missing\n"},
    {"routing.lua", "\357\273\277local x = = 1\n",
     "E 1:11-12 syntax: a value is expected, not '='\n"},
    {"routing.lua",
     "local x <const> = 1\n"
     "x = 2\n"
     "local f <close> = nil\n"
     "f = 1\n"
     "function x() end\n",
     "E 2:1-2 syntax: 'x' is <const> and cannot be assigned to\n"
     "E 4:1-2 syntax: 'f' is <close> and cannot be assigned to\n"
     "E 5:10-11 syntax: 'x' is <const> and cannot be assigned to\n"},
    {"routing.lua",
     "local a <close>, b <close> = nil, nil\n"
     "local c <konst> = 1\n"
     "local d <const = 1\n",
     "E 1:21-26 syntax: only one variable of a 'local' can be <close>\n"
     "E 2:10-15 syntax: there is no attribute 'konst', only 'const' and 'close'\n"
     "E 3:16-17 syntax: '>' expected behind an attribute\n"},
    {"routing.lua",
     "break\n"
     "local function f()\n"
     "    while true do\n"
     "        local function g() break end\n"
     "        g()\n"
     "    end\n"
     "end\n"
     "return f\n",
     "E 1:1-6 syntax: 'break' outside of a loop\n"
     "E 4:28-33 syntax: 'break' outside of a loop\n"},
    {"routing.lua",
     "goto missing\n"
     "::a::\n"
     "do ::b:: end\n"
     "goto b\n"
     "::a::\n",
     "E 1:6-13 syntax: there is no label 'missing' that this goto can see\n"
     "E 4:6-7 syntax: there is no label 'b' that this goto can see\n"
     "E 5:3-4 syntax: the label 'a' is already defined at line 2\n"},
    {"routing.lua",
     "goto x\n"
     "local y = 1\n"
     "::x::\n"
     "return y\n",
     "E 1:6-7 syntax: goto 'x' jumps into the scope of the local 'y'\n"},
    {"routing.lua",
     "repeat\n"
     "    goto continue\n"
     "    local z = 1\n"
     "    ::continue::\n"
     "until z\n",
     "E 2:10-18 syntax: goto 'continue' jumps into the scope of the local 'z'\n"},
    {"routing.lua",
     "local function f() return ... end\n"
     "return f, ...\n",
     "E 1:27-30 syntax: '...' can only be used in a function that is declared with '...'\n"},
    {"routing.lua",
     "goto 1\n"
     ":: x\n"
     "::y\n",
     "E 1:6-7 syntax: the name of a label is expected, not '1'\n"
     "E 3:4-5 syntax: a value alone is no statement: '=' or the '(' of a call expected\n"},
};

START_TEST(tokens_and_scopes_are_checked)
{
    lint_check(&tokens[_i]);
}
END_TEST

START_TEST(errors_are_seen_among_many_warnings)
{
    struct gate_problems found = {0};
    struct gate_buf text;
    gate_buf_init(&text, SIZE_MAX);
    for (int i = 0; i < 300; i++)
        gate_buf_append(&text, GATE_STR("x()\n"));
    gate_buf_append(&text, GATE_STR("local y = \n"));
    gate_lint("routing.lua", gate_buf_str(&text), &found);
    ck_assert_uint_eq(found.count, 301);
    ck_assert_uint_eq(found.kept, GATE_PROBLEMS_MAX);
    ck_assert_uint_eq(found.errors, 1);
    size_t errors = 0;
    for (size_t i = 0; i < found.kept; i++)
        errors += found.list[i].severity == GATE_SEVERITY_ERROR;
    ck_assert_uint_eq(errors, 1);
    gate_buf_finish(&text);
    gate_problems_finish(&found);
}
END_TEST

START_TEST(an_empty_file_is_fine)
{
    struct gate_problems found = {0};
    gate_lint("routing.lua", (struct gate_str){NULL, 0}, &found);
    gate_lint("routing.lua", GATE_STR("\xEF\xBB\xBF"), &found);
    ck_assert_uint_eq(found.count, 0);
    ck_assert_ptr_null(found.list);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lint");
    TCase *tcase = tcase_create("lint");
    tcase_add_loop_test(tcase, what_does_not_fit_together_is_named, 0,
                        (int)(sizeof blocks / sizeof blocks[0]));
    tcase_add_loop_test(tcase, tokens_and_scopes_are_checked, 0,
                        (int)(sizeof tokens / sizeof tokens[0]));
    tcase_add_test(tcase, errors_are_seen_among_many_warnings);
    tcase_add_test(tcase, an_empty_file_is_fine);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
