-- a loop of __index tables; expect: error '__index' chain too long
local function attack()
    local a, b = {}, {}
    setmetatable(a, { __index = b })
    setmetatable(b, { __index = a })
    return a.x
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
