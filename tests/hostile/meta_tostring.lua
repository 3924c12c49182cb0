-- a __tostring that calls tostring; expect: error C stack overflow
local function attack()
    local m = {}
    m.__tostring = function(t) return tostring(t) end
    return tostring(setmetatable({}, m))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
