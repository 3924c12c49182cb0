-- garbage that survives calls which succeed, until the memory is full; expect: answer
local kept = {}

local function attack()
    for i = 1, 300 do kept[#kept + 1] = ("k"):rep(40) .. i .. #kept end
    if #kept > 6000 then kept = {} end
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
