-- string.rep of the largest integer; expect: error too large
local function attack()
    return ("ab"):rep(math.maxinteger)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
