-- sorting a long list with a comparator; expect: error instruction budget used up
local list = {}
for i = 1, 2000 do list[i] = i end

local function attack()
    table.sort(list, function(a, b) return a > b end)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
