-- string.byte of a long string; expect: error instruction budget used up | memory limit | too long
local long = ("x"):rep(100000)

local function attack()
    while true do local _ = long:byte(1, -1) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
