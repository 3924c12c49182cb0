-- a chain of 1,900 __index tables, read again and again; expect: error instruction budget used up
local first = {}
for _ = 1, 1900 do
    first = setmetatable({}, { __index = first })
end

local function attack()
    while true do local _ = first.x end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
