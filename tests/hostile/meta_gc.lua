-- a finalizer; expect: error '__gc' is not available
local function attack()
    setmetatable({}, { __gc = function() while true do end end })
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
