-- a way out through rawset; expect: error undefined variable 'rawset'
local function attack()
    rawset(_G, "x", 1)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
