-- gate.tiers: the cheapest target first, as long as it has requests left today.
-- local tiers = require "gate.tiers"

local check = require "gate.check"

local tiers = {}

-- True if the provider of the target has an account that serves, and at least `left` requests left
-- today. One that is not known is taken to have them.
local function has_room(target, left)
    local name = check.provider(target)
    local provider = name and gate.provider(name)
    if not provider then
        return true
    end
    local rest = provider.requests_left_today
    return provider.serving > 0 and (not rest or rest >= left)
end

-- Makes a function() that gives the targets of the list { price, target }, the cheapest first,
-- without those whose provider has no account that serves, or fewer than `keep` requests left today
-- (1 if that is not given). When none is left it gives all of them, the cheapest first. Prices are
-- numbers of any unit; targets of the same price keep their order.
function tiers.cheapest(list, keep)
    check.loading("tiers.cheapest")
    check.that(type(list) == "table" and #list > 0, 0,
        "tiers.cheapest: expected a list like { { 0.4, \"qwen/qwen-plus\" }, ... }")
    keep = keep or 1
    check.that(check.number(keep, 1), 0,
        "tiers.cheapest: the requests to keep are %s, expected a number from 1", tostring(keep))
    local targets, prices = {}, {}
    for i, tier in ipairs(list) do
        check.that(type(tier) == "table" and check.number(tier[1], 0), 0,
            "tiers.cheapest: tier %d has no price: { price, target }", i)
        local place = #prices + 1
        while place > 1 and tier[1] < prices[place - 1] do
            place = place - 1
        end
        table.insert(prices, place, tier[1])
        check.that(tier[2] ~= nil, 0, "tiers.cheapest: tier %d has no target: { price, target }", i)
        table.insert(targets, place, tier[2])
    end
    targets = check.targets("tiers.cheapest", targets)
    return function()
        local open = {}
        for i = 1, #targets do
            if has_room(targets[i], keep) then
                open[#open + 1] = targets[i]
            end
        end
        if #open == 0 then
            return table.move(targets, 1, #targets, 1, {})
        end
        return open
    end
end

return tiers
