-- pcall around an endless loop, again and again; expect: error instruction budget used up
local function attack()
    while true do
        pcall(function() while true do end end)
    end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
