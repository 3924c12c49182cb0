-- a comparator that empties the table; expect: error attempt to compare
local function attack()
    local t = { 3, 2, 1 }
    table.sort(t, function(a, b) t[1], t[2], t[3] = nil, nil, nil return a < b end)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
