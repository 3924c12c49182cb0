-- a table that grows while it is walked; expect: error instruction budget used up | invalid key | answer
local function attack()
    local t = { a = 1 }
    for k in pairs(t) do t[k .. "x"] = 1 end
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
