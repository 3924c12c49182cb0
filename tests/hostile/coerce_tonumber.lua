-- tonumber of a long string; expect: error instruction budget used up
local digits = ("0"):rep(100000)

local function attack()
    while true do tonumber(digits) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
