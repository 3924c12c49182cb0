-- a comparator that always says yes; expect: answer
local function attack()
    table.sort({ 5, 3, 1, 4, 2 }, function() return true end)
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
