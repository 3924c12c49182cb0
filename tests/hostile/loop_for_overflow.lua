-- a numeric for whose counter would overflow; expect: error instruction budget used up
local function attack()
    for _ = math.mininteger, math.maxinteger do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
