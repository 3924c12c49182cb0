-- error with absurd levels; expect: error far
local function attack()
    error("far", 1 << 40)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
