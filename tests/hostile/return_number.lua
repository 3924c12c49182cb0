-- an answer that is a number; expect: error returned a number
local function attack()
    return 7
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
