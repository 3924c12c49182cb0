-- a model name with control bytes; expect: error control characters
local function attack()
    return "fine\r\nx-evil: 1"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
