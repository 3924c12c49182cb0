-- pcall with thousands of arguments; expect: error instruction budget used up
local function attack()
    local t = table.pack(table.unpack({}, 1, 5000))
    while true do pcall(select, 1, table.unpack(t, 1, 5000)) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
