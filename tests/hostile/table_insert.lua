-- table.insert at the front of 2^60 elements; expect: error instruction budget used up
local function attack()
    table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
