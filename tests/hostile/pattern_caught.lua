-- runaway patterns that are caught; expect: error instruction budget used up
local function attack()
    while true do pcall(string.find, ("a"):rep(20000), ".-.-.-.-b") end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
