-- long strings as keys; expect: error instruction budget used up
local long = ("x"):rep(100000)

local function attack()
    local t = {}
    while true do t[long .. #t] = true end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
