-- conf/routing.lua
local match = require "gate.match"

local GLOBS = {
    "gpt-4", "gpt-4*", "*-preview", "claude-?-*", "*a*b*c", "?", "*", "", "**x", "a.b%c+", "[x]",
    "é?",
}

local function route(req)
    local found = {}
    for i, glob in ipairs(GLOBS) do
        if match.glob(glob, req.headers["x-name"] or "") then
            found[#found + 1] = i
        end
    end
    return table.concat(found, " ")
end

return route
--> header.x-name=gpt-4 => 2 7 or 1 2 7
--> header.x-name=gpt-4o => 2 7
--> header.x-name=x-preview => 3 7
--> header.x-name=-preview => 3 7
--> header.x-name=preview => 7
--> header.x-name=claude-3-opus => 4 7
--> header.x-name=claude--opus => 7
--> header.x-name=abc => 5 7
--> header.x-name=a1b2c => 5 7
--> header.x-name=acb => 7
--> header.x-name=ab => 7
--> header.x-name=y => 6 7
--> header.x-name=x => 6 7 9
--> header.x-name=xx => 7 9
--> model=m => 7 8
--> header.x-name=a.b%c+ => 7 10
--> header.x-name=aXb%c+ => 7
--> header.x-name=[x] => 7 11
--> header.x-name=é1 => 7 12
----
-- conf/routing.lua
local match = require "gate.match"

local RULES = { { "aa*aa", "long" }, { "a*", "short" }, { "x", 7 } }
local pick, is_long = match.rules(RULES), match.matcher("aa*aa")

local function route(req)
    local value = pick(req.model)
    assert(value == match.first(RULES, req.model))
    assert(is_long(req.model) == (value == "long"))
    return value and tostring(value)
end

return route
--> model=aaaa => long
--> model=aaa => short
--> model=aabaa => long
--> model=x => 7
--> model=y => (own name)
----
-- conf/routing.lua
-- A long name costs no more than its length, whatever the glob.
local match = require "gate.match"

local is_slow = match.matcher("*a*a*a*a*a*a*a*a*b")

local function route(_req)
    return is_slow(("a"):rep(10000)) and "yes" or "no"
end

return route
--> model=m => no
----
-- conf/routing.lua
local match = require "gate.match"

local pick = match.rules {
    { "a*", "b" },
    { "a*" },
}

return pick
--> file => error: routing.lua:4: match.rules: rule 2 is not { glob, value }
----
-- conf/routing.lua
local match = require "gate.match"
local made = match.rules("a*")
return made
--> file => error: routing.lua:3: match.rules: the rules are a string, expected a list
----
-- conf/routing.lua
local match = require "gate.match"
local made = match.matcher(7)
return made
--> file => error: routing.lua:3: match.matcher: the glob is a number, expected a string
----
-- conf/routing.lua
local match = require "gate.match"
return function(req)
    return match.matcher("a*")(req.model) and "x" or nil
end
--> model=a => error: routing.lua:4: match.matcher makes a function for requests: call it at the top of the file, outside of functions, and call there what it made
