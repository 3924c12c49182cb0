-- math.random of an empty interval; expect: error interval is empty
local function attack()
    return math.random(2, 1)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
