-- an error that is nil; expect: error error value is nil
local function attack()
    error(nil)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
