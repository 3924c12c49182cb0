-- an _ENV of its own; expect: error instruction budget used up
local function attack()
    local _ENV = setmetatable({}, { __index = function() while true do end end })
    return anything
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
