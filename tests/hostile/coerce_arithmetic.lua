-- a long string as a number; expect: error instruction budget used up
local digits = ("0"):rep(100000)

local function attack()
    while true do local _ = digits + 1 end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
