-- handlers that loop on ordinary errors; expect: error instruction budget used up
local function attack()
    while true do
        xpcall(error, function() for _ = 1, 1000 do end end)
    end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
