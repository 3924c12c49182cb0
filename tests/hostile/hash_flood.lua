-- keys that are all alike; expect: error instruction budget used up
local function attack()
    local t, s = {}, ("x"):rep(60)
    for i = 1, 1e9 do t[s .. i] = true end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
