-- string.format of %q with a long string; expect: error instruction budget used up | memory limit
local long = ("\n"):rep(100000)

local function attack()
    while true do string.format("%q", long) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
