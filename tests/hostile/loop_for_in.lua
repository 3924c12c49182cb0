-- a generic for whose iterator never ends; expect: error instruction budget used up
local function attack()
    for _ in function() return 1 end do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
