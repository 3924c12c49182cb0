-- a numeric for at the end of the integers comes to its end; expect: answer
local function attack()
    local n = 0
    for _ = math.maxinteger - 1, math.maxinteger do n = n + 1 end
    for _ = math.mininteger, math.mininteger + 1 do n = n + 1 end
    for _ = 3, math.mininteger, math.mininteger do n = n + 1 end
    assert(n == 6)
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
