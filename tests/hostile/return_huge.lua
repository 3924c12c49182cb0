-- a model name of 100,000 bytes; expect: error a model name of
local function attack()
    return ("m"):rep(100000)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
