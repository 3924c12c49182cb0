-- next over a table that was emptied; expect: error instruction budget used up
local sparse = {}
for i = 1, 5000 do sparse["k" .. i] = i end
for k in next, sparse do sparse[k] = nil end

local function attack()
    while true do next(sparse) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
