-- gate.match: names against shell-like patterns: `*` stands for any text, `?` for one byte, every
-- other character for itself. local match = require "gate.match"

local check = require "gate.check"

local match = {}

-- The pieces of a glob between its stars, as patterns. Each is looked for once, so that a long name
-- costs no more than its length.
local function compile(glob)
    local pieces = {}
    for piece in (glob .. "*"):gmatch("([^*]*)%*") do
        local pattern = piece:gsub("[^%w?]", "%%%0"):gsub("%?", ".")
        pieces[#pieces + 1] = { length = #piece, here = "^" .. pattern, later = pattern }
    end
    return pieces
end

local function fits(pieces, name)
    local first, last = pieces[1], pieces[#pieces]
    if #pieces == 1 then
        return #name == first.length and name:find(first.here) ~= nil
    elseif not name:find(first.here) then
        return false
    end
    local at = first.length + 1
    for i = 2, #pieces - 1 do
        local _, stop = name:find(pieces[i].later, at)
        if not stop then
            return false
        end
        at = stop + 1
    end
    local tail = #name - last.length + 1
    return tail >= at and name:find(last.here, tail) ~= nil
end

-- True if name matches glob.
function match.glob(glob, name)
    return fits(compile(glob), name)
end

-- The value of the first rule { glob, value } whose glob matches name, or nil.
function match.first(rules, name)
    for _, rule in ipairs(rules) do
        if match.glob(rule[1], name) then
            return rule[2]
        end
    end
    return nil
end

-- Makes match.glob for one glob: a function(name).
function match.matcher(glob)
    check.loading("match.matcher")
    check.that(type(glob) == "string", 0, "match.matcher: the glob is a %s, expected a string",
        type(glob))
    local pieces = compile(glob)
    return function(name)
        return fits(pieces, name)
    end
end

-- Makes match.first for one list of rules: a function(name), which is faster.
function match.rules(rules)
    check.loading("match.rules")
    check.that(type(rules) == "table", 0, "match.rules: the rules are a %s, expected a list",
        type(rules))
    local list = {}
    for i, rule in ipairs(rules) do
        local glob = type(rule) == "table" and rule[1]
        check.that(type(glob) == "string" and rule[2] ~= nil, 0,
            "match.rules: rule %d is not { glob, value }", i)
        list[i] = { compile(glob), rule[2] }
    end
    return function(name)
        for i = 1, #list do
            if fits(list[i][1], name) then
                return list[i][2]
            end
        end
        return nil
    end
end

return match
