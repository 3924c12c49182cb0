-- an endless list of tables; expect: error instruction budget used up | memory limit
local function attack()
    local t = {}
    for i = 1, 1e9 do t[i] = { i } end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
