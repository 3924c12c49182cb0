-- gate.canary: a share of the requests goes another way. local canary = require "gate.canary"

local check = require "gate.check"

local canary = {}

local POINTS = 1000000

-- A number from 0 to below 1. The same key always gives the same one for this name; no key, or an
-- empty one, a random one.
local function point_of(name, key)
    if not key or key == "" then
        return gate.random()
    end
    return gate.hash(name .. "\n" .. key) % POINTS / POINTS
end

-- Makes a function(key) that is true for `percent` percent of the keys, always the same ones, or of
-- the requests when no key is given. A larger percentage keeps the keys of a smaller one. `name`
-- (optional) makes another choice of keys, for a second trial beside the first.
function canary.percent(percent, name)
    check.loading("canary.percent")
    check.that(check.number(percent, 0, 100), 0,
        "canary.percent: the share is %s, expected a number from 0 to 100", tostring(percent))
    check.that(name == nil or type(name) == "string", 0,
        "canary.percent: the name is a %s, expected a string", type(name))
    name = name or ""
    return function(key)
        return point_of(name, key) * 100 < percent
    end
end

-- Makes a function(key) that gives the value of one of the shares { weight, value }, in proportion
-- to their weights, sticky as canary.percent is. A share without a value gives nil.
function canary.split(shares, name)
    check.loading("canary.split")
    check.that(type(shares) == "table" and #shares > 0, 0,
        "canary.split: expected a list like { { 10, \"new\" }, { 90, \"old\" } }")
    check.that(name == nil or type(name) == "string", 0,
        "canary.split: the name is a %s, expected a string", type(name))
    name = name or ""
    local limits, values, sum = {}, {}, 0
    for i, share in ipairs(shares) do
        check.that(type(share) == "table", 0,
            "canary.split: share %d is a %s, expected { weight, value }", i, type(share))
        check.that(check.number(share[1], 0, 1e9), 0,
            "canary.split: the weight of share %d is %s, expected a number from 0 to 1e9", i,
            tostring(share[1]))
        sum = sum + share[1]
        limits[i], values[i] = sum, share[2]
    end
    check.that(sum > 0, 0, "canary.split: all weights are 0")
    local count = #limits
    return function(key)
        local point = point_of(name, key) * sum
        for i = 1, count do
            if point < limits[i] then
                return values[i]
            end
        end
        return nil
    end
end

return canary
