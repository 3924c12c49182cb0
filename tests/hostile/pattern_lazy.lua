-- a pattern with four lazy loops; expect: error instruction budget used up
local function attack()
    return ("a"):rep(30000):find(".-.-.-.-b")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
