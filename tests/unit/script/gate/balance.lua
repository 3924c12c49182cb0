-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.least("in_flight") }
--> select q/0 in_flight=3; q/1 in_flight=1; q/2 in_flight=2 for model=m => q/1, q/2, q/0
--> select q/0 requests_day=9; q/1 requests_day=8; q/2 in_flight=1 for model=m => q/1, q/0, q/2
--> select q/0; q/1; q/2 for model=m => q/0, q/1, q/2
--> select q/0 for model=m => q/0
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.least("latency_ms") }
--> select q/0 latency_ms=30; q/1 latency_ms=20; q/2 for model=m => q/2, q/1, q/0
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.least("resets_in_ms") }
--> select q/0 resets_in_ms=30; q/1 resets_in_ms=20 for model=m => q/1, q/0
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.least("id") }
--> file => error: accounts.lua:4: balance.least: no field id, expected one of in_flight, latency_ms, requests_day, requests_minute, resets_in_ms, tokens_day, tokens_minute
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.least() }
--> file => error: accounts.lua:4: balance.least: no field nil, expected one of in_flight, latency_ms, requests_day, requests_minute, resets_in_ms, tokens_day, tokens_minute
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.most_left() }
--> select q/0 rpd=100 requests_day=90; q/1 rpd=50 requests_day=10; q/2 => q/2, q/1, q/0
--> select q/0 rpd=100 requests_day=190; q/1 rpd=50 requests_day=50; q/2 rpd=9 => q/2, q/1, q/0
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.most_left("tokens") }
--> select q/0 tpd=100 tokens_day=90; q/1 tpd=50 tokens_day=10; q/2 tpd=1 => q/1, q/0, q/2
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.most_left("money") }
--> file => error: accounts.lua:4: balance.most_left: no count of money, expected requests or tokens
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.prefer_tag("free", "trial") }
--> select q/0; q/1 tags=trial; q/2 tags=paid,free; q/3 in_flight=1 tags=free => q/2, q/3, q/1, q/0
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.prefer_tag() }
--> file => error: accounts.lua:4: balance.prefer_tag: no tag is given
----
-- conf/accounts.lua
local balance = require "gate.balance"

return { select = balance.prefer_tag("free", nil) }
--> file => error: accounts.lua:4: balance.prefer_tag: tag 2 is a nil, expected a string
----
-- conf/accounts.lua
local balance = require "gate.balance"

local function select(accounts, req)
    return balance.least("in_flight")(accounts, req)
end

return { select = select }
--> select q/0 for model=m => error: accounts.lua:5: balance.least makes a function for requests: call it at the top of the file, outside of functions, and call there what it made
----
-- conf/routing.lua
local balance = require "gate.balance"

return balance.targets({ "a/m", { model = "b/m", retries = 0 }, "c/m" }, "in_flight")
--> model=m with a/0 in_flight=2; b/0 in_flight=1; c/0 => c/m, b/m retries=0, a/m
--> model=m with a/0; b/0; c/0 => a/m, b/m retries=0, c/m
--> model=m with a/0 state=cooling; b/0 in_flight=5; c/0 in_flight=4 => c/m, b/m retries=0, a/m
--> model=m => a/m, b/m retries=0, c/m
--> model=m with a/0 in_flight=1; a/1 in_flight=1; b/0 in_flight=3; c/0 in_flight=3 => a/m, b/m retries=0, c/m
----
-- conf/routing.lua
local balance = require "gate.balance"

return balance.targets({ "a/m", "b/m" }, "latency_ms")
--> model=m with a/0 latency_ms=20; b/0 latency_ms=10 => b/m, a/m
--> model=m with a/0 latency_ms=20; b/0 => b/m, a/m
----
-- conf/routing.lua
local balance = require "gate.balance"

local made = balance.targets({ "a/m", "m" }, "in_flight")
return made
--> file => error: routing.lua:4: balance.targets: target 2 names no provider: write "provider/m"
----
-- conf/routing.lua
local balance = require "gate.balance"

local made = balance.targets({ "a/m", "b/m" }, "resets_in_ms")
return made
--> file => error: routing.lua:4: balance.targets: no field resets_in_ms, expected one of in_flight, latency_ms, requests_day, requests_minute, tokens_day
----
-- conf/routing.lua
local balance = require "gate.balance"

local made = balance.targets("a/m", "in_flight")
return made
--> file => error: routing.lua:4: balance.targets: the targets are a string, expected a list
----
-- conf/routing.lua
local balance = require "gate.balance"

local made = balance.targets({ "1", "2", "3", "4", "5", "6", "7", "8", "9" }, "in_flight")
return made
--> file => error: routing.lua:4: balance.targets: 9 targets, expected 1 to 8
----
-- conf/routing.lua
local balance = require "gate.balance"

local even = balance.spread({ "a", "b", "c" }, { 0, 1, 0 })
local chance = balance.spread { "x", "y" }
local by_key = balance.spread({ "x", "y" }, { 1, 3 })

local function route(req)
    if req.model == "chance" then
        return chance("")
    elseif req.model == "shares" then
        local count = 0
        for i = 1, 1000 do
            local list = by_key("key" .. i)
            assert(#list == 2 and list[1] ~= list[2])
            count = count + (list[1] == "y" and 1 or 0)
        end
        return count > 700 and count < 800 and "fair" or "unfair " .. count
    elseif req.model == "draws" then
        local count = 0
        for _ = 1, 1000 do
            count = count + (by_key()[1] == "y" and 1 or 0)
        end
        return count > 650 and count < 850 and "fair" or "unfair " .. count
    elseif req.model == "sticky" then
        for i = 1, 100 do
            assert(by_key("key" .. i)[1] == by_key("key" .. i)[1])
        end
        return "same"
    end
    return even()
end

return route
--> model=m => b, a, c
--> model=chance => x, y or y, x
--> model=shares => fair
--> model=draws => fair
--> model=sticky => same
----
-- conf/routing.lua
local balance = require "gate.balance"

local made = balance.spread({ "a", "b" }, { 1 })
return made
--> file => error: routing.lua:4: balance.spread: expected a list of 2 weights, one for each target
----
-- conf/routing.lua
local balance = require "gate.balance"

local made = balance.spread({ "a", "b" }, { 1, -1 })
return made
--> file => error: routing.lua:4: balance.spread: weight 2 is -1, expected a number from 0 to 1e9
----
-- conf/routing.lua
local balance = require "gate.balance"

local made = balance.spread({ "a", "b" }, { 0, 0 })
return made
--> file => error: routing.lua:4: balance.spread: all weights are 0
----
-- conf/routing.lua
local balance = require "gate.balance"

local made = balance.spread { "a", {} }
return made
--> file => error: routing.lua:4: balance.spread: target 2 is a table without model, expected a model's name or a table with model
