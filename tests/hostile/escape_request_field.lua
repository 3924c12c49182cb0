-- a field that a request does not have; expect: error a request has no field
local function attack(req)
    return req[req]
end

return function(req)
    if req.model == "evil" then
        return attack(req)
    end
    return "fine"
end
