-- Where a request goes. route(req) is called once for each request and decides only; it returns
--
--     nil                                    the model that the client asked for
--     "model" or "provider/model"            this one instead
--     { model = "...", total_ms = 60000 }    this one, with clocks of its own and more: see below
--     a list of these                        the first; the next when it fails
--     { reject = { status = 429 } }          nothing is sent, the client gets this error
--
-- What req and gate offer is in docs/scripting.md; docs/scripting-library.md has modules for
-- fallbacks, canaries, windows of time, cost and size. `llm-gate route --model NAME` prints what
-- this file decides, and files in conf/tests/ can test it. An example of a route:
--
-- local fallback = require "gate.fallback"
-- local chain = fallback.chain("qwen/qwen-plus", "openai/gpt-4o")
--
-- local function route(req)
--     if req.key == "guest" then
--         return { reject = { status = 403, message = "Guests may not." } }
--     elseif req.model == "auto" then
--         return chain() -- without targets whose provider has nobody who serves
--     elseif req.prompt_tokens > 30000 then
--         return {
--             model = "qwen-long", -- without it: the model that the client asked for
--             first_token_ms = 20000, -- also idle_ms and total_ms
--             retries = 1, -- other attempts on this target
--             strategy = "least_used", -- as in accounts.lua
--             tags = { "paid" }, -- only accounts that have all of these
--             headers = { ["x-priority"] = "low", ["x-trace"] = false }, -- false: not sent
--             body = {
--                 set = { temperature = 0.2 },
--                 remove = { "user" },
--                 append_system = "Answer briefly.",
--                 max_tokens = 4096, -- at most
--             },
--             reason = "long prompt", -- for the audit and for explain
--         }
--     end
--     return nil
-- end

local function route(_req)
    return nil
end

return route
