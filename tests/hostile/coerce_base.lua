-- tonumber of a long string with a base; expect: error instruction budget used up
local digits = ("z"):rep(100000)

local function attack()
    while true do tonumber(digits, 36) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
