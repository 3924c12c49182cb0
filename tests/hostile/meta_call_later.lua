-- __call that is added to a metatable in use; expect: error '__call' is not available
local function attack()
    local m = {}
    local t = setmetatable({}, m)
    m.__call = t
    t()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
