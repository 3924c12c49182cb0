-- table.unpack of 2^60 elements; expect: error instruction budget used up
local function attack()
    return table.unpack(setmetatable({}, { __len = function() return 1 << 60 end }))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
