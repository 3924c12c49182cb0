-- utf8.offset through a long string; expect: error instruction budget used up
local long = ("\u{20ac}"):rep(30000)

local function attack()
    while true do utf8.offset(long, 29000) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
