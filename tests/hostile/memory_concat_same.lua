-- table.concat of one string a thousand times; expect: error instruction budget used up | memory limit | too large
local function attack()
    local t, s = {}, ("x"):rep(100000)
    for i = 1, 1000 do t[i] = s end
    return table.concat(t, s)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
