-- an endless list of closures; expect: error instruction budget used up | memory limit
local function attack()
    local t = {}
    for i = 1, 1e9 do t[i] = function() return i, t end end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
