-- an __add that adds again; expect: error C stack overflow
local function attack()
    local m = {}
    m.__add = function(a, b) return a + b end
    return setmetatable({}, m) + 1
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
