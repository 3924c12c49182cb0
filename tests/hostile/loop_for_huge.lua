-- a numeric for to infinity; expect: error instruction budget used up
local function attack()
    for _ = 1, math.huge do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
