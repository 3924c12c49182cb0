-- conf/routing.lua
local tiers = require "gate.tiers"

return tiers.cheapest { { 5, "c/m" }, { 0.4, "a/m" }, { 0.4, { model = "b/m", retries = 0 } } }
--> model=x with a/0; b/0; c/0 => a/m, b/m retries=0, c/m
--> model=x with a/0 rpd=10 requests_day=10; b/0; c/0 => b/m retries=0, c/m
--> model=x with a/0 rpd=10 requests_day=9; b/0 state=cooling; c/0 => a/m, c/m
--> model=x with a/0 state=exhausted; b/0 state=disabled; c/0 state=cooling => a/m, b/m retries=0, c/m
--> model=x => a/m, b/m retries=0, c/m
----
-- conf/routing.lua
local tiers = require "gate.tiers"

return tiers.cheapest({ { 0, "a/m" }, { 1, "b/m" }, { 2, "mapped" } }, 100)
--> model=x with a/0 rpd=1000 requests_day=900; b/0 => a/m, b/m, mapped
--> model=x with a/0 rpd=1000 requests_day=901; b/0 => b/m, mapped
--> model=x with a/0 rpd=60; a/1 rpd=60; b/0 => a/m, b/m, mapped
----
-- conf/routing.lua
local tiers = require "gate.tiers"
local made = tiers.cheapest {}
return made
--> file => error: routing.lua:3: tiers.cheapest: expected a list like { { 0.4, "qwen/qwen-plus" }, ... }
----
-- conf/routing.lua
local tiers = require "gate.tiers"
local made = tiers.cheapest { { "a/m", 1 } }
return made
--> file => error: routing.lua:3: tiers.cheapest: tier 1 has no price: { price, target }
----
-- conf/routing.lua
local tiers = require "gate.tiers"
local made = tiers.cheapest { { 1, "a/m" }, { 0 } }
return made
--> file => error: routing.lua:3: tiers.cheapest: tier 2 has no target: { price, target }
----
-- conf/routing.lua
local tiers = require "gate.tiers"
local made = tiers.cheapest { { 1, "a/m" }, { -1, "b/m" } }
return made
--> file => error: routing.lua:3: tiers.cheapest: tier 2 has no price: { price, target }
----
-- conf/routing.lua
local tiers = require "gate.tiers"
local made = tiers.cheapest({ { 1, "a/m" } }, 0)
return made
--> file => error: routing.lua:3: tiers.cheapest: the requests to keep are 0, expected a number from 1
----
-- conf/routing.lua
local tiers = require "gate.tiers"
local made = tiers.cheapest { { 1, 7 } }
return made
--> file => error: routing.lua:3: tiers.cheapest: target 1 is a number, expected a model's name or a table with model
