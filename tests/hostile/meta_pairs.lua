-- a __pairs that never ends; expect: error instruction budget used up
local function attack()
    for _ in pairs(setmetatable({}, { __pairs = function() return function() return 1 end end })) do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
