-- conf/routing.lua
local size = require "gate.size"

return size.first {
    { "vision", images = true },
    { "agents", tools = { 3 } },
    { "small", prompt_tokens = 1000, messages = 4, tools = false },
    { "middle", prompt_tokens = { 1001, 8000 }, tools = 2 },
    { "answer", max_tokens = { 4000, 9000 } },
    { { model = "upload", retries = 0 }, body_bytes = { 400000, 500000 }, stream = true },
}
--> model=m images=true tools=5 => vision
--> model=m tools=3 => agents
--> model=m tokens=1000 messages=4 => small
--> model=m tokens=1001 messages=4 => middle
--> model=m tokens=1001 tools=2 => middle
--> model=m tokens=1000 messages=4 tools=1 => (own name)
--> model=m tokens=1000 messages=5 => (own name)
--> model=m tokens=8000 => middle
--> model=m tokens=8001 => (own name)
--> model=m tokens=8001 max_tokens=3999 => (own name)
--> model=m tokens=8001 max_tokens=4000 => answer
--> model=m tokens=8001 max_tokens=9001 => (own name)
--> model=m body=400000 stream=true => upload retries=0
--> model=m body=400000 => (own name)
----
-- conf/routing.lua
local size = require "gate.size"

return size.first { { "tools", tools = true }, { "rest" } }
--> model=m tools=1 => tools
--> model=m => rest
----
-- conf/routing.lua
local size = require "gate.size"
local made = size.first {}
return made
--> file => error: routing.lua:3: size.first: expected a list of rules like { "qwen-turbo", prompt_tokens = 4000 }
----
-- conf/routing.lua
local size = require "gate.size"
local made = size.first { { prompt_tokens = 10 } }
return made
--> file => error: routing.lua:3: size.first: rule 1 has no value: { value, prompt_tokens = 4000 }
----
-- conf/routing.lua
local size = require "gate.size"
local made = size.first { { "a", prompt_tokens = "10" } }
return made
--> file => error: routing.lua:3: size.first: rule 1: prompt_tokens is no bound: at most n, or { from, to }
----
-- conf/routing.lua
local size = require "gate.size"
local made = size.first { { "a", messages = { 10, 5 } } }
return made
--> file => error: routing.lua:3: size.first: rule 1: messages is no bound: at most n, or { from, to }
----
-- conf/routing.lua
local size = require "gate.size"
local made = size.first { { "a" }, { "b", images = 3 } }
return made
--> file => error: routing.lua:3: size.first: rule 2: images is no bound: true or false
----
-- conf/routing.lua
local size = require "gate.size"
local made = size.first { { "a", tokens = 3 } }
return made
--> file => error: routing.lua:3: size.first: rule 1: no bound is called tokens, expected body_bytes, images, max_tokens, messages, prompt_tokens, stream or tools
----
-- conf/routing.lua
local size = require "gate.size"
local made = size.first { { "a", "b" } }
return made
--> file => error: routing.lua:3: size.first: rule 1: no bound is called 2, expected body_bytes, images, max_tokens, messages, prompt_tokens, stream or tools
