-- a hundred maybes; expect: error instruction budget used up | answer
local function attack()
    return ("a"):rep(100):find(("a?"):rep(100) .. ("a"):rep(100)) and "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
