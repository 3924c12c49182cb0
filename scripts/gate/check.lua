-- gate.check: how the modules of this folder check what they are given. Their functions are called
-- while a file of conf/ is loaded and make a function for requests, so a wrong argument stops the
-- publish with the line of conf/ where it stands. local check = require "gate.check"

local check = {}

local MAX_TARGETS = 8 -- that route may return

-- Raises the text, with arguments as string.format has them, unless ok. The error has the place
-- where the caller of check.that was called; `up`: as many calls further out.
function check.that(ok, up, text, ...)
    if not ok then
        error(text:format(...), 3 + up)
    end
end

-- Raises while a request is being decided. There the function `name`, which makes a function, would
-- make another one for each request, and what it makes would count as true.
function check.loading(name)
    if pcall(gate.provider, "") then -- the accounts can be asked for only then
        error(name .. " makes a function for requests: call it at the top of the file, outside of "
            .. "functions, and call there what it made", 3)
    end
end

-- True for a number that is not below `low`, nor above `high` unless that is nil.
function check.number(value, low, high)
    return type(value) == "number" and value >= low and (not high or value <= high)
end

-- The names of a set, in order, as messages show them.
function check.names(set)
    local list = {}
    for name in pairs(set) do
        list[#list + 1] = name
    end
    table.sort(list)
    return table.concat(list, ", ")
end

-- The name of a target, which is a string or a table with `model`; nil if it has none.
function check.target_name(target)
    local name = target
    if type(target) == "table" then
        name = target.model
    end
    return type(name) == "string" and name ~= "" and name or nil
end

-- A copy of the first `count` entries of a list, all of which must be targets. The error has the
-- place where the function `name` was called.
function check.targets(name, list, count)
    local copy = {}
    check.that(type(list) == "table", 1, "%s: the targets are a %s, expected a list", name,
        type(list))
    count = count or #list
    check.that(count >= 1 and count <= MAX_TARGETS, 1, "%s: %d targets, expected 1 to %d", name,
        count, MAX_TARGETS)
    for i = 1, count do
        check.that(check.target_name(list[i]), 1,
            "%s: target %d is a %s, expected a model's name or a table with model", name, i,
            type(list[i]) == "table" and "table without model" or type(list[i]))
        copy[i] = list[i]
    end
    return copy
end

-- The provider that a target names: what is before the first "/"; nil if there is none.
function check.provider(target)
    return check.target_name(target):match("^([^/]+)/")
end

-- True unless the target names a provider none of whose accounts is serving now. To be called
-- while a request is being decided.
function check.is_served(target)
    local name = check.provider(target)
    local provider = name and gate.provider(name)
    return not provider or provider.serving > 0
end

return check
