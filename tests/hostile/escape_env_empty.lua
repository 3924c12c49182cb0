-- an empty _ENV; expect: error attempt to call a nil value
local function attack()
    local _ENV = {}
    return tostring(1)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
