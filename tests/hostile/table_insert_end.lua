-- table.insert behind the last integer; expect: error position out of bounds | wrap
local function attack()
    local t = setmetatable({}, { __len = function() return math.maxinteger end })
    table.insert(t, 5, 'x')
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
