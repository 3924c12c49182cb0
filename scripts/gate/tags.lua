-- gate.tags: which requests may use which accounts: rules from a request to the tags that an
-- account must have. local tags = require "gate.tags"

local check = require "gate.check"
local match = require "gate.match"

local tags = {}

local MAX_TAGS = 8 -- that one target may ask for
local KEYS = { key = true, model = true, path = true, headers = true, tags = true }

-- A copy of a rule's tags; or nil and what is wrong with them.
local function read_tags(list)
    local copy = {}
    if type(list) ~= "table" or #list < 1 or #list > MAX_TAGS then
        return nil, ("tags is no list of 1 to %d tags"):format(MAX_TAGS)
    end
    for i, tag in ipairs(list) do
        if type(tag) ~= "string" or #tag > 64 or not tag:find("^[%w_.:-]+$") then
            return nil, ("tag %d is not 1 to 64 characters of A-Z a-z 0-9 _ . : -"):format(i)
        end
        copy[i] = tag
    end
    return copy
end

-- A rule's conditions as { field, header, matcher }; or nil and what is wrong with them. `matcher`
-- makes a function(name) of a glob.
local function read_conditions(rule, matcher)
    local list = {}
    for name, glob in pairs(rule) do
        if not KEYS[name] then
            return nil, ("no condition is called %s, expected headers, key, model or path"):format(
                tostring(name))
        elseif name == "headers" then
            if type(glob) ~= "table" then
                return nil, "headers is no table like { [\"x-team\"] = \"research\" }"
            end
            for header, wanted in pairs(glob) do
                if type(header) ~= "string" or type(wanted) ~= "string" then
                    return nil, "headers has names and globs only"
                end
                list[#list + 1] = { header = header, fits = matcher(wanted) }
            end
        elseif name ~= "tags" then
            if type(glob) ~= "string" then
                return nil, ("%s is a %s, expected a glob"):format(name, type(glob))
            end
            list[#list + 1] = { field = name, fits = matcher(glob) }
        end
    end
    return list
end

local function holds(conditions, req)
    for i = 1, #conditions do
        local c = conditions[i]
        local value
        if c.header then
            value = req.headers[c.header]
        else
            value = req[c.field]
        end
        if not value or not c.fits(value) then
            return false
        end
    end
    return true
end

-- Reads rules for the function `name`, whose caller is told what is wrong.
local function read(name, rules)
    local list = {}
    check.that(type(rules) == "table" and #rules > 0, 1,
        "%s: expected a list of rules like { key = \"batch-*\", tags = { \"cheap\" } }", name)
    for i, rule in ipairs(rules) do
        check.that(type(rule) == "table", 1, "%s: rule %d is a %s, expected a table", name, i,
            type(rule))
        local wanted, why = read_tags(rule.tags)
        check.that(wanted, 1, "%s: rule %d: %s", name, i, why)
        local conditions
        conditions, why = read_conditions(rule, match.matcher)
        check.that(conditions, 1, "%s: rule %d: %s", name, i, why)
        list[i] = { wanted, conditions }
    end
    return function(req)
        for i = 1, #list do
            if holds(list[i][2], req) then
                return list[i][1]
            end
        end
        return nil
    end
end

-- Makes a function(req) that gives the tags of the first rule that fits, or nil. A rule has `tags`
-- and any of `key`, `model` and `path` (globs) and `headers` (globs by name), all of which must
-- fit; one without conditions fits always.
function tags.rules(rules)
    check.loading("tags.rules")
    return (read("tags.rules", rules))
end

-- The same as a target for route: the model that was asked for, on accounts with these tags; nil
-- when no rule fits.
function tags.target(rules)
    check.loading("tags.target")
    local find = read("tags.target", rules)
    return function(req)
        local wanted = find(req)
        return wanted and { tags = wanted }
    end
end

return tags
