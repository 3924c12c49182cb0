-- a weak table; expect: error '__mode' is not available
local function attack()
    setmetatable({}, { __mode = "k" })
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
