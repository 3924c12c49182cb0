-- a loop that cannot end; expect: error instruction budget used up
local function attack()
    local n = 0
    repeat n = n + 1 until n < 0
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
