-- pcall around a huge string; expect: error instruction budget used up
local function attack()
    while true do pcall(string.rep, "x", 1e9) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
