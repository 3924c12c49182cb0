-- a to-be-closed variable; expect: error '__close' is not available
local function attack()
    local x <close> = setmetatable({}, { __close = function() while true do end end })
    return x and "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
