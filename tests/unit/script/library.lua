-- Run by test_sandbox.c inside a sandbox: what scripts may rely on. Returns true.

local function raises(message, f, ...)
    local ok, err = pcall(f, ...)
    assert(not ok, "no error, expected: " .. message)
    assert(tostring(err):find(message, 1, true), "got: " .. tostring(err))
end

-- base
assert(select("#", 1, nil, nil) == 3 and select(-1, 1, 2) == 2)
assert(tonumber("0x10") == 16 and tonumber("z", 36) == 35 and tostring(12) == "12")
assert(rawequal("a", "a") and rawlen({ 1, 2 }) == 2 and rawget({ a = 1 }, "a") == 1)
assert("10" + 1 == 11 and "3" * "4" == 12, "strings still coerce in arithmetic")
assert(_VERSION == "Lua 5.4" and _G._G == _G and _G.pcall == pcall)
do
    local ok, a, b = pcall(function(...) return ... end, 1, 2)
    assert(ok and a == 1 and b == 2)
    ok, a = pcall(error, { code = 7 })
    assert(not ok and a.code == 7)
    ok, a, b = xpcall(function(x, y) return x + y, "more" end, error, 1, 2)
    assert(ok and a == 3 and b == "more")
    ok, a, b = xpcall(function(x) error("E" .. x, 0) end, function(m) return m .. "!", 2 end, 5)
    assert(ok == false and a == "E5!" and b == nil)
    ok, a = xpcall(function() local t = nil; return t.x end, function(m) return "H:" .. m end)
    assert(not ok and a:find("^H:library.lua:%d+: "))
end
raises("undefined variable 'print_me'", function() return print_me end)
raises("cannot set global 'x'", function() x = 1 end)
raises("cannot set global 'pairs'", function() pairs = nil end)
for _, name in ipairs { "load", "loadfile", "dofile", "collectgarbage", "print", "rawset", "warn",
    "debug", "io", "os", "coroutine", "package" } do
    raises("undefined variable '" .. name .. "'", function() return _G[name] end)
end

-- libraries are read-only and what is unsafe is missing
assert(string.dump == nil and string.pack == nil and math.randomseed == nil)
raises("'string' is read-only", function() string.find = nil end)
raises("'table' is read-only", function() table.extra = 1 end)
raises("'math' is read-only", function() math.pi = 3 end)
raises("'table' is read-only", table.insert, table, 1)
raises("protected", setmetatable, string, {})
raises("protected", setmetatable, _G, {})
assert(getmetatable("") == false and getmetatable(_G) == false and getmetatable(math) == false)
assert(not pcall(function() (""):x() end) and ("x").find == string.find)
raises("not a module name", require, "../x")
raises("require is not available", require, "gate.match")

