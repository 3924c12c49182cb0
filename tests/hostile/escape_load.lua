-- a way out through load; expect: error undefined variable 'load'
local function attack()
    return load("return 1")()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
