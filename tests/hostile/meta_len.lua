-- a __len that claims 2^60 elements; expect: error instruction budget used up
local function attack()
    return table.concat(setmetatable({}, {
        __len = function() return 1 << 60 end,
        __index = function() return "" end,
    }))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
