-- a finalizer that is added later; expect: error '__gc' is not available
local function attack()
    local m = {}
    local _ = setmetatable({}, m)
    m.__gc = function() while true do end end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
