-- table.concat over a huge range; expect: error instruction budget used up
local function attack()
    return table.concat(setmetatable({}, { __index = function() return "" end }), "", 1, 1 << 60)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
