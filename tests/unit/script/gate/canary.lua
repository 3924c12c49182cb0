-- conf/routing.lua
local canary = require "gate.canary"

local ten, twenty = canary.percent(10), canary.percent(20)
local other = canary.percent(10, "other")
local none, all, tiny = canary.percent(0), canary.percent(100), canary.percent(0.5)

local function count(f, with_key)
    local n = 0
    for i = 1, 1000 do
        n = n + (f(with_key and "key" .. i or nil) and 1 or 0)
    end
    return n
end

local function between(n, low, high)
    return n > low and n < high and "good" or "bad " .. n
end

local TESTS = {
    none = function() return tostring(count(none, true) + count(none, false)) end,
    all = function() return tostring(count(all, true) + count(all, false)) end,
    ten = function() return between(count(ten, true), 60, 140) end,
    tiny = function() return between(count(tiny, true), 0, 15) end,
    chance = function() return between(count(twenty, false), 130, 270) end,
    grows = function()
        for i = 1, 1000 do
            assert(not ten("key" .. i) or twenty("key" .. i))
        end
        return "good"
    end,
    other = function()
        local both = 0
        for i = 1, 1000 do
            both = both + (ten("key" .. i) and other("key" .. i) and 1 or 0)
        end
        return between(both, 0, 30)
    end,
}

local function route(req)
    return TESTS[req.model]()
end

return route
--> model=none => 0
--> model=all => 2000
--> model=ten => good
--> model=tiny => good
--> model=chance => good
--> model=grows => good
--> model=other => good
----
-- conf/routing.lua
local canary = require "gate.canary"

local pick = canary.split({ { 0, "never" }, { 10, "new" }, { 90 } }, "trial")
local one = canary.split { { 1, { model = "one", retries = 0 } } }

local function route(req)
    if req.model == "one" then
        return one()
    end
    local counts = { never = 0, new = 0, nothing = 0 }
    for i = 1, 1000 do
        local value = pick("key" .. i)
        assert(value == pick("key" .. i))
        counts[value or "nothing"] = counts[value or "nothing"] + 1
    end
    assert(counts.never == 0 and counts.new > 60 and counts.new < 140)
    return pick(req.key)
end

return route
--> model=one => one retries=0
--> model=m => (own name) or new
----
-- conf/routing.lua
local canary = require "gate.canary"
local made = canary.percent(101)
return made
--> file => error: routing.lua:3: canary.percent: the share is 101, expected a number from 0 to 100
----
-- conf/routing.lua
local canary = require "gate.canary"
local made = canary.percent("10")
return made
--> file => error: routing.lua:3: canary.percent: the share is 10, expected a number from 0 to 100
----
-- conf/routing.lua
local canary = require "gate.canary"
local made = canary.percent(10, 7)
return made
--> file => error: routing.lua:3: canary.percent: the name is a number, expected a string
----
-- conf/routing.lua
local canary = require "gate.canary"
return function(req)
    return canary.percent(10, req.key) and "x" or nil
end
--> model=m => error: routing.lua:4: canary.percent makes a function for requests: call it at the top of the file, outside of functions, and call there what it made
----
-- conf/routing.lua
local canary = require "gate.canary"
local made = canary.split {}
return made
--> file => error: routing.lua:3: canary.split: expected a list like { { 10, "new" }, { 90, "old" } }
----
-- conf/routing.lua
local canary = require "gate.canary"
local made = canary.split { { 10, "a" }, "b" }
return made
--> file => error: routing.lua:3: canary.split: share 2 is a string, expected { weight, value }
----
-- conf/routing.lua
local canary = require "gate.canary"
local made = canary.split { { 10, "a" }, { "b", 90 } }
return made
--> file => error: routing.lua:3: canary.split: the weight of share 2 is b, expected a number from 0 to 1e9
----
-- conf/routing.lua
local canary = require "gate.canary"
local made = canary.split { { 0, "a" } }
return made
--> file => error: routing.lua:3: canary.split: all weights are 0
----
-- conf/routing.lua
local canary = require "gate.canary"
local made = canary.split({ { 1, "a" } }, {})
return made
--> file => error: routing.lua:3: canary.split: the name is a table, expected a string
