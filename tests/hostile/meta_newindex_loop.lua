-- a table that is its own __newindex; expect: error '__newindex' chain too long
local function attack()
    local t = {}
    setmetatable(t, { __newindex = t })
    t.x = 1
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
