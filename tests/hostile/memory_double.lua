-- a string that doubles; expect: error memory limit
local function attack()
    local s = "x"
    while true do s = s .. s end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
