-- string.format with a huge width; expect: error invalid conversion
local function attack()
    return string.format("%99999d", 1)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
