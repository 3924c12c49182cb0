-- table.sort of 2^30 elements; expect: error instruction budget used up
local function attack()
    table.sort(setmetatable({}, { __len = function() return 1 << 30 end }), math.type)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
