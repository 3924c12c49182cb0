-- the metatable of the request; expect: error table expected
local function attack(req)
    setmetatable(req, {})
end

return function(req)
    if req.model == "evil" then
        return attack(req)
    end
    return "fine"
end
