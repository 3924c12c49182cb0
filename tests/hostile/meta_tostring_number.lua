-- a __tostring that returns no string; expect: error '__tostring' must return a string
local function attack()
    return tostring(setmetatable({}, { __tostring = function() return {} end }))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
