-- a pattern of 250 sets, compiled again and again; expect: error instruction budget used up
local sets = ("[%a%d]"):rep(250)

local function attack()
    while true do ("x"):find(sets) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
