-- string.format with the longest numbers; expect: error instruction budget used up
local items = ("%99.99f"):rep(100)
local values = {}
for i = 1, 100 do values[i] = 1e308 end

local function attack()
    while true do string.format(items, table.unpack(values, 1, 100)) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
