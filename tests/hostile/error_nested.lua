-- an error while an error is caught; expect: error second
local function attack()
    local _, e = pcall(error, "first")
    error(e and "second")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
