-- a handler that runs for ever; expect: error instruction budget used up
local function attack()
    xpcall(function() while true do end end, function() while true do end end)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
