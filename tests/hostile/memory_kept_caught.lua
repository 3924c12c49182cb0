-- garbage that survives and a pcall around it; expect: error instruction budget used up | memory limit
local kept = {}

local function attack()
    while true do
        pcall(function() for _ = 1, 1e9 do kept[#kept + 1] = { {}, {} } end end)
    end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
