-- an error whose __tostring loops; expect: error error value is a table
local function attack()
    error(setmetatable({}, { __tostring = function() while true do end end }))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
