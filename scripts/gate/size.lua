-- gate.size: chooses by how much a request asks for. local size = require "gate.size"

local check = require "gate.check"

local size = {}

local COUNTS = {
    prompt_tokens = true, messages = true, max_tokens = true, body_bytes = true, tools = true,
}
local FLAGS = { images = "has_images", tools = "has_tools", stream = "stream" }

-- The lowest and the highest value of a bound: n (at most) or { low, high }; nil: it is none.
local function range_of(bound)
    if check.number(bound, 0) then
        return 0, bound
    elseif type(bound) ~= "table" or not check.number(bound[1], 0) then
        return nil
    end
    local high = bound[2] or math.huge
    if #bound > 2 or not check.number(high, bound[1]) then
        return nil
    end
    return bound[1], high
end

-- One bound of a rule as { field, low, high } or { field, flag }; or nil and what is wrong.
local function read_bound(name, bound)
    if type(bound) == "boolean" then
        if FLAGS[name] then
            return { field = FLAGS[name], flag = bound }
        end
    elseif COUNTS[name] then
        local low, high = range_of(bound)
        if low then
            return { field = name, low = low, high = high }
        end
    end
    if COUNTS[name] then
        return nil, ("%s is no bound: at most n, or { from, to }"):format(name)
    elseif FLAGS[name] then
        return nil, ("%s is no bound: true or false"):format(name)
    end
    return nil, ("no bound is called %s, expected body_bytes, images, max_tokens, messages, "
        .. "prompt_tokens, stream or tools"):format(tostring(name))
end

local function fits(bounds, req)
    for i = 1, #bounds do
        local bound = bounds[i]
        local value = req[bound.field]
        if bound.low then
            if value < bound.low or value > bound.high then
                return false
            end
        elseif value ~= bound.flag then
            return false
        end
    end
    return true
end

-- Makes a function(req) that gives the value of the first rule whose bounds all hold, or nil. A
-- rule is { value, prompt_tokens = 4000, images = false }: a number is the most that fits, a list
-- { from, to } a range (without `to` it has no end). Bounds are prompt_tokens, messages,
-- max_tokens, body_bytes and tools, and with true or false images, tools and stream. A rule
-- without bounds always fits.
function size.first(rules)
    check.loading("size.first")
    check.that(type(rules) == "table" and #rules > 0, 0,
        "size.first: expected a list of rules like { \"qwen-turbo\", prompt_tokens = 4000 }")
    local list = {}
    for i, rule in ipairs(rules) do
        check.that(type(rule) == "table" and rule[1] ~= nil, 0,
            "size.first: rule %d has no value: { value, prompt_tokens = 4000 }", i)
        local bounds = {}
        for name, bound in pairs(rule) do
            if name ~= 1 then
                local read, why = read_bound(name, bound)
                check.that(read, 0, "size.first: rule %d: %s", i, why)
                bounds[#bounds + 1] = read
            end
        end
        list[i] = { rule[1], bounds }
    end
    return function(req)
        for i = 1, #list do
            if fits(list[i][2], req) then
                return list[i][1]
            end
        end
        return nil
    end
end

return size
