-- writing floats again and again; expect: error instruction budget used up
local function attack()
    local x = 0.1
    while true do local _ = x .. "" end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
