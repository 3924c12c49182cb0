-- an error that is the request; expect: error error value is a userdata
local function attack(req)
    error(req)
end

return function(req)
    if req.model == "evil" then
        return attack(req)
    end
    return "fine"
end
