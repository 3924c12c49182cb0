-- an error that is a number; expect: error 0.1
local function attack()
    error(0.1)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
