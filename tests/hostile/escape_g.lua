-- the metatable of _G; expect: error protected metatable
local function attack()
    setmetatable(_G, {})
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
