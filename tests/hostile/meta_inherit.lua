-- a metatable that inherits __gc; expect: error '__gc' is not available
local function attack()
    local base = { __gc = function() end }
    local m = setmetatable({}, { __index = base })
    setmetatable({}, m)
    setmetatable({}, base)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
