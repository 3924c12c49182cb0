-- setmetatable on a string; expect: error table expected
local function attack()
    setmetatable("", { __index = {} })
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
