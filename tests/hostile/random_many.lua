-- many random numbers; expect: error instruction budget used up
local function attack()
    while true do math.random(math.mininteger, math.maxinteger) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
