-- a way out through debug; expect: error undefined variable 'debug'
local function attack()
    return debug.getregistry()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
