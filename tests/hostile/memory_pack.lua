-- table.pack of very many; expect: error instruction budget used up | memory limit | too many
local function attack()
    local t = table.pack(table.unpack({}, 1, 60000))
    while true do t = table.pack(table.unpack(t, 1, t.n)) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
