-- a caught endless loop cannot answer; expect: error instruction budget used up
local function attack()
    pcall(function() while true do end end)
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
