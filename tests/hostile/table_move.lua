-- table.move of all integers; expect: error instruction budget used up
local function attack()
    table.move({}, 1, math.maxinteger - 1, 2)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
