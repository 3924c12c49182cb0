-- utf8.codepoint of a long string; expect: error instruction budget used up | memory limit | too long | too many
local long = ("x"):rep(100000)

local function attack()
    while true do local _ = utf8.codepoint(long, 1, -1) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
