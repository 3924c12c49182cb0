-- string.char of very many; expect: error instruction budget used up | memory limit
local codes = setmetatable({}, { __index = function() return 65 end })

local function attack()
    return #string.char(table.unpack(codes, 1, 200000))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
