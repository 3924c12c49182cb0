-- string.format with a __tostring that loops; expect: error instruction budget used up
local function attack()
    local m = { __tostring = function() while true do end end }
    return string.format("%s", setmetatable({}, m))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