-- metatables
do
    local Base = {}
    Base.__index = Base
    function Base.hello() return "base" end
    local Derived = setmetatable({}, { __index = Base })
    Derived.__index = Derived
    local object = setmetatable({}, Derived)
    assert(object.hello() == "base" and getmetatable(object) == Derived)
    function Derived.more() return "more" end
    assert(object.more() == "more" and Derived.more() == "more")
    assert(getmetatable(Derived).__index == Base and getmetatable(Base) == nil)
    raises("'__mode' is not available", function() Derived.__mode = "k" end)
    raises("'__call' is not available", function() Derived.__call = Derived end)
    setmetatable(Derived, nil)
    assert(getmetatable(Derived) == nil and object.hello == nil)
    raises("'__mode' is not available", function() Derived.__mode = "k" end)
    setmetatable(Derived, { __index = { late = 1 } })
    assert(object.late == 1)
    raises("'__gc' is not available", function() Derived.__gc = 1 end)
    local own = {}
    own.__index = function(_, k) return k end
    setmetatable(own, own)
    assert(own.name == "name" and getmetatable(own) == own)
    raises("'__mode' is not available", function() own.__mode = "k" end)
    local closed = setmetatable({}, { __metatable = "no" })
    assert(getmetatable(closed) == "no")
    raises("protected", setmetatable, closed, {})
    local order = setmetatable({}, { __lt = function() return true end, __len = function() return 9 end,
        __eq = function() return true end, __tostring = function() return "T" end })
    assert(order < order and #order == 9 and tostring(order) == "T" and order == setmetatable({}, getmetatable(order)))
    for _, key in ipairs { "__gc", "__mode", "__call", "__close" } do
        raises("is not available", setmetatable, {}, { [key] = "k" })
    end
    raises("cannot have '__newindex'", setmetatable, {}, setmetatable({}, { __newindex = rawget }))
    raises("index is nil", function() getmetatable(object)[nil] = 1 end)
    raises("non-closable", function()
        local guard <close> = setmetatable({}, {})
        return guard
    end)
end

-- table
do
    local t = { 1, 2, 3 }
    table.insert(t, 4)
    table.insert(t, 1, 0)
    assert(table.concat(t, ",") == "0,1,2,3,4")
    assert(table.remove(t) == 4 and table.remove(t, 1) == 0 and table.concat(t) == "123")
    assert(table.remove({}) == nil and table.remove({}, 0) == nil and table.remove({ 7 }, 2) == nil)
    raises("position out of bounds", table.insert, t, 6, 1)
    raises("position out of bounds", table.remove, t, 7)
    raises("wrong number of arguments", table.insert, t)
    assert(table.concat({}, "x") == "" and table.concat({ 1, "b", 2.5 }, "-", 2, 3) == "b-2.5")
    raises("element 2 is a nil", table.concat, { 1 }, "", 1, 2)
    raises("element 1 is a table", table.concat, { {} })
    assert(table.concat({ [math.maxinteger] = "z" }, "", math.maxinteger, math.maxinteger) == "z")
    assert(table.unpack({ 1, 2, 3 }, 2) == 2 and select("#", table.unpack({}, 1, 3)) == 3)
    assert(select("#", table.unpack({})) == 0)
    local p = table.pack(nil, 2, nil)
    assert(p.n == 3 and p[2] == 2)
    t = table.move({ 1, 2, 3, 4 }, 1, 3, 2)
    assert(table.concat(t, ",") == "1,1,2,3")
    t = { 1, 2, 3, 4 }
    table.move(t, 1, 3, 2, t)
    assert(table.concat(t, ",") == "1,1,2,3")
    t = table.move({ 1, 2, 3, 4 }, 2, 4, 1)
    assert(table.concat(t, ",") == "2,3,4,4")
    assert(table.concat(table.move({ 5, 6 }, 1, 2, 3, { 1, 2 }), ",") == "1,2,5,6")
    raises("wrap around", table.move, { 1, 2 }, 1, 2, math.maxinteger)
    for n = 0, 40 do
        local list = {}
        for i = 1, n do list[i] = (i * 7919) % 31 end
        table.sort(list)
        for i = 2, n do assert(list[i - 1] <= list[i]) end
        table.sort(list, function(a, b) return a > b end)
        for i = 2, n do assert(list[i - 1] >= list[i]) end
    end
    local words = { "pear", "apple", "fig" }
    table.sort(words)
    assert(table.concat(words, " ") == "apple fig pear")
    raises("attempt to compare", table.sort, { 1, "x" })
    raises("function expected", table.sort, {}, 1)
end

-- string
assert(("ab"):rep(3, "-") == "ab-ab-ab" and ("x"):rep(0) == "" and ("x"):rep(-1) == "")
assert((""):rep(math.maxinteger) == "" and ("x"):rep(1, "sep") == "x")
raises("resulting string too large", string.rep, "xx", math.maxinteger)
assert(("%5.1f|%-4d|%q|%s"):format(2.25, 7, "a\n", nil) == "  2.2|7   |\"a\\\n\"|nil")
raises("invalid conversion", string.format, "%99999d", 1)
assert(("hello"):sub(2, -2) == "ell" and ("Hi"):upper() == "HI" and ("Hi"):lower() == "hi")
assert(("abc"):byte(-1) == 99 and string.char(72, 105) == "Hi" and ("abc"):reverse() == "cba")
assert(("a.b"):find(".", 1, true) == 2 and ("a.b"):find("%.") == 2 and ("abc"):find("") == 1)
assert(("abc"):find("", 4) == 4 and ("abc"):find("", 5) == nil and ("abc"):find("c", -1) == 3)
assert(("a\0b"):find("\0b", 1, true) == 2 and ("a\0b"):match("%z?.b") == "\0b")
do
    local i, j, key, value = ("k = v1"):find("(%w+)%s*=%s*(%w+)")
    assert(i == 1 and j == 6 and key == "k" and value == "v1")
    assert(("THE (quick) fox"):find("%((%a+)%)") == 5)
    assert(("f(a(b)c)d"):match("%b()") == "(a(b)c)")
    assert(("THE (quick) fox"):gsub("%f[%a]%a+", "w") == "w (w) w")
    assert(("hello world"):gsub("o", "0", 1) == "hell0 world")
    assert(("abc"):gsub("%w", "%0%0") == "aabbcc" and ("abc"):gsub("", "-") == "-a-b-c-")
    assert(("$name is $x"):gsub("%$(%w+)", { name = "Lua" }) == "Lua is $x")
    assert(("1 2"):gsub("%d", function(d) return d + 1 end) == "2 3")
    assert(("key=val"):gsub("(%w+)=(%w+)", "%2=%1") == "val=key")
    assert(("abc"):match("()b()") == 2 and select(2, ("abc"):match("()b()")) == 3)
    assert(("aXbXc"):gsub("X", "%%") == "a%b%c" and select(2, ("aaa"):gsub("a", "b")) == 3)
    assert(("=[[x]]="):match("=%[(%[.-%])%]=") == "[x]")
    assert(("]x^-"):gsub("[]^-]", "") == "x" and ("a-z"):gsub("[a%-z]", "") == "")
    local words = {}
    for w in ("one two  three"):gmatch("%a+") do words[#words + 1] = w end
    assert(table.concat(words, ",") == "one,two,three")
    local pairs_seen = 0
    for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do pairs_seen = pairs_seen + #k + v end
    assert(pairs_seen == 5)
    raises("malformed pattern (ends with '%')", string.find, "a", "%")
    raises("malformed pattern (missing ']')", string.find, "a", "[a")
    raises("missing '[' after '%f'", string.find, "a", "%fa")
    raises("missing arguments to '%b'", string.find, "a", "%b(")
    raises("unfinished capture", string.find, "a", "(a")
    raises("invalid pattern capture", string.match, "a", "a)")
    raises("invalid capture index", string.find, "a", "%1")
    raises("invalid capture index %2 in replacement", string.gsub, "a", "(a)", "%2")
    raises("invalid use of '%' in replacement", string.gsub, "a", "a", "%x")
    raises("invalid replacement value (a table)", string.gsub, "a", "a", function() return {} end)
    raises("string/function/table expected", string.gsub, "a", "a", true)
    raises("too many captures", string.find, "a", ("()"):rep(33))
    raises("too complex", string.find, "a", ("a?"):rep(256))
end

-- math and utf8
assert(math.type(1) == "integer" and math.tointeger(3.0) == 3 and math.max(1, 5, 2) == 5)
do
    local r = math.random(10)
    assert(r >= 1 and r <= 10 and math.random() < 1)
end
assert(utf8.len("häß") == 3 and utf8.char(228) == "ä" and #utf8.charpattern > 0)

return true
