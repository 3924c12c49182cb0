-- Which account of a provider serves a request, what it may use, and what happens when it fails.
-- The file returns one table. Every key is optional; as shipped all keys are comments, so accounts
-- take turns and have the limits that the environment and their provider give them.
-- docs/scripting.md describes the keys; `llm-gate check` tells what is wrong here.

-- Choices that are ready: least, most_left, prefer_tag; see docs/scripting-library.md.
--
-- local balance = require "gate.balance"

-- Chooses instead of the strategy. It returns nil (the strategy decides), an account of the list,
-- its id or alias, or a list of these, best first.
--
-- local function select(accounts, req)
--     if req.key ~= "batch" then
--         return nil
--     end
--     local best
--     for _, account in ipairs(accounts) do
--         if not best or account.in_flight < best.in_flight then
--             best = account
--         end
--     end
--     return best
-- end

-- Decides what happens after a failure. It returns nil (the gateway's own rule), "retry",
-- "next_account", "next_target" or "fail", or { action = "...", cooldown_ms = 60000 }.
--
-- local function on_error(failure, attempt, _req)
--     if failure.kind == "overloaded" and attempt.number == 1 then
--         return { action = "retry", cooldown_ms = 0 }
--     end
--     return nil
-- end

-- Sees good answers when they have ended. It returns nil, or { cooldown_ms = 20000 }: the account
-- rests that long.
--
-- local function on_response(response, _attempt, _req)
--     local left = tonumber(response.headers["x-ratelimit-remaining-requests"])
--     if left and left < 3 then
--         return { cooldown_ms = 20000 }
--     end
--     return nil
-- end

return {
    -- round_robin, least_used, least_inflight, fastest, weighted, reset_first or sticky.
    -- strategy = "round_robin",

    -- Limits of every account; 0 means none. They win over CHAT_DAILY_LIMIT and its like.
    -- limits = {
    --     chat = {
    --         rpm = 60, -- requests in any 60 seconds
    --         rpd = 2000, -- requests a day
    --         tpm = 100000, -- tokens in any 60 seconds
    --         tpd = 5000000, -- tokens a day
    --         concurrency = 8, -- requests at a time
    --     },
    --     search = { rpd = 100 },
    -- },

    -- What holds for one account only, by its id or alias.
    -- accounts = {
    --     ["qwen/0"] = { limits = { chat = { rpd = 1000 } }, weight = 3, tags = { "paid" } },
    --     ["work"] = { weight = 0 }, -- is never chosen
    -- },

    -- select = select, -- or balance.least("in_flight")
    -- on_error = on_error,
    -- on_response = on_response,
}
