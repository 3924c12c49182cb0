-- plain searches of a long string; expect: error instruction budget used up
local long = ("a"):rep(100000)

local function attack()
    while true do long:find("aaaaaaab", 1, true) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
