-- rawequal of long strings; expect: error instruction budget used up
local a = ("x"):rep(100000)
local b = ("x"):rep(99999) .. "x"

local function attack()
    while rawequal(a, b) do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
