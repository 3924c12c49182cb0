-- writing to the request; expect: error req is read-only
local function attack(req)
    req.model = "x"
end

return function(req)
    if req.model == "evil" then
        return attack(req)
    end
    return "fine"
end
