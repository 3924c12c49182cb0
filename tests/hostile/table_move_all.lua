-- table.move of more than all integers; expect: error instruction budget used up
local function attack()
    table.move({}, math.mininteger, math.maxinteger, 1, {})
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
