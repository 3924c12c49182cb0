-- an __eq that compares again; expect: error C stack overflow
local function attack()
    local m = {}
    m.__eq = function(a, b) return a == b end
    return setmetatable({}, m) == setmetatable({}, m)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
