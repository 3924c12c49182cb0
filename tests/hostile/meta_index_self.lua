-- an __index function that asks itself; expect: error C stack overflow
local function attack()
    local t = setmetatable({}, { __index = function(t, k) return t[k .. "x"] end })
    return t.model
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
