-- an error whose __tostring raises; expect: error error value is a table
local function attack()
    error(setmetatable({}, { __tostring = function() error("again") end }))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
