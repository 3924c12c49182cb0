-- an error message of 100,000 bytes; expect: error mmmmmmmm
local function attack()
    error(("m"):rep(100000))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
