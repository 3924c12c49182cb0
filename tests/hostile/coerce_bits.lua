-- a long string as an integer; expect: error attempt to perform bitwise operation on a string
local digits = ("0"):rep(100000)

local function attack()
    while true do local _ = digits | 1 end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
