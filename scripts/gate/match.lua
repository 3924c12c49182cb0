-- gate.match: names against shell-like patterns. local match = require "gate.match"

local match = {}

-- True if name matches glob. `*` stands for any text, `?` for one character; everything else stands
-- for itself.
function match.glob(glob, name)
    local pattern = glob:gsub("[^%w*?]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".")
    return name:find("^" .. pattern .. "$") ~= nil
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

return match
