-- __call on itself; expect: error '__call' is not available
local function attack()
    local t = {}
    setmetatable(t, { __call = t })
    t()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
