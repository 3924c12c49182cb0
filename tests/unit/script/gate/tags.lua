-- conf/routing.lua
local tags = require "gate.tags"

return tags.target {
    { key = "batch-*", tags = { "free" } },
    { headers = { ["X-Team"] = "re*", ["x-tier"] = "gold" }, tags = { "paid", "eu" } },
    { model = "gpt-*", path = "*/completions", tags = { "paid" } },
}
--> model=m key=batch-7 => m tags=free
--> model=m header.x-team=research header.x-tier=gold => m tags=paid,eu
--> model=m header.x-team=research => (own name)
--> model=m header.x-team=sales header.x-tier=gold => (own name)
--> model=gpt-4o => gpt-4o tags=paid
--> model=gpt-4o path=/v1/other => (own name)
--> model=m => (own name)
----
-- conf/routing.lua
local tags = require "gate.tags"

local tags_of = tags.rules { { key = "a", tags = { "x" } }, { tags = { "y", "z" } } }

local function route(req)
    return { model = "qwen-plus", tags = tags_of(req) }
end

return route
--> model=m key=a => qwen-plus tags=x
--> model=m key=b => qwen-plus tags=y,z
----
-- conf/routing.lua
local tags = require "gate.tags"
local made = tags.rules("a")
return made
--> file => error: routing.lua:3: tags.rules: expected a list of rules like { key = "batch-*", tags = { "cheap" } }
----
-- conf/routing.lua
local tags = require "gate.tags"
local made = tags.target { { key = "a" } }
return made
--> file => error: routing.lua:3: tags.target: rule 1: tags is no list of 1 to 8 tags
----
-- conf/routing.lua
local tags = require "gate.tags"
local made = tags.target { { key = "a", tags = { "x", "not a tag" } } }
return made
--> file => error: routing.lua:3: tags.target: rule 1: tag 2 is not 1 to 64 characters of A-Z a-z 0-9 _ . : -
----
-- conf/routing.lua
local tags = require "gate.tags"
local made = tags.target { { keys = "a", tags = { "x" } } }
return made
--> file => error: routing.lua:3: tags.target: rule 1: no condition is called keys, expected headers, key, model or path
----
-- conf/routing.lua
local tags = require "gate.tags"
local made = tags.target { { key = 7, tags = { "x" } } }
return made
--> file => error: routing.lua:3: tags.target: rule 1: key is a number, expected a glob
----
-- conf/routing.lua
local tags = require "gate.tags"
local made = tags.target { { headers = "x-team", tags = { "x" } } }
return made
--> file => error: routing.lua:3: tags.target: rule 1: headers is no table like { ["x-team"] = "research" }
----
-- conf/routing.lua
local tags = require "gate.tags"
local made = tags.target { { headers = { "x-team" }, tags = { "x" } } }
return made
--> file => error: routing.lua:3: tags.target: rule 1: headers has names and globs only
----
-- conf/routing.lua
local tags = require "gate.tags"
local made = tags.target { "a" }
return made
--> file => error: routing.lua:3: tags.target: rule 1 is a string, expected a table
