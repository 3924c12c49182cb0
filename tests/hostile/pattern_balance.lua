-- balanced brackets that never close; expect: error instruction budget used up
local function attack()
    return ("("):rep(100000):find("%b()")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
