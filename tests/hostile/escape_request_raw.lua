-- rawget of the request; expect: error table expected
local function attack(req)
    return rawget(req, "model")
end

return function(req)
    if req.model == "evil" then
        return attack(req)
    end
    return "fine"
end
