-- a comparator that loops; expect: error instruction budget used up
local function attack()
    table.sort({ 5, 3, 1 }, function() while true do end end)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
