-- writing to its headers; expect: error req.headers is read-only
local function attack(req)
    req.headers["x-team"] = "x"
end

return function(req)
    if req.model == "evil" then
        return attack(req)
    end
    return "fine"
end
