-- much garbage; expect: error instruction budget used up
local function attack()
    local s = ("x"):rep(100000)
    while true do local _ = s .. "y" end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
