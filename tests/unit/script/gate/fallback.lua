-- conf/routing.lua
local fallback = require "gate.fallback"

return fallback.chain("a/m", { model = "b/m", first_token_ms = 8000, retries = 0 }, "m")
--> model=x with a/0; b/0 => a/m, b/m first_token_ms=8000 retries=0, m
--> model=x with a/0 state=cooling; b/0 => b/m first_token_ms=8000 retries=0, m
--> model=x with a/0 state=exhausted; a/1; b/0 state=limited => a/m, m
--> model=x with a/0 state=disabled; b/0 state=needs_sign_in => m
--> model=x => a/m, b/m first_token_ms=8000 retries=0, m
----
-- conf/routing.lua
local fallback = require "gate.fallback"

return fallback.chain("a/m", "b/m")
--> model=x with a/0 state=cooling; b/0 state=cooling => a/m, b/m
--> model=x with a/0 state=cooling; b/0 => b/m
--> model=x with a/0; b/0 => a/m, b/m
----
-- conf/routing.lua
local fallback = require "gate.fallback"

return fallback.with({ first_token_ms = 8000, retries = 1, tags = { "paid" } }, "a/m",
    { model = "b/m", retries = 0 })
--> model=x => a/m first_token_ms=8000 retries=1 tags=paid, b/m first_token_ms=8000 retries=0 tags=paid
--> model=x with a/0 state=cooling; b/0 => b/m first_token_ms=8000 retries=0 tags=paid
----
-- conf/routing.lua
local fallback = require "gate.fallback"
local made = fallback.chain()
return made
--> file => error: routing.lua:3: fallback.chain: 0 targets, expected 1 to 8
----
-- conf/routing.lua
local fallback = require "gate.fallback"
local made = fallback.chain("a", nil, "b")
return made
--> file => error: routing.lua:3: fallback.chain: target 2 is a nil, expected a model's name or a table with model
----
-- conf/routing.lua
local fallback = require "gate.fallback"
local made = fallback.chain("a", "")
return made
--> file => error: routing.lua:3: fallback.chain: target 2 is a string, expected a model's name or a table with model
----
-- conf/routing.lua
local fallback = require "gate.fallback"
local made = fallback.with("a", "b")
return made
--> file => error: routing.lua:3: fallback.with: expected fields of a target like { first_token_ms = 8000, retries = 0 } first, and the targets behind them
----
-- conf/routing.lua
local fallback = require "gate.fallback"
local made = fallback.with({ retries = 1 })
return made
--> file => error: routing.lua:3: fallback.with: 0 targets, expected 1 to 8
----
-- conf/routing.lua
local fallback = require "gate.fallback"
return function()
    local made = fallback.chain("a/m", "b/m")
    return made()
end
--> model=m => error: routing.lua:4: fallback.chain makes a function for requests: call it at the top of the file, outside of functions, and call there what it made
