-- a generic for over pcall; expect: error instruction budget used up
local function attack()
    for _ in pcall, function() return 1 end do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
