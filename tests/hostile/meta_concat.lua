-- a __concat that concatenates again; expect: error C stack overflow
local function attack()
    local m = {}
    m.__concat = function(a, b) return a .. b end
    return setmetatable({}, m) .. "x"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
