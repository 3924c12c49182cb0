-- garbage that survives the call; expect: error instruction budget used up | memory limit
local kept = {}

local function attack()
    for i = 1, 1e9 do kept[#kept + 1] = ("k"):rep(500) .. i end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
