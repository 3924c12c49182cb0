-- select beyond its arguments; expect: error index out of range
local function attack()
    return select(-5, 1, 2)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
