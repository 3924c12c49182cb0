-- a pattern with four greedy loops; expect: error instruction budget used up
local function attack()
    return ("a"):rep(100000):match("a*a*a*a*b")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
