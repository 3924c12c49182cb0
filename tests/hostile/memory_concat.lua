-- table.concat of a long list; expect: error memory limit | too large
local function attack()
    local t = {}
    for i = 1, 400 do t[i] = ("x"):rep(1000) end
    return table.concat(t)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
