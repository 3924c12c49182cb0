-- gate.fallback: a chain of targets without those that cannot answer now.
-- local fallback = require "gate.fallback"

local check = require "gate.check"

local fallback = {}

-- Makes a function() that gives the targets in their order, without those whose provider has no
-- account that serves now. When none is left it gives all of them: the gateway then tries accounts
-- that cool down, or says what is wrong. A target that names no provider always stays.
local function chain(targets)
    return function()
        local served = {}
        for i = 1, #targets do
            if check.is_served(targets[i]) then
                served[#served + 1] = targets[i]
            end
        end
        if #served == 0 then
            return table.move(targets, 1, #targets, 1, {})
        end
        return served
    end
end

-- The chain of the targets, each the name of a model or a target table with its own clocks, retries
-- and so on.
function fallback.chain(...)
    check.loading("fallback.chain")
    return chain(check.targets("fallback.chain", { ... }, select("#", ...)))
end

-- The same, where each target also has the fields of `options` (first_token_ms, retries, ...) that
-- it does not have itself.
function fallback.with(options, ...)
    check.loading("fallback.with")
    check.that(type(options) == "table" and options.model == nil and options[1] == nil, 0,
        "fallback.with: expected fields of a target like { first_token_ms = 8000, retries = 0 } "
        .. "first, and the targets behind them")
    local targets = check.targets("fallback.with", { ... }, select("#", ...))
    for i, target in ipairs(targets) do
        local whole = { model = check.target_name(target) }
        for field, value in pairs(options) do
            whole[field] = value
        end
        if type(target) == "table" then
            for field, value in pairs(target) do
                whole[field] = value
            end
        end
        targets[i] = whole
    end
    return chain(targets)
end

return fallback
