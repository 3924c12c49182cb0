-- a pattern with a thousand items; expect: error pattern too complex
local function attack()
    return ("x"):find(("a?"):rep(1000))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
