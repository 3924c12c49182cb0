-- gsub with the character pattern; expect: error instruction budget used up
local long = ("\u{20ac}"):rep(30000)

local function attack()
    while true do long:gsub(utf8.charpattern, "") end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
