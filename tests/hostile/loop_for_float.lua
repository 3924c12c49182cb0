-- a numeric for whose counter does not move; expect: error instruction budget used up
local function attack()
    for _ = 2.0 ^ 53, 2.0 ^ 53 + 4 do end
    for _ = 1, 2, 1e-300 do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
