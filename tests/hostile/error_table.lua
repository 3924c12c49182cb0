-- an error that is a table; expect: error error value is a table
local function attack()
    error({})
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
